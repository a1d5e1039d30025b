package config

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/eso"
	"dbtier/components/fault"
	"dbtier/components/pgbouncer"
	"dbtier/validation"
)

// Pool is what stands between the service and its database: PgBouncer, whose settings are these, or RDS Proxy, whose
// settings are the section proxy.
type Pool struct {
	pgbouncer.Settings
	// Kind is pgbouncer (default) or rdsProxy.
	Kind PoolKind `json:"kind"`
	// Databases of the instance that the pool leads to besides the service's own. They must be there, and the database
	// users in them. Default none.
	Databases []string `json:"databases"`
	// Clients are pods that use the service's own login besides the service's. Default none.
	Clients []PoolClient `json:"clients"`
	// Logins besides the service's own, each a database user of its own. Default none.
	Logins []PoolLogin `json:"logins"`
}

// PoolClient is a group of pods that may connect to the pool.
type PoolClient struct {
	// Namespace of the pods. Default: the service's.
	Namespace string `json:"namespace"`
	// Labels of the pods, at least one.
	Labels map[string]string `json:"labels"`
}

// PoolLogin is a login to the pool with a database user of its own.
type PoolLogin struct {
	// Name that it logs in with: lower-case letters, digits, hyphens and underscores.
	Name string `json:"name"`
	// CredentialArn is a secret of Secrets Manager, in the stack's region, with the username and password of the
	// database user.
	CredentialArn string `json:"credentialArn"`
	// KmsKeyArn encrypts that secret. Default: the key of the database.
	KmsKeyArn string `json:"kmsKeyArn"`
	// CredentialSecret is a Secret of the service's namespace with username and password, in place of CredentialArn.
	CredentialSecret string `json:"credentialSecret"`
	// Databases that it may connect to. Default: the service's own.
	Databases []string `json:"databases"`
	// Secret of the service's namespace that gets its DATABASE_URL. Default: the name and -db.
	Secret string `json:"secret"`
	// PoolSize is how many server connections a replica opens for it to a database. Default: defaultPoolSize.
	PoolSize int `json:"poolSize"`
	// PoolMode of its server connections, transaction or session. Default: the pool's.
	PoolMode string `json:"poolMode"`
	// Clients are the pods that log in with it. Default: those of the service's namespace whose label
	// app.kubernetes.io/name is its name.
	Clients []PoolClient `json:"clients"`
}

// Reconnects says that the pool opens new connections after a migration.
func (s *Stack) Reconnects() bool {
	return s.Pool.Kind == PgBouncer && s.Migration.Enabled && s.Migration.Reconnect
}

// DatabaseNames are all databases that the pool leads to, the service's own first.
func (s *Stack) DatabaseNames() []string {
	return append([]string{s.Database.DatabaseName}, s.Pool.Databases...)
}

// PoolLogins are the logins besides the service's own; secrets of Secrets Manager are read through the store.
func (s *Stack) PoolLogins(store eso.StoreRef) []pgbouncer.Login {
	var logins []pgbouncer.Login
	for _, login := range s.Pool.Logins {
		credential := pgbouncer.Credential{Key: pulumi.String(login.CredentialSecret)}
		if login.CredentialArn != "" {
			credential = pgbouncer.Credential{Store: store, Key: pulumi.String(login.CredentialArn)}
		}
		logins = append(logins, pgbouncer.Login{
			Name: login.Name, Credential: credential, Databases: login.Databases, Secret: login.Secret,
			PoolSize: login.PoolSize, PoolMode: login.PoolMode,
			Clients: clients(login.Clients),
		})
	}
	return logins
}

// PoolClients are the pods that use the service's login: the service's own, and those that are named.
func (s *Stack) PoolClients() []pgbouncer.Client {
	own := pgbouncer.Client{Labels: map[string]string{"app.kubernetes.io/name": s.Consumer.Name}}
	return append([]pgbouncer.Client{own}, clients(s.Pool.Clients)...)
}

func clients(given []PoolClient) []pgbouncer.Client {
	var out []pgbouncer.Client
	for _, client := range given {
		out = append(out, pgbouncer.Client{Namespace: client.Namespace, Labels: client.Labels})
	}
	return out
}

func (s *Stack) validatePgBouncer() error {
	var faults fault.List
	faults.Within("", s.Pool.Validate())
	for i, name := range s.Pool.Databases {
		at := fmt.Sprintf("databases[%d]", i)
		faults.Form(at, name, validation.SQLName)
		faults.Check(slices.Index(s.DatabaseNames(), name) == i+1, at, name,
			"is named twice, or is the service's own database")
	}
	for i := range s.Pool.Logins {
		faults.Within(fmt.Sprintf("logins[%d]", i), s.Pool.Logins[i].validate(s.AWS.Region))
	}
	args := &pgbouncer.PgBouncerPoolArgs{
		Settings: s.Pool.Settings, Service: s.Consumer.Name, Namespace: s.Service.Namespace,
		Credential: pgbouncer.Credential{Key: pulumi.String("secret")},
		Logins:     s.PoolLogins(eso.StoreRef{Kind: "SecretStore", Name: pulumi.String("store")}),
		// The service's own pods are in order.
		Clients: clients(s.Pool.Clients),
	}
	for _, name := range s.DatabaseNames() {
		args.Databases = append(args.Databases, pgbouncer.Database{Name: name})
	}
	faults.Within("", args.ValidateLogins())
	return faults.Err()
}

// validate checks what is of AWS; the rest is the component's to check.
func (l *PoolLogin) validate(region string) error {
	var faults fault.List
	faults.Check((l.CredentialArn == "") != (l.CredentialSecret == ""), "credentialArn", l.CredentialArn,
		"want either credentialArn or credentialSecret: the secret with the username and password of the database user")
	if l.CredentialArn != "" {
		checkSecretArn(&faults, "credentialArn", l.CredentialArn, region)
	}
	faults.OptionalForm("kmsKeyArn", l.KmsKeyArn, validation.KeyArn)
	return faults.Err()
}

func checkSecretArn(faults *fault.List, path, arn, region string) {
	found := validation.SecretArn.Submatches(arn)
	if faults.Check(found != nil, path, arn,
		"want the whole ARN of a secret, with the six characters that Secrets Manager puts behind its name") {
		faults.Check(found[1] == region, path, arn,
			"is in another region than the stack (%s), whose store cannot read it; replicate it there", region)
	}
}

// checkClients adds a fault if the service can open more connections to the pool than the pool accepts. As for the
// budget, one replica of the pool may be away, and an update has old and new pods of the service.
func (s *Stack) checkClients(faults *fault.List) {
	pods, serving := s.Consumer.MostReplicas(), max(s.Pool.Replicas-1, 1)
	most := 2 * pods * s.Consumer.Connections
	faults.Check(most <= serving*s.Pool.MaxClientConn, "pool.maxClientConn", s.Pool.MaxClientConn,
		"is too few: %d pods × consumer.connections %d × 2 (old and new pods of an update) = %d, and the pool "+
			"accepts %d "+
			"while one of its replicas is away; want %d, or more pool.replicas, or fewer connections a pod",
		pods, s.Consumer.Connections, most, serving*s.Pool.MaxClientConn, (most+serving-1)/serving)
}
