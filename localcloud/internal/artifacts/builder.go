package artifacts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"dbtier/localcloud/internal/safefile"
)

// Layout contains the paths of a project's cache.
type Layout struct {
	// Cache is the parent of all other folders.
	Cache string
	// Bin holds the third-party binaries and the example service.
	Bin string
	// Postgres holds the folders bin, lib and share of a PostgreSQL installation.
	Postgres string
	// Chart is the operator's chart, unpacked.
	Chart string
	// Images holds the image archives and their list.
	Images string
	// Rootfs is the Debian root file system that images are based on.
	Rootfs string
}

// Paths returns the layout of a project's cache. The folders need not exist.
func Paths(project string) Layout {
	cache := filepath.Join(project, ".localcloud", "cache")
	return Layout{
		Cache:    cache,
		Bin:      filepath.Join(cache, "bin"),
		Postgres: filepath.Join(cache, "postgres"),
		Chart:    filepath.Join(cache, "charts", "external-secrets"),
		Images:   filepath.Join(cache, "images"),
		Rootfs:   filepath.Join(cache, "rootfs"),
	}
}

// Measured disk space of a first build in bytes: Go's build cache (the third-party programs and this project's own),
// its module cache, and the project's cache.
const (
	goCacheNeeds     = 12 << 30
	moduleCacheNeeds = 8 << 30
	cacheNeeds       = 3 << 30
)

// Builder builds what is missing from a project's cache.
type Builder struct {
	Layout
	project string
	// sources is the folder below which sourceDirs are.
	sources string
	out     io.Writer
}

// New returns a builder for the project in the given folder. It reports progress to out.
func New(project string, out io.Writer) *Builder {
	layout := Paths(project)
	return &Builder{
		Layout: layout, project: project, sources: sourcesFor(project, layout.Cache), out: &lines{out: out},
	}
}

// lines serializes the output of the lanes of a build.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p) //nolint:wrapcheck // callers need the writer's own error
}

// step builds one artefact.
type step struct {
	name string
	// key returns a digest of everything that the artefact depends on. Equal keys mean equal artefacts.
	key func(ctx context.Context) (string, error)
	// target is the file or folder that the step creates.
	target string
	// make writes the artefact to the given path, which does not exist yet. After success it is renamed to target.
	make func(ctx context.Context, to string) error
}

// phases run one after another. The lanes of a phase run in parallel. Kubernetes has its own lane, because it takes as
// long as everything else: while one lane waits for its linker, a download or one large package, the other compiles.
func (b *Builder) phases() [][][]step {
	var kubernetes, others []step
	for _, s := range b.binaries() {
		if s.name == "kubernetes" {
			kubernetes = append(kubernetes, s)
		} else {
			others = append(others, s)
		}
	}
	return [][][]step{
		{kubernetes, append(others, b.postgres(), b.chart(), b.rootfs(), b.pgbench())},
		{b.images()},
	}
}

// Build builds every artefact that is missing or out of date. A build that was stopped continues where it was, because
// each artefact appears complete or not at all.
func (b *Builder) Build(ctx context.Context) error {
	unlock, err := b.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := b.unpack(); err != nil {
		return err
	}
	enough := sync.OnceValue(func() error { return b.checkDisk(ctx) })
	for _, lanes := range b.phases() {
		group, ctx := errgroup.WithContext(ctx)
		for _, lane := range lanes {
			group.Go(func() error {
				for _, s := range lane {
					if err := b.ensure(ctx, s, enough); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// ensure builds an artefact if it is missing or out of date. It checks the disk space first.
func (b *Builder) ensure(ctx context.Context, s step, enough func() error) error {
	key, fresh, err := b.fresh(ctx, s)
	if err != nil || fresh {
		return err
	}
	if err := enough(); err != nil {
		return err
	}
	return b.run(ctx, s, key)
}

// BuildChart builds only the operator's chart, which is all that an offline preview needs.
func (b *Builder) BuildChart(ctx context.Context) error {
	if err := b.unpack(); err != nil {
		return err
	}
	s := b.chart()
	key, fresh, err := b.fresh(ctx, s)
	if err != nil || fresh {
		return err
	}
	unlock, err := b.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return b.run(ctx, s, key)
}

// Missing returns the names of the artefacts that Build would build.
func (b *Builder) Missing(ctx context.Context) ([]string, error) {
	if err := b.unpack(); err != nil {
		return nil, err
	}
	var names []string
	for _, s := range slices.Concat(slices.Concat(b.phases()...)...) {
		_, fresh, err := b.fresh(ctx, s)
		if err != nil {
			return nil, err
		}
		if !fresh {
			names = append(names, s.name)
		}
	}
	return names, nil
}

func (b *Builder) stamp(s step) string {
	return filepath.Join(b.Cache, "stamps", strings.ReplaceAll(s.name, "/", "-"))
}

func (b *Builder) fresh(ctx context.Context, s step) (key string, fresh bool, err error) {
	key, err = s.key(ctx)
	if err != nil {
		return "", false, fmt.Errorf("computing the inputs of %s: %w", s.name, err)
	}
	stamped, err := os.ReadFile(b.stamp(s))
	if err != nil || string(stamped) != key {
		return key, false, nil //nolint:nilerr // Without a stamp, the artefact has not been built yet.
	}
	_, err = os.Stat(s.target)
	return key, err == nil, nil
}

func (b *Builder) run(ctx context.Context, s step, key string) error {
	start := time.Now()
	done := b.announce(s.name, start)
	to := s.target + ".new"
	err := errors.Join(
		os.MkdirAll(filepath.Dir(s.target), 0o755),
		os.MkdirAll(filepath.Dir(b.stamp(s)), 0o755),
		os.RemoveAll(to), os.RemoveAll(b.stamp(s)),
	)
	if err == nil {
		err = s.make(ctx, to)
	}
	if err == nil {
		err = os.RemoveAll(s.target)
	}
	if err == nil {
		err = os.Rename(to, s.target)
	}
	if err == nil {
		err = os.WriteFile(b.stamp(s), []byte(key), 0o600)
	}
	done()
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("building %s was stopped after %s; the next run continues from here", s.name,
				seconds(start))
		}
		return fmt.Errorf("building %s: %w", s.name, err)
	}
	fmt.Fprintf(b.out, "  built %-28s %s\n", s.name, seconds(start))
	return nil
}

// announce prints what is being built, and every 30 s how long it has taken so far, until the returned function is
// called.
func (b *Builder) announce(name string, start time.Time) func() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(30 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				fmt.Fprintf(b.out, "  building %s, %s so far\n", name, seconds(start))
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

func seconds(start time.Time) string {
	return fmt.Sprintf("%.1fs", time.Since(start).Seconds())
}

// lock lets a second build of the same project wait until the first has ended.
func (b *Builder) lock() (unlock func(), err error) {
	return safefile.Lock(b.Cache, func() { fmt.Fprintln(b.out, "  waiting for another build of this project to end") })
}

// need is a folder that a build fills, and the number of bytes.
type need struct {
	dir   string
	bytes uint64
}

// checkDisk returns an error if the disk space is too small for the build. `go env` locates Go's caches, which can be
// on another disk.
func (b *Builder) checkDisk(ctx context.Context) error {
	needs := []need{{b.Cache, cacheNeeds}}
	if b.firstBuild() {
		out, err := b.output(ctx, b.project, "go", "env", "GOCACHE", "GOMODCACHE")
		if err != nil {
			return err
		}
		for i, cache := range strings.Fields(out) {
			if err := os.MkdirAll(cache, 0o755); err != nil {
				return fmt.Errorf("creating Go's caches: %w", err)
			}
			needs = append(needs, need{cache, []uint64{goCacheNeeds, moduleCacheNeeds}[i]})
		}
	}
	return checkNeeds(needs, safefile.Disk)
}

// checkNeeds adds up what each disk must hold. A cache that another checkout has already filled needs less. Measuring
// that takes long, so it is done only if a disk looks too small.
func checkNeeds(needs []need, disk func(dir string) (device uint64, free float64, err error)) error {
	filled := false
	for {
		var short error
		byDisk := map[uint64]uint64{}
		for _, n := range needs {
			device, free, err := disk(n.dir)
			if err != nil {
				return err
			}
			byDisk[device] += n.bytes
			if free < float64(byDisk[device]) {
				short = fmt.Errorf(
					"not enough disk space: %s has %.1f GiB free and the build needs %.1f GiB: free some space, or "+
						"move "+
						"the folder to a larger disk",
					n.dir, free/(1<<30), float64(byDisk[device])/(1<<30))
			}
		}
		if short == nil || filled {
			return short
		}
		filled = true
		for i, n := range needs {
			held, err := sizeOf(n.dir)
			if err != nil {
				return err
			}
			needs[i].bytes -= min(held, n.bytes)
		}
	}
}

// sizeOf returns the total size in bytes of the files below a folder. Files that disappear during the walk count as 0.
func sizeOf(dir string) (size uint64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if info, err := entry.Info(); err == nil {
			size += uint64(info.Size()) //nolint:gosec // The size of a regular file is never negative.
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measuring %s: %w", dir, err)
	}
	return size, nil
}

func (b *Builder) firstBuild() bool {
	_, err := os.Stat(filepath.Join(b.Bin, "kubernetes"))
	return err != nil
}

// output runs a command and returns its standard output. Its error contains the last lines that the command printed.
func (b *Builder) output(ctx context.Context, dir, name string, args ...string) (string, error) {
	return b.outputEnv(ctx, dir, nil, name, args...)
}

func (b *Builder) outputEnv(
	ctx context.Context, dir string, env []string, name string, args ...string,
) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("the program %s is not installed", cmd.Args[0])
		}
		said := strings.TrimSpace(stderr.String() + "\n" + stdout.String())
		if lines := strings.Split(said, "\n"); len(lines) > 12 {
			said = strings.Join(lines[len(lines)-12:], "\n")
		}
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said)
	}
	return stdout.String(), nil
}

// hash returns a digest of the parts and of the names and contents of all sources below the paths.
func hash(parts []string, paths ...string) (string, error) {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s\n", len(p), p)
	}
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !isSource(path) {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%s %d %x\n", name, len(content), sha256.Sum256(content))
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
