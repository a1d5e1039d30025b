//go:build e2e

package rds

import (
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// psql is an independent client. It supports channel binding, which a front that terminates TLS cannot offer.
func TestPsqlVerifiesTheEndpoint(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("psql")
	create(t, e, s)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, e.CABundle(), 0o600))
	run := func(extra string, env ...string) (string, error) {
		cmd := exec.Command("psql", "-XAtc", "SELECT current_user || ' on ' || current_database()",
			dsn(e, s, s.MasterUsername)+" "+extra)
		cmd.Env = append(os.Environ(), append(env, "PGPASSWORD="+password)...)
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	out, err := run("sslrootcert=" + ca)
	require.NoError(t, err, out)
	assert.Equal(t, "myshop_admin on myshop", out)
	out, err = run("sslrootcert=/etc/ssl/certs/ca-certificates.crt")
	require.Error(t, err)
	assert.Contains(t, out, "certificate verify failed")
	out, err = run("sslmode=disable")
	require.Error(t, err)
	assert.Contains(t, out, `no pg_hba.conf entry for host "127.0.`)
	assert.Contains(t, out, `user "myshop_admin", database "myshop", no encryption`)
}

// The tests of the example service run on an instance, over TLS, as its master user.
func TestTheExampleServiceWorksOnAnInstance(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("example")
	s.EndpointHost = "localhost"
	addr := create(t, e, s)
	ca := filepath.Join(p.dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, e.CABundle(), 0o644))
	target := url.URL{
		Scheme: "postgres", User: url.UserPassword(s.MasterUsername, password),
		Host: netip.AddrPortFrom(addr, 5432).String(), Path: s.DBName,
		RawQuery: url.Values{"sslmode": {"verify-ca"}, "sslrootcert": {ca}}.Encode(),
	}
	cmd := exec.Command("go", "test", "-tags", "e2e", "-count", "1", "./...")
	cmd.Dir = filepath.Join(projectRoot(t), "examples", "myshop-api")
	cmd.Env = append(os.Environ(), "MYSHOP_TEST_DATABASE_URL="+target.String())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
