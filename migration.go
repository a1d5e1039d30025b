package main

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/migrationjob"
)

// addMigration runs the migration of this version, if migrations are enabled.
func (t *tier) addMigration() error {
	if !t.stack.Migration.Enabled {
		return nil
	}
	args := &migrationjob.MigrationJobArgs{
		Settings:       t.stack.Migration.Settings,
		Service:        t.stack.Consumer.Name,
		Namespace:      t.stack.Service.Namespace,
		Image:          t.stack.Consumer.Image,
		ServiceAccount: t.namespace.ServiceAccount,
		DirectSecret:   t.secrets.DirectSecret,
		CAConfigMap:    t.secrets.CAConfigMap,
		DatabasePort:   t.stack.Database.Port,
		DatabaseLife:   t.database.ResourceID,
		Scheduling:     t.stack.Scheduling.OfJobs(),
		UID:            t.stack.Consumer.UID,
		Pool:           t.pool.console(),
	}
	after := slices.Clone(t.prepared)
	if t.applicationRole != nil {
		after = append(after, t.applicationRole.Done...)
	}
	var err error
	t.migration, err = migrationjob.NewMigrationJob(t.ctx, "migration", args, t.providers, pulumi.DependsOn(after))
	return err
}
