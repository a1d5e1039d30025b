//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// said asserts a refusal: a non-zero exit code and one paragraph that contains every word.
func said(t *testing.T, r result, words ...string) {
	t.Helper()
	assert.NotZero(t, r.code, "%s", r)
	for _, w := range words {
		assert.Contains(t, r.all(), w)
	}
	assert.NotContains(t, r.all(), "goroutine", "no stack trace")
	t.Logf("%s", strings.TrimSpace(r.all()))
}

// bare creates an empty project folder with links to the binaries, like a second clone on the machine.
func bare(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"Pulumi.yaml", "Pulumi.local.yaml", "bin", "localcloud", "examples", "images"} {
		require.NoError(t, os.Symlink(filepath.Join(root, f), filepath.Join(dir, f)))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".localcloud"), 0o755))
	require.NoError(t, os.Symlink(filepath.Join(root, ".localcloud", "cache"),
		filepath.Join(dir, ".localcloud", "cache")))
	return dir
}

func TestWithoutRootOneSentenceSaysSo(t *testing.T) {
	dir := bare(t)
	require.NoError(t, os.Chmod(dir, 0o777))
	// A copy that every user can run, wherever the checkout is.
	program := filepath.Join(t.TempDir(), "localcloud")
	content, err := os.ReadFile(filepath.Join(root, "bin", "localcloud"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, content, 0o755))
	for d := filepath.Dir(program); d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	r := command{dir: "/", attr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}}.run(t,
		program, "start", "--dir", dir)
	said(t, r, "root")
}

func TestATakenPortIsNamed(t *testing.T) {
	mustDbtier(t, "local", "start")
	dir := bare(t)
	r := command{dir: dir}.run(t, filepath.Join(root, "bin", "localcloud"), "start", "--dir", dir)
	said(t, r, "16443")
	assert.NoDirExists(t, filepath.Join(dir, ".localcloud", "state", "etcd"), "nothing was started")
}

func TestTooLittleDiskIsSaidBeforeAnythingIsBuilt(t *testing.T) {
	dir := bare(t)
	require.NoError(t, os.Remove(filepath.Join(dir, ".localcloud", "cache")))
	small := filepath.Join(dir, ".localcloud")
	require.NoError(t, syscall.Mount("tmpfs", small, "tmpfs", 0, "size=16m"))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(small, 0)) })
	r := command{dir: dir}.run(t, filepath.Join(root, "bin", "localcloud"), "start", "--dir", dir)
	said(t, r, "disk", "GiB")
}

func TestABrokenConfigFileIsReportedWithEveryFault(t *testing.T) {
	mustDbtier(t, "up", "--stack", "local")
	t.Run("a key that nobody knows and a value of the wrong kind", func(t *testing.T) {
		r := withConfig(t, "config:\n", "config:\n  dbtier:nonsense: {x: 1}\n  dbtier:alsoNonsense: 3\n").run(t,
			"bin/dbtier", "up", "--stack", "local")
		said(t, r, "Pulumi.local.yaml", "nonsense", "alsoNonsense")
	})
	t.Run("no YAML at all", func(t *testing.T) {
		r := withConfig(t, "config:\n", "config: [unclosed\n").run(t, "bin/dbtier", "up", "--stack", "local")
		said(t, r, "Pulumi.local.yaml")
	})
	healthy(t)
}

func TestAStackThatIsNotLocalNeverTalksToTheStandIn(t *testing.T) {
	env := []string{
		"PULUMI_CONFIG_PASSPHRASE=only for this test", "AWS_ACCESS_KEY_ID=AKIAEXAMPLE",
		"AWS_SECRET_ACCESS_KEY=none", "PULUMI_DEBUG_PROVIDERS=aws:1,kubernetes:2",
	}
	// The newest restorable time changes by itself.
	instances := func() string {
		return regexp.MustCompile(`(?m)^.*"LatestRestorableTime".*$`).ReplaceAllString(
			aws(t, "rds", "describe-db-instances").stdout, "",
		)
	}
	before := instances()
	backend := "file://" + t.TempDir()
	r := withConfig(t).runWith(t, env, "bin/dbtier", "up", "--stack", "prod", "--yes", "--backend", backend)
	assert.NotZero(t, r.code, "prod cannot be deployed here without the installed plugins: %s", r)
	assert.NotContains(t, r.all(), "127.0.0.1:1:", "the attached providers of the environment are not used")
	assert.Equal(t, before, instances())
	t.Logf("%s", strings.TrimSpace(r.all()))
}

// The stand-in's provider servers are attached by hand to a stack that is not marked local.
func TestTheStandInRefusesAStackThatIsNotLocal(t *testing.T) {
	r := withConfig(t).runWith(t, []string{"PULUMI_CONFIG_PASSPHRASE=only for this test"}, "bash", "-ec", `
		eval "$(bin/dbtier local env)"
		unset PULUMI_CONFIG_PASSPHRASE_FILE
		export PULUMI_BACKEND_URL=file://`+t.TempDir()+`
		bin/pulumi stack init prod --non-interactive >/dev/null
		bin/pulumi up --stack prod --yes --non-interactive`)
	said(t, r, "not marked local")
}

func TestAnOfflinePreviewNeedsNothingAndWritesNothing(t *testing.T) {
	state := filepath.Join(root, ".dbtier", "state")
	listing := func() string {
		return command{}.run(t, "bash", "-c", "find '"+state+"' -type f 2>/dev/null | sort || true").stdout
	}
	before := listing()
	for _, stack := range []string{"dev", "prod"} {
		r := command{env: []string{
			"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "KUBECONFIG=/nonexistent",
			"AWS_EC2_METADATA_DISABLED=true",
		}}.
			run(t, filepath.Join(root, "bin", "dbtier"), "preview", "--stack", stack, "--offline")
		require.Zero(t, r.code, "%s", r)
		assert.Contains(t, r.all(), "aws:rds:Instance")
	}
	assert.Equal(t, before, listing())
}

// The stacks set every setting that does not exclude another one.
func TestStacksWithEverythingSetArePreviewedByTheEngine(t *testing.T) {
	for _, stack := range []string{"pgbouncer", "proxy"} {
		r := command{dir: filepath.Join(root, "tests", "golden", "everything")}.
			run(t, filepath.Join(root, "bin", "dbtier"), "preview", "--stack", stack, "--offline")
		require.Zero(t, r.code, "%s", r)
		assert.Contains(t, r.all(), "aws:rds:Instance")
	}
}
