package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

const (
	schemaFile = "schema.json"
	// modelineForm is what tells an editor's YAML language server the schema of a file.
	modelineForm = `(?m)^# yaml-language-server: \$schema=(\S+)$`
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.Compile(schemaFile)
	require.NoError(t, err)
	return s
}

// valid checks a stack's file as an editor does.
func valid(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var file any
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	plain, err := json.Marshal(file)
	require.NoError(t, err)
	var value any
	require.NoError(t, json.Unmarshal(plain, &value))
	return s.Validate(value)
}

func TestEveryStackFileOfTheProjectHasTheSchemaAndFollowsIt(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../Pulumi.*.yaml", "../examples/*/Pulumi.*.yaml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	require.GreaterOrEqual(t, len(files), 6)
	s := compiled(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, valid(t, s, string(text)), file)
		line := regexp.MustCompile(modelineForm).FindStringSubmatch(string(text))
		if assert.NotNil(t, line, "%s does not tell editors its schema", file) {
			at, err := filepath.Rel("..", filepath.Join(filepath.Dir(file), line[1]))
			require.NoError(t, err)
			assert.Equal(t, filepath.Join("config", schemaFile), at, file)
		}
	}
}

func TestTheSchemaRefusesWhatTheProgramRefuses(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	require.NoError(t, valid(t, s, least))
	require.NoError(t, valid(t, s, least+"  aws:region: eu-west-1\n"), "keys of other namespaces are not checked")
	for name, line := range map[string]string{
		"an unknown section":      "  dbtier:operatr: {install: true}\n",
		"an unknown key":          "  dbtier:pool: {poolSize: 20}\n",
		"a number in quotes":      "  dbtier:pool: {replicas: \"2\"}\n",
		"too many":                "  dbtier:pool: {replicas: 51}\n",
		"none of the choices":     "  dbtier:pool: {poolMode: statement}\n",
		"a choice of a text type": "  dbtier:role: {poolUser: admin}\n",
		"text for a flag":         "  dbtier:operator: {install: \"yes\"}\n",
		"a list for an object":    "  dbtier:secrets: [x]\n",
		"deep in a list":          "  dbtier:secrets: {further: [{nam: x}]}\n",
		"deep in a map":           "  dbtier:secrets: {further: [{name: x, urls: {A: {port: 70000}}}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, least+line)
			require.Error(t, err)
			assert.Error(t, valid(t, s, least+line))
		})
	}
	assert.Error(t, valid(t, s, strings.Replace(least, "  dbtier:profile: production\n", "", 1)))
}

// A reader who copies an unknown key from a document gets a fault.
func TestEveryKeyInTheDocumentsIsOne(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(text, &schema))
	keyForm := regexp.MustCompile(`dbtier:([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)*)`)
	checked := 0
	for _, pattern := range []string{
		"../*.md", "../docs/*.md", "../docs/*/*.md",
		"../examples/*/README.md",
	} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			document, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, found := range keyForm.FindAllStringSubmatch(string(document), -1) {
				if found[1] == "components" { // dbtier:components:… are types of resources.
					continue
				}
				checked++
				at := schema["properties"].(map[string]any)["config"].(map[string]any)
				for i, step := range strings.Split(found[1], ".") {
					if i == 0 {
						step = "dbtier:" + step
					}
					properties, _ := at["properties"].(map[string]any)
					if at, _ = properties[step].(map[string]any); at == nil {
						t.Errorf("%s: %s: there is no such key", file, found[0])
						break
					}
				}
			}
		}
	}
	assert.Greater(t, checked, 10)
}
