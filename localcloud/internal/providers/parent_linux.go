package providers

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// parentEnded waits for the end of the parent process and is true then; it is false when ctx ends first.
//
// A process that is started with a death signal gets it when the thread that started it ends, which in a Go program can
// be any time; a pidfd is about the process.
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
		// An older kernel: the end of stdin tells it as well.
		<-ctx.Done()
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	for ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000) //nolint:gosec // A file descriptor fits.
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
