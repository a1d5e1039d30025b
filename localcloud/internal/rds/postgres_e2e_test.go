//go:build e2e

package rds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnInstanceHasTheRolesAndRightsOfRDS(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("myshop-local")
	started := time.Now()
	addr := create(t, e, s)
	t.Logf("created in %s", time.Since(started).Round(time.Millisecond))
	assert.Equal(t, p.prefix.Addr().Next(), addr)
	assert.Equal(t, map[string]netip.Addr{s.EndpointHost: addr}, p.names)
	assert.Equal(t, []string{"myshop-local"}, e.Instances())

	c := mustLogin(t, e, s, s.MasterUsername, password)
	assert.Contains(t, value[string](t, c, "SELECT version()"), "PostgreSQL 16.")
	for setting, want := range map[string]string{
		"max_connections": "50", "superuser_reserved_connections": "3", "reserved_connections": "2",
		"rds.force_ssl":       "1",
		"password_encryption": "scram-sha-256", "server_encoding": "UTF8", "is_superuser": "off",
	} {
		assert.Equal(t, want, value[string](t, c, "SELECT current_setting($1)", setting), setting)
	}
	assert.Equal(t, "myshop_admin", value[string](t, c,
		"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'myshop'"))
	assert.True(t, value[bool](t, c, `SELECT rolcreatedb AND rolcreaterole AND NOT rolsuper AND NOT rolreplication
		AND NOT rolbypassrls FROM pg_roles WHERE rolname = current_user`))
	assert.True(t,
		value[bool](t, c, "SELECT pg_has_role('rds_superuser', 'USAGE') AND pg_has_role('pg_monitor', 'USAGE')"))
	assert.False(t, value[bool](t, c, "SELECT pg_has_role('rds_iam', 'USAGE') OR pg_has_role('rds_iam', 'SET')"))
	for _, table := range []string{"pg_authid", "pg_shadow"} {
		_, err := c.Exec(t.Context(), "SELECT * FROM "+table)
		says(t, err, "42501", "permission denied for "+map[string]string{
			"pg_authid": "table", "pg_shadow": "view",
		}[table]+" "+table)
	}
	_, err := c.Exec(t.Context(), "ALTER SYSTEM SET work_mem = '1GB'")
	require.Error(t, err)
	_, err = c.Exec(t.Context(), "COPY (SELECT 1) TO PROGRAM 'id'")
	require.Error(t, err)
	// The statements that a service needs.
	exec1(t, c, "CREATE EXTENSION pgcrypto; CREATE TABLE t (x int); CREATE SCHEMA s")
	exec1(t, c, "CREATE DATABASE another")
	exec1(t, c, "CREATE ROLE app LOGIN PASSWORD 'app-password'; GRANT CONNECT ON DATABASE myshop TO app")
	mustLogin(t, e, s, "app", "app-password")

	text, err := exec.Command("ps", "-o", "uid=", "-C", "postgres").Output()
	require.NoError(t, err)
	if os.Geteuid() == 0 {
		assert.Contains(t, string(text), strconv.Itoa(postgresUID))
	}
}

func TestPasswordsAreCheckedByPostgreSQLAndNeverWrittenDown(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("secret")
	s.Parameters = map[string]string{"log_statement": "all", "log_min_duration_statement": "0"}
	create(t, e, s)
	const second = `n3w:%#?*[&+=pass`
	mustLogin(t, e, s, s.MasterUsername, password)
	require.NoError(t, e.SetMasterPassword(t.Context(), s.Identifier, second))
	_, err := login(t, e, s, s.MasterUsername, password)
	says(t, err, "28P01", `password authentication failed for user "myshop_admin"`)
	c := mustLogin(t, e, s, s.MasterUsername, second)
	exec1(t, c, "SELECT 'what a customer says is logged'")
	require.Error(t, e.SetMasterPassword(t.Context(), s.Identifier, "with space"))

	found := 0
	require.NoError(t, filepath.WalkDir(p.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, secret := range []string{password, second, url.QueryEscape(password), "SCRAM-SHA-256$"} {
			// Only the table of roles and its log of changes may contain the hash.
			if secret == "SCRAM-SHA-256$" && strings.Contains(name, "/data/") {
				continue
			}
			assert.NotContains(t, string(text), secret, "%s", name)
		}
		if strings.Contains(string(text), "what a customer says is logged") {
			found++
		}
		return nil
	}))
	assert.Positive(t, found, "the search must be able to find")
}

func TestIAMUsersLogInWithTokensAndMastersWithPasswords(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("iam")
	create(t, e, s)
	type asked struct {
		host, user string
		port       int
	}
	var last asked
	e.SetIAMVerifier(func(_ context.Context, host string, port int, user, token string) error {
		last = asked{host, user, port}
		if token != "token-of-"+user {
			return errors.New("signature does not match")
		}
		return nil
	})
	master := mustLogin(t, e, s, s.MasterUsername, password)
	exec1(t, master,
		`CREATE ROLE app_iam LOGIN PASSWORD 'its-own-password'; CREATE ROLE "We""ird, one" LOGIN; CREATE ROLE team NOLOGIN`)
	mustLogin(t, e, s, "app_iam", "its-own-password")

	exec1(t, master, "GRANT rds_iam TO app_iam, team; GRANT team TO \"We\"\"ird, one\"")
	c := mustLogin(t, e, s, "app_iam", "token-of-app_iam")
	assert.Equal(t, "app_iam", value[string](t, c, "SELECT session_user"))
	assert.Equal(t, asked{s.EndpointHost, "app_iam", 5432}, last)
	for _, wrong := range []string{"its-own-password", "token-of-myshop_admin", ""} {
		_, err := login(t, e, s, "app_iam", wrong)
		says(t, err, "28000", `PAM authentication failed for user "app_iam"`)
	}
	_, err := login(t, e, s, `'We"ird, one'`, `token-of-We"ird, one`)
	require.NoError(t, err, "a member through another role")
	mustLogin(t, e, s, s.MasterUsername, password)

	exec1(t, master, "REVOKE rds_iam FROM app_iam")
	mustLogin(t, e, s, "app_iam", "its-own-password")
	_, err = login(t, e, s, "app_iam", "token-of-app_iam")
	says(t, err, "28P01", `password authentication failed for user "app_iam"`)

	e.SetIAMVerifier(nil)
	_, err = login(t, e, s, `'We"ird, one'`, "x")
	says(t, err, "28000", `PAM authentication failed for user "We"ird, one"`)
}

func TestParametersHoldAtOnceOrAfterAReboot(t *testing.T) {
	e := newPlace(t).open(t)
	s := spec("params")
	create(t, e, s)
	c := mustLogin(t, e, s, s.MasterUsername, password)
	require.NoError(t, e.Apply(t.Context(), s.Identifier, 60,
		map[string]string{"work_mem": "8192", "log_statement": "ddl", "rds.force_ssl": "0"}))
	assert.Equal(t, "8MB", value[string](t, c, "SHOW work_mem"))
	assert.Equal(t, "50", value[string](t, c, "SHOW max_connections"))
	pending, err := e.PendingReboot(t.Context(), s.Identifier)
	require.NoError(t, err)
	assert.Equal(t, []string{"max_connections"}, pending)

	addr, err := e.Address(s.Identifier)
	require.NoError(t, err)
	unencrypted, err := pgx.Connect(t.Context(),
		fmt.Sprintf("host=%s port=5432 user=myshop_admin dbname=myshop sslmode=disable password='%s'", addr, password))
	require.NoError(t, err, "rds.force_ssl=0 holds at once")
	unencrypted.Close(t.Context())

	err = e.Apply(t.Context(), s.Identifier, 60, map[string]string{
		"work_mem": "lots", "wrk_mem": "1", "shared_preload_libraries": "pg_stat_statements,nothing",
	})
	for _, want := range []string{
		`invalid value for parameter "work_mem": "lots"`, `unrecognized configuration parameter "wrk_mem"`,
		"there is no such library",
	} {
		require.ErrorContains(t, err, want)
	}
	assert.Equal(t, "8MB", value[string](t, c, "SHOW work_mem"), "nothing changes when one is wrong")

	require.NoError(t, e.Reboot(t.Context(), s.Identifier))
	_, err = c.Exec(t.Context(), "SELECT 1")
	require.Error(t, err, "a reboot cuts sessions")
	c = mustLogin(t, e, s, s.MasterUsername, password)
	assert.Equal(t, "60", value[string](t, c, "SHOW max_connections"))
	pending, err = e.PendingReboot(t.Context(), s.Identifier)
	require.NoError(t, err)
	assert.Empty(t, pending)
}

func TestASessionIsToldThatTheInstanceGoesDownAndTheEndpointRefuses(t *testing.T) {
	e := newPlace(t).open(t)
	s := spec("stopped")
	addr := create(t, e, s)
	c := mustLogin(t, e, s, s.MasterUsername, password)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), "SELECT pg_sleep(60)")
		ended <- err
	}()
	other := mustLogin(t, e, s, s.MasterUsername, password)
	require.Eventually(t, func() bool {
		return value[int](t, other,
			"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'") == 1
	}, 5*time.Second, 10*time.Millisecond)
	started := time.Now()
	require.NoError(t, e.Stop(t.Context(), s.Identifier))
	t.Logf("stopped in %s", time.Since(started).Round(time.Millisecond))
	says(t, <-ended, "57P01", "terminating connection due to administrator command")
	_, err := net.Dial("tcp", netip.AddrPortFrom(addr, 5432).String())
	require.ErrorContains(t, err, "refused")
	require.ErrorContains(t, e.SetMasterPassword(t.Context(), s.Identifier, password), "is stopped")
	started = time.Now()
	require.NoError(t, e.Start(t.Context(), s.Identifier))
	t.Logf("started in %s", time.Since(started).Round(time.Millisecond))
	require.NoError(t, e.Start(t.Context(), s.Identifier), "a second start changes nothing")
	mustLogin(t, e, s, s.MasterUsername, password)
}

func TestACancelledQueryIsCancelled(t *testing.T) {
	e := newPlace(t).open(t)
	s := spec("cancel")
	create(t, e, s)
	c := mustLogin(t, e, s, s.MasterUsername, password)
	other := mustLogin(t, e, s, s.MasterUsername, password)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Exec(context.Background(), "SELECT pg_sleep(60)")
		ended <- err
	}()
	require.Eventually(t, func() bool {
		return value[int](t, other,
			"SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'") == 1
	}, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, c.PgConn().CancelRequest(t.Context()))
	says(t, <-ended, "57014", "canceling statement due to user request")
}

func TestConnectionsBeyondTheClassAreRefused(t *testing.T) {
	e := newPlace(t).open(t)
	s := spec("full")
	s.MaxConnections = 8
	create(t, e, s)
	master := mustLogin(t, e, s, s.MasterUsername, password)
	exec1(t, master, "CREATE ROLE app LOGIN PASSWORD 'app-password'")
	var err error
	opened := 0
	for ; err == nil && opened < 10; opened++ {
		_, err = login(t, e, s, "app", "app-password")
	}
	var told *pgconn.PgError
	require.ErrorAs(t, err, &told)
	assert.Equal(t, "53300", told.Code)
	t.Logf("connection %d of app: %s", opened, told.Message)
	mustLogin(t, e, s, s.MasterUsername, password)
}

func TestSecurityGroupsDecideAtEachConnection(t *testing.T) {
	e := newPlace(t).open(t)
	s := spec("guarded")
	_, err := e.Create(t.Context(), s, password)
	require.NoError(t, err)
	short := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		addr, err := e.Address(s.Identifier)
		require.NoError(t, err)
		_, err = pgconn.Connect(ctx, fmt.Sprintf("host=%s port=5432 user=x dbname=y sslmode=require", addr))
		return err
	}
	require.ErrorContains(t, short(), "timeout", "nothing is allowed before rules are set")
	var seen netip.Addr
	e.SetAccess(s.Identifier, func(src netip.Addr) error { seen = src; return nil })
	mustLogin(t, e, s, s.MasterUsername, password)
	assert.True(t, seen.IsLoopback(), "%s", seen)
	e.SetAccess(s.Identifier, func(netip.Addr) error { return errors.New("no rule") })
	require.ErrorContains(t, short(), "timeout")
}

func TestACreationThatWasKilledIsMadeAgain(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("again")
	// A kill in the middle of a creation leaves a folder with a part of the data and no record.
	data := filepath.Join(p.dir, "postgres", s.Identifier, "data")
	require.NoError(t, os.MkdirAll(filepath.Join(data, "base"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte("16\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(data, "postmaster.pid"), []byte(strconv.Itoa(os.Getpid())+"\n"),
		0o600))
	assert.Empty(t, e.Instances())
	first := create(t, e, s)
	c := mustLogin(t, e, s, s.MasterUsername, password)
	exec1(t, c, "CREATE TABLE keepsake (x int)")
	// The caller was killed after the creation and repeats it with a new password.
	second, err := e.Create(t.Context(), s, password+"2")
	require.NoError(t, err)
	assert.Equal(t, first, second)
	c = mustLogin(t, e, s, s.MasterUsername, password+"2")
	assert.True(t, value[bool](t, c, "SELECT to_regclass('keepsake') IS NOT NULL"))
	other := s
	other.DBName = "other"
	_, err = e.Create(t.Context(), other, password)
	require.ErrorContains(t, err, "already exists")
}

func TestACreationThatFailsLeavesNothing(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("failing")
	s.Parameters = map[string]string{"work_mem": "lots"}
	_, err := e.Create(t.Context(), s, password)
	require.ErrorContains(t, err, `invalid value for parameter "work_mem": "lots"`)
	s.Parameters = map[string]string{"shared_buffers": "99999999"} // 763 GiB, a valid value on another machine
	_, err = e.Create(t.Context(), s, password)
	require.ErrorContains(t, err, "the end of its log")
	assert.Empty(t, e.Instances())
	assert.NoDirExists(t, filepath.Join(p.dir, "postgres", s.Identifier))
	_, err = e.Create(t.Context(), Spec{Identifier: "X"}, "short")
	require.ErrorContains(t, err, "Identifier")
	require.ErrorContains(t, err, "8 to 128 characters")
}

func TestAddressesAreKeptAndGivenAgainAfterADelete(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	one, two := create(t, e, spec("one")), create(t, e, spec("two"))
	require.NotEqual(t, one, two)
	require.NoError(t, e.Delete(t.Context(), "one"))
	require.NoError(t, e.Delete(t.Context(), "one"), "a second deletion succeeds")
	assert.NoDirExists(t, filepath.Join(p.dir, "postgres", "one"))
	assert.Equal(t, map[string]netip.Addr{spec("two").EndpointHost: two}, p.names)
	e.Close()
	e = p.open(t)
	assert.Equal(t, []string{"two"}, e.Instances())
	assert.Equal(t, one, create(t, e, spec("three")))
	require.NoError(t, e.Start(t.Context(), "two"))
	e.SetAccess("two", func(netip.Addr) error { return nil })
	mustLogin(t, e, spec("two"), "myshop_admin", password)
	require.ErrorContains(t, e.Start(t.Context(), "none"), `no DB instance "none"`)
}

// postmaster returns the process number of an instance's PostgreSQL.
func postmaster(t *testing.T, p *place, id string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "postgres", id, "data", "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	return pid
}

func TestAPostgreSQLThatEndsUnexpectedlyIsRestarted(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("crashing")
	create(t, e, s)
	exec1(t, mustLogin(t, e, s, s.MasterUsername, password), "CREATE TABLE keepsake AS SELECT 42 AS x")
	pid := postmaster(t, p, s.Identifier)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	var c *pgx.Conn
	require.Eventually(t, func() bool {
		var err error
		c, err = login(t, e, s, s.MasterUsername, password)
		return err == nil
	}, 20*time.Second, 50*time.Millisecond)
	assert.Equal(t, 42, value[int](t, c, "SELECT x FROM keepsake"))
	assert.NotEqual(t, pid, postmaster(t, p, s.Identifier))
}

// TestHelperKilledEngine is not a test. It is the process that the next test kills.
func TestHelperKilledEngine(t *testing.T) {
	dir := os.Getenv("RDS_TEST_KILLED_ENGINE")
	if dir == "" {
		return
	}
	p := &place{dir: dir, prefix: netip.MustParsePrefix(os.Getenv("RDS_TEST_PREFIX")), names: map[string]netip.Addr{}}
	e := p.open(t)
	s := spec("killed")
	create(t, e, s)
	exec1(t, mustLogin(t, e, s, s.MasterUsername, password), "CREATE TABLE keepsake AS SELECT 42 AS x")
	fmt.Println("READY")
	<-t.Context().Done()
	select {}
}

func TestTheNextEngineFindsWhatAKilledOneLeft(t *testing.T) {
	p := newPlace(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestHelperKilledEngine$")
	cmd.Env = append(os.Environ(), "RDS_TEST_KILLED_ENGINE="+p.dir, "RDS_TEST_PREFIX="+p.prefix.String(),
		"LOCALCLOUD_POSTGRES_DIR="+distribution(t))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	for seen, buffer := "", make([]byte, 512); !strings.Contains(seen, "READY"); {
		n, err := out.Read(buffer)
		require.NoError(t, err, "output so far: %s", seen)
		seen += string(buffer[:n])
	}
	pid := postmaster(t, p, "killed")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }, 10*time.Second,
		10*time.Millisecond,
		"PostgreSQL does not outlive its engine")
	// In a new PID namespace, another process may have the old number.
	pidFile := filepath.Join(p.dir, "postgres", "killed", "data", "postmaster.pid")
	require.NoError(t, os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600))
	e := p.open(t)
	assert.Equal(t, []string{"killed"}, e.Instances())
	require.NoError(t, e.Start(t.Context(), "killed"))
	e.SetAccess("killed", func(netip.Addr) error { return nil })
	c := mustLogin(t, e, spec("killed"), "myshop_admin", password)
	assert.Equal(t, 42, value[int](t, c, "SELECT x FROM keepsake"))
}

func TestCloseEndsEveryPostgreSQLAndStartsNoMore(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	var pids []int
	for _, id := range []string{"a", "b", "c"} {
		create(t, e, spec(id))
		mustLogin(t, e, spec(id), "myshop_admin", password)
		pids = append(pids, postmaster(t, p, id))
	}
	started := time.Now()
	e.Close()
	t.Logf("closed in %s", time.Since(started).Round(time.Millisecond))
	for _, pid := range pids {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
	e.Close()
	_, err := e.Create(t.Context(), spec("d"), password)
	require.ErrorIs(t, err, errClosed)
	require.ErrorIs(t, e.Start(t.Context(), "a"), errClosed)
}

func TestTheRecordOfAnInstanceHoldsNoSecret(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	create(t, e, spec("record"))
	text, err := os.ReadFile(filepath.Join(p.dir, "postgres", "record", "instance.json"))
	require.NoError(t, err)
	var r record
	require.NoError(t, json.Unmarshal(text, &r))
	assert.Equal(t, spec("record"), r.Spec)
	info, err := os.Stat(filepath.Join(p.dir, "postgres", "record", "instance.json"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
