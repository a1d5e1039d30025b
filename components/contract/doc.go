// Package contract holds the names that several components rely on: the variables a service reads, the keys of Secrets,
// the paths of mounted files, the labels of objects and the names of a service's Secrets. It imports no Pulumi package.
package contract
