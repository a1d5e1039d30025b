package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const configDir = "../.."

func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	t.Parallel()
	root, err := stackSchema(configDir)
	require.NoError(t, err)
	want, err := encode(root)
	require.NoError(t, err)
	have, err := os.ReadFile(schemaFile(configDir))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, have), "config/schema.json is out of date: run `make generate`")
}

func TestTheReferenceHasEveryKeyInThePeoplesWords(t *testing.T) {
	t.Parallel()
	root, err := stackSchema(configDir)
	require.NoError(t, err)
	want := reference(root)
	have, err := os.ReadFile(referenceFile(configDir))
	require.NoError(t, err)
	assert.Equal(t, want, string(have), "docs/reference/configuration.md is out of date: run `make generate`")
	for _, row := range []string{
		"| `pool.maxClientConn` | 1 to 50000 | `1000` | `2000` | maxClientConn is the maximum number of clients",
		"| `pool.poolMode` | `transaction`, `session` | `transaction` |  | poolMode is",
		"| `pool.logins[].poolSize` |", "| `database.roles` | map of text |", "| `scheduling.tolerations[].key` |",
		"| `dbtier:cloud` | `aws`, `local` |", "serviceMonitor creates a ServiceMonitor.",
	} {
		assert.Contains(t, want, row)
	}
	// Names of Go.
	assert.NotRegexp(t, `\b[a-z]+\.[A-Z][a-z]+[A-Z]|\[[A-Z]\w+\]|\bBegin with\b`, want)
}

func TestTheSchemaKnowsBoundsChoicesAndDefaults(t *testing.T) {
	t.Parallel()
	root, err := stackSchema(configDir)
	require.NoError(t, err)
	sections := root.Properties["config"].Properties
	pool := sections["dbtier:pool"].Properties
	assert.Equal(t, []string{"transaction", "session"}, pool["poolMode"].Enum)
	assert.Equal(t, "transaction", pool["poolMode"].Default)
	assert.Equal(t, 1, *pool["maxClientConn"].Minimum)
	assert.Equal(t, 50000, *pool["maxClientConn"].Maximum)
	assert.EqualValues(t, 1000, pool["maxClientConn"].Default)
	assert.Contains(t, pool["maxClientConn"].Description, "maximum number of clients of a replica")
	assert.Equal(t, 5, *pool["metrics"].Properties["intervalSeconds"].Minimum,
		"what is off by default is checked as if it were on")
	assert.Equal(t, []string{"aws", "local"}, sections["dbtier:cloud"].Enum)
	assert.Equal(t, 1,
		*sections["dbtier:network"].Properties["directClients"].Items.Properties["connectionsPerPod"].Minimum)
	roles := sections["dbtier:database"].Properties["roles"].AdditionalProperties.(*schema)
	assert.Empty(t, roles.Enum, "the choices are those of the keys")
	assert.Nil(t, sections["dbtier:consumer"].Properties["replicas"].Default, "the profiles differ")

	var bare []string
	var visit func(path string, s *schema)
	visit = func(path string, s *schema) {
		if s.Description == "" && s.Type != "" {
			bare = append(bare, path)
		}
		for key, property := range s.Properties {
			visit(path+"."+key, property)
		}
		if s.Items != nil {
			for key, property := range s.Items.Properties {
				visit(path+"[]."+key, property)
			}
		}
	}
	for key, section := range sections {
		visit(key, section)
	}
	assert.Empty(t, bare, "keys without a comment in the code")
}
