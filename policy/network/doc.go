// Package network holds the rules for security groups.
package network
