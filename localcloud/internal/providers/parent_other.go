//go:build !linux

package providers

import "context"

// parentEnded waits for ctx: here the end of stdin shows that the parent has ended.
func parentEnded(ctx context.Context) bool {
	<-ctx.Done()
	return false
}
