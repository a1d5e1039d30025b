// Package config is the typed config of a stack: Pulumi.<stack>.yaml as Go values, with defaults, complete or not at
// all.
//
//	config:
//	  dbtier:cloud: aws
//	  dbtier:environment: prod
//	  dbtier:profile: production
//	  dbtier:service: {name: myshop, namespace: myshop}
//	  dbtier:database: {instanceClass: db.r6g.large}
//
// Each section starts from the defaults of the stack's profile, and the file says what differs. A key that no section
// knows is a fault, as are a value of the wrong type and a value that AWS, Kubernetes or PgBouncer would refuse; all
// faults are reported together, with file and key. The sections' types belong to the components, which also say what is
// right for them; what holds between sections is checked here.
//
// The names of the stack's outputs are constants of this package: the driver reads by them what the program wrote.
package config

//go:generate go run ./internal/schemagen
