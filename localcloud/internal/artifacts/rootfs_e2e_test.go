//go:build e2e

package artifacts

import (
	"debug/elf"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

// export writes the image. If Debian has dropped a locked package, it takes the packages of today.
func export(t *testing.T, b *Builder, file string) (digest string) {
	t.Helper()
	digest, err := b.ExportPool(t.Context(), file)
	if err != nil && strings.Contains(err.Error(), "make lock-images") {
		t.Logf("the checked-in locks are out of date: %v", err)
		require.NoError(t, b.LockAll(t.Context()))
		digest, err = b.ExportPool(t.Context(), file)
	}
	require.NoError(t, err)
	return digest
}

// The same packages must give the same image. Otherwise every rebuild would be imported again, and a digest in a
// stack's config would not tell what runs.
func TestTheExportedImageIsReproducibleAndComplete(t *testing.T) {
	unpack := func() (dir, digest string) {
		b := apart(t)
		file := filepath.Join(t.TempDir(), "pool.tar")
		digest = export(t, b, file)
		dir = t.TempDir()
		_, err := b.output(t.Context(), dir, "tar", "-xf", file)
		require.NoError(t, err)
		left, err := filepath.Glob(filepath.Join(b.Cache, "export-*"))
		require.NoError(t, err)
		assert.Empty(t, left)
		return dir, digest
	}
	dir, digest := unpack()
	_, again := unpack()
	assert.Equal(t, digest, again)

	outer, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(outer))
	manifest, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	assert.Equal(t, digest, manifest.Manifests[0].Digest.String())
	assert.Equal(t, PoolVersion, manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"])
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	manifest, err = index.IndexManifest()
	require.NoError(t, err)
	var found []string
	for _, descriptor := range manifest.Manifests {
		found = append(found, descriptor.Platform.Architecture)
		image, err := index.Image(descriptor.Digest)
		require.NoError(t, err)
		config, err := image.ConfigFile()
		require.NoError(t, err)
		assert.Equal(t, descriptor.Platform.Architecture, config.Architecture)
		assert.Equal(t, poolRecipe().config(), config.Config)
		machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
		checkPrograms(t, image, machines[config.Architecture])
	}
	assert.Equal(t, Architectures, found)
}

// checkPrograms unpacks the image and asserts that every program is of its machine and finds its libraries.
func checkPrograms(t *testing.T, image registryv1.Image, machine elf.Machine) {
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
	root := t.TempDir()
	_, err = New(root, io.Discard).output(t.Context(), root, "tar", "-xf", file)
	require.NoError(t, err)

	for _, program := range []string{
		"usr/sbin/pgbouncer", "usr/bin/psql", "usr/bin/sh", "usr/bin/getent", "usr/bin/readlink", "usr/bin/timeout",
	} {
		_, err := os.Lstat(filepath.Join(root, program))
		require.NoError(t, err, program)
	}
	libraries, needed := map[string]bool{}, map[string]string{}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
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
