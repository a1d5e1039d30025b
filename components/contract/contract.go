package contract

import (
	"fmt"

	"dbtier/components/naming"
)

// Environment variables of a service's pods.
const (
	// DatabaseURL is the PostgreSQL URL of the database. It is also the key of the Secrets that hold such a URL.
	DatabaseURL = "DATABASE_URL"
	// DatabaseIAMURL is the URL without a password, for services that log in with IAM tokens.
	DatabaseIAMURL = "DATABASE_IAM_URL"
	// ConnectionMaxLifetime is the number of seconds after which the service closes a connection to its pool.
	ConnectionMaxLifetime = "DATABASE_CONNECTION_MAX_LIFETIME_SECONDS"
)

// Keys of Secrets and ConfigMaps.
const (
	// UsernameKey and PasswordKey are the keys of a login.
	UsernameKey = "username"
	PasswordKey = "password"
	// CAKey is the key of the certificates, in PEM, that verify a server.
	CAKey = "ca.pem"
)

// Files that pods verify servers with. Each is [CAKey] of a mounted ConfigMap. URLs in Secrets name these paths.
const (
	// CAPath verifies the instance.
	CAPath = "/etc/rds-ca/ca.pem"
	// ProxyCAPath verifies RDS Proxy.
	ProxyCAPath = "/etc/database-ca/ca.pem"
)

// Labels of Kubernetes objects.
const (
	// NameLabel is the label that Services, NetworkPolicies and people select pods by.
	NameLabel = "app.kubernetes.io/name"
	// PartOfLabel names the service that an object belongs to.
	PartOfLabel = "app.kubernetes.io/part-of"
	// ManagedByLabel is [ManagedBy] on every object of the tier.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = "dbtier"
	// NamespaceLabel holds a namespace's name. Kubernetes sets it, and it cannot be removed.
	NamespaceLabel = "kubernetes.io/metadata.name"
)

// Object returns the name of an object of a service: the service and the parts, joined by hyphens and cut to a DNS
// label.
func Object(service string, parts ...string) string {
	return naming.Join(naming.LabelLimit, append([]string{service}, parts...)...)
}

// DatabaseSecret returns the name of the Secret with the service's DATABASE_URL: <service>-db.
func DatabaseSecret(service string) string { return Object(service, "db") }

// DirectSecret returns the name of the Secret whose DATABASE_URL leads to the instance itself: <service>-db-direct.
func DirectSecret(service string) string { return Object(service, "db", "direct") }

// DirectCA returns the name of the ConfigMap with the certificates of the instance: <service>-rds-ca.
func DirectCA(service string) string { return Object(service, "rds", "ca") }

// DrillPod returns the name of the pod that puts a load on the pool during a drill, and of its label: <service>-drill.
func DrillPod(service string) string { return Object(service, "drill") }

// URL returns a PostgreSQL URL that verifies the server with the certificates in caFile. The login is user or
// user:password, encoded for a URL.
func URL(login, host string, port int, database, caFile string) string {
	return fmt.Sprintf("postgresql://%s@%s:%d/%s?sslmode=verify-full&sslrootcert=%s", login, host, port, database,
		caFile)
}
