package drill

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lookEvery is the time between two looks at a condition.
const lookEvery = 500 * time.Millisecond

// hopelessError is the reason why a condition will never hold.
type hopelessError struct{ error }

func (h *hopelessError) Unwrap() error { return h.error }

// until waits until a condition holds. seen is what an error says of the last look. A look that fails with an error is
// repeated, because one answer can be lost while a fault is in force, unless it is hopeless.
func until(
	ctx context.Context, within time.Duration, what string,
	holds func(context.Context) (ok bool, seen string, err error),
) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last string
	for {
		ok, seen, err := holds(limited)
		if ok && err == nil {
			return nil
		}
		if hopeless := (*hopelessError)(nil); errors.As(err, &hopeless) {
			return hopeless.error
		}
		if err != nil {
			seen = err.Error()
		}
		if limited.Err() == nil {
			last = seen
		}
		select {
		case <-time.After(lookEvery):
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("waited %s for %s; last seen: %s", within, what, last)
		}
	}
}

func pause(ctx context.Context, lasting time.Duration) error {
	select {
	case <-time.After(lasting):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
