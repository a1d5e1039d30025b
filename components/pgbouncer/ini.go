package pgbouncer

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// consoleUser may use the console without a password when it comes over the socket with PgBouncer's own user id. It is also the
// name of the console's database.
const consoleUser = "pgbouncer"

// The names under which the operator knows the secret values while it fills the templates.
const (
	loginUserValue        = "loginUser"
	loginPasswordValue    = "loginPassword"
	databaseUserValue     = "databaseUser"
	databasePasswordValue = "databasePassword"
)

// value is an action that the operator's template engine (Go's text/template with sprig) replaces by a secret value.
func value(name string, pipeline ...string) string {
	return "{{ " + strings.Join(append([]string{"." + name}, pipeline...), " | ") + " }}"
}

// doubled is the pipeline step that doubles a quote: the way to write it inside quotes, in PgBouncer's files as in SQL.
func doubled(quote string) string {
	return fmt.Sprintf("replace %s %s", strconv.Quote(quote), strconv.Quote(quote+quote))
}

// endpoint is a database whose address is known.
type endpoint struct {
	name, host, dbName string
	port               int
}

// setting is a line of a section.
type setting struct{ key, value string }

// section is a part of an ini file.
type section struct {
	name     string
	settings []setting
}

// iniFile is a configuration file in PgBouncer's form.
type iniFile []section

// String is the file's text.
func (f iniFile) String() string {
	var text strings.Builder
	for i, s := range f {
		if i > 0 {
			text.WriteByte('\n')
		}
		fmt.Fprintf(&text, "[%s]\n", s.name)
		for _, line := range s.settings {
			fmt.Fprintf(&text, "%s = %s\n", line.key, line.value)
		}
	}
	return text.String()
}

// connection is the value of a database's line: a connection string, whose values are quoted by libpq's rules.
func (e endpoint) connection() string {
	pairs := []setting{
		{"host", e.host},
		{"port", strconv.Itoa(e.port)},
		{"dbname", e.dbName},
		// Every client is this user on the server, whatever it is called in the pool, so there is one pool a database.
		{"user", value(databaseUserValue, doubled("'"))},
	}
	words := make([]string, len(pairs))
	for i, p := range pairs {
		words[i] = p.key + "='" + p.value + "'"
	}
	return strings.Join(words, " ")
}

// config is the template of pgbouncer.ini.
func (a *PgBouncerPoolArgs) config(endpoints []endpoint) string {
	databases := section{name: "databases"}
	for _, e := range endpoints {
		databases.settings = append(databases.settings, setting{e.name, e.connection()})
	}
	number := strconv.Itoa
	settings := []setting{
		{"listen_addr", "*"},
		{"listen_port", number(a.ContainerPort)},
		// Logins come in storms when a service is rolled out.
		{"listen_backlog", "4096"},
		{"unix_socket_dir", SocketDir},
		{"auth_type", "scram-sha-256"},
		{"auth_file", userlist},
		{"pool_mode", a.PoolMode},
		{"max_client_conn", number(a.MaxClientConn)},
		{"default_pool_size", number(a.DefaultPoolSize)},
		{"reserve_pool_size", number(a.ReservePoolSize)},
		// The connection budget counts on it, whatever users and pools there are.
		{"max_db_connections", number(a.perDatabase())},
		{"max_prepared_statements", number(a.MaxPreparedStatements)},
		{"server_lifetime", number(a.ServerLifetime)},
		{"server_idle_timeout", number(a.ServerIdleTimeout)},
		{"query_wait_timeout", number(a.QueryWaitTimeout)},
		{"server_login_retry", number(a.ServerLoginRetry)},
		{"server_connect_timeout", number(a.ServerConnectTimeout)},
		{"server_tls_sslmode", "verify-full"},
		{"server_tls_ca_file", caDir + "/" + caKey},
		{"tcp_keepalive", "1"},
		{"tcp_keepidle", number(a.TCPKeepIdle)},
		{"tcp_keepintvl", number(a.TCPKeepIntvl)},
		{"tcp_keepcnt", number(a.TCPKeepCnt)},
		{"tcp_user_timeout", number(a.TCPUserTimeout)},
		{"dns_max_ttl", number(a.DNSMaxTTL)},
		// A name that does not resolve during a failover is asked for again soon.
		{"dns_nxdomain_ttl", number(min(a.DNSMaxTTL, 5))},
		// Every probe of the kubelet is a connection.
		{"log_connections", "0"},
		{"log_disconnections", "0"},
	}
	if len(a.IgnoreStartupParameters) > 0 {
		settings = append(settings, setting{"ignore_startup_parameters", strings.Join(a.IgnoreStartupParameters, ", ")})
	}
	if a.ClientTLSSecret != "" {
		settings = append(
			settings,
			setting{"client_tls_sslmode", "require"},
			setting{"client_tls_key_file", tlsDir + "/tls.key"},
			setting{"client_tls_cert_file", tlsDir + "/tls.crt"},
		)
	}
	return iniFile{databases, {name: "pgbouncer", settings: settings}}.String()
}

// users is the template of userlist.txt: who may log in to the pool, and with which password the pool logs in to the database. The passwords
// stand in plain, because PgBouncer needs the database's to log in with, and the file is a Secret of the pool alone.
func users() string {
	// Two lines for one user would have the pool log in to the database with the service's password.
	clash := fmt.Sprintf("{{ if eq .%s .%s }}{{ fail %q }}{{ end }}", loginUserValue, databaseUserValue,
		"the service's login has the name of the database user: give the pool another loginUser")
	line := func(user, password string) string {
		// Not %q: what is quoted here is filled in later, and by PgBouncer's rules.
		return `"` + value(user, doubled(`"`)) + `" "` + value(password, doubled(`"`)) + "\"\n"
	}
	return clash + line(loginUserValue, loginPasswordValue) + line(databaseUserValue, databasePasswordValue)
}

// databaseURL is the template of the service's DATABASE_URL.
func (a *PgBouncerPoolArgs) databaseURL(host string) string {
	mode := "disable"
	if a.ClientTLSSecret != "" {
		mode = "require"
	}
	at := url.URL{
		Scheme:   "postgresql",
		Host:     net.JoinHostPort(host, strconv.Itoa(a.Port)),
		Path:     "/" + a.Databases[0].Name,
		RawQuery: url.Values{"sslmode": {mode}}.Encode(),
	}
	login := value(loginUserValue, "urlquery") + ":" + value(loginPasswordValue, "urlquery") + "@"
	return strings.Replace(at.String(), "//", "//"+login, 1)
}
