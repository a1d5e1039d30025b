package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/componenttest"
)

//go:generate env UPDATE_GOLDEN=1 go test -vet=off -count=1 -run ^TestGolden .

// updateGolden is the environment variable that makes the tests write the golden files instead of comparing them. `make
// generate` sets it. The difference in Git then shows what a change does to each stack.
const updateGolden = "UPDATE_GOLDEN"

var certificates = regexp.MustCompile(`(?s)-{5}BEGIN CERTIFICATE-{5}.*-{5}END CERTIFICATE-{5}\n`)

// TestGolden compares every resource of each stack, with all inputs and options, with the reviewed golden files. The
// recorder supplies the values that only AWS knows.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, stack := range stacks {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			root, options := projectWith(t, stack, nil)
			compareGolden(t, filepath.Join("tests", "golden", stack+".yaml"),
				describe(t, componenttest.Run(t, deploy, options...), root))
		})
	}
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if os.Getenv(updateGolden) != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "if the change is intended, run `make generate`")
}

// describe returns a recording as text. The same program gives the same text: it is sorted, and has no certificates and
// no paths of this machine.
func describe(t *testing.T, recorded *componenttest.Recording, root string) []byte {
	t.Helper()
	type entry struct {
		Resource string         `yaml:"resource"`
		Parent   string         `yaml:"parent,omitempty"`
		Options  map[string]any `yaml:"options,omitempty"`
		Inputs   map[string]any `yaml:"inputs,omitempty"`
	}
	var entries []entry
	for _, resource := range recorded.Each() {
		e := entry{Resource: resource.Type + " " + resource.Name, Options: resource.Options(), Inputs: resource.Inputs}
		if parent := componenttest.ParentOf(resource); !strings.HasPrefix(parent, "pulumi:pulumi:Stack") {
			e.Parent = parent
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.Resource, b.Resource) })
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	require.NoError(t, encoder.Encode(shorten(t, entries, root)))
	return out.Bytes()
}

// shorten works on the encoded form, so that it finds the texts wherever they occur.
func shorten(t *testing.T, value any, root string) any {
	t.Helper()
	text, err := yaml.Marshal(value)
	require.NoError(t, err)
	var node yaml.Node
	require.NoError(t, yaml.Unmarshal(text, &node))
	var visit func(*yaml.Node)
	visit = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
			short := certificates.ReplaceAllString(n.Value, "(certificates)")
			short = strings.ReplaceAll(short, root, "(project)")
			if short != n.Value {
				n.Value, n.Style = short, 0
			}
		}
		for _, child := range n.Content {
			visit(child)
		}
	}
	visit(&node)
	return &node
}
