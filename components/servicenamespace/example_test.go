package servicenamespace_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/servicenamespace"
)

func ExampleNewServiceNamespace() {
	program := func(ctx *pulumi.Context) error {
		namespace, err := servicenamespace.NewServiceNamespace(ctx, "namespace", &servicenamespace.ServiceNamespaceArgs{
			Name: "myshop", PartOf: "myshop", ServiceAccount: "myshop-api",
			DatabaseCIDRs: []string{"10.0.192.0/20"}, DatabasePort: 5432,
			Holders: []string{"pgbouncer", "myshop-api-migration"},
		})
		if err != nil {
			return err
		}
		ctx.Export("account", namespace.ServiceAccount)
		return nil
	}
	// A real program calls pulumi.Run(program).
	recorded, err := componenttest.Try(program)
	fmt.Println(recorded.Outputs["account"], err)
	// Output: myshop-api <nil>
}
