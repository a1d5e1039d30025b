package rdspostgres_test

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/componenttest"
	"dbtier/components/rdspostgres"
)

func ExampleNewRdsPostgres() {
	recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
		settings := rdspostgres.Production()
		settings.Identifier, settings.DatabaseName, settings.MasterUsername = "myshop-prod", "myshop", "myshop_admin"
		settings.Rotation.ScheduleExpression = "cron(0 3 ? * SUN *)"
		settings.Alarms.TopicArns = []string{"arn:aws:sns:ap-northeast-2:111122223333:oncall"}
		database, err := rdspostgres.NewRdsPostgres(ctx, "database", &rdspostgres.RdsPostgresArgs{
			Settings:  settings,
			Region:    "ap-northeast-2",
			AccountID: "111122223333",
			VpcID:     pulumi.String("vpc-0b1c2d3e4f5a6b7c8"),
			SubnetIDs: pulumi.ToStringArray([]string{"subnet-0b1c2d3e4f5a6b7c1", "subnet-0b1c2d3e4f5a6b7c2"}),
			Clients: []rdspostgres.Client{{
				Name:            "EKS nodes",
				SecurityGroupID: pulumi.String("sg-0b1c2d3e4f5a6b7c9"),
			}},
			// From the connection budget: how many connections may be open, without RDS's reserved ones.
			ConnectionLimit: 800,
			Tags:            map[string]string{"service": "myshop"},
		})
		if err != nil {
			return err
		}
		ctx.Export("secret", database.MasterSecretArn)
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(recorded.Outputs["secret"])
	for _, alarm := range recorded.All("aws:cloudwatch/metricAlarm:MetricAlarm") {
		fmt.Println(alarm.Inputs["name"])
	}
	// Unordered output:
	// arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:rds!db-033d7456-2c96-450d-9d48-f5de3025e51c-xmJRDx
	// myshop-prod-cpu
	// myshop-prod-free-storage
	// myshop-prod-freeable-memory
	// myshop-prod-transaction-ids
	// myshop-prod-replication-slots
	// myshop-prod-connections
}
