package pulumicli

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"dbtier/internal/text"
)

// Version is the version of the CLI, the same as that of the program's SDK. tools/pulumi/go.mod pins the same.
const Version = "3.259.0"

const cliModule = "github.com/pulumi/pulumi/pkg/v3"

// Finder looks for the pinned CLI.
type Finder struct {
	// Beside is the folder of the driver's own binary.
	Beside string
	// Sources is the folder of the module that pins the CLI, from which it is built if there is none.
	Sources string
	// Progress receives lines about the build.
	Progress io.Writer
	// Every is the interval of these lines. Default 15 s.
	Every time.Duration
}

// Find returns the path of the pinned CLI: beside the driver, or on PATH. If there is none, Find builds it beside the
// driver.
func (f Finder) Find(ctx context.Context) (string, error) {
	if path, found := f.Look(ctx); found {
		return path, nil
	}
	beside := filepath.Join(f.Beside, "pulumi")
	if err := f.build(ctx, beside); err != nil {
		return "", fmt.Errorf("the Pulumi CLI %s is neither beside dbtier nor on PATH, and building it failed: %w",
			Version, err)
	}
	return beside, nil
}

// Look returns the path of the pinned CLI beside the driver or on PATH, and whether there is one.
func (f Finder) Look(ctx context.Context) (string, bool) {
	if beside := filepath.Join(f.Beside, "pulumi"); isPinned(ctx, beside) {
		return beside, true
	}
	if onPath, err := exec.LookPath("pulumi"); err == nil && isPinned(ctx, onPath) {
		return onPath, true
	}
	return "", false
}

// isPinned reports whether a binary is the pinned version. It reads the binary's build info, and runs the binary only
// if that does not tell.
func isPinned(ctx context.Context, path string) bool {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return false
	}
	if info, err := buildinfo.ReadFile(path); err == nil && info.Main.Path == cliModule &&
		strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version == "v"+Version
	}
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true")
	out, err := cmd.Output()
	return err == nil && strings.TrimPrefix(strings.TrimSpace(string(out)), "v") == Version
}

func (f Finder) build(ctx context.Context, target string) error {
	if _, err := os.Stat(filepath.Join(f.Sources, "go.mod")); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf(
			"its sources are not in %s: run `make build` in a checkout of dbtier, or install the Pulumi CLI "+
				"%s", f.Sources, Version)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("go is not on PATH: install Go, or the Pulumi CLI %s", Version)
	}
	fmt.Fprintf(f.Progress, "building the Pulumi CLI %s (this takes some minutes the first time)\n", Version)
	started := time.Now()
	// The binary gets its name last, so an interrupted build leaves none.
	partial := target + ".partial"
	defer os.Remove(partial)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", partial,
		"-ldflags", "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version="+Version,
		cliModule+"/cmd/pulumi")
	cmd.Dir = f.Sources
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false -gcflags=all=-dwarf=false")
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting go build: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	every := f.Every
	if every == 0 {
		every = 15 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(f.Progress, "  still building, %s\n", time.Since(started).Round(time.Second))
		case err := <-ended:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return fmt.Errorf("go build: %w: %s", err, text.LastLine(output.String()))
			}
			if err := os.Rename(partial, target); err != nil {
				return fmt.Errorf("putting the built CLI in place: %w", err)
			}
			fmt.Fprintf(f.Progress, "built in %s\n", time.Since(started).Round(time.Second))
			return nil
		}
	}
}
