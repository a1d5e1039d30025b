package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/localcloud"
	"dbtier/internal/project"
	"dbtier/internal/pulumicli"
)

// defaultRegion is used where no local stack's config names one; the stand-in serves any.
const defaultRegion = "ap-northeast-2"

func (a *app) local() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run the local cloud and look into it",
		Long: `Runs the local cloud of this project and looks into it: real Kubernetes, External Secrets Operator, PgBouncer and PostgreSQL in
namespaces of their own, and a stand-in for AWS. Everything is kept below .localcloud/ in the project. Needs Linux and root.`,
		Example: `  dbtier local start
  dbtier local kubectl get pods -A
  dbtier local psql -c 'select version()'
  dbtier local aws rds describe-db-instances
  eval "$(dbtier local env)"; pulumi up --stack local
  dbtier local stop --purge`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.localStart(), a.localStop(), a.localStatus(), a.localLogs(), a.localKubeconfig(),
		a.localKubectl(), a.localAWS(), a.localPsql(), a.localEnv())
	return cmd
}

// here is the local cloud of the folder's project.
func (a *app) here() (*localcloud.Cloud, error) {
	p, err := a.findProject()
	if err != nil {
		return nil, err
	}
	return a.cloud(p)
}

// running is the local cloud, which must run.
func (a *app) running(ctx context.Context) (*localcloud.Cloud, *localcloud.State, error) {
	cloud, err := a.here()
	if err != nil {
		return nil, nil, err
	}
	state, err := cloud.Ready(ctx)
	return cloud, state, err
}

func (a *app) localStart() *cobra.Command {
	var apiPort, awsPort int
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the local cloud; builds what is missing",
		Long: `Starts the local cloud and waits until it is ready. What it needs and has not, it builds first: Kubernetes, etcd, CoreDNS,
the operator, images. That takes a while once and is kept in .localcloud/cache. A cloud that runs already is left alone.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := a.here()
			if err != nil {
				return err
			}
			args := []string{"start"}
			if cmd.Flags().Changed("api-port") {
				args = append(args, fmt.Sprintf("--api-port=%d", apiPort))
			}
			if cmd.Flags().Changed("aws-port") {
				args = append(args, fmt.Sprintf("--aws-port=%d", awsPort))
			}
			return cloud.Run(cmd.Context(), a.stdout, a.stderr, args...)
		},
	}
	cmd.Flags().IntVar(&apiPort, "api-port", 16443, "port of the Kubernetes API on 127.0.0.1")
	cmd.Flags().IntVar(&awsPort, "aws-port", 14566,
		"port of the AWS stand-in on 127.0.0.1; Pulumi.local.yaml names the same")
	return cmd
}

func (a *app) localStop() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the local cloud; its state survives",
		Long: `Stops the local cloud and leaves no process, mount, interface or cgroup behind. Its state survives and the next start goes on
from it. With --purge the state is forgotten: the cluster, the databases, the AWS account and the Pulumi state of local
stacks; what was built stays.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := a.here()
			if err != nil {
				return err
			}
			var args []string
			if purge {
				args = append(args, "--purge")
			}
			return cloud.Stop(cmd.Context(), a.stdout, a.stderr, args...)
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "forget the state as well")
	return cmd
}

func (a *app) localStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether the local cloud runs, and where",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := a.here()
			if err != nil {
				return err
			}
			if !a.asJSON {
				return cloud.Run(cmd.Context(), a.stdout, a.stderr, "status")
			}
			var said bytes.Buffer
			err = cloud.Run(cmd.Context(), &said, a.stderr, "status", "--json")
			if json.Valid(said.Bytes()) {
				a.report.LocalCloud = said.Bytes()
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print JSON, see docs/driver.md")
	return cmd
}

func (a *app) localLogs() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [component]",
		Short: "Show the logs of the local cloud's parts",
		Long: "Shows the logs of the local cloud's own parts, such as etcd, kube-apiserver or kubelet. For pods: " +
			"dbtier local kubectl logs …",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cloud, err := a.here()
			if err != nil {
				return err
			}
			args = append([]string{"logs"}, args...)
			if follow {
				args = append(args, "--follow")
			}
			return cloud.Run(cmd.Context(), a.stdout, a.stderr, args...)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is added")
	return cmd
}

func (a *app) localKubeconfig() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:     "kubeconfig",
		Short:   "Print the path of the local cluster's kubeconfig",
		Example: `  KUBECONFIG=$(dbtier local kubeconfig) k9s`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, state, err := a.running(cmd.Context())
			if err != nil {
				return err
			}
			if !show {
				_, err := fmt.Fprintln(a.stdout, state.Kubeconfig)
				return err
			}
			text, err := os.ReadFile(state.Kubeconfig)
			if err != nil {
				return fmt.Errorf("reading the kubeconfig: %w", err)
			}
			_, err = a.stdout.Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "print the file itself, which holds the administrator's key")
	return cmd
}

// passedOn are the arguments meant for another program: all of them, without a leading "--". Help is still ours.
func passedOn(cmd *cobra.Command, args []string) (rest []string, helped bool, err error) {
	if len(args) == 0 || len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
		return nil, true, cmd.Help()
	}
	if args[0] == "--" {
		args = args[1:]
	}
	return args, false, nil
}

func (a *app) localKubectl() *cobra.Command {
	return &cobra.Command{
		Use:   "kubectl [--] <arguments of kubectl>",
		Short: "Run kubectl on the local cluster",
		Long:  "Runs the local cloud's own kubectl as its administrator. Every argument goes to kubectl.",
		Example: `  dbtier local kubectl get pods -A
  dbtier local kubectl -n myshop logs deploy/myshop-api -f`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			args, helped, err := passedOn(cmd, args)
			if helped {
				return err
			}
			cloud, state, err := a.running(cmd.Context())
			if err != nil {
				return err
			}
			return a.become(append(cloud.Kubectl(), args...), []string{"KUBECONFIG=" + state.Kubeconfig})
		},
	}
}

func (a *app) localAWS() *cobra.Command {
	return &cobra.Command{
		Use:   "aws [--] <arguments of the AWS CLI>",
		Short: "Run the AWS CLI against the stand-in",
		Long: `Runs the AWS CLI of this machine against the local cloud's stand-in for AWS, as the local account's administrator and with
nothing of your own AWS settings. What the stand-in models is listed in docs/local-aws.md; it refuses the rest.`,
		Example: `  dbtier local aws sts get-caller-identity
  dbtier local aws rds describe-db-instances --query 'DBInstances[].Endpoint'`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			args, helped, err := passedOn(cmd, args)
			if helped {
				return err
			}
			cloud, state, err := a.running(cmd.Context())
			if err != nil {
				return err
			}
			path, err := exec.LookPath("aws")
			if err != nil {
				return errors.New(
					"the AWS CLI is not on PATH: install it (on Debian: apt-get install awscli) and run this again",
				)
			}
			credentials, err := cloud.Credentials()
			if err != nil {
				return err
			}
			region := regionOf(cloud.Project)
			// The flag, because older versions of the AWS CLI do not know AWS_ENDPOINT_URL.
			return a.become(append([]string{path, "--endpoint-url", state.AWSEndpoint}, args...), []string{
				"AWS_ACCESS_KEY_ID=" + credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + credentials.SecretAccessKey,
				"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region, "AWS_CONFIG_FILE=" + os.DevNull,
				"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
			}, "AWS_")
		},
	}
}

// regionOf is the AWS region that the project's first local stack names, wherever it does.
func regionOf(p *project.Project) string {
	for _, name := range p.LocalStacks() {
		s, err := p.Stack(name)
		if err != nil {
			continue
		}
		if region, ok := s.Config["aws:region"].(string); ok && region != "" {
			return region
		}
		if section, ok := s.Config["dbtier:aws"].(map[string]any); ok {
			if region, ok := section["region"].(string); ok && region != "" {
				return region
			}
		}
	}
	return defaultRegion
}

// become replaces this process by another program, with the variables set and those with a dropped prefix taken away.
// Its terminal, signals and exit code are then its own.
func (a *app) become(command, set []string, drop ...string) error {
	env := make([]string, 0, len(os.Environ())+len(set))
	for _, entry := range os.Environ() {
		keep := true
		name, _, _ := strings.Cut(entry, "=")
		for _, prefix := range drop {
			keep = keep && !strings.HasPrefix(name, prefix)
		}
		for _, other := range set {
			replaced, _, _ := strings.Cut(other, "=")
			keep = keep && name != replaced
		}
		if keep {
			env = append(env, entry)
		}
	}
	replace := a.replace
	if replace == nil {
		replace = syscall.Exec
	}
	if err := replace(command[0], command, append(env, set...)); err != nil {
		return fmt.Errorf("starting %s: %w", command[0], err)
	}
	return nil
}

func (a *app) localEnv() *cobra.Command {
	var unset, serve bool
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print shell exports that let plain pulumi, kubectl and aws work on the local cloud",
		Long: `Prints shell exports for eval. With them the plain pulumi CLI, kubectl, and every AWS client that knows AWS_ENDPOINT_URL work on
the local cloud from this machine. It also starts, where they do not run yet, the provider servers that a plain pulumi
attaches to; they end with the cloud. A shell set up this way is refused for stacks on AWS.`,
		Example: `  eval "$(dbtier local env)"
  pulumi up --stack local
  eval "$(dbtier local env --unset)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if unset {
				_, err := fmt.Fprint(a.stdout, localcloud.Unset())
				return err
			}
			cloud, state, err := a.running(ctx)
			if err != nil {
				return err
			}
			if err := cloud.EnsureFolders(); err != nil {
				return err
			}
			if serve {
				return cloud.Keep(ctx, os.Stdout)
			}
			return a.printEnv(ctx, cloud, state)
		},
	}
	cmd.Flags().BoolVar(&unset, "unset", false, "print what takes the exports away again")
	cmd.Flags().BoolVar(&serve, "serve", false, "keep the provider servers (started by env itself)")
	_ = cmd.Flags().MarkHidden("serve")
	return cmd
}

func (a *app) printEnv(ctx context.Context, cloud *localcloud.Cloud, state *localcloud.State) error {
	p := cloud.Project
	passphrase, err := engine.LocalPassphrase(p)
	if err != nil {
		return err
	}
	home := p.Own("home")
	if err := pulumicli.PrepareHome(home); err != nil {
		return err
	}
	ports, err := cloud.Attached(ctx, []string{a.self, "local", "env", "--serve"})
	if err != nil {
		return err
	}
	_, languageErr := exec.LookPath("pulumi-language-go")
	vars, err := cloud.Environment(state, ports, localcloud.EnvironmentOptions{
		Region: regionOf(p), Backend: "file://" + p.LocalCloud("state", "pulumi"), PassphraseFile: passphrase,
		PulumiHome: home,
		Bin:        a.beside, LanguageInstalled: languageErr == nil,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.stdout, localcloud.Export(vars))
	return err
}
