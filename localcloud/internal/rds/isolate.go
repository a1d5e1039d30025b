package rds

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// Isolate drops the packets of an instance's primary, of its standby, of both or of none, as the outage of their zones
// would. Connections do not end: they get no answer. If only the primary is isolated, a standby that is in sync takes
// over.
func (e *Engine) Isolate(ctx context.Context, id string, primary, standby bool) error {
	return e.with(id, func(i *instance) error {
		if err := e.drop(i.record.Address, primary); err != nil {
			return err
		}
		s := i.record.Standby
		if s == nil {
			return nil
		}
		if err := e.drop(s.Address, standby); err != nil {
			return err
		}
		l := i.life
		switch {
		case l == nil:
			return nil
		case standby:
			return i.loseStandby(ctx)
		case primary && i.canFailOver():
			i.life = nil
			i.end(l, false)
			return i.failOver(ctx)
		case !primary:
			return i.keepStandby(ctx, l)
		}
		return nil
	})
}

// drop isolates an address, or no longer.
func (e *Engine) drop(address netip.Addr, isolated bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isolated[address] == isolated {
		return nil
	}
	next := maps.Clone(e.isolated)
	if next[address] = isolated; !isolated {
		delete(next, address)
	}
	if e.cfg.Drop != nil {
		if err := e.cfg.Drop(slices.SortedFunc(maps.Keys(next), netip.Addr.Compare)); err != nil {
			return fmt.Errorf("isolating %s: %w", address, err)
		}
	}
	e.isolated = next
	return nil
}

func (e *Engine) isIsolated(address netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.isolated[address]
}

// loseStandby ends the standby, and lets the primary go on without it.
func (i *instance) loseStandby(ctx context.Context) error {
	var err error
	if i.record.Standby.InSync {
		err = i.outOfSync(ctx)
	}
	i.stopStandby()
	return err
}
