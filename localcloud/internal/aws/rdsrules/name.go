package rdsrules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// identifierForm accepts upper case, which RDS turns into lower case.
var identifierForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$`)

// CheckIdentifier checks an identifier of a DB instance, snapshot or parameter group: letters, digits and single
// hyphens. It must begin with a letter and must not end with a hyphen.
func CheckIdentifier(s string, longest int) error {
	switch {
	case s == "":
		return errors.New("must not be empty")
	case len(s) > longest:
		return fmt.Errorf("must not be longer than %d characters", longest)
	case !identifierForm.MatchString(s):
		return errors.New("must begin with a letter, contain only ASCII letters, digits and hyphens, " +
			"and must not end with a hyphen or contain two consecutive hyphens")
	}
	return nil
}

// userForm is stricter than PostgreSQL: RDS does not accept an underscore at the beginning.
var userForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`)

// reservedNames are the names of RDS's roles. RDS for PostgreSQL refuses them, and the reserved words below, as master
// user names.
var reservedNames = []string{
	"admin", "rdsadmin", "rdsrepladmin", "rdstopmgr", "rds_superuser", "rds_iam",
	"rds_password", "rds_replication", "rds_ad",
}

// reservedWords are the key words that PostgreSQL 16 reserves (appendix C of its manual).
var reservedWords = strings.Fields(`
	all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
	column concurrently constraint create cross current_catalog current_date current_role current_schema
	current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
	foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
	leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps
	placing primary references returning right select session_user similar some symmetric system_user table
	tablesample then to trailing true union unique user using variadic verbose when where window with
`)

// CheckMasterUsername checks a master user name by RDS's rule for PostgreSQL.
func CheckMasterUsername(s string) error {
	lower := strings.ToLower(s)
	switch {
	case !userForm.MatchString(s):
		return errors.New("must be 1 to 63 letters, digits or underscores and begin with a letter")
	case slices.Contains(reservedNames, lower) || slices.Contains(reservedWords, lower) ||
		strings.HasPrefix(lower, "pg_") ||
		strings.HasPrefix(lower, "rds_"):
		return errors.New("cannot be used as it is a reserved word used by the engine")
	}
	return nil
}

// CheckDatabaseName checks the name of the first database by RDS's rule for PostgreSQL.
func CheckDatabaseName(s string) error {
	lower := strings.ToLower(s)
	switch {
	case !userForm.MatchString(s):
		return errors.New("must be 1 to 63 letters, digits or underscores and begin with a letter")
	case lower == "rdsadmin" || lower == "template0" || lower == "template1" || slices.Contains(reservedWords, lower):
		return errors.New("cannot be used in this engine: it is a reserved word")
	}
	return nil
}
