package artifacts

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// binary is one program that is built from source.
type binary struct {
	name string
	// dir is the folder of the module, relative to the sources.
	dir string
	// pkg is the package in dir to build.
	pkg string
	// ldflags are linker flags in addition to those that drop the symbol tables.
	ldflags string
	// trimmed is a folder in dir whose files replace those of the package, to leave out code that the local cloud does
	// not use.
	trimmed string
}

// kubernetesVersion is linked into the Kubernetes programs. Helm refuses charts on a server without a version.
const kubernetesVersion = "v1.34.4"

var thirdParty = []binary{
	{name: "etcd", dir: "localcloud/build/etcd", pkg: "go.etcd.io/etcd/server/v3"},
	{name: "coredns", dir: "localcloud/build/coredns", pkg: "."},
	{
		name: "kubernetes", dir: "localcloud/build/kubernetes", pkg: ".",
		ldflags: " -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion +
			" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34",
	},
	// The operator has forty providers and generators. Only those that work in a cluster without other clouds are
	// built: the others are two thirds of the build time and of the binary.
	{name: "external-secrets", dir: "localcloud/build/external-secrets", pkg: operatorModule, trimmed: "trimmed"},
	{name: "pause", dir: "localcloud/build/pause", pkg: "."},
	{name: "myshop-api", dir: "examples/myshop-api", pkg: "."},
	{name: "load", dir: loadDir, pkg: "."},
}

func (b *Builder) binaries() []step {
	var steps []step
	for _, bin := range thirdParty {
		dir := filepath.Join(b.sources, bin.dir)
		ldflags := "-s -w" + bin.ldflags
		steps = append(steps, step{
			name:   bin.name,
			target: filepath.Join(b.Bin, bin.name),
			key: func(context.Context) (string, error) {
				return hash([]string{bin.pkg, ldflags, runtime.Version(), runtime.GOARCH}, dir)
			},
			make: func(ctx context.Context, to string) error {
				// Static binaries run in any root file system. The flags are those of the project's other builds
				// (Makefile), so that shared packages are compiled once.
				env := []string{"CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -gcflags=all=-dwarf=false -mod=readonly"}
				if bin.trimmed != "" {
					workspace, remove, err := b.trim(ctx, dir, bin.pkg, filepath.Join(dir, bin.trimmed))
					if err != nil {
						return err
					}
					defer remove()
					env = append(env, "GOWORK="+workspace)
				}
				_, err := b.outputEnv(ctx, dir, env, "go", "build", "-o", to, "-ldflags", ldflags, bin.pkg)
				return err
			},
		})
	}
	return steps
}

// trim creates a workspace in which dir builds a copy of the module's source with some files replaced.
func (b *Builder) trim(ctx context.Context, dir, module, replaced string) (workspace string, remove func(), err error) {
	folder, err := os.MkdirTemp("", "trimmed-")
	if err != nil {
		return "", nil, fmt.Errorf("creating a folder for the source of %s: %w", module, err)
	}
	remove = func() { _ = os.RemoveAll(folder) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	if _, err = b.output(ctx, dir, "go", "mod", "download", module); err != nil {
		return "", nil, err
	}
	source, err := b.output(ctx, dir, "go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", nil, err
	}
	copied := filepath.Join(folder, "source")
	if err = copyTree(strings.TrimSpace(source), copied); err != nil {
		return "", nil, fmt.Errorf("copying the source of %s: %w", module, err)
	}
	err = fs.WalkDir(os.DirFS(replaced), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(replaced, path))
		if err != nil {
			return err
		}
		// If the file does not exist, writing it would add a file instead of replacing one.
		if err := os.Remove(filepath.Join(copied, path)); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(copied, path), text, 0o600)
	})
	if err != nil {
		return "", nil, fmt.Errorf("trimming the source of %s: %w", module, err)
	}
	workspace = filepath.Join(folder, "go.work")
	text := fmt.Sprintf("go 1.26\n\nuse %q\n\nreplace %s => %q\n", dir, module, copied)
	if err = os.WriteFile(workspace, []byte(text), 0o600); err != nil {
		return "", nil, fmt.Errorf("writing the workspace for %s: %w", module, err)
	}
	return workspace, remove, nil
}
