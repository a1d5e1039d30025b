package config

import (
	"fmt"
	"strconv"

	"dbtier/budget"
	"dbtier/components/fault"
	"dbtier/validation/rdsrules"
)

// connections are all connections that the tier can open to its instance, and how many the instance accepts. The pool's
// exporter and the Job that makes it reconnect do not count: they connect to PgBouncer's console.
func (s *Stack) connections() budget.Budget {
	b := budget.Budget{Class: s.Database.InstanceClass}
	if value := s.Database.Parameters["max_connections"].Value; value != "" {
		if n, err := rdsrules.MaxConnections(b.Class, value); err == nil {
			b.MaxConnections = n
		}
		if _, err := strconv.Atoi(value); err != nil {
			b.Formula = value
		}
	}
	if s.Pool.Kind == RDSProxy {
		b.Holders = append(b.Holders, budget.Holder{
			Name: "proxy " + s.Proxy.Name, Setting: "proxy.maxConnectionsPercent",
			Percent: s.Proxy.MaxConnectionsPercent,
		})
	} else {
		b.Holders = append(b.Holders, s.poolHolders()...)
		if s.IAM.Enabled {
			b.Holders = append(b.Holders, budget.Holder{
				Name: "service with tokens", Instances: s.Consumer.MostReplicas(), Setting: "iam.connections",
				Value: s.IAM.Connections, Rolling: true,
			})
		}
	}
	if s.Role.PoolUser == RoleUser {
		b.Holders = append(b.Holders, budget.Holder{Name: "bootstrap of the role", Instances: 1, Value: 1})
	}
	if s.Migration.Enabled {
		b.Holders = append(b.Holders, budget.Holder{
			Name: "migration", Instances: 1, Setting: "migration.connections", Value: s.Migration.Connections,
		})
	}
	if s.Drills.Enabled {
		b.Holders = append(b.Holders, budget.Holder{
			Name: "load of a drill with --direct", Instances: 1, Setting: "drills.connections",
			Value: s.Drills.Connections,
		})
	}
	for i, client := range s.Network.DirectClients {
		holder := budget.Holder{Name: "direct client " + client.Name, Instances: 1, Value: client.Connections}
		if client.ConnectionsPerPod > 0 {
			holder.Instances, holder.Value, holder.Rolling = client.Replicas, client.ConnectionsPerPod, true
			holder.Setting = fmt.Sprintf("network.directClients[%d].connectionsPerPod", i)
		}
		b.Holders = append(b.Holders, holder)
	}
	return b
}

// poolHolders returns the pools of server connections. Each pair of login and database has a pool. Pools of the same
// size are one holder.
func (s *Stack) poolHolders() []budget.Holder {
	own := budget.Holder{
		Name: "pool " + s.Pool.Name, Instances: s.Pool.Replicas, Setting: "pool.defaultPoolSize",
		Value:   s.Pool.DefaultPoolSize,
		Reserve: s.Pool.ReservePoolSize, Pairs: len(s.DatabaseNames()), Rolling: true,
	}
	others := []budget.Holder{{
		Name: "pool " + s.Pool.Name + " for people and tools", Instances: s.Pool.Replicas,
		Setting: "pool.sessionPoolSize", Value: s.Pool.SessionPoolSize, Pairs: len(s.DatabaseNames()), Rolling: true,
	}}
	for i, login := range s.Pool.Logins {
		pairs := max(len(login.Databases), 1)
		if login.PoolSize == 0 {
			own.Pairs += pairs
			continue
		}
		others = append(others, budget.Holder{
			Name: fmt.Sprintf("pool %s for %s", s.Pool.Name, login.Name), Instances: s.Pool.Replicas,
			Setting: fmt.Sprintf("pool.logins[%d].poolSize", i),
			Value:   login.PoolSize, Reserve: s.Pool.ReservePoolSize, Pairs: pairs, Rolling: true,
		})
	}
	return append([]budget.Holder{own}, others...)
}

// checkBudget adds a fault if the connections do not fit.
func (s *Stack) checkBudget(faults *fault.List) {
	const path = "database.parameters.max_connections.value"
	if value := s.Database.Parameters["max_connections"].Value; value != "" {
		n, err := rdsrules.MaxConnections(s.Database.InstanceClass, value)
		switch {
		case err != nil:
			faults.Add(path, value, "%s; want a number, so that the connections of the tier can be compared with "+
				"it", err)
			return
		case n <= budget.ReservedConnections:
			faults.Add(path, value, "is %d on %s, of which RDS reserves %d; want more", n, s.Database.InstanceClass,
				budget.ReservedConnections)
			return
		}
	}
	if err := s.Budget.Check(); err != nil {
		faults.Add("database.instanceClass", s.Database.InstanceClass, "%s", err)
	}
}
