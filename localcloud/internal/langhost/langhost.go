package langhost

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/constant"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Options configure a language host.
type Options struct {
	// Program is the path of the compiled program. Every run starts it.
	Program string
}

// Server is the language host. Create it with [New].
type Server struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	options Options

	mutex  sync.Mutex
	engine string
	// running holds the cancel functions of the current runs. Cancel calls them.
	running map[context.Context]context.CancelFunc
}

// New returns a language host. Serve it with pulumirpc.RegisterLanguageRuntimeServer.
func New(options Options) *Server {
	return &Server{options: options, running: map[context.Context]context.CancelFunc{}}
}

// Handshake stores the address of the engine. The request of a run does not carry it.
func (s *Server) Handshake(
	_ context.Context, req *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.engine = req.GetEngineAddress()
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

// GetPluginInfo returns no version, because this host is not released separately.
func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{}, nil
}

// GetRequiredPackages returns an empty list, so the engine downloads no plugins: the providers are attached.
func (s *Server) GetRequiredPackages(
	context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

// GetRequiredPlugins is GetRequiredPackages for older engines.
func (s *Server) GetRequiredPlugins(
	context.Context, *pulumirpc.GetRequiredPluginsRequest,
) (*pulumirpc.GetRequiredPluginsResponse, error) {
	return &pulumirpc.GetRequiredPluginsResponse{}, nil
}

// InstallDependencies does nothing: the program is already compiled.
func (s *Server) InstallDependencies(
	*pulumirpc.InstallDependenciesRequest, grpc.ServerStreamingServer[pulumirpc.InstallDependenciesResponse],
) error {
	return nil
}

// About returns the path of the program.
func (s *Server) About(context.Context, *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	return &pulumirpc.AboutResponse{Executable: s.options.Program}, nil
}

// GetProgramDependencies returns an empty list: the dependencies are compiled into the binary.
func (s *Server) GetProgramDependencies(
	context.Context, *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	return &pulumirpc.GetProgramDependenciesResponse{}, nil
}

// RuntimeOptionsPrompts returns no prompts.
func (s *Server) RuntimeOptionsPrompts(
	context.Context, *pulumirpc.RuntimeOptionsRequest,
) (*pulumirpc.RuntimeOptionsResponse, error) {
	return &pulumirpc.RuntimeOptionsResponse{}, nil
}

// Cancel stops all running programs.
func (s *Server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, cancel := range s.running {
		cancel()
	}
	return &emptypb.Empty{}, nil
}

// Run starts the program with the parameters of the run, forwards its output to the engine and waits until it exits.
func (s *Server) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.mutex.Lock()
	engine := s.engine
	s.running[ctx] = cancel
	s.mutex.Unlock()
	defer func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		delete(s.running, ctx)
	}()

	variables, err := environment(req, engine)
	if err != nil {
		return nil, err
	}
	program := exec.CommandContext(ctx, s.options.Program, req.GetArgs()...)
	program.Dir = req.GetPwd()
	program.Env = append(inherited(os.Environ()), variables...)
	// Cancellation sends SIGTERM first, so that the program can exit cleanly.
	program.Cancel = func() error { return program.Process.Signal(syscall.SIGTERM) }
	program.WaitDelay = 5 * time.Second

	output, err := forward(ctx, engine)
	if err != nil {
		return nil, err
	}
	program.Stdout, program.Stderr = output, output
	err = program.Run()
	output.close()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == constant.ExitStatusLoggedError:
		// The program has already reported its error to the engine.
		return &pulumirpc.RunResponse{Bail: true}, nil
	case errors.As(err, &exit):
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("program %s ended: %v", s.options.Program, exit)}, nil
	default:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("start program %s: %v: build it with make build",
			s.options.Program, err)}, nil
	}
}

// environment returns the variables through which an engine passes the parameters of a run to a Go program.
func environment(req *pulumirpc.RunRequest, engine string) ([]string, error) {
	config, err := json.Marshal(req.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("encode the stack's config: %w", err)
	}
	keys, err := json.Marshal(req.GetConfigSecretKeys())
	if err != nil {
		return nil, fmt.Errorf("encode the names of secret config: %w", err)
	}
	variables := []string{
		pulumi.EnvProject + "=" + req.GetProject(),
		pulumi.EnvStack + "=" + req.GetStack(),
		pulumi.EnvOrganization + "=" + req.GetOrganization(),
		pulumi.EnvConfig + "=" + string(config),
		pulumi.EnvConfigSecretKeys + "=" + string(keys),
		pulumi.EnvDryRun + "=" + strconv.FormatBool(req.GetDryRun()),
		pulumi.EnvParallel + "=" + strconv.Itoa(int(req.GetParallel())),
		pulumi.EnvMonitor + "=" + req.GetMonitorAddress(),
		pulumi.EnvEngine + "=" + engine,
	}
	if root := req.GetInfo().GetRootDirectory(); root != "" {
		variables = append(variables, pulumi.EnvPulumiRootDirectory+"="+root)
	}
	return variables, nil
}

// inherited removes variables that belong to another engine run (PULUMI_*).
func inherited(environ []string) []string {
	kept := make([]string, 0, len(environ))
	for _, variable := range environ {
		if !strings.HasPrefix(variable, "PULUMI_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// lines forwards the output of a program to the engine line by line.
type lines struct {
	*io.PipeWriter
	done chan struct{}
}

func forward(ctx context.Context, engine string) (*lines, error) {
	host, err := provider.NewHostClient(engine)
	if err != nil {
		return nil, fmt.Errorf("connect to the Pulumi engine at %s: %w", engine, err)
	}
	reader, writer := io.Pipe()
	output := &lines{PipeWriter: writer, done: make(chan struct{})}
	// Forward the messages of a program that is being stopped, too.
	ctx = context.WithoutCancel(ctx)
	go func() {
		defer close(output.done)
		defer func() { _ = host.Close() }()
		buffered := bufio.NewReader(reader)
		for {
			line, err := buffered.ReadString('\n')
			if line != "" {
				_ = host.Log(ctx, diag.Info, "", strings.TrimRight(line, "\n"))
			}
			if err != nil {
				return
			}
		}
	}()
	return output, nil
}

// close returns after all output has been forwarded.
func (l *lines) close() {
	_ = l.Close()
	<-l.done
}
