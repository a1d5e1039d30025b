package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/databaserole"
	"dbtier/config"
)

// addApplicationRole creates the database role of the application, unless the pool logs in as the master user.
func (t *tier) addApplicationRole() error {
	if t.stack.Role.PoolUser == config.MasterUser {
		return nil
	}
	var err error
	t.applicationRole, err = databaserole.NewDatabaseRole(t.ctx, "role", &databaserole.DatabaseRoleArgs{
		Settings:     t.stack.Role.Settings,
		Service:      t.stack.Consumer.Name,
		Namespace:    t.stack.Service.Namespace,
		ObjectName:   t.stack.RoleObjects(),
		DirectSecret: t.secrets.DirectSecret,
		CAConfigMap:  t.secrets.CAConfigMap,
		DatabasePort: t.stack.Database.Port,
		Proxy:        t.stack.Pool.Kind == config.RDSProxy,
		Drills:       t.stack.Drills.Enabled,
		DatabaseLife: t.database.ResourceID,
		Scheduling:   t.stack.Scheduling.OfJobs(),
		UID:          t.stack.Pool.UID,
	}, t.providers, pulumi.DependsOn(t.prepared))
	return err
}
