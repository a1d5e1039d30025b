// Package rdspostgres is a PostgreSQL instance on Amazon RDS with everything it needs to be run in production: its key,
// network access, parameters, logs, monitoring, backups, and a master password that RDS makes, rotates and keeps.
//
//	settings := rdspostgres.Production()
//	settings.Identifier, settings.DatabaseName, settings.MasterUsername = "myshop-prod", "myshop", "myshop_admin"
//	database, err := rdspostgres.NewRdsPostgres(ctx, "database", &rdspostgres.RdsPostgresArgs{
//		Settings: settings, Region: "ap-northeast-2", AccountID: "111122223333",
//		VpcID: vpc.ID(), SubnetIDs: vpc.IsolatedSubnetIDs,
//		Clients: []rdspostgres.Client{{Description: "EKS nodes", SecurityGroupID: cluster.NodeSecurityGroupID}},
//	})
//
// # The master password
//
// No password enters the program. RDS writes one to a Secrets Manager secret whose name cannot be computed; its ARN is
// the output MasterSecretArn. The secret holds username and password and nothing else, so host, port and database name
// are outputs, too.
//
// # Names
//
// Every name follows from the identifier, so a preview shows it and two stacks cannot meet by accident. The parameter
// group carries the family in its name: at a major upgrade the new group is made beside the old one, which the instance
// still uses.
package rdspostgres
