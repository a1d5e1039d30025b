// Package secrets holds the rules for Secrets Manager and for the External Secrets Operator.
package secrets
