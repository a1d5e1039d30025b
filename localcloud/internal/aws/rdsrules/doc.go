// Package rdsrules holds the rules by which RDS for PostgreSQL accepts a new or changed instance, as pure functions and
// data: windows, engine versions, instance classes and their memory, parameters, formulas and names.
//
// Sources: the RDS user guide ("Creating a DB instance", "Quotas and constraints", "DB instance classes", "Working with
// parameters"), the RDS API reference, and the release calendar of RDS for PostgreSQL.
package rdsrules
