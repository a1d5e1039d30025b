package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/internal/drill/report"
)

// Times of the faults that end by themselves.
const (
	outageOfService = 40 * time.Second
	outageOfAPI     = 30 * time.Second
	outageOfDNS     = 20 * time.Second
	partitioned     = 20 * time.Second
)

const (
	// rolloutLimit is longer than the longest grace period of a pod.
	rolloutLimit  = 75 * time.Minute
	instanceLimit = 30 * time.Minute
	rotationLimit = 10 * time.Minute
)

func (r *Runner) rotateMaster(ctx context.Context) error {
	before, err := r.currentVersion(ctx)
	if err != nil {
		return err
	}
	r.caused("the master user gets a new password")
	if _, err := r.AWS(ctx, "secretsmanager", "rotate-secret", "--secret-id", r.Target.MasterSecretArn); err != nil {
		return err
	}
	err = until(ctx, rotationLimit, "the new password", func(ctx context.Context) (bool, string, error) {
		now, err := r.currentVersion(ctx)
		return now != before, "the current version is " + now, err
	})
	if err != nil {
		return err
	}
	r.healed("Secrets Manager has the new password")
	return nil
}

// currentVersion returns the version of the master user's secret that has the current password.
func (r *Runner) currentVersion(ctx context.Context) (string, error) {
	printed, err := r.AWS(ctx, "secretsmanager", "describe-secret", "--secret-id", r.Target.MasterSecretArn, "--query",
		"VersionIdsToStages", "--output", "json")
	if err != nil {
		return "", err
	}
	var stages map[string][]string
	if err := json.Unmarshal([]byte(printed), &stages); err != nil {
		return "", fmt.Errorf("reading the versions of the master user's secret: %w", err)
	}
	for version, labels := range stages {
		if slices.Contains(labels, "AWSCURRENT") {
			return version, nil
		}
	}
	return "", errors.New("the master user's secret has no version with the label AWSCURRENT")
}

func (r *Runner) rotateApplication(ctx context.Context) error {
	next := r.Target.Generation + 1
	r.caused("an update rotates the password: generation %d", next)
	if err := r.Update(ctx, "role.generation="+strconv.Itoa(next)); err != nil {
		return err
	}
	r.noted("the pool uses generation %d; an update rotates back to %d", next, r.Target.Generation)
	if err := r.Update(ctx); err != nil {
		return err
	}
	r.healed("the pool uses generation %d again", r.Target.Generation)
	return nil
}

func (r *Runner) migrationFails(ctx context.Context) error {
	r.caused("an update deploys a migration that cannot start")
	err := r.Update(ctx, `migration.command=["/dbtier-drill-fails"]`)
	if err == nil {
		return errors.New("the update succeeded, although its migration cannot start")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !strings.Contains(err.Error(), "migration-job") {
		return fmt.Errorf("the migration was not tried: %w", err)
	}
	r.noted("the migration failed, as it must; the next update has the migration of the stack's file")
	if err := r.Update(ctx); err != nil {
		return err
	}
	r.healed("the next update has succeeded")
	return nil
}

// updateBack brings the stack to what its file says.
func (r *Runner) updateBack(ctx context.Context) error { return r.Update(ctx) }

func (r *Runner) failover(ctx context.Context) error {
	before, err := r.instance(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	r.caused("RDS fails over from zone %s", before.Zone)
	if _, err := r.AWS(ctx, "rds", "reboot-db-instance", "--db-instance-identifier", r.Target.Instance,
		"--force-failover"); err != nil {
		return err
	}
	if err := r.available(ctx, func(now *instance) bool { return now.Zone != before.Zone }); err != nil {
		return err
	}
	if err := r.tell(ctx, began); err != nil {
		r.noted("the events of RDS could not be read: %s", err)
	}
	return nil
}

// tell adds what RDS has said of the instance since a time to the events of the drill, each at its time.
func (r *Runner) tell(ctx context.Context, since time.Time) error {
	printed, err := r.AWS(ctx, "rds", "describe-events", "--source-type", "db-instance", "--source-identifier",
		r.Target.Instance, "--start-time", since.UTC().Format(time.RFC3339), "--query", "Events[].[Date,Message]",
		"--output", "json")
	if err != nil {
		return err
	}
	var events [][2]string
	if err := json.Unmarshal([]byte(printed), &events); err != nil {
		return fmt.Errorf("reading the events of DB instance %s: %w", r.Target.Instance, err)
	}
	for _, e := range events {
		at, err := time.Parse(time.RFC3339Nano, e[0])
		if err != nil {
			return fmt.Errorf("reading the events of DB instance %s: %w", r.Target.Instance, err)
		}
		if !at.Before(since) {
			r.events = append(r.events, report.Event{At: at, Text: "RDS: " + e[1], Kind: report.Note})
		}
	}
	slices.SortStableFunc(r.events, func(a, b report.Event) int { return a.At.Compare(b.At) })
	return nil
}

func (r *Runner) reboot(ctx context.Context) error {
	reboot, err := r.beginReboot(ctx)
	if err != nil {
		return err
	}
	return reboot.end(ctx)
}

// reboot is a reboot of the instance that was asked for.
type reboot struct {
	r     *Runner
	since time.Time
	// before are the events of the instance until then.
	before string
}

func (r *Runner) beginReboot(ctx context.Context) (*reboot, error) {
	b := &reboot{r: r, since: time.Now().Add(-time.Hour)}
	var err error
	if b.before, err = b.events(ctx); err != nil {
		return nil, err
	}
	r.caused("RDS reboots the instance")
	_, err = r.AWS(ctx, "rds", "reboot-db-instance", "--db-instance-identifier", r.Target.Instance)
	return b, err
}

// end waits until the instance has restarted and is available. RDS can show the old status for some seconds.
func (b *reboot) end(ctx context.Context) error {
	return b.r.available(ctx, func(*instance) bool {
		over, err := b.told(ctx, "restarted")
		return err == nil && over
	})
}

// told reports whether RDS has told an event since the reboot was asked for.
func (b *reboot) told(ctx context.Context, what string) (bool, error) {
	now, err := b.events(ctx)
	return strings.Count(now, what) > strings.Count(b.before, what), err
}

func (b *reboot) events(ctx context.Context) (string, error) {
	return b.r.AWS(ctx, "rds", "describe-events", "--source-type", "db-instance", "--source-identifier",
		b.r.Target.Instance, "--start-time", b.since.UTC().Format(time.RFC3339), "--query", "Events[].Message",
		"--output", "text")
}

type instance struct {
	Status string `json:"DBInstanceStatus"`
	Zone   string `json:"AvailabilityZone"`
}

func (r *Runner) instance(ctx context.Context) (*instance, error) {
	var found instance
	err := r.describe(ctx, r.Target.Instance, &found)
	return &found, err
}

// available waits until the instance is available and done holds.
func (r *Runner) available(ctx context.Context, done func(*instance) bool) error {
	var now *instance
	err := until(ctx, instanceLimit, "RDS to be done", func(ctx context.Context) (bool, string, error) {
		var err error
		if now, err = r.instance(ctx); err != nil {
			return false, "", err
		}
		return now.Status == "available" && done(now), fmt.Sprintf("status %s, zone %s", now.Status, now.Zone), nil
	})
	if err == nil {
		r.healed("the instance is available in zone %s", now.Zone)
	}
	return err
}

func (r *Runner) poolRollout(ctx context.Context) error {
	return r.rollout(ctx, r.Target.Pool, "PgBouncer")
}

func (r *Runner) serviceRollout(ctx context.Context) error {
	return r.rollout(ctx, r.Target.Service, "the service")
}

// rollout replaces the pods of a Deployment, and waits until the old ones are gone: they serve until then.
func (r *Runner) rollout(ctx context.Context, deployment, of string) error {
	old, err := r.pods(ctx, deployment)
	if err != nil {
		return err
	}
	r.caused("the pods of %s are replaced", of)
	if _, err := r.kubectl(ctx, "rollout", "restart", "deployment/"+deployment); err != nil {
		return err
	}
	limit := "--timeout=" + rolloutLimit.String()
	if _, err := r.kubectl(ctx, "rollout", "status", "deployment/"+deployment, limit); err != nil {
		return err
	}
	r.noted("the new pods of %s are ready", of)
	if len(old) > 0 {
		args := append([]string{"wait", "--for=delete", limit}, old...)
		if _, err := r.kubectl(ctx, args...); err != nil {
			return err
		}
	}
	r.healed("the old pods of %s are gone", of)
	return nil
}

func (r *Runner) poolKill(ctx context.Context) error {
	pods, err := r.pods(ctx, r.Target.Pool)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("there is no running pod of Deployment %s", r.Target.Pool)
	}
	r.caused("%s is killed", pods[0])
	if _, err := r.kubectl(ctx, "delete", pods[0], "--grace-period=0", "--force", "--wait=false"); err != nil {
		return err
	}
	err = until(ctx, rolloutLimit, "a new pod of PgBouncer", func(ctx context.Context) (bool, string, error) {
		now, err := r.pods(ctx, r.Target.Pool)
		return len(now) >= len(pods) && !slices.Contains(now, pods[0]), strings.Join(now, ", "), err
	})
	if err != nil {
		return err
	}
	if _, err := r.kubectl(ctx, "rollout", "status", "deployment/"+r.Target.Pool,
		"--timeout="+rolloutLimit.String()); err != nil {
		return err
	}
	r.healed("all pods of PgBouncer are ready")
	return nil
}

func (r *Runner) operatorDown(ctx context.Context) error {
	printed, err := r.Kubectl.Run(ctx, "", "get", "deployments", "--namespace="+r.Target.OperatorNamespace,
		"--output=name")
	if err != nil {
		return err
	}
	return r.scaledDown(ctx, r.Target.OperatorNamespace, strings.Fields(printed), "the operator", outageOfService)
}

func (r *Runner) dnsDown(ctx context.Context) error {
	return r.scaledDown(ctx, "kube-system", []string{"deployment.apps/coredns"}, "the cluster's DNS", outageOfDNS)
}

// scaled is a Deployment that a drill has scaled to zero.
type scaled struct {
	Namespace, Deployment string
	Replicas              int
}

// lasting is how long a fault lasts that ends by itself: as long as it says, unless a schedule says otherwise.
func (r *Runner) lasting(usual time.Duration) time.Duration {
	if r.lasts > 0 {
		return r.lasts
	}
	return usual
}

// scaledDown scales Deployments to zero for some time.
func (r *Runner) scaledDown(
	ctx context.Context, namespace string, deployments []string, what string, lasting time.Duration,
) error {
	for _, deployment := range deployments {
		printed, err := r.Kubectl.Run(ctx, "", "get", deployment, "--namespace="+namespace,
			"--output=jsonpath={.spec.replicas}")
		if err != nil {
			return err
		}
		replicas, err := strconv.Atoi(strings.TrimSpace(printed))
		if err != nil {
			return fmt.Errorf("reading the replicas of %s: %w", deployment, err)
		}
		r.record.Scaled = append(r.record.Scaled, scaled{namespace, deployment, replicas})
	}
	// Recorded first: what follows may be the last thing that this process does.
	if err := r.saveRecord(ctx); err != nil {
		return err
	}
	r.caused("%s is stopped", what)
	for _, s := range r.record.Scaled {
		if err := r.scale(ctx, s, 0); err != nil {
			return err
		}
	}
	if err := pause(ctx, r.lasting(lasting)); err != nil {
		return err
	}
	if err := r.scaleBack(ctx); err != nil {
		return err
	}
	for _, s := range r.record.Scaled {
		if _, err := r.Kubectl.Run(ctx, "", "rollout", "status", s.Deployment, "--namespace="+s.Namespace,
			"--timeout="+rolloutLimit.String()); err != nil {
			return err
		}
	}
	r.healed("%s runs again", what)
	return nil
}

func (r *Runner) scale(ctx context.Context, s scaled, replicas int) error {
	_, err := r.Kubectl.Run(ctx, "", "scale", s.Deployment, "--namespace="+s.Namespace,
		"--replicas="+strconv.Itoa(replicas))
	return err
}

func (r *Runner) scaleBack(ctx context.Context) error {
	var failed []error
	for _, s := range r.record.Scaled {
		failed = append(failed, r.scale(ctx, s, s.Replicas))
	}
	return errors.Join(failed...)
}

func (r *Runner) secretsManagerDown(ctx context.Context) error {
	return r.faulty(ctx, "Secrets Manager", outageOfService, "service", "secretsmanager")
}

func (r *Runner) apiServerDown(ctx context.Context) error {
	if err := r.faulty(ctx, "the API server", outageOfAPI, "api-server"); err != nil {
		return err
	}
	return until(ctx, time.Minute, "the API server to answer", func(ctx context.Context) (bool, string, error) {
		_, err := r.Kubectl.Run(ctx, "", "get", "--raw=/readyz", "--request-timeout=5s")
		return err == nil, fmt.Sprint(err), nil
	})
}

func (r *Runner) partition(ctx context.Context) error {
	return r.faulty(ctx, "the network between the cluster and the database", partitioned, "network")
}

// faulty causes a fault of the local cloud for some time.
func (r *Runner) faulty(ctx context.Context, what string, lasting time.Duration, fault ...string) error {
	r.caused("%s does not answer", what)
	if err := r.Fault(ctx, fault...); err != nil {
		return err
	}
	if err := pause(ctx, r.lasting(lasting)); err != nil {
		return err
	}
	if err := r.endFaults(ctx); err != nil {
		return err
	}
	r.healed("%s answers again", what)
	return nil
}

func (r *Runner) endFaults(ctx context.Context) error { return r.Fault(ctx, "end") }
