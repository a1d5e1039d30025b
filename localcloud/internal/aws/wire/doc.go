// Package wire speaks the two AWS protocols that the stand-in needs: query (form parameters in, XML out: STS, IAM, RDS)
// and AWS JSON 1.1 (Secrets Manager, KMS). It knows shapes, not meanings: errors, request ids, lists in numbered
// parameters.
package wire
