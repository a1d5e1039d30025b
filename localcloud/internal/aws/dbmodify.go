package aws

import (
	"context"
	"errors"
	"maps"
	"time"

	"dbtier/localcloud/internal/aws/wire"
)

func updateInstance(ctx context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[instanceInputs](r.Inputs, instanceRefused, f)
	id, i := c.store.Read().instanceID(r.Region, r.ID)
	if i == nil {
		return nil, errNoInstance(r.ID)
	}
	k := c.administratorCall(ctx, r.Region)
	err := c.run(ctx, "modify DB instance "+i.Identifier, func(ctx context.Context) error {
		return k.modify(ctx, id, or(in.ApplyImmediately, false), f, func(st *state, i *dbInstance, next *settings) {
			next.reset()
			in.dropGrown(next)
			in.overlay(next)
			k.fixed(st, i, in, f)
			if key := or(in.PIKMSKey, ""); key != "" && next.PerformanceInsights && i.PIKMSKeyARN == "" {
				if found := k.rdsKey(st, i.Region, "rds", "performanceInsightsKmsKeyId", key, f); found != nil {
					next.PIKMSKeyARN = found.arn()
				}
			}
			i.Tags, i.Origin = in.Tags, reinput(i.Origin, r.Inputs)
		})
	})
	if err != nil {
		return nil, err
	}
	st := c.store.Read()
	if i = st.Instances[id]; i == nil {
		return nil, errNoInstance(r.ID)
	}
	return i.resource(st), nil
}

// modify changes an instance's settings and then its database. change edits the wanted settings. They start as the
// current settings with the pending ones applied.
func (k *call) modify(
	ctx context.Context, id string, immediately bool, f *faults, change func(st *state, i *dbInstance, next *settings),
) error {
	c := k.c
	defer c.locks.lock("db " + id)()
	started := c.now()
	restart, full := false, false
	var before settings
	var pending *settings
	err := c.changeInstance(id, func(st *state, i *dbInstance) error {
		// A full disk can only grow, and at once.
		full = i.Status == statusStorageFull && immediately
		if i.Status != statusAvailable && !full {
			return i.unavailable()
		}
		before, pending = i.settings, i.Pending
		next := before
		if i.Pending != nil {
			copyDeferred(&next, i.Pending)
		}
		change(st, i, &next)
		k.settle(st, i, &before, next, f)
		if err := f.err(); err != nil {
			return err
		}
		if full && i.AllocatedStorage <= before.AllocatedStorage {
			return i.unavailable()
		}
		next = i.settings
		i.Pending = nil
		if !immediately {
			copyDeferred(&i.settings, &before)
			if !sameSettings(i.settings, next) {
				i.Pending = &next
			}
		}
		restart = i.Class != before.Class
		i.placeStandby()
		c.ensureLogGroups(st, i)
		if !sameSettings(before, i.settings) {
			i.Status = statusModifying
		}
		return nil
	})
	if err != nil {
		return err
	}
	if full {
		if err := c.repair(ctx, id); err != nil {
			return errors.Join(err, c.changeInstance(id, func(_ *state, i *dbInstance) error {
				i.settings, i.Pending, i.Status = before, pending, statusStorageFull
				return nil
			}))
		}
	}
	if err := c.finishModify(ctx, id, restart, started); err != nil {
		return err
	}
	return c.changeInstance(id, func(st *state, i *dbInstance) error {
		st.modifiedEvents(c.now(), i, &before)
		return nil
	})
}

// finishModify applies changed settings to the database. A new class requires a restart, which also applies parameters
// that wait for one.
func (c *Cloud) finishModify(ctx context.Context, id string, restart bool, started time.Time) error {
	i := c.store.Read().Instances[id]
	if i == nil || i.Status != statusModifying {
		return nil
	}
	var failed error
	if restart {
		failed = c.restartWithParameters(ctx, id)
	}
	if err := c.cfg.RDS.SetStandby(ctx, i.Identifier, i.MultiAZ); err != nil {
		failed = errors.Join(failed, engineError("set the standby of", i.Identifier, err))
	}
	failed = errors.Join(failed, c.settleBackups(ctx, id))
	c.pause(ctx, c.cfg.Latency.Modify-c.now().Sub(started))
	err := c.changeInstance(id, func(_ *state, i *dbInstance) error { i.Status = statusAvailable; return nil })
	return errors.Join(failed, err)
}

// restartWithParameters applies everything that waits for a reboot, and reboots.
func (c *Cloud) restartWithParameters(ctx context.Context, id string) error {
	return c.restart(ctx, id, false)
}

func (c *Cloud) restart(ctx context.Context, id string, failover bool) error {
	st := c.store.Read()
	i := st.Instances[id]
	want, err := st.desired(i)
	if err != nil {
		return err
	}
	if err := c.cfg.RDS.Apply(ctx, i.Identifier, want.MaxConnections, want.Parameters); err != nil {
		return engineError("apply the parameters of", i.Identifier, err)
	}
	reboot := c.cfg.RDS.Reboot
	if failover {
		reboot = c.cfg.RDS.Failover
	}
	if err := reboot(ctx, i.Identifier); err != nil {
		return engineError("reboot", i.Identifier, err)
	}
	return c.changeInstance(id, func(st *state, i *dbInstance) error {
		i.Applied = want
		st.instanceEvent(c.now(), i, eventShutdown)
		st.instanceEvent(c.now(), i, eventRestarted)
		return nil
	})
}

// failedOver notes that the standby of an instance has taken over, in its zone.
func (c *Cloud) failedOver(identifier string) {
	c.note("note the failover of "+identifier, c.store.Update(func(st *state) error {
		for _, i := range st.Instances {
			if i.Identifier == identifier && i.SecondaryAZ != "" {
				i.AZ, i.SecondaryAZ = i.SecondaryAZ, i.AZ
				st.instanceEvent(c.now(), i, eventFailover)
				st.instanceEvent(c.now(), i, eventFailedOver)
			}
		}
		return nil
	}))
}

// reboot restarts the database. With failover, the standby takes over.
func (c *Cloud) reboot(ctx context.Context, id string, failover bool) error {
	defer c.locks.lock("db " + id)()
	started := c.now()
	unstartable, was := false, ""
	err := c.changeInstance(id, func(st *state, i *dbInstance) error {
		if i.Status != statusAvailable && i.Status != statusIncompatible {
			return i.unavailable()
		}
		was = i.Status
		unstartable = was == statusIncompatible && maps.Equal(st.groupValues(i), i.Faulty)
		if failover && !i.MultiAZ {
			return wire.Errorf(codeCombination, "Cannot force failover: %s is not a Multi-AZ DB instance.",
				i.Identifier)
		}
		i.Status = statusRebooting
		return nil
	})
	if err != nil {
		return err
	}
	var failed error
	status := statusAvailable
	if !unstartable {
		failed = c.restart(ctx, id, failover)
	}
	if unstartable || failed != nil && was == statusIncompatible {
		status = statusIncompatible // until a parameter of the group is changed
	}
	c.pause(ctx, c.cfg.Latency.Reboot-c.now().Sub(started))
	err = c.changeInstance(id, func(_ *state, i *dbInstance) error {
		i.Status = status
		return nil
	})
	return errors.Join(failed, err)
}
