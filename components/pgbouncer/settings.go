package pgbouncer

import (
	"maps"
	"slices"

	"dbtier/components/contract"
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

// Settings are the choices for the pool. Begin with [Defaults] and change what differs. A setting that PgBouncer has
// too has PgBouncer's name ("PgBouncer config").
type Settings struct {
	// Name of the Deployment and the Service. Every other name begins with it. Default pgbouncer, or
	// <service>-pgbouncer in an existing namespace, where other services can have a pool.
	Name string `json:"name" example:"pool"`
	// Replicas of the pool. Default 2.
	Replicas int `json:"replicas" example:"3"`
	// Image with pgbouncer, psql, getent and sh, best with its digest. It has no default, because no public registry
	// has the image that the tier is tested with: "dbtier image export pool" makes it. Its PgBouncer must be 1.25.2 or
	// a later 1.25, or an older one with its security fixes, and should be built with c-ares, because libevent's
	// resolver may not recover from a failed lookup. 1.26 and later end clients that are connected while the database
	// user changes, as in a rotation.
	Image string `json:"image" example:"<account>.dkr.ecr.<region>.amazonaws.com/platform/pgbouncer:1.24.1-1_deb13u2"`
	// Command of the container, as a list without a shell. It replaces the image's entrypoint, which in some images
	// rewrites the configuration. Default pgbouncer /etc/pgbouncer/pgbouncer.ini.
	Command []string `json:"command" example:"[/usr/bin/pgbouncer, /etc/pgbouncer/pgbouncer.ini]"`
	// ReloaderImage is the image of the sidecar that makes PgBouncer reload changed files. It needs psql, readlink and
	// sh. Default: Image.
	ReloaderImage string `json:"reloaderImage" example:"<account>.dkr.ecr.<region>.amazonaws.com/psql:16.11"`

	// PoolMode is transaction (default) or session.
	PoolMode string `json:"poolMode"`
	// MaxClientConn is the maximum number of clients of a replica. Default 1000.
	MaxClientConn int `json:"maxClientConn" example:"2000"`
	// DefaultPoolSize is the maximum number of server connections of a replica for one login to one database. Default
	// 20.
	DefaultPoolSize int `json:"defaultPoolSize" example:"25"`
	// ReservePoolSize is how many more it opens when a client has waited 5 s. Default 0.
	ReservePoolSize int `json:"reservePoolSize" example:"5"`
	// SessionPoolSize is the maximum number of server connections of a replica for people and tools that use the
	// service's login with the database <database>-session. They are in session mode and never used for the service.
	// Default 2.
	SessionPoolSize int `json:"sessionPoolSize" example:"1"`
	// ServerResetQueryAlways runs DISCARD ALL on a server connection after each transaction too, so that no SET, lock
	// or temporary table reaches another client. It costs a round trip to the database for each transaction, and
	// prepared statements are prepared again. Without it, only session mode does this, when a client leaves. Default
	// false.
	ServerResetQueryAlways bool `json:"serverResetQueryAlways"`
	// TrackExtraParameters are settings that PgBouncer restores for each client, in addition to those that it always
	// restores. PostgreSQL must report their changes, which it does for few: search_path from version 18 on,
	// default_transaction_read_only from 14 on. Default default_transaction_read_only.
	TrackExtraParameters []string `json:"trackExtraParameters" example:"[default_transaction_read_only, search_path]"`
	// MaxPreparedStatements is how many protocol-level prepared statements a server connection keeps, so that they work
	// in transaction mode. 0 turns this off. Default 200.
	MaxPreparedStatements int `json:"maxPreparedStatements" example:"500"`
	// ServerLifetime is the age at which an unused server connection is replaced, in seconds. Default 3600.
	ServerLifetime int `json:"serverLifetime" example:"1800"`
	// ServerIdleTimeout is how long a server connection may be idle before it is closed, in seconds. Default 600.
	ServerIdleTimeout int `json:"serverIdleTimeout" example:"300"`
	// QueryWaitTimeout is how long a client waits for a server connection, in seconds. Default 120.
	QueryWaitTimeout int `json:"queryWaitTimeout" example:"30"`
	// ServerLoginRetry is how long PgBouncer waits after a failed login to the database, in seconds. PgBouncer's own
	// default of 15 s would prolong every rotation of the password. Default 1.
	ServerLoginRetry int `json:"serverLoginRetry" example:"2"`
	// ServerConnectTimeout is the timeout of a login to the database, in seconds. Default 5.
	ServerConnectTimeout int `json:"serverConnectTimeout" example:"3"`
	// TCPKeepIdle and TCPKeepIntvl (seconds) and TCPKeepCnt (probes) detect a lost peer. Default 30, 10, 3.
	TCPKeepIdle  int `json:"tcpKeepIdle" example:"60"`
	TCPKeepIntvl int `json:"tcpKeepIntvl" example:"5"`
	TCPKeepCnt   int `json:"tcpKeepCnt" example:"5"`
	// TCPUserTimeout is how long sent data may stay unacknowledged, in milliseconds. After a failover the old instance
	// no longer answers. Default 15000.
	TCPUserTimeout int `json:"tcpUserTimeout" example:"30000"`
	// DNSMaxTTL is how long the instance's address is cached, in seconds. The TTL of RDS's names is 5 s. Default 5.
	DNSMaxTTL int `json:"dnsMaxTtl" example:"10"`
	// IgnoreStartupParameters are parameters that clients send and PgBouncer does not know. Default extra_float_digits,
	// for JDBC.
	IgnoreStartupParameters []string `json:"ignoreStartupParameters" example:"[extra_float_digits, options]"`

	// Port of the Service. Default 5432.
	Port int `json:"port" example:"6432"`
	// ContainerPort that PgBouncer listens on. Default 6432.
	ContainerPort int `json:"containerPort" example:"5433"`
	// UID is the user and group to run as, 10001 or higher so that no user of the node has it. Default 10001.
	UID int `json:"uid" example:"10002"`
	// DrainSeconds is how long a terminating pod still accepts connections, until no node routes to it. Default 15.
	DrainSeconds int `json:"drainSeconds" example:"20"`
	// TerminationGracePeriodSeconds is when a terminating pod is killed. It includes DrainSeconds. Default 120.
	TerminationGracePeriodSeconds int `json:"terminationGracePeriodSeconds" example:"180"`
	// RefreshInterval is how often the operator checks for a rotated password, in seconds. Each check is a
	// GetSecretValue request. Default 60.
	RefreshInterval int `json:"refreshInterval" example:"120"`
	// Resources of PgBouncer's container. Default: requests 50m and 64Mi, limits 1 CPU and 128Mi. PgBouncer has one
	// thread, so a limit of 1 CPU never slows it down, and a quota on limits.cpu counts 1 for each pod.
	Resources workload.Resources `json:"resources"`
	// ClientAffinity sends all connections of a client pod to one replica, so that a cancel request reaches the replica
	// that runs its query. Without it, a cancel request reaches a replica by chance. With it, a service with few pods
	// may load one replica only. Default false.
	ClientAffinity bool `json:"clientAffinity"`
	// ClientTLSSecret names a Secret of type kubernetes.io/tls with a certificate for the pool. With it, the pool
	// refuses clients without TLS, and loads a renewed certificate without a restart. Default: clients connect without
	// TLS, and only the NetworkPolicy protects the connection.
	ClientTLSSecret string `json:"clientTlsSecret" example:"pgbouncer-tls"`
	// Metrics are for Prometheus.
	Metrics Metrics `json:"metrics"`
}

// Metrics are the settings of the exporter.
type Metrics struct {
	// Enabled adds the exporter to each pod. Default false.
	Enabled bool `json:"enabled"`
	// Image of prometheus-community's pgbouncer_exporter, 0.11 or later. Older versions keep a connection open, and a
	// terminating pool would wait for it. Its default has a fixed version.
	Image string `json:"image" example:"<account>.dkr.ecr.<region>.amazonaws.com/pgbouncer-exporter:v0.12.1"`
	// Port of the exporter. Default 9127.
	Port int `json:"port" example:"9128"`
	// Namespace of the pods that may scrape. Default monitoring.
	Namespace string `json:"namespace" example:"observability"`
	// ServiceMonitor creates a ServiceMonitor. The CRDs of the Prometheus operator must exist. Default false.
	ServiceMonitor bool `json:"serviceMonitor"`
	// Labels of the ServiceMonitor besides the usual ones. Prometheus selects it by them, often by release. Default
	// none.
	Labels map[string]string `json:"labels" example:"{release: prometheus}"`
	// IntervalSeconds between two scrapes. Each scrape opens a connection to the console. Default 30.
	IntervalSeconds int `json:"intervalSeconds" example:"15"`
	// Resources of the exporter. Default: requests 5m and 16Mi, limits 50m and 32Mi.
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
	tlsDir    = "/etc/pgbouncer-tls"
)

// DefaultExporterImage is the default of [Metrics].Image.
const DefaultExporterImage = "prometheuscommunity/pgbouncer-exporter:v0.12.1"

// Defaults returns the default [Settings], without the image.
func Defaults() Settings {
	return Settings{
		Name:                          "pgbouncer",
		Replicas:                      2,
		Command:                       []string{"pgbouncer", ConfigFile},
		PoolMode:                      Transaction,
		MaxClientConn:                 1000,
		DefaultPoolSize:               20,
		SessionPoolSize:               2,
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
		TrackExtraParameters:          []string{"default_transaction_read_only"},
		IgnoreStartupParameters:       []string{"extra_float_digits"},
		Port:                          5432,
		ContainerPort:                 6432,
		UID:                           workload.DefaultUID,
		DrainSeconds:                  15,
		TerminationGracePeriodSeconds: 120,
		RefreshInterval:               60,
		Resources: workload.Resources{
			CPURequest: "50m", MemoryRequest: "64Mi", CPULimit: "1", MemoryLimit: "128Mi",
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

func (s *Settings) perPair() int { return s.DefaultPoolSize + s.ReservePoolSize }

// longestName leaves room for the longest suffix that this component adds to the name.
const longestName = naming.LabelLimit - len("-login-reader")

// MissingImage is what the fault of a missing image says.
const MissingImage = "is missing: run `dbtier image export pool --output pool.tar`, push it to a registry that the " +
	"cluster can read, and name it with its digest"

// NameFor returns the pool's name in a namespace with several services: <service>-pgbouncer.
func NameFor(service string) string { return naming.Join(longestName, service, "pgbouncer") }

// Validate reports every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	faults.Check(validation.Label.Matches(s.Name) && len(s.Name) <= longestName && s.Name[0] >= 'a', "name", s.Name,
		"want 1 to %d lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen",
		longestName)
	faults.Between("replicas", s.Replicas, 1, 50, "")
	if s.Image == "" {
		faults.Check(false, "image", nil, MissingImage)
	} else {
		workload.CheckImage(&faults, "image", s.Image)
	}
	if s.ReloaderImage != "" {
		workload.CheckImage(&faults, "reloaderImage", s.ReloaderImage)
	}
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
	faults.Between("sessionPoolSize", s.SessionPoolSize, 1, 5000, "server connections")
	faults.Check(s.DefaultPoolSize <= s.MaxClientConn, "defaultPoolSize", s.DefaultPoolSize,
		"is more than maxClientConn (%d): there can never be enough clients to use them", s.MaxClientConn)
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
	faults.Names("trackExtraParameters", s.TrackExtraParameters, validation.StartupParameter)
	faults.Names("ignoreStartupParameters", s.IgnoreStartupParameters, validation.StartupParameter)
}

func (s *Settings) validatePod(faults *fault.List) {
	faults.Between("port", s.Port, 1, 65535, "")
	faults.Between("containerPort", s.ContainerPort, 1024, 65535, "")
	faults.Between("uid", s.UID, workload.DefaultUID, 1<<31-1, "")
	faults.Between("drainSeconds", s.DrainSeconds, 1, 300, "seconds")
	faults.Check(s.TerminationGracePeriodSeconds >= s.DrainSeconds+10 && s.TerminationGracePeriodSeconds <= 3600,
		"terminationGracePeriodSeconds", s.TerminationGracePeriodSeconds,
		"want at least 10 seconds more than drainSeconds (%d), and at most 3600: the pod needs them for its last "+
			"clients",
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
			"has nothing to scrape; set enabled to true as well")
		return faults.Err()
	}
	workload.CheckImage(&faults, "image", m.Image)
	faults.Between("port", m.Port, 1024, 65535, "")
	faults.Check(m.Port != poolPort, "port", m.Port, "is the pool's containerPort; want another port, for example 9127")
	faults.Form("namespace", m.Namespace, validation.Label)
	checkLabels(&faults, "labels", m.Labels)
	faults.Between("intervalSeconds", m.IntervalSeconds, 5, 3600, "seconds")
	faults.Within("resources", m.Resources.Validate())
	return faults.Err()
}

func checkLabels(faults *fault.List, path string, labels map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		faults.Check(validation.LabelKey.Matches(key) && validation.LabelValue.Matches(labels[key]), path,
			key+"="+labels[key],
			"want a label, such as %s=myshop-api", contract.NameLabel)
	}
}
