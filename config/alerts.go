package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dbtier/components/alerts"
	"dbtier/components/contract"
	"dbtier/components/databaserole"
	"dbtier/components/fault"
	"dbtier/components/migrationjob"
	"dbtier/components/naming"
	"dbtier/components/pgbouncer"
	"dbtier/components/rdsca"
)

// Authorities returns the certificates in the file network.caBundle, or by default those of RDS in the stack's region.
// The root is the project's folder, in which the file's path begins.
func (s *Stack) Authorities(root string) (string, error) {
	if s.Network.CABundle == "" {
		return rdsca.Bundle(s.AWS.Region)
	}
	file := s.Network.CABundle
	if !filepath.IsAbs(file) {
		file = filepath.Join(root, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		fix := "name a file with the certificates of the database's authorities, in PEM"
		if s.Cloud == Local {
			fix = "the local cloud writes it: start it with `dbtier local start`"
		}
		// The path is in the fault already.
		var failed *fs.PathError
		if errors.As(err, &failed) {
			err = failed.Err
		}
		var faults fault.List
		faults.Add(Namespace+":network.caBundle", s.Network.CABundle, "cannot be read: %s: %s", err, fix)
		return "", faults.Err()
	}
	return string(text), nil
}

// Monitored returns what the alerts need to know of the stack. The certificates are those of [Stack.Authorities].
func (s *Stack) Monitored(authorities string) (*alerts.Tier, error) {
	t := &alerts.Tier{
		Settings: s.Alerts, Service: s.Service.Name, Environment: s.Environment, Namespace: s.Service.Namespace,
		AllocatedStorage: s.Database.AllocatedStorage,
	}
	t.ConnectionLimit, _ = s.Budget.Limit()
	var err error
	if t.AuthorityExpires, err = rdsca.Expires(authorities); err != nil {
		return nil, err
	}
	if t.Refresh, err = time.ParseDuration(s.Secrets.RefreshInterval); err != nil {
		return nil, fmt.Errorf("secrets.refreshInterval: %w", err)
	}
	if s.Pool.Kind == PgBouncer {
		t.Refresh = max(t.Refresh, time.Duration(s.Pool.RefreshInterval)*time.Second)
		t.CertificateSecret = s.Pool.ClientTLSSecret
		if s.Pool.Metrics.Enabled {
			t.PoolJob = pgbouncer.PodsService(s.Pool.Name)
			t.Scrape = time.Duration(s.Pool.Metrics.IntervalSeconds) * time.Second
		}
	}
	if s.Migration.Enabled {
		t.MigrationJob = jobs(migrationjob.PodName(s.Consumer.Name))
	}
	if s.Role.PoolUser == RoleUser {
		t.BootstrapJob = jobs(databaserole.PodName(s.RoleObjects()))
	}
	return t, nil
}

// UnheardAlarms returns a warning if the alarms in CloudWatch notify nobody. Otherwise it is empty.
func (s *Stack) UnheardAlarms() string {
	if alarms := s.Database.Alarms; !alarms.Enabled || len(alarms.TopicArns) > 0 {
		return ""
	}
	return Namespace + ":database.alarms.topicArns: is empty, so the alarms reach nobody; name an SNS topic, or set " +
		"database.alarms.enabled to false"
}

// RoleObjects begins the names of the objects that create the application's role.
func (s *Stack) RoleObjects() string {
	switch {
	case s.Pool.Kind == PgBouncer:
		return s.Pool.Name
	case s.Service.ExistingNamespace:
		return contract.Object(s.Consumer.Name, "database")
	default:
		return "database"
	}
}

// jobs is how the names of a task's Jobs begin. A name that is too long is cut before the hash.
func jobs(task string) string {
	const longest = naming.LabelLimit - len("-01234") - len("-01234567")
	prefix := task + "-"
	return prefix[:min(len(prefix), longest)]
}
