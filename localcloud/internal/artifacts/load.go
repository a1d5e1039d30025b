package artifacts

import (
	"bytes"
	"context"
	"io"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// loadLayer compiles the load for an architecture. The program depends on its sources and on the version of Go alone,
// not on the folder, the user's settings or the machine, so that everyone gets the same digest. The local cloud's own
// program is built with the flags of the other ones instead, to share their compiled packages.
func (b *Builder) loadLayer(ctx context.Context, arch, work string) (tarball.Opener, error) {
	env := []string{
		"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off",
		"GOWORK=off", "GOFLAGS=-buildvcs=false -mod=readonly -trimpath",
	}
	_, err := b.outputEnv(ctx, filepath.Join(b.sources, loadDir), env, "go", "build", "-ldflags", "-s -w -buildid=",
		"-o", filepath.Join(work, "load"), ".")
	if err != nil {
		return nil, err
	}
	content, err := b.filesLayer(loadRecipe().files, work)
	if err != nil {
		return nil, err
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, nil
}
