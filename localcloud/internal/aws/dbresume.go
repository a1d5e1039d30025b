package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"dbtier/validation/rdsrules"
)

// resume starts the stored instances and finishes the operations that were interrupted by a kill: creations, rotations,
// changes and deletions.
func (c *Cloud) resume(ctx context.Context) error {
	st := c.store.Read()
	if c.cfg.RDS == nil {
		if len(st.Instances) > 0 {
			return errors.New("the local AWS account has DB instances, but there is no database engine")
		}
		return nil
	}
	var failed []error
	for _, id := range sortedKeys(st.Instances) {
		if err := c.resumeInstance(ctx, id); err != nil {
			failed = append(failed, fmt.Errorf("DB instance %s: %w", id, err))
		}
	}
	c.resumeSnapshots(ctx)
	return errors.Join(failed...)
}

func (c *Cloud) resumeInstance(ctx context.Context, id string) error {
	defer c.locks.lock("db " + id)()
	i := c.store.Read().Instances[id]
	switch {
	case i.Deleting != nil:
		return c.finishDelete(ctx, id)
	case i.Status == statusCreating:
		return c.makeDatabase(ctx, id)
	}
	c.setAccess(id, i)
	if err := c.cfg.RDS.Start(ctx, i.Identifier); err != nil {
		return err
	}
	if s := c.store.Read().Secrets[i.SecretARN]; s != nil && s.stage(stagePending) != nil {
		return c.finishRotation(ctx, id, c.now())
	}
	if i.Status == statusAvailable || i.Status == statusBackingUp {
		return nil // resumeSnapshots finishes the snapshot
	}
	// A change of class or a reboot was interrupted. Do it now.
	failed := c.restartWithParameters(ctx, id)
	return errors.Join(failed, c.changeInstance(id,
		func(_ *state, i *dbInstance) error { i.Status = statusAvailable; return nil }))
}

// housekeeping does the work that is due: rotations, changes that waited for the maintenance window, and deletions
// whose waiting period is over.
func (c *Cloud) housekeeping(ctx context.Context) {
	now := c.now()
	st := c.store.Read()
	for _, id := range sortedKeys(st.Instances) {
		i := st.Instances[id]
		if i.Status != statusAvailable {
			continue
		}
		if s := st.Secrets[i.SecretARN]; s != nil && s.NextRotation != nil && now.After(*s.NextRotation) {
			c.note("rotate the master secret of "+i.Identifier, c.rotate(ctx, id, ""))
		}
		window, err := rdsrules.ParseMaintenanceWindow(i.MaintenanceWindow)
		if i.Pending != nil && err == nil && window.Contains(now) {
			k := c.administratorCall(ctx, i.Region)
			f := &faults{what: "maintenance of " + i.Identifier}
			c.note("maintain "+i.Identifier, k.modify(ctx, id, true, f, func(*state, *dbInstance, *settings) {}))
		}
	}
	for _, id := range sortedKeys(st.Instances) {
		c.note("keep the backups of "+st.Instances[id].Identifier, c.keepBackups(ctx, id))
	}
	c.expireRetained()
	st = c.store.Read()
	probe := *st
	probe.Keys, probe.Secrets, probe.Aliases = maps.Clone(st.Keys), maps.Clone(st.Secrets), maps.Clone(st.Aliases)
	if probe.purgeDue(now) {
		c.note("purge what is due", c.store.Update(func(st *state) error { st.purgeDue(now); return nil }))
	}
}

func (c *Cloud) note(what string, err error) {
	if err != nil {
		c.log.Error("operation failed", "operation", what, "error", err)
	}
}

// purgeDue removes the keys and secrets whose waiting period is over.
func (st *state) purgeDue(now time.Time) (changed bool) {
	for id, k := range st.Keys {
		if k.DeletionDate != nil && now.After(*k.DeletionDate) {
			delete(st.Keys, id)
			for name, a := range st.Aliases {
				if a.KeyID == id {
					delete(st.Aliases, name)
				}
			}
			changed = true
		}
	}
	for arn, s := range st.Secrets {
		if s.DeletionDate != nil && now.After(*s.DeletionDate) {
			delete(st.Secrets, arn)
			changed = true
		}
	}
	return changed
}
