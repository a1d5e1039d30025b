//go:build !linux

package localcloud

import "errors"

// processEnd is for the local cloud, which needs Linux.
func processEnd(int) (<-chan struct{}, error) {
	return nil, errors.New("the local cloud needs Linux")
}
