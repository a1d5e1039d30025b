//go:build !linux

package safefile

import "errors"

// Other systems can list artefacts but cannot build them.
var errNotLinux = errors.New("the local cloud needs Linux")

// Disk fails here.
func Disk(string) (device uint64, free float64, err error) { return 0, 0, errNotLinux }
