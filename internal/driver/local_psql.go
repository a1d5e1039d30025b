package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/config"
	"dbtier/internal/kubectl"
	"dbtier/internal/project"
	"dbtier/internal/verify"
)

func (a *app) localPsql() *cobra.Command {
	return passOn(&cobra.Command{
		Use:   "psql [--stack <stack>] [--] <arguments of psql>",
		Short: "Run psql in a service pod, through the pool",
		Long: `Runs psql in a pod of the service with the login of the pod's DATABASE_URL, and so through PgBouncer. The
server connection is in session mode and not one of the service's, so that SET, locks and temporary tables
work and do not reach the service. If the service's image has no psql, it runs in a temporary pod that has
the service's settings and the pool's image, and ends with psql. The stack is the project's only local one,
or the one named local, unless the first argument is --stack. Every other argument goes to psql; input can
come from a pipe.`,
		Example: `  dbtier local psql
  dbtier local psql -c 'select version()'
  dbtier local psql --stack orders < report.sql`,
	}, false, a.runLocalPsql)
}

func (a *app) runLocalPsql(ctx context.Context, args []string) error {
	stack := ""
	if len(args) >= 2 && args[0] == "--stack" {
		stack, args = args[1], args[2:]
	} else if len(args) >= 1 && strings.HasPrefix(args[0], "--stack=") {
		stack, args = strings.TrimPrefix(args[0], "--stack="), args[1:]
	}
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
	outputs, err := a.newTask(&stackFlags{}, target{cloud.Project, s}, a.report).readOutputs(ctx)
	if err != nil {
		return err
	}
	t, err := verify.FromOutputs(stack, outputs)
	if err != nil {
		return err
	}
	if t.SessionDatabase == "" {
		return fmt.Errorf("stack %s lacks the output %s: bring it up again with `dbtier up --stack %s`", stack,
			config.OutputPoolSessionDatabase, stack)
	}
	verifier := verify.Verifier{
		Target:  t,
		Kubectl: &kubectl.Client{Command: cloud.Kubectl(), Kubeconfig: state.Kubeconfig},
	}
	where, container, remove, err := verifier.PsqlPod(ctx, psqlLasts)
	if err != nil {
		return fmt.Errorf("psql in a pod of %s: %w", t.Deployment, err)
	}
	command := append(cloud.Kubectl(), "exec", "--namespace="+t.Namespace, "--stdin")
	if a.asks {
		command = append(command, "--tty")
	}
	// The shell in the pod expands the URL, so it is not in kubectl's arguments.
	command = append(command, where, "--container="+container, "--", "sh", "-c",
		`exec psql "$DATABASE_URL&dbname=`+t.SessionDatabase+`" "$@"`, "psql")
	command = append(command, withoutDashes(args)...)
	if remove == nil {
		if err := a.become(command, []string{"KUBECONFIG=" + state.Kubeconfig}); err != nil {
			return fmt.Errorf("psql in a pod of %s: %w", t.Deployment, err)
		}
		return nil
	}
	defer remove(ctx)
	return a.runPsql(ctx, command, state.Kubeconfig)
}

// psqlLasts is how long psql can run in a temporary pod.
const psqlLasts = 8 * time.Hour

// runPsql runs a command and ends as it ends.
func (a *app) runPsql(ctx context.Context, command []string, kubeconfig string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &codedError{error: err, code: exit.ExitCode(), silent: true}
	}
	return err
}

// onlyLocal returns the local stack to use if none is given.
func onlyLocal(p *project.Project) (string, error) {
	switch stacks := p.LocalStacks(); {
	case len(stacks) == 1:
		return stacks[0], nil
	case slices.Contains(stacks, string(config.Local)):
		return string(config.Local), nil
	case len(stacks) == 0:
		return "", errors.New("this project has no stack on the local cloud")
	default:
		return "", fmt.Errorf(
			"no stack given: add --stack <name> as the first argument; the stacks on the local cloud "+
				"are %s", strings.Join(stacks, ", "))
	}
}
