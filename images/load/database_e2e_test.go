//go:build e2e

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serverUID is nobody, who runs PostgreSQL: it refuses to run as root, and initdb needs a user with a name.
const serverUID = 65534

// tables are those of the bootstrap Job.
const tables = `
CREATE ROLE app LOGIN;
CREATE SCHEMA dbtier_drills;
CREATE TABLE dbtier_drills.requests (run text, id bigint, PRIMARY KEY (run, id));
CREATE TABLE dbtier_drills.effects (run text, id bigint, at timestamptz DEFAULT clock_timestamp());
GRANT USAGE ON SCHEMA dbtier_drills TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dbtier_drills TO app`

// server is a PostgreSQL of the local cloud's artefacts, which an earlier `bin/localcloud build` has made.
type server struct{ dir string }

func startServer(t *testing.T) *server {
	t.Helper()
	source := os.Getenv("LOCALCLOUD_POSTGRES_DIR")
	if source == "" {
		source = filepath.Join("..", "..", ".localcloud", "cache", "postgres")
	}
	_, err := os.Stat(filepath.Join(source, "bin", "postgres"))
	require.NoError(t, err,
		"there is no PostgreSQL: run `bin/localcloud build`, or name another in LOCALCLOUD_POSTGRES_DIR")
	// t.TempDir has long names, and other users cannot enter its parents.
	dir, err := os.MkdirTemp("", "load-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{dir}
	data := filepath.Join(dir, "data")
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Mkdir(data, 0o700))
	out, err := exec.Command("cp", "-a", source, filepath.Join(dir, "pgsql")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(data, serverUID, serverUID))
	}
	out, err = s.command("initdb", "-D", data, "--username=owner", "--auth=trust", "--no-sync").CombinedOutput()
	require.NoError(t, err, "%s", out)
	postgres := s.command("postgres", "-D", data, "-c", "listen_addresses=", "-c", "unix_socket_directories="+data,
		"-c", "fsync=off")
	require.NoError(t, postgres.Start())
	t.Cleanup(func() { _ = postgres.Process.Signal(syscall.SIGINT); _ = postgres.Wait() })
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), s.url("owner"))
		if err != nil {
			return false
		}
		defer conn.Close(t.Context())
		_, err = conn.Exec(t.Context(), tables)
		return assert.NoError(t, err)
	}, 20*time.Second, 50*time.Millisecond)
	return s
}

func (s *server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.dir, "pgsql", "bin", name), args...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(s.dir, "pgsql", "lib"), "LC_ALL=C")
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: serverUID, Gid: serverUID}
	}
	return cmd
}

func (s *server) url(user string) string {
	return fmt.Sprintf("postgresql:///postgres?user=%s&host=%s", user, filepath.Join(s.dir, "data"))
}

func (s *server) owner(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url("owner"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func value[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) (v T) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&v), sql)
	return v
}

func TestTheAccountOfARealDatabase(t *testing.T) {
	s := startServer(t)
	owner := s.owner(t)
	for _, earlier := range []string{"requests", "effects"} {
		_, err := owner.Exec(t.Context(), `INSERT INTO dbtier_drills.`+earlier+` (run, id) VALUES ('earlier', 1)`)
		require.NoError(t, err)
	}
	db, err := open(s.url("app"), defaults.run)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, defaults, db, &out) }()

	// Both writes are old enough to be acknowledged, and no session has been ended yet.
	const old = `SELECT count(*) FROM dbtier_drills.effects WHERE id > 0 AND at < clock_timestamp() - interval '1s'`
	require.Eventually(t, func() bool { return value[int](t, owner, old) > 20 }, 20*time.Second, 50*time.Millisecond)
	lost := value[int64](t, owner, `DELETE FROM dbtier_drills.effects
		WHERE id = (SELECT min(id) FROM dbtier_drills.effects WHERE id > 0) RETURNING id`)
	duplicated := value[int64](t, owner, `INSERT INTO dbtier_drills.effects (run, id)
		SELECT run, min(id) FROM dbtier_drills.effects WHERE id > 0 GROUP BY run RETURNING id`)
	killed := 0
	for range 20 {
		killed += value[int](t, owner, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'`)
		var n int
		require.NoError(t, owner.QueryRow(t.Context(), `SELECT count(*) FROM dbtier_drills.requests`).Scan(&n))
		require.Eventually(t, func() bool {
			return value[int](t, owner, `SELECT count(*) FROM dbtier_drills.requests`) > n+10
		}, 20*time.Second, 20*time.Millisecond, "the clients do not connect again")
	}
	cancel()
	require.NoError(t, <-ended)

	all := linesOf(t, &out)
	last := all[len(all)-1].Done
	require.NotNil(t, last)
	t.Logf("killed %d sessions: %+v, %+v", killed, last.Ledger, last.Errors)
	assert.Regexp(t, `^\d+\.\d+$`, last.Server)
	assert.Equal(t, 1, last.Ledger.Lost)
	assert.Equal(t, []int64{lost}, last.Ledger.LostIDs)
	assert.Equal(t, 1, last.Ledger.Duplicated)
	assert.Equal(t, []int64{duplicated}, last.Ledger.DuplicatedIDs)
	answered, failed := 0, 0
	for _, g := range last.Groups {
		switch g.Client {
		case retrying:
			assert.Zero(t, g.Failed)
			assert.Positive(t, g.Retries)
		case persistent:
			assert.Positive(t, g.Failed)
		}
		if g.Kind == kindWrite {
			answered, failed = answered+g.Answered, failed+g.Failed
		}
	}
	assert.Equal(t, answered, last.Ledger.Acknowledged)
	assert.Equal(t, failed, last.Ledger.Failed+last.Ledger.Unknown)
	assert.Equal(t, last.Ledger.Unknown, last.Ledger.UnknownStored+last.Ledger.UnknownAbsent)
	assert.Zero(t, value[int](t, owner, `SELECT (SELECT count(*) FROM dbtier_drills.requests)
		+ (SELECT count(*) FROM dbtier_drills.effects)`), "neither this run nor the earlier one leaves rows")
}

// A write whose client has lost its connection may be stored later than the load ends.
func TestTheLookupWaitsForWritesInProgress(t *testing.T) {
	s := startServer(t)
	db, err := open(s.url("app"), "k3v9")
	require.NoError(t, err)
	require.NoError(t, db.prepare(t.Context()))
	late, owner := s.owner(t), s.owner(t)
	tx, err := late.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), writeSQL, "k3v9", 1)
	require.NoError(t, err)

	effects := map[int64]int64{}
	settled := make(chan error, 1)
	go func() {
		_, err := db.settle(t.Context(), func(id, n int64) { effects[id] = n })
		settled <- err
	}()
	require.Eventually(t, func() bool {
		return value[bool](t, owner, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')`)
	}, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-settled)
	assert.Equal(t, map[int64]int64{0: 1, 1: 1}, effects)
}

func TestARepetitionHasNoSecondEffect(t *testing.T) {
	s := startServer(t)
	db, err := open(s.url("app"), "k3v9")
	require.NoError(t, err)
	require.NoError(t, db.prepare(t.Context()))
	one, err := db.connect(t.Context())
	require.NoError(t, err)
	defer one.close()
	for _, want := range []int64{1, 0, 0} {
		effects, err := one.write(t.Context(), 7)
		require.NoError(t, err)
		assert.Equal(t, want, effects)
	}
	found, err := one.read(t.Context(), 7)
	require.NoError(t, err)
	assert.Equal(t, int64(7), found)
	found, err = one.read(t.Context(), 8)
	require.NoError(t, err)
	assert.Equal(t, int64(noRow), found)

	owner := s.owner(t)
	_, err = owner.Exec(t.Context(), `DROP SCHEMA dbtier_drills CASCADE`)
	require.NoError(t, err)
	var out bytes.Buffer
	require.ErrorAs(t, run(t.Context(), defaults, db, &out), &problemError{})
	assert.Contains(t, out.String(), "set `dbtier:drills: {enabled: true}` in the stack and run `dbtier up`")
}
