package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestImagesAreNamedAsTheKubeletLooksThemUp(t *testing.T) {
	for given, want := range map[string]string{
		"shop:1":                      "docker.io/library/shop:1",
		"team/shop:1.0":               "docker.io/team/shop:1.0",
		"docker.io/library/shop:1":    "docker.io/library/shop:1",
		"registry.example:5000/a/b:c": "registry.example:5000/a/b:c",
		"localhost/shop:1":            "localhost/shop:1",
	} {
		got, err := imageName(given)
		require.NoError(t, err, given)
		assert.Equal(t, want, got)
	}
	for given, want := range map[string]string{
		"shop": "latest", "shop:latest": "latest", "Shop:1": "want a name with a tag", "": "want a name with a tag",
		"shop@sha256:0a": "want a name with a tag",
	} {
		_, err := imageName(given)
		assert.ErrorContains(t, err, want, given)
	}
}

func TestTheNamesOfImportedImagesAreRead(t *testing.T) {
	said := "unpacking docker.io/library/shop:1 (sha256:0a)...done\nunpacking nameless@sha256:0b (sha256:0b)...done\n"
	assert.Equal(t, []string{"docker.io/library/shop:1", "nameless@sha256:0b"}, importedImages(said))
	assert.Empty(t, importedImages(""))
}
