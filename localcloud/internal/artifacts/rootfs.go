package artifacts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// imagesDir holds the recipes of the images of Debian packages: for each image a folder with the lists of packages, and
// the scripts that make a lock and a root file system. The Dockerfile of the pool runs the same scripts.
const imagesDir = "images"

// rootfs builds the root file system of the pool's image. The image of the example service shares it.
func (b *Builder) rootfs() step { return b.debian("debian root file system", "pool", b.Rootfs, b.root) }

// pgbench extracts the one program of the example service's image that the pool does not need.
func (b *Builder) pgbench() step {
	return b.debian("pgbench", "pgbench", filepath.Join(b.Bin, "pgbench"),
		func(ctx context.Context, image, arch, to string) error {
			root := to + ".root"
			defer os.RemoveAll(root)
			if err := b.root(ctx, image, arch, root); err != nil {
				return err
			}
			programs, err := filepath.Glob(filepath.Join(root, "usr", "lib", "postgresql", "*", "bin", "pgbench"))
			if err == nil && len(programs) != 1 {
				err = fmt.Errorf("the packages of %s have %d files named pgbench: want 1", image, len(programs))
			}
			if err != nil {
				return err
			}
			return os.Rename(programs[0], to)
		})
}

// debian is a step whose artefact depends on the lock of an image and on the scripts.
func (b *Builder) debian(
	name, image, target string, maker func(ctx context.Context, image, arch, to string) error,
) step {
	lock := b.lockOf(image, runtime.GOARCH)
	return step{
		name: name, target: target,
		key: func(context.Context) (string, error) {
			return hash([]string{image}, lock, filepath.Join(b.sources, imagesDir, "root.sh"))
		},
		make: func(ctx context.Context, to string) error { return maker(ctx, image, runtime.GOARCH, to) },
	}
}

func (b *Builder) lockOf(image, arch string) string {
	return filepath.Join(b.sources, imagesDir, image, arch+".lock")
}

// root makes a root file system of the locked packages. If Debian has dropped one of them, it locks the packages that
// Debian has today, in the cache only, and says so. A newer package is better than a local cloud that cannot be built.
func (b *Builder) root(ctx context.Context, image, arch, to string) error {
	lock := b.lockOf(image, arch)
	gone, err := b.runRoot(ctx, lock, to)
	if err != nil || gone == "" {
		return err
	}
	fresh := filepath.Join(b.Cache, "locks", image+"-"+arch+".lock")
	if err := os.MkdirAll(filepath.Dir(fresh), 0o755); err != nil {
		return err
	}
	if err := b.Lock(ctx, image, arch, fresh); err != nil {
		return fmt.Errorf("%s\nand the packages that Debian has today cannot be listed either: %w", gone, err)
	}
	before, err := packagesOf(lock)
	if err != nil {
		return err
	}
	after, err := packagesOf(fresh)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "  warning: %s\n  warning: the image %s is built with other versions: %s\n"+
		"  warning: run `make lock-images`, review and commit the changed versions\n",
		strings.ReplaceAll(gone, "\n", "\n  warning: "), image, strings.Join(changes(before, after), ", "))
	if gone, err = b.runRoot(ctx, fresh, to); err == nil && gone != "" {
		err = errors.New(gone)
	}
	return err
}

// packageGone is the exit code of root.sh if a package is nowhere to be had.
const packageGone = 3

// runRoot runs root.sh. It returns what the script says about packages that are nowhere to be had.
func (b *Builder) runRoot(ctx context.Context, lock, to string) (gone string, err error) {
	script := filepath.Join(b.sources, imagesDir, "root.sh")
	args := append([]string{script, lock, to, filepath.Join(b.Cache, "debs")}, b.mirrors(ctx)...)
	_, err = b.output(ctx, b.project, "sh", args...)
	if gone = packagesGone(err); gone != "" {
		return gone, os.RemoveAll(to)
	}
	return "", err
}

// packagesGone returns what root.sh says about packages that are nowhere to be had, or "" if it failed otherwise.
func packagesGone(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != packageGone {
		return ""
	}
	// The first line is the command.
	_, said, _ := strings.Cut(err.Error(), "\n")
	return said
}

// Lock writes the lock of an image for an architecture: the versions that Debian has today.
func (b *Builder) Lock(ctx context.Context, image, arch, to string) error {
	script := filepath.Join(b.sources, imagesDir, "lock.sh")
	var faults []error
	for _, mirror := range b.mirrors(ctx) {
		text, err := b.output(ctx, b.project, "sh", script, image, arch, mirror)
		if err == nil {
			return os.WriteFile(to, []byte(text), 0o644)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// LockAll writes the checked-in locks of all images anew and reports which versions changed.
func (b *Builder) LockAll(ctx context.Context) error {
	locks, err := filepath.Glob(filepath.Join(b.project, imagesDir, "*", "*.lock"))
	if err != nil {
		return err
	}
	if len(locks) == 0 {
		return fmt.Errorf("%s has no locks: run this in a checkout of dbtier", filepath.Join(b.project, imagesDir))
	}
	for _, lock := range locks {
		image, arch := filepath.Base(filepath.Dir(lock)), strings.TrimSuffix(filepath.Base(lock), ".lock")
		before, err := packagesOf(lock)
		if err != nil {
			return err
		}
		if err := b.Lock(ctx, image, arch, lock); err != nil {
			return fmt.Errorf("locking image %s for %s: %w", image, arch, err)
		}
		after, err := packagesOf(lock)
		if err != nil {
			return err
		}
		changed := changes(before, after)
		if len(changed) == 0 {
			changed = []string{"no change"}
		}
		fmt.Fprintf(b.out, "  %s for %s: %s\n", image, arch, strings.Join(changed, ", "))
	}
	return nil
}

// packagesOf returns the version of each package of a lock.
func packagesOf(lock string) (map[string]string, error) {
	text, err := os.ReadFile(lock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: images are locked for amd64 and arm64", lock)
	}
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		name := filepath.Base(strings.TrimSpace(line))
		parts := strings.Split(strings.TrimSuffix(name, ".deb"), "_")
		if len(parts) != 3 {
			return nil, fmt.Errorf("%s: %q is no line of a lock: run `make lock-images`", lock, strings.TrimSpace(line))
		}
		versions[parts[0]] = strings.NewReplacer("%2b", "+", "%7e", "~", "%3a", ":").Replace(parts[1])
	}
	return versions, nil
}

// changes describes the packages whose version differs.
func changes(before, after map[string]string) []string {
	var all []string
	for name, version := range after {
		switch old, had := before[name]; {
		case !had:
			all = append(all, fmt.Sprintf("%s %s (new)", name, version))
		case old != version:
			all = append(all, fmt.Sprintf("%s %s (was %s)", name, version, old))
		}
	}
	for name := range before {
		if _, has := after[name]; !has {
			all = append(all, name+" (gone)")
		}
	}
	slices.Sort(all)
	return all
}

// mirrors returns the Debian mirror that this machine uses, if it uses one, and Debian's own.
func (b *Builder) mirrors(ctx context.Context) []string {
	const debian = "http://deb.debian.org/debian"
	out, err := b.output(ctx, b.project, "apt-get", "indextargets", "--format",
		"$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(SITE)", "Created-By: Packages")
	if err != nil {
		return []string{debian}
	}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) == 4 && f[0] == "Debian" && f[2] == "main" && !strings.Contains(f[1], "-") && f[3] != debian {
			return []string{f[3], debian}
		}
	}
	return []string{debian}
}
