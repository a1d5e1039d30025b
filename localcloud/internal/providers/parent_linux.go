package providers

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// parentEnded returns true when the parent process ends, and false when ctx ends first.
//
// It uses a pidfd because a parent death signal is bound to the thread that started the process, and a Go program may
// end that thread at any time.
func parentEnded(ctx context.Context) bool {
	parent := os.Getppid()
	if parent <= 1 {
		<-ctx.Done()
		return false
	}
	fd, err := unix.PidfdOpen(parent, 0)
	if errors.Is(err, unix.ESRCH) {
		return true
	}
	if err != nil {
		// On older kernels only the end of stdin shows that the parent has ended.
		<-ctx.Done()
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	for ctx.Err() == nil {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} //nolint:gosec // A file descriptor fits.
		ready, err := unix.Poll(poll, 1000)
		if err != nil && !errors.Is(err, unix.EINTR) {
			<-ctx.Done()
			return false
		}
		if ready > 0 {
			return true
		}
	}
	return false
}
