package validation

// Forms of PostgreSQL and PgBouncer.
var (
	// SQLName is the name of a database or user that needs no quoting but for its case.
	SQLName = form(`[a-zA-Z_][a-zA-Z0-9_]{0,62}`,
		"want 1 to 63 letters, digits and underscores, not beginning with a digit")
	// DatabaseUser is the name of a database user as IAM policies may name it.
	DatabaseUser = form(`[a-zA-Z_][a-zA-Z0-9_$]{0,62}`, "want the name of a database user")
	// LowerSQLName is a [SQLName] in lower case, which never needs quoting. PostgreSQL and RDS keep some of these.
	LowerSQLName = form(`[a-z_][a-z0-9_]{0,62}`,
		"want 1 to 63 lower-case letters, digits and underscores, not beginning with a digit")
	// Parameter is the name of a server parameter in lower case, the names of extensions' parameters included.
	Parameter = form(`[a-z][a-z0-9_.]*`, "want the name of a PostgreSQL parameter in lower case")
	// StartupParameter is the name of a parameter that clients send when they connect.
	StartupParameter = form(`[a-zA-Z_][a-zA-Z0-9_.]*`,
		"want the name of a startup parameter such as extra_float_digits")
	// PoolLogin is the name of a login to PgBouncer.
	PoolLogin = form(`[a-z_][a-z0-9_-]{0,62}`,
		"want 1 to 63 lower-case letters, digits, hyphens and underscores, not beginning with a digit or hyphen")
)
