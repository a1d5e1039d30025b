//go:build !linux

package process

import "errors"

// Ended needs Linux, as the local cloud does.
func Ended(int) (<-chan struct{}, error) {
	return nil, errors.New("the local cloud needs Linux")
}
