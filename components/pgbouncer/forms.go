package pgbouncer

import (
	"fmt"
	"strconv"
	"strings"
)

// forms returns the templates of a login in parts, with the keys of the Service Binding specification, and as the
// connection strings of drivers that do not take libpq's URL.
func (a *PgBouncerPoolArgs) forms(host string, m *member) map[string]string {
	user, password, database := m.value(loginUserValue), m.value(loginPasswordValue), m.entry(m.Databases[0])
	// Not every reader of a URL takes + for a space.
	inURL := func(name string) string { return value(name, "urlquery", `replace "+" "%20"`) }
	quoted := func(name string) string { return `"` + value(name, doubled(`"`)) + `"` }
	at := fmt.Sprintf("%s:%s@%s:%d/%s", inURL(user), inURL(password), host, a.Port, database)
	mode := a.sslMode()
	jdbc := fmt.Sprintf("jdbc:postgresql://%s:%d/%s?user=%s&password=%s&sslmode=%s", host, a.Port, database,
		inURL(user), inURL(password), mode)
	asyncpg := fmt.Sprintf("postgresql+asyncpg://%s?ssl=%s", at, mode)
	if a.MaxPreparedStatements == 0 {
		jdbc += "&prepareThreshold=0"
		asyncpg += "&prepared_statement_cache_size=0"
	}
	return map[string]string{
		"type":     "postgresql",
		"host":     host,
		"port":     strconv.Itoa(a.Port),
		"database": database,
		"username": value(user),
		"password": value(password),
		"sslmode":  mode,
		"jdbc-url": jdbc,
		// Without the last word Npgsql would send DISCARD ALL whenever it takes a connection from its own pool.
		"dotnet": fmt.Sprintf("Host=%s;Port=%d;Database=%s;Username=%s;Password=%s;SSL Mode=%s;No Reset On Close=true",
			host, a.Port, database, quoted(user), quoted(password), strings.ToUpper(mode[:1])+mode[1:]),
		"sqlalchemy-url":         fmt.Sprintf("postgresql+psycopg://%s?sslmode=%s", at, mode),
		"sqlalchemy-asyncpg-url": asyncpg,
	}
}
