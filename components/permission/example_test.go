package permission_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/permission"
)

func ExamplePolicy() {
	recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
		place := permission.Place{Partition: "aws", Region: "ap-northeast-2", AccountID: "111122223333"}
		ctx.Export("policy", permission.Policy(place, permission.ConnectAsDatabaseUser{
			ResourceID: pulumi.String("db-ABCDEFGHIJKLMNOPQRSTUVWXY0"), Users: []string{"shop_iam"},
		}))
		return nil
	})
	fmt.Println(recorded.Outputs["policy"], err)
	// Output:
	// {"Version":"2012-10-17","Statement":[{"Sid":"ConnectAsDatabaseUser","Effect":"Allow","Action":["rds-db:connect"],"Resource":["arn:aws:rds-db:ap-northeast-2:111122223333:dbuser:db-ABCDEFGHIJKLMNOPQRSTUVWXY0/shop_iam"]}]} <nil>
}
