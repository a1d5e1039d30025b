package databaserole_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/contract"
	"dbtier/components/databaserole"
)

func ExampleNewDatabaseRole() {
	program := func(ctx *pulumi.Context) error {
		settings := databaserole.Defaults()
		settings.Name, settings.Image = "myshop_app", "registry.example/pgbouncer:1.24.1-1_deb13u2"
		role, err := databaserole.NewDatabaseRole(ctx, "role", &databaserole.DatabaseRoleArgs{
			Settings: settings, Service: "myshop-api", Namespace: "myshop", ObjectName: "pgbouncer",
			DirectSecret: pulumi.String(contract.DirectSecret("myshop-api")),
			CAConfigMap:  pulumi.String("myshop-api-rds-ca"),
		})
		if err != nil {
			return err
		}
		// The pool takes role.CredentialSecret, and the migration pulumi.DependsOn(role.Done).
		ctx.Export("user", role.User)
		ctx.Export("credential", role.CredentialSecret)
		return nil
	}
	// A real program calls pulumi.Run(program).
	recorded, err := componenttest.Try(program)
	fmt.Println(recorded.Outputs["user"], recorded.Outputs["credential"], err)
	// Output: myshop_app_a pgbouncer-database-1 <nil>
}
