package rdsproxy_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/eso"
	"dbtier/components/rdsproxy"
)

func ExampleNewRdsProxy() {
	recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
		settings := rdsproxy.Defaults()
		settings.Name = rdsproxy.NameFor("shop-prod")
		user := rdsproxy.User{
			Name: "shop_app_a", SecretArn: pulumi.String(
				"arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:shop-prod/proxy/shop_app_a-AbCdEf",
			),
			KmsKeyArn: pulumi.String(componenttest.KeyArn),
		}
		proxy, err := rdsproxy.NewRdsProxy(ctx, "proxy", &rdsproxy.RdsProxyArgs{
			Settings: settings, Service: "shop-api", Namespace: "shop", Region: "ap-northeast-2",
			AccountID: "111122223333",
			VpcID:     pulumi.String("vpc-1"), SubnetIDs: pulumi.ToStringArray([]string{"subnet-1", "subnet-2"}),
			Clients:            []rdsproxy.Client{{Name: "EKS nodes", SecurityGroupID: pulumi.String("sg-1")}},
			DatabaseIdentifier: pulumi.String("shop-prod"), DatabaseName: "shop",
			DatabaseSecurityGroupID: pulumi.String("sg-2"), DatabaseClientGroupID: pulumi.String("sg-3"),
			Users: []rdsproxy.User{user}, Store: eso.StoreRef{Kind: "SecretStore", Name: pulumi.String("shop")},
		})
		if err != nil {
			return err
		}
		ctx.Export("host", proxy.Host)
		ctx.Export("secret", proxy.ConsumerSecretName)
		return nil
	})
	fmt.Println(recorded.Outputs["host"], recorded.Outputs["secret"], err)
	// Output: shop-prod-proxy.proxy-c9akciq32rgx.ap-northeast-2.rds.amazonaws.com shop-api-db <nil>
}

func ExampleNewProxySecrets() {
	recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
		_, err := rdsproxy.NewProxySecrets(ctx, "proxy-secrets", &rdsproxy.ProxySecretsArgs{
			Prefix: "shop-prod", Users: []string{"shop_app_a"}, KmsKeyArn: pulumi.String(componenttest.KeyArn),
		})
		return err
	})
	fmt.Println(recorded.All("aws:secretsmanager/secret:Secret")[0].Inputs["name"], err)
	// Output: shop-prod/proxy/shop_app_a <nil>
}
