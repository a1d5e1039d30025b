package drill

import (
	"context"
	"errors"
	"fmt"
)

// Scenario is one fault that can be tried.
type Scenario struct {
	// Name of the drill, for example failover.
	Name string
	// Does says in one line what the drill does.
	Does string
	// Shows says what heals the fault and what clients should see.
	Shows string
	// Updates is true for drills that update the stack, so that it must have no changes that wait for an update.
	Updates bool
	// LocalOnly is true for faults that only the local cloud can cause and end safely.
	LocalOnly bool
	// Restores is true for drills that compare a restored database with the writes of the load.
	Restores bool
	// Waits is true for drills in which requests wait for longer than clients usually do.
	Waits bool

	// needs returns an error if the stack cannot have the fault. It may be nil.
	needs func(*Target) error
	// cause causes the fault and returns when it has healed.
	cause func(*Runner, context.Context) error
	// undo ends what cause has begun, at any moment of it. It may be nil, and it may run twice.
	undo func(*Runner, context.Context) error
}

// Scenarios returns all drills, in the order in which they are listed.
func Scenarios() []*Scenario {
	return []*Scenario{
		{
			Name: "rotate-master", Does: "Rotate the password of the master user",
			Shows: "RDS sets a new password and writes it to Secrets Manager. The pool logs in as the application's " +
				"role, so no request should notice it.",
			cause: (*Runner).rotateMaster,
		},
		{
			Name: "rotate-application", Does: "Rotate the password of the application's role, twice",
			Shows: "An update gives the other of the role's two users a new password, and the pool changes to it. A " +
				"second update goes back to the generation of the stack's file. No request should notice either.",
			Updates: true, cause: (*Runner).rotateApplication, undo: (*Runner).updateBack,
		},
		{
			Name: "failover", Does: "Fail over to the standby in another zone",
			Shows: "RDS ends the primary and moves the endpoint's name to the standby. The pool finds the new " +
				"address and opens new connections. Requests that were under way fail.",
			needs: needsMultiAZ, cause: (*Runner).failover,
		},
		{
			Name: "reboot", Does: "Reboot the DB instance in its place",
			Shows: "PostgreSQL ends and starts again. The pool holds new requests until it can connect. Requests " +
				"that were under way fail.",
			cause: (*Runner).reboot,
		},
		{
			Name: "planned-reboot", Does: "Reboot the DB instance while the pool is paused",
			Shows: "The pool lets transactions end and holds new ones until the instance is back. Requests wait, and " +
				"none should fail: the load waits for 100 s, and the pool for pool.queryWaitTimeout. A pause ends " +
				"by itself after 90 s.",
			Waits: true, needs: needsPgBouncer, cause: (*Runner).plannedReboot, undo: (*Runner).endPause,
		},
		{
			Name: "pool-rollout", Does: "Replace the pods of PgBouncer one by one",
			Shows: "New pods take new connections at once. An old pod serves its connections until they close or its " +
				"grace period ends, which cuts the lasting ones.",
			needs: needsPgBouncer, cause: (*Runner).poolRollout,
		},
		{
			Name: "pool-kill", Does: "Kill a pod of PgBouncer without a warning",
			Shows: "The connections of that pod break. Clients open new ones to the other pods.",
			needs: needsPgBouncer, cause: (*Runner).poolKill,
		},
		{
			Name: "service-rollout", Does: "Replace the pods of the service one by one",
			Shows: "Old and new pods have connections to the pool at the same time. No request should notice it.",
			cause: (*Runner).serviceRollout,
		},
		{
			Name: "operator-down", Does: "Stop External Secrets Operator for 40 s",
			Shows: "Secrets are not refreshed meanwhile. The operator is that of all stacks in the cluster. " +
				"Pods keep the Secrets that they have, so no request should " +
				"notice it.",
			needs: needsOperator, cause: (*Runner).operatorDown, undo: (*Runner).scaleBack,
		},
		{
			Name: "secrets-manager-down", Does: "Make Secrets Manager answer nothing but errors for 40 s",
			Shows:     "ExternalSecrets cannot be refreshed and keep their Secrets, so no request should notice it.",
			LocalOnly: true, cause: (*Runner).secretsManagerDown, undo: (*Runner).endFaults,
		},
		{
			Name: "dns-down", Does: "Stop the cluster's DNS for 20 s",
			Shows: "New connections cannot find the pool. Connections that are open keep working, as long as the " +
				"pool needs no new one to the database.",
			LocalOnly: true, cause: (*Runner).dnsDown, undo: (*Runner).scaleBack,
		},
		{
			Name: "api-server-down", Does: "Make the Kubernetes API server stop answering for 30 s",
			Shows:     "Nothing can be deployed meanwhile. What runs keeps running, so no request should notice it.",
			LocalOnly: true, cause: (*Runner).apiServerDown, undo: (*Runner).endFaults,
		},
		{
			Name: "partition", Does: "Drop all packets between the cluster and the database for 20 s",
			Shows: "Connections do not end, they get no answer. The pool gives them up after pool.tcpUserTimeout and " +
				"opens new ones.",
			LocalOnly: true, cause: (*Runner).partition, undo: (*Runner).endFaults,
		},
		{
			Name: "migration-fails", Does: "Deploy a version whose migration fails",
			Shows: "The update fails before a new pod of the service starts, and the old pods keep serving. The next " +
				"update repairs the stack. No request should notice it.",
			Updates: true, needs: needsMigration, cause: (*Runner).migrationFails, undo: (*Runner).updateBack,
		},
		{
			Name: "restore-time", Does: "Restore the database to a point in time, beside the living one",
			Shows: "RDS makes another instance as the database was at a time under load. It must have exactly what " +
				"was committed until then. It is removed again; the living instance is not touched.",
			Restores: true, needs: needsLogin, cause: (*Runner).restoreTime, undo: (*Runner).removeRestored,
		},
		{
			Name: "restore-snapshot", Does: "Make a snapshot under load and restore it, beside the living instance",
			Shows: "RDS makes another instance of the snapshot. It must have what was committed before the snapshot " +
				"was asked for, and be the database of one moment. Both are removed again.",
			Restores: true, needs: needsLogin, cause: (*Runner).restoreSnapshot, undo: (*Runner).removeRestored,
		},
		{
			Name: "lose-object", Does: "Delete an object of each kind in the service's namespace, one after another",
			Shows: "The next update makes each again. Pods keep what they have read; without the Deployment of the " +
				"pool, or its Service, clients have no answer until then.",
			Updates: true, cause: (*Runner).loseObjects, undo: (*Runner).repair,
		},
	}
}

// Find returns the scenario with a name, nil if there is none. For random it is one without faults, which still can end
// those of an interrupted one.
func Find(name string) *Scenario {
	if name == "random" {
		return Random(0, nil)
	}
	for _, s := range Scenarios() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Check returns an error if the target cannot have the fault.
func (s *Scenario) Check(t *Target) error {
	var failed []error
	if s.LocalOnly && !t.Local {
		failed = append(failed, errors.New("it runs on the local cloud only: AWS has no safe way to cause and end "+
			"this fault"))
	}
	if s.needs != nil {
		failed = append(failed, s.needs(t))
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("drill %s: %w", s.Name, err)
	}
	return nil
}

// Check returns an error if the drill cannot run.
func (r *Runner) Check(s *Scenario) error {
	if err := s.Check(&r.Target); err != nil || !r.Direct {
		return err
	}
	if s.Name == "rotate-application" {
		return errors.New("--direct: drill rotate-application waits until nobody uses the old login, which the load " +
			"would use: run it without --direct")
	}
	if err := needsLogin(&r.Target); err != nil {
		return fmt.Errorf("--direct: %w", err)
	}
	return nil
}

func needsMultiAZ(t *Target) error {
	if t.MultiAZ {
		return nil
	}
	return errors.New("the instance has no standby: set dbtier:database.multiAz to true and run up, or try the " +
		"drill reboot")
}

func needsPgBouncer(t *Target) error {
	if t.Pool != "" {
		return nil
	}
	return errors.New("the stack has no PgBouncer: AWS runs the pods of RDS Proxy")
}

func needsOperator(t *Target) error {
	if t.OperatorNamespace != "" {
		return nil
	}
	return errors.New("another stack installs the operator: other stacks use it, too, so run the drill on a stack " +
		"that has its own")
}

func needsMigration(t *Target) error {
	if t.Migrates {
		return nil
	}
	return errors.New("the stack has no migrations: dbtier:migration.enabled is false")
}

func needsLogin(t *Target) error {
	if t.Credential != "" {
		return nil
	}
	return errors.New("the stack has no password of the application's role, which the load connects to the database " +
		"itself with: run up with this version of dbtier")
}
