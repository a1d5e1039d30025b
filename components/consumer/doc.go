// Package consumer runs the service that uses the database: a Deployment that takes its ConfigMap and its database
// Secret by envFrom, a Service in front of it, and a disruption budget.
//
//	_, err := consumer.NewConsumer(ctx, "service", &consumer.ConsumerArgs{
//		Service: "myshop-api", Namespace: "myshop", Image: "registry.example/myshop-api:1.4.2",
//		ServiceAccount: account.Metadata.Name().Elem(), DatabaseSecret: pulumi.String("myshop-api-db"),
//	}, pulumi.DependsOn(migration.Done))
//
// It starts, and an update of it starts, after whatever the component depends on: the migration of its version.
package consumer
