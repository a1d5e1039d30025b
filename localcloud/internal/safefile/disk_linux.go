package safefile

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Disk returns the device that a folder is on, and the number of free bytes there. A folder that does not exist is on
// the device of its nearest existing parent.
func Disk(dir string) (device uint64, free float64, err error) {
	var stat unix.Stat_t
	for err = unix.Stat(dir, &stat); errors.Is(err, unix.ENOENT) && dir != filepath.Dir(dir); {
		dir = filepath.Dir(dir)
		err = unix.Stat(dir, &stat)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading folder %s: %w", dir, err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, 0, fmt.Errorf("reading the free space of %s: %w", dir, err)
	}
	return stat.Dev, float64(disk.Bavail) * float64(disk.Bsize), nil
}
