package project_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/config"
	"dbtier/internal/project"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}

func TestFindTakesTheNearestParentWithAProjectFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"Pulumi.yaml": "name: shop\nruntime: go\nbackend: {url: 's3://states'}\n"})
	below := filepath.Join(dir, "a", "b")
	require.NoError(t, os.MkdirAll(below, 0o700))

	p, err := project.Find(below)
	require.NoError(t, err)
	assert.Equal(t, &project.Project{Dir: dir, Name: "shop", Backend: "s3://states"}, p)
}

func TestFindSaysWhatToDoWithoutAUsableProject(t *testing.T) {
	_, err := project.Find(t.TempDir())
	require.ErrorContains(t, err, "change into the project's folder")

	for text, want := range map[string]string{
		"name: [": "is not valid YAML: yaml: line 1", "runtime: go\n": "name: is missing",
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"Pulumi.yaml": text})
		_, err := project.Find(dir)
		require.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n", "one sentence")
	}
}

func TestStackReadsWhichCloudTheStackLivesOn(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"Pulumi.yaml":       "name: shop\n",
		"Pulumi.local.yaml": "config:\n  dbtier:cloud: local\n",
		"Pulumi.prod.yaml":  "secretsprovider: awskms://alias/x\nconfig:\n  dbtier:cloud: aws\n",
	})
	p, err := project.Find(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"local", "prod"}, p.Stacks())

	local, err := p.Stack("local")
	require.NoError(t, err)
	assert.Equal(t, config.Local, local.Cloud)
	prod, err := p.Stack("prod")
	require.NoError(t, err)
	assert.Equal(t, config.AWS, prod.Cloud)
	assert.Equal(t, "awskms://alias/x", prod.Values.SecretsProvider)
}

func TestStackRefusesWhatItCannotPlace(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"Pulumi.yaml":       "name: shop\n",
		"Pulumi.none.yaml":  "config: {}\n",
		"Pulumi.moon.yaml":  "config: {'dbtier:cloud': moon}\n",
		"Pulumi.torn.yaml":  "config: {\n",
		"Pulumi.odd.yaml":   "config: {'dbtier:cloud': [aws]}\n",
		"Pulumi.typed.yaml": "config: [a]\n",
	})
	p, err := project.Find(dir)
	require.NoError(t, err)
	for name, want := range map[string]string{
		"":         "add --stack <name>; this project has moon, none, odd, torn, typed",
		"../etc":   "not a stack name",
		"staging":  "no file Pulumi.staging.yaml; this project has moon",
		"none":     "Pulumi.none.yaml: config.dbtier:cloud: is missing: set it to aws or local",
		"moon":     "Pulumi.moon.yaml: config.dbtier:cloud: moon: no such cloud",
		"odd":      `config.dbtier:cloud: ["aws"]: no such cloud`,
		"torn":     "Pulumi.torn.yaml: not valid YAML",
		"typed":    "Pulumi.typed.yaml: config: want keys and values",
		"no stack": "not a stack name",
	} {
		_, err := p.Stack(name)
		require.ErrorContains(t, err, want, "stack %q", name)
		assert.NotContains(t, err.Error(), "\n", "stack %q: one sentence", name)
	}
}

func TestAnUnreadableConfigFileIsOneSentence(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"Pulumi.yaml": "name: shop\n"})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "Pulumi.dev.yaml"), 0o700))
	p, err := project.Find(dir)
	require.NoError(t, err)
	_, err = p.Stack("dev")
	require.ErrorContains(t, err, "reading the stack's config")
}

func TestAllProjectsOfACheckoutShareItsLocalCloud(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "localcloud"), 0o700))
	write(t, filepath.Join(dir, "localcloud"), map[string]string{"go.mod": "module localcloud\n"})
	example := filepath.Join(dir, "examples", "services")
	require.NoError(t, os.MkdirAll(example, 0o700))
	write(t, example, map[string]string{
		"Pulumi.yaml": "name: services\n", "Pulumi.prod.yaml": "config: {'dbtier:cloud': aws}\n",
		"Pulumi.broken.yaml":  "config: [\n",
		"Pulumi.orders.yaml":  "config: {'dbtier:cloud': local}\n",
		"Pulumi.billing.yaml": "config: {'dbtier:cloud': local}\n",
	})
	p, err := project.Find(example)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, ".localcloud", "state"), p.LocalCloud("state"))
	assert.Equal(t, filepath.Join(example, ".dbtier", "home"), p.Own("home"),
		"the driver's own files stay with the project")
	assert.Equal(t, []string{"billing", "orders"}, p.LocalStacks())

	alone := t.TempDir()
	assert.Equal(t, alone, project.Checkout(alone), "outside of a checkout each project has its own local cloud")
}
