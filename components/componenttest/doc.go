// Package componenttest runs a component, or a whole program, without an engine and records what it asks of AWS and
// Kubernetes.
//
//	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
//		_, err := rdspostgres.NewRdsPostgres(ctx, "database", args)
//		return err
//	})
//	instance := recorded.One(t, "aws:rds/instance:Instance")
//	assert.Equal(t, true, instance.Inputs["storageEncrypted"])
//
// Every resource answers with the outputs that AWS or Kubernetes would give it: ARNs, ids, endpoints, the managed
// secret. There is one recorder for all tests of the project, so that a test reads as a statement about the cloud.
package componenttest
