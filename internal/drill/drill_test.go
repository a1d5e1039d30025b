package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/drill/report"
	"dbtier/internal/kubectl"
)

const deployment = `{"spec":{"template":{"spec":{
	"volumes":[{"name":"ca","configMap":{"name":"myshop-api-rds-ca"}},{"name":"key","secret":{"secretName":"payment-key"}}],
	"containers":[{"name":"myshop-api","volumeMounts":[{"name":"ca","mountPath":"/etc/rds-ca/ca.pem"},
		{"name":"key","mountPath":"/etc/key"}]}]}}}}`

// cluster plays kubectl on a cluster with a healthy stack.
type cluster struct {
	mu sync.Mutex
	// objects are the manifests of what the drill has created, by kind.
	objects map[string]map[string]any
	// replicas are those of the Deployments that drills scale.
	replicas map[string]string
	calls    []string
	// stopped is true once the load was asked to stop.
	stopped bool
	// ended is true for a load whose process has failed, after it has printed log.
	ended bool
	log   string
	// lingers is how many times the pod is still called running after its container has ended.
	lingers int
	// pods are those of Deployments. paused are those that are paused now, and everPaused those that ever were.
	pods               []string
	paused, everPaused map[string]bool
	// restored is what the load says of a restored database, once it is able to.
	restored *report.Restored
	unable   int
	// before runs before a call whose words contain the text.
	before map[string]func()
	fails  map[string]error
}

func newCluster() *cluster {
	return &cluster{
		objects: map[string]map[string]any{}, before: map[string]func(){}, fails: map[string]error{},
		paused: map[string]bool{}, everPaused: map[string]bool{},
		replicas: map[string]string{"deployment.apps/operator": "2", "deployment.apps/webhook": "1"},
	}
}

func (c *cluster) Run(ctx context.Context, stdin string, args ...string) (string, error) {
	all := strings.Join(args, " ")
	c.mu.Lock()
	c.calls = append(c.calls, all)
	hook := func() {}
	for part, do := range c.before {
		if strings.Contains(all+stdin, part) {
			hook = do
			delete(c.before, part)
		}
	}
	c.mu.Unlock()
	hook()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for part, err := range c.fails {
		if strings.Contains(all, part) {
			return "", err
		}
	}
	return c.answer(all, stdin, args)
}

func (c *cluster) answer(all, stdin string, args []string) (string, error) {
	notFound := &kubectl.Error{Args: args, Code: 1, Stderr: "Error from server (NotFound): not found"}
	switch args[0] {
	case "create", "replace":
		var o map[string]any
		if err := json.Unmarshal([]byte(stdin), &o); err != nil {
			return "", err
		}
		kind := strings.ToLower(o["kind"].(string))
		if c.objects[kind] != nil && args[0] == "create" {
			return "", &kubectl.Error{Args: args, Code: 1, Stderr: "Error from server (AlreadyExists): exists"}
		}
		c.objects[kind] = o
		return "", nil
	case "delete":
		delete(c.objects, args[1])
		return "", nil
	case "get":
		switch {
		case strings.Contains(all, "deployment myshop-api"):
			return deployment, nil
		case strings.Contains(all, "--selector=app.kubernetes.io/managed-by"):
			return c.ofKind(args[1]), nil
		case strings.Contains(all, "deployments"):
			return "deployment.apps/operator\ndeployment.apps/webhook\n", nil
		case strings.Contains(all, ".spec.replicas"):
			return c.replicas[args[1]], nil
		case strings.Contains(all, ".status.phase"):
			switch {
			case c.objects["pod"] == nil:
				return "", notFound
			case c.ended:
				return "Failed", nil
			case c.stopped && c.lingers > 0:
				c.lingers--
				return "Running", nil
			case c.stopped:
				return "Succeeded", nil
			}
			return "Running", nil
		case strings.Contains(all, " pod "):
			if c.objects["pod"] == nil {
				return "", notFound
			}
			if c.ended {
				return `{"status":{"phase":"Failed","containerStatuses":[{"state":{"terminated":{"exitCode":2}}}]}}`, nil
			}
			phase := "Running"
			if c.stopped {
				phase = "Succeeded"
			}
			return `{"status":{"phase":"` + phase + `"}}`, nil
		case strings.Contains(all, " pods ") && len(c.pods) > 0:
			return c.list(), nil
		case strings.Contains(all, "configmap"):
			if c.objects["configmap"] == nil {
				return "", notFound
			}
			text, err := json.Marshal(c.objects["configmap"])
			return string(text), err
		}
		return "{}", nil
	case "scale":
		c.replicas[args[1]] = strings.TrimPrefix(args[3], "--replicas=")
		return "", nil
	case "exec":
		if strings.HasPrefix(args[1], "pod/") {
			return c.console(args[1], all)
		}
		if c.objects["pod"] == nil {
			return "", notFound
		}
		if c.ended {
			return "", &kubectl.Error{Args: args, Code: 1, Stderr: "error: cannot exec into a container in a completed pod"}
		}
		if c.stopped {
			return "", &kubectl.Error{Args: args, Code: 1, Stderr: `error: container not found ("load")`}
		}
		switch {
		case strings.Contains(all, "/load now"):
			return time.Now().UTC().Format(time.RFC3339Nano) + "\n", nil
		case strings.Contains(all, "/load restored") && c.unable > 0:
			c.unable--
			return `{"problem":"the database is starting up"}`, &kubectl.Error{Args: args, Code: 1}
		case strings.Contains(all, "/load restored"):
			text, err := json.Marshal(map[string]any{"restored": c.restored})
			return string(text), err
		}
		c.stopped = true
		return "", nil
	case "logs":
		if c.ended {
			return c.log, nil
		}
		return c.logs(), nil
	default:
		return "", nil
	}
}

// list are the pods as kubectl lists them.
func (c *cluster) list() string {
	var items []string
	for _, pod := range c.pods {
		items = append(items, fmt.Sprintf(`{"metadata":{"name":%q},"status":{"phase":"Running"}}`, pod))
	}
	return `{"items":[` + strings.Join(items, ",") + `]}`
}

// console plays PgBouncer's console in a pod.
func (c *cluster) console(pod, all string) (string, error) {
	switch {
	case strings.HasSuffix(all, pauseScript+" sh /run/pgbouncer 90 myshop re ports"):
		c.paused[pod], c.everPaused[pod] = true, true
	case strings.HasSuffix(all, resumeScript+" sh /run/pgbouncer myshop re ports"):
		delete(c.paused, pod)
	default:
		return "", errors.New("unexpected: " + all)
	}
	return "", nil
}

// ofKind are the objects of a kind, by which drills find what to lose.
func (c *cluster) ofKind(kind string) string {
	if kind == "deployments" {
		return "deployment.apps/billing\ndeployment.apps/pgbouncer\n"
	}
	return kind + "/first\n" + kind + "/myshop-api-drill\n"
}

// logs are those of a load whose clients all have answers.
func (c *cluster) logs() string {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	text := fmt.Sprintf(`{"second":{"at":%q,"groups":[{"client":"retrying","kind":"write","answered":5}]}}`+"\n", now)
	if c.stopped {
		text += fmt.Sprintf(`{"done":{"began":%q,"ended":%q,"server":"16.14","ledger":{"acknowledged":5}}}`+"\n", now, now)
	}
	return text
}

func (c *cluster) Get(ctx context.Context, into any, _ string, what ...string) error {
	printed, err := c.Run(ctx, "", append([]string{"get"}, what...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(printed), into)
}

func runner(c *cluster) *Runner {
	return &Runner{
		Target: Target{
			Stack: "local", Cloud: "local", Local: true, Namespace: "myshop", Service: "myshop-api", PartOf: "myshop",
			Pool: "pgbouncer", PoolContainer: "pgbouncer", PoolSocketDir: "/run/pgbouncer",
			Databases:         []string{"myshop", "re ports"},
			OperatorNamespace: "external-secrets", DatabaseSecret: "myshop-api-db", Image: "registry.example/load:1",
			Connections: 24, MultiAZ: true, Migrates: true, Generation: 1,
		},
		Kubectl: c, Say: func(string, ...any) {}, Steady: time.Second, Rate: 5,
		Fault:  func(context.Context, ...string) error { return nil },
		Update: func(context.Context, ...string) error { return nil },
	}
}

func TestADrillRunsUnderALoadAndLeavesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		var pod map[string]any
		c.before["exec"] = func() { pod = c.objects["pod"] }
		made, err := runner(c).Run(t.Context(), Find("operator-down"))
		require.NoError(t, err)
		assert.Empty(t, c.objects)
		assert.Equal(t, map[string]string{"deployment.apps/operator": "2", "deployment.apps/webhook": "1"}, c.replicas)
		require.Len(t, made.Events, 2)
		assert.Equal(t, []string{report.Fault, report.Healed}, []string{made.Events[0].Kind, made.Events[1].Kind})
		assert.Equal(t, outageOfService, made.Events[1].At.Sub(made.Events[0].At))
		assert.Equal(t, 5, made.Load.Ledger.Acknowledged)
		assert.Equal(t, "16.14", made.Versions[0].Value)

		text, err := json.Marshal(pod)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"secretKeyRef":{"key":"DATABASE_URL","name":"myshop-api-db"}`)
		assert.Contains(t, string(text), `"mountPath":"/etc/rds-ca/ca.pem"`)
		assert.NotContains(t, string(text), "payment-key", "a Secret of the service that the load does not need")
		assert.Contains(t, string(text), `"--writers=4"`)
	})
}

// The person interrupts the drill before each of its calls.
func TestAnInterruptedDrillEndsWhatItHasBegun(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"kind\":\"ConfigMap", "kind\":\"Pod", "logs", "get deployments", "replace", "scale", "rollout status", "exec"} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster()
				ctx, cancel := context.WithCancel(t.Context())
				c.before[moment] = cancel
				_, err := runner(c).Run(ctx, Find("operator-down"))
				require.ErrorIs(t, err, context.Canceled)
				assert.Empty(t, c.objects)
				assert.Equal(t, map[string]string{"deployment.apps/operator": "2", "deployment.apps/webhook": "1"}, c.replicas)
			})
		})
	}
}

// The kubelet tells the end of a container some seconds late.
func TestAPodThatIsStillCalledRunningIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.lingers = 5
		_, err := runner(c).Run(t.Context(), Find("service-rollout"))
		require.NoError(t, err)
		assert.Empty(t, c.objects)
	})
}

// What a process has left that was killed is ended by the next one.
func TestADrillWhoseProcessIsGoneIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		left(t, c, "operator-down", scaled{"external-secrets", "deployment.apps/operator", 2})
		c.replicas["deployment.apps/operator"] = "0"

		require.NoError(t, runner(c).Clear(t.Context()))
		assert.Empty(t, c.objects)
		assert.Equal(t, "2", c.replicas["deployment.apps/operator"])
		require.NoError(t, runner(c).Clear(t.Context()), "again")
	})
}

// left makes what a drill has left whose process was killed.
func left(t *testing.T, c *cluster, drill string, stopped ...scaled) {
	t.Helper()
	killed := runner(c)
	killed.record = newRecord(drill, time.Now())
	killed.record.PID, killed.record.Started, killed.record.Scaled = 1<<30, 1, stopped
	text, err := killed.recordManifest()
	require.NoError(t, err)
	_, err = c.Run(t.Context(), text, "create")
	require.NoError(t, err)
	c.objects["pod"] = map[string]any{}
}

func TestASecondDrillWaitsItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first := runner(c)
		require.NoError(t, first.claim(t.Context(), "failover"))
		_, err := runner(c).Run(t.Context(), Find("reboot"))
		var running *RunningError
		require.ErrorAs(t, err, &running)
		assert.Equal(t, os.Getpid(), running.PID)
		assert.NotNil(t, c.objects["configmap"], "the first one's")

		// Of a process on another machine only the heartbeat can be seen.
		first.record.Host = "another"
		require.NoError(t, first.saveRecord(t.Context()))
		time.Sleep(stale - time.Second) //nolint:forbidigo // the time of the bubble
		require.ErrorAs(t, runner(c).Clear(t.Context()), &running)
		time.Sleep(2 * time.Second) //nolint:forbidigo // the time of the bubble
		require.NoError(t, runner(c).Clear(t.Context()))
		assert.Empty(t, c.objects)
	})
}

func TestAFaultThatDoesNotHealIsReportedWithWhatTheClientsSaw(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		r := runner(c)
		r.Update = func(_ context.Context, values ...string) error {
			if len(values) == 0 {
				return nil
			}
			return errors.New("the update failed: no")
		}
		made, err := r.Run(t.Context(), Find("rotate-application"))
		require.ErrorContains(t, err, "drill rotate-application: the update failed: no")
		require.NotNil(t, made)
		assert.Contains(t, made.Problem, "the update failed: no")
		assert.Equal(t, 5, made.Load.Ledger.Acknowledged)
		assert.Empty(t, c.objects)
	})
}

// The person has agreed to another drill, and not to an update that an interrupted one needs.
func TestAnUpdateAsTheEndOfAnotherDrillIsNotASurprise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		left(t, c, "rotate-application")
		r := runner(c)
		_, err := r.Run(t.Context(), Find("pool-kill"))
		require.ErrorContains(t, err, "run `dbtier drill end --stack local` first")
		updated := false
		r.Update = func(context.Context, ...string) error { updated = true; return nil }
		require.NoError(t, r.Clear(t.Context()))
		assert.True(t, updated)
		assert.Empty(t, c.objects)
	})
}

// The load must not go on because something else cannot be undone.
func TestTheLoadEndsAlsoIfTheFaultCannotBeUndone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		left(t, c, "rotate-application")
		r := runner(c)
		r.Update = func(context.Context, ...string) error { return errors.New("no credentials") }
		require.ErrorContains(t, r.Clear(t.Context()), "ending drill rotate-application: no credentials")
		assert.Nil(t, c.objects["pod"])
		assert.NotNil(t, c.objects["configmap"], "what must still be undone")

		delete(c.objects, "configmap") // That process is this one, which lives.
		left(t, c, "rotate-application")
		c.fails["exec"] = &kubectl.Error{Args: []string{"exec"}, Code: 1, Stderr: "forbidden"}
		r.Update = func(context.Context, ...string) error { return nil }
		require.NoError(t, r.Clear(t.Context()), "the end of its pod asks the load")
		assert.Empty(t, c.objects)
	})
}

// Another process has found the record of one that was long without the API server.
func TestADrillThatWasTakenOverLeavesTheOtherAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		first := runner(c)
		require.NoError(t, first.claim(t.Context(), "pool-kill"))
		other := runner(c)
		other.record = first.record
		other.record.Host = "another"
		require.NoError(t, other.saveRecord(t.Context()))
		require.ErrorContains(t, first.end(t.Context(), nil), "drill pool-kill was taken over by process")
		assert.NotNil(t, c.objects["configmap"])
	})
}

func TestObjectsOfOtherServicesAreNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		r := runner(c)
		repaired := 0
		r.Repair = func(context.Context) error { repaired++; return nil }
		_, err := r.Run(t.Context(), Find("lose-object"))
		require.NoError(t, err)
		assert.Equal(t, len(losable), repaired)
		for _, call := range c.calls {
			if strings.Contains(call, "--selector=app.kubernetes.io/managed-by") {
				assert.Contains(t, call, "app.kubernetes.io/part-of in (myshop-api,myshop)")
			}
		}
		assert.Contains(t, c.calls, "delete deployment.apps/pgbouncer --timeout=5m --namespace=myshop")
	})
}

func TestTheLoadKeepsToItsOwnLimits(t *testing.T) {
	t.Parallel()
	r := runner(newCluster())
	for _, c := range []struct{ connections, rate, each int }{{24, 5, 4}, {6, 5, 1}, {1000, 5, 66}, {1000, 1, 100}} {
		r.Target.Connections, r.Rate = c.connections, c.rate
		assert.Equal(t, c.each, r.clients(), c)
		require.NoError(t, r.CheckRate(), c)
	}
	r.Target.Connections, r.Rate = 6, 3
	require.ErrorContains(t, r.CheckRate(), "--rate 3: want 1 to 333, and at least 4 requests a second")
	r.Rate, r.Steady = 5, 0
	require.ErrorContains(t, r.CheckRate(), "--steady 0s: want more than 0")
}

// A migration that succeeds would mean that the drill has tried nothing.
func TestAMigrationThatShouldFailAndDoesNotIsAFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := runner(newCluster())
		_, err := r.Run(t.Context(), Find("migration-fails"))
		require.ErrorContains(t, err, "the update succeeded, although its migration cannot start")
		r = runner(newCluster())
		r.Update = func(_ context.Context, values ...string) error {
			if len(values) > 0 {
				return errors.New("no credentials")
			}
			return nil
		}
		_, err = r.Run(t.Context(), Find("migration-fails"))
		require.ErrorContains(t, err, "the migration was not tried: no credentials")
	})
}

func TestEveryFaultOfTheLocalCloudEnds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"secrets-manager-down", "api-server-down", "partition"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var faults []string
				r := runner(newCluster())
				r.Fault = func(_ context.Context, args ...string) error {
					faults = append(faults, strings.Join(args, " "))
					return nil
				}
				_, err := r.Run(t.Context(), Find(name))
				require.NoError(t, err)
				require.Len(t, faults, 2)
				assert.Equal(t, "end", faults[1])
			})
		})
	}
}

func TestADrillThatTheStackCannotHaveIsRefusedBeforeItBegins(t *testing.T) {
	t.Parallel()
	bare := &Target{Cloud: "aws"}
	for name, why := range map[string]string{
		"failover":        "the instance has no standby: set dbtier:database.multiAz to true",
		"pool-kill":       "the stack has no PgBouncer",
		"operator-down":   "another stack installs the operator",
		"migration-fails": "dbtier:migration.enabled is false",
		"partition":       "it runs on the local cloud only",
	} {
		require.ErrorContains(t, Find(name).Check(bare), why)
	}
	require.NoError(t, Find("reboot").Check(bare))
	c := newCluster()
	r := runner(c)
	r.Target.MultiAZ = false
	_, err := r.Run(t.Context(), Find("failover"))
	require.Error(t, err)
	assert.Empty(t, c.calls)
}

func TestTheDrillsHaveDistinctNamesAndSayWhatTheyDo(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range Scenarios() {
		assert.NotContains(t, names, s.Name)
		assert.False(t, strings.HasSuffix(s.Does, "."), s.Name)
		assert.True(t, strings.HasSuffix(s.Shows, "."), s.Name)
		names = append(names, s.Name)
	}
	assert.True(t, slices.Contains(names, "failover"))
	assert.Nil(t, Find("flood"))
}

// Waiting for a load that has ended would only delay the reason.
func TestALoadThatEndsSaysWhy(t *testing.T) {
	t.Parallel()
	for log, why := range map[string]string{
		`{"problem":"preparing the tables: no"}` + "\n":         "preparing the tables: no",
		"load: wrong usage: run: flag -x\nusage:\n  load run\n": "wrong usage: run: flag -x",
		"": "its log does not say why",
	} {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster()
			c.ended, c.log = true, log
			began := time.Now()
			_, err := runner(c).Run(t.Context(), Find("reboot"))
			require.ErrorContains(t, err, "the load has ended with exit code 2: "+why)
			assert.Less(t, time.Since(began), time.Second)
			assert.Empty(t, c.objects)
		})
	}
}
