package engine_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/progress"
	"dbtier/internal/project"
)

const (
	localFile = "# kept\nconfig:\n  dbtier:cloud: local\n"
	prodFile  = "config:\n  dbtier:cloud: aws\n  dbtier:token:\n    secure: v1:abc\n  dbtier:section:\n    list: " +
		"[{secure: v1:def}]\nencryptionsalt: v1:prod\n"
)

type fixture struct {
	*fakeCLI
	project *project.Project
	notes   []string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Pulumi.yaml":       "name: dbtier\nruntime: go\n",
		"Pulumi.local.yaml": localFile, "Pulumi.prod.yaml": prodFile,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	p, err := project.Find(dir)
	require.NoError(t, err)
	t.Setenv("HOME", t.TempDir())
	for _, name := range []string{
		"PULUMI_HOME", "PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE_FILE",
		"PULUMI_CREDENTIALS_PATH",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "prod's own")
	return &fixture{fakeCLI: newFakeCLI(t), project: p}
}

func (f *fixture) config(stack string) engine.Config {
	f.t.Helper()
	s, err := f.project.Stack(stack)
	require.NoError(f.t, err)
	c := engine.Config{
		Project: f.project, Stack: s, CLI: f.path, Command: "up",
		Program: func(*pulumi.Context) error { return nil },
		Note:    func(note string) { f.notes = append(f.notes, note) },
	}
	if s.Cloud == config.Local {
		c.Attach, c.Kubeconfig = "aws:1,kubernetes:2", "/cluster/kubeconfig"
	}
	return c
}

func (f *fixture) open(c engine.Config) *engine.Run {
	f.t.Helper()
	r, err := engine.NewRun(f.t.Context(), c)
	require.NoError(f.t, err)
	f.t.Cleanup(r.Close)
	return r
}

func (f *fixture) read(c engine.Config) *engine.Reader {
	f.t.Helper()
	r := engine.NewReader(c)
	f.t.Cleanup(r.Close)
	return r
}

func quiet() engine.Options { return engine.Options{Progress: progress.Options{Out: io.Discard}} }

func TestAStackOnAWSNeverSeesAttachedProviders(t *testing.T) {
	f := newFixture(t)
	for name, value := range map[string]string{
		"PULUMI_DEBUG_PROVIDERS": "aws:1,kubernetes:2", "PULUMI_DEBUG_LANGUAGES": "go:3",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		"PULUMI_OPTION_STACK":                         "other", "AWS_PROFILE": "shop",
		"KUBECONFIG": "/home/me/.kube/config",
	} {
		t.Setenv(name, value)
	}
	s := f.open(f.config("prod"))
	_, err := s.Up(t.Context(), quiet())
	require.NoError(t, err)

	up := f.only("up")
	for _, name := range []string{
		"PULUMI_DEBUG_PROVIDERS", "PULUMI_DEBUG_LANGUAGES",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "PULUMI_OPTION_STACK",
	} {
		_, found := up.env(name)
		assert.False(t, found, name)
	}
	for name, want := range map[string]string{
		"AWS_PROFILE": "shop", "KUBECONFIG": "/home/me/.kube/config", "PULUMI_CONFIG_PASSPHRASE": "prod's own",
		"PULUMI_BACKEND_URL": "file://" + f.project.Own("state"), "PULUMI_HOME": f.project.Own("home"),
		"PULUMI_SKIP_UPDATE_CHECK": "true",
	} {
		value, _ := up.env(name)
		assert.Equal(t, want, value, name)
	}
	assert.Equal(t, f.project.Dir, up.Dir)

	c := f.config("prod")
	c.Attach = "aws:1"
	_, err = engine.NewRun(t.Context(), c)
	require.ErrorContains(t, err, "is not marked local")
}

func TestTheLocalStackRunsAttachedWithItsOwnPassphraseAndNoAWSAccess(t *testing.T) {
	f := newFixture(t)
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("PULUMI_BACKEND_URL", "s3://states")
	s := f.open(f.config("local"))
	_, err := s.Up(t.Context(), quiet())
	require.NoError(t, err)

	up := f.only("up")
	passphrase := f.project.Own("local-passphrase")
	for name, want := range map[string]string{
		"PULUMI_DEBUG_PROVIDERS": "aws:1,kubernetes:2", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		"KUBECONFIG":                    "/cluster/kubeconfig",
		"PULUMI_CONFIG_PASSPHRASE_FILE": passphrase,
		"PULUMI_BACKEND_URL":            "file://" + f.project.LocalCloud("state", "pulumi"),
	} {
		value, _ := up.env(name)
		assert.Equal(t, want, value, name)
	}
	for _, name := range []string{"AWS_PROFILE", "PULUMI_CONFIG_PASSPHRASE"} {
		_, found := up.env(name)
		assert.False(t, found, name)
	}
	info, err := os.Stat(passphrase)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before, err := os.ReadFile(passphrase)
	require.NoError(t, err)
	assert.Greater(t, len(before), 32)
	again, err := engine.LocalPassphrase(f.project)
	require.NoError(t, err)
	after, err := os.ReadFile(again)
	require.NoError(t, err)
	assert.Equal(t, before, after, "made once")

	kept, err := os.ReadFile(filepath.Join(f.project.Dir, "Pulumi.local.yaml"))
	require.NoError(t, err)
	assert.Equal(t, localFile, string(kept), "the checked-in file stays as it is")
}

func TestAnUpdateAsksForNoOutputsOrHistoryAfterwards(t *testing.T) {
	f := newFixture(t)
	writeState(t, f, "prod", `{"version":3,"checkpoint":{"latest":{}}}`)
	s := f.open(f.config("prod"))
	_, err := s.Up(t.Context(), quiet())
	require.NoError(t, err)
	assert.Len(t, f.calls(), 1, "every further process of the CLI costs a quarter of a second")
}

func TestAnOfflinePreviewHasAStateOfItsOwnAndNoCredentials(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "KUBECONFIG"} {
		t.Setenv(name, "mine")
	}
	t.Setenv("PULUMI_BACKEND_URL", "s3://states")
	t.Setenv("PULUMI_CONFIG_PASSPHRASE", "")
	c := f.config("prod")
	c.Offline, c.Attach = true, "aws:1,kubernetes:2"
	f.file("preview.events", `{"summaryEvent":{"resourceChanges":{"create":7}}}`)
	f.file("stack-select.stderr", "error: no stack named 'prod' found\n")
	s := f.read(c)
	result, err := s.Preview(t.Context(), quiet())
	require.NoError(t, err)
	assert.Equal(t, 7, result.Changes["create"])

	preview := f.only("preview")
	backend, _ := preview.env("PULUMI_BACKEND_URL")
	assert.True(t, strings.HasPrefix(backend, "file://"+os.TempDir()), backend)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "KUBECONFIG"} {
		_, found := preview.env(name)
		assert.False(t, found, name)
	}
	copied, err := os.ReadFile(filepath.Join(preview.Dir, "Pulumi.prod.yaml"))
	require.NoError(t, err)
	assert.NotContains(t, string(copied), "secure")
	assert.NotContains(t, string(copied), "v1:", "no value that only the stack's key decrypts")
	s.Close()
	assert.NoDirExists(t, preview.Dir)

	kept, err := os.ReadFile(filepath.Join(f.project.Dir, "Pulumi.prod.yaml"))
	require.NoError(t, err)
	assert.Equal(t, prodFile, string(kept))
	assert.NoDirExists(t, f.project.Own("state"))
}

func writeState(t *testing.T, f *fixture, stack, text string) {
	t.Helper()
	dir := f.project.Own("state")
	if stack == "local" {
		dir = f.project.LocalCloud("state", "pulumi")
	}
	file := filepath.Join(dir, ".pulumi", "stacks", "dbtier", stack+".json")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}

const pendingState = `{"version":3,"checkpoint":{"latest":{"pending_operations":[{"type":"creating","resource":{"urn":"urn:pulumi:s::dbtier::aws:kms/key:Key::k"}}]}}}`

func TestPendingOperationsOfTheLocalStackAreForgotten(t *testing.T) {
	f := newFixture(t)
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	writeState(t, f, "local", pendingState)
	f.file("exported",
		`{"version":3,"deployment":{"resources":[{"urn":"kept"}],"pending_operations":[{"type":"creating","resource":{"urn":"urn:pulumi:s::dbtier::aws:kms/key:Key::k","type":"aws:kms/key:Key"}}]}}`)
	f.open(f.config("local"))
	imported, err := os.ReadFile(filepath.Join(f.dir, "imported"))
	require.NoError(t, err)
	assert.JSONEq(t, `{"version":3,"deployment":{"resources":[{"urn":"kept"}]}}`, string(imported))
	require.Len(t, f.notes, 1)
	assert.Equal(t, "an earlier run was killed while it was creating aws:kms:Key k: continuing from there", f.notes[0])
	work, err := filepath.Glob(filepath.Join(temporary, "dbtier-run-*", "run", "*"))
	require.NoError(t, err)
	assert.Len(t, work, 2, "the two files of the project, and nothing is left of the repair")
}

// An interrupted deletion may have deleted a resource that the state still has.
func TestTheUpdateAfterAKilledRunLooksAtWhatIsThereUntilOneSucceeds(t *testing.T) {
	f := newFixture(t)
	writeState(t, f, "local", pendingState)
	f.file("exported",
		`{"version":3,"deployment":{"resources":[{"urn":"kept"}],"pending_operations":[{"type":"deleting","resource":{"urn":"kept"}}]}}`)
	s := f.open(f.config("local"))
	assert.FileExists(t, f.project.Own("locks", "local.refresh"))
	_, err := s.Up(t.Context(), quiet())
	require.NoError(t, err)
	assert.Contains(t, f.only("up").Args, "--refresh")
	assert.NoFileExists(t, f.project.Own("locks", "local.refresh"))
}

func TestARunThatDoesNotEndByItselfIsLookedAfter(t *testing.T) {
	f := newFixture(t)
	mark := f.project.Own("locks", "local.refresh")
	// The engine was killed and sends no more events.
	f.file("up.events", `{"cancelEvent":{}}`)
	f.file("up.stderr", "error: \n")
	_, err := f.open(f.config("local")).Up(t.Context(), quiet())
	require.Error(t, err)
	assert.FileExists(t, mark)

	// The run failed without being killed, but has not seen every resource.
	f = newFixture(t)
	mark = f.project.Own("locks", "local.refresh")
	f.file("up.events", `{"diagnosticEvent":{"severity":"error","message":"no"}}`+"\n"+`{"summaryEvent":{}}`)
	f.file("up.stderr", "error: update failed\n")
	s := f.open(f.config("local"))
	_, err = s.Up(t.Context(), quiet())
	require.Error(t, err)
	assert.NoFileExists(t, mark, "nothing was killed")
	require.NoError(t, os.WriteFile(mark, nil, 0o600))
	_, err = s.Up(t.Context(), quiet())
	require.Error(t, err)
	assert.FileExists(t, mark, "the next update refreshes until one succeeds")

	_, err = os.Stat(f.project.Own("locks", "prod.refresh"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestALockThatAKilledRunLeftIsRemovedWithANote(t *testing.T) {
	f := newFixture(t)
	ended := exec.CommandContext(t.Context(), "true")
	require.NoError(t, ended.Run())
	host, err := os.Hostname()
	require.NoError(t, err)
	lock := filepath.Join(f.project.Own("state"), ".pulumi", "locks", "organization", "dbtier", "prod", "x.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(lock), 0o700))
	require.NoError(t, os.WriteFile(lock, []byte(`{"pid":`+strconv.Itoa(ended.Process.Pid)+`,"hostname":"`+host+`"}`),
		0o600))
	f.open(f.config("prod"))
	assert.NoFileExists(t, lock)
	assert.Contains(t, strings.Join(f.notes, "\n"), "removed the lock that process")
}

func TestASecondChangeOfAStackIsRefusedAndAPreviewIsNot(t *testing.T) {
	f := newFixture(t)
	f.open(f.config("prod"))
	_, err := engine.NewRun(t.Context(), f.config("prod"))
	require.ErrorContains(t, err, "another dbtier up")
	_, err = f.read(f.config("prod")).Preview(t.Context(), quiet())
	require.NoError(t, err)
}

func TestFailuresAreOneClearSentence(t *testing.T) {
	for said, want := range map[string]string{
		"error: write /x/.pulumi/stacks/dbtier/prod.json: no space left on device\n": "the disk is full: free some " +
			"space",
		"error: getting stack configuration: incorrect passphrase\n": "check PULUMI_CONFIG_PASSPHRASE",
		"error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with `pulumi cancel`.\n" +
			"  file:///x: created by me@elsewhere (pid 7) at 2026-01-01T00:00:00Z\n": "another update (me@elsewhere " +
			"(pid 7) at 2026-01-01T00:00:00Z) is working on it: wait until it ends; if it is gone for good: " +
			"dbtier cancel --stack prod",
		"error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions\n": "not logged in to",
		"error: something new\nand more\n": "stack prod: something new",
	} {
		f := newFixture(t)
		f.file("up.stderr", said)
		s := f.open(f.config("prod"))
		_, err := s.Up(t.Context(), quiet())
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n", "one sentence")
		assert.NotContains(t, err.Error(), "stderr", "not the Automation API's wrapping")
	}
}

func TestTheEnginesErrorsAreToldOnceAndWithoutWrapping(t *testing.T) {
	f := newFixture(t)
	f.file("up.events", strings.Join([]string{
		`{"diagnosticEvent":{"urn":"urn:pulumi:prod::dbtier::a:b:C$kubernetes:batch/v1:Job::migrate","severity":"error","message":"<{%reset%}>the Job failed\nlast line of its log<{%reset%}>\n"}}`,
		`{"diagnosticEvent":{"urn":"urn:pulumi:prod::dbtier::pulumi:pulumi:Stack::dbtier-prod","severity":"error","message":"<{%reset%}>update failed<{%reset%}>\n"}}`,
		`{"diagnosticEvent":{"urn":"urn:pulumi:prod::dbtier::a:b:C$kubernetes:batch/v1:Job::migrate","severity":"error","message":"the Job failed\nlast line of its log"}}`,
		`{"summaryEvent":{"resourceChanges":{"create":2}}}`,
	}, "\n"))
	f.file("up.stderr", "error: update failed\n")
	s := f.open(f.config("prod"))
	result, err := s.Up(t.Context(), quiet())
	require.EqualError(t, err, "kubernetes:Job migrate: the Job failed\nlast line of its log")
	assert.Equal(t, 2, result.Changes["create"])
}

func TestCancellingEndsTheRunOnceTheEngineHasEnded(t *testing.T) {
	f := newFixture(t)
	f.file("up.waits", "")
	s := f.open(f.config("prod"))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
			if _, err := os.Stat(filepath.Join(f.dir, "waiting")); err == nil {
				cancel()
				return
			}
		}
	}()
	_, err := s.Up(ctx, quiet())
	require.ErrorIs(t, err, engine.ErrCancelled)
}

func TestAnEngineThatSaysNothingIsNotTakenForSuccess(t *testing.T) {
	f := newFixture(t)
	f.file("up.events", `{"cancelEvent":{}}`)
	s := f.open(f.config("prod"))
	_, err := s.Up(t.Context(), quiet())
	require.ErrorContains(t, err, "the engine ended without a summary of the run")
}

func TestTheFirstUpMakesTheStackAndSaysSo(t *testing.T) {
	f := newFixture(t)
	f.file("stack-select.stderr", "error: no stack named 'prod' found\n")
	c := f.config("prod")
	c.SecretsProvider = "awskms://alias/shop"
	f.open(c)
	initialised := f.only("stack", "init")
	assert.Contains(t, strings.Join(initialised.Args, " "), "--secrets-provider awskms://alias/shop")
	assert.Equal(t, []string{"created stack prod in file://" + f.project.Own("state")}, f.notes)
}
