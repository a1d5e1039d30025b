package aws

import (
	"context"
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
	return c.run(ctx, "delete DB instance "+i.Identifier, func(ctx context.Context) error {
		defer c.locks.lock("db " + id)()
		err := c.store.Update(func(st *state) error {
			i := st.Instances[id]
			if i == nil || i.Deleting != nil {
				return nil
			}
			switch {
			case i.DeletionProtection:
				return wire.Errorf(codeCombination,
					"Cannot delete protected DB Instance, please disable deletion protection and try again.")
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
			i.Status, i.Deleting = statusDeleting, &deletion{
				SkipFinalSnapshot: skip, FinalSnapshot: strings.ToLower(final),
			}
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
	if err := c.cfg.RDS.Delete(ctx, i.Identifier); err != nil {
		return engineError("delete", i.Identifier, err)
	}
	c.pause(ctx, c.cfg.Latency.Delete-c.now().Sub(started))
	return c.store.Update(func(st *state) error {
		i := st.Instances[id]
		if !i.Deleting.SkipFinalSnapshot {
			snapshot := &dbSnapshot{
				Region:           i.Region,
				Identifier:       i.Deleting.FinalSnapshot,
				Instance:         i.Identifier,
				ResourceID:       i.ResourceID,
				Type:             "manual",
				Created:          c.now(),
				InstanceCreated:  i.Created,
				AllocatedStorage: i.AllocatedStorage,
				Port:             i.Port,
				EngineVersion:    i.EngineVersionActual,
				MasterUsername:   i.MasterUsername,
				StorageType:      i.StorageType,
				AZ:               i.AZ,
				KMSKeyARN:        i.KMSKeyARN,
				Encrypted:        i.Encrypted,
				IAMAuth:          i.IAMAuth,
			}
			if i.CopyTags {
				snapshot.Tags = i.Tags
			}
			st.Snapshots[regional(i.Region, snapshot.Identifier)] = snapshot
		}
		delete(st.Secrets, i.SecretARN)
		delete(st.Instances, id)
		return nil
	})
}
