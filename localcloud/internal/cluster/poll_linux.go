package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var errTimeout = errors.New("not in time")

// poll calls done until it returns true or an error, or until the limit is reached.
func poll(ctx context.Context, limit, every time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%w: waited %s", errTimeout, limit))
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
