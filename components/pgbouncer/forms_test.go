package pgbouncer_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/pgbouncer"
)

// Each form has the characters of user and password that have a meaning in it, and gives them back.
func TestTheLoginInTheFormsOfOtherDrivers(t *testing.T) {
	t.Parallel()
	const user, password = `a"b`, `p w:%#?*[&+@/=;'"$~`
	values := secrets()
	values["loginUser"], values["loginPassword"] = user, password
	got := map[string]string{}
	for key, text := range templates(t, componenttest.Run(t, create(arguments())), "pool-consumer-login") {
		got[key] = render(t, text, values)
	}
	for key, want := range map[string]string{
		"type": "postgresql", "host": "pgbouncer.myshop.svc", "port": "5432", "database": "myshop",
		"username": user, "password": password, "sslmode": "disable",
		"dotnet": `Host=pgbouncer.myshop.svc;Port=5432;Database=myshop;Username="a""b";Password="p w:%#?*[&+@/=;'""$~";` +
			`SSL Mode=Disable;No Reset On Close=true`,
	} {
		assert.Equal(t, want, got[key], key)
	}
	for key, scheme := range map[string]string{
		"sqlalchemy-url": "postgresql+psycopg", "sqlalchemy-asyncpg-url": "postgresql+asyncpg",
	} {
		parsed, err := url.Parse(got[key])
		require.NoError(t, err, key)
		assert.Equal(t, scheme, parsed.Scheme)
		decoded, _ := parsed.User.Password()
		assert.Equal(t, user+" "+password, parsed.User.Username()+" "+decoded, key)
		assert.Equal(t, "/myshop", parsed.Path)
		login, _, _ := strings.Cut(strings.TrimPrefix(got[key], scheme+"://"), "@")
		assert.NotContains(t, login, "+", "SQLAlchemy does not read + as a space")
	}
	assert.True(t, strings.HasSuffix(got["sqlalchemy-asyncpg-url"], "/myshop?ssl=disable"), "asyncpg knows no sslmode")
	jdbc, err := url.Parse(strings.TrimPrefix(got["jdbc-url"], "jdbc:"))
	require.NoError(t, err)
	assert.Equal(t, url.Values{"user": {user}, "password": {password}, "sslmode": {"disable"}}, jdbc.Query())
	assert.Len(t, got, 11, slices.Collect(maps.Keys(got)))
}

func TestFormsFollowTheSettingsOfThePool(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.MaxPreparedStatements, args.ClientTLSSecret = 0, "pool-tls"
	args.TrackExtraParameters = []string{"search_path"}
	args.Logins = []pgbouncer.Login{reports()}
	recorded := componenttest.Run(t, create(args))
	forms := templates(t, recorded, "pool-consumer-login-reports")
	assert.Equal(t, "myshop_reports", forms["database"])
	assert.Contains(t, forms["jdbc-url"], "&sslmode=require&prepareThreshold=0")
	assert.Contains(t, forms["sqlalchemy-asyncpg-url"], "?ssl=require&prepared_statement_cache_size=0")
	assert.Contains(t, forms["dotnet"], ";SSL Mode=Require;")
	assert.Equal(t, "reports-db-login", recorded.Named(t, externalSecret, "pool-consumer-login-reports").At("metadata", "name"))
	assert.Equal(t, "IntervalStyle, search_path",
		parseINI(t, templates(t, recorded, "pool-config")["pgbouncer.ini"])["pgbouncer"]["track_extra_parameters"])
}
