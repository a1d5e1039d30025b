// Package iamdoc reads IAM policy documents as AWS takes them: single values where lists may stand, one statement where
// many may, patterns with * and ?.
package iamdoc
