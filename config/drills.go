package config

import (
	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/components/pgbouncer"
	"dbtier/components/workload"
)

// Drills prepares the stack for `dbtier drill`, which causes a fault under a load and accounts for every write.
type Drills struct {
	// Enabled creates the schema dbtier_drills in the database, with the tables that the load writes, and lets the load
	// reach the pool and the database. false removes the schema. Default false.
	Enabled bool `json:"enabled"`
	// Image of the load. `dbtier image export load` writes it for a registry of one's own.
	Image string `json:"image" example:"<account>.dkr.ecr.<region>.amazonaws.com/load:1.0.0"`
	// Connections that the load opens at most, 6 to 1000: to the pool, or with --direct to the database itself. Default
	// 24.
	Connections int `json:"connections" example:"60"`
}

func defaultDrills() Drills { return Drills{Connections: 24} }

func (s *Stack) validateDrills() error {
	d := s.Drills
	if !d.Enabled {
		return nil
	}
	var faults fault.List
	if d.Image == "" {
		faults.Add("image", nil, "is missing: the image of the load; write it to a file with `dbtier image export "+
			"load --output load.tar`, and push it to your registry")
	} else {
		workload.CheckImage(&faults, "image", d.Image)
	}
	faults.Between("connections", d.Connections, 6, 1000, "of all clients of the load together")
	faults.Check(s.Role.PoolUser != MasterUser, "enabled", true,
		"needs the application's own role, and role.poolUser is %s: the master user could do more in the drill than "+
			"the service; set role.poolUser to %s, or drills.enabled to false", MasterUser, RoleUser)
	return faults.Err()
}

// drillClients are the pods of the load, which use the service's login to the pool.
func (s *Stack) drillClients() []pgbouncer.Client {
	if !s.Drills.Enabled {
		return nil
	}
	return []pgbouncer.Client{{Labels: map[string]string{contract.NameLabel: contract.DrillPod(s.Consumer.Name)}}}
}

// drillConnections are the connections that a drill adds to those of the service.
func (s *Stack) drillConnections() int {
	if !s.Drills.Enabled {
		return 0
	}
	return s.Drills.Connections
}
