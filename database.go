package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/rdspostgres"
)

// addDatabase creates the RDS instance.
func (t *tier) addDatabase() error {
	clients := []rdspostgres.Client{{
		Name: nodes, SecurityGroupID: pulumi.String(t.stack.Cluster.NodeSecurityGroupID),
	}}
	for _, client := range t.stack.Network.Clients {
		clients = append(clients, rdspostgres.Client{
			Name: client.Name, SecurityGroupID: pulumi.String(client.SecurityGroupID),
		})
	}
	if warning := t.stack.UnheardAlarms(); warning != "" {
		if err := t.ctx.Log.Warn(warning, nil); err != nil {
			return err
		}
	}
	limit, _ := t.stack.Budget.Limit()
	args := &rdspostgres.RdsPostgresArgs{
		Settings: t.stack.Database,
		// If more connections are open than the tier plans with, an unknown client holds them.
		ConnectionLimit:        limit,
		Region:                 t.stack.AWS.Region,
		AccountID:              t.stack.AWS.AccountID,
		Partition:              t.stack.AWS.Partition,
		PermissionsBoundaryArn: t.stack.AWS.PermissionsBoundaryArn,
		VpcID:                  pulumi.String(t.stack.Network.VpcID),
		Clients:                clients,
		Tags:                   t.stack.Tags(),
	}
	if args.SubnetGroupName == "" {
		args.SubnetIDs = pulumi.ToStringArray(t.stack.Network.SubnetIDs)
	}
	args.ClientSecurityGroup = args.ClientSecurityGroup || t.pool.inDatabaseSubnets()
	var err error
	t.database, err = rdspostgres.NewRdsPostgres(t.ctx, "database", args, t.providers)
	return err
}

// nodes is the name of the cluster's nodes in security group rules.
const nodes = "EKS nodes"
