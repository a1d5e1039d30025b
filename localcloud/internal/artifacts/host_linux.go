package artifacts

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// apart gives a process mounts of its own, which the host does not see, and a process group of its own.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setpgid: true}
}

// diskOf tells on which disk a folder lies and how many bytes are free there.
func diskOf(dir string) (device uint64, free float64, err error) {
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return 0, 0, fmt.Errorf("looking at folder %s: %w", dir, err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return stat.Dev, float64(disk.Bavail) * float64(disk.Bsize), nil
}
