package driver

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"dbtier/internal/localcloud"
	"dbtier/internal/pending"
	"dbtier/internal/verify"
)

func (a *app) verify() *cobra.Command {
	var access clusterAccess
	do := func(t *task, ctx context.Context) error { return t.runVerify(ctx, t.clusterOf(access)) }
	cmd := a.onStacks(&stackFlags{}, do, &cobra.Command{
		Use:   "verify --stack <stack>",
		Short: "Check a running stack from inside its cluster",
		Long: `Checks a running stack as its users see it:

  - the Secret has a DATABASE_URL that logs in from a service pod
  - SELECT version() from a service pod
  - SHOW POOLS on PgBouncer's console
  - the service's server connections keep nothing that a client has set
  - another pod of the namespace reaches neither the database nor the pool
  - every ExternalSecret is Ready and was refreshed within twice its interval
  - PostgreSQL accepts the users of the pool, and no generated password is newer than what uses it
  - the ServiceAccount's token gets its IAM role; another ServiceAccount's token, and a token for another audience, are
    denied

It needs kubectl (the local cloud brings its own), and for stacks on AWS a kubeconfig whose user can get
Secrets and ExternalSecrets, exec into pods and create tokens. It changes nothing and prints no secret.
If the service's image has no psql, it queries from a temporary pod that has the service's settings and
the pool's image.

Exit codes: 0, or 1 if a check fails. Each failure names its cause and the next command to run.`,
		Example: `  dbtier verify --stack local
  dbtier verify --stack prod --context shop-prod
  dbtier verify --stack prod --json | jq '.checks[] | select(.ok | not)'`,
	}, onSeveral)
	access.add(cmd)
	return cmd
}

func (t *task) runVerify(ctx context.Context, access clusterAccess) error {
	started := time.Now()
	client, sts, err := t.cluster(ctx, access)
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
	tier.Kubectl = t.command(access)
	checks := (&verify.Verifier{Target: tier, Kubectl: client}).Run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	t.report.Checks = checks
	verify.Table(t.out, checks)
	if state, err := t.reader().State(ctx); err == nil {
		t.report.Pending = pending.OfState(state, time.Now())
		t.sayPending()
	}
	took := time.Since(started).Seconds()
	if failed := verify.Failed(checks); failed > 0 {
		t.say("stack %s: %d of %d checks failed, %.1fs", t.stack.Name, failed, len(checks), took)
		return localcloud.ErrReported
	}
	t.say("stack %s: all %d checks passed, %.1fs", t.stack.Name, len(checks), took)
	return nil
}
