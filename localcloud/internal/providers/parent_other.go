//go:build !linux

package providers

import "context"

// parentEnded leaves it to stdin, which closes when the parent process ends.
func parentEnded(ctx context.Context) bool {
	<-ctx.Done()
	return false
}
