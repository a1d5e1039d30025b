// Package iam holds the rules for IAM: who may take a role, and what policies give.
package iam
