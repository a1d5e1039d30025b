package main

import (
	"fmt"

	"dbtier/components/irsarole"
	"dbtier/components/permission"
)

// addTokenRole creates the role with which the service's pods log in to the database by IAM tokens, if iam is enabled.
func (t *tier) addTokenRole() error {
	if !t.stack.IAM.Enabled {
		return nil
	}
	args := &irsarole.IrsaRoleArgs{
		Name: t.stack.RoleName("database"),
		Description: fmt.Sprintf("Logs in to the database of %s in %s, as its pods", t.stack.Service.Name,
			t.stack.Environment),
		Binding:    t.stack.IAM.Binding,
		ClusterArn: t.stack.ClusterArn(),
		Region:     t.stack.AWS.Region,
		ServiceAccounts: []irsarole.ServiceAccount{{
			Namespace: t.stack.Service.Namespace, Name: t.stack.Consumer.Name,
		}},
		PolicyName:             "connect",
		PermissionsBoundaryArn: t.stack.AWS.PermissionsBoundaryArn,
		Tags:                   t.stack.Tags(),
		Permissions: []permission.Permission{permission.ConnectAsDatabaseUser{
			ResourceID: t.pool.tokenLogin().resourceID, Users: t.stack.IAMUsers(),
		}},
	}
	if t.stack.IAM.Binding == irsarole.WebIdentity {
		args.OIDCProviderArn = t.stack.Cluster.OIDCProviderArn
	}
	var err error
	t.tokenRole, err = irsarole.NewIrsaRole(t.ctx, "database-login", args, t.providers)
	return err
}
