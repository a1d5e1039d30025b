//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDatabaseURLWorksFromAServicePodWhateverTheMasterPasswordHolds(t *testing.T) {
	r := inServicePod(t, `psql "$DATABASE_URL" -XAtc 'select current_database(), version()'`)
	require.Zero(t, r.code, "%s", r)
	assert.Contains(t, r.stdout, "PostgreSQL 16")

	_, master := masterCredentials(t)
	for _, c := range `:%#?*[&+` {
		assert.True(t, strings.ContainsRune(master, c),
			"the stand-in's master passwords contain every character that needs encoding in a URL")
	}
	direct, err := url.Parse(secret(t, namespace, service+"-db-direct", "DATABASE_URL"))
	require.NoError(t, err, "the direct DSN is a URL")
	password, _ := direct.User.Password()
	if password != master { // An assertion would print the password.
		t.Error("the direct DSN does not decode to the master password")
	}
	assert.Equal(t, "verify-full", direct.Query().Get("sslmode"))
}

// The service's login is generated with characters that have a meaning in URLs, shells and ini files, as another
// generator might do. The pool and the service use it without a change of the program.
func TestTheServicesOwnLoginMayHoldWhatTripsAURL(t *testing.T) {
	// A space is left out: the operator's templates can only write it as a plus, and RDS does not use it in passwords.
	const characters = `:%#?*[&+@/=;'"$`
	generator := strings.TrimSpace(kubectl(t, "-n", namespace, "get", "password.generators.external-secrets.io",
		pool+"-login", "-o", "jsonpath={.spec}"))
	t.Cleanup(func() { newLogin(t, generator) })
	password := newLogin(t, encode(t, map[string]any{
		"length": 256, "digits": 8, "symbols": 240, "symbolCharacters": characters, "allowRepeat": true,
	}))
	for _, c := range characters {
		// This assertion does not print the password.
		assert.True(t, strings.ContainsRune(password, c), "%q is in the password", c)
	}
	// The service has the login at once, each pod of the pool once its kubelet has updated the file.
	eventually(t, 2*time.Minute, "the pool with the new login", func() (bool, string) {
		r := throughEachPoolPod(t, "select current_user")
		return r.code == 0, r.all()
	})
	mustDbtier(t, "verify", "--stack", "local")
}

// newLogin lets the operator generate a new login for the service with the given generator spec, and restarts the
// service, whose environment contains the old one. It returns the password.
func newLogin(t *testing.T, generator string) string {
	t.Helper()
	login := pool + "-login"
	before := secret(t, namespace, login, "password")
	kubectl(t, "-n", namespace, "patch", "password.generators.external-secrets.io", login, "--type=json", "-p",
		`[{"op":"replace","path":"/spec","value":`+generator+`}]`)
	kubectl(t, "-n", namespace, "delete", "secret", login)
	eventually(t, time.Minute, "a new login", func() (bool, string) {
		r := tryKubectl(t, "", "-n", namespace, "get", "secret", login, "-o", "name")
		return r.code == 0 && secret(t, namespace, login, "password") != before, r.stderr
	})
	after := secret(t, namespace, login, "password")
	// The pool and the service read a copy that is made once, so that a lost Secret does not change their login.
	kept := pool + "-kept-login"
	kubectl(t, "-n", namespace, "delete", "secret", kept)
	eventually(t, time.Minute, "a copy of the new login", func() (bool, string) {
		r := tryKubectl(t, "", "-n", namespace, "get", "secret", kept, "-o", "name")
		return r.code == 0 && secret(t, namespace, kept, "password") == after, r.stderr
	})
	for _, dependent := range []string{service + "-db", pool + "-config"} {
		kubectl(t, "-n", namespace, "annotate", "externalsecret", dependent, "--overwrite",
			fmt.Sprintf("force-sync=%d", time.Now().UnixNano()))
	}
	eventually(t, time.Minute, "DATABASE_URL with the new login", func() (bool, string) {
		dsn, err := url.Parse(secret(t, namespace, service+"-db", "DATABASE_URL"))
		if err != nil {
			return false, "DATABASE_URL is not a URL" // The error would contain its text.
		}
		password, _ := dsn.User.Password()
		return password == after, "the old login"
	})
	kubectl(t, "-n", namespace, "rollout", "restart", "deployment", service)
	kubectl(t, "-n", namespace, "rollout", "status", "deployment", service, "--timeout=180s")
	return after
}

// A pod of the pool's template runs beside the pool, once unchanged and once with another authority's certificate.
func TestThePoolRefusesAServerWhoseCertificateItCannotVerify(t *testing.T) {
	own := kubectl(t, "-n", namespace, "get", "deployment", pool, "-o",
		`jsonpath={.spec.template.spec.volumes[?(@.configMap)].configMap.name}`)
	right := sessionThroughAPoolWith(t, "pool-right-ca", own)
	assert.Contains(t, right.stdout, "reached", "%s", right)

	kubeCA := "kube-root-ca.crt" // Every namespace has this authority. It signs no certificate of RDS.
	var authority struct{ Data map[string]string }
	decode(t, kubectl(t, "-n", namespace, "get", "configmap", kubeCA, "-o", "json"), &authority)
	var bundle struct{ Data map[string]string }
	decode(t, kubectl(t, "-n", namespace, "get", "configmap", own, "-o", "json"), &bundle)
	other := map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "pool-wrong-ca", "namespace": namespace}, "data": map[string]string{},
	}
	for key := range bundle.Data {
		other["data"].(map[string]string)[key] = authority.Data["ca.crt"]
	}
	apply(t, encode(t, other))
	wrong := sessionThroughAPoolWith(t, "pool-wrong-ca", "pool-wrong-ca")
	assert.NotZero(t, wrong.code, "%s", wrong)
	assert.NotContains(t, wrong.stdout, "reached")
	log := kubectl(t, "-n", namespace, "logs", "pool-wrong-ca", "-c", pool)
	assert.Contains(t, log, "certificate verify failed")
}

func encode(t *testing.T, object any) string {
	t.Helper()
	text, err := json.Marshal(object)
	require.NoError(t, err)
	return string(text)
}

// sessionThroughAPoolWith starts a pod of the pool's template with the given authorities and opens a session through
// it.
func sessionThroughAPoolWith(t *testing.T, name, authorities string) result {
	t.Helper()
	var deployment struct {
		Spec struct{ Template struct{ Spec map[string]any } }
	}
	decode(t, kubectl(t, "-n", namespace, "get", "deployment", pool, "-o", "json"), &deployment)
	spec := deployment.Spec.Template.Spec
	delete(spec, "initContainers")
	delete(spec, "topologySpreadConstraints")
	for _, container := range spec["containers"].([]any) {
		delete(container.(map[string]any), "lifecycle")
	}
	spec["terminationGracePeriodSeconds"] = 0
	for _, v := range spec["volumes"].([]any) {
		if source, ok := v.(map[string]any)["configMap"].(map[string]any); ok {
			source["name"] = authorities
		}
	}
	apply(t, encode(t, map[string]any{
		"apiVersion": "v1", "kind": "Pod", "spec": spec,
		// Pods with the migration's label may reach the database, and no Service routes to them.
		"metadata": map[string]any{
			"name": name, "namespace": namespace,
			"labels": map[string]string{"app.kubernetes.io/name": service + "-migration"},
		},
	}))
	ready := tryKubectl(t, "", "-n", namespace, "wait", "--for=condition=Ready", "--timeout=60s", "pod/"+name)
	require.Zero(t, ready.code, "%s", ready)
	login, err := url.Parse(secret(t, namespace, service+"-db", "DATABASE_URL"))
	require.NoError(t, err)
	password, _ := login.User.Password()
	script := fmt.Sprintf(
		`read -r PGPASSWORD; export PGPASSWORD; PGCONNECT_TIMEOUT=20 psql -X -At -h 127.0.0.1 -p 6432 -U %s -d %s -c "select 'reached'"`,
		login.User.Username(), strings.TrimPrefix(login.Path, "/"))
	return tryKubectl(t, password+"\n", "-n", namespace, "exec", "-i", name, "-c", pool, "--", "bash", "-c", script)
}

// session is a PostgreSQL process that serves a connection.
type session struct {
	pid  int
	user string
	// loggedIn reports that the login has completed.
	loggedIn bool
}

// sessions returns the sessions of this cloud's databases from the process list. A cloud that has stopped has none.
func sessions(cloud int) []session {
	within, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", cloud))
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []session
	for _, e := range entries {
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		// postgres: USER DATABASE HOST STATE
		title := strings.Fields(strings.TrimRight(string(line), "\x00"))
		if err != nil || len(title) < 5 || title[0] != "postgres:" {
			continue
		}
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if space, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); err == nil && space == within {
			found = append(found, session{
				pid: pid, user: title[1],
				loggedIn: title[4] != "authentication" && title[4] != "startup",
			})
		}
	}
	return found
}

// serverConnections counts the sessions of a user.
func serverConnections(cloud int, user string) int {
	n := 0
	for _, s := range sessions(cloud) {
		if s.user == user {
			n++
		}
	}
	return n
}

func TestTwoHundredFiftyClientConnectionsEndInAtMostFortyServerConnections(t *testing.T) {
	user := output(t, "databaseUser")
	cloud := cloudState(t)
	kubectl(t, "-n", namespace, "scale", "deployment", service, "--replicas=5")
	t.Cleanup(func() {
		replicas := "2"
		kubectl(t, "-n", namespace, "scale", "deployment", service, "--replicas="+replicas)
	})
	kubectl(t, "-n", namespace, "rollout", "status", "deployment", service, "--timeout=120s")

	var most atomic.Int64
	done := make(chan struct{})
	sampled := make(chan struct{})
	go func() {
		defer close(sampled)
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				most.Store(max(most.Load(), int64(serverConnections(cloud, user))))
			}
		}
	}()

	pods := strings.Fields(kubectl(t, "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name="+service, "-o",
		`jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name} {end}`))
	require.GreaterOrEqual(t, len(pods), 5)
	results := make(chan result, 5)
	const load = `printf 'select count(*) from pg_class;\n' > /tmp/q.sql
pgbench --no-vacuum --client=50 --jobs=2 --time=15 --file=/tmp/q.sql "$DATABASE_URL"`
	for _, pod := range pods[:5] {
		go func() {
			results <- tryKubectl(t, "", "-n", namespace, "exec", pod, "-c", service, "--", "bash", "-c", load)
		}()
	}
	for range 5 {
		r := <-results
		assert.Zero(t, r.code, "%s", r)
		assert.Contains(t, r.stdout, "number of failed transactions: 0 ", "%s", r)
		assert.Contains(t, r.stdout, "number of clients: 50")
	}
	close(done)
	<-sampled
	t.Logf("most server connections of %s at once: %d", user, most.Load())
	assert.LessOrEqual(t, most.Load(), int64(40))
	assert.Positive(t, most.Load(), "the sampling must have observed the load")
}

// A person's session cannot change the service's, and verify finds what the service itself leaves on the pool's server
// connections.
func TestNothingOfASessionReachesTheServiceUnseen(t *testing.T) {
	const leave = "set default_transaction_deferrable = on"
	for range 6 {
		r := mustDbtier(t, "local", "psql", "-XAtc", leave, "-c", "select current_user || ' ' || current_database()")
		assert.Contains(t, r.stdout, "myshop_app_")
	}
	for range 6 {
		r := throughEachPoolPod(t, "show transaction_deferrable")
		require.Zero(t, r.code, "%s", r)
		assert.Equal(t, []string{"off", "off"}, strings.Fields(r.stdout))
	}
	mustDbtier(t, "verify", "--stack", "local")

	t.Cleanup(func() {
		kubectl(t, "-n", namespace, "rollout", "restart", "deployment", pool)
		kubectl(t, "-n", namespace, "rollout", "status", "deployment", pool, "--timeout=5m")
	})
	require.Zero(t, throughEachPoolPod(t, leave).code)
	r := dbtier(t, "verify", "--stack", "local")
	assert.NotZero(t, r.code, "%s", r)
	assert.Contains(t, r.all(), "the server connections of pgbouncer: default_transaction_deferrable = on")
	assert.Contains(t, r.all(), "rollout restart deployment pgbouncer")
}
