package pgbouncer_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/pgbouncer"
	"dbtier/components/rdsca"
)

func ExampleNewPgBouncerPool() {
	program := func(ctx *pulumi.Context) error {
		bundle, err := rdsca.Bundle("ap-northeast-2")
		if err != nil {
			return err
		}
		settings := pgbouncer.Defaults()
		settings.Image = "registry.example/pgbouncer:1.24.1-1_deb13u2"
		pool, err := pgbouncer.NewPgBouncerPool(ctx, "pool", &pgbouncer.PgBouncerPoolArgs{
			Settings:  settings,
			Service:   "myshop-api",
			Namespace: "myshop",
			Databases: []pgbouncer.Database{{
				Name: "myshop",
				Host: pulumi.String("myshop-prod.abc.ap-northeast-2.rds.amazonaws.com"),
				Port: pulumi.Int(5432),
			}},
			// Secrets of the namespace with the keys username and password.
			Credential: pgbouncer.Credential{Key: pulumi.String("pgbouncer-database-1")},
			Logins: []pgbouncer.Login{{
				Name: "reports", PoolSize: 5,
				Credential: pgbouncer.Credential{Key: pulumi.String("reports-database")},
			}},
			CABundle: bundle,
		})
		if err != nil {
			return err
		}
		ctx.Export("host", pool.Host)
		ctx.Export("secrets", pool.ConsumerSecretNames)
		return nil
	}
	// A real program calls pulumi.Run(program).
	recorded, err := componenttest.Try(program)
	fmt.Println(recorded.Outputs["host"], recorded.Outputs["secrets"], err)
	// Output: pgbouncer.myshop.svc map[myshop_api:myshop-api-db reports:reports-db] <nil>
}
