//go:build e2e

package artifacts

import (
	"debug/elf"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	registryv1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// apart is a builder of a copy of the recipes. It shares the Debian packages with this checkout.
func apart(t *testing.T) *Builder {
	t.Helper()
	debs, err := filepath.Abs(filepath.Join(Paths(checkout).Cache, "debs"))
	require.NoError(t, err)
	b := ownSources(t.TempDir(), io.Discard)
	require.NoError(t, copyTree(filepath.Join(checkout, imagesDir), filepath.Join(b.project, imagesDir)))
	require.NoError(t, os.MkdirAll(b.Cache, 0o755))
	require.NoError(t, os.MkdirAll(debs, 0o755))
	require.NoError(t, os.Symlink(debs, filepath.Join(b.Cache, "debs")))
	return b
}

// exportPool writes the image. If Debian has dropped a locked package, it takes the packages of today.
func exportPool(t *testing.T, b *Builder, file string) (ref string) {
	t.Helper()
	ref, err := b.Export(t.Context(), "pool", file)
	if err != nil && strings.Contains(err.Error(), "make lock-images") {
		t.Logf("the checked-in locks are out of date: %v", err)
		require.NoError(t, b.LockAll(t.Context()))
		ref, err = b.Export(t.Context(), "pool", file)
	}
	require.NoError(t, err)
	return ref
}

// unpacked returns the images of an exported file by architecture. It asserts that the file is whole, and that ref is
// the image's name, tag and digest.
func unpacked(t *testing.T, b *Builder, file, ref string, from recipe) map[string]registryv1.Image {
	t.Helper()
	name, digest, found := strings.Cut(ref, "@")
	require.True(t, found, ref)
	assert.Equal(t, from.name, name)
	dir := t.TempDir()
	_, err := b.output(t.Context(), dir, "tar", "-xf", file)
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(b.Cache, "export-*"))
	require.NoError(t, err)
	assert.Empty(t, left)

	outer, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(outer))
	manifest, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	assert.Equal(t, digest, manifest.Manifests[0].Digest.String())
	_, version, _ := strings.Cut(from.name, ":")
	assert.Equal(t, version, manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"])
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	manifest, err = index.IndexManifest()
	require.NoError(t, err)
	images := map[string]registryv1.Image{}
	for _, descriptor := range manifest.Manifests {
		image, err := index.Image(descriptor.Digest)
		require.NoError(t, err)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, descriptor.Platform.Architecture, config.Architecture)
		assert.Equal(t, from.config(), config.Config)
		images[config.Architecture] = image
	}
	assert.ElementsMatch(t, Architectures, slices.Collect(maps.Keys(images)))
	return images
}

// machines are the architectures as programs name them.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// The same packages must give the same image. Otherwise every rebuild would be imported again, and a digest in a
// stack's config would not tell what runs.
func TestTheExportedImageIsReproducibleAndComplete(t *testing.T) {
	export := func() (images map[string]registryv1.Image, ref string) {
		b := apart(t)
		file := filepath.Join(t.TempDir(), "pool.tar")
		ref = exportPool(t, b, file)
		return unpacked(t, b, file, ref, poolRecipe()), ref
	}
	images, ref := export()
	_, again := export()
	assert.Equal(t, ref, again)
	for arch, image := range images {
		checkPrograms(t, image, machines[arch])
	}
}

// filesOf unpacks the only layer of an image into a folder.
func filesOf(t *testing.T, image registryv1.Image) (root string) {
	t.Helper()
	layers, err := image.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	content, err := layers[0].Uncompressed()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "layer.tar")
	out, err := os.Create(file)
	require.NoError(t, err)
	_, err = io.Copy(out, content)
	require.NoError(t, err)
	require.NoError(t, out.Close())
	root = t.TempDir()
	_, err = New(root, io.Discard).output(t.Context(), root, "tar", "-xf", file)
	require.NoError(t, err)
	return root
}

// checkPrograms unpacks the image and asserts that every program is of its machine and finds its libraries.
func checkPrograms(t *testing.T, image registryv1.Image, machine elf.Machine) {
	t.Helper()
	root := filesOf(t, image)
	for _, program := range []string{
		"usr/sbin/pgbouncer", "usr/bin/psql", "usr/bin/sh", "usr/bin/getent", "usr/bin/readlink", "usr/bin/timeout",
	} {
		_, err := os.Lstat(filepath.Join(root, program))
		require.NoError(t, err, program)
	}
	libraries, needed := map[string]bool{}, map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if strings.Contains(entry.Name(), ".so") {
			libraries[entry.Name()] = true
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		assert.Zero(t, info.Mode()&(fs.ModeSetuid|fs.ModeSetgid), path)
		program, err := elf.Open(path)
		if err != nil {
			return nil // not a program
		}
		defer program.Close()
		assert.Equal(t, machine, program.Machine, path)
		names, err := program.ImportedLibraries()
		for _, name := range names {
			needed[name] = path
		}
		return err
	})
	require.NoError(t, err)
	assert.Greater(t, len(needed), 10)
	for name, path := range needed {
		assert.True(t, libraries[name], "%s needs %s, which the image does not have", path, name)
	}
}
