// Package wire reads and writes the two AWS protocols of the stand-in: query (form parameters in, XML out) for STS, IAM
// and RDS, and AWS JSON 1.1 for Secrets Manager and KMS. It handles errors, request ids and lists in numbered
// parameters, and knows nothing of the services themselves.
package wire
