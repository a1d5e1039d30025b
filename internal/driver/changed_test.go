package driver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/gittest"
)

// repository makes the bench's project a repository with a program and five stacks: network, orders and billing refer
// to each other in a row, prod and local to none.
func repository(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.program = "example.com/p"
	gittest.LeaveRepository(t)
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	refers := func(to string) string {
		return "config:\n  dbtier:cloud: aws\n  dbtier:network: {stackReference: {stack: organization/dbtier/" + to + "}}\n"
	}
	b.writes(map[string]string{
		".gitignore": "cloud.calls\n.dbtier/\n", "README.md": "1", "docs/page.md": "1", "charts/values.yaml": "1",
		"go.mod": "module example.com/p\n", "main.go": "package main\n\nimport _ \"example.com/p/role\"\n",
		"role/role.go": "package role\n", "role/role_test.go": "package role\n", "policy/main.go": "package main\n",
		"tools/pulumi/go.mod": "module tools\n", "localcloud/go.mod": "module localcloud\n",
		"Pulumi.network.yaml": "config:\n  dbtier:cloud: aws\n  dbtier:operator: {chart: ./charts}\n",
		"Pulumi.orders.yaml":  refers("network"), "Pulumi.billing.yaml": refers("orders"),
	})
	b.git("init", "--quiet", "--initial-branch=main")
	b.commits()
	return b
}

func (b *bench) writes(files map[string]string) {
	b.t.Helper()
	gittest.Write(b.t, b.dir, files)
}

func (b *bench) git(args ...string) {
	b.t.Helper()
	gittest.Run(b.t, b.dir, args...)
}

func (b *bench) commits() {
	b.t.Helper()
	b.git("add", "--all")
	b.git("commit", "--quiet", "--message", "change")
}

func TestOnlyStacksThatChangedAreWorkedOn(t *testing.T) {
	all := []string{"billing", "local", "network", "orders", "prod"}
	for name, c := range map[string]struct {
		writes map[string]string
		remove string
		taken  []string
		says   string
	}{
		"nothing": {taken: nil, says: "nothing to do: nothing that billing, local, network, orders, prod depends on has " +
			"changed since HEAD ("},
		"documents and tests": {
			writes: map[string]string{
				"README.md": "2", "docs/page.md": "2", "role/role_test.go": "package role // 2\n",
				"role/README.md": "2", "other/other.go": "package other\n", "localcloud/go.mod": "module other\n",
			},
			says: "nothing to do: ",
		},
		"a stack's file": {
			writes: map[string]string{"Pulumi.prod.yaml": "config: {'dbtier:cloud': aws}\n"},
			taken:  []string{"prod"}, says: "prod     taken: Pulumi.prod.yaml\n",
		},
		"a stack that others refer to": {
			writes: map[string]string{"Pulumi.network.yaml": "config:\n  dbtier:cloud: aws\n"},
			taken:  []string{"billing", "network", "orders"}, says: "billing  taken: it refers to stack orders\n",
		},
		"the last of a row":           {writes: map[string]string{"Pulumi.billing.yaml": "config: {'dbtier:cloud': aws}\n"}, taken: []string{"billing"}},
		"a file that a config names":  {writes: map[string]string{"charts/values.yaml": "2"}, taken: []string{"billing", "network", "orders"}, says: "network  taken: charts/values.yaml\n"},
		"a new file there":            {writes: map[string]string{"charts/new.yaml": "2"}, taken: []string{"billing", "network", "orders"}},
		"a file there that is gone":   {remove: "charts/values.yaml", taken: []string{"billing", "network", "orders"}},
		"the project's file":          {writes: map[string]string{"Pulumi.yaml": "name: dbtier\nruntime: go\ndescription: d\n"}, taken: all, says: "prod     taken: Pulumi.yaml\n"},
		"a package":                   {writes: map[string]string{"role/role.go": "package role // 2\n"}, taken: all, says: "taken: the program: role/role.go\n"},
		"an untracked file of it":     {writes: map[string]string{"role/more.go": "package role\n"}, taken: all},
		"dependencies of the program": {writes: map[string]string{"go.sum": "2"}, taken: all},
		"the policies":                {writes: map[string]string{"policy/main.go": "package main // 2\n"}, taken: all},
		"the engine":                  {writes: map[string]string{"tools/pulumi/go.mod": "module tools // 2\n"}, taken: all, says: "taken: the engine: tools/pulumi/go.mod\n"},
		"several": {
			writes: map[string]string{
				"Pulumi.prod.yaml": "config: {'dbtier:cloud': aws}\n", "role/a.go": "package role\n",
				"role/b.go": "package role\n", "role/c.go": "package role\n", "role/d.go": "package role\n",
			},
			taken: all, says: "prod     taken: Pulumi.prod.yaml; the program: role/a.go, role/b.go, role/c.go and 1 more file\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := repository(t)
			b.writes(c.writes)
			if c.remove != "" {
				require.NoError(t, os.Remove(filepath.Join(b.dir, c.remove)))
			}
			revision := "HEAD"
			for range 2 { // At first in the work tree, then in a commit.
				require.Zero(t, b.run("outputs", "--stacks", "*", "--changed", revision, "--json"), b.stderr.String())
				answer := b.answer()
				var taken, worked []string
				for _, each := range answer.Selection.Stacks {
					assert.Equal(t, each.Taken, len(each.Because) > 0, each.Stack)
					if each.Taken {
						taken = append(taken, each.Stack)
					}
				}
				for _, each := range answer.Stacks {
					worked = append(worked, each.Stack)
				}
				assert.Equal(t, c.taken, taken)
				assert.ElementsMatch(t, c.taken, worked)
				assert.Len(t, answer.Selection.Stacks, len(all))
				assert.Equal(t, revision, answer.Selection.Since)
				if revision == "HEAD" && len(c.writes)+len(c.remove) > 0 {
					b.commits()
					revision = "HEAD~1"
				}
			}
			require.Zero(t, b.run("outputs", "--stacks", "*", "--changed", "main~0"), b.stderr.String())
			assert.Contains(t, b.stdout.String(), "nothing to do: nothing that billing, local")
			assert.Equal(t, 1, countLines(b.stdout.String()), "one line: %s", b.stdout.String())
			assert.Empty(t, b.stderr.String())
			require.Zero(t, b.run("outputs", "--stacks", "*", "--changed", revision), b.stderr.String())
			if c.says != "" && revision != "HEAD" {
				assert.Contains(t, b.stdout.String(), c.says)
			}
		})
	}
}

func countLines(text string) int {
	lines := 0
	for _, r := range text {
		if r == '\n' {
			lines++
		}
	}
	return lines
}

func TestAStackIsTakenForOneThatWasNotAskedFor(t *testing.T) {
	b := repository(t)
	b.writes(map[string]string{
		"Pulumi.network.yaml": "config:\n  dbtier:cloud: aws\n", "Pulumi.broken.yaml": "config: [\n",
	})
	require.Zero(t, b.run("outputs", "--stacks", "billing,prod", "--changed", "HEAD"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "  billing  taken: it refers to stack orders\n"+
		"  prod     left out, nothing has changed\n")
	b.says(exitConfig, "Pulumi.broken.yaml", "outputs", "--stacks", "*", "--changed", "HEAD")
}

// In a hook of Git the variables name the repository of the hook.
func TestTheProjectsRepositoryIsAskedInAHookOfAnother(t *testing.T) {
	other := repository(t).dir
	inHook := func() {
		t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
		t.Setenv("GIT_WORK_TREE", other)
		t.Setenv("GIT_INDEX_FILE", filepath.Join(other, ".git", "index"))
	}
	inHook()
	b := repository(t)
	inHook()
	b.writes(map[string]string{"Pulumi.prod.yaml": "config: {'dbtier:cloud': aws}\n"})
	require.Zero(t, b.run("outputs", "--stacks", "*", "--changed", "HEAD"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "prod     taken: Pulumi.prod.yaml\n")
}

// A project that `dbtier init` made has only config.
func TestAProjectWithoutTheSourcesOfTheProgramHasItsFiles(t *testing.T) {
	b := repository(t)
	b.program = "dbtier"
	b.writes(map[string]string{"main.go": "package main // 2\n", "go.mod": "module example.com/p // 2\n"})
	require.Zero(t, b.run("outputs", "--stacks", "*", "--changed", "HEAD"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "nothing to do: ")
	b.writes(map[string]string{"Pulumi.local.yaml": "config: {'dbtier:cloud': local}\n"})
	require.Zero(t, b.run("outputs", "--stacks", "*", "--changed", "HEAD"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "local    taken: Pulumi.local.yaml\n")
	assert.Contains(t, b.stdout.String(), "prod     left out, nothing has changed\n")
}

func TestChangedNeedsARevisionAndSeveralStacks(t *testing.T) {
	b := repository(t)
	b.says(exitUsage, "--changed works with --stacks only: give --stacks '*'", "up", "--stack", "prod", "--changed", "HEAD")
	b.says(exitUsage, "--changed: is empty: give a Git revision", "up", "--stacks", "*", "--changed", "")
	b.says(exitTrouble, "error: --changed: the repository has no revision nothing", "up", "--stacks", "*", "--changed",
		"nothing", "--yes")
	require.Equal(t, exitTrouble, b.run("up", "--stacks", "*", "--changed", "nothing", "--json"))
	assert.False(t, b.answer().OK)
	b.writes(map[string]string{"role/role.go": "package role; import (\n"})
	b.says(exitTrouble, "error: --changed: the sources of package example.com/p/role: ", "up", "--stacks", "*",
		"--changed", "HEAD", "--yes")
	require.NoError(t, os.RemoveAll(filepath.Join(b.dir, ".git")))
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(b.dir))
	b.says(exitTrouble, "is in no Git repository: run this in a clone", "up", "--stacks", "*", "--changed", "HEAD", "--yes")
	commands, _ := b.engineRuns()
	assert.Empty(t, commands, "nothing was run")
}
