package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"dbtier/localcloud/internal/artifacts"
	"dbtier/localcloud/internal/cluster"
	"dbtier/localcloud/internal/providers"
)

// Main runs the command line and returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	root := command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintf(stderr, "localcloud: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return 1
	}
	return 0
}

// version is set by the linker.
var version = "development"

func command() *cobra.Command {
	var dir string
	root := &cobra.Command{
		Use:   "localcloud",
		Short: "Kubernetes and a stand-in for AWS on one Linux machine",
		Long: `localcloud runs a one-node Kubernetes cluster, PostgreSQL databases and a stand-in for AWS in separate
Linux namespaces on one machine. It keeps its files in .localcloud in the project folder and changes nothing else on
the host.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.PersistentFlags().StringVar(&dir, "dir", "",
		"project folder (default: the nearest parent folder with a Pulumi.yaml)")
	in := func(do action) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, args []string) error {
			project, err := cluster.FindProject(dir)
			if err != nil {
				return err
			}
			return do(c.Context(), project, args, c.OutOrStdout())
		}
	}
	root.AddCommand(buildCommand(in), imageCommand(in), startCommand(in), stopCommand(in), statusCommand(in),
		loadCommand(in), logsCommand(in), faultCommand(in), initCommand(in), superviseCommand(in),
		providers.Command(), versionCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

// action is the work of a command in a project.
type action = func(ctx context.Context, p cluster.Project, args []string, out io.Writer) error

// wrapper returns the RunE of a command: it finds the project and calls the action.
type wrapper = func(action) func(*cobra.Command, []string) error

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of localcloud",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "localcloud %s (%s)\n", version, runtime.Version())
			return err
		},
	}
}

func buildCommand(in wrapper) *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Build what the local cloud runs: third-party programs, images, charts",
		Args:  cobra.NoArgs,
		RunE: in(func(ctx context.Context, p cluster.Project, _ []string, out io.Writer) error {
			return cluster.Build(ctx, p, out)
		}),
	}
}

func imageCommand(in wrapper) *cobra.Command {
	image := &cobra.Command{
		Use:   "image",
		Short: "Export an image, or update the packages that images are made of",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var output string
	export := &cobra.Command{
		Use:       "export <pool|load> --output <file>",
		Short:     "Write an image to a file, as an OCI archive for amd64 and arm64",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: artifacts.Exports(),
		RunE: in(func(ctx context.Context, p cluster.Project, args []string, out io.Writer) error {
			ref, err := artifacts.New(p.Dir, out).Export(ctx, args[0], output)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(out, "%s: %s\n", output, ref)
			return err
		}),
	}
	export.Flags().StringVar(&output, "output", "", "the file to write")
	_ = export.MarkFlagRequired("output")
	lock := &cobra.Command{
		Use:   "lock",
		Short: "Lock the versions of Debian packages that Debian has today, in images/*/*.lock",
		Args:  cobra.NoArgs,
		RunE: in(func(ctx context.Context, p cluster.Project, _ []string, out io.Writer) error {
			return artifacts.New(p.Dir, out).LockAll(ctx)
		}),
	}
	image.AddCommand(export, lock)
	return image
}

func startOptions(c *cobra.Command) *cluster.StartOptions {
	var options cluster.StartOptions
	c.Flags().IntVar(&options.APIPort, "api-port", cluster.DefaultAPIPort,
		"port of the Kubernetes API server on 127.0.0.1")
	c.Flags().IntVar(&options.AWSPort, "aws-port", cluster.DefaultAWSPort, "port of the AWS stand-in on 127.0.0.1")
	c.Flags().StringVar(&options.Latency, "latency", "", "how long operations on databases take: "+cluster.LatencyOff+
		" (default), or "+cluster.LatencyAWS+" for minutes as on AWS")
	return &options
}

func startCommand(in wrapper) *cobra.Command {
	c := &cobra.Command{
		Use:   "start",
		Short: "Start the local cloud: build what is missing and wait until everything is ready",
		Args:  cobra.NoArgs,
	}
	options := startOptions(c)
	c.RunE = in(func(ctx context.Context, p cluster.Project, _ []string, out io.Writer) error {
		return cluster.Start(ctx, p, *options, out)
	})
	return c
}

func stopCommand(in wrapper) *cobra.Command {
	var purge bool
	c := &cobra.Command{
		Use:   "stop",
		Short: "Stop the local cloud and keep its state for the next start",
		Args:  cobra.NoArgs,
		RunE: in(func(ctx context.Context, p cluster.Project, _ []string, out io.Writer) error {
			return cluster.Stop(ctx, p, purge, out)
		}),
	}
	c.Flags().BoolVar(&purge, "purge", false,
		"also remove the state: databases, secrets, the cluster (build results stay)")
	return c
}

func statusCommand(in wrapper) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show whether the local cloud is running, and its components (exit code 1 if it is not)",
		Args:  cobra.NoArgs,
		RunE: in(func(ctx context.Context, p cluster.Project, _ []string, out io.Writer) error {
			return cluster.Show(ctx, p, asJSON, out)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func loadCommand(in wrapper) *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "load <archive>",
		Short: "Import the images of an archive, as from docker save, into the node",
		Args:  cobra.ExactArgs(1),
		RunE: in(func(ctx context.Context, p cluster.Project, args []string, out io.Writer) error {
			return cluster.Load(ctx, p, args[0], name, out)
		}),
	}
	c.Flags().StringVar(&name, "name", "", "name and tag of the image, if the archive holds only one")
	return c
}

func logsCommand(in wrapper) *cobra.Command {
	var follow bool
	c := &cobra.Command{
		Use:       "logs [component]",
		Short:     "Print the log of the local cloud or of one component: " + strings.Join(cluster.Components(), ", "),
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: cluster.Components(),
		RunE: in(func(ctx context.Context, p cluster.Project, args []string, out io.Writer) error {
			return cluster.Logs(ctx, p, strings.Join(args, ""), follow, out)
		}),
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "keep printing new lines")
	return c
}

func faultCommand(in wrapper) *cobra.Command {
	fault := &cobra.Command{
		Use:   "fault",
		Short: "Cause a fault of AWS or of the cluster, or end all faults",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	// add adds a kind of fault, with the use of its argument.
	add := func(kind, argument, short string, args cobra.PositionalArgs) {
		fault.AddCommand(&cobra.Command{
			Use:   strings.TrimSpace(kind + " " + argument),
			Short: short,
			Args:  args,
			RunE: in(func(ctx context.Context, p cluster.Project, args []string, out io.Writer) error {
				return cluster.Fail(ctx, p, cluster.Fault{Kind: kind, Of: strings.Join(args, "")}, out)
			}),
		})
	}
	instance := cobra.MaximumNArgs(1)
	add("zone", "<a|b|c>", "Make an availability zone stop answering", cobra.ExactArgs(1))
	add("service", "<name>", "Make the API of an AWS service answer \"503 ServiceUnavailable\"", cobra.ExactArgs(1))
	add("storage-full", "[instance]", "Fill the disk of a DB instance", instance)
	add("incompatible-parameters", "[instance]", "Keep a DB instance from starting with its parameters", instance)
	add("rotation", "[instance]", "Make the rotations of a DB instance's master password fail", instance)
	add(cluster.FaultAPIServer, "", "Make the Kubernetes API server stop answering", cobra.NoArgs)
	add(cluster.FaultNetwork, "", "Drop all packets between pods and databases", cobra.NoArgs)
	fault.AddCommand(&cobra.Command{
		Use:   "end",
		Short: "End all faults",
		Args:  cobra.NoArgs,
		RunE: in(func(ctx context.Context, p cluster.Project, _ []string, out io.Writer) error {
			return cluster.EndFaults(ctx, p, out)
		}),
	})
	return fault
}

func initCommand(in wrapper) *cobra.Command {
	c := &cobra.Command{Use: "init", Short: "Run as PID 1 of the namespaces", Hidden: true, Args: cobra.NoArgs}
	options := startOptions(c)
	c.RunE = in(func(_ context.Context, p cluster.Project, _ []string, _ io.Writer) error {
		return cluster.Init(p, *options)
	})
	return c
}

func superviseCommand(in wrapper) *cobra.Command {
	c := &cobra.Command{
		Use: "supervise", Short: "Run everything inside the namespaces", Hidden: true,
		Args: cobra.NoArgs,
	}
	options := startOptions(c)
	c.RunE = in(func(ctx context.Context, p cluster.Project, _ []string, _ io.Writer) error {
		if os.Getppid() != 1 {
			return errors.New("supervise must be started by `localcloud init`: use `localcloud start`")
		}
		return cluster.Supervise(ctx, p, *options, os.NewFile(3, "API"), os.NewFile(4, "AWS"))
	})
	return c
}
