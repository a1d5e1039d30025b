package aws

import (
	"context"
	"errors"
	"maps"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation/rdsrules"
)

func removeInstance(ctx context.Context, c *Cloud, r resourceRequest) error {
	id, i := c.store.Read().instanceID(r.Region, r.ID)
	if i == nil {
		return nil
	}
	inputs := maps.Clone(inputsOf(i.Origin))
	for _, name := range []string{"skipFinalSnapshot", "finalSnapshotIdentifier"} {
		if v, ok := r.Olds[name]; ok {
			inputs[name] = v
		}
	}
	skip, _ := inputs["skipFinalSnapshot"].(bool)
	final, _ := inputs["finalSnapshotIdentifier"].(string)
	backups, asked := r.Olds["deleteAutomatedBackups"].(bool)
	return c.run(ctx, "delete DB instance "+i.Identifier, func(ctx context.Context) error {
		defer c.locks.lock("db " + id)()
		err := c.store.Update(func(st *state) error {
			i := st.Instances[id]
			if i == nil || i.Deleting != nil {
				return nil
			}
			if !asked {
				backups = i.DeleteAutomatedBackups
			}
			switch {
			case backups && st.restoredFrom(i.ResourceID):
				return wire.Errorf("InvalidDBInstanceState", "The automated backup of %s is being restored.",
					i.Identifier)
			case i.DeletionProtection:
				return wire.Errorf(codeCombination,
					"Cannot delete protected DB Instance, please disable deletion protection and try again.")
			case !skip && i.broken():
				return wire.Errorf("InvalidDBInstanceState",
					"Cannot create a snapshot because the DB instance %s is in the %s state.", i.Identifier, i.Status)
			case !skip && final == "":
				return wire.Errorf(codeCombination,
					"FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
			case !skip && st.Snapshots[regional(i.Region, strings.ToLower(final))] != nil:
				return wire.Errorf("DBSnapshotAlreadyExists",
					"Cannot create the snapshot because a snapshot with the identifier %s already exists.", final)
			case !skip && rdsrules.CheckIdentifier(final, 255) != nil:
				return wire.Errorf(codeInvalidValue, "finalSnapshotIdentifier: %q: %v", clip(final),
					rdsrules.CheckIdentifier(final, 255))
			}
			i.Deleting = &deletion{
				SkipFinalSnapshot: skip, FinalSnapshot: strings.ToLower(final), Broken: i.broken(),
			}
			i.Status, i.DeleteAutomatedBackups = statusDeleting, backups
			return nil
		})
		if err != nil {
			return err
		}
		return c.finishDelete(ctx, id)
	})
}

// finishDelete takes the final snapshot, deletes the database, and removes the instance and its secret from the state.
func (c *Cloud) finishDelete(ctx context.Context, id string) error {
	i := c.store.Read().Instances[id]
	if i == nil || i.Deleting == nil {
		return nil
	}
	started := c.now()
	if !i.Deleting.SkipFinalSnapshot {
		if err := c.finalSnapshot(ctx, id, i); err != nil {
			return err
		}
	}
	if i.BackupRetention > 0 && !i.DeleteAutomatedBackups {
		c.note("archive the last of "+i.Identifier, c.archiveLast(ctx, id))
	}
	if err := c.cfg.RDS.Delete(ctx, i.Identifier); err != nil {
		return engineError("delete", i.Identifier, err)
	}
	c.pause(ctx, c.cfg.Latency.Delete-c.now().Sub(started))
	retained, data := false, []string(nil)
	err := c.store.Update(func(st *state) error {
		delete(st.Secrets, i.SecretARN)
		delete(st.Instances, id)
		st.instanceEvent(c.now(), i, eventDeleted)
		if b := st.Backups[i.ResourceID]; b != nil && !i.DeleteAutomatedBackups {
			b.retain(i, c.now())
			retained = true
		} else {
			data = st.forgetBackup(i.ResourceID)
		}
		return nil
	})
	if err != nil || retained {
		return err
	}
	return c.deleteBackupData(i.Region, i.ResourceID, data)
}

// archiveLast archives what was committed before the deletion. After a kill during the deletion, the database does not
// run yet.
func (c *Cloud) archiveLast(ctx context.Context, id string) error {
	i := c.store.Read().Instances[id]
	if i.Deleting.Broken {
		return nil
	}
	if err := c.cfg.RDS.Start(ctx, i.Identifier); err != nil {
		return engineError("start", i.Identifier, err)
	}
	return c.uploadLog(ctx, id)
}

// finalSnapshot takes the snapshot of an instance that is being deleted. Without it the instance stays, and can be
// used.
func (c *Cloud) finalSnapshot(ctx context.Context, id string, i *dbInstance) error {
	key := regional(i.Region, i.Deleting.FinalSnapshot)
	err := c.store.Update(func(st *state) error {
		if st.Snapshots[key] != nil { // by the run that was killed
			return nil
		}
		return st.addSnapshot(i.newSnapshot(i.Deleting.FinalSnapshot, c.now()))
	})
	if err == nil {
		err = c.finishSnapshot(ctx, key)
	}
	if err == nil {
		return nil
	}
	return errors.Join(err, c.changeInstance(id, func(_ *state, i *dbInstance) error {
		i.Status, i.Deleting = statusAvailable, nil
		return nil
	}))
}
