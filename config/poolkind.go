package config

import (
	"maps"
	"reflect"
	"slices"

	"dbtier/components/fault"
)

// PoolKind is what stands between the service and its database.
type PoolKind string

const (
	// PgBouncer is a pool of the service's own in the cluster.
	PgBouncer PoolKind = "pgbouncer"
	// RDSProxy is the pool that AWS runs. The local cloud has none.
	RDSProxy PoolKind = "rdsProxy"
)

// unused notes the settings of the pool that the stack does not have: whoever wrote them expects them to do something.
func (p *Pool) unused(faults *fault.List, values map[string]any) {
	if p.Kind != RDSProxy {
		_, given := values["proxy"]
		faults.Check(!given, "proxy", nil,
			"is RDS Proxy's, and pool.kind is %s: it would go unused; set pool.kind to %s, or leave it out", p.Kind,
			RDSProxy)
		return
	}
	given, _ := values["pool"].(map[string]any)
	known := fieldsOf(reflect.ValueOf(p).Elem())
	for _, key := range slices.Sorted(maps.Keys(given)) {
		faults.Check(key == "kind" || !known[key].IsValid(), "pool."+key, given[key],
			"is PgBouncer's, and pool.kind is %s: it would go unused; the settings of RDS Proxy are the section proxy",
			p.Kind)
	}
}

// validatePool checks what stands between the service and its database, and that it is one thing.
func (s *Stack) validatePool(faults *fault.List) {
	fault.OneOf(faults, "pool.kind", s.Pool.Kind, PgBouncer, RDSProxy)
	if s.Pool.Kind != RDSProxy {
		faults.Within("pool", s.validatePgBouncer())
		return
	}
	faults.Check(s.Cloud != Local, "pool.kind", s.Pool.Kind, "the local cloud has no RDS Proxy; use %s there",
		PgBouncer)
	faults.Within("proxy", s.Proxy.Validate())
}

// ProxyUsers are the database users who may come through RDS Proxy, the one that the service is first. The user of the
// last generation goes on working until the next.
func (s *Stack) ProxyUsers() []string {
	users := []string{s.DatabaseUser()}
	if s.Role.PoolUser == RoleUser && s.Role.Generation > 1 {
		before := s.Role.Settings
		before.Generation--
		users = append(users, before.User())
	}
	return users
}
