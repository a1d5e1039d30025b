package aws

import (
	"cmp"
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

// Kinds of faults that people cause. They end with the local cloud.
const (
	FaultZone       = "zone"
	FaultService    = "service"
	FaultStorage    = "storage-full"
	FaultParameters = "incompatible-parameters"
	FaultRotation   = "rotation"

	// RDS has these two as statuses.
	statusStorageFull  = FaultStorage
	statusIncompatible = FaultParameters
)

// Fault is a fault of one kind. Of is the zone, the service or the DB instance that it is of.
type Fault struct{ Kind, Of string }

// Fail causes a fault. Of can be empty for a fault of an instance if there is one instance.
func (c *Cloud) Fail(ctx context.Context, kind, of string) error {
	switch kind {
	case FaultZone:
		return c.failZone(ctx, of)
	case FaultService:
		return c.failService(of)
	}
	id, err := c.store.Read().faulty(of)
	if err != nil {
		return err
	}
	switch kind {
	case FaultStorage, FaultParameters:
		return c.run(ctx, kind+" "+id, func(ctx context.Context) error { return c.breakInstance(ctx, id, kind) })
	case FaultRotation:
		c.inForce(Fault{kind, id}, true)
		return nil
	default:
		return wire.Errorf(codeInvalidValue, "kind: %q: there is no such fault", clip(kind))
	}
}

// Faults returns the faults in force, sorted. A fault of an instance ends when the instance is repaired or deleted.
func (c *Cloud) Faults() []Fault {
	st := c.store.Read()
	var all []Fault
	for _, i := range st.Instances {
		if i.broken() {
			all = append(all, Fault{i.Status, i.Identifier})
		}
	}
	c.faultsMu.Lock()
	defer c.faultsMu.Unlock()
	for f := range c.faults {
		if f.Kind == FaultRotation {
			i := st.Instances[f.Of]
			if i == nil {
				continue
			}
			f.Of = i.Identifier
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Fault) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Of, b.Of))
	})
	return all
}

// inForce notes that a fault is in force, or no longer. The broken instances have theirs in their status.
func (c *Cloud) inForce(f Fault, is bool) {
	c.faultsMu.Lock()
	defer c.faultsMu.Unlock()
	if is {
		c.faults[f] = true
	} else {
		delete(c.faults, f)
	}
}

func (c *Cloud) isInForce(f Fault) bool {
	c.faultsMu.Lock()
	defer c.faultsMu.Unlock()
	return c.faults[f]
}

// endAll ends the faults of a kind.
func (c *Cloud) endAll(kind string) {
	c.faultsMu.Lock()
	defer c.faultsMu.Unlock()
	maps.DeleteFunc(c.faults, func(f Fault, _ bool) bool { return f.Kind == kind })
}

// failService makes the API of a service answer nothing useful. What its service does by itself goes on: databases
// serve, and rotations are made.
func (c *Cloud) failService(name string) error {
	if !slices.Contains(Services(), name) {
		return wire.Errorf(codeInvalidValue, "service: %q: want one of %s", clip(name),
			strings.Join(Services(), ", "))
	}
	c.inForce(Fault{FaultService, name}, true)
	return nil
}

// outage returns AWS's error for a service that does not answer, or nil. SDKs try its status again.
func (c *Cloud) outage(service string) error {
	if !c.isInForce(Fault{FaultService, service}) {
		return nil
	}
	return wire.Status(http.StatusServiceUnavailable, "ServiceUnavailable",
		"The request has failed due to a temporary failure of the server.")
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
	if i.archive() != "" { // what a restore, or a retained backup, shall have while the database is stopped
		c.note("archive the last of "+i.Identifier, c.flush(ctx, i))
	}
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

// EndFaults ends all faults.
func (c *Cloud) EndFaults(ctx context.Context) error {
	c.endAll(FaultService)
	c.endAll(FaultRotation)
	return c.run(ctx, "end faults", func(ctx context.Context) error {
		var failed []error
		if err := c.isolate(ctx, func(string) bool { return false }); err != nil {
			failed = append(failed, err)
		} else {
			c.endAll(FaultZone)
		}
		for _, id := range sortedKeys(c.store.Read().Instances) {
			failed = append(failed, c.whileIdle(id, (*dbInstance).broken, func(*dbInstance) error {
				return c.repair(ctx, id)
			}))
		}
		return errors.Join(failed...)
	})
}

// failZone makes a zone of all regions stop answering, and all others answer.
func (c *Cloud) failZone(ctx context.Context, zone string) error {
	if !slices.Contains(zones, zone) {
		return wire.Errorf(codeInvalidValue, "zone: %q: want one of %s", clip(zone), strings.Join(zones, ", "))
	}
	return c.run(ctx, "isolate zones", func(ctx context.Context) error {
		c.endAll(FaultZone)
		c.inForce(Fault{FaultZone, zone}, true)
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
