//go:build e2e

package rds

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bootstrapJob runs the scripts of the Job that creates the application's role as its pod does: as the master user of
// an instance, over TLS, with the files in /etc. LOCALCLOUD_POSTGRES_DIR names a PostgreSQL of another version.
type bootstrapJob struct {
	t    *testing.T
	e    *Engine
	s    Spec
	dir  string
	base []string
}

func newBootstrapJob(t *testing.T, s Spec) *bootstrapJob {
	t.Helper()
	e := newPlace(t).open(t)
	create(t, e, s)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, e.CABundle(), 0o600))
	addr, err := e.Address(s.Identifier)
	require.NoError(t, err)
	return &bootstrapJob{t: t, e: e, s: s, dir: dir, base: []string{
		"PGHOST=" + s.EndpointHost, "PGHOSTADDR=" + addr.String(), fmt.Sprintf("PGPORT=%d", s.Port),
		"PGUSER=" + s.MasterUsername, "PGPASSWORD=" + password, "PGDATABASE=" + s.DBName,
		"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + ca, "ROLE_GENERATION=1", "ROLE_WAIT_SECONDS=1",
	}}
}

// run sets the password of a user of the group.
func (j *bootstrapJob) run(group, user, secret string, env ...string) (string, error) {
	j.t.Helper()
	// The scripts expect their files in /etc, which only this mount namespace has.
	script := `mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" &&
mount -t overlay none -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc &&
mkdir /etc/bootstrap /etc/credential && cp "$2"/*.s* /etc/bootstrap/ && printf %s "$3" >/etc/credential/password &&
exec setsid --wait sh /etc/bootstrap/bootstrap.sh`
	mounts := filepath.Join(j.dir, "mounts")
	require.NoError(j.t, os.MkdirAll(mounts, 0o700))
	command := exec.Command("unshare", "--mount", "sh", "-c", script, "sh", mounts,
		filepath.Join(projectRoot(j.t), "components", "databaserole"), secret)
	command.Env = append(os.Environ(), j.base...)
	command.Env = append(command.Env, "ROLE_GROUP="+group, "ROLE_USER="+user, "ROLE_USER_A="+group+"_a",
		"ROLE_USER_B="+group+"_b")
	command.Env = append(command.Env, env...)
	out, err := command.CombinedOutput()
	return string(out), err
}

func (j *bootstrapJob) must(group, user, secret string, env ...string) string {
	j.t.Helper()
	out, err := j.run(group, user, secret, env...)
	require.NoError(j.t, err, "%s", out)
	return out
}

// superuser connects to the instance's database as the superuser of RDS.
func (j *bootstrapJob) superuser() *pgx.Conn {
	j.t.Helper()
	cfg, err := pgx.ParseConfig("")
	require.NoError(j.t, err)
	cfg.Host, cfg.Port, cfg.User, cfg.Database = j.e.socketDir(j.s.Identifier), socketPort, adminUser, j.s.DBName
	cfg.Password, cfg.Fallbacks, cfg.TLSConfig = "", nil, nil
	conn, err := pgx.ConnectConfig(j.t.Context(), cfg)
	require.NoError(j.t, err)
	j.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (j *bootstrapJob) logsIn(user, secret string) *pgx.Conn {
	j.t.Helper()
	return mustLogin(j.t, j.e, j.s, user, secret)
}

func TestTheBootstrapCanRunAgainAndRotates(t *testing.T) {
	j := newBootstrapJob(t, spec("bootstrap"))
	master := j.logsIn(j.s.MasterUsername, password)
	exec1(t, master, "CREATE TABLE orders (id serial)")
	assert.Contains(t, j.must("shop", "shop_a", "one"), "shop_a logs in with the password of generation 1")
	assert.Contains(t, j.must("shop", "shop_a", "one"), "shop_a already has this password")
	assert.Contains(t, j.must("shop", "shop_b", "two"), "shop_b logs in")
	for user, secret := range map[string]string{"shop_a": "one", "shop_b": "two"} {
		c := j.logsIn(user, secret)
		exec1(t, c, "INSERT INTO orders DEFAULT VALUES")
		_, err := c.Exec(t.Context(), "CREATE TABLE other (id int)")
		says(t, err, "42501", "permission denied for schema public")
	}
	exec1(t, master, "REVOKE INSERT ON orders FROM shop")
	j.must("shop", "shop_b", "two")
	_, err := j.logsIn("shop_b", "two").Exec(t.Context(), "INSERT INTO orders DEFAULT VALUES")
	says(t, err, "42501", "permission denied for table orders")

	// A user with tokens does not make the master user one.
	j.must("shop", "shop_b", "two", "ROLE_IAM_USER=shop_iam")
	j.must("shop", "shop_b", "two", "ROLE_IAM_USER=shop_iam")
	assert.True(t, value[bool](t, master, "SELECT pg_has_role('shop_iam', 'rds_iam', 'USAGE')"))
	j.logsIn(j.s.MasterUsername, password)
}

// RDS Proxy connects to the database postgres as its users. Without the proxy they may not.
func TestOnlyUsersOfAProxyMayConnectToPostgres(t *testing.T) {
	j := newBootstrapJob(t, spec("proxied"))
	maintenance := j.s
	maintenance.DBName = "postgres"
	j.must("shop", "shop_a", "one")
	_, err := login(t, j.e, maintenance, "shop_a", "one")
	require.ErrorContains(t, err, "permission denied for database")
	j.must("shop", "shop_a", "one", "ROLE_PROXY=1")
	mustLogin(t, j.e, maintenance, "shop_a", "one")
	j.must("shop", "shop_a", "one")
	_, err = login(t, j.e, maintenance, "shop_a", "one")
	require.ErrorContains(t, err, "permission denied for database", "the pool is PgBouncer again")
}

// From version 16 on, a role that someone else created, or that the master user created before an upgrade to 16, is a
// role that the master user cannot change. What needs no change still works.
func TestRolesWithoutAdminOptionAreNamedAndOtherNamesWork(t *testing.T) {
	j := newBootstrapJob(t, spec("upgraded"))
	exec1(t, j.logsIn(j.s.MasterUsername, password), "CREATE TABLE orders (id serial)")
	exec1(t, j.superuser(), `CREATE ROLE shop NOLOGIN; CREATE ROLE shop_a LOGIN PASSWORD 'one'; CREATE ROLE shop_b LOGIN;
		GRANT shop TO shop_a, shop_b`)
	const names = "set dbtier:role.name to another name and add 1 to dbtier:role.generation"
	assert.Contains(t, j.must("shop", "shop_a", "one"), "shop_a already has this password")
	exec1(t, j.logsIn("shop_a", "one"), "INSERT INTO orders DEFAULT VALUES")

	out, err := j.run("shop", "shop_b", "two")
	require.Error(t, err, "%s", out)
	assert.Contains(t, out, "not allowed to set the password of shop_b: it has no ADMIN OPTION")
	assert.Contains(t, out, names)

	exec1(t, j.superuser(), "ALTER ROLE shop_b CREATEDB; REVOKE shop FROM shop_a")
	out, err = j.run("shop", "shop_a", "one")
	require.Error(t, err, "%s", out)
	assert.Contains(t, out, "myshop_admin is not allowed to change the role shop, shop_b")
	assert.Contains(t, out, names)

	j.must("shop2", "shop2_b", "two")
	exec1(t, j.logsIn("shop2_b", "two"), "INSERT INTO orders DEFAULT VALUES")
}

// A database that was restored or imported may have objects of another owner, on which the master user has no rights.
func TestObjectsOfAnotherOwnerAreNamedWithTheirGrants(t *testing.T) {
	j := newBootstrapJob(t, spec("imported"))
	super := j.superuser()
	exec1(t, super, `CREATE ROLE legacy; CREATE SCHEMA old AUTHORIZATION legacy;
		CREATE TABLE public.invoices (id int); ALTER TABLE public.invoices OWNER TO legacy;
		CREATE TABLE old."Weird name" (id serial); ALTER TABLE old."Weird name" OWNER TO legacy`)
	out := j.must("shop", "shop_a", "one")
	assert.Contains(t, out, "shop has no rights on 4 objects of legacy, and myshop_admin cannot grant them")
	var grants []string
	for line := range strings.Lines(out) {
		if grant, ok := strings.CutPrefix(line, "  GRANT"); ok {
			grants = append(grants, "GRANT"+grant)
		}
	}
	require.Len(t, grants, 4)
	exec1(t, super, "SET ROLE legacy; "+strings.Join(grants, ""))
	assert.NotContains(t, j.must("shop", "shop_a", "one"), "no rights")
	c := j.logsIn("shop_a", "one")
	exec1(t, c, `INSERT INTO old."Weird name" DEFAULT VALUES`)
	exec1(t, c, `INSERT INTO invoices VALUES (1)`)
}

func TestADatabaseOfAnotherOwnerKeepsTheRightsThatItHas(t *testing.T) {
	j := newBootstrapJob(t, spec("foreign"))
	exec1(t, j.superuser(), "CREATE ROLE legacy; ALTER DATABASE myshop OWNER TO legacy")
	j.must("shop", "shop_a", "one")
	assert.Contains(t, j.must("shop", "shop_a", "one"), "already has this password")
	j.logsIn("shop_a", "one")
}

// The schema is there only while drills are enabled. The application's role writes its rows and can do nothing else
// with it, and a schema of that name that the service has made stays as it is.
func TestTheSchemaOfDrillsComesAndGoes(t *testing.T) {
	j := newBootstrapJob(t, spec("drilled"))
	j.must("shop", "shop_a", "one")
	exists := func() bool {
		return value[bool](t, j.superuser(), "SELECT to_regnamespace('dbtier_drills') IS NOT NULL")
	}
	assert.False(t, exists())
	j.must("shop", "shop_a", "one", "ROLE_DRILLS=1")
	j.must("shop", "shop_a", "one", "ROLE_DRILLS=1")
	c := j.logsIn("shop_a", "one")
	write := func() {
		exec1(t, c, `WITH r AS (INSERT INTO dbtier_drills.requests VALUES ('run', 1) ON CONFLICT DO NOTHING
			RETURNING run, id) INSERT INTO dbtier_drills.effects (run, id) SELECT run, id FROM r`)
	}
	write()
	write()
	assert.EqualValues(t, 1, value[int64](t, c, "SELECT count(*) FROM dbtier_drills.effects"), "a repetition")
	exec1(t, c, "DELETE FROM dbtier_drills.effects")
	for statement, denied := range map[string]string{
		"TRUNCATE dbtier_drills.effects":                          "permission denied for table effects",
		"DROP TABLE dbtier_drills.effects":                        "must be owner of table effects",
		"CREATE TABLE dbtier_drills.other ()":                     "permission denied for schema dbtier_drills",
		"ALTER TABLE dbtier_drills.requests ADD COLUMN other int": "must be owner of table requests",
	} {
		_, err := c.Exec(t.Context(), statement)
		says(t, err, "42501", denied)
	}
	j.must("shop", "shop_a", "one")
	assert.False(t, exists())

	master := j.logsIn(j.s.MasterUsername, password)
	exec1(t, master, "CREATE SCHEMA dbtier_drills; CREATE TABLE dbtier_drills.own ()")
	out, err := j.run("shop", "shop_a", "one", "ROLE_DRILLS=1")
	require.Error(t, err, "%s", out)
	assert.Contains(t, out, "the database has a schema dbtier_drills that was not made for drills")
	assert.Contains(t, out, "rename it, or set dbtier:drills.enabled to false")
	j.must("shop", "shop_a", "one")
	assert.True(t, exists(), "the service's own")
}
