package providers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"dbtier/localcloud/internal/artifacts"
	"dbtier/localcloud/internal/awsprovider"
	"dbtier/localcloud/internal/cluster"
	"dbtier/localcloud/internal/kubeprovider"
	"dbtier/localcloud/internal/langhost"
)

// Options configure the servers.
type Options struct {
	// Project is the project folder. Relative paths of the program start there, and its cloud.json contains the address
	// of the AWS stand-in.
	Project string
	// Offline serves previews that work without a cloud.
	Offline bool
	// Program is the compiled program that the language host starts. If empty, no language host is served.
	Program string
	// Chart is the operator's chart on this machine. Offline previews render it instead of downloading one.
	Chart string
	// AWSPort and KubernetesPort are ports on 127.0.0.1. 0 selects a free port.
	AWSPort, KubernetesPort int
}

// Ports are the ports on which the servers listen. The command prints them as JSON.
type Ports struct {
	AWS        int `json:"aws"`
	Kubernetes int `json:"kubernetes"`
	Language   int `json:"language,omitempty"`
}

// Command returns the command `localcloud providers`.
func Command() *cobra.Command {
	var options Options
	var language bool
	command := &cobra.Command{
		Use:   "providers",
		Short: "Serve the Pulumi providers of the local cloud until stdin closes",
		Long: `providers serves the Pulumi providers aws and kubernetes on 127.0.0.1 for one engine run. Once they
listen, it prints their ports as one line of JSON. It ends when stdin closes, when its parent process ends, or on
SIGTERM.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := c.Flags().GetString("dir")
			if err != nil {
				dir = ""
			}
			project, err := cluster.FindProject(dir)
			if err != nil {
				return err
			}
			options.Project = project.Dir
			options.Chart = artifacts.Paths(project.Dir).Chart
			if options.Offline {
				// A fresh clone has no chart yet. Without the chart, a preview shows less than half of the operator.
				if err := artifacts.New(project.Dir, c.ErrOrStderr()).BuildChart(c.Context()); err != nil {
					return err
				}
			}
			if language {
				if options.Program, err = beside("dbtier"); err != nil {
					return err
				}
			}
			return Serve(c.Context(), options, c.InOrStdin(), c.OutOrStdout())
		},
	}
	command.Flags().BoolVar(&options.Offline, "offline", false, "serve previews that work without a cloud")
	command.Flags().BoolVar(&language, "language", false,
		"also serve a Go language host that runs dbtier from the folder of this program")
	command.Flags().IntVar(&options.AWSPort, "aws-port", 0, "port of the aws provider (0: a free port)")
	command.Flags().IntVar(&options.KubernetesPort, "kubernetes-port", 0,
		"port of the kubernetes provider (0: a free port)")
	return command
}

// beside returns the path of a program in the same folder as this one.
func beside(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("--language: %s does not exist: build it with make build", path)
	}
	return path, nil
}

// Serve runs the servers until ctx ends, stdin closes or the parent process ends. Once all of them listen, it writes
// the ports to stdout as one line of JSON.
func Serve(ctx context.Context, options Options, stdin io.Reader, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	kubernetes, err := kubeprovider.New(kubeprovider.Options{
		Offline: options.Offline, Dir: options.Project, Chart: options.Chart,
	})
	if err != nil {
		return err
	}
	aws, err := newAWS(options)
	if err != nil {
		return err
	}
	servers := &servers{}
	defer servers.stop()
	var ports Ports
	if ports.Kubernetes, err = servers.serve("kubernetes provider", options.KubernetesPort, kubernetes,
		func(server *grpc.Server) {
			pulumirpc.RegisterResourceProviderServer(server, kubernetes)
		}); err != nil {
		return err
	}
	if ports.AWS, err = servers.serve("aws provider", options.AWSPort, aws, func(server *grpc.Server) {
		pulumirpc.RegisterResourceProviderServer(server, aws)
	}); err != nil {
		return err
	}
	if options.Program != "" {
		language := langhost.New(langhost.Options{Program: options.Program})
		if ports.Language, err = servers.serve("language host", 0, language, func(server *grpc.Server) {
			pulumirpc.RegisterLanguageRuntimeServer(server, language)
		}); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(stdout).Encode(ports); err != nil {
		return fmt.Errorf("print the ports: %w", err)
	}
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, stdin)
	}()
	go func() {
		if parentEnded(ctx) {
			cancel()
		}
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-servers.failed():
		return err
	}
}

// newAWS returns the aws provider for the project's local cloud.
func newAWS(options Options) (pulumirpc.ResourceProviderServer, error) {
	given := awsprovider.Options{Offline: options.Offline}
	if !options.Offline {
		project := cluster.Project{Dir: options.Project}
		given.ControlSocket = project.RunDir("control.sock")
		content, err := os.ReadFile(project.State("cloud.json"))
		if errors.Is(err, os.ErrNotExist) {
			return nil, errors.New(
				"the local cloud is not running: start it with `dbtier local start`, or preview with --offline",
			)
		}
		if err != nil {
			return nil, fmt.Errorf("read the address of the local cloud: %w", err)
		}
		var cloud cluster.Cloud
		if err := json.Unmarshal(content, &cloud); err != nil {
			return nil, fmt.Errorf("%s is damaged (%w): stop and start the local cloud", project.State("cloud.json"),
				err)
		}
		given.Endpoint = cloud.AWSEndpoint
	}
	return awsprovider.New(given)
}

// cancellable is implemented by every server here. Cancel ends its running requests.
type cancellable interface {
	Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error)
}

// servers holds the gRPC servers of one process.
type servers struct {
	stops []func()
	ended []<-chan error
}

func (s *servers) serve(name string, port int, server cancellable, register func(*grpc.Server)) (int, error) {
	stop := make(chan bool)
	var serving *grpc.Server
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Port:   port,
		Cancel: stop,
		Init: func(grpcServer *grpc.Server) error {
			serving = grpcServer
			register(grpcServer)
			return nil
		},
	})
	if err != nil {
		return 0, fmt.Errorf("%s: %w: choose another port, or 0 for a free one", name, err)
	}
	s.ended = append(s.ended, handle.Done)
	s.stops = append(s.stops, func() {
		// Cancel ends running waits. A request that does not end in time is cut off, because the driver waits for this
		// process.
		_, _ = server.Cancel(context.Background(), &emptypb.Empty{})
		close(stop)
		timer := time.AfterFunc(3*time.Second, serving.Stop)
		defer timer.Stop()
		for range handle.Done { // The error of a server that was stopped does not matter.
		}
	})
	return handle.Port, nil
}

func (s *servers) stop() {
	var all sync.WaitGroup
	for _, stop := range s.stops {
		all.Go(stop)
	}
	all.Wait()
}

// failed returns a channel that receives the error of a server that ends unexpectedly.
func (s *servers) failed() <-chan error {
	first := make(chan error, len(s.ended))
	for _, ended := range s.ended {
		go func() {
			if err := <-ended; err != nil {
				first <- err
			}
		}()
	}
	return first
}
