package externalsecrets_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/externalsecrets"
	"dbtier/components/rdsca"
)

func ExampleNewExternalSecretsOperator() {
	program := func(ctx *pulumi.Context) error {
		_, err := externalsecrets.NewExternalSecretsOperator(ctx, "operator", &externalsecrets.OperatorArgs{
			OperatorSettings: externalsecrets.DefaultOperator(),
		})
		return err
	}
	// A real program calls pulumi.Run(program).
	recorded, err := componenttest.Try(program)
	fmt.Println(len(recorded.All("kubernetes:helm.sh/v4:Chart")), err)
	// Output: 1 <nil>
}

func ExampleNewExternalSecretsStack() {
	program := func(ctx *pulumi.Context) error {
		bundle, err := rdsca.Bundle("ap-northeast-2")
		if err != nil {
			return err
		}
		cache := func(key string) *externalsecrets.Value {
			return &externalsecrets.Value{Secret: pulumi.String("myshop/cache"), Property: key}
		}
		secrets, err := externalsecrets.NewExternalSecretsStack(ctx, "secrets",
			&externalsecrets.ExternalSecretsStackArgs{
				Settings:        externalsecrets.Defaults(),
				Service:         "myshop-api",
				Namespace:       "myshop",
				StoreName:       "myshop-prod",
				ServiceAccount:  "myshop-secrets",
				RoleArn:         pulumi.String("arn:aws:iam::111122223333:role/myshop-secrets"),
				Region:          "ap-northeast-2",
				MasterSecretArn: pulumi.String(componenttest.SecretArn),
				DatabaseHost:    pulumi.String("myshop-prod.abc.ap-northeast-2.rds.amazonaws.com"),
				DatabasePort:    pulumi.Int(5432),
				DatabaseName:    "myshop",
				CABundle:        bundle,
				Secrets: []externalsecrets.Secret{{Name: "myshop-cache", Keys: map[string]externalsecrets.Template{
					"CACHE_URL": externalsecrets.URL{
						Scheme: "rediss", User: cache("user"), Password: cache("password"),
						Host: pulumi.String("cache.internal"),
					},
				}}},
			})
		if err != nil {
			return err
		}
		ctx.Export("direct", secrets.DirectSecret)
		ctx.Export("cache", secrets.SecretNames.MapIndex(pulumi.String("myshop-cache")))
		return nil
	}
	// A real program calls pulumi.Run(program).
	recorded, err := componenttest.Try(program)
	fmt.Println(recorded.Outputs["direct"], recorded.Outputs["cache"], err)
	// Output: myshop-api-db-direct myshop-cache <nil>
}
