//go:build !linux

package artifacts

import "errors"

// Other systems can list artefacts but cannot build them.
var errNotLinux = errors.New("the local cloud needs Linux")

func diskOf(string) (device uint64, free float64, err error) { return 0, 0, errNotLinux }
