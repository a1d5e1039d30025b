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
)

// Version is the CLI that the program's SDK and the tests belong to. tools/pulumi/go.mod pins the same.
const Version = "3.259.0"

const cliModule = "github.com/pulumi/pulumi/pkg/v3"

// Finder looks for the pinned CLI.
type Finder struct {
	// Beside is the folder of the driver's own binary.
	Beside string
	// Sources is the folder of the module that pins the CLI, to build it from when there is none.
	Sources string
	// Progress hears what is being built, and for how long already.
	Progress io.Writer
	// Every is how often Progress hears of a build that goes on; 15 s by default.
	Every time.Duration
}

// Find returns the path of the pinned CLI: beside the driver, else on PATH, else built from source beside the driver.
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

// isPinned asks a binary for its version: what the linker wrote into it where that says enough, which takes no process.
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
			"its sources are not in %s: run `make build` in a checkout of dbtier, or install the Pulumi CLI %s",
			f.Sources, Version,
		)
	}
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("go is not on PATH: install Go, or the Pulumi CLI %s", Version)
	}
	fmt.Fprintf(f.Progress, "building the Pulumi CLI %s (some minutes the first time)\n", Version)
	started := time.Now()
	// Built under another name first: a build that is interrupted must not leave a binary that looks complete.
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
				return fmt.Errorf("go build: %w: %s", err, lastLine(output.String()))
			}
			if err := os.Rename(partial, target); err != nil {
				return fmt.Errorf("putting the built CLI in place: %w", err)
			}
			fmt.Fprintf(f.Progress, "built in %s\n", time.Since(started).Round(time.Second))
			return nil
		}
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
