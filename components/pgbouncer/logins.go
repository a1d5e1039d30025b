package pgbouncer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/validation"
)

// Login is a login to the pool besides the service's own. It has its own database user, and each pair of login and
// database has its own server connections.
type Login struct {
	// Name of the login: lower-case letters, digits, hyphens and underscores.
	Name string `json:"name" example:"reports"`
	// Credential is the database user of the login.
	Credential Credential `json:"-"`
	// Databases that it may connect to. For this login the pool calls a database <database>_<login>. The login's
	// DATABASE_URL names the first. Default: the service's own, which is the first of the pool.
	Databases []string `json:"databases" example:"[myshop]"`
	// Secret of the pool's namespace for its DATABASE_URL. Default <name>-db, with hyphens for underscores.
	Secret string `json:"secret" example:"reports-database"`
	// PoolSize is the maximum number of server connections of a replica for this login to one database. Default:
	// DefaultPoolSize.
	PoolSize int `json:"poolSize" example:"2"`
	// PoolMode of its server connections. Default: the pool's PoolMode.
	PoolMode string `json:"poolMode"`
	// Clients are the pods that use this login. Default: the pods whose label app.kubernetes.io/name is the login's
	// name, with hyphens for underscores.
	Clients []Client `json:"clients"`
}

// Users of PgBouncer's console besides its own. Neither may connect to a database.
const (
	// ConsoleLogin may run every command. It needs a password, and only the pods of [PgBouncerPoolArgs].Console can use
	// it.
	ConsoleLogin = "console"
	// metricsLogin may only read. It needs no password on the socket, which only the pod can reach, and cannot log in
	// elsewhere.
	metricsLogin = "metrics"
)

// label returns the login's name in the form of a Kubernetes name.
func (l *Login) label() string {
	return strings.Trim(strings.ReplaceAll(l.Name, "_", "-"), "-")
}

func (l *Login) setDefaults(a *PgBouncerPoolArgs) {
	label := l.label()
	if len(l.Databases) == 0 && len(a.Databases) > 0 {
		l.Databases = []string{a.Databases[0].Name}
	}
	if l.Secret == "" {
		l.Secret = contract.DatabaseSecret(label)
	}
	if l.PoolSize == 0 {
		l.PoolSize = a.DefaultPoolSize
	}
	if l.PoolMode == "" {
		l.PoolMode = a.PoolMode
	}
	if len(l.Clients) == 0 {
		l.Clients = []Client{{Labels: map[string]string{contract.NameLabel: label}}}
	}
}

// member is a login with the names derived from it.
type member struct {
	Login
	// number distinguishes the operator's values of different logins. 0 is the service's own.
	number int
	// loginSecret is the Secret with its user and password for the pool.
	loginSecret string
	// suffix of the names of its resources.
	suffix string
	// reserve is how many server connections it can have in addition to PoolSize.
	reserve int
}

// members returns the service's own login, which may connect to every database, and then the other logins.
func (a *PgBouncerPoolArgs) members() []member {
	own := member{
		Login: Login{
			Name: a.LoginUser, Credential: a.Credential, Secret: a.ConsumerSecret, PoolSize: a.DefaultPoolSize,
			PoolMode: a.PoolMode, Clients: a.Clients,
		},
		loginSecret: a.loginSecret(), reserve: a.ReservePoolSize,
	}
	for _, d := range a.Databases {
		own.Databases = append(own.Databases, d.Name)
	}
	members := []member{own}
	for i, login := range a.Logins {
		members = append(members, member{
			Login: login, number: i + 1, suffix: "-" + login.label(),
			loginSecret: contract.Object(a.loginSecret(), login.label()), reserve: a.ReservePoolSize,
		})
	}
	return members
}

// value returns the name of one of its secret values in templates.
func (m *member) value(name string) string {
	if m.number == 0 {
		return name
	}
	return name + strconv.Itoa(m.number)
}

// entry returns the pool's name of a database for this login. Each login has its own line, because the line sets the
// database user.
func (m *member) entry(database string) string {
	if m.number == 0 {
		return database
	}
	return database + "_" + strings.ReplaceAll(m.Name, "-", "_")
}

// sessions returns the service's own login in session mode. Its server connections are a pool of their own, so nothing
// that a person or a tool sets there reaches the service.
func (a *PgBouncerPoolArgs) sessions() member {
	m := a.members()[0]
	m.PoolSize, m.PoolMode, m.reserve = a.SessionPoolSize, Session, 0
	return m
}

// SessionDatabase returns the pool's name of a database for people and tools. They use the service's login, and each
// has a server connection to itself until it leaves. No database and no other login has a name with this ending.
func SessionDatabase(name string) string {
	const ending = "-session"
	return name[:min(len(name), naming.LabelLimit-len(ending))] + ending
}

func checkLogin(faults *fault.List, path, name string) {
	reserved := []string{consoleUser, ConsoleLogin, metricsLogin}
	faults.Check(validation.PoolLogin.Matches(name) && !slices.Contains(reserved, name), path, name,
		"want 1 to 63 lower-case letters, digits, hyphens and underscores; %s are reserved for the console",
		strings.Join(reserved, ", "))
}

// ValidateLogins reports every fault of logins and clients. It needs no addresses, credentials or certificates.
func (a *PgBouncerPoolArgs) ValidateLogins() error {
	own := *a
	own.SetDefaults()
	var faults fault.List
	own.validateLogins(&faults)
	return faults.Err()
}

func (a *PgBouncerPoolArgs) validateLogins(faults *fault.List) {
	known := map[string]bool{}
	for _, d := range a.Databases {
		known[d.Name] = true
	}
	entries := map[string]bool{}
	secrets := map[string]bool{a.configSecret(): true, a.consoleSecret(): true}
	for _, m := range a.members() {
		secrets[KeptSecret(a.Name, m.loginSecret)] = true
		if m.Credential.Generated != "" {
			secrets[KeptSecret(a.Name, m.Credential.Generated)] = true
		}
	}
	members := a.members()
	for i := range members {
		m := &members[i]
		if m.number > 0 {
			faults.Check(m.label() != "" && !secrets[m.loginSecret], fmt.Sprintf("logins[%d].name", i-1), m.Name,
				"does not differ from another login's name in letters and digits, and the names of its objects keep "+
					"only those; want another name")
		}
		secrets[m.loginSecret] = true
	}
	for i := range members {
		m := &members[i]
		path, secretPath := fmt.Sprintf("logins[%d]", i-1), fmt.Sprintf("logins[%d].secret", i-1)
		if m.number == 0 {
			path, secretPath = "", "consumerSecret"
		}
		faults.Form(secretPath, m.Secret, validation.Label)
		faults.Check(!secrets[m.Secret], secretPath, m.Secret,
			"is the name of another Secret of the pool; want another name, for example %s-db", a.Service)
		secrets[m.Secret] = true
		faults.Check(!secrets[formsSecret(m.Secret)], secretPath, m.Secret,
			"needs a second Secret %s, which is the name of another Secret of the pool; want another name",
			formsSecret(m.Secret))
		secrets[formsSecret(m.Secret)] = true
		if m.number == 0 {
			checkLogin(faults, "loginUser", m.Name)
		} else {
			checkLogin(faults, path+".name", m.Name)
			faults.Check(m.Name != a.LoginUser, path+".name", m.Name, "is the service's own login")
			faults.Within(path, m.validate(a))
		}
		for j, database := range m.Databases {
			at := fmt.Sprintf("%s.databases[%d]", path, j)
			entry := m.entry(database)
			if m.number > 0 {
				faults.Check(known[database], at, database, "is not a database of the pool")
				faults.Check(len(entry) <= naming.LabelLimit, at, database,
					"gives the database the name %s for this login, which is longer than PostgreSQL's 63 characters; "+
						"want a shorter name of the login", entry)
				faults.Check(!entries[entry], at, database, "is named twice, or the pool already has the name %s",
					entry)
			}
			entries[entry] = true
			if m.number == 0 {
				faults.Check(!entries[SessionDatabase(database)], at, database,
					"has the same first characters as another database, and for sessions the pool calls both %s; want "+
						"a shorter name", SessionDatabase(database))
				entries[SessionDatabase(database)] = true
			}
		}
	}
	for i := range a.Clients {
		faults.Within(fmt.Sprintf("clients[%d]", i), a.Clients[i].validate())
	}
}

// validate reports the faults of a login other than the service's, as far as they do not depend on other logins and on
// its credential.
func (l *Login) validate(a *PgBouncerPoolArgs) error {
	var faults fault.List
	faults.Between("poolSize", l.PoolSize, 1, 5000, "server connections")
	faults.Check(l.PoolSize <= a.MaxClientConn, "poolSize", l.PoolSize,
		"is more than maxClientConn (%d): there can never be enough clients to use them", a.MaxClientConn)
	fault.OneOf(&faults, "poolMode", l.PoolMode, Transaction, Session)
	for i := range l.Clients {
		faults.Within(fmt.Sprintf("clients[%d]", i), l.Clients[i].validate())
	}
	return faults.Err()
}

func (c *Client) validate() error {
	var faults fault.List
	faults.OptionalForm("namespace", c.Namespace, validation.Label)
	faults.Check(len(c.Labels) > 0, "labels", nil,
		"is missing: without labels every pod of the namespace could connect")
	checkLabels(&faults, "labels", c.Labels)
	return faults.Err()
}
