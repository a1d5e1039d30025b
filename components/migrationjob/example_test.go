package migrationjob_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/contract"
	"dbtier/components/migrationjob"
)

func ExampleNewMigrationJob() {
	program := func(ctx *pulumi.Context) error {
		settings := migrationjob.Defaults()
		settings.Command = []string{"alembic", "upgrade", "head"}
		migration, err := migrationjob.NewMigrationJob(ctx, "migration", &migrationjob.MigrationJobArgs{
			Settings: settings, Service: "myshop-api", Namespace: "myshop",
			Image: "registry.example/myshop-api:1.4.2", ServiceAccount: pulumi.String("myshop-api"),
			DirectSecret: pulumi.String(contract.DirectSecret("myshop-api")),
		})
		if err != nil {
			return err
		}
		// The service takes pulumi.DependsOn(migration.Done).
		ctx.Export("job", migration.JobName)
		return nil
	}
	// A real program calls pulumi.Run(program).
	recorded, err := componenttest.Try(program)
	fmt.Println(recorded.Outputs["job"], err)
	// Output: myshop-api-migration-978c8de8 <nil>
}
