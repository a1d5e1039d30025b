// Package config is the typed config of a stack: the values of Pulumi.<stack>.yaml as Go values, with defaults.
//
//	config:
//	  dbtier:cloud: aws
//	  dbtier:environment: prod
//	  dbtier:profile: production
//	  dbtier:service: {name: myshop, namespace: myshop}
//	  dbtier:database: {instanceClass: db.r6g.large}
//
// Each section starts from the defaults of the stack's profile; the file gives what differs. An unknown key, a value of
// the wrong type and a value that AWS, Kubernetes or PgBouncer would refuse are faults. All faults are reported
// together, each with its file and key. The types of most sections belong to the components, which validate them; this
// package validates what holds between sections.
//
// [Parse] is pure and serves the program and the driver. [Load] is its adapter for a Pulumi program, and [ReadFile]
// reads a stack's file without an engine.
//
// The names of the stack's outputs are constants of this package, because the driver reads what the program exports.
package config

//go:generate go run ./internal/schemagen
