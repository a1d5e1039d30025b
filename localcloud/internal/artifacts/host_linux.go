package artifacts

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// diskOf returns the device that a folder is on, and the number of free bytes there.
func diskOf(dir string) (device uint64, free float64, err error) {
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return 0, 0, fmt.Errorf("reading folder %s: %w", dir, err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, 0, fmt.Errorf("reading the free space of %s: %w", dir, err)
	}
	return stat.Dev, float64(disk.Bavail) * float64(disk.Bsize), nil
}
