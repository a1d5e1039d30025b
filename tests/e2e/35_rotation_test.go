//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clients is the number of clients of each kind in a load.
const clients = 50

// load is what the clients observed during an event.
type load struct {
	lasting, reconnecting bench
	// service is the result for the requests of the example service, which retries (examples/myshop-api/again.go). It
	// has as many clients of each kind.
	service [2]soaked
	// refused is how often a single client that retries at once could not connect or got no answer.
	refused int
	// gap is the longest time that this client waited between two answers.
	gap time.Duration
	// took is the duration of the event.
	took time.Duration
}

// bench is the result of a run of pgbench.
type bench struct {
	result
	transactions int
	// lost is the number of clients that ended early. pgbench stops a client at its first error that is not a
	// serialization failure.
	lost int
}

// soaked is the result for the clients of the service's soak command.
type soaked struct {
	result
	Answered, Failed int
	LongestSeconds   float64
	// Error is one of the errors of failed requests.
	Error string
}

func (s soaked) String() string {
	text := fmt.Sprintf("%d answered, %d failed, the longest after %.1f s", s.Answered, s.Failed, s.LongestSeconds)
	if s.Failed > 0 {
		text += fmt.Sprintf(" (%s)", s.Error)
	}
	return text
}

func (l load) String() string {
	return fmt.Sprintf(
		"%d clients over lasting connections: %d transactions, %d lost; %d that reconnect for each: %d transactions, "+
			"%d lost; one that retries: %d refusals, at most %s without an answer; requests of a service that "+
			"retries, over lasting connections: %s; over new ones: %s; in %s",
		clients, l.lasting.transactions, l.lasting.lost, clients, l.reconnecting.transactions, l.reconnecting.lost,
		l.refused, l.gap.Round(10*time.Millisecond),
		l.service[0], l.service[1], l.took.Round(time.Second))
}

func (l load) all() string { return l.lasting.all() + l.reconnecting.all() }

var transactionsForm = regexp.MustCompile(`number of transactions actually processed: (\d+)`)

// longest is the time limit of a load in seconds.
const longest = 240

// underLoad runs an event while a hundred clients of pgbench in a service pod, and as many of the service itself, query
// the database. Half of each use lasting connections, half reconnect for each transaction. It returns what the clients
// observed.
func underLoad(t *testing.T, during func()) load {
	t.Helper()
	return underLoadFrom(t, servicePod(t), during)
}

// underLoadFrom does so with clients in the given pod.
func underLoadFrom(t *testing.T, pod string, during func()) load {
	t.Helper()
	inPod := func(script string) result {
		return tryKubectl(t, "", "-n", namespace, "exec", pod, "-c", service, "--", "bash", "-ec", script)
	}
	inPod("rm -f /tmp/enough /tmp/load* /tmp/soak*")
	var l load
	var wait sync.WaitGroup
	for connect, into := range map[string]*bench{"": &l.lasting, "--connect": &l.reconnecting} {
		wait.Go(func() {
			// The rate leaves the machine and the pool's single thread spare capacity: the test asks whether any
			// transaction is lost, not how many are possible.
			into.result = inPod(fmt.Sprintf(`printf 'select count(*) from orders;\n' > /tmp/load%[1]s.sql
				pgbench --no-vacuum --progress=1 --client=%[2]d --jobs=1 --rate=50 --time=%[3]d %[1]s --file=/tmp/load%[1]s.sql "$DATABASE_URL" 2> /tmp/load%[1]s.log &
				echo $! > /tmp/load%[1]s.pid
				wait $! || code=$?
				cat /tmp/load%[1]s.log >&2
				exit "${code:-0}"`, connect, clients, longest))
			into.lost = strings.Count(into.stderr, " aborted ")
			if found := transactionsForm.FindStringSubmatch(into.stdout); found != nil {
				into.transactions, _ = strconv.Atoi(found[1])
			}
		})
	}
	for i, connect := range []string{"", "--reconnect"} {
		wait.Go(func() {
			said := inPod(fmt.Sprintf(`timeout --signal=TERM %[3]d /myshop-api soak --clients %[2]d %[1]s &
				echo $! > /tmp/soak%[1]s.pid
				wait $!`, connect, clients, longest))
			if err := json.Unmarshal([]byte(said.stdout), &l.service[i]); err != nil {
				t.Errorf("the soak: %v\n%s", err, said)
			}
			l.service[i].result = said
		})
	}
	wait.Go(func() {
		said := inPod(`refused=0 gap=0 last=$(date +%s%3N)
			until [ -e /tmp/enough ] || [ "$SECONDS" -gt ` + strconv.Itoa(longest) + ` ]; do
				if PGCONNECT_TIMEOUT=5 psql "$DATABASE_URL" -XAtqc 'select 1' >/dev/null 2>&1; then
					now=$(date +%s%3N); [ $((now-last)) -le "$gap" ] || gap=$((now-last)); last=$now
				else
					refused=$((refused+1))
				fi
				sleep 0.2
			done
			echo "$refused $gap"`)
		var milliseconds int64
		if _, err := fmt.Sscan(said.stdout, &l.refused, &milliseconds); err != nil {
			t.Errorf("the lone client: %v\n%s", err, said)
		}
		l.gap = time.Duration(milliseconds) * time.Millisecond
	})
	// SIGALRM is pgbench's own signal for the end of its time. It then prints its results. A pgbench that has lost all
	// its clients has already ended.
	enough := sync.OnceValue(func() result {
		return inPod(
			"touch /tmp/enough; kill -ALRM $(cat /tmp/load.pid /tmp/load--connect.pid) || true; kill $(cat " +
				"/tmp/soak.pid /tmp/soak--reconnect.pid)",
		)
	})
	// Wait for the goroutines even if an assertion below ends the test.
	defer wait.Wait()
	defer enough()
	eventually(t, time.Minute, "all clients", func() (bool, string) {
		n := poolClients(t)
		progress := inPod("grep --count progress: /tmp/load.log /tmp/load--connect.log")
		return n >= 2*clients && progress.code == 0 && !strings.Contains(progress.stdout, ":0\n"),
			fmt.Sprintf("%d connections of clients, %s", n, progress.all())
	})
	started := time.Now()
	during()
	l.took = time.Since(started)
	said := enough()
	assert.Zero(t, said.code, "%s", said)
	assert.Less(t, l.took, longest*time.Second, "the load must last longer than the event")
	wait.Wait()
	t.Logf("%s", l)
	return l
}

// lossless asserts that no request failed.
func (l load) lossless(t *testing.T) {
	t.Helper()
	for _, b := range []bench{l.lasting, l.reconnecting} {
		assert.Zero(t, b.code, "%s", b)
		assert.Contains(t, b.stdout, "number of failed transactions: 0 ", "%s", b)
	}
	assert.Zero(t, l.refused, "%s", l)
	l.answered(t)
}

// answered asserts that no request of a service that retries failed.
func (l load) answered(t *testing.T) {
	t.Helper()
	for _, s := range l.service {
		assert.Zero(t, s.code, "%s\n%s", s, s.stderr)
		assert.Zero(t, s.Failed, "%s\n%s", s, s.stderr)
		assert.Positive(t, s.Answered, "%s\n%s", s, s.stderr)
	}
}

// poolClients counts the client connections to the service's database in the console of each pod of the pool.
func poolClients(t *testing.T) (n int) {
	t.Helper()
	all := outputs(t)
	for _, p := range poolPods(t) {
		answer := kubectl(t, "-n", namespace, "exec", p.Metadata.Name, "-c", all["poolContainer"].(string), "--",
			"psql", "-XAtqc", "SHOW CLIENTS", "host="+all["poolSocketDir"].(string)+" dbname=pgbouncer user=pgbouncer")
		n += strings.Count(answer, "|"+all["databaseName"].(string)+"|")
	}
	return n
}

// killServerConnections kills the PostgreSQL process of every session of the users and returns their number. A login in
// progress does not count.
func killServerConnections(t *testing.T, users ...string) (killed int) {
	t.Helper()
	for _, s := range sessions(cloudState(t)) {
		if s.loggedIn && slices.Contains(users, s.user) && syscall.Kill(s.pid, syscall.SIGTERM) == nil {
			killed++
		}
	}
	return killed
}

// directPassword returns the master password in the Secret for direct connections.
func directPassword(t *testing.T) string {
	t.Helper()
	dsn, err := url.Parse(secret(t, namespace, service+"-db-direct", "DATABASE_URL"))
	require.NoError(t, err, "the direct DSN is a URL")
	password, _ := dsn.User.Password()
	return password
}

func TestARotationOfTheMasterPasswordHealsByItselfAndLosesNoRequest(t *testing.T) {
	settled(t)
	master, before := masterCredentials(t)
	underLoad(t, func() {
		rotateMaster(t)
		eventually(t, 90*time.Second, "the direct Secret with the new password", func() (bool, string) {
			_, now := masterCredentials(t)
			return now != before && directPassword(t) == now, "the old password"
		})
	}).lossless(t)
	r := withTheDirectDSN(t, "select current_user")
	require.Zero(t, r.code, "%s", r)
	assert.Equal(t, master, strings.TrimSpace(r.stdout), "%s", r)
	mustDbtier(t, "verify", "--stack", "local")
}

// withTheDirectDSN queries the database from a pod of the migration's template.
func withTheDirectDSN(t *testing.T, sql string) result {
	t.Helper()
	var jobs struct {
		Items []struct {
			Spec struct {
				Template struct {
					Metadata struct{ Labels map[string]string }
					Spec     map[string]any
				}
			}
		}
	}
	decode(t, kubectl(t, "-n", namespace, "get", "jobs", "-l", "app.kubernetes.io/name="+service+"-migration", "-o",
		"json"), &jobs)
	require.Len(t, jobs.Items, 1, "only the migration of this version")
	spec := jobs.Items[0].Spec.Template.Spec
	container := spec["containers"].([]any)[0].(map[string]any)
	container["command"] = []string{"psql", "-X", "-At", "-d", "$(DATABASE_URL)", "-c", sql}
	delete(container, "args")
	apply(t, encode(t, map[string]any{
		"apiVersion": "v1", "kind": "Pod", "spec": spec,
		"metadata": map[string]any{
			"name": "direct", "namespace": namespace,
			"labels": map[string]string{"app.kubernetes.io/name": service + "-migration"},
		},
	}))
	tryKubectl(t, "", "-n", namespace, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s",
		"pod/direct")
	logs := tryKubectl(t, "", "-n", namespace, "logs", "direct")
	kubectl(t, "-n", namespace, "delete", "pod", "direct", "--now") // a test can ask again
	return logs
}

func rotateMaster(t *testing.T) {
	t.Helper()
	r := aws(t, "secretsmanager", "rotate-secret", "--secret-id", output(t, "masterSecretArn"))
	require.Zero(t, r.code, "%s", r)
}

func TestARotationOfTheApplicationsPasswordLosesNoRequest(t *testing.T) {
	settled(t)
	was := output(t, "databaseUser")
	next := withConfig(t, "config:\n", "config:\n  dbtier:role: {generation: 2}\n")
	underLoad(t, func() {
		r := next.run(t, "bin/dbtier", "up", "--stack", "local")
		require.Zero(t, r.code, "%s", r)
		poolIs(t, was)
	}).lossless(t)
	r := next.run(t, "bin/dbtier", "verify", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
}

// poolIs waits until the whole pool logs in as another user than before.
func poolIs(t *testing.T, was string) {
	t.Helper()
	now := output(t, "databaseUser")
	assert.NotEqual(t, was, now, "the other one of the two users")
	eventually(t, 90*time.Second, "the pool as "+now, func() (bool, string) {
		cloud := cloudState(t)
		of, old := serverConnections(cloud, now), serverConnections(cloud, was)
		return of > 0 && old == 0, fmt.Sprintf("%d connections of %s, %d of %s", of, now, old, was)
	})
}

// This rotation returns to the first generation, with a new password. Both users' passwords are valid until every pool
// has reread its files, so a pool that must log in again in the meantime can use either.
func TestARotationOfTheApplicationsPasswordLosesNoRequestThoughEveryServerConnectionIsKilled(t *testing.T) {
	settled(t)
	was := output(t, "databaseUser")
	killed := 0
	kill := func() { killed += killServerConnections(t, was, output(t, "databaseUser")) }
	l := underLoad(t, func() {
		kill()
		mustDbtier(t, "up", "--stack", "local")
		kill()
		poolIs(t, was)
		kill()
	})
	t.Logf("%d server connections killed", killed)
	assert.Positive(t, killed)
	assert.NotContains(t, l.all(), "authentication failed", "no login was refused")
	// A client that does not retry loses the answer of a killed session. If a login was in progress, it also loses its
	// place in the queue: PgBouncer rejects waiting clients during server_login_retry, one second.
	l.answered(t)
	assert.Less(t, l.gap, 5*time.Second)
	mustDbtier(t, "verify", "--stack", "local")
}

// The simplest configuration, in which the pool logs in as the master user, loses requests: between the rotation and
// the pool's reload its password is wrong. The test reports how many requests and for how long.
func TestARotationOfTheMasterUsersPoolIsBoundedThoughEveryServerConnectionIsKilled(t *testing.T) {
	settled(t)
	simplest := withConfig(t, "config:\n", "config:\n  dbtier:role: {poolUser: master}\n",
		"dbtier:drills:\n    enabled: true\n", "dbtier:drills:\n    enabled: false\n")
	r := simplest.run(t, "bin/dbtier", "up", "--stack", "local", "--allow-data-loss", "role-credential-1",
		"--allow-data-loss", "role-credential-2", "--allow-data-loss", "pool-kept-credential-1",
		"--allow-data-loss", "pool-kept-credential-2")
	require.Zero(t, r.code, "%s", r)
	master, _ := masterCredentials(t)
	eventually(t, 90*time.Second, "the pool as "+master, func() (bool, string) {
		r := throughEachPoolPod(t, "select current_user")
		return r.code == 0 && slices.Equal(slices.Compact(strings.Fields(r.stdout)), []string{master}), r.all()
	})
	killed := 0
	l := underLoad(t, func() {
		rotateMaster(t)
		killed = killServerConnections(t, master)
		// This needs no manual step: the operator fetches the password, the kubelet updates the file, and the pool
		// rereads it.
		eventually(t, 140*time.Second, "logins with the new password", func() (bool, string) {
			r := throughEachPoolPod(t, "select 1")
			if r.code != 0 {
				return false, r.all()
			}
			// A connection from before the rotation would not prove that the new password works.
			killServerConnections(t, master)
			r = throughEachPoolPod(t, "select 1")
			return r.code == 0, r.all()
		})
	})
	t.Logf("%d server connections killed", killed)
	assert.Positive(t, killed)
	assert.Positive(t, l.lasting.lost+l.reconnecting.lost, "the clients must notice the window")
	// The operator refreshes within one minute and the kubelet updates the file within one and a half. Then a login is
	// retried.
	assert.Less(t, l.gap, 140*time.Second)
	r = simplest.run(t, "bin/dbtier", "verify", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	mustDbtier(t, "up", "--stack", "local")
	mustDbtier(t, "verify", "--stack", "local")
}

func TestARebootOfTheInstanceUnderLoadEndsWithoutHandWork(t *testing.T) {
	settled(t)
	restarts := podRestarts(t)
	l := underLoad(t, func() {
		r := aws(t, "rds", "reboot-db-instance", "--db-instance-identifier", output(t, "databaseIdentifier"))
		require.Zero(t, r.code, "%s", r)
		eventually(t, 40*time.Second, "the database", func() (bool, string) {
			r := inServicePod(t, `psql "$DATABASE_URL" -XAtc 'select 1'`)
			return r.code == 0, r.all()
		})
	})
	assert.NotZero(t, l.lasting.lost+l.reconnecting.lost+l.refused, "the clients must notice the reboot")
	l.answered(t)
	assert.Less(t, l.gap, 40*time.Second)
	assert.Equal(t, restarts, podRestarts(t), "an unavailable database must not restart a pod")
	mustDbtier(t, "verify", "--stack", "local")
}

// podRestarts returns the pods of the service and the pool, each with the restart counts of its containers.
func podRestarts(t *testing.T) string {
	t.Helper()
	return kubectl(t, "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name in ("+service+","+pool+")", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount}{"\n"}{end}`)
}
