// Package validation knows the forms of names that AWS, Kubernetes and PostgreSQL accept. Each form stands here once,
// with the words in which an error asks for it, so that the program, its policies and the local cloud agree. Package
// credential below it tells which values nobody may see.
//
// The package is pure and a module without dependencies, because the local cloud and the policy pack import it too.
package validation
