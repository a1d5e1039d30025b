// Package rdsrules holds what RDS for PostgreSQL decides before it makes or changes an instance, as pure functions and
// data: windows, engine versions, instance classes with their memory, parameters and formulas, names. Nothing here has
// state.
//
// Sources: the RDS user guide ("Creating a DB instance", "Quotas and constraints", "DB instance classes", "Working with
// parameters"), the RDS API reference, and the release calendar of RDS for PostgreSQL.
package rdsrules
