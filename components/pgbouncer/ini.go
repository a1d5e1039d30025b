package pgbouncer

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"dbtier/components/contract"
)

// consoleUser may use the console without a password if it connects over the socket with PgBouncer's own user id. It is
// also the name of the console's database.
const consoleUser = "pgbouncer"

// ConsoleDatabase is the name of PgBouncer's console, which no database behind a pool can have.
const ConsoleDatabase = consoleUser

// The names of the secret values in the operator's templates.
const (
	loginUserValue        = "loginUser"
	loginPasswordValue    = "loginPassword"
	databaseUserValue     = "databaseUser"
	databasePasswordValue = "databasePassword"
	consolePasswordValue  = "consolePassword"
)

// value returns a template action (Go's text/template with sprig) that the operator replaces by a secret value.
func value(name string, pipeline ...string) string {
	return "{{ " + strings.Join(append([]string{"." + name}, pipeline...), " | ") + " }}"
}

// doubled returns the pipeline step that doubles a quote, which is how PgBouncer's files and SQL escape it.
func doubled(quote string) string {
	return fmt.Sprintf("replace %s %s", strconv.Quote(quote), strconv.Quote(quote+quote))
}

// endpoint is the address of a database.
type endpoint struct {
	host, dbName string
	port         int
}

// anywhere is every address: the NetworkPolicy decides which pods reach the pool.
var anywhere = []string{"0.0.0.0/0", "::/0"}

// setting is a line in a section.
type setting struct{ key, value string }

// section is a section of an ini file.
type section struct {
	name     string
	settings []setting
}

// iniFile is a configuration file in PgBouncer's format.
type iniFile []section

// String returns the file's text.
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

// connection returns the value of a database's line: a connection string with values quoted by libpq's rules.
func (e endpoint) connection(a *PgBouncerPoolArgs, m *member) string {
	pairs := []setting{
		{"host", e.host},
		{"port", strconv.Itoa(e.port)},
		{"dbname", e.dbName},
		// Every client of this line is this user on the server, whatever its name in the pool, so a line is one pool.
		{"user", value(m.value(databaseUserValue), doubled("'"))},
	}
	if m.PoolSize != a.DefaultPoolSize || m.reserve != a.ReservePoolSize {
		pairs = append(pairs,
			setting{"pool_size", strconv.Itoa(m.PoolSize)},
			setting{"max_db_connections", strconv.Itoa(m.PoolSize + m.reserve)})
	}
	if m.PoolMode != a.PoolMode {
		pairs = append(pairs, setting{"pool_mode", m.PoolMode})
	}
	words := make([]string, len(pairs))
	for i, p := range pairs {
		words[i] = p.key + "='" + p.value + "'"
	}
	return strings.Join(words, " ")
}

// config returns the template of pgbouncer.ini.
func (a *PgBouncerPoolArgs) config(endpoints map[string]endpoint) string {
	databases := section{name: "databases"}
	for _, m := range a.members() {
		for _, name := range m.Databases {
			databases.settings = append(databases.settings, setting{m.entry(name), endpoints[name].connection(a, &m)})
		}
	}
	sessions := a.sessions()
	for _, name := range sessions.Databases {
		databases.settings = append(databases.settings,
			setting{SessionDatabase(name), endpoints[name].connection(a, &sessions)})
	}
	number := strconv.Itoa
	settings := []setting{
		{"listen_addr", "*"},
		{"listen_port", number(a.ContainerPort)},
		// A rollout of a service causes many logins at once.
		{"listen_backlog", "4096"},
		{"unix_socket_dir", SocketDir},
		{"auth_type", "hba"},
		{"auth_hba_file", hbaFile},
		{"auth_file", userlist},
		{"pool_mode", a.PoolMode},
		{"max_client_conn", number(a.MaxClientConn)},
		{"default_pool_size", number(a.DefaultPoolSize)},
		{"reserve_pool_size", number(a.ReservePoolSize)},
		// The connection budget relies on this limit.
		{"max_db_connections", number(a.perPair())},
		{"max_prepared_statements", number(a.MaxPreparedStatements)},
		{"server_lifetime", number(a.ServerLifetime)},
		{"server_idle_timeout", number(a.ServerIdleTimeout)},
		{"query_wait_timeout", number(a.QueryWaitTimeout)},
		{"server_login_retry", number(a.ServerLoginRetry)},
		{"server_connect_timeout", number(a.ServerConnectTimeout)},
		{"server_tls_sslmode", "verify-full"},
		{"server_tls_ca_file", caDir + "/" + contract.CAKey},
		{"tcp_keepalive", "1"},
		{"tcp_keepidle", number(a.TCPKeepIdle)},
		{"tcp_keepintvl", number(a.TCPKeepIntvl)},
		{"tcp_keepcnt", number(a.TCPKeepCnt)},
		{"tcp_user_timeout", number(a.TCPUserTimeout)},
		{"dns_max_ttl", number(a.DNSMaxTTL)},
		// A name that does not resolve during a failover is looked up again soon.
		{"dns_nxdomain_ttl", number(min(a.DNSMaxTTL, 5))},
		// Every probe of the kubelet would be logged as a connection.
		{"log_connections", "0"},
		{"log_disconnections", "0"},
	}
	if len(a.TrackExtraParameters) > 0 {
		settings = append(settings, setting{
			// IntervalStyle is PgBouncer's default, which the setting would replace.
			"track_extra_parameters", strings.Join(append([]string{"IntervalStyle"}, a.TrackExtraParameters...), ", "),
		})
	}
	if a.ServerResetQueryAlways {
		settings = append(settings, setting{"server_reset_query_always", "1"})
	}
	ignored := slices.Clone(a.IgnoreStartupParameters)
	if a.Metrics.Enabled {
		settings = append(settings, setting{"stats_users", metricsLogin})
		// The exporter's driver sends this parameter.
		if !slices.Contains(ignored, "extra_float_digits") {
			ignored = append(ignored, "extra_float_digits")
		}
	}
	if a.Console != nil {
		settings = append(settings, setting{"admin_users", ConsoleLogin})
	}
	if len(ignored) > 0 {
		settings = append(settings, setting{"ignore_startup_parameters", strings.Join(ignored, ", ")})
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

// hba returns hba.conf, which says which login may connect to which database, and how. PgBouncer refuses the rest: a
// login that tries another login's database, the database user itself, and unlisted users of the console. The forms of
// logins and databases allow no character that quoting does not cover.
func (a *PgBouncerPoolArgs) hba() string {
	host := "host"
	if a.ClientTLSSecret != "" {
		host = "hostssl"
	}
	var text strings.Builder
	allow := func(database, user string) {
		for _, address := range anywhere {
			fmt.Fprintf(&text, "%s \"%s\" \"%s\" %s scram-sha-256\n", host, database, user, address)
		}
	}
	for _, m := range a.members() {
		for _, name := range m.Databases {
			allow(m.entry(name), m.Name)
		}
	}
	sessions := a.sessions()
	for _, name := range sessions.Databases {
		allow(SessionDatabase(name), sessions.Name)
	}
	if a.Console != nil {
		allow(consoleUser, ConsoleLogin)
	}
	if a.Metrics.Enabled {
		fmt.Fprintf(&text, "local \"%s\" \"%s\" trust\n", consoleUser, metricsLogin)
	}
	return text.String()
}

// users returns the template of userlist.txt: the logins of the pool, and the passwords with which the pool logs in to
// the databases. The passwords are in plain text, because PgBouncer needs those of the databases to log in. Only the
// pool mounts the Secret with this file.
func (a *PgBouncerPoolArgs) users() string {
	members := a.members()
	taken := make([]string, 0, len(members)+3)
	for i := range members {
		taken = append(taken, "."+members[i].value(loginUserValue))
	}
	for _, name := range []string{consoleUser, ConsoleLogin, metricsLogin} {
		taken = append(taken, strconv.Quote(name))
	}
	var text strings.Builder
	for i := range members {
		// With two lines for one user, the pool would log in to the database with the service's password.
		fmt.Fprintf(&text, "{{ if eq .%s %s }}{{ fail %q }}{{ end }}", members[i].value(databaseUserValue),
			strings.Join(taken, " "),
			"a login of the pool has the name of the database user: give the pool another loginUser")
	}
	line := func(user, password string) {
		// Not %q: the operator fills the values in later and escapes them by PgBouncer's rules.
		text.WriteString(`"` + user + `" "` + password + "\"\n")
	}
	for i := range members {
		m := &members[i]
		line(value(m.value(loginUserValue), doubled(`"`)), value(m.value(loginPasswordValue), doubled(`"`)))
		line(value(m.value(databaseUserValue), doubled(`"`)), value(m.value(databasePasswordValue), doubled(`"`)))
	}
	if a.Console != nil {
		line(ConsoleLogin, value(consolePasswordValue, doubled(`"`)))
	}
	if a.Metrics.Enabled {
		line(metricsLogin, "")
	}
	return text.String()
}

// sslMode is libpq's sslmode of the pool's clients.
func (a *PgBouncerPoolArgs) sslMode() string {
	if a.ClientTLSSecret != "" {
		return "require"
	}
	return "disable"
}

// databaseURL returns the template of a login's DATABASE_URL.
func (a *PgBouncerPoolArgs) databaseURL(host string, m *member) string {
	at := url.URL{
		Scheme:   "postgresql",
		Host:     net.JoinHostPort(host, strconv.Itoa(a.Port)),
		Path:     "/" + m.entry(m.Databases[0]),
		RawQuery: url.Values{"sslmode": {a.sslMode()}}.Encode(),
	}
	login := value(m.value(loginUserValue), "urlquery") + ":" + value(m.value(loginPasswordValue), "urlquery") + "@"
	return strings.Replace(at.String(), "//", "//"+login, 1)
}
