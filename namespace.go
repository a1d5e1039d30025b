package main

import (
	"slices"

	"dbtier/components/contract"
	"dbtier/components/databaserole"
	"dbtier/components/migrationjob"
	"dbtier/components/servicenamespace"
	"dbtier/config"
)

// addNamespace creates the service's namespace, in which only the holders of connections reach the database.
func (t *tier) addNamespace() error {
	namespace, err := servicenamespace.NewServiceNamespace(t.ctx, "namespace", &servicenamespace.ServiceNamespaceArgs{
		Name:           t.stack.Service.Namespace,
		PartOf:         t.stack.Service.Name,
		ServiceAccount: t.stack.Consumer.Name,
		Existing:       t.stack.Service.ExistingNamespace,
		DatabaseCIDRs:  t.stack.Network.DatabaseCIDRs,
		DatabasePort:   t.stack.Database.Port,
		Holders:        t.holders(),
		Open:           t.open(),
		Protect:        t.stack.Database.DeletionProtection,
	}, t.providers)
	if err != nil {
		return err
	}
	t.namespace = namespace
	t.prepared = slices.Concat(namespace.Ready, t.prepared)
	return nil
}

// open are the name labels of the holders that may reach every address: a service that connects to the database or to
// the proxy itself, and the load of a drill.
func (t *tier) open() []string {
	service := t.stack.Consumer.Name
	switch {
	case t.pool.inDatabaseSubnets() && t.stack.Drills.Enabled:
		return []string{service, contract.DrillPod(service)}
	case t.pool.inDatabaseSubnets() || t.stack.IAM.Enabled:
		return []string{service}
	default:
		return nil
	}
}

// holders are the name labels of the pods that the namespace's rule for the database does not restrict.
func (t *tier) holders() []string {
	service := t.stack.Consumer.Name
	holders := slices.Concat(t.pool.holders(), []string{migrationjob.PodName(service)}, t.open())
	if drill := contract.DrillPod(service); t.stack.Drills.Enabled && !slices.Contains(holders, drill) {
		holders = append(holders, drill)
	}
	for _, client := range t.stack.Network.DirectClients {
		holders = append(holders, client.Name)
	}
	if t.stack.Role.PoolUser == config.RoleUser {
		holders = append(holders, databaserole.PodName(t.stack.RoleObjects()))
	}
	if t.stack.Reconnects() {
		// These pods have a narrower rule. The namespace's rule would widen it, because rules add up.
		holders = append(holders, migrationjob.ReconnectPodName(service))
	}
	return holders
}
