package engine_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/internal/engine"
	"dbtier/internal/statelock"
)

func TestHistoryTellsWhatChangedAStackWithoutItsConfig(t *testing.T) {
	f := newFixture(t)
	f.file("stack-history.stdout", `[{"version":2,"kind":"update","startTime":"2026-01-02T00:00:00.000Z","endTime":"2026-01-02T00:01:00.000Z","message":"more",
		"environment":{"git.head":"abc","git.author":"Kim","ci.secret":"hush"},"config":{"dbtier:token":{"value":"hush","secret":true}},
		"result":"succeeded","resourceChanges":{"create":3}}]`)
	updates, err := f.read(f.config("prod")).History(t.Context(), 5)
	require.NoError(t, err)
	require.Len(t, updates, 1)
	assert.Equal(t, 2, updates[0].Version)
	assert.Equal(t, 3, updates[0].Changes[apitype.OpCreate])
	assert.Equal(t, "abc", updates[0].Commit)
	args := strings.Join(f.only("stack", "history").Args, " ")
	assert.Contains(t, args, "--page-size 5")
	assert.NotContains(t, args, "show-secrets")

	f.file("stack-history.stderr", "error: no stack named 'prod' found\n")
	updates, err = f.read(f.config("prod")).History(t.Context(), 5)
	require.NoError(t, err)
	assert.Empty(t, updates, "it was never made")
}

func TestExportedStatesAreJSONOrAnError(t *testing.T) {
	f := newFixture(t)
	f.file("stack-export.stdout", `{"version":3,"deployment":{}}`)
	state, err := f.read(f.config("prod")).Export(t.Context())
	require.NoError(t, err)
	assert.JSONEq(t, `{"version":3,"deployment":{}}`, string(state))
	f.file("stack-export.stderr", "error: no stack named 'prod' found\n")
	_, err = f.read(f.config("prod")).Export(t.Context())
	require.ErrorContains(t, err, "bring it up with `dbtier up --stack prod`")
}

func TestAnImportedStateReplacesOneThatIsKept(t *testing.T) {
	f := newFixture(t)
	f.file("stack-export.stdout", `{"before":true}`)
	s := f.open(f.config("prod"))
	file, backup := filepath.Join(t.TempDir(), "new.json"), filepath.Join(t.TempDir(), "kept", "old.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"after":true}`), 0o600))
	require.NoError(t, s.ImportState(t.Context(), file, backup))
	kept, err := os.ReadFile(backup)
	require.NoError(t, err)
	assert.JSONEq(t, `{"before":true}`, string(kept))
	imported, err := os.ReadFile(filepath.Join(f.dir, "imported"))
	require.NoError(t, err)
	assert.JSONEq(t, `{"after":true}`, string(imported))
	info, err := os.Stat(backup)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	assert.FileExists(t, f.project.Own("locks", "prod.refresh"), "its age is unknown")
}

const known = `{"version":3,"deployment":{"resources":[{"urn":"urn:pulumi:prod::dbtier::pulumi:pulumi:Stack::dbtier-prod","type":"pulumi:pulumi:Stack"},
	{"urn":"urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres::database","type":"dbtier:components:RdsPostgres"},
	{"urn":"urn:pulumi:prod::dbtier::pulumi:providers:aws::aws","id":"id-1","type":"pulumi:providers:aws"},
	{"urn":"urn:pulumi:prod::dbtier::aws:iam/role:Role::there","id":"there","type":"aws:iam/role:Role"}]}}`

func TestAResourceIsTakenInUnderItsParentAndReadByItsProvider(t *testing.T) {
	f := newFixture(t)
	f.file("stack-export.stdout", known)
	s := f.open(f.config("prod"))
	key := engine.Existing{
		Type: "aws:kms/key:Key", Name: "database-key", ID: "1234",
		Parent: "urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres::database",
	}
	require.NoError(t, s.Import(t.Context(), key, quiet()))
	imported, err := os.ReadFile(filepath.Join(f.dir, "imported"))
	require.NoError(t, err)
	urn := "urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres$aws:kms/key:Key::database-key"
	assert.Contains(t, string(imported),
		`"id":"1234","inputs":{},"outputs":{},"parent":"urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres::database",`+
			`"provider":"urn:pulumi:prod::dbtier::pulumi:providers:aws::aws::id-1","type":"aws:kms/key:Key","urn":"`+urn+`"`)
	assert.Contains(t, f.only("refresh").Args, "--target="+urn)

	for want, e := range map[string]engine.Existing{
		"the state already has urn:pulumi:prod::dbtier::aws:iam/role:Role::there": {
			Type: "aws:iam/role:Role", Name: "there", ID: "x", Parent: root,
		},
		"--parent urn:nowhere: the state has no such resource": {
			Type: "aws:iam/role:Role", Name: "r", ID: "x", Parent: "urn:nowhere",
		},
		"the state has no provider that can read kubernetes:core/v1:Secret": {
			Type: "kubernetes:core/v1:Secret", Name: "s", ID: "x", Parent: root,
		},
		"the state has no provider that can read aws:iam/role:Role: bring the stack up first": {
			Type: "aws:iam/role:Role", Name: "r", ID: "x", Parent: root, Provider: "urn:other",
		},
	} {
		require.ErrorContains(t, s.Import(t.Context(), e, quiet()), want)
	}
}

// root is the URN of the stack prod, the parent of what is in no component.
const root = "urn:pulumi:prod::dbtier::pulumi:pulumi:Stack::dbtier-prod"

func TestWhatCannotBeReadIsNotTakenIn(t *testing.T) {
	f := newFixture(t)
	f.file("stack-export.stdout", known)
	f.file("refresh.events",
		`{"diagnosticEvent":{"severity":"error","message":"access denied"}}`+"\n"+`{"summaryEvent":{}}`)
	f.file("refresh.stderr", "error: refresh failed\n")
	s := f.open(f.config("prod"))
	require.ErrorContains(t, s.Import(t.Context(), engine.Existing{
		Type: "aws:kms/key:Key", Name: "k", ID: "1", Parent: root,
	}, quiet()), "access denied")
	imported, err := os.ReadFile(filepath.Join(f.dir, "imported"))
	require.NoError(t, err)
	assert.JSONEq(t, known, string(imported), "the state is the one before")
}

func (f *fixture) lockedBy(pid, host string) string {
	f.t.Helper()
	lock := filepath.Join(f.project.Own("state"), ".pulumi", "locks", "organization", "dbtier", "prod", "x.json")
	require.NoError(f.t, os.MkdirAll(filepath.Dir(lock), 0o700))
	require.NoError(f.t,
		os.WriteFile(lock,
			[]byte(`{"pid":`+pid+`,"username":"kim","hostname":"`+host+`","timestamp":"2026-01-01T00:00:00Z"}`), 0o600))
	return lock
}

func TestALockOfAnotherMachineStaysUntilItIsCancelled(t *testing.T) {
	f := newFixture(t)
	lock := f.lockedBy("7", "elsewhere")
	f.open(f.config("prod")).Close()
	assert.FileExists(t, lock)
	holders, err := f.read(f.config("prod")).Cancel(t.Context())
	require.NoError(t, err)
	require.Len(t, holders, 1)
	assert.Contains(t, holders[0], "kim@elsewhere (process 7")
	assert.Contains(t, f.only("cancel").Args, "--yes")
}

func TestALockThatACLIToldOfIsTakenOffWhereItsProcessHasEnded(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	ended := exec.CommandContext(t.Context(), "true")
	require.NoError(t, ended.Run())
	locked := func(pid int, host string) string {
		return fmt.Sprintf(
			"error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end.\n  "+
				"s3://x: created by kim@%s (pid %d) at 2026-01-01T00:00:00Z\n", host, pid,
		)
	}
	for name, c := range map[string]struct {
		said    string
		cancels bool
	}{
		"a process of this machine that has ended": {locked(ended.Process.Pid, host), true},
		"one of another machine":                   {locked(ended.Process.Pid, "elsewhere"), false},
		"one of each": {
			locked(ended.Process.Pid, host) + "  s3://y: created by lee@elsewhere (pid 7) at 2026-01-01T00:00:00Z\n",
			false,
		},
	} {
		f := newFixture(t)
		f.file("exported", `{"deployment":{}}`)
		f.file("up.stderr", c.said)
		config := f.config("prod")
		config.Backend = "s3://states"
		_, err := f.open(config).Up(t.Context(), quiet())
		var held *statelock.HeldError
		require.ErrorAs(t, err, &held, name)
		cancelled := slices.ContainsFunc(f.calls(), func(c call) bool { return c.is("cancel") })
		assert.Equal(t, c.cancels, cancelled, name)
	}
}

func TestNoLockNeedsNoCancel(t *testing.T) {
	f := newFixture(t)
	holders, err := f.read(f.config("prod")).Cancel(t.Context())
	require.NoError(t, err)
	assert.Empty(t, holders)
	assert.Empty(t, f.calls())
}

func TestAnUpdateOfThisMachineThatLivesIsNotCancelled(t *testing.T) {
	f := newFixture(t)
	f.open(f.config("prod"))
	_, err := f.read(f.config("prod")).Cancel(t.Context())
	var held *statelock.HeldError
	require.ErrorAs(t, err, &held)
	assert.Contains(t, held.Holder, "another dbtier up (process ")
}

// Two checkouts of one project, or two projects' copies, may share a folder of states.
func TestCheckoutsThatShareABackendExcludeEachOther(t *testing.T) {
	one := newFixture(t)
	shared := "file://" + t.TempDir()
	c := one.config("prod")
	c.Backend = shared
	one.open(c)
	other := newFixture(t)
	c = other.config("prod")
	c.Backend = shared
	_, err := engine.NewRun(t.Context(), c)
	var held *statelock.HeldError
	require.ErrorAs(t, err, &held)
}

func TestConfigOfOneRunLeavesTheFileAsItIs(t *testing.T) {
	f := newFixture(t)
	c := f.config("prod")
	c.Overrides = map[string]any{
		"dbtier:pool.replicas": 3, "dbtier:environment": "staging",
		"dbtier:section.more.deep": true,
	}
	s := f.open(c)
	_, err := s.Up(t.Context(), quiet())
	require.NoError(t, err)
	work := f.only("up").Dir
	text, err := os.ReadFile(filepath.Join(work, "Pulumi.prod.yaml"))
	require.NoError(t, err)
	var file struct {
		Config map[string]any
		Salt   string `yaml:"encryptionsalt"`
	}
	require.NoError(t, yaml.Unmarshal(text, &file))
	assert.Equal(t, map[string]any{"replicas": 3}, file.Config["dbtier:pool"])
	assert.Equal(t, "staging", file.Config["dbtier:environment"])
	assert.Contains(t, file.Config["dbtier:section"], "list", "what is beside a changed key stays")
	assert.Equal(t, "v1:prod", file.Salt, "what decrypts the rest")
	kept, err := os.ReadFile(filepath.Join(f.project.Dir, "Pulumi.prod.yaml"))
	require.NoError(t, err)
	assert.Equal(t, prodFile, string(kept))
	s.Close()
	assert.NoDirExists(t, work)

	c.Overrides = map[string]any{"dbtier:cloud.deep": 1}
	_, err = engine.NewRun(t.Context(), c)
	require.ErrorContains(t, err, "--config dbtier:cloud.deep: dbtier:cloud is a value and has no keys below it")
}

func TestFailuresTellPoliciesAndConfigFromTheRest(t *testing.T) {
	f := newFixture(t)
	f.file("preview.events",
		`{"policyEvent":{"resourceUrn":"urn:pulumi:prod::dbtier::aws:kms/key:Key::k","message":"rotate it","policyName":"rotation",`+
			`"policyPackName":"dbtier","enforcementLevel":"mandatory"}}`+"\n"+`{"summaryEvent":{}}`)
	f.file("preview.stderr", "error: preview failed\n")
	result, err := f.open(f.config("prod")).Preview(t.Context(), quiet())
	var failure *engine.FailureError
	require.ErrorAs(t, err, &failure)
	assert.True(t, failure.Policy)
	assert.False(t, failure.Config)
	require.Len(t, result.Findings, 1)
	assert.Equal(t, "rotation", result.Findings[0].Policy)

	f = newFixture(t)
	f.file("up.events", `{"diagnosticEvent":{"severity":"error","message":"no such zone"}}`+"\n"+`{"summaryEvent":{}}`)
	f.file("up.stderr", "error: update failed\n")
	_, err = f.open(f.config("prod")).Up(t.Context(), quiet())
	require.ErrorAs(t, err, &failure)
	assert.False(t, failure.Policy || failure.Config)
}

func TestOptionsReachTheEngine(t *testing.T) {
	f := newFixture(t)
	o := quiet()
	o.Plan, o.Targets, o.Replaces, o.Dependents, o.Parallel = "/p/plan", []string{"**::a"}, []string{"**::b"}, true, 7
	o.Refresh, o.PolicyPacks, o.PolicyConfigs = true, []string{"/packs/own"}, []string{"/packs/own.json"}
	s := f.open(f.config("prod"))
	_, err := s.Preview(t.Context(), o)
	require.NoError(t, err)
	_, err = s.Up(t.Context(), o)
	require.NoError(t, err)
	for command, plan := range map[string]string{"preview": "--save-plan=/p/plan", "up": "--plan=/p/plan"} {
		args := f.only(command).Args
		for _, want := range []string{
			plan, "--target=**::a", "--replace=**::b", "--target-dependents", "--parallel=7", "--refresh",
			"--policy-pack=/packs/own", "--policy-pack-config=/packs/own.json",
		} {
			assert.Contains(t, args, want, command)
		}
	}
	_, err = s.Refresh(t.Context(), o)
	require.NoError(t, err)
	assert.Contains(t, f.only("refresh").Args, "--target=**::a")
	assert.NotContains(t, f.only("refresh").Args, "--preview-only")
	f = newFixture(t)
	_, err = f.open(f.config("prod")).Drift(t.Context(), quiet())
	require.NoError(t, err)
	assert.Contains(t, f.only("refresh").Args, "--preview-only")
}

func TestAStackThatIsNotThereIsNotMadeByALook(t *testing.T) {
	f := newFixture(t)
	f.file("stack-select.stderr", "error: no stack named 'prod' found\n")
	c := f.config("prod")
	c.Existing = true
	_, err := engine.NewRun(t.Context(), c)
	require.ErrorContains(t, err, "stack prod is not in file://")
	for _, call := range f.calls() {
		assert.False(t, call.is("stack", "init"))
	}
}

func TestATargetedUpdateDoesNotSettleWhatIsOwed(t *testing.T) {
	f := newFixture(t)
	s := f.open(f.config("prod"))
	require.NoError(t, s.RequireRefresh())
	o := quiet()
	o.Targets = []string{"**::a"}
	_, err := s.Up(t.Context(), o)
	require.NoError(t, err)
	assert.FileExists(t, f.project.Own("locks", "prod.refresh"), "the others were not looked at")
	_, err = s.Refresh(t.Context(), quiet())
	require.NoError(t, err)
	assert.NoFileExists(t, f.project.Own("locks", "prod.refresh"))
}
