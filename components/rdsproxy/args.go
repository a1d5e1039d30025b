package rdsproxy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/validation"
)

// Port of every proxy for PostgreSQL, whatever the instance's is.
const Port = 5432

// Whether clients log in to the proxy with IAM tokens.
const (
	// IAMDisabled: clients log in with user and password of a secret.
	IAMDisabled = "DISABLED"
	// IAMRequired: clients log in with a token, and have no password.
	IAMRequired = "REQUIRED"
)

// Settings are the choices for the proxy. Begin with [Defaults].
type Settings struct {
	// Name of the proxy in its account and region. Default: the instance's identifier and -proxy.
	Name string `json:"name"`
	// IAMAuth is DISABLED (default), or REQUIRED: the service then logs in with tokens of its IAM role.
	IAMAuth string `json:"iamAuth"`
	// MaxConnectionsPercent is how much of the instance's max_connections the proxy may open, percent. It enters the
	// budget; RDS's own default of 100 leaves nothing for migrations and people. Default 60.
	MaxConnectionsPercent int `json:"maxConnectionsPercent"`
	// MaxIdleConnectionsPercent is how many idle connections the proxy keeps open, percent of max_connections. Default
	// 20.
	MaxIdleConnectionsPercent int `json:"maxIdleConnectionsPercent"`
	// ConnectionBorrowTimeout is how long a client waits for a server connection, seconds from 1 to 300. Default 30.
	ConnectionBorrowTimeout int `json:"connectionBorrowTimeout"`
	// IdleClientTimeout is how long a client may be idle before it is disconnected, seconds from 1 to 28800. Default
	// 1800.
	IdleClientTimeout int `json:"idleClientTimeout"`
	// InitQuery are SET statements for each new server connection, separated by semicolons. A client that says SET
	// itself is pinned. Default none.
	InitQuery string `json:"initQuery"`
	// DebugLogging writes the text of SQL statements, and what secrets stand in them, to CloudWatch; RDS turns it off
	// after a day. Default false.
	DebugLogging bool `json:"debugLogging"`
	// LogRetention of the proxy's log in CloudWatch, days. Default 365 in production, 30 in development.
	LogRetention int `json:"logRetention"`
}

// Defaults of [Settings], without the name, for development.
func Defaults() Settings {
	return Settings{
		IAMAuth: IAMDisabled, MaxConnectionsPercent: 60, MaxIdleConnectionsPercent: 20, ConnectionBorrowTimeout: 30,
		IdleClientTimeout: 1800,
		LogRetention:      30,
	}
}

var setForm = regexp.MustCompile(`(?i)^set\s+\S`)

// nameLimit is RDS's for a proxy, characters.
const nameLimit = 63

// NameFor is the name of the proxy of an instance, where the settings have none.
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

// Client is a group of machines that may connect to the proxy.
type Client struct {
	// Name tells this client from the others in faults and in the rule's description, for example "EKS nodes".
	Name string
	// SecurityGroupID of the machines.
	SecurityGroupID pulumi.StringInput
}

// User is a database user who may come through the proxy.
type User struct {
	// Name of the user.
	Name string
	// SecretArn is the secret with the keys username and password, and KmsKeyArn the key that encrypts it.
	SecretArn, KmsKeyArn pulumi.StringInput
}

// Store is the SecretStore or ClusterSecretStore that leads to the secrets of the users.
type Store struct {
	// Kind is SecretStore or ClusterSecretStore.
	Kind string
	// Name of the store. Give the store's output, so that what needs it waits for it.
	Name pulumi.StringInput
}

// RdsProxyArgs is what [NewRdsProxy] needs.
type RdsProxyArgs struct {
	Settings

	// Service that the proxy is for, and its Namespace.
	Service, Namespace string
	// Region, AccountID (12 digits) and Partition (default aws) of the proxy.
	Region, AccountID, Partition string
	// PermissionsBoundaryArn is the policy that bounds the proxy's role, where an account demands one. Default none.
	PermissionsBoundaryArn string

	// VpcID is the network of the instance and of the proxy. SubnetIDs lie in at least two zones.
	VpcID     pulumi.StringInput
	SubnetIDs pulumi.StringArrayInput
	// Clients may connect to the proxy; nothing else may.
	Clients []Client

	// DatabaseIdentifier names the instance.
	DatabaseIdentifier pulumi.StringInput
	// DatabaseName at the instance, and the instance's port. DatabasePort's default is 5432.
	DatabaseName string
	DatabasePort int
	// DatabaseSecurityGroupID is the instance's, to which the proxy connects. DatabaseClientGroupID is the group whose
	// members the instance admits.
	DatabaseSecurityGroupID, DatabaseClientGroupID pulumi.StringInput

	// Users who may come through. The service is the first.
	Users []User
	// Store from which the operator reads the first user's secret for the service, and into which it pushes it.
	Store Store
	// CredentialSecret names a Secret of the namespace with the first user's username and password, which the operator
	// pushes to the user's SecretArn. Default nil: that secret is filled by somebody else, as RDS does with the master
	// user's.
	CredentialSecret pulumi.StringInput
	// RefreshInterval of the service's Secret, for example 1m (default).
	RefreshInterval string
	// ConsumerSecret is the name of the Secret with the service's DATABASE_URL. Default <service>-db.
	ConsumerSecret string
	// DependsOn must be there before anything of the proxy in the cluster: the operator with its CRDs, the namespace.
	DependsOn []pulumi.Resource
	// Tags of every AWS resource.
	Tags map[string]string
}

func (a *RdsProxyArgs) setDefaults() {
	if a.Partition == "" {
		a.Partition = "aws"
	}
	if a.DatabasePort == 0 {
		a.DatabasePort = Port
	}
	if a.RefreshInterval == "" {
		a.RefreshInterval = "1m"
	}
	if a.ConsumerSecret == "" {
		a.ConsumerSecret = naming.Join(naming.LabelLimit, a.Service, "db")
	}
}

// Validate reports every fault of the arguments.
func (a *RdsProxyArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Form("region", a.Region, validation.Region)
	faults.Form("accountId", a.AccountID, validation.AccountID)
	fault.OneOf(&faults, "partition", a.Partition, "aws", "aws-cn", "aws-us-gov")
	faults.OptionalForm("permissionsBoundaryArn", a.PermissionsBoundaryArn, validation.PolicyArn)
	for _, input := range []struct {
		path  string
		value pulumi.Input
	}{
		{"vpcId", a.VpcID},
		{"subnetIds", a.SubnetIDs},
		{"databaseIdentifier", a.DatabaseIdentifier},
		{"databaseSecurityGroupId", a.DatabaseSecurityGroupID},
		{"databaseClientGroupId", a.DatabaseClientGroupID},
		{"store.name", a.Store.Name},
	} {
		faults.Check(input.value != nil, input.path, nil, "is missing")
	}
	fault.OneOf(&faults, "store.kind", a.Store.Kind, "SecretStore", "ClusterSecretStore")
	faults.Form("databaseName", a.DatabaseName, validation.SQLName)
	faults.Between("databasePort", a.DatabasePort, 1150, 65535, "")
	faults.Check(len(a.Clients) > 0, "clients", nil, "is missing: nothing could connect")
	for i, client := range a.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		faults.Form(path+".name", client.Name, validation.SecurityGroupRule)
		faults.Check(client.SecurityGroupID != nil, path+".securityGroupId", nil, "is missing")
	}
	a.validateUsers(&faults)
	interval, err := time.ParseDuration(a.RefreshInterval)
	faults.Check(err == nil && interval >= 10*time.Second && interval <= time.Hour, "refreshInterval",
		a.RefreshInterval, "want 10s to 1h")
	faults.Form("consumerSecret", a.ConsumerSecret, validation.Label)
	return faults.Err()
}

// usersLimit is how many secrets a proxy can have ("Quotas and limitations for RDS Proxy").
const usersLimit = 200

func (a *RdsProxyArgs) validateUsers(faults *fault.List) {
	faults.Check(len(a.Users) > 0 && len(a.Users) <= usersLimit, "users", len(a.Users),
		"want 1 to %d: the proxy logs in as nobody else", usersLimit)
	for i, user := range a.Users {
		path := fmt.Sprintf("users[%d]", i)
		faults.Form(path+".name", user.Name, validation.SQLName)
		faults.Check(slices.IndexFunc(a.Users, func(u User) bool { return u.Name == user.Name }) == i, path+".name",
			user.Name, "is named twice")
		faults.Check(user.SecretArn != nil, path+".secretArn", nil, "is missing")
		faults.Check(user.KmsKeyArn != nil, path+".kmsKeyArn", nil, "is missing")
	}
}
