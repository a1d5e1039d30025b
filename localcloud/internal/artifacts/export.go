package artifacts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	registryv1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Architectures are those for which images are exported, and the pool's is locked.
var Architectures = []string{"amd64", "arm64"}

// exported is an image that can be exported.
type exported struct {
	recipe  recipe
	version string
	// layer returns the image's only layer for an architecture. It can use the folder work, which is empty.
	layer func(b *Builder, ctx context.Context, arch, work string) (tarball.Opener, error)
}

var exports = map[string]exported{
	"pool": {poolRecipe(), PoolVersion, (*Builder).poolLayer},
	"load": {loadRecipe(), LoadVersion, (*Builder).loadLayer},
}

// Exports lists the names of the images for [Builder.Export].
func Exports() []string { return slices.Sorted(maps.Keys(exports)) }

// Export writes one of the images in [Exports] for all [Architectures] as an OCI layout in a tar file, for a registry
// of one's own. It returns the image's name and tag with its digest, which is also that of the image in the registry.
func (b *Builder) Export(ctx context.Context, image, output string) (ref string, err error) {
	from, ok := exports[image]
	if !ok {
		return "", fmt.Errorf("image %q: want one of %q", image, Exports())
	}
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
		fmt.Fprintf(b.out, "  building %s for %s\n", from.recipe.name, arch)
		image, err := b.exportedImage(ctx, from, arch, filepath.Join(work, arch))
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
		"org.opencontainers.image.ref.name": from.version,
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
	return from.recipe.name + "@" + hash.String(), nil
}

// exportedImage builds an image for one architecture in a new folder.
func (b *Builder) exportedImage(ctx context.Context, from exported, arch, work string) (registryv1.Image, error) {
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, fmt.Errorf("creating a folder for the image: %w", err)
	}
	content, err := from.layer(b, ctx, arch, work)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(content, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("writing the layer: %w", err)
	}
	image, err := from.recipe.image(arch, layer)
	if err != nil {
		return nil, err
	}
	return mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON), nil
}

// poolLayer unpacks the locked packages. Unlike the local cloud's image, an exported one has these or is not made.
func (b *Builder) poolLayer(ctx context.Context, arch, work string) (tarball.Opener, error) {
	root, file := filepath.Join(work, "root"), filepath.Join(work, "layer.tar")
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
	return func() (io.ReadCloser, error) { return os.Open(file) }, nil
}
