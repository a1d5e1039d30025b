package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Logs prints the log of a component, by default the supervisor's. With follow it continues with new lines.
func Logs(ctx context.Context, p Project, component string, follow bool, out io.Writer) error {
	if component == "" {
		component = "cloud"
	}
	if !slices.Contains(Components(), component) {
		return &UnknownComponentError{component}
	}
	f, err := os.Open(p.logFile(component))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no log of %s: it has not run in this project yet", component)
	}
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	defer f.Close()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.Copy(out, f); err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// The log was renamed because it grew too large. Continue with the new one.
		if next, err := reopened(f, p.logFile(component)); err == nil && next != nil {
			_ = f.Close()
			f = next
		}
	}
}

func reopened(old *os.File, path string) (*os.File, error) {
	was, err := old.Stat()
	if err != nil {
		return nil, err
	}
	is, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if os.SameFile(was, is) {
		return nil, nil //nolint:nilnil // No new file is the normal case.
	}
	return os.Open(path)
}
