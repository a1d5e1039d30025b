// Package kms holds the rules for KMS keys.
package kms
