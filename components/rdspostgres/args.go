package rdspostgres

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Settings are the choices that shape the instance. Begin with [Production] or [Development] and change what differs.
type Settings struct {
	// Identifier names the instance in its account and region, for example myshop-prod. Every other name derives from
	// it.
	Identifier string `json:"identifier"`
	// EngineVersion is a major version, for example "16": RDS then picks the newest minor version, and minor upgrades
	// are no drift. A minor version ("16.11") is for those who turn AutoMinorVersionUpgrade off.
	EngineVersion string `json:"engineVersion"`
	// AutoMinorVersionUpgrade lets RDS apply minor versions in the maintenance window. Default true.
	AutoMinorVersionUpgrade bool `json:"autoMinorVersionUpgrade"`
	// AllowMajorVersionUpgrade must be true for the one update that changes the major version. Default false.
	AllowMajorVersionUpgrade bool `json:"allowMajorVersionUpgrade"`
	// EngineLifecycleSupport says what happens when the community ends a major version: with
	// open-source-rds-extended-support-disabled (default) RDS upgrades the instance at the end of standard support;
	// with open-source-rds-extended-support, which is what RDS does when nobody says anything, it keeps the version and
	// bills Extended Support for every vCPU and hour. It is chosen at creation: a change replaces the instance.
	EngineLifecycleSupport string `json:"engineLifecycleSupport"`
	// ApplyImmediately makes changes that restart the instance at once and not in the next maintenance window. Default
	// true in development, false in production.
	ApplyImmediately bool `json:"applyImmediately"`

	// InstanceClass is the size. Default db.m6g.large in production, db.t4g.medium in development.
	InstanceClass string `json:"instanceClass"`
	// AllocatedStorage is the size of the disk at creation, GiB. Default 50.
	AllocatedStorage int `json:"allocatedStorage"`
	// MaxAllocatedStorage is how far RDS may grow the disk, GiB; 0 turns growing off. Default 500.
	MaxAllocatedStorage int `json:"maxAllocatedStorage"`
	// StorageType is gp3 (default), gp2, io1 or io2.
	StorageType string `json:"storageType"`
	// Iops are provisioned input/output operations a second; 0 (default) takes the baseline. gp3 accepts a number from
	// 400 GiB on.
	Iops int `json:"iops"`
	// StorageThroughput of gp3, MiB/s; 0 (default) takes the baseline. Needs Iops.
	StorageThroughput int `json:"storageThroughput"`
	// DedicatedLogVolume puts the write-ahead log on a volume of its own (1,000 GiB, billed). Needs storageType io1 or
	// io2. Default false.
	DedicatedLogVolume bool `json:"dedicatedLogVolume"`
	// MultiAZ keeps a standby in another zone. Default true in production only.
	MultiAZ bool `json:"multiAz"`
	// AvailabilityZone of an instance without a standby, for example ap-northeast-2a. Default: RDS chooses.
	AvailabilityZone string `json:"availabilityZone"`

	// DatabaseName is the database made with the instance.
	DatabaseName string `json:"databaseName"`
	// MasterUsername is the user whose password RDS manages.
	MasterUsername string `json:"masterUsername"`
	// Port the instance listens on. Default 5432.
	Port int `json:"port"`
	// NetworkType is IPV4 (default), or DUAL for IPv4 and IPv6, for which the subnets need IPv6 ranges.
	NetworkType string `json:"networkType"`
	// SubnetGroupName is a DB subnet group that exists; empty (default) makes one of the subnets.
	SubnetGroupName string `json:"subnetGroupName"`
	// ClientSecurityGroup makes a security group without rules whose members may connect, for services that attach it
	// to their pods or machines beside their own groups. Default false.
	ClientSecurityGroup bool `json:"clientSecurityGroup"`
	// IamDatabaseAuthentication lets the database users that have the role rds_iam log in with a token of their IAM
	// role in place of a password. Nobody has that role until it is granted. Default true.
	IamDatabaseAuthentication bool `json:"iamDatabaseAuthentication"`
	// CACertIdentifier is the authority that signs the server certificate. Default rds-ca-rsa2048-g1.
	CACertIdentifier string `json:"caCertIdentifier"`
	// KmsKeyArn is a key to use for storage, secret and insights; empty (default) makes one. It must be the key's ARN:
	// RDS answers with the ARN, and an id or alias would show as a difference for ever.
	KmsKeyArn string `json:"kmsKeyArn"`
	// KmsDeletionWindow is how long the own key can be restored after its deletion, days from 7 to 30. Default 30 in
	// production, 7 in development.
	KmsDeletionWindow int `json:"kmsDeletionWindow"`

	// BackupRetentionPeriod in days, 0 to 35. Default 30 in production, 7 in development.
	BackupRetentionPeriod int `json:"backupRetentionPeriod"`
	// BackupWindow is the daily time of backups, UTC. Default 03:00-04:00.
	BackupWindow string `json:"backupWindow"`
	// MaintenanceWindow is the weekly time of maintenance, UTC. Default Mon:04:00-Mon:05:00.
	MaintenanceWindow string `json:"maintenanceWindow"`
	// DeletionProtection makes RDS refuse to delete the instance. Default true in production only.
	DeletionProtection bool `json:"deletionProtection"`
	// FinalSnapshot takes a snapshot before the instance is deleted. Default true in production only.
	FinalSnapshot bool `json:"finalSnapshot"`
	// DeleteAutomatedBackups drops the backups together with the instance; otherwise they stay for the retention
	// period. Default false in production, true in development.
	DeleteAutomatedBackups bool `json:"deleteAutomatedBackups"`

	// Rotation is the schedule of the master password.
	Rotation Rotation `json:"rotation"`
	// Restore makes the instance from a backup and not empty.
	Restore Restore `json:"restore"`

	// DatabaseInsightsMode is standard (default), or advanced, which is billed and needs performanceInsights with a
	// retention of at least 465 days.
	DatabaseInsightsMode string `json:"databaseInsightsMode"`
	// PerformanceInsights turns Performance Insights on. Default true.
	PerformanceInsights bool `json:"performanceInsights"`
	// PerformanceInsightsRetentionPeriod in days: 7 (default, free), a multiple of 31 up to 713, or 731.
	PerformanceInsightsRetentionPeriod int `json:"performanceInsightsRetentionPeriod"`
	// MonitoringInterval of enhanced monitoring, seconds: 0 (off), 1, 5, 10, 15, 30 or 60. Default 60.
	MonitoringInterval int `json:"monitoringInterval"`
	// MonitoringRoleArn is a role that exists for enhanced monitoring, which monitoring.rds.amazonaws.com must be able
	// to assume; empty (default) makes one for this instance alone.
	MonitoringRoleArn string `json:"monitoringRoleArn"`
	// LogExports go to CloudWatch Logs: postgresql, upgrade, iam-db-auth-error. Default postgresql.
	LogExports []string `json:"logExports"`
	// LogRetention in CloudWatch Logs, days. Default 365 in production, 30 in development.
	LogRetention int `json:"logRetention"`
	// LogGroupClass is STANDARD (default), or INFREQUENT_ACCESS at half the price without metric filters and live tail.
	// It cannot be changed afterwards.
	LogGroupClass string `json:"logGroupClass"`
	// LogKmsKeyArn is a key for the log groups, whose policy must admit CloudWatch Logs. Default: the instance's own
	// key; with a kmsKeyArn none, since its policy may not know CloudWatch Logs.
	LogKmsKeyArn string `json:"logKmsKeyArn"`
	// LogSkipDestroy leaves the log groups in the account when they go from the program. A later stack of the same
	// identifier then finds them in its way. Default false.
	LogSkipDestroy bool `json:"logSkipDestroy"`
	// Alarms watch the instance in CloudWatch.
	Alarms Alarms `json:"alarms"`
	// Events of the instance are sent to an SNS topic.
	Events Events `json:"events"`
	// Roles that the database may take, by feature: s3Import, s3Export, Lambda. Values are ARNs.
	Roles map[string]string `json:"roles"`

	// Parameters of the parameter group by name, on top of [DefaultParameters].
	Parameters map[string]Parameter `json:"parameters"`
	// ParameterGroupName is a parameter group that exists, of the family of the engine version; empty (default) makes
	// one. With one that is given, TLS (rds.force_ssl) and statement logging are its owner's business.
	ParameterGroupName string `json:"parameterGroupName"`
	// Timeouts are how long Pulumi waits for RDS.
	Timeouts Timeouts `json:"timeouts"`

	// BlueGreenUpdate is refused: RDS makes no blue/green deployment of an instance whose master password it manages.
	// It stands here so that who asks for it is told.
	BlueGreenUpdate bool `json:"blueGreenUpdate"`
	// ReplicateSourceDb is refused: RDS makes no read replica of a PostgreSQL instance whose master password it
	// manages.
	ReplicateSourceDb string `json:"replicateSourceDb"`
}

// Timeouts are durations such as 90m.
type Timeouts struct {
	// Create is for the instance with its first backup, or the restore. Default 90m: copying a large Multi-AZ instance
	// takes its time.
	Create string `json:"create"`
	// Update of the instance. Default 120m.
	Update string `json:"update"`
	// Delete of the instance with its final snapshot. Default 90m.
	Delete string `json:"delete"`
}

// Parameter is a setting of PostgreSQL.
type Parameter struct {
	// Value as RDS writes it: booleans are 0 and 1, durations have the parameter's own unit.
	Value string `json:"value"`
	// ApplyMethod is immediate (default), or pending-reboot for static parameters.
	ApplyMethod string `json:"applyMethod"`
}

// What RDS does at the end of a major version's standard support.
const (
	ExtendedSupport         = "open-source-rds-extended-support"
	ExtendedSupportDisabled = "open-source-rds-extended-support-disabled"
)

// Ways to apply a parameter.
const (
	Immediate     = "immediate"
	PendingReboot = "pending-reboot"
)

// DefaultParameters are what every instance of this package sets. Statements are logged by their duration and not by
// their kind: with log_statement = ddl, CREATE ROLE … PASSWORD would leave passwords in CloudWatch.
func DefaultParameters() map[string]Parameter {
	return map[string]Parameter{
		// The default of PostgreSQL 15 and later on RDS, said aloud because clients rely on it.
		"rds.force_ssl": {Value: "1", ApplyMethod: Immediate},
		// Milliseconds.
		"log_min_duration_statement": {Value: "1000", ApplyMethod: Immediate},
		"log_lock_waits":             {Value: "1", ApplyMethod: Immediate},
	}
}

// Development is a small instance that can be thrown away.
func Development() Settings {
	return Settings{ //nolint:gosec // no field is a credential
		EngineVersion:                      "16",
		AutoMinorVersionUpgrade:            true,
		EngineLifecycleSupport:             ExtendedSupportDisabled,
		ApplyImmediately:                   true,
		InstanceClass:                      "db.t4g.medium",
		AllocatedStorage:                   50,
		MaxAllocatedStorage:                500,
		StorageType:                        "gp3",
		Port:                               5432,
		NetworkType:                        "IPV4",
		IamDatabaseAuthentication:          true,
		CACertIdentifier:                   "rds-ca-rsa2048-g1",
		KmsDeletionWindow:                  7,
		BackupRetentionPeriod:              7,
		BackupWindow:                       "03:00-04:00",
		MaintenanceWindow:                  "Mon:04:00-Mon:05:00",
		DeleteAutomatedBackups:             true,
		DatabaseInsightsMode:               "standard",
		PerformanceInsights:                true,
		PerformanceInsightsRetentionPeriod: 7,
		MonitoringInterval:                 60,
		LogExports:                         []string{"postgresql"},
		LogRetention:                       30,
		LogGroupClass:                      "STANDARD",
		Alarms:                             Alarms{CPU: 80, FreeableMemory: 256, Connections: 80},
		Events:                             Events{Categories: slices.Clone(defaultCategories)},
		Parameters:                         DefaultParameters(),
		Timeouts:                           Timeouts{Create: "90m", Update: "120m", Delete: "90m"},
	}
}

// Production survives the loss of a zone, keeps a month of backups and does not go away by mistake.
func Production() Settings {
	s := Development()
	s.ApplyImmediately = false
	s.InstanceClass = "db.m6g.large"
	s.MultiAZ = true
	s.KmsDeletionWindow = 30
	s.BackupRetentionPeriod = 30
	s.DeletionProtection = true
	s.FinalSnapshot = true
	s.DeleteAutomatedBackups = false
	s.LogRetention = 365
	s.Alarms.Enabled = true
	return s
}

// Family is the parameter group family of the engine version.
func (s *Settings) Family() string {
	major, _, _ := strings.Cut(s.EngineVersion, ".")
	return "postgres" + major
}

// Client is a group of machines that may connect: the members of a security group, or named address ranges.
type Client struct {
	// Name tells this client from the others in faults and in the rule's description, for example "EKS nodes".
	Name string
	// SecurityGroupID of the machines. It goes before address ranges: a group follows its machines.
	SecurityGroupID pulumi.StringInput
	// CIDRs are address ranges, for machines that no security group of this network can hold, for example those behind
	// a VPN. Not the whole internet.
	CIDRs []string
}

// RdsPostgresArgs is what [NewRdsPostgres] needs.
type RdsPostgresArgs struct {
	Settings

	// Region, for example ap-northeast-2, AccountID (12 digits) and Partition (default aws) stand in policies and ARNs.
	// They are plain values so that a preview needs no call to AWS.
	Region, AccountID, Partition string

	// PermissionsBoundaryArn is the policy that bounds the monitoring role, where an account demands one. Default none.
	PermissionsBoundaryArn string

	// VpcID is the network of the instance.
	VpcID pulumi.StringInput
	// SubnetIDs lie in at least two zones. They are left out where SubnetGroupName is given.
	SubnetIDs pulumi.StringArrayInput
	// Clients may connect to the port; nothing else may, but for the members of the ClientSecurityGroup.
	Clients []Client

	// ConnectionLimit is how many connections may be open before the budget is spent, reserves of RDS taken off; the
	// alarm on connections is a share of it. 0 (default): there is no such alarm.
	ConnectionLimit int

	// Tags of every resource.
	Tags map[string]string
}

// setDefaults fills what was left out and does not depend on the kind of environment.
func (a *RdsPostgresArgs) setDefaults() {
	if a.Partition == "" {
		a.Partition = "aws"
	}
	// A group that is given has parameters of its own.
	if a.ParameterGroupName != "" {
		a.Parameters = nil
		return
	}
	parameters := make(map[string]Parameter, len(a.Parameters))
	for name, p := range a.Parameters {
		if p.ApplyMethod == "" {
			p.ApplyMethod = Immediate
		}
		parameters[name] = p
	}
	a.Parameters = parameters
}
