package driver

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/localcloud"
	"dbtier/internal/project"
)

func (a *app) local() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run and inspect the local cloud",
		Long: `Runs and inspects the local cloud of this project: a real Kubernetes, External Secrets Operator,
PgBouncer and PostgreSQL in their own namespaces, and a stand-in for AWS. All files are below
.localcloud/ in the project. It needs Linux and root.`,
		Example: `  dbtier local start
  dbtier local kubectl get pods -A
  dbtier local psql -c 'select version()'
  dbtier local aws rds describe-db-instances
  dbtier local fault zone a
  eval "$(dbtier local env)"; pulumi up --stack local
  dbtier local stop --purge`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(a.localStart(), a.localStop(), a.localStatus(), a.localLoad(), a.localLogs(), a.localFault(),
		a.localKubeconfig(), a.localKubectl(), a.localAWS(), a.localPsql(), a.localEnv())
	return cmd
}

// cloud returns the local cloud of the project.
func (a *app) cloud(p *project.Project) (*localcloud.Cloud, error) {
	if a.system != "linux" {
		return nil, fmt.Errorf(
			"the local cloud needs Linux and this is %s: use a Linux machine or VM; offline previews "+
				"work everywhere", a.system)
	}
	binary, err := localcloud.FindBinary(a.beside)
	if err != nil {
		return nil, err
	}
	return &localcloud.Cloud{Project: p, Binary: binary}, nil
}

// here returns the local cloud of the current folder's project.
func (a *app) here() (*localcloud.Cloud, error) {
	p, err := a.findProject()
	if err != nil {
		return nil, err
	}
	return a.cloud(p)
}

// running returns the local cloud, and an error if it is not running.
func (a *app) running(ctx context.Context) (*localcloud.Cloud, *localcloud.State, error) {
	cloud, err := a.here()
	if err != nil {
		return nil, nil, err
	}
	state, err := cloud.Ready(ctx)
	return cloud, state, err
}

// passOn makes a command pass all its arguments to another program. The command's own help stays available, and is
// shown if the program needs arguments and there are none.
func passOn(
	cmd *cobra.Command, needsArguments bool, program func(ctx context.Context, args []string) error,
) *cobra.Command {
	cmd.DisableFlagParsing = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 && needsArguments || len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
			return cmd.Help()
		}
		return program(cmd.Context(), args)
	}
	return cmd
}

// withoutDashes drops a leading "--".
func withoutDashes(args []string) []string {
	if len(args) > 0 && args[0] == "--" {
		return args[1:]
	}
	return args
}

// become replaces this process by another program, which then has its terminal, signals and exit code. The variables in
// set replace those of the environment; variables with a prefix of drop are removed.
func (a *app) become(command, set []string, drop ...string) error {
	if err := a.replace(command[0], command, merged(os.Environ(), set, drop...)); err != nil {
		return fmt.Errorf("starting %s: %w", command[0], err)
	}
	return nil
}

// merged returns an environment with the variables in set, and without those with a prefix of drop.
func merged(environment, set []string, drop ...string) []string {
	var env []string
	for _, entry := range environment {
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
	return append(env, set...)
}

// defaultRegion is used if no local stack's config has a region. The stand-in serves every region.
const defaultRegion = "ap-northeast-2"

// regionOf returns the AWS region of the project's first local stack that has one.
func regionOf(p *project.Project) string {
	for _, name := range p.LocalStacks() {
		s, err := p.Stack(name)
		if err != nil {
			continue
		}
		if stack, _ := s.Config(); stack.AWS.Region != "" {
			return stack.AWS.Region
		}
	}
	return defaultRegion
}
