package irsarole_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/irsarole"
	"dbtier/components/permission"
)

func ExampleNewIrsaRole() {
	recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
		role, err := irsarole.NewIrsaRole(ctx, "login", &irsarole.IrsaRoleArgs{
			Name:            "myshop-prod-database",
			OIDCProviderArn: "arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B",
			Region:          "ap-northeast-2",
			ServiceAccounts: []irsarole.ServiceAccount{{Namespace: "myshop", Name: "myshop-api"}},
			Permissions: []permission.Permission{permission.ConnectAsDatabaseUser{
				ResourceID: pulumi.String("db-ABCDEFGHIJKLMNOPQRSTUVWXY0"), Users: []string{"myshop_iam"},
			}},
		})
		if err != nil {
			return err
		}
		ctx.Export("role", role.Arn)
		return nil
	})
	fmt.Println(recorded.Outputs["role"], err)
	// Output: arn:aws:iam::111122223333:role/myshop-prod-database <nil>
}
