package engine

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bucket starts an S3 server for the duration of the test, and returns the URL of a bucket.
func (s *site) bucket() string {
	s.t.Helper()
	program := filepath.Join(s.t.TempDir(), "s3")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "s3")
	build.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false -gcflags=all=-dwarf=false", "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(s.t, err, "%s", out)
	server := exec.Command(program)
	stdin, err := server.StdinPipe()
	require.NoError(s.t, err)
	stdout, err := server.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, server.Start())
	s.t.Cleanup(func() {
		stdin.Close()
		_ = server.Wait()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(s.t, err)
	s.env = append(s.env, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test-secret",
		"AWS_EC2_METADATA_DISABLED=true")
	return "s3://states?endpoint=127.0.0.1:" + strings.TrimSpace(port) +
		"&disableSSL=true&s3ForcePathStyle=true&region=us-east-1"
}

func TestAStateInABucketWorksAsOneInAFolder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	backend := s.bucket()
	s.configure("prod", "aws", []declared{
		role("a", props{"name": "a", "path": "/"}),
		instance("db", props{"identifier": "db"}),
	}, nil)
	with := func(args ...string) []string { return append(args, "--stack", "prod", "--backend", backend) }
	s.must(0, with("up", "--yes")...)
	assert.Equal(t, []string{"a", "db"}, s.there())
	assert.NoDirExists(t, filepath.Join(s.dir, ".dbtier", "state"))
	again := s.ask(0, with("up", "--yes")...)
	assert.False(t, *again.Changed)

	outputs := s.must(0, with("outputs", "--json")...)
	assert.Contains(t, outputs.stdout, `"connectionsPlanned": 86`)
	s.change("a", "path", "/by/hand/")
	s.ask(2, with("drift")...)
	s.must(0, with("up", "--yes")...)
	s.ask(0, with("drift")...)
	history := s.ask(0, with("history")...)
	assert.GreaterOrEqual(t, len(history.History), 2)
	doctor := s.run(with("doctor")...)
	assert.Contains(t, doctor.stdout, "✓ backend            s3://states")

	// The guards read the state from the bucket.
	s.configure("prod", "aws", []declared{role("a", props{"name": "a", "path": "/"})}, nil)
	refused := s.ask(3, with("up", "--yes")...)
	require.Len(t, refused.DataLoss, 1)
	s.configure("prod", "aws", []declared{instance("db", props{"identifier": "db", "deletionProtection": true})}, nil)
	s.must(0, with("up", "--yes")...)
	s.must(3, with("destroy", "--yes")...)
	s.configure("prod", "aws", []declared{instance("db", props{"identifier": "db"})}, nil)
	s.must(0, with("up", "--yes")...)
	s.must(0, with("destroy", "--yes")...)
	assert.Empty(t, s.there())
}

func TestAnUpdateOfABucketsStateThatWasKilledIsGoneOnWith(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	backend := s.bucket()
	s.configure("prod", "aws", slow("a", "b", "c"), nil)
	s.killAt(2, "up", "--stack", "prod", "--backend", backend, "--yes")
	up := s.must(0, "up", "--stack", "prod", "--backend", backend, "--yes")
	assert.Contains(t, up.stderr, "note: removed the lock that process ")
	assert.Equal(t, []string{"a", "b", "c"}, s.there())
	for _, operation := range s.operations() {
		assert.NotContains(t, operation, "adopt", "the resource was found and not created again")
	}
}
