package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// templated is a bench with the files that a new project starts from.
func templated(t *testing.T) *bench {
	t.Helper()
	checkout, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	b := newBench(t)
	b.templates = os.DirFS(checkout)
	return b
}

func TestANewProjectHasStacksWithoutFaultsAndKeepsWhatExists(t *testing.T) {
	b := templated(t)
	dir := filepath.Join(b.dir, "shop")
	require.Zero(t, b.run("init", "shop"), b.stderr.String())
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(text)
	}
	assert.Contains(t, read("Pulumi.yaml"), "name: shop\n")
	assert.Contains(t, read("Pulumi.local.yaml"), "name: shop\n")
	assert.Contains(t, read("Pulumi.local.yaml"), "/myshop-api:1.4.2", "the example's image is there already")
	assert.NotContains(t, read("Pulumi.prod.yaml"), "myshop")
	for _, stack := range []string{"local", "prod"} {
		assert.Contains(t, read("Pulumi."+stack+".yaml"), "$schema="+schemaFile+"\n")
		require.NoError(t, tryConfig(stack, map[string]string{
			"Pulumi.yaml": read("Pulumi.yaml"), "Pulumi." + stack + ".yaml": read("Pulumi." + stack + ".yaml"),
		}))
	}

	own := filepath.Join(dir, "Pulumi.prod.yaml")
	require.NoError(t, os.WriteFile(own, []byte("mine"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, schemaFile), []byte("old"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(dir, "Pulumi.local.yaml")))
	t.Chdir(dir)
	require.Zero(t, b.run("init"), b.stderr.String())
	assert.Equal(t, "mine", read("Pulumi.prod.yaml"))
	assert.Contains(t, read("Pulumi.local.yaml"), "name: shop\n", "from the name of the folder")
	assert.Contains(t, read(schemaFile), `"$schema"`)
}

func TestAServiceThatTheConfigRefusesMakesNoProject(t *testing.T) {
	b := templated(t)
	for _, name := range []string{"Shop", "a: b", "x\ny", strings.Repeat("a", 70), "1shop"} {
		b.says(exitConfig, "choose another name with --service", "init", "new", "--service", name)
	}
	assert.NoDirExists(t, filepath.Join(b.dir, "new"))
}

func TestSetChangesTheFileOnlyIfTheConfigStaysValid(t *testing.T) {
	b := templated(t)
	require.Zero(t, b.run("init", ".", "--service", "shop"), b.stderr.String())
	file := filepath.Join(b.dir, "Pulumi.prod.yaml")
	require.NoError(t, os.Remove(file)) // The bench's own.
	require.Zero(t, b.run("init", ".", "--service", "shop"), b.stderr.String())
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	b.says(exitConfig, "consumer has no key nothing", "set", "--stack", "prod", "consumer.nothing=1", "consumer.image=a b")
	assert.Contains(t, b.stderr.String(), `consumer.image: "a b"`, "all faults at once")
	b.says(exitUsage, "want <key>=<value>", "set", "--stack", "prod", "postgres://u:hush@h")
	assert.NotContains(t, b.stderr.String(), "hush")
	b.says(exitUsage, "at least 1 arg", "set", "--stack", "prod")
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))

	require.Zero(t, b.run("set", "--stack", "prod", "dbtier:consumer.image=r.example/shop:2"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "→ r.example/shop:2")
	after, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(after), "    image: r.example/shop:2\n")
	assert.Equal(t, strings.Count(string(before), "\n"), strings.Count(string(after), "\n"))
	left, err := filepath.Glob(filepath.Join(b.dir, ".Pulumi*"))
	require.NoError(t, err)
	assert.Empty(t, left)
	require.Zero(t, b.run("set", "--stack", "prod", "consumer.image=r.example/shop:2"))
	assert.Contains(t, b.stdout.String(), "no change")
}

func TestAStateThatNobodyPlacedIsPointedOut(t *testing.T) {
	b := newBench(t)
	b.says(exitDone, "is only on this machine", "preview", "--stack", "prod")
	t.Setenv("PULUMI_BACKEND_URL", "file://"+t.TempDir())
	require.Zero(t, b.run("preview", "--stack", "prod"))
	assert.NotContains(t, b.stderr.String(), "only on this machine")
}

func TestThePolicyOfALocalStackIsRefused(t *testing.T) {
	b := newBench(t)
	b.says(exitConfig, "is on the local cloud, which needs no permissions", "permissions", "--stack", "local")
}

func TestADestroyedStackCanBeRemoved(t *testing.T) {
	b := newBench(t)
	b.says(exitUsage, "a stack with resources cannot be removed", "destroy", "--stack", "prod", "--yes", "--remove",
		"--target", "a")
	require.Zero(t, b.run("destroy", "--stack", "prod", "--yes"), b.stderr.String())
	removals := func() int {
		text, err := os.ReadFile(b.events + ".calls")
		require.NoError(t, err)
		return strings.Count(string(text), `"stack","rm","--yes","--preserve-config","--stack","prod"`)
	}
	assert.Zero(t, removals())
	require.Zero(t, b.run("destroy", "--stack", "prod", "--yes", "--remove"), b.stderr.String())
	assert.Equal(t, 1, removals())
	assert.Contains(t, b.stdout.String(), "Pulumi.prod.yaml stays")
}

func TestCommandsInMessagesAreNamedAsTyped(t *testing.T) {
	const said = "run `bin/dbtier up --stack a`, fix: dbtier drift; another dbtier up (process 1); /x/bin/dbtier up"
	for typed, want := range map[string]string{
		"":       said,
		"dbtier": "run `dbtier up --stack a`, fix: dbtier drift; another dbtier up (process 1); /x/bin/dbtier up",
		"../dbtier": "run `../dbtier up --stack a`, fix: ../dbtier drift; another dbtier up (process 1); " +
			"/x/bin/dbtier up",
	} {
		a := &app{typed: typed, commands: []string{"up", "drift"}}
		assert.Equal(t, want, a.asTyped(said), typed)
	}
}

func TestAMissingSettingIsWrittenAsItIsPasted(t *testing.T) {
	b := newBench(t)
	require.NoError(t, os.WriteFile("Pulumi.prod.yaml", []byte("config:\n  dbtier:cloud: aws\n  dbtier:pool:\n    replicas: 2\n"),
		0o600))
	b.says(exitConfig, "Pulumi.prod.yaml: config.dbtier:pool.reservePoolSize: is not in the file: write it there once, "+
		"below dbtier:pool in line 3:\n    reservePoolSize: 3\n", "set", "--stack", "prod", "pool.reservePoolSize=3")
}

func TestNoLinesToPasteAreWrittenForAValueThatIsRefused(t *testing.T) {
	b := newBench(t)
	require.NoError(t, os.WriteFile("Pulumi.prod.yaml", []byte("config:\n  dbtier:cloud: aws\n  dbtier:pool:\n    replicas: 2\n"),
		0o600))
	for given, want := range map[string]string{
		"pool.reservePoolSize=many": "dbtier:pool.reservePoolSize: \"many\": ",
		"pool.reservePoolSize=-1":   "dbtier:pool.reservePoolSize: -1: ",
	} {
		b.says(exitConfig, want, "set", "--stack", "prod", given)
		assert.NotContains(t, b.stderr.String(), "write it there", given)
		assert.NotContains(t, b.stderr.String(), "vpcId", "the file's own faults are not those of the value")
	}
	b.says(exitConfig, "write it there once", "set", "--stack", "prod", "pool.reservePoolSize=3", "environment=test")
	assert.Contains(t, b.stderr.String(), "dbtier:environment: test")
}

func TestTheNameOfAStackIsNoArgument(t *testing.T) {
	b := newBench(t)
	var visit func(cmd *cobra.Command)
	checked := 0
	visit = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			visit(child)
		}
		if cmd.Flags().Lookup("stack") == nil {
			return
		}
		checked++
		words := strings.Fields(cmd.CommandPath())[1:]
		b.says(exitUsage, "local is the name of a stack: did you mean --stack local?", append(words, "local")...)
	}
	visit(b.root())
	assert.Greater(t, checked, 10)
	b.says(exitUsage, `unknown command "lokal" for "dbtier up"`, "up", "lokal")
	b.says(exitUsage, "did you mean --stack local?", "set", "local", "pool.reservePoolSize=3")
}
