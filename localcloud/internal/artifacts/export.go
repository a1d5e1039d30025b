package artifacts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	registryv1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Architectures are those for which the pool's image is locked and exported.
var Architectures = []string{"amd64", "arm64"}

// ExportPool writes the pool's image for all [Architectures] as an OCI layout in a tar file, for a registry of one's
// own. It returns the digest, which is also that of the image in the registry. Unlike the local cloud's image, an
// exported one has the locked packages or is not made.
func (b *Builder) ExportPool(ctx context.Context, output string) (digest string, err error) {
	unlock, err := b.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := b.unpack(); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(b.Cache, "export-")
	if err != nil {
		return "", fmt.Errorf("creating a folder for the image: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range Architectures {
		fmt.Fprintf(b.out, "  building %s for %s\n", poolRecipe().name, arch)
		image, err := b.poolImage(ctx, arch, filepath.Join(work, arch))
		if err != nil {
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: registryv1.Descriptor{
			Platform: &registryv1.Platform{OS: "linux", Architecture: arch},
		}})
	}
	dir := filepath.Join(work, "layout")
	target, err := layout.Write(dir, empty.Index)
	if err != nil {
		return "", fmt.Errorf("writing the image: %w", err)
	}
	if err := target.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": PoolVersion,
	})); err != nil {
		return "", fmt.Errorf("writing the image: %w", err)
	}
	hash, err := index.Digest()
	if err != nil {
		return "", fmt.Errorf("computing the image's digest: %w", err)
	}
	// The file appears complete or not at all.
	if err := writeTree(output+".new", dir); err != nil {
		return "", errors.Join(fmt.Errorf("writing %s: %w", output, err), os.RemoveAll(output+".new"))
	}
	if err := os.Rename(output+".new", output); err != nil {
		return "", fmt.Errorf("writing %s: %w", output, err)
	}
	return hash.String(), nil
}

// poolImage builds the pool's image for one architecture in a new folder.
func (b *Builder) poolImage(ctx context.Context, arch, work string) (registryv1.Image, error) {
	root, file := filepath.Join(work, "root"), filepath.Join(work, "layer.tar")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, fmt.Errorf("creating a folder for the image: %w", err)
	}
	gone, err := b.runRoot(ctx, b.lockOf("pool", arch), root)
	if err == nil && gone != "" {
		err = fmt.Errorf("%s\nrun `make lock-images`, review and commit the changed versions, and export again", gone)
	}
	if err != nil {
		return nil, err
	}
	if err := writeTree(file, root); err != nil {
		return nil, fmt.Errorf("writing the layer: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return os.Open(file) },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("writing the layer: %w", err)
	}
	image, err := poolRecipe().image(arch, layer)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON), nil
}
