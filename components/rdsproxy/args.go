package rdsproxy

import (
	"fmt"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/fault"
	"dbtier/validation"
)

// Client is a group of machines that may connect to the proxy.
type Client struct {
	// Name of the clients in faults and in the description of the rule, for example "EKS nodes".
	Name string
	// SecurityGroupID of the machines.
	SecurityGroupID pulumi.StringInput
}

// User is a database user that may use the proxy.
type User struct {
	// Name of the user.
	Name string
	// SecretArn is the secret with the keys username and password. KmsKeyArn is the key that encrypts it.
	SecretArn, KmsKeyArn pulumi.StringInput
}

// RdsProxyArgs is what [NewRdsProxy] needs.
type RdsProxyArgs struct {
	Settings

	// Service is the name of the service's Deployment. The names of its objects begin with it.
	Service string
	// Namespace of the service.
	Namespace string
	// Region, AccountID (12 digits) and Partition (default aws) of the proxy.
	Region, AccountID, Partition string
	// PermissionsBoundaryArn is the permissions boundary of the proxy's role, for accounts that require one. Default
	// none.
	PermissionsBoundaryArn string

	// VpcID is the VPC of the instance and the proxy. SubnetIDs are in at least two zones.
	VpcID     pulumi.StringInput
	SubnetIDs pulumi.StringArrayInput
	// Clients are the only machines that may connect to the proxy.
	Clients []Client

	// DatabaseIdentifier of the instance.
	DatabaseIdentifier pulumi.StringInput
	// DatabaseName is the database on the instance. DatabasePort is the instance's port, default 5432.
	DatabaseName string
	DatabasePort int
	// DatabaseSecurityGroupID is the instance's security group. DatabaseClientGroupID is the group whose members may
	// connect to the instance; the proxy becomes a member.
	DatabaseSecurityGroupID, DatabaseClientGroupID pulumi.StringInput

	// Users that may use the proxy. The service is the first.
	Users []User
	// Store from which the operator reads the first user's secret for the service, and into which it pushes it.
	Store eso.StoreRef
	// CredentialSecret names a Secret of the namespace with the first user's username and password. The operator pushes
	// it to the user's SecretArn. Default nil: the secret has its value from elsewhere, as RDS writes the master
	// user's.
	CredentialSecret pulumi.StringInput
	// RefreshInterval of the service's Secret, for example 1m (default).
	RefreshInterval string
	// ConsumerSecret is the name of the Secret with the service's DATABASE_URL. Default <service>-db.
	ConsumerSecret string
	// DependsOn must exist before any object in the cluster: the operator with its CRDs, and the namespace.
	DependsOn []pulumi.Resource
	// KeepLogs keeps the log group when the proxy is deleted or gets another name. Default false.
	KeepLogs bool
	// Protect makes the engine refuse to delete or replace the proxy. The driver asks a
	// person instead. Default false.
	Protect bool
	// Tags of every AWS resource.
	Tags map[string]string
}

// SetDefaults fills the fields that were left out.
func (a *RdsProxyArgs) SetDefaults() {
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
		a.ConsumerSecret = contract.DatabaseSecret(a.Service)
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
	fault.OneOf(&faults, "partition", a.Partition, validation.Partitions...)
	faults.OptionalForm("permissionsBoundaryArn", a.PermissionsBoundaryArn, validation.PolicyArn)
	faults.Present("vpcId", a.VpcID)
	faults.Present("subnetIds", a.SubnetIDs)
	faults.Present("databaseIdentifier", a.DatabaseIdentifier)
	faults.Present("databaseSecurityGroupId", a.DatabaseSecurityGroupID)
	faults.Present("databaseClientGroupId", a.DatabaseClientGroupID)
	faults.Within("store", a.Store.Validate())
	faults.Form("databaseName", a.DatabaseName, validation.SQLName)
	faults.Between("databasePort", a.DatabasePort, 1150, 65535, "")
	faults.Check(len(a.Clients) > 0, "clients", nil, "is missing: without clients nothing can connect")
	for i, client := range a.Clients {
		path := fmt.Sprintf("clients[%d]", i)
		faults.Form(path+".name", client.Name, validation.SecurityGroupRule)
		faults.Present(path+".securityGroupId", client.SecurityGroupID)
	}
	a.validateUsers(&faults)
	faults.Duration("refreshInterval", a.RefreshInterval, 10*time.Second, time.Hour, "want 10s to 1h")
	faults.Form("consumerSecret", a.ConsumerSecret, validation.Label)
	return faults.Err()
}

// usersLimit is the maximum number of secrets of a proxy ("Quotas and limitations for RDS Proxy").
const usersLimit = 200

func (a *RdsProxyArgs) validateUsers(faults *fault.List) {
	faults.Check(len(a.Users) > 0 && len(a.Users) <= usersLimit, "users", len(a.Users),
		"want 1 to %d: the proxy logs in only as these", usersLimit)
	for i, user := range a.Users {
		path := fmt.Sprintf("users[%d]", i)
		faults.Form(path+".name", user.Name, validation.SQLName)
		faults.Check(slices.IndexFunc(a.Users, func(u User) bool { return u.Name == user.Name }) == i, path+".name",
			user.Name, "is named twice")
		faults.Present(path+".secretArn", user.SecretArn)
		faults.Present(path+".kmsKeyArn", user.KmsKeyArn)
	}
}
