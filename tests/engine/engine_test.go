package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answer is the part of a --json answer that these tests read.
type answer struct {
	Schema    string
	Command   string
	Stack     string
	OK        bool
	ExitCode  int
	Skipped   bool
	Holder    string
	Faults    []string
	Notes     []string
	Changed   *bool
	Changes   map[string]int
	Resources []struct {
		Op, Type, Name string
		Changed        []string
		Because        []string
		Options        []string
		Inputs         map[string]any
	}
	DataLoss []struct {
		Name, Op string
		Allowed  bool
	}
	Obstacles   []struct{ Reason, Fix string }
	Pending     []struct{ Property string }
	Policies    []struct{ Policy, Level, Message, URN string }
	Connections *struct{ Planned, Limit int }
	History     []struct{ Kind, Result string }
	Deployment  json.RawMessage
	Stacks      []answer
}

func (s *site) ask(code int, args ...string) answer {
	s.t.Helper()
	r := s.must(code, append(args, "--json")...)
	var a answer
	decode(s.t, r, &a)
	assert.Equal(s.t, "dbtier/v1", a.Schema)
	assert.Equal(s.t, code, a.ExitCode)
	return a
}

func TestAStackFromNothingToNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a"}), role("b", props{"name": "b"}))
	up := s.ask(0, "up", "--stack", "local")
	assert.True(t, *up.Changed)
	assert.Equal(t, 3, up.Changes["create"], "with the stack itself")
	assert.Equal(t, []string{"a", "b"}, s.there())
	again := s.ask(0, "up", "--stack", "local")
	assert.False(t, *again.Changed)
	assert.Empty(t, again.Resources)
	require.NotNil(t, again.Connections)
	assert.Equal(t, 86, again.Connections.Planned)

	s.stack("local", role("a", props{"name": "a", "path": "/x/"}))
	preview := s.ask(2, "preview", "--stack", "local", "--detailed-exitcode")
	assert.Equal(t, 1, preview.Changes["update"])
	assert.Equal(t, 1, preview.Changes["delete"])
	s.ask(0, "preview", "--stack", "local")
	s.must(2, "up", "--stack", "local", "--expect-no-changes")
	assert.Equal(t, []string{"a", "b"}, s.there(), "nothing was changed")
	s.must(0, "up", "--stack", "local")
	assert.Equal(t, []string{"a"}, s.there())
	s.must(0, "up", "--stack", "local", "--expect-no-changes")
	s.ask(0, "preview", "--stack", "local", "--detailed-exitcode")

	history := s.ask(0, "history", "--stack", "local", "--limit", "2")
	require.Len(t, history.History, 2)
	assert.Equal(t, "succeeded", history.History[0].Result)
	s.must(0, "destroy", "--stack", "local")
	assert.Empty(t, s.there())
}

func TestDriftIsFoundAndMendedAndNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a", "path": "/"}), role("b", props{"name": "b"}),
		role("c", props{"name": "c"}))
	s.must(0, "up", "--stack", "local")
	s.ask(0, "drift", "--stack", "local")
	s.operations()

	s.change("a", "path", "/by/hand/")
	s.change("c", "status", "what the program does not ask for")
	require.NoError(t, os.Remove(filepath.Join(s.world, "b.json")))
	drift := s.ask(2, "drift", "--stack", "local")
	require.Len(t, drift.Resources, 2)
	assert.Equal(t, "update", drift.Resources[0].Op)
	assert.Equal(t, []string{"path"}, drift.Resources[0].Changed)
	assert.Equal(t, "delete", drift.Resources[1].Op)
	assert.Equal(t, "b", drift.Resources[1].Name)
	assert.Empty(t, s.operations(), "drift changes nothing")
	people := s.must(2, "drift", "--stack", "local")
	assert.Contains(t, people.stdout, "~ aws:iam:Role a\n        path: / → /by/hand/\n")
	assert.Contains(t, people.stdout, "- aws:iam:Role b is gone\n")
	assert.Contains(t, people.stdout, "repair with: dbtier up --stack local --refresh")

	s.must(0, "up", "--stack", "local")
	assert.ElementsMatch(t, []string{"update a", "create b"}, s.operations())
	s.ask(0, "drift", "--stack", "local")
}

func TestRefreshTakesWhatIsThereIntoTheState(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a", "path": "/"}))
	s.must(0, "up", "--stack", "local")
	s.operations()
	s.change("a", "path", "/by/hand/")
	refresh := s.ask(0, "refresh", "--stack", "local")
	assert.Equal(t, 1, refresh.Changes["update"])
	assert.Empty(t, s.operations())
	preview := s.ask(2, "preview", "--stack", "local", "--detailed-exitcode")
	assert.Equal(t, 1, preview.Changes["update"], "the program wants it back")
}

func TestDataIsNotLostUnlessItsResourceIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	database := func(engine string) declared {
		return instance("database-instance", props{"identifier": "db-" + engine, "engine": engine})
	}
	key := declared{Type: "aws:kms/key:Key", Name: "database-key", Props: props{"description": "d"}}
	s.stack("local", database("16"), key, role("r", props{"name": "r"}))
	s.must(0, "up", "--stack", "local", "--yes")
	s.operations()

	s.stack("local", database("17"), role("r", props{"name": "r"}))
	refused := s.ask(3, "up", "--stack", "local", "--yes")
	assert.Empty(t, s.operations(), "nothing was changed")
	require.Len(t, refused.DataLoss, 2)
	text := strings.Join(refused.Faults, "\n")
	assert.Contains(t, text,
		"aws:rds:Instance database-instance is replaced by an empty one because of engine, identifier: the database")
	assert.Contains(t, text, "add: --allow-data-loss ")
	s.must(3, "up", "--stack", "local", "--yes", "--allow-data-loss", "database-instance")
	assert.Empty(t, s.operations(), "one of two is not enough")

	s.ask(0, "up", "--stack", "local", "--yes", "--allow-data-loss", "database-instance", "--allow-data-loss",
		"database-key")
	assert.ElementsMatch(t, []string{"create db-17", "delete db-16", "delete database-key"}, s.operations())
}

func TestWhatIsRetainedIsNoLoss(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	crd := declared{
		Type: "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", Name: "crd",
		Props: props{"name": "crd"}, Retain: true,
	}
	s.stack("local", crd)
	s.must(0, "up", "--stack", "local")
	s.stack("local")
	s.must(0, "up", "--stack", "local")
	assert.Equal(t, []string{"crd"}, s.there())
}

func TestDestroyOfWhatIsProtectedSaysWhatStandsInTheWay(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	protected := role("kept", props{"name": "kept"})
	protected.Protect = true
	s.stack("local", instance("database-instance", props{"identifier": "db", "deletionProtection": true}), protected,
		role("other", props{"name": "other"}))
	s.must(0, "up", "--stack", "local")
	refused := s.ask(3, "destroy", "--stack", "local")
	require.Len(t, refused.Obstacles, 2)
	assert.Equal(t, []string{"db", "kept", "other"}, s.there(), "nothing was deleted")
	assert.Contains(t, strings.Join(refused.Faults, "\n"), "deletionProtection: false in Pulumi.local.yaml")
}

func TestAnUpdateKeepsToItsPlan(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a"}))
	s.must(0, "preview", "--stack", "local", "--plan", "plan.json")
	require.FileExists(t, filepath.Join(s.dir, "plan.json"))
	s.stack("local", role("a", props{"name": "a"}), role("b", props{"name": "b"}))
	refused := s.must(5, "up", "--stack", "local", "--plan", "plan.json")
	assert.Contains(t, refused.stderr, "was made with other settings, and nothing was changed now: dbtier:resources")
	assert.Empty(t, s.there())

	s.must(0, "preview", "--stack", "local", "--plan", "plan.json")
	s.must(0, "up", "--stack", "local", "--plan", "plan.json")
	assert.Equal(t, []string{"a", "b"}, s.there())

	// The settings are the same, and the program makes something else of them.
	changing := role("a", props{"name": "a"})
	changing.Secrets = map[string]string{"password": "FROM_ENVIRONMENT"}
	s.stack("local", changing, role("b", props{"name": "b"}))
	environment := s.env
	s.env = append(slices.Clone(environment), "FROM_ENVIRONMENT=one-value")
	s.must(0, "preview", "--stack", "local", "--plan", "plan.json")
	s.env = append(slices.Clone(environment), "FROM_ENVIRONMENT=other-value")
	refused = s.must(5, "up", "--stack", "local", "--plan", "plan.json")
	assert.Contains(t, refused.stderr, "a: is not as in the plan: the inputs password differ: make a new plan")
	for _, value := range []string{"one-value", "other-value", "map[", "{"} {
		assert.NotContains(t, refused.stdout+refused.stderr, value)
	}
	missing := s.must(1, "up", "--stack", "local", "--plan", "none.json")
	assert.Contains(t, missing.stderr, "dbtier preview --stack local --plan FILE")
}

func TestTargetsReplacementsAndConfigOfOneRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a"}), role("b", props{"name": "b"}))
	s.must(0, "up", "--stack", "local", "--target", "a")
	assert.Equal(t, []string{"a"}, s.there())
	s.must(0, "up", "--stack", "local", "--parallel", "1")
	s.operations()
	s.must(0, "up", "--stack", "local", "--replace", "b")
	assert.ElementsMatch(t, []string{"adopt b", "delete b"}, s.operations())

	before, err := os.ReadFile(filepath.Join(s.dir, "Pulumi.local.yaml"))
	require.NoError(t, err)
	s.must(0, "up", "--stack", "local", "--config", "environment=c")
	assert.Contains(t, s.there(), "c")
	after, err := os.ReadFile(filepath.Join(s.dir, "Pulumi.local.yaml"))
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
	s.must(64, "up", "--stack", "local", "--config", "cloud=aws")
	s.must(64, "up", "--stack", "local", "--config", "nothing")
	unknown := s.must(64, "up", "--stack", "local", "--config", "image=shop:2")
	assert.Contains(t, unknown.stderr, "--config image: there is no such key; did you mean consumer.image")
}

func TestAFaultOfTheConfigIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", declared{Type: "fault", Name: "f"})
	for _, command := range []string{"preview", "up"} {
		a := s.ask(4, command, "--stack", "local")
		require.Len(t, a.Faults, 1, "%v", a.Faults)
		assert.Equal(t, "the stack's config has faults\nPulumi.local.yaml: dbtier:resources: a fault of the config",
			a.Faults[0])
	}
	s.file("Pulumi.broken.yaml", "config: [\n")
	s.ask(4, "up", "--stack", "broken")
	s.ask(4, "up", "--stack", "missing")
}

func TestAResourceThatFailsIsAFailedUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a"}),
		declared{Type: "aws:iam/role:Role", Name: "b", Props: props{"name": "no/such/../../../../folder"}})
	require.NoError(t, os.Chmod(s.world, 0o700))
	s.stack("local", role("a", props{"name": "a"}), role("b", props{"name": strings.Repeat("x", 300)}))
	a := s.ask(5, "up", "--stack", "local")
	assert.NotEmpty(t, a.Faults)
	assert.Contains(t, s.there(), "a")
}

// TestARefusedSecretIsNotShown requires that a password that a policy refuses is shown nowhere, also above the refusal.
func TestARefusedSecretIsNotShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	s.install(exe, filepath.Join(s.bin, "policy-pack"))
	s.stack("local", role("a", props{
		"name": "a", "public": true, "description": "of hunter22-secret",
		"env": []any{props{"name": "DATABASE_PASSWORD", "value": "hunter22-secret"}},
		"url": "postgres://app:hunter22-secret@db.example.com/x",
	}))
	summary := filepath.Join(s.dir, "summary.md")
	for _, args := range [][]string{
		{"preview", "--inputs"}, {"preview", "--json"}, {"preview", "--summary", summary}, {"up"}, {"up", "--json"},
	} {
		r := s.must(3, append(args, "--stack", "local")...)
		assert.NotContains(t, r.String(), "hunter22", args)
		assert.Contains(t, r.String(), "it is public", args)
	}
	text, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "hunter22")
}

func TestPoliciesAreOnByDefaultAndJudgeTheRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	s.stack("local", role("a", props{"name": "a", "public": true, "old": true}))
	noted := s.ask(0, "preview", "--stack", "local")
	assert.Contains(t, strings.Join(noted.Notes, "\n"), "no policies are checked")

	s.install(exe, filepath.Join(s.bin, "policy-pack"))
	violated := s.ask(3, "preview", "--stack", "local")
	require.Len(t, violated.Policies, 2)
	slices.SortFunc(violated.Policies, func(a, b struct{ Policy, Level, Message, URN string }) int {
		return strings.Compare(a.Policy, b.Policy)
	})
	assert.Equal(t, "no-old", violated.Policies[0].Policy)
	assert.Equal(t, "advisory", violated.Policies[0].Level)
	assert.Equal(t, "mandatory", violated.Policies[1].Level)
	s.ask(3, "up", "--stack", "local")
	assert.Empty(t, s.there())
	s.ask(0, "preview", "--stack", "local", "--no-policy")
	s.stack("local", role("a", props{"name": "a", "old": true}))
	advised := s.ask(0, "up", "--stack", "local")
	assert.Len(t, advised.Policies, 1)
	another := filepath.Join(t.TempDir(), "policy-pack")
	require.NoError(t, os.Symlink(filepath.Join(s.bin, "policy-pack"), another))
	s.stack("local", role("a", props{"name": "a", "public": true}))
	s.ask(3, "preview", "--stack", "local", "--no-policy", "--policy-pack", another)
	s.must(64, "preview", "--stack", "local", "--policy-pack", "/nowhere")
}

func TestAStateIsExportedAndImported(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a"}))
	s.must(0, "up", "--stack", "local")
	file := filepath.Join(s.dir, "state.json")
	s.must(0, "export", "--stack", "local", "--file", file)
	printed := s.must(0, "export", "--stack", "local")
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.JSONEq(t, string(kept), printed.stdout)
	assert.JSONEq(t, string(kept), string(s.ask(0, "export", "--stack", "local").Deployment))

	s.must(0, "destroy", "--stack", "local")
	s.must(0, "import", "--stack", "local", "--file", file)
	backups, err := filepath.Glob(filepath.Join(s.dir, ".dbtier", "backups", "local-*.json"))
	require.NoError(t, err)
	assert.Len(t, backups, 1)
	// The state has resources that were deleted: the next up refreshes it first.
	s.must(0, "up", "--stack", "local")
	assert.Equal(t, []string{"a"}, s.there())
	s.stack("other", role("a", props{"name": "a"}))
	foreign := s.must(1, "import", "--stack", "other", "--file", file)
	assert.Contains(t, foreign.stderr, "is the state of stack local of project dbtier, and not of stack other")
	assert.Less(t, strings.Count(foreign.stderr, "\n"), 4, "%s", foreign)
	s.must(64, "import", "--stack", "local")
	s.must(64, "import", "--stack", "local", "only-a-type")
}

// exists puts a resource into the world that no stack has made.
func (s *site) exists(id string, properties props) {
	s.t.Helper()
	text, err := json.Marshal(properties)
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(filepath.Join(s.world, id+".json"), text, 0o600))
}

func TestAResourceThatIsThereIsTakenIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.exists("db", props{"identifier": "db"})
	database := instance("database-instance", props{"identifier": "db"})
	database.Component = "RdsPostgres"
	s.stack("local", database, role("b", props{"name": "b"}))
	// The stack has never been up: the state has neither the component nor a provider.
	imported := s.must(0, "import", "--stack", "local", "aws:rds/instance:Instance", "database-instance", "db")
	assert.Contains(t, imported.stdout, "undo: dbtier import --stack local --undo database-instance")
	assert.Empty(t, s.operations(), "nothing is created, nor changed")
	s.must(0, "up", "--stack", "local")
	assert.Equal(t, []string{"create b"}, s.operations())
	s.ask(0, "preview", "--stack", "local", "--detailed-exitcode")
}

func TestAnImportThatWouldEndInADeletionIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	database := instance("database-instance", props{"identifier": "db"})
	database.Component = "RdsPostgres"
	s.stack("local", database)
	s.must(0, "up", "--stack", "local")
	s.exists("other", props{"name": "other"})
	before := s.must(0, "export", "--stack", "local").stdout
	for want, args := range map[string][]string{
		"the state already has aws:rds/instance:Instance db, as urn:": {
			"aws:rds/instance:Instance", "database-instance", "db",
		},
		"the state already has urn:":                                     {"aws:rds/instance:Instance", "database-instance", "x"},
		"no aws:rds/instance:Instance named copy, but database-instance": {"aws:rds/instance:Instance", "copy", "x"},
		"the program declares no aws:iam/role:Role":                      {"aws:iam/role:Role", "other", "other"},
	} {
		refused := s.must(5, append([]string{"import", "--stack", "local"}, args...)...)
		assert.Contains(t, refused.stderr, want)
	}
	assert.JSONEq(t, before, s.must(0, "export", "--stack", "local").stdout)
	s.ask(0, "preview", "--stack", "local", "--detailed-exitcode")
}

func TestAnImportCanBeUndone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a"}))
	missing := s.must(5, "import", "--stack", "local", "aws:iam/role:Role", "a", "a")
	assert.Contains(t, missing.stderr, "does not exist: nothing was imported")
	s.exists("a", props{"name": "a"})
	s.must(0, "import", "--stack", "local", "aws:iam/role:Role", "a", "a")
	s.ask(0, "preview", "--stack", "local", "--detailed-exitcode")
	s.must(0, "import", "--stack", "local", "--undo", "a")
	assert.Equal(t, []string{"a"}, s.there(), "the real one is left alone")
	assert.Equal(t, 1, s.ask(2, "preview", "--stack", "local", "--detailed-exitcode").Changes["create"])
	s.must(5, "import", "--stack", "local", "--undo", "a")
	s.must(64, "import", "--stack", "local", "--undo", "a", "--file", "x")
}

func TestSecretsAreInNoOutputOfAnyCommand(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const secret = `pa:ss%wo*rd]-A|b"c\d`
	s.env = append(s.env, "ONE="+secret, "OTHER="+secret+"2")
	secretive := declared{
		Type: "aws:iam/role:Role", Name: "a", Props: props{"name": "a", "kept": "visible"},
		Secrets: map[string]string{"password": "ONE"},
	}
	s.stack("local", secretive)
	var all strings.Builder
	summary := filepath.Join(s.dir, "summary.md")
	for _, args := range [][]string{
		{"preview", "--stack", "local", "--inputs", "--summary", summary},
		{"preview", "--stack", "local", "--json"},
		{"up", "--stack", "local"},
	} {
		all.WriteString(s.must(0, args...).String())
	}
	secretive.Props, secretive.Secrets = props{"name": "a", "kept": "changed"}, map[string]string{"password": "OTHER"}
	s.stack("local", secretive)
	for _, args := range [][]string{
		{"preview", "--stack", "local", "--json"},
		{"preview", "--stack", "local", "--summary", summary, "--plan", "plan.json"},
		{"export", "--stack", "local"},
		{"outputs", "--stack", "local"},
		{"history", "--stack", "local"},
		{"history", "--stack", "local", "--json"},
	} {
		all.WriteString(s.must(0, args...).String())
	}
	markdown, err := os.ReadFile(summary)
	require.NoError(t, err)
	plan, err := os.ReadFile(filepath.Join(s.dir, "plan.json"))
	require.NoError(t, err)
	assert.Contains(t, string(markdown), "`visible` → `changed`", "values that are not secret are shown")
	assert.Contains(t, string(markdown), "`password`: `<secret>` → `<secret>`")
	text := all.String() + string(markdown) + string(plan)
	quoted, err := json.Marshal(secret)
	require.NoError(t, err)
	for _, spelling := range []string{secret, strings.Trim(string(quoted), `"`)} {
		assert.NotContains(t, text, spelling)
	}
}

// A run with other settings must not be the config of a run beside it, nor of plain pulumi after it.
func TestRunsAtTheSameTimeHaveTheirOwnSettings(t *testing.T) {
	t.Parallel()
	for _, cloud := range []string{"local", "aws"} {
		s := newSite(t)
		s.configure("local", cloud, []declared{role("a", props{"name": "a"})}, nil)
		s.must(0, "up", "--stack", "local", "--yes", "--config", "environment=first")
		var wait sync.WaitGroup
		for _, name := range []string{"x1", "x2", "x3", "x4"} {
			wait.Go(func() {
				preview := s.ask(0, "preview", "--stack", "local", "--config", "environment="+name)
				var created []string
				for _, r := range preview.Resources {
					if r.Op == "create" {
						created = append(created, r.Name)
					}
				}
				assert.Equal(t, []string{name}, created)
			})
		}
		wait.Wait()
		s.must(0, "up", "--stack", "local", "--yes", "--config", "environment=first", "--expect-no-changes")
		if cloud == "local" {
			kept, err := os.ReadFile(filepath.Join(s.dir, ".localcloud", "state", "pulumi", "work", "dbtier",
				"Pulumi.local.yaml"))
			require.NoError(t, err)
			assert.NotContains(t, string(kept), "environment")
			assert.Contains(t, string(kept), "encryptionsalt")
		}
	}
}
