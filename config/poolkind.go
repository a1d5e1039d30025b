package config

import (
	"maps"
	"reflect"
	"slices"

	"dbtier/components/fault"
)

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
