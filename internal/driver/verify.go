package driver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/kubectl"
	"dbtier/internal/localcloud"
	"dbtier/internal/project"
	"dbtier/internal/verify"
)

func (a *app) verify() *cobra.Command {
	var f stackFlags
	var kubeconfig, kubecontext string
	cmd := &cobra.Command{
		Use:   "verify --stack <stack>",
		Short: "Check a stack that is up, from inside its cluster",
		Long: `Checks a stack that is up, from where its users stand:

  - the Secret holds a DATABASE_URL that logs in, tried from a service pod
  - SELECT version() from a service pod
  - SHOW POOLS on PgBouncer's console
  - every ExternalSecret is Ready, and was refreshed within twice its interval
  - the ServiceAccount's token is exchanged for its IAM role; another ServiceAccount's, and one for another audience, are denied

It needs kubectl (the local cloud brings its own) and for stacks on AWS a kubeconfig whose user may get Secrets and ExternalSecrets,
exec into pods and create tokens. It changes nothing and prints no secret; where the service's image has no psql it asks from a
short-lived pod like the service's, with the pool's image. It exits with 1 when a check fails; each failure names its cause and
the next command to run.`,
		Example: `  dbtier verify --stack local
  dbtier verify --stack prod --context shop-prod
  dbtier verify --stack prod --json | jq '.checks[] | select(.ok | not)'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.onStacks(cmd, &f, func(ctx context.Context, t *task) error {
				return t.check(ctx, kubeconfig, kubecontext)
			})
		},
	}
	f.add(cmd, a, onSeveral)
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "",
		"kubeconfig of the stack's cluster (default: dbtier:cluster of its config, else kubectl's own choice)")
	cmd.Flags().StringVar(&kubecontext, "context", "", "context of the kubeconfig")
	return cmd
}

func (t *task) check(ctx context.Context, kubeconfig, kubecontext string) error {
	started := time.Now()
	kubeconfig, kubecontext = clusterOf(t.target, kubeconfig, kubecontext)
	client, sts, err := t.cluster(ctx, t.target, kubeconfig, kubecontext)
	if err != nil {
		return err
	}
	outputs, err := t.readOutputs(ctx)
	if err != nil {
		return err
	}
	tier, err := verify.FromOutputs(t.stack.Name, outputs)
	if err != nil {
		return err
	}
	if sts != "" {
		tier.STS = sts
	}
	tier.Kubectl = person(t.target, kubeconfig, kubecontext)
	checks := (&verify.Verifier{Target: tier, Kubectl: client}).Run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.report.Checks = checks
	t.printChecks(checks, time.Since(started))
	if !verify.OK(checks) {
		return localcloud.ErrSaid
	}
	return nil
}

// clusterOf fills in the kubeconfig and context that the stack's config names, as the program uses them.
func clusterOf(t target, kubeconfig, kubecontext string) (file, name string) {
	section, _ := t.stack.Config["dbtier:cluster"].(map[string]any)
	if named, ok := section["kubeconfig"].(string); ok && kubeconfig == "" && named != "" {
		kubeconfig = named
		if !filepath.IsAbs(kubeconfig) {
			kubeconfig = filepath.Join(t.project.Dir, kubeconfig)
		}
	}
	if named, ok := section["context"].(string); ok && kubecontext == "" {
		kubecontext = named
	}
	return kubeconfig, kubecontext
}

// cluster is a kubectl for the stack's cluster, and the STS endpoint where it is not AWS's own.
func (a *app) cluster(ctx context.Context, t target, kubeconfig, kubecontext string) (*kubectl.Client, string, error) {
	if t.stack.Cloud == project.Local {
		cloud, err := a.cloud(t.project)
		if err != nil {
			return nil, "", err
		}
		state, err := cloud.Ready(ctx)
		if err != nil {
			return nil, "", err
		}
		return &kubectl.Client{Command: cloud.Kubectl(), Kubeconfig: state.Kubeconfig}, state.AWSEndpoint, nil
	}
	if err := a.checkShell(ctx, t.project); err != nil {
		return nil, "", err
	}
	client := &kubectl.Client{}
	if command := strings.Fields(os.Getenv("KUBECTL")); len(command) > 0 {
		client.Command = command
	} else {
		found, err := kubectl.OnPath()
		if err != nil {
			return nil, "", err
		}
		client = found
	}
	client.Kubeconfig, client.Context = kubeconfig, kubecontext
	return client, "", nil
}

// person is how a person would run kubectl on the stack's cluster.
func person(t target, kubeconfig, kubecontext string) string {
	if t.stack.Cloud == project.Local {
		return "bin/dbtier local kubectl"
	}
	words := "kubectl"
	if kubeconfig != "" {
		words += " --kubeconfig=" + kubeconfig
	}
	if kubecontext != "" {
		words += " --context=" + kubecontext
	}
	return words
}

func (t *task) printChecks(checks []verify.Check, took time.Duration) {
	verify.Table(t.out, checks)
	failed := 0
	for _, c := range checks {
		if !c.OK {
			failed++
		}
	}
	if failed == 0 {
		t.say("stack %s: all %d checks passed, %.1fs", t.stack.Name, len(checks), took.Seconds())
		return
	}
	t.say("stack %s: %d of %d checks failed, %.1fs", t.stack.Name, failed, len(checks), took.Seconds())
}
