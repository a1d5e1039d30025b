//go:build e2e

package rds

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// projectRoot is the nearest parent with a Pulumi.yaml or a .localcloud folder.
func projectRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		for _, mark := range []string{"Pulumi.yaml", ".localcloud"} {
			if _, err := os.Stat(filepath.Join(dir, mark)); err == nil {
				return dir
			}
		}
	}
	return dir
}

// distribution returns a PostgreSQL that the unprivileged user can reach. It is a copy, because the project may be in a
// folder that only its owner can enter.
func distribution(t *testing.T) string {
	t.Helper()
	if copied != "" {
		return copied
	}
	source := os.Getenv("LOCALCLOUD_POSTGRES_DIR")
	if source == "" {
		source = filepath.Join(projectRoot(t), ".localcloud", "cache", "postgres")
	}
	if _, err := os.Stat(filepath.Join(source, "bin", "postgres")); err != nil {
		t.Fatalf("there is no PostgreSQL in %s: run `bin/localcloud build`, or name another in LOCALCLOUD_POSTGRES_DIR",
			source)
	}
	dir, err := os.MkdirTemp("", "pgsql-") //nolint:usetesting // for all tests, and other users must get in
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, filepath.WalkDir(source, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(source, name)
		if err != nil || rel == "." {
			return err
		}
		target := filepath.Join(dir, rel)
		info, err := e.Info()
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.Mkdir(target, 0o755)
		case e.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(name)
			return errors.Join(err, os.Symlink(link, target))
		default:
			return errors.Join(copyFile(name, target), os.Chmod(target, info.Mode().Perm()|0o444))
		}
	}))
	copied = dir
	return dir
}

// copied is the folder that distribution created.
var copied string

func TestMain(m *testing.M) {
	code := m.Run()
	if copied != "" {
		os.RemoveAll(copied)
	}
	os.Exit(code)
}

const password = `4k]-%hA|RI*[?j:#&+{(`

var subnets atomic.Int32

// place has the folders and addresses of an engine that a test opens and closes several times.
type place struct {
	dir    string
	prefix netip.Prefix
	mu     sync.Mutex
	names  map[string]netip.Addr
	// dropped are the addresses whose packets are dropped.
	dropped []netip.Addr
	log     logged
}

// logged is the log of an engine.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// errors are the errors of the log that have a text.
func (l *logged) errors(with string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "level=ERROR") && strings.Contains(line, with) {
			lines = append(lines, line)
		}
	}
	return lines
}

// address is the address of a name.
func (p *place) address(name string) netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.names[name]
}

func newPlace(t *testing.T) *place {
	t.Helper()
	// t.TempDir has long names, and other users cannot enter its parents.
	dir, err := os.MkdirTemp("", "rds-") //nolint:usetesting // see above
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711))
	t.Cleanup(func() { os.RemoveAll(dir) })
	third := byte(os.Getpid()%200) + byte(subnets.Add(1))
	return &place{
		dir: dir, prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, third, 0}), 24),
		names: map[string]netip.Addr{},
	}
}

func (p *place) open(t *testing.T) *Engine {
	t.Helper()
	if copied, err := filepath.Glob(filepath.Join(distribution(t), templatePrefix+"*")); err == nil &&
		len(copied) == 1 {
		// initdb takes a second. All engines use the template of the first one.
		require.NoError(t, os.MkdirAll(filepath.Join(p.dir, "postgres"), 0o711))
		out, err := exec.Command("cp", "-a", copied[0], filepath.Join(p.dir, "postgres")).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	e, err := New(Config{
		Dir: filepath.Join(p.dir, "postgres"), PostgresDir: distribution(t), PKIDir: filepath.Join(p.dir, "pki"),
		Prefix: p.prefix, Log: slog.New(slog.NewTextHandler(&p.log, nil)),
		SetDNS: func(name string, addr netip.Addr) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.names[name] = addr
			return nil
		},
		Drop: func(addresses []netip.Addr) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.dropped = addresses
			return nil
		},
		RemoveDNS: func(name string) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.names, name)
			return nil
		},
	})
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

func spec(id string) Spec {
	return Spec{
		Identifier: id, EndpointHost: id + ".cabcdefghijk.ap-northeast-2.rds.amazonaws.com", Port: 5432,
		MasterUsername: "myshop_admin", DBName: "myshop", MaxConnections: 50,
	}
}

func create(t *testing.T, e *Engine, s Spec) netip.Addr {
	t.Helper()
	e.SetAccess(s.Identifier, func(netip.Addr) error { return nil })
	addr, err := e.Create(t.Context(), s, password)
	require.NoError(t, err)
	shared := filepath.Join(distribution(t), filepath.Base(e.template))
	if _, err := os.Stat(shared); err != nil {
		out, err := exec.Command("cp", "-a", e.template, shared).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return addr
}

// dsn returns the connection string of a client in the cluster, with the address in place of a name server.
func dsn(e *Engine, s Spec, user string) string {
	addr, err := e.Address(s.Identifier)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("host=%s hostaddr=%s port=%d user=%s dbname=%s sslmode=verify-full", s.EndpointHost, addr,
		s.Port, user, s.DBName)
}

func login(t *testing.T, e *Engine, s Spec, user, password string) (*pgx.Conn, error) {
	t.Helper()
	conn, err := dial(t.Context(), e, s, user, password)
	if err == nil {
		t.Cleanup(func() { conn.Close(context.Background()) })
	}
	return conn, err
}

// dial connects to an instance as a user. It can be called by any goroutine.
func dial(ctx context.Context, e *Engine, s Spec, user, password string) (*pgx.Conn, error) {
	addr, err := e.Address(s.Identifier)
	if err != nil {
		return nil, err
	}
	cfg, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", addr, s.Port, user,
		s.DBName))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(e.CABundle()) {
		return nil, errors.New("the CA bundle has no certificate")
	}
	cfg.TLSConfig = &tls.Config{RootCAs: roots, ServerName: s.EndpointHost, MinVersion: tls.VersionTLS12}
	cfg.Password = password
	return pgx.ConnectConfig(ctx, cfg)
}

func mustLogin(t *testing.T, e *Engine, s Spec, user, password string) *pgx.Conn {
	t.Helper()
	conn, err := login(t, e, s, user, password)
	require.NoError(t, err)
	return conn
}

func value[T any](t *testing.T, c *pgx.Conn, query string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, c.QueryRow(t.Context(), query, args...).Scan(&v), query)
	return v
}

func exec1(t *testing.T, c *pgx.Conn, query string) {
	t.Helper()
	_, err := c.Exec(t.Context(), query)
	require.NoError(t, err, query)
}
