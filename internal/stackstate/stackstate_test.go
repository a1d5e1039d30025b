package stackstate_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/stackstate"
)

func TestExportsAndStateFilesAreReadAlike(t *testing.T) {
	const state = `{"resources":[{"urn":"u","type":"a:b:C","protect":true,"inputs":{"n":1}}],
		"pending_operations":[{"type":"creating","resource":{"urn":"p"}}]}`
	for _, text := range []string{
		`{"version":3,"deployment":` + state + `}`, `{"version":3,"checkpoint":{"latest":` + state + `}}`,
	} {
		read, err := stackstate.Read([]byte(text))
		require.NoError(t, err)
		require.Len(t, read.Resources, 1)
		assert.True(t, read.Resources[0].Protect)
		assert.Equal(t, map[string]any{"n": 1.0}, read.Resources[0].Inputs())
		require.Len(t, read.Pending, 1)
		assert.Equal(t, "p", read.Pending[0].Resource.URN)
	}
	for _, nothing := range []string{"", `{"version":3,"checkpoint":{"latest":null}}`, `{"deployment":{}}`} {
		read, err := stackstate.Read([]byte(nothing))
		require.NoError(t, err)
		assert.Empty(t, read.Resources)
	}
	_, err := stackstate.Read([]byte("{"))
	require.Error(t, err)
}

func TestADigestIsThatOfTheResourcesOnly(t *testing.T) {
	digest := func(text string) string {
		d, err := stackstate.Digest([]byte(text))
		require.NoError(t, err)
		return d
	}
	one := digest(`{"version":3,"deployment":{"manifest":{"time":"1"},"resources":[{"urn":"a","id":"x"}]}}`)
	assert.Equal(t, one, digest(`{"version":3,"deployment":{"manifest":{"time":"2"},"resources":[{"id":"x","urn":"a"}]}}`))
	assert.Equal(t, one, digest(`{"version":3,"checkpoint":{"latest":{"resources":[{"urn":"a","id":"x"}]}}}`))
	assert.NotEqual(t, one, digest(`{"version":3,"deployment":{"resources":[{"urn":"a","id":"y"}]}}`))
	for _, empty := range []string{"", "{}", `{"deployment":null}`, `{"deployment":{"resources":[]}}`} {
		assert.Empty(t, digest(empty), empty)
	}
	_, err := stackstate.Digest([]byte(`{"deployment":[]}`))
	assert.Error(t, err)
}
