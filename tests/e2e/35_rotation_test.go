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

// clients are how many of each kind a load has.
const clients = 50

// load is what became of the clients while something happened.
type load struct {
	lasting, reconnecting bench
	// service is what the requests of the example service got, which asks again (examples/myshop-api/again.go): as many
	// clients of each kind.
	service [2]soaked
	// refused is how often a lone client that asks again at once could not connect or was not answered.
	refused int
	// gap is the longest time between two answers that it got.
	gap time.Duration
	// took is how long that what happened lasted.
	took time.Duration
}

// bench is how a run of pgbench ended.
type bench struct {
	result
	transactions int
	// lost are the clients that ended before the time: pgbench gives one up at the first error that is not a
	// serialization failure.
	lost int
}

// soaked is what the clients of the service's own soak got.
type soaked struct {
	result
	Answered, Failed int
	LongestSeconds   float64
	// Error is one of those that requests failed with.
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
			"%d lost; "+
			"one that tries again: %d refusals, at most %s without an answer; requests of a service that asks again, "+
			"over lasting connections: %s; over new ones: %s; in %s",
		clients, l.lasting.transactions, l.lasting.lost, clients, l.reconnecting.transactions, l.reconnecting.lost,
		l.refused, l.gap.Round(10*time.Millisecond),
		l.service[0], l.service[1], l.took.Round(time.Second))
}

func (l load) all() string { return l.lasting.all() + l.reconnecting.all() }

var transactionsForm = regexp.MustCompile(`number of transactions actually processed: (\d+)`)

// longest ends a load that nobody ends, in seconds.
const longest = 240

// underLoad runs something while a hundred clients of pgbench in a service pod, and as many of the service itself, ask
// the database, half of each over connections that last, half over ones made anew for each transaction, and hands back
// what became of them.
func underLoad(t *testing.T, during func()) load {
	t.Helper()
	pod := servicePod(t)
	inPod := func(script string) result {
		return tryKubectl(t, "", "-n", namespace, "exec", pod, "-c", service, "--", "bash", "-ec", script)
	}
	inPod("rm -f /tmp/enough /tmp/load* /tmp/soak*")
	var l load
	var wait sync.WaitGroup
	for connect, into := range map[string]*bench{"": &l.lasting, "--connect": &l.reconnecting} {
		wait.Go(func() {
			// A rate that leaves the machine and the pool's one thread room: what is asked is whether any is lost, not
			// how many there can be.
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
	// Its own alarm is how pgbench knows that its time is over; it then tells what it did. One that has lost all its
	// clients has ended by itself.
	enough := sync.OnceValue(func() result {
		return inPod(
			"touch /tmp/enough; kill -ALRM $(cat /tmp/load.pid /tmp/load--connect.pid) || true; kill $(cat " +
				"/tmp/soak.pid /tmp/soak--reconnect.pid)",
		)
	})
	// Also when what follows ends the test.
	defer wait.Wait()
	defer enough()
	eventually(t, time.Minute, "all clients", func() (bool, string) {
		n := poolClients(t)
		told := inPod("grep --count progress: /tmp/load.log /tmp/load--connect.log")
		return n >= 2*clients && told.code == 0 && !strings.Contains(told.stdout, ":0\n"),
			fmt.Sprintf("%d connections of clients, %s", n, told.all())
	})
	started := time.Now()
	during()
	l.took = time.Since(started)
	said := enough()
	assert.Zero(t, said.code, "%s", said)
	assert.Less(t, l.took, longest*time.Second, "the load must last longer than what it is there for")
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

// answered asserts that no request of a service that asks again failed.
func (l load) answered(t *testing.T) {
	t.Helper()
	for _, s := range l.service {
		assert.Zero(t, s.code, "%s\n%s", s, s.stderr)
		assert.Zero(t, s.Failed, "%s\n%s", s, s.stderr)
		assert.Positive(t, s.Answered, "%s\n%s", s, s.stderr)
	}
}

// poolClients counts the connections of clients to the service's database, as the console of each pod of the pool knows
// them.
func poolClients(t *testing.T) (n int) {
	t.Helper()
	pods := strings.Fields(kubectl(t, "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name="+pool, "-o",
		"jsonpath={.items[*].metadata.name}"))
	require.NotEmpty(t, pods)
	all := outputs(t)
	for _, pod := range pods {
		answer := kubectl(t, "-n", namespace, "exec", pod, "-c", all["poolContainer"].(string), "--",
			"psql", "-XAtqc", "SHOW CLIENTS", "host="+all["poolSocketDir"].(string)+" dbname=pgbouncer user=pgbouncer")
		n += strings.Count(answer, "|"+all["databaseName"].(string)+"|")
	}
	return n
}

// killServerConnections ends every session of the users, as the end of the process that PostgreSQL forked for it, and
// tells how many there were. A login that is under way is none yet.
func killServerConnections(t *testing.T, users ...string) (killed int) {
	t.Helper()
	for _, s := range sessions(cloudState(t)) {
		if s.begun && slices.Contains(users, s.user) && syscall.Kill(s.pid, syscall.SIGTERM) == nil {
			killed++
		}
	}
	return killed
}

// directPassword is the master password in the Secret of the direct connections.
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

// withTheDirectDSN asks the database from a pod of the migration's own template.
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
	require.Len(t, jobs.Items, 1, "the migration of this version, and no other")
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
	return tryKubectl(t, "", "-n", namespace, "logs", "direct")
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

// poolIs waits until the whole pool is another user than before.
func poolIs(t *testing.T, was string) {
	t.Helper()
	now := output(t, "databaseUser")
	assert.NotEqual(t, was, now, "the other of the two users")
	eventually(t, 90*time.Second, "the pool as "+now, func() (bool, string) {
		cloud := cloudState(t)
		of, old := serverConnections(cloud, now), serverConnections(cloud, was)
		return of > 0 && old == 0, fmt.Sprintf("%d connections of %s, %d of %s", of, now, old, was)
	})
}

// The way back to the first generation, whose password is new again. Both users' passwords are valid until every pool
// has reread its files, so a pool that must log in anew within that time can, whichever of the two it knows.
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
	// A client that does not ask again loses what a killed session was about to answer, and, when a login was under way
	// as well, its place in the line: PgBouncer turns those who wait away for server_login_retry, a second.
	l.answered(t)
	assert.Less(t, l.gap, 5*time.Second)
	mustDbtier(t, "verify", "--stack", "local")
}

// The simplest set-up, in which the pool is the master user, is the one that loses requests: between the rotation and
// the pool's reload the password it knows is wrong. How many and for how long is reported.
func TestARotationOfTheMasterUsersPoolIsBoundedThoughEveryServerConnectionIsKilled(t *testing.T) {
	settled(t)
	simplest := withConfig(t, "config:\n", "config:\n  dbtier:role: {poolUser: master}\n")
	r := simplest.run(t, "bin/dbtier", "up", "--stack", "local", "--allow-data-loss", "role-credential-1",
		"--allow-data-loss", "role-credential-2")
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
		// Without a hand: the operator fetches, the kubelet brings the file, the pool rereads it.
		eventually(t, 140*time.Second, "logins with the new password", func() (bool, string) {
			r := throughEachPoolPod(t, "select 1")
			if r.code != 0 {
				return false, r.all()
			}
			// A connection from before the rotation would say nothing of the password.
			killServerConnections(t, master)
			r = throughEachPoolPod(t, "select 1")
			return r.code == 0, r.all()
		})
	})
	t.Logf("%d server connections killed", killed)
	assert.Positive(t, killed)
	assert.Positive(t, l.lasting.lost+l.reconnecting.lost, "a window that no client noticed was none")
	// A minute until the operator looks again, one and a half until the kubelet brings the file, and the retry of a
	// login.
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
	assert.NotZero(t, l.lasting.lost+l.reconnecting.lost+l.refused, "a reboot that no client noticed was none")
	l.answered(t)
	assert.Less(t, l.gap, 40*time.Second)
	assert.Equal(t, restarts, podRestarts(t), "a database that is away is no reason to restart a pod")
	mustDbtier(t, "verify", "--stack", "local")
}

// podRestarts are the pods of the service and the pool, each with how often its containers were restarted.
func podRestarts(t *testing.T) string {
	t.Helper()
	return kubectl(t, "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name in ("+service+","+pool+")", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount}{"\n"}{end}`)
}
