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
