package pgbouncer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Login is a login to the pool besides the service's own, with a database user of its own. Each pair of login and
// database is a pool of server connections of its own.
type Login struct {
	// Name that it logs in with.
	Name string
	// Credential is the database user that it is.
	Credential Credential
	// Databases that it may connect to, by their names in [PgBouncerPoolArgs].Databases. The pool knows them by the
	// name <database>_<login>, as its DATABASE_URL does, which names the first. Default: the first of the pool.
	Databases []string
	// Secret of the pool's namespace that gets its DATABASE_URL. Default <name>-db, with hyphens for underscores.
	Secret string
	// PoolSize is how many server connections a replica opens for it to a database. Default: DefaultPoolSize.
	PoolSize int
	// PoolMode of its server connections. Default: the pool's.
	PoolMode string
	// Clients are the pods that log in with it. Default: those whose label app.kubernetes.io/name is its name, with
	// hyphens for underscores.
	Clients []Client
}

// Users of PgBouncer's console besides its own. Neither may connect to a database.
const (
	// ConsoleLogin may give every command. It needs a password, and can only be where [PgBouncerPoolArgs].Console says.
	ConsoleLogin = "console"
	// metricsLogin may only look. It needs no password over the socket that only the pod sees, and gets in nowhere
	// else.
	metricsLogin = "metrics"
)

// label is the login's name as Kubernetes takes names.
func (l *Login) label() string {
	return strings.Trim(strings.ReplaceAll(l.Name, "_", "-"), "-")
}

func (l *Login) setDefaults(a *PgBouncerPoolArgs) {
	label := l.label()
	if len(l.Databases) == 0 && len(a.Databases) > 0 {
		l.Databases = []string{a.Databases[0].Name}
	}
	if l.Secret == "" {
		l.Secret = naming.Join(naming.LabelLimit, label, "db")
	}
	if l.PoolSize == 0 {
		l.PoolSize = a.DefaultPoolSize
	}
	if l.PoolMode == "" {
		l.PoolMode = a.PoolMode
	}
	if len(l.Clients) == 0 {
		l.Clients = []Client{{Labels: map[string]string{workload.NameLabel: label}}}
	}
}

// member is a login with the names that follow from it.
type member struct {
	Login
	// number tells the operator's values of one login from another's; 0 is the service's own.
	number int
	// loginSecret holds its user and password for the pool.
	loginSecret string
	// suffix of its resources' names.
	suffix string
}

// members are the service's own login, which may connect to every database, and the others.
func (a *PgBouncerPoolArgs) members() []member {
	own := member{
		Login: Login{
			Name: a.LoginUser, Credential: a.Credential, Secret: a.ConsumerSecret, PoolSize: a.DefaultPoolSize,
			PoolMode: a.PoolMode, Clients: a.Clients,
		},
		loginSecret: a.loginSecret(),
	}
	for _, d := range a.Databases {
		own.Databases = append(own.Databases, d.Name)
	}
	members := []member{own}
	for i, login := range a.Logins {
		members = append(members, member{
			Login: login, number: i + 1, suffix: "-" + login.label(),
			loginSecret: naming.Join(naming.LabelLimit, a.loginSecret(), login.label()),
		})
	}
	return members
}

// value is the name of one of its secret values.
func (m *member) value(name string) string {
	if m.number == 0 {
		return name
	}
	return name + strconv.Itoa(m.number)
}

// entry is the name under which the pool knows a database for this login: the pool's own line says which database user
// it is.
func (m *member) entry(database string) string {
	if m.number == 0 {
		return database
	}
	return database + "_" + strings.ReplaceAll(m.Name, "-", "_")
}

func checkLogin(faults *fault.List, path, name string) {
	reserved := []string{consoleUser, ConsoleLogin, metricsLogin}
	faults.Check(validation.PoolLogin.Matches(name) && !slices.Contains(reserved, name), path, name,
		"want 1 to 63 lower-case letters, digits, hyphens and underscores, and none of %s, which are the console's",
		strings.Join(reserved, ", "))
}

// ValidateLogins reports every fault of logins and clients, for who has no addresses, credentials and certificates yet.
func (a *PgBouncerPoolArgs) ValidateLogins() error {
	own := *a
	own.setDefaults()
	var faults fault.List
	own.validateLogins(&faults)
	for i := range own.Clients {
		faults.Within(fmt.Sprintf("clients[%d]", i), own.Clients[i].validate())
	}
	return faults.Err()
}

func (a *PgBouncerPoolArgs) validateLogins(faults *fault.List) {
	known := map[string]bool{}
	for _, d := range a.Databases {
		known[d.Name] = true
	}
	entries := map[string]bool{}
	secrets := map[string]bool{a.configSecret(): true, a.consoleSecret(): true}
	members := a.members()
	for i := range members {
		m := &members[i]
		if m.number > 0 {
			faults.Check(m.label() != "" && !secrets[m.loginSecret], fmt.Sprintf("logins[%d].name", i-1), m.Name,
				"does not differ from another login's name in letters and digits, of which the names of its objects "+
					"are made")
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
			"is the name of another Secret of the pool; want another, for example %s-db", a.Service)
		secrets[m.Secret] = true
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
				faults.Check(known[database], at, database, "is none of the pool's databases")
				faults.Check(len(entry) <= naming.LabelLimit, at, database,
					"makes %s, the database's name for this login, longer than PostgreSQL's 63 characters; want a "+
						"shorter name of the login", entry)
				faults.Check(!entries[entry], at, database, "is named twice, or is known as %s already", entry)
			}
			entries[entry] = true
		}
	}
}

// validate checks what a login other than the service's can get wrong by itself.
func (l *Login) validate(a *PgBouncerPoolArgs) error {
	var faults fault.List
	faults.Within("credential", l.Credential.validate())
	faults.Between("poolSize", l.PoolSize, 1, 5000, "server connections")
	faults.Check(l.PoolSize <= a.MaxClientConn, "poolSize", l.PoolSize,
		"is more than maxClientConn (%d): clients that never come cannot use them", a.MaxClientConn)
	fault.OneOf(&faults, "poolMode", l.PoolMode, Transaction, Session)
	for i := range l.Clients {
		faults.Within(fmt.Sprintf("clients[%d]", i), l.Clients[i].validate())
	}
	return faults.Err()
}

// validate of a group of pods.
func (c *Client) validate() error {
	var faults fault.List
	faults.OptionalForm("namespace", c.Namespace, validation.Label)
	faults.Check(len(c.Labels) > 0, "labels", nil,
		"is missing: without labels every pod of the namespace could connect")
	checkLabels(&faults, "labels", c.Labels)
	return faults.Err()
}
