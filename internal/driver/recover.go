package driver

import (
	"context"
	"fmt"
	"maps"
	"time"

	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/verify"
)

// The operator generates passwords in the cluster, and a Secret that is lost gets another password, which neither
// PostgreSQL nor the running service knows. No resource of the state differs then. The driver therefore asks the
// cluster, and an update replaces the passwords: it counts one recovery more, which is the next generation of the role
// and a new revision of the service's pods. The stack's outputs keep the count for the next run.

// recoveriesKey is the setting with the number of recoveries.
const recoveriesKey = config.Namespace + ":secrets.recoveries"

// addRecoveries gives the program the number of recoveries that the state has, and one more if the run may recover and
// a password is lost.
func (t *task) addRecoveries(ctx context.Context, op operation, c *engine.Config) error {
	if _, given := c.Overrides[recoveriesKey]; given {
		return nil
	}
	reader := engine.NewReader(*c)
	defer reader.Close()
	outputs, err := reader.Outputs(ctx)
	if err != nil {
		return err
	}
	counted, _ := outputs[config.OutputRecoveries].(float64)
	recoveries := int(counted)
	stack, _ := t.stack.Config()
	// A plan and targets leave out what a recovery changes.
	if op.recovers && t.flags.plan == "" && len(t.flags.targets) == 0 {
		missing, lost := t.lostPasswords(ctx, outputs)
		if missing || lost {
			// What is missing is still in the state.
			if err := reader.RequireRefresh(); err != nil {
				return err
			}
		}
		if lost {
			recoveries = max(recoveries, stack.Secrets.Recoveries) + 1
		}
	}
	if recoveries > stack.Secrets.Recoveries {
		c.Overrides = maps.Clone(c.Overrides)
		c.Overrides[recoveriesKey] = recoveries
	}
	return nil
}

// lostTimeout limits the search for lost passwords.
const lostTimeout = 30 * time.Second

// retryTimeout limits the wait for what the operator tries again.
const retryTimeout = 30 * time.Second

// retrySecrets makes the operator try again what failed before the update, and notes what it still cannot do. A cluster
// that does not answer is no fault of the update, which has ended.
func (t *task) retrySecrets(ctx context.Context, reader *engine.Reader) {
	outputs, err := reader.Outputs(ctx)
	if err != nil {
		return
	}
	verifier, err := t.verifier(ctx, outputs)
	if err != nil || verifier == nil {
		return
	}
	asking, cancel := context.WithTimeout(ctx, retryTimeout)
	defer cancel()
	failed, _ := verifier.RetryExternalSecrets(asking)
	for _, fault := range failed {
		t.note(fmt.Sprintf("ExternalSecret %s: `dbtier verify --stack %s` tells more", fault, t.stack.Name))
	}
}

// lostPasswords asks the cluster for the generated passwords that were lost, and for missing objects of passwords that
// were not, and reports them. It notes a cluster that does not answer: an update can still be right.
func (t *task) lostPasswords(ctx context.Context, outputs map[string]any) (missing, lost bool) {
	verifier, err := t.verifier(ctx, outputs)
	if err == nil && verifier == nil {
		return false, false
	}
	if err == nil {
		asking, cancel := context.WithTimeout(ctx, lostTimeout)
		defer cancel()
		t.report.LostPasswords, err = verifier.LostPasswords(asking)
	}
	if err != nil && ctx.Err() == nil {
		t.note(fmt.Sprintf("the generated passwords of stack %s were not checked: %v", t.stack.Name, err))
	}
	for _, l := range t.report.LostPasswords {
		t.say("  ! %s", l)
		missing, lost = missing || l.Kept, lost || !l.Kept
	}
	return missing, lost
}

// verifier asks the cluster of the stack's service; nil if the stack has no service yet.
func (t *task) verifier(ctx context.Context, outputs map[string]any) (*verify.Verifier, error) {
	target, err := verify.FromOutputs(t.stack.Name, outputs)
	if err != nil || target.Namespace == "" {
		return nil, nil //nolint:nilerr,nilnil // Nothing runs that could be asked.
	}
	client, _, err := t.cluster(ctx, t.clusterOf(clusterAccess{}))
	return &verify.Verifier{Target: target, Kubectl: client}, err
}
