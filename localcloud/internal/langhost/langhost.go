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

// Options of a language host.
type Options struct {
	// Program is the path of the compiled program, which every run starts.
	Program string
}

// Server is the language host; make it with [New].
type Server struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	options Options

	mutex  sync.Mutex
	engine string
	// running are the programs that run, to be ended by Cancel.
	running map[context.Context]context.CancelFunc
}

// New makes a language host; serve it with pulumirpc.RegisterLanguageRuntimeServer.
func New(options Options) *Server {
	return &Server{options: options, running: map[context.Context]context.CancelFunc{}}
}

// Handshake keeps the address of the engine, which a run's request does not carry.
func (s *Server) Handshake(
	_ context.Context, req *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.engine = req.GetEngineAddress()
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

// GetPluginInfo answers without a version: there is no release to name.
func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{}, nil
}

// GetRequiredPackages names none, so the engine fetches none: the providers are attached.
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

// InstallDependencies has nothing to install: the program is compiled.
func (s *Server) InstallDependencies(
	*pulumirpc.InstallDependenciesRequest, grpc.ServerStreamingServer[pulumirpc.InstallDependenciesResponse],
) error {
	return nil
}

// About names the program that runs.
func (s *Server) About(context.Context, *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	return &pulumirpc.AboutResponse{Executable: s.options.Program}, nil
}

// GetProgramDependencies does not look into the binary.
func (s *Server) GetProgramDependencies(
	context.Context, *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	return &pulumirpc.GetProgramDependenciesResponse{}, nil
}

// RuntimeOptionsPrompts asks nothing.
func (s *Server) RuntimeOptionsPrompts(
	context.Context, *pulumirpc.RuntimeOptionsRequest,
) (*pulumirpc.RuntimeOptionsResponse, error) {
	return &pulumirpc.RuntimeOptionsResponse{}, nil
}

// Cancel ends the programs that run.
func (s *Server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, cancel := range s.running {
		cancel()
	}
	return &emptypb.Empty{}, nil
}

// Run starts the program with what the engine passes to it, shows what it prints, and waits for its end.
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
	// The engine asked for the end; the program gets the chance to end by itself.
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
		// The program has told the engine what went wrong.
		return &pulumirpc.RunResponse{Bail: true}, nil
	case errors.As(err, &exit):
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("program %s ended: %v", s.options.Program, exit)}, nil
	default:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("start program %s: %v: build it with make build",
			s.options.Program, err)}, nil
	}
}

// environment is how an engine tells a Go program what it is run for.
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

// inherited leaves out of an environment what is for another engine run.
func inherited(environ []string) []string {
	kept := make([]string, 0, len(environ))
	for _, variable := range environ {
		if !strings.HasPrefix(variable, "PULUMI_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// lines passes what a program prints on to the engine, line by line.
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
	// Messages of a program that is being ended are shown too.
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

// close waits until everything is passed on.
func (l *lines) close() {
	_ = l.Close()
	<-l.done
}
