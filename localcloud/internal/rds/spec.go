package rds

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"dbtier/validation"
)

// Spec describes an instance.
type Spec struct {
	// Identifier names the instance, in lower case as RDS stores it.
	Identifier string `json:"identifier"`
	// EndpointHost is the host name that clients use and that the certificate contains.
	EndpointHost string `json:"endpointHost"`
	Port         int    `json:"port"`
	// MasterUsername is the user that owns the database. It is not a superuser.
	MasterUsername string `json:"masterUsername"`
	// DBName is a database to create besides postgres. Optional.
	DBName string `json:"dbName,omitempty"`
	// MaxConnections is max_connections, computed for the class.
	MaxConnections int `json:"maxConnections"`
	// Parameters are the values that a parameter group sets, with formulas already computed.
	Parameters map[string]string `json:"parameters,omitempty"`
	// Snapshot is the name of a snapshot that a new instance begins with, see [Engine.Snapshot]. Optional. The master
	// user and the databases are those of the snapshot.
	Snapshot string `json:"snapshot,omitempty"`
	// Replay is the WAL that a new instance replays on the snapshot. Optional.
	Replay *Replay `json:"replay,omitempty"`
	// Archive is the name of the archive that gets the WAL of the instance. An archive is a folder of segments, which
	// outlives its instance. Optional: without it the instance can be restored from snapshots only.
	Archive string `json:"archive,omitempty"`
	// Standby adds a second server to a new instance, see [Engine.SetStandby].
	Standby bool `json:"standby,omitempty"`
}

// reservedUsers are names that RDS reserves, and words that PostgreSQL does not accept as a user name.
var reservedUsers = []string{
	"admin", "all", "analyse", "analyze", "public", "rdsadmin", "rds_superuser", "rds_iam",
	"rds_replication", "rds_password", replicationUser, "user",
}

// check returns all faults of the spec.
func (s Spec) check() error {
	var faults []error
	fault := func(field string, value any, why string) {
		faults = append(faults, fmt.Errorf("%s: %q: %s", field, fmt.Sprint(value), why))
	}
	// The form counts a hyphen and the character after it once.
	if !validation.DBIdentifier.Matches(s.Identifier) || len(s.Identifier) > maxName {
		fault("Identifier", s.Identifier, validation.DBIdentifier.Rule)
	}
	if !validation.Hostname.Matches(s.EndpointHost) || s.EndpointHost != strings.ToLower(s.EndpointHost) {
		fault("EndpointHost", s.EndpointHost, "want a host name in lower case")
	}
	if s.Port < 1150 || s.Port > 65535 {
		fault("Port", s.Port, "want 1150 to 65535")
	}
	name := strings.ToLower(s.MasterUsername)
	switch {
	case !validation.SQLName.Matches(s.MasterUsername):
		fault("MasterUsername", s.MasterUsername, validation.SQLName.Rule)
	case slices.Contains(reservedUsers, name), strings.HasPrefix(name, "pg_"):
		fault("MasterUsername", s.MasterUsername, "is reserved")
	}
	switch {
	case s.DBName == "":
	case !validation.SQLName.Matches(s.DBName):
		fault("DBName", s.DBName, validation.SQLName.Rule)
	case slices.Contains([]string{"rdsadmin", "template0", "template1"}, strings.ToLower(s.DBName)):
		fault("DBName", s.DBName, "is reserved")
	}
	if s.MaxConnections < minMaxConnections || s.MaxConnections > maxMaxConnections {
		fault("MaxConnections", s.MaxConnections, fmt.Sprintf("want %d to %d", minMaxConnections, maxMaxConnections))
	}
	return errors.Join(errors.Join(faults...), checkParameters(s.Parameters))
}
