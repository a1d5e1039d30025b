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
	// dir is the module's folder, relative to the project.
	dir string
	// pkg is the package to build there.
	pkg string
	// ldflags are the linker's flags besides those that drop the symbol tables.
	ldflags string
	// trimmed is a folder in dir whose files take the place of the package's own, to leave out what nobody uses here.
	trimmed string
}

// Helm refuses charts on a server without a version, so Kubernetes is told its own.
const kubernetesVersion = "v1.34.4"

var thirdParty = []binary{
	{name: "etcd", dir: "localcloud/build/etcd", pkg: "go.etcd.io/etcd/server/v3"},
	{name: "coredns", dir: "localcloud/build/coredns", pkg: "."},
	{
		name: "kubernetes", dir: "localcloud/build/kubernetes", pkg: ".",
		ldflags: " -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion +
			" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34",
	},
	// Of the operator's forty providers and generators, those that a cluster without other clouds can use: the rest are
	// two thirds of the build and of the binary.
	{name: "external-secrets", dir: "localcloud/build/external-secrets", pkg: operatorModule, trimmed: "trimmed"},
	{name: "pause", dir: "localcloud/pause", pkg: "."},
	{name: "myshop-api", dir: "examples/myshop-api", pkg: "."},
}

func (b *Builder) binaries() []step {
	var steps []step
	for _, bin := range thirdParty {
		dir := filepath.Join(b.project, bin.dir)
		ldflags := "-s -w" + bin.ldflags
		steps = append(steps, step{
			name:   bin.name,
			target: filepath.Join(b.Bin, bin.name),
			key: func(context.Context) (string, error) {
				return hash([]string{bin.pkg, ldflags, runtime.Version(), runtime.GOARCH}, dir)
			},
			make: func(ctx context.Context, to string) error {
				// Static, so that any root file system can run them. With the flags of the project's other builds
				// (Makefile), what they have in common is compiled once.
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

// trim makes a workspace in which the module that dir builds is a copy of its source with some files replaced.
func (b *Builder) trim(ctx context.Context, dir, module, replaced string) (workspace string, remove func(), err error) {
	folder, err := os.MkdirTemp("", "trimmed-")
	if err != nil {
		return "", nil, fmt.Errorf("a folder for the source of %s: %w", module, err)
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
		// A file that is not there would be added beside the one it was meant to replace.
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
