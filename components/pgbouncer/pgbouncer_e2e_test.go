//go:build e2e

package pgbouncer_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/pgbouncer"
)

// Users inside. The pool's user has no name in the image, as in a pod. initdb needs a name for the server's.
const (
	uid       = 10001
	serverUID = 10002

	databaseHost = "database.test"

	// refused is PgBouncer's message to a login that its rules do not list.
	refused = "no authentication method is found"
)

// The pool's container, rendered by the component, runs from the local cloud's Debian files (PgBouncer, psql, sh)
// against a PostgreSQL with TLS and SCRAM. The test needs root and an earlier `bin/localcloud build`.
func TestTheRealPgBouncerSurvivesARotation(t *testing.T) {
	const first, second = `f1rst"p'a\ss {{%}}`, `s3cond'"~`
	box := newBox(t)
	server := box.startPostgres(first)

	args := arguments()
	args.ContainerPort = freePort(t)
	args.CABundle = string(server.authority)
	args.Databases = []pgbouncer.Database{{
		Name: "myshop", DBName: "postgres", Host: pulumi.String(databaseHost),
		Port: pulumi.Int(server.port),
	}}
	recorded := componenttest.Run(t, create(args))
	pod := componenttest.At(recorded.One(t, deploymentType).Inputs, "spec", "template", "spec")
	box.mountCA(args.CABundle)
	config := templates(t, recorded, "pool-config")
	values := secrets()
	values["databasePassword"] = first
	box.project(config, values)

	reloader := box.start(componenttest.At(pod, "initContainers", 0))
	pool := box.start(componenttest.At(pod, "containers", 0))
	pool.waitFor(t, "process up")
	reloader.waitFor(t, "has read version")

	dsn, err := url.Parse(render(t, templates(t, recorded, "pool-consumer-secret")["DATABASE_URL"], values))
	require.NoError(t, err)
	dsn.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(args.ContainerPort))
	assert.Equal(t, "myshop_admin true", box.query(dsn.String(),
		`select current_user || ' ' || ssl from pg_stat_ssl where pid = pg_backend_pid()`),
		"the service's login becomes the database user, over TLS that was verified")

	console := box.psql(componenttest.At(pod, "containers", 0), "--command=SHOW POOLS")
	assert.Contains(t, console, "myshop|myshop_admin|", "the console opens over the socket without a password")

	// The rotation: RDS changes the password, the operator fills the templates again, the kubelet updates the files.
	server.setPassword(second)
	assert.Equal(t, "1", box.query(dsn.String(), "select 1"), "open server connections outlive the change")
	values["databasePassword"] = second
	before := time.Now()
	box.project(config, values)
	reloader.waitFor(t, "has read version")
	t.Logf("PgBouncer took the new password %s after the files changed", time.Since(before).Round(time.Millisecond))

	// New server connections need the new password.
	server.run("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'myshop_admin'")
	require.Eventually(t, func() bool {
		out,
			err := box.try(dsn.String(), "select 1")
		return err == nil && out == "1"
	},
		20*time.Second, 200*time.Millisecond, "no connection with the new password")

	_, err = box.try(strings.Replace(dsn.String(), "myshop_api:", "myshop_admin:", 1), "select 1")
	require.ErrorContains(t, err, refused, "the database user itself cannot log in to the pool with any password")
	other := *dsn
	other.Path = "/postgres"
	_, err = box.try(other.String(), "select 1")
	require.ErrorContains(t, err, refused, "only the databases that were named")

	// After SIGTERM the pool waits for its clients and accepts no new ones.
	client := box.run(nil, "psql", dsn.String(), "--no-psqlrc", "--command=select pg_sleep(2)",
		"--command=select 'served to the' || ' end'")
	require.Eventually(t, func() bool {
		return strings.Contains(server.run("select query from pg_stat_activity where usename = 'myshop_admin'"),
			"pg_sleep")
	}, 20*time.Second, 50*time.Millisecond)
	require.NoError(t, pool.command.Process.Signal(syscall.SIGTERM))
	pool.waitFor(t, "waiting for all clients disconnect")
	_, err = box.try(dsn.String(), "select 1")
	require.Error(t, err)
	client.waitFor(t, "served to the end")
	pool.ends(t, 10*time.Second)
	require.NoError(t, reloader.command.Process.Signal(syscall.SIGTERM))
	reloader.ends(t, 10*time.Second)
}

// Tests two logins with their database users, the console for the Job after a migration, and the exporter's rights with
// the real PgBouncer.
func TestTheRealPgBouncerKeepsLoginsApart(t *testing.T) {
	box := newBox(t)
	server := box.startPostgres("d4tabase")
	server.run("create role reader login password 'd1'")

	args := arguments()
	args.ContainerPort = freePort(t)
	args.CABundle = string(server.authority)
	args.Databases = []pgbouncer.Database{{
		Name: "myshop", DBName: "postgres", Host: pulumi.String(databaseHost),
		Port: pulumi.Int(server.port),
	}}
	args.Logins = []pgbouncer.Login{{
		Name: "reports", Credential: pgbouncer.Credential{Key: pulumi.String("reports")},
		PoolSize: 1, PoolMode: pgbouncer.Session,
	}}
	args.Console = &pgbouncer.Client{Labels: map[string]string{"app": "reconnect"}}
	args.Metrics.Enabled = true
	recorded := componenttest.Run(t, create(args))
	pod := componenttest.At(recorded.One(t, deploymentType).Inputs, "spec", "template", "spec")
	container := componenttest.At(pod, "containers", 0)
	box.mountCA(args.CABundle)
	box.project(templates(t, recorded, "pool-config"), sharedSecrets())
	box.start(container).waitFor(t, "process up")

	at := func(secret string) *url.URL {
		dsn, err := url.Parse(render(t, templates(t, recorded, secret)["DATABASE_URL"], sharedSecrets()))
		require.NoError(t, err)
		dsn.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(args.ContainerPort))
		return dsn
	}
	service, reports := at("pool-consumer-secret"), at("pool-consumer-secret-reports")
	assert.Equal(t, "myshop_admin", box.query(service.String(), "select current_user"))
	assert.Equal(t, "reader postgres", box.query(reports.String(), "select current_user || ' ' || current_database()"))
	stolen := *service
	stolen.Path = reports.Path
	_, err := box.try(stolen.String(), "select 1")
	require.ErrorContains(t, err, refused, "a login cannot be another's database user")
	stolen.Path = "/pgbouncer"
	_, err = box.try(stolen.String(), "SHOW POOLS")
	require.ErrorContains(t, err, "not allowed")

	console := box.psql(container, "--command=SHOW DATABASES")
	assert.Contains(t, console, "myshop_reports|")
	assert.Regexp(t, `myshop_reports\|[^\n]*\|reader\|1\|[^\n]*\|session\|\|1\|`, console,
		"its own pool's size and mode")

	// The Job after a migration makes each pod use new connections.
	script, err := os.ReadFile("../migrationjob/reconnect.sh")
	require.NoError(t, err)
	reconnect := func(user, password string) (string, error) {
		return box.output([]string{
			"PGUSER=" + user, "PGPASSWORD=" + password, "PGDATABASE=pgbouncer", "PGCONNECT_TIMEOUT=5",
			"PGPORT=" + strconv.Itoa(args.ContainerPort),
			"POOL_HOST=" + databaseHost, "POOL_WAIT_SECONDS=1",
		}, "sh", "-c", string(script))
	}
	before := box.query(service.String(), "select pg_backend_pid()")
	require.Equal(t, before, box.query(service.String(), "select pg_backend_pid()"), "the pool keeps its connections")
	said, err := reconnect("console", "c")
	require.NoError(t, err)
	assert.Contains(t, said, "pod 127.0.0.1 of the pool opens new connections")
	assert.NotEqual(t, before, box.query(service.String(), "select pg_backend_pid()"))
	_, err = reconnect("console", "wrong")
	require.ErrorContains(t, err, "were not reached: 127.0.0.1")
	_, err = box.try(fmt.Sprintf("postgresql://console:c@%s/myshop", service.Host), "select 1")
	require.ErrorContains(t, err, refused, "the console's login reaches no database")

	// The exporter has another user id.
	look := func(user, command string) (string, error) {
		return box.as(uid+1).output(nil, "psql",
			fmt.Sprintf("host=%s port=%d user=%s dbname=pgbouncer", pgbouncer.SocketDir, args.ContainerPort, user),
			"--no-psqlrc", "--no-align", "--tuples-only", "--command="+command)
	}
	pools, err := look("metrics", "SHOW POOLS")
	require.NoError(t, err)
	assert.Contains(t, pools, "myshop_reports|reader|")
	_, err = look("metrics", "RECONNECT")
	require.ErrorContains(t, err, "admin access needed")
	_, err = look("pgbouncer", "SHOW POOLS")
	require.ErrorContains(t, err, refused, "only PgBouncer's own user id is the administrator")
	_, err = box.try(fmt.Sprintf("postgresql://metrics@%s/pgbouncer", service.Host), "SHOW POOLS")
	require.ErrorContains(t, err, refused, "not over the network")
}

// Tests the resolver of the real PgBouncer, and its liveness probe, in a container where no name server answers.
func TestTheRealPgBouncerRecoversFromAFailedLookup(t *testing.T) {
	box := newBox(t)
	server := box.startPostgres("d4tabase")
	version, err := box.output(nil, "pgbouncer", "--version")
	require.NoError(t, err)
	assert.Contains(t, version, "adns: c-ares", "libevent's resolver may not recover")

	args := arguments()
	args.ContainerPort = freePort(t)
	args.CABundle = string(server.authority)
	args.QueryWaitTimeout = 2
	args.Databases = []pgbouncer.Database{{
		Name: "myshop", DBName: "postgres", Host: pulumi.String(databaseHost),
		Port: pulumi.Int(server.port),
	}}
	recorded := componenttest.Run(t, create(args))
	container := componenttest.At(recorded.One(t, deploymentType).Inputs, "spec", "template", "spec", "containers", 0)
	box.mountCA(args.CABundle)
	box.project(templates(t, recorded, "pool-config"), sharedSecrets())
	hosts := box.path("root", "etc", "hosts")
	known, err := os.ReadFile(hosts)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(hosts, nil, 0o644))
	box.start(container).waitFor(t, "process up")
	dsn, err := url.Parse(render(t, templates(t, recorded, "pool-consumer-secret")["DATABASE_URL"], sharedSecrets()))
	require.NoError(t, err)
	dsn.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(args.ContainerPort))

	// The probe's own lookup fails like PgBouncer's, or succeeds by a program in its place.
	require.NoError(t, os.MkdirAll(box.path("root", "tmp", "resolves"), 0o755))
	require.NoError(t, os.WriteFile(box.path("root", "tmp", "resolves", "getent"), []byte("#!/bin/sh\n"), 0o755))
	alive := func(path string) (bool, string) {
		var words []string
		for _, word := range componenttest.At(container, "livenessProbe", "exec", "command").([]any) {
			words = append(words, word.(string))
		}
		words[len(words)-1] = "3"
		probe := box.command(t.Context(), append(environment(container), "PATH="+path+"/usr/sbin:/usr/bin:/sbin:/bin"), words...)
		out, err := probe.CombinedOutput()
		return err == nil, string(out)
	}
	const resolves, fails = "/tmp/resolves:", ""
	require.Eventually(t, func() bool {
		_, err := box.try(dsn.String(), "select 1")
		live, said := alive(fails)
		assert.True(t, live, said)
		seen, problem := box.output(environment(container), "psql", "--no-psqlrc", "--tuples-only", "--no-align",
			"--command=SHOW DNS_HOSTS")
		return err != nil && problem == nil && strings.Contains(seen, databaseHost+"|")
	}, 30*time.Second, 100*time.Millisecond)
	require.Eventually(t, func() bool {
		_, err := box.try(dsn.String(), "select 1")
		live, said := alive(resolves)
		return err != nil && !live && strings.Contains(said, "has not resolved "+databaseHost)
	}, 60*time.Second, 100*time.Millisecond, "a process that cannot resolve what its container can is ended")

	// The name resolves again, and the process has not been restarted.
	require.NoError(t, os.WriteFile(hosts, known, 0o644))
	require.Eventually(t, func() bool {
		out, err := box.try(dsn.String(), "select 1")
		return err == nil && out == "1"
	}, 20*time.Second, 200*time.Millisecond, "PgBouncer does not recover by itself")
	live, said := alive(resolves)
	assert.True(t, live, said)
}

// In transaction mode what a client sets stays on the server connection for the next client. The database for people and
// tools has server connections of its own.
func TestTheRealPgBouncerKeepsSessionsOffTheServicesConnections(t *testing.T) {
	const leave = "set default_transaction_deferrable = on"
	box := newBox(t)
	server := box.startPostgres("d4tabase")
	start := func(args *pgbouncer.PgBouncerPoolArgs) (service, people string) {
		args.ContainerPort = freePort(t)
		args.CABundle = string(server.authority)
		args.DefaultPoolSize = 1
		args.Databases = []pgbouncer.Database{{
			Name: "myshop", DBName: "postgres", Host: pulumi.String(databaseHost), Port: pulumi.Int(server.port),
		}}
		recorded := componenttest.Run(t, create(args))
		container := componenttest.At(recorded.One(t, deploymentType).Inputs, "spec", "template", "spec", "containers", 0)
		box.mountCA(args.CABundle)
		box.project(templates(t, recorded, "pool-config"), secrets())
		box.start(container).waitFor(t, "process up")
		dsn, err := url.Parse(render(t, templates(t, recorded, "pool-consumer-secret")["DATABASE_URL"], secrets()))
		require.NoError(t, err)
		dsn.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(args.ContainerPort))
		return dsn.String(), dsn.String() + "&dbname=" + pgbouncer.SessionDatabase("myshop")
	}
	const deferrable = "show transaction_deferrable"
	service, people := start(arguments())
	require.Equal(t, "off", box.query(service, deferrable))
	assert.Equal(t, "myshop_admin postgres", box.query(people, "select current_user || ' ' || current_database()"))
	for range 4 {
		box.query(people, leave)
	}
	assert.Equal(t, "off", box.query(service, deferrable))
	assert.Equal(t, "off", box.query(people, deferrable), "nor does it reach the next person")

	box.query(service, leave)
	assert.Equal(t, "on", box.query(service, deferrable), "a client of the service's own pool reaches the next one")
	left, err := os.ReadFile("../../internal/verify/left.sql")
	require.NoError(t, err)
	look := func() string {
		out, err := box.output(nil, "sh", "-c", `printf '%s' "$1" | psql "$2" -XqAt --set=tracked=application_name,`+
			`client_encoding,datestyle,standard_conforming_strings,timezone,intervalstyle`, "sh", string(left), service)
		require.NoError(t, err)
		return out
	}
	assert.Contains(t, look(), "left default_transaction_deferrable = on")
	// PostgreSQL reports changes of this setting, so PgBouncer restores it for each client.
	box.query(service, "set default_transaction_read_only = on")
	assert.Equal(t, "off", box.query(service, "show transaction_read_only"))
	assert.NotContains(t, look(), "left default_transaction_read_only")
	for _, sql := range []string{
		leave + "; reset default_transaction_deferrable", "select pg_advisory_lock(1)", "create temporary table kept (id int)",
		"listen news", "prepare mine as select 1", "declare far cursor with hold for select 1", "set role reader",
	} {
		if sql == "set role reader" {
			server.run("create role reader; grant reader to myshop_admin")
		}
		box.query(service, sql)
	}
	for _, what := range []string{
		"an advisory lock", "temporary table kept", "LISTEN news", "prepared statement mine", "cursor far", "role reader",
	} {
		assert.Contains(t, look(), "left "+what)
	}

	args := arguments()
	args.ServerResetQueryAlways = true
	service, _ = start(args)
	box.query(service, leave)
	assert.Equal(t, "off", box.query(service, deferrable))
	assert.NotContains(t, look(), "left")
}

// box is a mount namespace with a container's files where Kubernetes would mount them.
type box struct {
	t       *testing.T
	dir     string
	pid     int
	uid     int
	version int
}

func newBox(t *testing.T) *box {
	t.Helper()
	require.Zero(t, os.Geteuid(), "run this test as root: it makes mounts")
	cache, err := filepath.Abs("../../.localcloud/cache")
	require.NoError(t, err)
	for _, part := range []string{"rootfs", "postgres"} {
		_, err := os.Stat(filepath.Join(cache, part))
		require.NoError(t, err, "the local cloud's artefacts are missing: run `bin/localcloud build` first")
	}
	b := &box{t: t, dir: t.TempDir(), uid: uid}
	// The parent folders belong to root only, but inside the namespace they are not part of the path.
	script := `set -e
mount -t tmpfs none "$1"
cd "$1"
mkdir upper work root files ca run etc-pgbouncer
chown ` + strconv.Itoa(uid) + ` run
chmod 0755 . files ca
mount -t overlay none -o "lowerdir=$2/rootfs,upperdir=upper,workdir=work" root
mkdir -p root/etc/pgbouncer root/etc/pgbouncer-ca root/run/pgbouncer root/pgsql root/data
rm -f root/etc/pgbouncer/*
mount --bind files root/etc/pgbouncer
mount --bind ca root/etc/pgbouncer-ca
mount --bind run root/run/pgbouncer
mount --bind "$2/postgres" root/pgsql
# The server needs a library that the pool's image does not have.
cp -L /usr/lib/x86_64-linux-gnu/libstdc++.so.6 root/usr/lib/x86_64-linux-gnu/
mount --bind /dev root/dev
mount -t proc none root/proc
echo "127.0.0.1 ` + databaseHost + `" >root/etc/hosts
chown ` + strconv.Itoa(serverUID) + ` root/data
echo "server:x:` + strconv.Itoa(serverUID) + `:0::/:/bin/sh" >>root/etc/passwd
echo ready
exec cat`
	holder := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-c", script,
		"sh", b.dir, cache)
	holder.Stderr = os.Stderr
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := holder.StdinPipe()
	require.NoError(t, err)
	out, err := holder.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, holder.Start())
	t.Cleanup(func() { _ = in.Close(); _ = holder.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", line)
	b.pid = holder.Process.Pid
	return b
}

// path returns the path of a file of the namespace for this process.
func (b *box) path(parts ...string) string {
	return filepath.Join(append([]string{fmt.Sprintf("/proc/%d/root", b.pid), b.dir}, parts...)...)
}

// as returns the same box for another user.
func (b *box) as(user int) *box {
	other := *b
	other.uid = user
	return &other
}

// command returns a command that runs inside as the box's user.
func (b *box) command(ctx context.Context, env []string, words ...string) *exec.Cmd {
	user := fmt.Sprintf("%d:%d", b.uid, b.uid)
	args := append([]string{
		"--target", strconv.Itoa(b.pid), "--mount", "chroot", "--userspec=" + user,
		filepath.Join(b.dir, "root"),
	}, words...)
	command := exec.CommandContext(ctx, "nsenter", args...)
	command.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, env...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

// project writes the files as the kubelet does: into a new folder, and then moves a link to it atomically.
func (b *box) project(files, values map[string]string) {
	b.t.Helper()
	b.version++
	folder := fmt.Sprintf("..version_%d", b.version)
	require.NoError(b.t, os.Mkdir(b.path("files", folder), 0o755))
	for name, text := range files {
		file := b.path("files", folder, name)
		require.NoError(b.t, os.WriteFile(file, []byte(render(b.t, text, values)), 0o440))
		require.NoError(b.t, os.Chown(file, 0, uid))
	}
	require.NoError(b.t, os.Symlink(folder, b.path("files", "..data_tmp")))
	require.NoError(b.t, os.Rename(b.path("files", "..data_tmp"), b.path("files", "..data")))
	if b.version == 1 {
		for name := range files {
			require.NoError(b.t, os.Symlink("..data/"+name, b.path("files", name)))
		}
	}
}

func (b *box) mountCA(bundle string) {
	b.t.Helper()
	require.NoError(b.t, os.WriteFile(b.path("ca", "ca.pem"), []byte(bundle), 0o444))
}

func environment(container any) []string {
	var env []string
	for _, variable := range componenttest.At(container, "env").([]any) {
		env = append(env, fmt.Sprintf("%s=%s", componenttest.At(variable, "name"), componenttest.At(variable, "value")))
	}
	return env
}

// start runs a container's command in its environment.
func (b *box) start(container any) *process {
	b.t.Helper()
	var words []string
	for _, word := range componenttest.At(container, "command").([]any) {
		words = append(words, word.(string))
	}
	return b.run(environment(container), words...)
}

// psql runs psql as `kubectl exec` in the container does.
func (b *box) psql(container any, args ...string) string {
	b.t.Helper()
	out, err := b.output(environment(container),
		append([]string{"psql", "--no-psqlrc", "--no-align", "--tuples-only"}, args...)...)
	require.NoError(b.t, err)
	return out
}

func (b *box) query(dsn, sql string) string {
	b.t.Helper()
	out, err := b.try(dsn, sql)
	require.NoError(b.t, err)
	return out
}

func (b *box) try(dsn, sql string) (string, error) {
	return b.output([]string{"PGCONNECT_TIMEOUT=10"}, "psql", dsn, "--no-psqlrc", "--no-align", "--tuples-only",
		"--command="+sql)
}

func (b *box) output(env []string, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	command := b.command(ctx, env, words...)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, problems.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// process is a running command whose output is read line by line.
type process struct {
	command *exec.Cmd
	lines   chan string
	mu      sync.Mutex
	said    strings.Builder
}

func (b *box) run(env []string, words ...string) *process {
	b.t.Helper()
	command := b.command(b.t.Context(), env, words...)
	out, in := io.Pipe()
	command.Stdout, command.Stderr = in, in
	require.NoError(b.t, command.Start())
	p := &process{command: command, lines: make(chan string, 10000)}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.mu.Lock()
			fmt.Fprintln(&p.said, lines.Text())
			p.mu.Unlock()
			p.lines <- lines.Text()
		}
	}()
	b.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = in.Close()
		if b.t.Failed() {
			p.mu.Lock()
			defer p.mu.Unlock()
			b.t.Logf("%s said:\n%s", words[0], p.said.String())
		}
	})
	return p
}

// waitFor reads lines until one contains the text.
func (p *process) waitFor(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		select {
		case line := <-p.lines:
			if strings.Contains(line, text) {
				return
			}
		case <-deadline:
			require.Failf(t, "not said", "%q", text)
		}
	}
}

// ends fails the test unless the process exits by itself in time.
func (p *process) ends(t *testing.T, within time.Duration) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.command.Wait() }()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(within):
		require.Fail(t, "still running after SIGTERM")
	}
}

// postgres is a server with TLS and SCRAM.
type postgres struct {
	box       *box
	port      int
	authority []byte
}

func (b *box) startPostgres(password string) *postgres {
	b.t.Helper()
	b = b.as(serverUID)
	s := &postgres{box: b, port: freePort(b.t)}
	certificate, key := selfSigned(b.t)
	s.authority = certificate
	_, err := b.output(nil, "/pgsql/bin/initdb", "--pgdata=/data/db", "--username=owner", "--auth=trust", "--no-sync",
		"--encoding=UTF8", "--locale=C")
	require.NoError(b.t, err)
	rules := "local all owner trust\n" + strings.Join(
		[]string{"hostssl", "all", "all", "127.0.0.1/32", "scram-sha-256\n"}, " ",
	)
	for name, content := range map[string][]byte{
		"server.crt": certificate, "server.key": key,
		"pg_hba.conf": []byte(rules),
	} {
		file := b.path("root", "data", "db", name)
		require.NoError(b.t, os.WriteFile(file, content, 0o600))
		require.NoError(b.t, os.Chown(file, serverUID, serverUID))
	}
	server := b.run(nil, "/pgsql/bin/postgres", "-D", "/data/db", "-p", strconv.Itoa(s.port), "-c",
		"listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=/data", "-c", "ssl=on", "-c", "fsync=off", "-c",
		"password_encryption=scram-sha-256")
	server.waitFor(b.t, "ready to accept connections")
	s.run("create role myshop_admin login")
	s.setPassword(password)
	return s
}

func (s *postgres) run(sql string) string {
	s.box.t.Helper()
	out, err := s.box.output(nil, "psql", fmt.Sprintf("host=/data port=%d user=owner dbname=postgres", s.port),
		"--no-psqlrc", "--tuples-only", "--command="+sql)
	require.NoError(s.box.t, err)
	return out
}

func (s *postgres) setPassword(password string) {
	s.box.t.Helper()
	s.run("alter role myshop_admin password '" + strings.ReplaceAll(password, "'", "''") + "'")
}

func selfSigned(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: databaseHost}, DNSNames: []string{databaseHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
