// Package rdsrules holds the rules by which RDS for PostgreSQL accepts a new or changed instance, as pure functions and
// data: names, windows, engine versions, instance classes and their memory, storage, parameters and their formulas.
// Config, policies and the local cloud judge by them.
//
// Sources: the Amazon RDS User Guide ("Creating a DB instance", "Quotas and constraints", "DB instance classes",
// "Working with parameters", "DB instance storage"), the RDS API reference, and the release calendar of RDS for
// PostgreSQL. Data that changes with time names its date.
package rdsrules
