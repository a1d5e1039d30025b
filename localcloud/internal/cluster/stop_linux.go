package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const stopLimit = 30 * time.Second

// Stop stops the local cloud. Only files remain. With purge it also removes the state.
func Stop(ctx context.Context, p Project, purge bool, out io.Writer) error {
	if err := needRoot(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(p.Dir, ".localcloud")); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "no local cloud in this project")
		return nil
	}
	unlock, err := p.lock(out)
	if err != nil {
		return err
	}
	defer unlock()
	began := time.Now()
	cloud, alive, err := p.Find()
	if err != nil {
		return err
	}
	if alive {
		if err := p.halt(ctx, *cloud); err != nil {
			return err
		}
	}
	if err := p.clean(ctx); err != nil {
		return err
	}
	if alive {
		fmt.Fprintf(out, "local cloud stopped in %.1fs\n", time.Since(began).Seconds())
	} else {
		fmt.Fprintln(out, "local cloud is not running")
	}
	if purge {
		if err := os.RemoveAll(p.State()); err != nil {
			return fmt.Errorf("removing the state: %w", err)
		}
		fmt.Fprintln(out, "state removed")
	}
	return nil
}

// halt stops a running cloud: first by a request, then by force.
func (p Project) halt(ctx context.Context, cloud Cloud) error {
	fd, err := unix.PidfdOpen(cloud.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watching process %d: %w", cloud.PID, err)
	}
	defer unix.Close(fd)
	// With the pidfd open, the process ID cannot be reused, so this comparison is final.
	if start, zombie, err := processStart(cloud.PID); err != nil || zombie || start != cloud.StartTime {
		return nil // It has already ended.
	}
	if err := askShutdown(ctx, p); err != nil {
		_ = unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0)
	}
	if gone(ctx, fd, stopLimit) {
		return nil
	}
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	if gone(ctx, fd, stopLimit) {
		return nil
	}
	return fmt.Errorf("process %d does not end, not even after SIGKILL: it hangs in the kernel; see dmesg", cloud.PID)
}

// gone waits for the end of a process. The end of PID 1 includes the end of every process in its namespace.
func gone(ctx context.Context, pidfd int, limit time.Duration) bool {
	return poll(ctx, limit, 10*time.Millisecond, func() (bool, error) {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}} //nolint:gosec // A file descriptor fits.
		n, err := unix.Poll(fds, 0)
		return err == nil && n == 1, nil
	}) == nil
}
