package drill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill/report"
)

const sourceInstance = `{"DBInstanceStatus":"available","AvailabilityZone":"a","DBInstanceClass":"db.t4g.medium",
	"LatestRestorableTime":"2026-12-01T09:00:00Z","DBSubnetGroup":{"DBSubnetGroupName":"subnets"},
	"VpcSecurityGroups":[{"VpcSecurityGroupId":"sg-1"},{"VpcSecurityGroupId":"sg-2"}],
	"DBParameterGroups":[{"DBParameterGroupName":"postgres16"}],"Endpoint":{"Address":"db.internal","Port":5433}}`

// account plays the AWS CLI on an account with one instance.
type account struct {
	mu    sync.Mutex
	calls []string
	// instances and snapshots are those that the drill has made, each with the number of looks until it is available.
	instances, snapshots map[string]int
	// early is how many times a time is too late to be restored to.
	early int
	// told are the events of a failover. The instance changes its zone when RDS is asked for one.
	told, zone string
	// restarts are the events of reboots.
	restarts string
	// status is that of the restored instance in place of available.
	status string
	before map[string]func()
}

func newAWS() *account {
	return &account{instances: map[string]int{}, snapshots: map[string]int{}, before: map[string]func(){}}
}

func (a *account) run(ctx context.Context, args ...string) (string, error) {
	all := strings.Join(args, " ")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls = append(a.calls, all)
	for part, do := range a.before {
		if strings.Contains(all, part) {
			delete(a.before, part)
			do()
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	option := func(name string) string {
		for i, arg := range args {
			if arg == name {
				return args[i+1]
			}
		}
		return ""
	}
	instance, snapshot := option("--db-instance-identifier"), option("--db-snapshot-identifier")
	gone := func(code string) (string, error) {
		return "", errors.New("aws rds: An error occurred (" + code + "): not found")
	}
	// look says the status of something that is made.
	look := func(made map[string]int, name string) string {
		made[name]--
		if made[name] >= 0 {
			return "creating"
		}
		return "available"
	}
	switch args[1] {
	case "restore-db-instance-to-point-in-time":
		a.early--
		if a.early >= 0 {
			return "", errors.New("An error occurred (InvalidParameterValue): cannot be restored to a time later than 09:00")
		}
		a.instances[option("--target-db-instance-identifier")] = 3
	case "restore-db-instance-from-db-snapshot":
		a.instances[instance] = 3
	case "create-db-snapshot":
		a.snapshots[snapshot] = 2
	case "reboot-db-instance":
		a.zone = "b"
		a.restarts += "DB instance restarted\n"
	case "describe-events":
		if strings.Contains(all, "[Date,Message]") {
			return a.told, nil
		}
		return a.restarts, nil
	case "describe-db-instances":
		if instance == "myshop-local" {
			return strings.Replace(sourceInstance, `"AvailabilityZone":"a"`, fmt.Sprintf(`"AvailabilityZone":%q`, a.zone), 1), nil
		}
		if _, made := a.instances[instance]; !made {
			return gone("DBInstanceNotFound")
		}
		status := look(a.instances, instance)
		if status == "available" && a.status != "" {
			status = a.status
		}
		return fmt.Sprintf(`{"DBInstanceStatus":%q,"Endpoint":{"Address":"restored.internal"}}`, status), nil
	case "describe-db-snapshots":
		if _, made := a.snapshots[snapshot]; !made {
			return gone("DBSnapshotNotFound")
		}
		return look(a.snapshots, snapshot) + "\n", nil
	case "delete-db-instance":
		if left, made := a.instances[instance]; !made {
			return gone("DBInstanceNotFound")
		} else if left > 0 {
			a.instances[instance]--
			return "", errors.New("An error occurred (InvalidDBInstanceState): it is currently creating")
		}
		delete(a.instances, instance)
	case "delete-db-snapshot":
		if _, made := a.snapshots[snapshot]; !made {
			return gone("DBSnapshotNotFound")
		}
		delete(a.snapshots, snapshot)
	default:
		return "", errors.New("unexpected: " + all)
	}
	return "", nil
}

// restorer runs drills on a cluster whose load compares restored databases.
func restorer(c *cluster, a *account) *Runner {
	r := runner(c)
	r.AWS = a.run
	r.Target.Instance, r.Target.Credential = "myshop-local", "pgbouncer-database-1"
	r.Target.DirectSecret, r.Target.CAConfigMap = "myshop-api-db-direct", "myshop-api-rds-ca"
	return r
}

func TestARestoredDatabaseIsComparedAndRemoved(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"restore-time", "restore-snapshot"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, a := newCluster(), newAWS()
				a.early, c.unable = 2, 2
				var pod map[string]any
				c.before["/load stop"] = func() { pod = c.objects["pod"] }
				c.restored = &report.Restored{Rows: 7, Newest: time.Now(), IDs: []int64{}}
				made, err := restorer(c, a).Run(t.Context(), Find(name))
				require.NoError(t, err)
				assert.Empty(t, a.instances)
				assert.Empty(t, a.snapshots)
				assert.Empty(t, c.objects)
				require.NotNil(t, made.Restored)
				assert.Equal(t, 7, made.Restored.Rows)
				assert.Positive(t, made.Restored.RTO)
				assert.Contains(t, made.Restored.Instance, "myshop-local-drill-")
				ok, why := Sound(made)
				assert.True(t, ok, why)

				calls := strings.Join(a.calls, "\n")
				assert.Contains(t, calls, "--db-instance-class db.t4g.medium --db-subnet-group-name subnets "+
					"--db-parameter-group-name postgres16 --port 5433 --no-multi-az --no-publicly-accessible "+
					"--no-deletion-protection --vpc-security-group-ids sg-1 sg-2")
				assert.NotContains(t, calls, "delete-db-instance --db-instance-identifier myshop-local ")
				asked := strings.Join(c.calls, "\n")
				assert.Contains(t, asked, "/load restored --host=restored.internal --from=")
				text, err := json.Marshal(pod)
				require.NoError(t, err)
				assert.Contains(t, string(text), `{"name":"DIRECT_PASSWORD","valueFrom":{"secretKeyRef":`+
					`{"key":"password","name":"pgbouncer-database-1"}}}`)
				assert.Contains(t, string(text), `{"name":"DIRECT_HOST","valueFrom":{"secretKeyRef":`+
					`{"key":"PGHOST","name":"myshop-api-db-direct"}}}`)
				assert.NotContains(t, string(text), `"key":"PGPASSWORD"`, "the master user's password")
				assert.NotContains(t, string(text), "--direct", "the load itself goes through the pool")
			})
		})
	}
}

func TestAnInterruptedRestoreLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"restore-time", "restore-snapshot"} {
		for _, moment := range []string{
			"create-db-snapshot", "describe-db-snapshots", "restore-db-instance", "drill-", "delete-db-instance",
			"delete-db-snapshot",
		} {
			t.Run(name+" "+moment, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					c, a := newCluster(), newAWS()
					c.restored = &report.Restored{Rows: 1, Newest: time.Now()}
					ctx, cancel := context.WithCancel(t.Context())
					a.before[moment] = cancel
					_, err := restorer(c, a).Run(ctx, Find(name))
					if a.before[moment] == nil {
						require.ErrorIs(t, err, context.Canceled)
					}
					cancel()
					assert.Empty(t, a.instances)
					assert.Empty(t, a.snapshots)
					assert.Empty(t, c.objects)
				})
			})
		}
	}
}

// killed leaves the record of a drill whose process has been gone for long. It names an instance and a snapshot; the
// drill's own, which it returns, if they are empty.
func killed(t *testing.T, c *cluster, a *account, instance, snapshot string) (own string) {
	t.Helper()
	r := restorer(c, a)
	r.record = newRecord("restore-snapshot", time.Now().Add(-time.Hour))
	r.record.Host = "another"
	own = r.restoredName()
	r.record.Restored, r.record.Snapshot = cmp.Or(instance, own), cmp.Or(snapshot, own)
	text, err := r.recordManifest()
	require.NoError(t, err)
	_, err = c.Run(t.Context(), text, "create")
	require.NoError(t, err)
	time.Sleep(2 * stale) //nolint:forbidigo // the time of the bubble
	return own
}

// The process is killed after RDS was asked; the next command finds the record.
func TestARestoreWhoseProcessIsGoneIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := newCluster(), newAWS()
		name := killed(t, c, a, "", "")
		a.instances[name], a.snapshots[name] = 2, 0
		require.NoError(t, restorer(c, a).Clear(t.Context()))
		assert.Empty(t, a.instances)
		assert.Empty(t, a.snapshots)
		assert.Empty(t, c.objects)
	})
}

func TestARestoreThatFailsSaysWhyAndIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := newCluster(), newAWS()
		a.status = "incompatible-restore"
		_, err := restorer(c, a).Run(t.Context(), Find("restore-time"))
		require.ErrorContains(t, err, "its status is incompatible-restore: `aws rds describe-events")
		assert.Empty(t, a.instances)
		assert.Empty(t, c.objects)
	})
}

func TestTheNameOfARestoredInstanceFits(t *testing.T) {
	t.Parallel()
	for _, instance := range []string{"db", strings.Repeat("a", 63), strings.Repeat("a", 51) + "-" + strings.Repeat("b", 11)} {
		r := &Runner{Target: Target{Instance: instance}}
		r.record.Began = time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
		assert.Regexp(t, `^[a-z][a-z0-9]*(-[a-z0-9]+)*$`, r.restoredName())
		assert.LessOrEqual(t, len(r.restoredName()), 63)
	}
}

func TestALoadPastThePoolNeedsTheRolesLogin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := newCluster(), newAWS()
		r := restorer(c, a)
		r.Direct = true
		var pod map[string]any
		c.before["/load stop"] = func() { pod = c.objects["pod"] }
		_, err := r.Run(t.Context(), Find("service-rollout"))
		require.NoError(t, err)
		text, err := json.Marshal(pod)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"--direct"`)
		assert.Contains(t, string(text), "DIRECT_PASSWORD")
		r.Target.Credential = ""
		_, err = r.Run(t.Context(), Find("service-rollout"))
		require.ErrorContains(t, err, "--direct: the stack has no password of the application's role")
	})
}

func TestAFailoverHasTheEventsOfRDS(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := newCluster(), newAWS()
		a.zone = "a"
		a.before["reboot-db-instance"] = func() {
			now := time.Now().UTC()
			a.told = fmt.Sprintf(`[[%q,"an earlier one"],[%q,"Multi-AZ instance failover completed"]]`,
				now.Add(-time.Minute).Format(time.RFC3339Nano), now.Add(200*time.Millisecond).Format(time.RFC3339Nano))
		}
		made, err := restorer(c, a).Run(t.Context(), Find("failover"))
		require.NoError(t, err)
		var texts []string
		for _, e := range made.Events {
			texts = append(texts, e.Text)
		}
		assert.ElementsMatch(t, []string{
			"RDS fails over from zone a", "RDS: Multi-AZ instance failover completed", "the instance is available in zone b",
		}, texts)
		assert.True(t, slices.IsSortedFunc(made.Events, func(a, b report.Event) int { return a.At.Compare(b.At) }))
	})
}

// Whoever can write ConfigMaps in the namespace could name any instance.
func TestTheRecordCannotNameAnotherInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := newCluster(), newAWS()
		killed(t, c, a, "myshop-local", "nightly")
		err := restorer(c, a).Clear(t.Context())
		require.ErrorContains(t, err, "names myshop-local as the restored instance, and a drill would have made myshop-local-drill-")
		require.ErrorContains(t, err, "names nightly as the snapshot")
		assert.NotContains(t, strings.Join(a.calls, "\n"), "delete")
	})
}

// With the credentials of another account RDS does not know the instance, which would look as if it were gone.
func TestNothingIsLookedForInAnotherAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := newCluster(), newAWS()
		r := restorer(c, a)
		r.record = newRecord("restore-time", time.Now())
		r.record.Restored = r.restoredName()
		r.Account = func(context.Context) error { return errors.New("another account") }
		require.ErrorContains(t, r.removeRestored(t.Context()), "another account")
		assert.Empty(t, a.calls)
	})
}

// RDS can be slow to know what it was asked to make by a process that was killed.
func TestWhatRDSKnowsLateIsRemovedToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := newCluster(), newAWS()
		r := restorer(c, a)
		r.Target.Local = false
		r.record = newRecord("restore-snapshot", time.Now())
		r.record.Snapshot = r.restoredName()
		go func() {
			time.Sleep(20 * time.Second) //nolint:forbidigo // the time of the bubble
			a.mu.Lock()
			defer a.mu.Unlock()
			a.snapshots[r.restoredName()] = 0
		}()
		require.NoError(t, r.removeRestored(t.Context()))
		assert.Contains(t, strings.Join(a.calls, "\n"), "describe-db-snapshots", "it was deleted, and then looked for")
		assert.Empty(t, a.snapshots)
	})
}

func TestARestoreThatRDSGivesUpEndsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, a := newCluster(), newAWS()
		a.before["restore-db-instance"] = func() {
			go func() {
				time.Sleep(time.Second) //nolint:forbidigo // the time of the bubble
				a.mu.Lock()
				defer a.mu.Unlock()
				clear(a.instances)
			}()
		}
		began := time.Now()
		_, err := restorer(c, a).Run(t.Context(), Find("restore-time"))
		require.ErrorContains(t, err, "RDS gave the restore up")
		assert.Less(t, time.Since(began), time.Minute)
	})
}

func TestTheRoleIsNotRotatedUnderADirectLoad(t *testing.T) {
	t.Parallel()
	r := restorer(newCluster(), newAWS())
	r.Direct = true
	require.ErrorContains(t, r.Check(Find("rotate-application")), "run it without --direct")
}
