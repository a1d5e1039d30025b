// Package guard knows which resources of a tier cannot be recreated without loss: the database, the keys and secrets
// that it needs, the custom resource definitions whose deletion deletes every object of their kind, and the pool in
// use. It finds those that a run would delete or replace, what protects resources from being destroyed, and what people
// have added to objects of Kubernetes beside a stack.
package guard
