// Package componenttest runs a component or a whole program without an engine, and records the resources that it
// registers.
//
//	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
//		_, err := rdspostgres.NewRdsPostgres(ctx, "database", args)
//		return err
//	})
//	instance := recorded.One(t, "aws:rds/instance:Instance")
//	assert.Equal(t, true, instance.Inputs["storageEncrypted"])
//
// Every resource has the outputs that AWS or Kubernetes would give it: ARNs, ids, endpoints, the managed secret. All
// tests of the project use this recorder.
package componenttest
