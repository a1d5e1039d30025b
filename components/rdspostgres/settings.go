package rdspostgres

import (
	"slices"

	"dbtier/validation/rdsrules"
)

// Settings are the choices for the instance. Begin with [Production] or [Development] and change what differs.
type Settings struct {
	// Identifier of the instance in its account and region, for example myshop-prod. Every other name derives from it.
	Identifier string `json:"identifier" example:"shop-orders"`
	// EngineVersion is a major version, for example "16". RDS then picks the newest minor version, and minor upgrades
	// are not drift. A minor version ("16.11") needs AutoMinorVersionUpgrade false.
	EngineVersion string `json:"engineVersion" example:"17"`
	// AutoMinorVersionUpgrade lets RDS apply minor versions in the maintenance window. Default true.
	AutoMinorVersionUpgrade bool `json:"autoMinorVersionUpgrade"`
	// AllowMajorVersionUpgrade must be true for an update that changes the major version. Default false.
	AllowMajorVersionUpgrade bool `json:"allowMajorVersionUpgrade"`
	// EngineLifecycleSupport says what happens when the community ends a major version. With
	// open-source-rds-extended-support-disabled (default) RDS upgrades the instance at the end of standard support.
	// With open-source-rds-extended-support, which is RDS's own default, it keeps the version and bills Extended
	// Support for every vCPU and hour. The value is set at creation: a change replaces the instance.
	EngineLifecycleSupport string `json:"engineLifecycleSupport"`
	// ApplyImmediately applies changes that restart the instance at once, instead of in the next maintenance window.
	// Where they wait, a parameter group that the stack leaves stays in the account, because the instance may still use
	// it. Default true in development, false in production.
	ApplyImmediately bool `json:"applyImmediately"`

	// InstanceClass of the instance. Default db.m6g.large in production, db.t4g.medium in development.
	InstanceClass string `json:"instanceClass" example:"db.r6g.large"`
	// AllocatedStorage is the size of the disk at creation, in GiB. Default 50.
	AllocatedStorage int `json:"allocatedStorage" example:"400"`
	// MaxAllocatedStorage is the size up to which RDS may grow the disk, in GiB. 0 turns growth off. Default 500.
	MaxAllocatedStorage int `json:"maxAllocatedStorage" example:"1000"`
	// StorageType is gp3 (default), gp2, io1 or io2.
	StorageType string `json:"storageType"`
	// Iops are provisioned input/output operations per second. 0 (default) is the baseline. gp3 accepts a number only
	// from 400 GiB.
	Iops int `json:"iops" example:"12000"`
	// StorageThroughput of gp3, in MiB/s. 0 (default) is the baseline. It needs Iops.
	StorageThroughput int `json:"storageThroughput" example:"500"`
	// DedicatedLogVolume puts the write-ahead log on a separate volume (1,000 GiB, billed). It needs storageType io1 or
	// io2. Default false.
	DedicatedLogVolume bool `json:"dedicatedLogVolume"`
	// MultiAZ keeps a standby in another zone. Default true in production only.
	MultiAZ bool `json:"multiAz"`
	// AvailabilityZone of an instance without a standby, for example ap-northeast-2a. Default: RDS chooses.
	AvailabilityZone string `json:"availabilityZone" example:"<region>a"`

	// DatabaseName is the database created with the instance.
	DatabaseName string `json:"databaseName" example:"orders"`
	// MasterUsername is the user whose password RDS manages.
	MasterUsername string `json:"masterUsername" example:"orders_admin"`
	// Port the instance listens on. Default 5432.
	Port int `json:"port" example:"5433"`
	// NetworkType is IPV4 (default), or DUAL for IPv4 and IPv6. DUAL needs subnets with IPv6 ranges, which
	// network.databaseCidrs must list.
	NetworkType string `json:"networkType"`
	// SubnetGroupName is an existing DB subnet group. Default: the stack creates one from the subnets.
	SubnetGroupName string `json:"subnetGroupName" example:"databases"`
	// ClientSecurityGroup creates a security group without rules whose members may connect. Services attach it to their
	// pods or machines besides their own groups. Default false.
	ClientSecurityGroup bool `json:"clientSecurityGroup"`
	// IamDatabaseAuthentication lets database users with the role rds_iam log in with a token of their IAM role instead
	// of a password. No user has that role until it is granted. Default true.
	IamDatabaseAuthentication bool `json:"iamDatabaseAuthentication"`
	// CACertIdentifier is the authority that signs the server certificate. Default rds-ca-rsa2048-g1.
	CACertIdentifier string `json:"caCertIdentifier"`
	// KmsKeyArn is an existing key for storage, secret and insights. Default: the stack creates one. It must be the
	// key's ARN: RDS returns the ARN, so an id or alias would always show as a difference.
	KmsKeyArn string `json:"kmsKeyArn" example:"arn:aws:kms:<region>:<account>:key/<uuid>"`
	// KmsDeletionWindow is how long the stack's key can be restored after its deletion, in days from 7 to 30. The key
	// is not deleted with the stack if it encrypts what stays: a final snapshot, retained backups, log groups. Default
	// 30 in production, 7 in development.
	KmsDeletionWindow int `json:"kmsDeletionWindow" example:"14"`

	// BackupRetentionPeriod in days, 0 to 35. Default 30 in production, 7 in development.
	BackupRetentionPeriod int `json:"backupRetentionPeriod" example:"14"`
	// BackupWindow is the daily time of backups, in UTC. Default 03:00-04:00.
	BackupWindow string `json:"backupWindow" example:"18:00-19:00"`
	// MaintenanceWindow is the weekly time of maintenance, in UTC. Default Mon:04:00-Mon:05:00.
	MaintenanceWindow string `json:"maintenanceWindow" example:"Sun:19:00-Sun:20:00"`
	// DeletionProtection makes RDS refuse to delete the instance, and the engine refuse to delete or replace what the
	// service runs on: instance, namespace, pool and pods. Default true in production only.
	DeletionProtection bool `json:"deletionProtection"`
	// FinalSnapshot takes a snapshot before the instance is deleted. Default true in production only.
	FinalSnapshot bool `json:"finalSnapshot"`
	// DeleteAutomatedBackups deletes the backups together with the instance. Otherwise they stay for the retention
	// period. Default false in production, true in development.
	DeleteAutomatedBackups bool `json:"deleteAutomatedBackups"`

	// Rotation is the schedule of the master password's rotation.
	Rotation Rotation `json:"rotation"`
	// Restore creates the instance from a backup.
	Restore Restore `json:"restore"`

	// DatabaseInsightsMode is standard (default) or advanced. The advanced mode is billed, and needs
	// performanceInsights with a retention of at least 465 days.
	DatabaseInsightsMode string `json:"databaseInsightsMode"`
	// PerformanceInsights turns Performance Insights on. Default true.
	PerformanceInsights bool `json:"performanceInsights"`
	// PerformanceInsightsRetentionPeriod in days: 7 (default, free), a multiple of 31 up to 713, or 731.
	PerformanceInsightsRetentionPeriod int `json:"performanceInsightsRetentionPeriod" example:"731"`
	// MonitoringInterval of enhanced monitoring, in seconds: 0 (off), 1, 5, 10, 15, 30 or 60. Default 60.
	MonitoringInterval int `json:"monitoringInterval" example:"30"`
	// MonitoringRoleArn is an existing role for enhanced monitoring, which monitoring.rds.amazonaws.com must be able to
	// assume. Default: the stack creates one for this instance only.
	MonitoringRoleArn string `json:"monitoringRoleArn" example:"arn:aws:iam::<account>:role/rds-monitoring"`
	// LogExports are the logs that RDS sends to CloudWatch Logs: postgresql, upgrade, iam-db-auth-error. Default
	// postgresql.
	LogExports []string `json:"logExports" example:"[postgresql, upgrade]"`
	// LogRetention in CloudWatch Logs, in days. Default 365 in production, 30 in development.
	LogRetention int `json:"logRetention" example:"400"`
	// LogGroupClass is STANDARD (default), or INFREQUENT_ACCESS, which costs half but has no metric filters and no live
	// tail. It cannot be changed later.
	LogGroupClass string `json:"logGroupClass"`
	// LogKmsKeyArn is a key for the log groups. Its policy must allow CloudWatch Logs. Default: the stack's key; with
	// kmsKeyArn set, a key that the stack creates, because the policy of the given key may not allow CloudWatch Logs.
	LogKmsKeyArn string `json:"logKmsKeyArn" example:"arn:aws:kms:<region>:<account>:key/<uuid>"`
	// LogSkipDestroy keeps the log groups, with the logs until the end of their retention, when the stack or the
	// instance is deleted or gets another identifier. A later instance with the same identifier must adopt them
	// (with the command import). Default true in production only.
	LogSkipDestroy bool `json:"logSkipDestroy"`
	// Alarms in CloudWatch.
	Alarms Alarms `json:"alarms"`
	// Events of the instance that are sent to an SNS topic.
	Events Events `json:"events"`
	// Roles that the database may assume, by feature: s3Import, s3Export, Lambda. Values are ARNs.
	Roles map[string]string `json:"roles" example:"{s3Export: 'arn:aws:iam::<account>:role/export'}"`

	// Parameters of the parameter group by name, in addition to those that the tier sets.
	Parameters map[string]Parameter `json:"parameters" example:"work_mem"`
	// ParameterGroupName is an existing parameter group of the engine version's family. Default: the stack creates one.
	// The owner of an existing group is responsible for TLS (rds.force_ssl) and statement logging.
	ParameterGroupName string `json:"parameterGroupName" example:"shop-postgres16"`
	// Timeouts are how long Pulumi waits for RDS.
	Timeouts Timeouts `json:"timeouts"`

	// BlueGreenUpdate is refused: RDS makes no blue/green deployment of an instance whose master password it manages.
	// The setting exists only for its error message.
	BlueGreenUpdate bool `json:"blueGreenUpdate"`
	// ReplicateSourceDb is refused: RDS makes no read replica of a PostgreSQL instance whose master password it
	// manages. The setting exists only for its error message.
	ReplicateSourceDb string `json:"replicateSourceDb" example:"myshop-prod"`
}

// Timeouts are durations such as 90m.
type Timeouts struct {
	// Create is for the instance with its first backup, or for the restore. Default 90m: a copy of a large Multi-AZ
	// instance takes long.
	Create string `json:"create" example:"180m"`
	// Update of the instance. Default 120m.
	Update string `json:"update" example:"240m"`
	// Delete of the instance with its final snapshot. Default 90m.
	Delete string `json:"delete" example:"120m"`
}

// Parameter is a PostgreSQL parameter.
type Parameter struct {
	// Value in RDS's format: booleans are 0 and 1, durations have the parameter's unit.
	Value string `json:"value" example:"65536"`
	// ApplyMethod is immediate or pending-reboot. Default: immediate, and pending-reboot for static parameters and for
	// the value that RDS itself sets, because RDS accepts or reports no other.
	ApplyMethod string `json:"applyMethod"`
}

// Values of EngineLifecycleSupport.
const (
	ExtendedSupport         = rdsrules.ExtendedSupport
	ExtendedSupportDisabled = rdsrules.ExtendedSupportDisabled
)

// Ways to apply a parameter.
const (
	Immediate     = rdsrules.Immediate
	PendingReboot = rdsrules.PendingReboot
)

// DefaultParameters returns the parameters of every instance. Statements are logged by duration and not by kind: with
// log_statement = ddl, CREATE ROLE … PASSWORD would write passwords to CloudWatch.
func DefaultParameters() map[string]Parameter {
	return map[string]Parameter{
		// This is RDS's default since PostgreSQL 15. It is explicit because clients rely on it.
		"rds.force_ssl": {Value: "1"},
		// In milliseconds.
		"log_min_duration_statement": {Value: "1000"},
		"log_lock_waits":             {Value: "1"},
	}
}

// Development returns the settings of a small instance that can be deleted.
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

// Production returns the settings of an instance that survives the loss of a zone, keeps a month of backups and cannot
// be deleted by mistake.
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
	s.LogSkipDestroy = true
	s.Alarms.Enabled = true
	return s
}

// keyOutlives reports whether something that the key encrypts stays after the instance: its final snapshot, the backups
// that RDS retains, or its log groups.
func (s *Settings) keyOutlives() bool {
	backups := !s.DeleteAutomatedBackups && s.BackupRetentionPeriod > 0
	logs := s.LogSkipDestroy && len(s.LogExports) > 0 && s.LogKmsKeyArn == ""
	return s.FinalSnapshot || backups || logs
}

// Family returns the parameter group family of the engine version.
func (s *Settings) Family() string { return rdsrules.Family(s.EngineVersion) }
