package config

import (
	"dbtier/components/fault"
	"dbtier/components/workload"
)

// Scheduling says where all pods of the stack run. A key of operator, pool, jobs or service replaces the same key of
// the section for these pods.
type Scheduling struct {
	workload.Scheduling
	// Operator are the pods of the External Secrets Operator, if the stack installs it.
	Operator workload.Scheduling `json:"operator"`
	// Pool are the pods of PgBouncer.
	Pool workload.Scheduling `json:"pool"`
	// Jobs are bootstrap, migration and reconnect.
	Jobs workload.Scheduling `json:"jobs"`
	// Service are the service's pods.
	Service workload.Scheduling `json:"service"`
}

// OfOperator is the scheduling of the operator's pods.
func (s *Scheduling) OfOperator() workload.Scheduling { return s.Operator.Over(s.Scheduling) }

// OfPool is the scheduling of the pool's pods.
func (s *Scheduling) OfPool() workload.Scheduling { return s.Pool.Over(s.Scheduling) }

// OfJobs is the scheduling of the Jobs' pods.
func (s *Scheduling) OfJobs() workload.Scheduling { return s.Jobs.Over(s.Scheduling) }

// OfService is the scheduling of the service's pods.
func (s *Scheduling) OfService() workload.Scheduling { return s.Service.Over(s.Scheduling) }

func (s *Scheduling) validate() error {
	var faults fault.List
	faults.Within("", s.Validate())
	faults.Within("operator", s.Operator.Validate())
	faults.Within("pool", s.Pool.Validate())
	faults.Within("jobs", s.Jobs.Validate())
	faults.Within("service", s.Service.Validate())
	return faults.Err()
}
