package rdsproxy

import (
	"regexp"
	"strings"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/validation"
)

// Port of every proxy for PostgreSQL, regardless of the instance's port.
const Port = 5432

// How clients log in to the proxy.
const (
	// IAMDisabled makes clients log in with the username and password of a secret.
	IAMDisabled = "DISABLED"
	// IAMRequired makes clients log in with IAM tokens. They have no password.
	IAMRequired = "REQUIRED"
)

// Settings are the choices for the proxy. Begin with [Defaults].
type Settings struct {
	// Name of the proxy in its account and region. Default: <identifier of the instance>-proxy.
	Name string `json:"name" example:"shop-proxy"`
	// IAMAuth is DISABLED (default) or REQUIRED. With REQUIRED the service logs in with tokens of its IAM role.
	IAMAuth string `json:"iamAuth"`
	// MaxConnectionsPercent is the share of the instance's max_connections that the proxy may open, in percent. The
	// budget counts it. RDS's own default of 100 leaves nothing for migrations and people. Default 60.
	MaxConnectionsPercent int `json:"maxConnectionsPercent" example:"50"`
	// MaxIdleConnectionsPercent is how many idle connections the proxy keeps open, in percent of max_connections.
	// Default 20.
	MaxIdleConnectionsPercent int `json:"maxIdleConnectionsPercent" example:"10"`
	// ConnectionBorrowTimeout is how long a client waits for a server connection, in seconds from 1 to 300. Default 30.
	ConnectionBorrowTimeout int `json:"connectionBorrowTimeout" example:"60"`
	// IdleClientTimeout is how long a client may be idle before it is disconnected, in seconds from 1 to 28800. Default
	// 1800.
	IdleClientTimeout int `json:"idleClientTimeout" example:"3600"`
	// InitQuery holds SET statements for each new server connection, separated by semicolons. A client that runs SET
	// itself is pinned. Default none.
	InitQuery string `json:"initQuery" example:"SET timezone = 'UTC'"`
	// DebugLogging writes the text of SQL statements to CloudWatch, including secrets in them. RDS turns it off after a
	// day. Default false.
	DebugLogging bool `json:"debugLogging"`
	// LogRetention of the proxy's log in CloudWatch, in days. Default 365 in production, 30 in development.
	LogRetention int `json:"logRetention" example:"400"`
}

// Defaults returns the default [Settings] for development, without the name.
func Defaults() Settings {
	return Settings{
		IAMAuth: IAMDisabled, MaxConnectionsPercent: 60, MaxIdleConnectionsPercent: 20, ConnectionBorrowTimeout: 30,
		IdleClientTimeout: 1800,
		LogRetention:      30,
	}
}

var setForm = regexp.MustCompile(`(?i)^set\s+\S`)

// nameLimit is RDS's limit of a proxy's name, in characters.
const nameLimit = 63

// NameFor returns the default name of the proxy of an instance.
func NameFor(identifier string) string { return naming.Join(nameLimit, identifier, "proxy") }

// Validate reports every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	faults.Check(validation.DBIdentifier.Matches(s.Name) && !strings.HasPrefix(s.Name, "sg-"), "name",
		s.Name,
		"want 1 to %d lower-case letters, digits and single hyphens, beginning with a letter, not with sg-, and not "+
			"ending with a hyphen", nameLimit)
	fault.OneOf(&faults, "iamAuth", s.IAMAuth, IAMDisabled, IAMRequired)
	faults.Between("maxConnectionsPercent", s.MaxConnectionsPercent, 1, 100, "percent of max_connections")
	faults.Check(0 <= s.MaxIdleConnectionsPercent && s.MaxIdleConnectionsPercent <= s.MaxConnectionsPercent,
		"maxIdleConnectionsPercent",
		s.MaxIdleConnectionsPercent, "want 0 to maxConnectionsPercent (%d)", s.MaxConnectionsPercent)
	faults.Between("connectionBorrowTimeout", s.ConnectionBorrowTimeout, 1, 300, "seconds")
	faults.Between("idleClientTimeout", s.IdleClientTimeout, 1, 28800, "seconds")
	if s.InitQuery != "" {
		for _, statement := range strings.Split(strings.TrimSuffix(strings.TrimSpace(s.InitQuery), ";"), ";") {
			faults.Check(setForm.MatchString(strings.TrimSpace(statement)), "initQuery", s.InitQuery,
				"want SET statements, separated by semicolons: SET timezone = 'UTC'")
		}
	}
	fault.OneOf(&faults, "logRetention", s.LogRetention, validation.LogRetentions...)
	return faults.Err()
}
