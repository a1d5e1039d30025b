package aws

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
)

// zones are the letters of the availability zones of each region.
var zones = []string{"a", "b", "c"}

// Faults that people cause. They end with the local cloud.
const (
	FaultZone       = "zone"
	FaultStorage    = "storage-full"
	FaultParameters = "incompatible-parameters"
	FaultRotation   = "rotation"

	// RDS has these two as statuses.
	statusStorageFull  = FaultStorage
	statusIncompatible = FaultParameters
)

func (c *Cloud) serveFaults(mux *http.ServeMux) {
	handle := func(method string, do func(ctx context.Context, kind, of string) error) {
		mux.HandleFunc(method+" /aws/faults", func(w http.ResponseWriter, req *http.Request) {
			query := req.URL.Query()
			if err := do(req.Context(), query.Get("kind"), query.Get("of")); err != nil {
				c.refuse(w, resourceRequest{Type: "fault"}, method, err)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	handle(http.MethodPost, c.fail)
	handle(http.MethodDelete, func(ctx context.Context, _, _ string) error { return c.endFaults(ctx) })
}

// fail causes a fault: of a zone, or of an instance.
func (c *Cloud) fail(ctx context.Context, kind, of string) error {
	if kind == FaultZone {
		return c.failZone(ctx, of)
	}
	id, err := c.store.Read().faulty(of)
	if err != nil {
		return err
	}
	switch kind {
	case FaultStorage, FaultParameters:
		return c.run(ctx, kind+" "+id, func(ctx context.Context) error { return c.breakInstance(ctx, id, kind) })
	case FaultRotation:
		c.setRotationFails(id)
		return nil
	default:
		return wire.Errorf(codeInvalidValue, "kind: %q: there is no such fault", clip(kind))
	}
}

// faulty finds the instance that a fault is for. The identifier can be empty if there is one instance.
func (st *state) faulty(identifier string) (id string, err error) {
	all := sortedKeys(st.Instances)
	for _, id := range all {
		if identifier == st.Instances[id].Identifier || identifier == "" && len(all) == 1 {
			return id, nil
		}
	}
	if len(all) == 0 {
		return "", wire.Errorf(codeInvalidValue, "there is no DB instance that could fail")
	}
	if identifier == "" {
		return "", wire.Errorf(codeInvalidValue, "there are %d DB instances: name the one that shall fail", len(all))
	}
	return "", errNoInstance(identifier)
}

// breakInstance stops the database, as RDS does when its disk is full or PostgreSQL does not start with its parameters.
func (c *Cloud) breakInstance(ctx context.Context, id, status string) error {
	defer c.locks.lock("db " + id)()
	err := c.changeInstance(id, func(st *state, i *dbInstance) error {
		if i.Status != statusAvailable {
			return i.unavailable()
		}
		i.Status, i.Faulty = status, st.groupValues(i)
		if status == statusStorageFull {
			st.instanceEvent(c.now(), i, eventStorageFull)
		}
		st.instanceEvent(c.now(), i, eventShutdown)
		return nil
	})
	if err != nil {
		return err
	}
	i := c.store.Read().Instances[id]
	if err := c.cfg.RDS.Stop(ctx, i.Identifier); err != nil {
		return engineError("stop", i.Identifier, err)
	}
	return nil
}

// broken reports whether the instance's database does not run because of a fault.
func (i *dbInstance) broken() bool {
	return i.Status == statusStorageFull || i.Status == statusIncompatible
}

// repair starts the database of an instance after a fault, with the parameters that were changed meanwhile. The caller
// holds the lock of the instance.
func (c *Cloud) repair(ctx context.Context, id string) error {
	i := c.store.Read().Instances[id]
	if err := c.cfg.RDS.Start(ctx, i.Identifier); err != nil {
		return engineError("start", i.Identifier, err)
	}
	failed := c.applyImmediate(ctx, id)
	return errors.Join(failed, c.changeInstance(id, func(st *state, i *dbInstance) error {
		if i.broken() {
			i.Status = statusAvailable
		}
		i.Faulty = nil
		st.instanceEvent(c.now(), i, eventRestarted)
		return nil
	}))
}

// endFaults ends all faults.
func (c *Cloud) endFaults(ctx context.Context) error {
	c.setRotationFails("")
	return c.run(ctx, "end faults", func(ctx context.Context) error {
		failed := []error{c.isolate(ctx, func(string) bool { return false })}
		for _, id := range sortedKeys(c.store.Read().Instances) {
			failed = append(failed, c.whileIdle(id, (*dbInstance).broken, func(*dbInstance) error {
				return c.repair(ctx, id)
			}))
		}
		return errors.Join(failed...)
	})
}

// setRotationFails makes the rotations of an instance fail, or with an empty name no rotation.
func (c *Cloud) setRotationFails(id string) {
	c.faultsMu.Lock()
	defer c.faultsMu.Unlock()
	next := map[string]bool{}
	if id != "" {
		maps.Copy(next, c.rotationFails)
		next[id] = true
	}
	c.rotationFails = next
}

func (c *Cloud) rotationMustFail(id string) bool {
	c.faultsMu.Lock()
	defer c.faultsMu.Unlock()
	return c.rotationFails[id]
}

// failZone makes a zone of all regions stop answering, and all others answer.
func (c *Cloud) failZone(ctx context.Context, zone string) error {
	if !slices.Contains(zones, zone) {
		return wire.Errorf(codeInvalidValue, "zone: %q: want one of %s", clip(zone), strings.Join(zones, ", "))
	}
	return c.run(ctx, "isolate zones", func(ctx context.Context) error {
		return c.isolate(ctx, func(az string) bool { return strings.HasSuffix(az, zone) })
	})
}

func (c *Cloud) isolate(ctx context.Context, dead func(az string) bool) error {
	var failed []error
	has := func(i *dbInstance) bool { return i.Status != statusCreating && i.Deleting == nil }
	for _, id := range sortedKeys(c.store.Read().Instances) {
		failed = append(failed, c.whileIdle(id, has, func(i *dbInstance) error {
			return c.cfg.RDS.Isolate(ctx, i.Identifier, dead(i.AZ), i.SecondaryAZ != "" && dead(i.SecondaryAZ))
		}))
	}
	return errors.Join(failed...)
}

// whileIdle does something with an instance for which a condition holds, while nothing else works on it. It does not
// wait for an instance for which it does not hold: a creation can take minutes.
func (c *Cloud) whileIdle(id string, holds func(*dbInstance) bool, do func(*dbInstance) error) error {
	now := func() *dbInstance {
		if i := c.store.Read().Instances[id]; i != nil && holds(i) {
			return i
		}
		return nil
	}
	if now() == nil {
		return nil
	}
	defer c.locks.lock("db " + id)()
	if i := now(); i != nil {
		return do(i)
	}
	return nil
}
