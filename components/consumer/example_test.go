package consumer_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/consumer"
	"dbtier/components/contract"
)

func ExampleNewConsumer() {
	program := func(ctx *pulumi.Context) error {
		settings := consumer.Defaults()
		settings.Name, settings.Image = "myshop-api", "registry.example/myshop-api:1.4.2"
		service, err := consumer.NewConsumer(ctx, "consumer", &consumer.ConsumerArgs{
			Settings: settings, Namespace: "myshop", ServiceAccount: pulumi.String("myshop-api"),
			DatabaseSecret: pulumi.String(contract.DatabaseSecret("myshop-api")),
		})
		if err != nil {
			return err
		}
		ctx.Export("deployment", service.DeploymentName)
		return nil
	}
	// A real program calls pulumi.Run(program).
	recorded, err := componenttest.Try(program)
	fmt.Println(recorded.Outputs["deployment"], err)
	// Output: myshop-api <nil>
}
