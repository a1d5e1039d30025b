package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/fault"
	"dbtier/components/pgbouncer"
	"dbtier/validation"
)

// Pool is the connection pool between the service and its database. These are the settings of PgBouncer; those of RDS
// Proxy are in the section proxy.
type Pool struct {
	pgbouncer.Settings
	// Kind is pgbouncer (default) or rdsProxy.
	Kind PoolKind `json:"kind"`
	// Databases of the instance that the pool serves in addition to the service's own. They and their users must exist.
	// Default none.
	Databases []string `json:"databases" example:"[reports]"`
	// Clients are pods that use the service's login, in addition to the service's own pods. Default none.
	Clients []pgbouncer.Client `json:"clients"`
	// Logins to the pool in addition to the service's own. Each has its own database user. Default none.
	Logins []PoolLogin `json:"logins"`
}

// PoolLogin is a login to the pool with its own database user.
type PoolLogin struct {
	pgbouncer.Login
	// CredentialArn is a secret of Secrets Manager, in the stack's region, with the username and password of the
	// database user.
	CredentialArn string `json:"credentialArn" example:"arn:aws:secretsmanager:<region>:<account>:secret:db-AbCdEf"`
	// KmsKeyArn is the key that encrypts the secret. Default: the key of the database.
	KmsKeyArn string `json:"kmsKeyArn" example:"arn:aws:kms:<region>:<account>:key/<uuid>"`
	// CredentialSecret is a Secret of the service's namespace with the username and password, instead of CredentialArn.
	CredentialSecret string `json:"credentialSecret" example:"reports-credential"`
}

// Reconnects is true if the pool opens new connections after a migration.
func (s *Stack) Reconnects() bool {
	return s.Pool.Kind == PgBouncer && s.Migration.Enabled && s.Migration.Reconnect
}

// DatabaseNames are all databases that the pool serves, the service's own first.
func (s *Stack) DatabaseNames() []string {
	return append([]string{s.Database.DatabaseName}, s.Pool.Databases...)
}

// PoolLogins are the logins in addition to the service's own. Secrets of Secrets Manager are read through the store.
func (s *Stack) PoolLogins(store eso.StoreRef) []pgbouncer.Login {
	var logins []pgbouncer.Login
	for i := range s.Pool.Logins {
		login := s.Pool.Logins[i].Login
		login.Credential = pgbouncer.Credential{Key: pulumi.String(s.Pool.Logins[i].CredentialSecret)}
		if arn := s.Pool.Logins[i].CredentialArn; arn != "" {
			login.Credential = pgbouncer.Credential{Store: store, Key: pulumi.String(arn)}
		}
		logins = append(logins, login)
	}
	return logins
}

// PoolClients are the pods that use the service's login.
func (s *Stack) PoolClients() []pgbouncer.Client {
	own := pgbouncer.Client{Labels: map[string]string{contract.NameLabel: s.Consumer.Name}}
	return slices.Concat([]pgbouncer.Client{own}, s.drillClients(), s.Pool.Clients)
}

func (s *Stack) validatePgBouncer() error {
	var faults fault.List
	faults.Within("", s.Pool.Validate())
	for i, name := range s.Pool.Databases {
		at := fmt.Sprintf("databases[%d]", i)
		faults.Form(at, name, validation.SQLName)
		faults.Check(name != pgbouncer.ConsoleDatabase, at, name, "is the name of PgBouncer's console; want another "+
			"database")
		faults.Check(slices.Index(s.DatabaseNames(), name) == i+1, at, name,
			"is named twice, or is the service's own database")
	}
	for i := range s.Pool.Logins {
		faults.Within(fmt.Sprintf("logins[%d]", i), s.Pool.Logins[i].validate())
	}
	args := &pgbouncer.PgBouncerPoolArgs{
		Settings: s.Pool.Settings, Service: s.Consumer.Name, Logins: s.PoolLogins(eso.StoreRef{}),
		Clients: s.Pool.Clients,
	}
	for _, name := range s.DatabaseNames() {
		args.Databases = append(args.Databases, pgbouncer.Database{Name: name})
	}
	faults.Within("", args.ValidateLogins())
	return faults.Err()
}

// validate checks the credential. The component validates the rest.
func (l *PoolLogin) validate() error {
	var faults fault.List
	faults.Check((l.CredentialArn == "") != (l.CredentialSecret == ""), "credentialArn", l.CredentialArn,
		"want either credentialArn or credentialSecret: the secret with the username and password of the database user")
	faults.OptionalForm("credentialArn", l.CredentialArn, validation.SecretArn)
	faults.OptionalForm("kmsKeyArn", l.KmsKeyArn, validation.KeyArn)
	return faults.Err()
}

// checkClients adds a fault if the service can open more connections to the pool than the pool accepts. As for the
// budget, one replica of the pool may be away, and an update has old and new pods of the service.
func (s *Stack) checkClients(faults *fault.List) {
	pods, serving := s.Consumer.MostReplicas(), max(s.Pool.Replicas-1, 1)
	terms := fmt.Sprintf("%d pods × consumer.connections %d × 2 (old and new pods of an update)", pods,
		s.Consumer.Connections)
	most := 2*pods*s.Consumer.Connections + s.drillConnections()
	if s.Drills.Enabled {
		terms += fmt.Sprintf(" + drills.connections %d", s.Drills.Connections)
	}
	faults.Check(most <= serving*s.Pool.MaxClientConn, "pool.maxClientConn", s.Pool.MaxClientConn,
		"is too few: %s = %d, and the pool accepts %d while one of its replicas is away; want %d, or more "+
			"pool.replicas, or fewer connections a pod",
		terms, most, serving*s.Pool.MaxClientConn, (most+serving-1)/serving)
}

// closing is how many seconds before its end an old pod of PgBouncer should have lost its last client.
const closing = 10

// checkLifetime adds a fault if the service keeps its connections longer than an old pod of the pool serves them. The
// pod accepts new connections until drainSeconds are over.
func (s *Stack) checkLifetime(faults *fault.List) {
	lifetime := s.Consumer.ConnectionMaxLifetimeSeconds
	most := s.Pool.TerminationGracePeriodSeconds - s.Pool.DrainSeconds - closing
	faults.Check(lifetime <= most, "consumer.connectionMaxLifetimeSeconds", lifetime,
		"is too long: an old pod of the pool serves a connection for %d seconds at most "+
			"(pool.terminationGracePeriodSeconds %d less pool.drainSeconds %d, and %d to close); want at most that, "+
			"or a longer grace period", most, s.Pool.TerminationGracePeriodSeconds, s.Pool.DrainSeconds, closing)
}

// PoolKind is the kind of connection pool between the service and its database.
type PoolKind string

const (
	// PgBouncer runs in the cluster, in the service's namespace.
	PgBouncer PoolKind = "pgbouncer"
	// RDSProxy is run by AWS. The local cloud does not have it.
	RDSProxy PoolKind = "rdsProxy"
)

// checkUnused adds a fault for each setting of the kind of pool that the stack does not have.
func (p *Pool) checkUnused(faults *fault.List, values map[string]any) {
	if p.Kind != RDSProxy {
		_, given := values["proxy"]
		faults.Check(!given, "proxy", nil,
			"is for RDS Proxy, and pool.kind is %s: it would have no effect; set pool.kind to %s, or leave it out",
			p.Kind,
			RDSProxy)
		return
	}
	given, _ := values["pool"].(map[string]any)
	known := fieldsOf(reflect.ValueOf(p).Elem())
	for _, key := range slices.Sorted(maps.Keys(given)) {
		faults.Check(key == "kind" || !known[key].IsValid(), "pool."+key, given[key],
			"is for PgBouncer, and pool.kind is %s: it would have no effect; the settings of RDS Proxy are in the "+
				"section proxy",
			p.Kind)
	}
}

// validatePool validates the sections pool and proxy.
func (s *Stack) validatePool() error {
	var faults fault.List
	fault.OneOf(&faults, "pool.kind", s.Pool.Kind, PgBouncer, RDSProxy)
	if s.Pool.Kind != RDSProxy {
		faults.Within("pool", s.validatePgBouncer())
		return faults.Err()
	}
	faults.Check(s.Cloud != Local, "pool.kind", s.Pool.Kind, "the local cloud has no RDS Proxy; use %s there",
		PgBouncer)
	faults.Within("proxy", s.Proxy.Validate())
	return faults.Err()
}

// ProxyUsers are the database users that may connect through RDS Proxy, the service's first. The user of the previous
// generation keeps working until the next rotation.
func (s *Stack) ProxyUsers() []string {
	users := []string{s.DatabaseUser()}
	if s.Role.PoolUser == RoleUser && s.Role.Generation > 1 {
		before := s.Role.Settings
		before.Generation--
		users = append(users, before.User())
	}
	return users
}
