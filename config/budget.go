package config

import (
	"errors"
	"strconv"

	"dbtier/budget"
	"dbtier/components/fault"
)

// Budget is every connection that the stack's tier can open to its instance, and what the instance takes.
func (s *Stack) Budget() budget.Budget {
	b := budget.Budget{Class: s.Database.InstanceClass}
	if n, err := strconv.Atoi(s.Database.Parameters["max_connections"].Value); err == nil {
		b.MaxConnections = n
	}
	if s.Pool.Kind == RDSProxy {
		b.Holders = append(b.Holders, budget.Holder{
			Name: "proxy " + s.Proxy.Name, Setting: "proxy.maxConnectionsPercent", Percent: s.Proxy.MaxConnectionsPercent,
		})
	} else {
		b.Holders = append(b.Holders, budget.Holder{
			Name: "pool " + s.Pool.Name, Instances: s.Pool.Replicas, Setting: "pool.defaultPoolSize", Value: s.Pool.DefaultPoolSize,
			Reserve: s.Pool.ReservePoolSize, Rolling: true,
		})
		if s.IAM.Enabled {
			b.Holders = append(b.Holders, budget.Holder{
				Name: "service with tokens", Instances: s.Consumer.Replicas, Setting: "iam.connections", Value: s.IAM.Connections, Rolling: true,
			})
		}
	}
	if s.Role.PoolUser == RoleUser {
		b.Holders = append(b.Holders, budget.Holder{Name: "bootstrap of the role", Instances: 1, Value: 1})
	}
	if s.Migration.Enabled {
		b.Holders = append(b.Holders, budget.Holder{Name: "migration", Instances: 1, Setting: "migration.connections", Value: s.Migration.Connections})
	}
	for _, client := range s.Network.DirectClients {
		b.Holders = append(b.Holders, budget.Holder{Name: "direct client " + client.Name, Instances: 1, Value: client.Connections})
	}
	return b
}

// checkBudget notes a fault where the connections do not fit. Nobody adds up wrong numbers: the parts must be in order.
func (s *Stack) checkBudget(faults *fault.List) {
	var parts fault.List
	s.validatePool(&parts)
	s.validateIAM(&parts)
	if s.Database.Validate() != nil || parts.Err() != nil || (s.IAM.Enabled && s.Consumer.validate() != nil) || s.Network.validate() != nil || (s.Migration.Enabled && s.Migration.validate() != nil) {
		return
	}
	b := s.Budget()
	err := b.Check()
	var unknown *budget.UnknownClassError
	parameter, set := s.Database.Parameters["max_connections"]
	switch {
	case err == nil:
	case errors.As(err, &unknown) && set:
		faults.Add("database.parameters.max_connections.value", parameter.Value, "want a number, with which the connections of the tier can be compared")
	default:
		faults.Add("database.instanceClass", s.Database.InstanceClass, "%s", err)
	}
}
