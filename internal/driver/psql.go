package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/project"
	"dbtier/internal/verify"
)

func (a *app) localPsql() *cobra.Command {
	return &cobra.Command{
		Use:   "psql [--stack <stack>] [--] <arguments of psql>",
		Short: "Run psql in a service pod, through the pool",
		Long: `Runs psql inside a pod of the service with the DATABASE_URL that the pod has, so through PgBouncer, as the service itself connects.
The stack is the project's only one on the local cloud, or local, unless --stack, as the first argument, names another. Every other
argument goes to psql; input may come by a pipe.`,
		Example: `  dbtier local psql
  dbtier local psql -c 'select version()'
  dbtier local psql --stack orders < report.sql`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			stack := ""
			if len(args) == 1 && (args[0] == "-h" || args[0] == "--help") {
				return cmd.Help()
			}
			if len(args) >= 2 && args[0] == "--stack" {
				stack, args = args[1], args[2:]
			} else if len(args) >= 1 && strings.HasPrefix(args[0], "--stack=") {
				stack, args = strings.TrimPrefix(args[0], "--stack="), args[1:]
			}
			if len(args) > 0 && args[0] == "--" {
				args = args[1:]
			}
			return a.psql(cmd.Context(), stack, args)
		},
	}
}

func (a *app) psql(ctx context.Context, stack string, args []string) error {
	cloud, state, err := a.running(ctx)
	if err != nil {
		return err
	}
	if stack == "" {
		if stack, err = onlyLocal(cloud.Project); err != nil {
			return err
		}
	}
	s, err := cloud.Project.Stack(stack)
	if err != nil {
		return err
	}
	outputs, _, err := engine.FileOutputs(cloud.Project, s, engine.Backend(cloud.Project, s, "", os.LookupEnv))
	if err != nil {
		return err
	}
	t, err := verify.FromOutputs(stack, outputs)
	if err != nil {
		return err
	}
	command := append(cloud.Kubectl(), "exec", "--namespace="+t.Namespace, "--stdin")
	if a.asks {
		command = append(command, "--tty")
	}
	command = append(command, "deployment/"+t.Deployment, "--container="+t.Container, "--", "sh", "-c",
		// The URL is expanded inside the pod: it is in no argument of kubectl.
		`exec psql "$DATABASE_URL" "$@"`, "psql")
	if err := a.become(append(command, args...), []string{"KUBECONFIG=" + state.Kubeconfig}); err != nil {
		return fmt.Errorf("psql in a pod of %s: %w", t.Deployment, err)
	}
	return nil
}

// onlyLocal is the stack that a person means who names none.
func onlyLocal(p *project.Project) (string, error) {
	switch stacks := p.LocalStacks(); {
	case len(stacks) == 1:
		return stacks[0], nil
	case slices.Contains(stacks, string(project.Local)):
		return string(project.Local), nil
	case len(stacks) == 0:
		return "", errors.New("this project has no stack on the local cloud")
	default:
		return "", fmt.Errorf("no stack given: add --stack <name> as the first argument; on the local cloud are %s",
			strings.Join(stacks, ", "))
	}
}
