//go:build e2e

package artifacts

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"

	registryv1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The digest is in the config of stacks, so it must not tell where and by whom the image was made.
func TestTheExportedLoadIsReproducibleAndOneStaticProgram(t *testing.T) {
	export := func() (images map[string]registryv1.Image, ref string) {
		b := apart(t)
		file := filepath.Join(t.TempDir(), "load.tar")
		ref, err := b.Export(t.Context(), "load", file)
		require.NoError(t, err)
		return unpacked(t, b, file, ref, loadRecipe()), ref
	}
	images, ref := export()
	t.Setenv("GOFLAGS", "-gcflags=all=-dwarf=false")
	t.Setenv("GOAMD64", "v3")
	_, again := export()
	assert.Equal(t, ref, again)

	for arch, image := range images {
		root := filesOf(t, image)
		files, err := os.ReadDir(root)
		require.NoError(t, err)
		require.Len(t, files, 1)
		program, err := elf.Open(filepath.Join(root, "load"))
		require.NoError(t, err)
		assert.Equal(t, machines[arch], program.Machine)
		libraries, err := program.ImportedLibraries()
		require.NoError(t, err)
		assert.Empty(t, libraries)
		assert.Nil(t, program.Section(".interp"))
		require.NoError(t, program.Close())
	}
}
