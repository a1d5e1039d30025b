// Package rds holds the rules for RDS instances, their parameter groups, snapshots, proxies and log groups.
package rds
