// Package awsmodels checks the answers of the local AWS stand-in against AWS's own descriptions of its services, the
// API models from which AWS generates its SDKs: names, types and values of answers, required and limited parameters,
// and codes of errors. It is a module of its own, because the models are part of a large one.
package awsmodels
