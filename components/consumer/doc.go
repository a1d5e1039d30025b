// Package consumer runs the service that uses the database: a Deployment, a Service and a PodDisruptionBudget. The pods
// read their ConfigMap and their database Secret as environment variables. See the example of [NewConsumer].
//
// Pods of a new version start after the resources that the component depends on, such as the migration of that version.
package consumer
