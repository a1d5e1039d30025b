package rdsrules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// identifierForm accepts upper case, which RDS turns into lower case.
var identifierForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$`)
})

// CheckIdentifier checks an identifier of a DB instance, snapshot or parameter group: letters, digits and single
// hyphens. It must begin with a letter and must not end with a hyphen.
func CheckIdentifier(s string, longest int) error {
	switch {
	case s == "":
		return errors.New("must not be empty")
	case len(s) > longest:
		return fmt.Errorf("must not be longer than %d characters", longest)
	case !identifierForm().MatchString(s):
		return errors.New("must begin with a letter, contain only ASCII letters, digits and hyphens, " +
			"and must not end with a hyphen or contain two consecutive hyphens")
	}
	return nil
}

// nameForm is stricter than PostgreSQL: RDS does not accept an underscore at the beginning.
var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,62}$`) })

const nameRule = "want 1 to 63 letters, digits and underscores, beginning with a letter"

// reservedUsers are names that RDS for PostgreSQL refuses for master users besides the reserved words below ("Settings
// for DB instances"), and that PostgreSQL itself reserves.
var reservedUsers = []string{"admin", "none", "public", "rdsadmin", "rdsrepladmin", "rdstopmgr"}

// reservedDatabases are databases that every instance has and that nobody may use.
var reservedDatabases = []string{"rdsadmin", "template0", "template1"}

// reservedWords are the key words that PostgreSQL 13 to 18 reserve (pg_get_keywords, categories R and T).
var reservedWords = strings.Fields(`
	all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
	column concurrently constraint create cross current_catalog current_date current_role current_schema
	current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for
	foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral
	leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps
	placing primary references returning right select session_user similar some symmetric system_user table
	tablesample then to trailing true union unique user using variadic verbose when where window with
`)

// IsReservedWord reports whether PostgreSQL reserves a word, whatever its case.
func IsReservedWord(word string) bool { return slices.Contains(reservedWords, strings.ToLower(word)) }

// CheckMasterUsername checks a master user name by RDS's rule for PostgreSQL.
func CheckMasterUsername(s string) error {
	lower := strings.ToLower(s)
	switch {
	case !nameForm().MatchString(s):
		return errors.New(nameRule)
	case slices.Contains(reservedUsers, lower), strings.HasPrefix(lower, "pg_"), strings.HasPrefix(lower, "rds_"):
		return errors.New("is reserved by RDS or PostgreSQL; use another name, for example <database>_admin")
	case IsReservedWord(lower):
		return errors.New("is a reserved word of PostgreSQL, which RDS refuses; use another name")
	}
	return nil
}

// CheckDatabaseName checks the name of the first database by RDS's rule for PostgreSQL.
func CheckDatabaseName(s string) error {
	lower := strings.ToLower(s)
	switch {
	case !nameForm().MatchString(s):
		return errors.New(nameRule)
	case slices.Contains(reservedDatabases, lower):
		return errors.New("is a database that every instance has; use another name")
	case IsReservedWord(lower):
		return errors.New("is a reserved word of PostgreSQL, which RDS refuses; use another name, for example " +
			lower + "_db")
	}
	return nil
}
