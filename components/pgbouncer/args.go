package pgbouncer

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Pool modes.
const (
	// Transaction lends a server connection for a transaction.
	Transaction = "transaction"
	// Session lends a server connection until the client leaves.
	Session = "session"
)

// Settings are the choices that shape the pool. Begin with [Defaults] and change what differs. The names are
// PgBouncer's where it has one ("PgBouncer config").
type Settings struct {
	// Name of the Deployment and the Service, and the beginning of every other name. Default pgbouncer.
	Name string `json:"name"`
	// Replicas of the pool. Default 2.
	Replicas int `json:"replicas"`
	// Image with pgbouncer, psql and sh. Default [DefaultImage].
	Image string `json:"image"`
	// Command of the container: a list, no shell. It replaces the image's entrypoint, which in some images rewrites the
	// configuration. Default pgbouncer with [ConfigFile].
	Command []string `json:"command"`
	// ReloaderImage of the sidecar that has PgBouncer read its changed files: any image with psql, readlink and sh.
	// Default: Image.
	ReloaderImage string `json:"reloaderImage"`

	// PoolMode is transaction (default) or session.
	PoolMode string `json:"poolMode"`
	// MaxClientConn is how many clients a replica takes. Default 1000.
	MaxClientConn int `json:"maxClientConn"`
	// DefaultPoolSize is how many server connections a replica opens for a login to a database. Default 20.
	DefaultPoolSize int `json:"defaultPoolSize"`
	// ReservePoolSize is how many more it opens when a client has waited for 5 s. Default 0.
	ReservePoolSize int `json:"reservePoolSize"`
	// MaxPreparedStatements is how many prepared statements of the protocol a server connection keeps, so that they
	// work in transaction mode; 0 turns this off. Default 200.
	MaxPreparedStatements int `json:"maxPreparedStatements"`
	// ServerLifetime is after how long an unused server connection is replaced, seconds. Default 3600.
	ServerLifetime int `json:"serverLifetime"`
	// ServerIdleTimeout is after how long without use a server connection is closed, seconds. Default 600.
	ServerIdleTimeout int `json:"serverIdleTimeout"`
	// QueryWaitTimeout is how long a client waits for a server connection, seconds. Default 120.
	QueryWaitTimeout int `json:"queryWaitTimeout"`
	// ServerLoginRetry is how long a failed login to the database is remembered, seconds. PgBouncer's own 15 s would
	// prolong every rotation of the password. Default 1.
	ServerLoginRetry int `json:"serverLoginRetry"`
	// ServerConnectTimeout of a login to the database, seconds. Default 5.
	ServerConnectTimeout int `json:"serverConnectTimeout"`
	// TCPKeepIdle, TCPKeepIntvl (seconds) and TCPKeepCnt find a peer that has vanished. Default 30, 10, 3.
	TCPKeepIdle  int `json:"tcpKeepIdle"`
	TCPKeepIntvl int `json:"tcpKeepIntvl"`
	TCPKeepCnt   int `json:"tcpKeepCnt"`
	// TCPUserTimeout is how long sent bytes may stay unacknowledged, milliseconds: after a failover the old instance
	// answers nothing any more. Default 15000.
	TCPUserTimeout int `json:"tcpUserTimeout"`
	// DNSMaxTTL is how long the instance's address is believed, seconds. RDS moves its name with a TTL of 5 s. Default
	// 5.
	DNSMaxTTL int `json:"dnsMaxTtl"`
	// IgnoreStartupParameters that clients send and PgBouncer does not know. Default extra_float_digits, for JDBC.
	IgnoreStartupParameters []string `json:"ignoreStartupParameters"`

	// Port of the Service. Default 5432.
	Port int `json:"port"`
	// ContainerPort that PgBouncer listens on. Default 6432.
	ContainerPort int `json:"containerPort"`
	// UID is the user and group to run as, from 10001 so that it is nobody's on the node. Default
	// [workload.DefaultUID].
	UID int `json:"uid"`
	// DrainSeconds is how long a pod that has to go still takes connections, until nobody routes any to it. Default 15.
	DrainSeconds int `json:"drainSeconds"`
	// TerminationGracePeriodSeconds is how long it lives at most, DrainSeconds counted. Default 120.
	TerminationGracePeriodSeconds int `json:"terminationGracePeriodSeconds"`
	// RefreshInterval is how often the operator looks for a rotated password, seconds. Each look is a GetSecretValue.
	// Default 60.
	RefreshInterval int `json:"refreshInterval"`
	// Resources of PgBouncer's container. Default 50m and 64Mi, limited to 200m and 128Mi.
	Resources workload.Resources `json:"resources"`
	// ClientAffinity sends all connections of a pod to one replica, so that a cancel request reaches the replica that
	// knows its query; without it only one in as many as there are replicas does. The price: few pods of a service may
	// all meet one replica. Default false.
	ClientAffinity bool `json:"clientAffinity"`
	// ClientTLSSecret names a Secret of type kubernetes.io/tls with a certificate for the pool. With it the pool
	// refuses clients without TLS; a renewed certificate is taken without a restart. Default: clients speak in plain,
	// and only the NetworkPolicy guards the way.
	ClientTLSSecret string `json:"clientTlsSecret"`
	// Metrics are what Prometheus gets.
	Metrics Metrics `json:"metrics"`
}

// Metrics are the exporter's settings.
type Metrics struct {
	// Enabled adds the exporter to each pod. Default false.
	Enabled bool `json:"enabled"`
	// Image of prometheus-community's pgbouncer_exporter, from 0.11: older ones keep a connection, for which a pool
	// that stops would wait. Default [DefaultExporterImage].
	Image string `json:"image"`
	// Port of the exporter. Default 9127.
	Port int `json:"port"`
	// Namespace of the pods that may scrape. Default monitoring.
	Namespace string `json:"namespace"`
	// ServiceMonitor makes one for the Prometheus operator, whose CRDs must be there. Default false.
	ServiceMonitor bool `json:"serviceMonitor"`
	// Labels of the ServiceMonitor besides the usual ones: those by which a Prometheus selects it, often release.
	// Default none.
	Labels map[string]string `json:"labels"`
	// IntervalSeconds between two scrapes; each is a connection to the console. Default 30.
	IntervalSeconds int `json:"intervalSeconds"`
	// Resources of the exporter. Default 5m and 16Mi, limited to 50m and 32Mi.
	Resources workload.Resources `json:"resources"`
}

// Files and folders in the pool's container.
const (
	// ConfigFile is PgBouncer's configuration.
	ConfigFile = configDir + "/pgbouncer.ini"
	// SocketDir holds the socket of the console.
	SocketDir = "/run/pgbouncer"

	configDir = "/etc/pgbouncer"
	userlist  = configDir + "/userlist.txt"
	hbaFile   = configDir + "/hba.conf"
	caDir     = "/etc/pgbouncer-ca"
	caKey     = "ca.pem"
	tlsDir    = "/etc/pgbouncer-tls"
)

// DefaultImage is used where no other is named. Below 1.25.2 PgBouncer has known holes (CVE-2026-6664 to 6667).
const DefaultImage = "edoburu/pgbouncer:v1.25.2-p0"

// DefaultExporterImage is used where no other is named.
const DefaultExporterImage = "prometheuscommunity/pgbouncer-exporter:v0.12.1"

// Defaults are the settings where nobody says otherwise.
func Defaults() Settings {
	return Settings{
		Name:                          "pgbouncer",
		Replicas:                      2,
		Image:                         DefaultImage,
		Command:                       []string{"pgbouncer", ConfigFile},
		PoolMode:                      Transaction,
		MaxClientConn:                 1000,
		DefaultPoolSize:               20,
		MaxPreparedStatements:         200,
		ServerLifetime:                3600,
		ServerIdleTimeout:             600,
		QueryWaitTimeout:              120,
		ServerLoginRetry:              1,
		ServerConnectTimeout:          5,
		TCPKeepIdle:                   30,
		TCPKeepIntvl:                  10,
		TCPKeepCnt:                    3,
		TCPUserTimeout:                15000,
		DNSMaxTTL:                     5,
		IgnoreStartupParameters:       []string{"extra_float_digits"},
		Port:                          5432,
		ContainerPort:                 6432,
		UID:                           workload.DefaultUID,
		DrainSeconds:                  15,
		TerminationGracePeriodSeconds: 120,
		RefreshInterval:               60,
		Resources: workload.Resources{
			CPURequest: "50m", MemoryRequest: "64Mi", CPULimit: "200m", MemoryLimit: "128Mi",
		},
		Metrics: Metrics{
			Image: DefaultExporterImage, Port: 9127, Namespace: "monitoring", IntervalSeconds: 30,
			Resources: workload.Resources{
				CPURequest: "5m", MemoryRequest: "16Mi", CPULimit: "50m",
				MemoryLimit: "32Mi",
			},
		},
	}
}

// ServerConnections is how many connections the pool opens at most while nothing is updated, to so many pairs of login
// and database.
func (s *Settings) ServerConnections(pairs int) int {
	return s.Replicas * s.perPair() * pairs
}

// MaxServerConnections is how many connections the pool can have open at any time. During a rolling update the pods
// that wait for their last clients no longer count as replicas, so at its end all the old ones and all the new ones can
// hold connections.
func (s *Settings) MaxServerConnections(pairs int) int {
	return 2 * s.ServerConnections(pairs)
}

func (s *Settings) perPair() int { return s.DefaultPoolSize + s.ReservePoolSize }

// longestName leaves room for the longest suffix that this component puts behind the name.
const longestName = naming.LabelLimit - len("-login-reader")

// Validate reports every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	faults.Check(validation.Label.Matches(s.Name) && len(s.Name) <= longestName && s.Name[0] >= 'a', "name", s.Name,
		"want 1 to %d lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen",
		longestName)
	faults.Between("replicas", s.Replicas, 1, 50, "")
	faults.Form("image", s.Image, validation.Image)
	faults.OptionalForm("reloaderImage", s.ReloaderImage, validation.Image)
	faults.Check(len(s.Command) > 0 && !slices.Contains(s.Command, ""), "command", s.Command,
		"want pgbouncer's command as a list of non-empty words, such as [pgbouncer, %s]", ConfigFile)
	s.validatePool(&faults)
	s.validatePod(&faults)
	return faults.Err()
}

func (s *Settings) validatePool(faults *fault.List) {
	fault.OneOf(faults, "poolMode", s.PoolMode, Transaction, Session)
	faults.Between("maxClientConn", s.MaxClientConn, 1, 50000, "clients")
	faults.Between("defaultPoolSize", s.DefaultPoolSize, 1, 5000, "server connections")
	faults.Between("reservePoolSize", s.ReservePoolSize, 0, 5000, "server connections")
	faults.Check(s.DefaultPoolSize <= s.MaxClientConn, "defaultPoolSize", s.DefaultPoolSize,
		"is more than maxClientConn (%d): clients that never come cannot use them", s.MaxClientConn)
	faults.Between("maxPreparedStatements", s.MaxPreparedStatements, 0, 10000, "statements")
	faults.Between("serverLifetime", s.ServerLifetime, 60, 86400, "seconds")
	faults.Between("serverIdleTimeout", s.ServerIdleTimeout, 1, 86400, "seconds")
	faults.Between("queryWaitTimeout", s.QueryWaitTimeout, 1, 3600, "seconds")
	faults.Between("serverLoginRetry", s.ServerLoginRetry, 1, 60, "seconds")
	faults.Between("serverConnectTimeout", s.ServerConnectTimeout, 1, 60, "seconds")
	faults.Between("tcpKeepIdle", s.TCPKeepIdle, 1, 7200, "seconds")
	faults.Between("tcpKeepIntvl", s.TCPKeepIntvl, 1, 600, "seconds")
	faults.Between("tcpKeepCnt", s.TCPKeepCnt, 1, 20, "probes")
	faults.Between("tcpUserTimeout", s.TCPUserTimeout, 1000, 600000, "milliseconds")
	faults.Between("dnsMaxTtl", s.DNSMaxTTL, 1, 300, "seconds")
	for i, name := range s.IgnoreStartupParameters {
		path := fmt.Sprintf("ignoreStartupParameters[%d]", i)
		faults.Form(path, name, validation.StartupParameter)
		faults.Check(slices.Index(s.IgnoreStartupParameters, name) == i, path, name, "is named twice")
	}
}

func (s *Settings) validatePod(faults *fault.List) {
	faults.Between("port", s.Port, 1, 65535, "")
	faults.Between("containerPort", s.ContainerPort, 1024, 65535, "")
	faults.Between("uid", s.UID, workload.DefaultUID, 1<<31-1, "")
	faults.Between("drainSeconds", s.DrainSeconds, 1, 300, "seconds")
	faults.Check(s.TerminationGracePeriodSeconds >= s.DrainSeconds+10 && s.TerminationGracePeriodSeconds <= 3600,
		"terminationGracePeriodSeconds", s.TerminationGracePeriodSeconds,
		"want 10 seconds more than drainSeconds (%d) up to 3600: within them the pod waits for its last clients",
		s.DrainSeconds)
	faults.Between("refreshInterval", s.RefreshInterval, 10, 3600, "seconds")
	faults.Within("resources", s.Resources.Validate())
	faults.OptionalForm("clientTlsSecret", s.ClientTLSSecret, validation.Label)
	faults.Within("metrics", s.Metrics.validate(s.ContainerPort))
}

func (m *Metrics) validate(poolPort int) error {
	var faults fault.List
	if !m.Enabled {
		faults.Check(!m.ServiceMonitor, "serviceMonitor", m.ServiceMonitor,
			"would find nothing to scrape; set enabled, too")
		return faults.Err()
	}
	faults.Form("image", m.Image, validation.Image)
	faults.Between("port", m.Port, 1024, 65535, "")
	faults.Check(m.Port != poolPort, "port", m.Port, "is the pool's containerPort; want another, for example 9127")
	faults.Form("namespace", m.Namespace, validation.Label)
	checkLabels(&faults, "labels", m.Labels)
	faults.Between("intervalSeconds", m.IntervalSeconds, 5, 3600, "seconds")
	faults.Within("resources", m.Resources.Validate())
	return faults.Err()
}

func checkLabels(faults *fault.List, path string, labels map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		faults.Check(validation.LabelKey.Matches(key) && validation.LabelValue.Matches(labels[key]), path, key+"="+labels[key],
			"want a label, such as %s=myshop-api", workload.NameLabel)
	}
}

// Database is what clients can connect to.
type Database struct {
	// Name that clients use, and no other.
	Name string
	// Host is the instance's endpoint: the name in its certificate.
	Host pulumi.StringInput
	// Port of the endpoint.
	Port pulumi.IntInput
	// DBName is the database's name on the instance. Default: Name.
	DBName string
}

// Store is the SecretStore or ClusterSecretStore that a secret is read from. The zero value is the pool's own way to
// Secrets of its namespace.
type Store struct {
	// Kind is SecretStore or ClusterSecretStore.
	Kind string
	// Name of the store. Give the store's output, so that the pool's Secret waits for the store.
	Name pulumi.StringInput
}

// Credential is the user that the pool is in the databases.
type Credential struct {
	// Store that Key is read from. Default: Key is a Secret of the pool's namespace, which the pool's reader then may
	// read.
	Store Store
	// Key is the ARN or name of a secret with the keys username and password. Give the output of what makes it valid:
	// the pool takes another credential when its key is known.
	Key pulumi.StringInput
}

func (c *Credential) validate() error {
	var faults fault.List
	if !c.inCluster() {
		fault.OneOf(&faults, "store.kind", c.Store.Kind, "SecretStore", "ClusterSecretStore")
		faults.Check(c.Store.Name != nil, "store.name", nil, "is missing")
	}
	faults.Check(c.Key != nil, "key", nil, "is missing: the secret with the database user's username and password")
	return faults.Err()
}

// inCluster says that the credential is a Secret of the pool's namespace.
func (c *Credential) inCluster() bool { return c.Store.Kind == "" && c.Store.Name == nil }

// Client is a group of pods that may connect to the pool.
type Client struct {
	// Namespace of the pods. Default: the pool's.
	Namespace string
	// Labels of the pods, at least one.
	Labels map[string]string
}

// PgBouncerPoolArgs is what [NewPgBouncerPool] needs.
type PgBouncerPoolArgs struct {
	Settings

	// Service is the name of the service that the pool is for.
	Service string
	// Namespace of the service and of the pool.
	Namespace string
	// Databases behind the pool. DATABASE_URL names the first.
	Databases []Database
	// Credential is the database user that the service is, in all the databases.
	Credential Credential
	// Logins besides the service's own, each as a database user of its own.
	Logins []Login
	// CABundle are the certificates, in PEM, of the authorities that sign the instance's certificate.
	CABundle string

	// LoginUser is the user that the service logs in to the pool with. Default: the service's name with underscores.
	LoginUser string
	// ConsumerSecret is the name of the Secret with the service's DATABASE_URL. Default <service>-db.
	ConsumerSecret string
	// Clients that may connect. Default: the pods whose label app.kubernetes.io/name is the service's name.
	Clients []Client
	// DatabaseCIDRs are the address ranges of the instance, which the pool may reach on the databases' ports. Default:
	// any address.
	DatabaseCIDRs []string
	// Console are the pods that may log in to PgBouncer's console as [ConsoleLogin], which may give every command there
	// and can reach no database. Default: nobody can from outside of the pool's pods.
	Console *Client
	// DependsOn must be there before anything of the pool: the operator with its CRDs, the namespace.
	DependsOn []pulumi.Resource
}

func (a *PgBouncerPoolArgs) setDefaults() {
	if a.ReloaderImage == "" {
		a.ReloaderImage = a.Image
	}
	if a.LoginUser == "" {
		a.LoginUser = strings.ReplaceAll(a.Service, "-", "_")
	}
	if a.ConsumerSecret == "" {
		a.ConsumerSecret = naming.Join(naming.LabelLimit, a.Service, "db")
	}
	if len(a.Clients) == 0 {
		a.Clients = []Client{{Labels: map[string]string{workload.NameLabel: a.Service}}}
	}
	a.Databases = slices.Clone(a.Databases)
	for i := range a.Databases {
		if a.Databases[i].DBName == "" {
			a.Databases[i].DBName = a.Databases[i].Name
		}
	}
	a.Logins = slices.Clone(a.Logins)
	for i := range a.Logins {
		a.Logins[i].setDefaults(a)
	}
}

// Validate reports every fault of the arguments.
func (a *PgBouncerPoolArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	a.validateDatabases(&faults)
	faults.Within("credential", a.Credential.validate())
	if reason := checkBundle(a.CABundle); reason != "" {
		faults.Add("caBundle", nil, "%s", reason)
	}
	a.validateLogins(&faults)
	for i := range a.Clients {
		faults.Within(fmt.Sprintf("clients[%d]", i), a.Clients[i].validate())
	}
	if a.Console != nil {
		faults.Within("console", a.Console.validate())
	}
	for i, text := range a.DatabaseCIDRs {
		_, err := netip.ParsePrefix(text)
		faults.Check(err == nil, fmt.Sprintf("databaseCidrs[%d]", i), text,
			validation.CIDRRule)
	}
	return faults.Err()
}

func (a *PgBouncerPoolArgs) validateDatabases(faults *fault.List) {
	faults.Check(len(a.Databases) > 0, "databases", nil, "is missing: a pool in front of nothing")
	seen := map[string]bool{}
	for i, d := range a.Databases {
		path := fmt.Sprintf("databases[%d]", i)
		faults.Check(validation.SQLName.Matches(d.Name) && d.Name != consoleUser, path+".name", d.Name,
			"want 1 to 63 letters, digits and underscores, not beginning with a digit, and not %s, which is the "+
				"console's", consoleUser)
		faults.Check(!seen[d.Name], path+".name", d.Name, "is named twice")
		seen[d.Name] = true
		faults.Form(path+".dbName", d.DBName, validation.SQLName)
		faults.Check(d.Host != nil, path+".host", nil, "is missing")
		faults.Check(d.Port != nil, path+".port", nil, "is missing")
	}
}

// checkBundle says what is wrong with a bundle of certificates, or nothing. PgBouncer would find out only when the pods
// start.
func checkBundle(bundle string) string {
	const fix = "; want the certificates of RDS' authorities in PEM, as in AWS' global-bundle.pem"
	rest := []byte(bundle)
	for count := 0; ; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if count == 0 {
				return "holds no certificate" + fix
			}
			return ""
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Sprintf("holds a %s, and only certificates may be in it", strings.ToLower(block.Type)) + fix
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Sprintf("certificate %d is none", count+1) + fix
		}
	}
}

func (a *PgBouncerPoolArgs) loginSecret() string   { return a.Name + "-login" }
func (a *PgBouncerPoolArgs) configSecret() string  { return a.Name + "-config" }
func (a *PgBouncerPoolArgs) consoleSecret() string { return a.Name + "-console" }
func (a *PgBouncerPoolArgs) loginReader() string   { return a.Name + "-login-reader" }
func (a *PgBouncerPoolArgs) podsService() string   { return a.Name + "-pods" }

func (a *PgBouncerPoolArgs) refresh() string {
	return (time.Duration(a.RefreshInterval) * time.Second).String()
}
