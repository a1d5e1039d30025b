// Package rdspostgres creates a PostgreSQL instance on Amazon RDS with everything it needs in production: key, network
// access, parameters, logs, monitoring, backups, and a master password that RDS creates, rotates and keeps. The example
// of [NewRdsPostgres] shows an instance.
//
// # The master password
//
// No password enters the program. RDS writes it to a Secrets Manager secret whose name cannot be computed. The secret's
// ARN is the output MasterSecretArn. The secret holds only username and password, so host, port and database name are
// outputs too.
//
// # Names
//
// Every name derives from the identifier, so a preview shows it and two stacks do not collide by accident. The name of
// the parameter group contains the family: a major upgrade creates the new group beside the old one, which the instance
// still uses.
package rdspostgres
