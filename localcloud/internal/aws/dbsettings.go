package aws

import (
	"slices"
	"strings"
)

type instanceInputs struct {
	Identifier         *string           `json:"identifier"`
	Engine             *string           `json:"engine"`
	EngineVersion      *string           `json:"engineVersion"`
	Class              *string           `json:"instanceClass"`
	AllocatedStorage   *int              `json:"allocatedStorage"`
	MaxStorage         *int              `json:"maxAllocatedStorage"`
	StorageType        *string           `json:"storageType"`
	Iops               *int              `json:"iops"`
	Throughput         *int              `json:"storageThroughput"`
	Encrypted          *bool             `json:"storageEncrypted"`
	KMSKey             *string           `json:"kmsKeyId"`
	Username           *string           `json:"username"`
	Managed            *bool             `json:"manageMasterUserPassword"`
	SecretKMSKey       *string           `json:"masterUserSecretKmsKeyId"`
	DBName             *string           `json:"dbName"`
	Port               *int              `json:"port"`
	MultiAZ            *bool             `json:"multiAz"`
	AZ                 *string           `json:"availabilityZone"`
	SubnetGroup        *string           `json:"dbSubnetGroupName"`
	ParameterGroup     *string           `json:"parameterGroupName"`
	SecurityGroups     []string          `json:"vpcSecurityGroupIds"`
	BackupRetention    *int              `json:"backupRetentionPeriod"`
	BackupWindow       *string           `json:"backupWindow"`
	MaintenanceWindow  *string           `json:"maintenanceWindow"`
	CopyTags           *bool             `json:"copyTagsToSnapshot"`
	AutoMinor          *bool             `json:"autoMinorVersionUpgrade"`
	AllowMajor         *bool             `json:"allowMajorVersionUpgrade"`
	Public             *bool             `json:"publiclyAccessible"`
	DeletionProtection *bool             `json:"deletionProtection"`
	IAMAuth            *bool             `json:"iamDatabaseAuthenticationEnabled"`
	DeleteBackups      *bool             `json:"deleteAutomatedBackups"`
	SkipFinalSnapshot  *bool             `json:"skipFinalSnapshot"`
	FinalSnapshot      *string           `json:"finalSnapshotIdentifier"`
	Snapshot           *string           `json:"snapshotIdentifier"`
	PointInTime        *pointInTime      `json:"restoreToPointInTime"`
	CACertificate      *string           `json:"caCertIdentifier"`
	MonitoringInterval *int              `json:"monitoringInterval"`
	MonitoringRole     *string           `json:"monitoringRoleArn"`
	PI                 *bool             `json:"performanceInsightsEnabled"`
	PIRetention        *int              `json:"performanceInsightsRetentionPeriod"`
	PIKMSKey           *string           `json:"performanceInsightsKmsKeyId"`
	InsightsMode       *string           `json:"databaseInsightsMode"`
	LogExports         []string          `json:"enabledCloudwatchLogsExports"`
	NetworkType        *string           `json:"networkType"`
	Lifecycle          *string           `json:"engineLifecycleSupport"`
	License            *string           `json:"licenseModel"`
	ApplyImmediately   *bool             `json:"applyImmediately"`
	Tags               map[string]string `json:"tags"`
	TagsAll            map[string]string `json:"tagsAll"`
}

var instanceRefused = map[string]string{
	"replicateSourceDb":        "read replicas",
	"replicaMode":              "read replicas",
	"s3Import":                 "imports from S3",
	"blueGreenUpdate":          "blue/green deployments",
	"domain":                   "Active Directory",
	"domainAuthSecretArn":      "Active Directory",
	"domainDnsIps":             "Active Directory",
	"domainFqdn":               "Active Directory",
	"domainIamRoleName":        "Active Directory",
	"domainOu":                 "Active Directory",
	"customerOwnedIpEnabled":   "Outposts",
	"backupTarget":             "Outposts",
	"customIamInstanceProfile": "RDS Custom",
	"characterSetName":         "character sets, which only Oracle has",
	"ncharCharacterSetName":    "character sets, which only Oracle has",
	"timezone":                 "time zones, which only SQL Server has",
	"dedicatedLogVolume":       "dedicated log volumes",
	"upgradeStorageConfig":     "storage upgrades of replicas",
	"identifierPrefix":         "names generated from a prefix: set identifier",
	"optionGroupName":          "option groups, which PostgreSQL does not have",
	"name":                     "this deprecated property: set dbName",
	"password": "a master password from the program: set manageMasterUserPassword, so that RDS " +
		"generates and keeps it",
}

// overlay sets the settings for which there is an input.
func (in instanceInputs) overlay(s *settings) {
	set(&s.EngineVersion, in.EngineVersion)
	set(&s.Class, in.Class)
	set(&s.AllocatedStorage, in.AllocatedStorage)
	set(&s.MaxAllocatedStorage, in.MaxStorage)
	set(&s.StorageType, in.StorageType)
	set(&s.Iops, in.Iops)
	set(&s.Throughput, in.Throughput)
	set(&s.MultiAZ, in.MultiAZ)
	set(&s.SubnetGroup, in.SubnetGroup)
	set(&s.ParameterGroup, in.ParameterGroup)
	set(&s.BackupRetention, in.BackupRetention)
	set(&s.BackupWindow, in.BackupWindow)
	set(&s.MaintenanceWindow, in.MaintenanceWindow)
	set(&s.CopyTags, in.CopyTags)
	set(&s.AutoMinor, in.AutoMinor)
	set(&s.Public, in.Public)
	set(&s.DeletionProtection, in.DeletionProtection)
	set(&s.IAMAuth, in.IAMAuth)
	set(&s.DeleteAutomatedBackups, in.DeleteBackups)
	set(&s.CACertificate, in.CACertificate)
	set(&s.MonitoringInterval, in.MonitoringInterval)
	set(&s.MonitoringRole, in.MonitoringRole)
	set(&s.PerformanceInsights, in.PI)
	set(&s.PIRetention, in.PIRetention)
	set(&s.InsightsMode, in.InsightsMode)
	set(&s.NetworkType, in.NetworkType)
	set(&s.LifecycleSupport, in.Lifecycle)
	set(&s.Port, in.Port)
	if in.SecurityGroups != nil {
		s.SecurityGroups = slices.Compact(slices.Sorted(slices.Values(in.SecurityGroups)))
	}
	if in.LogExports != nil {
		s.LogExports = slices.Compact(slices.Sorted(slices.Values(in.LogExports)))
	}
	s.MaintenanceWindow = strings.ToLower(s.MaintenanceWindow)
	s.ParameterGroup, s.SubnetGroup = strings.ToLower(s.ParameterGroup), strings.ToLower(s.SubnetGroup)
}

// dropGrown leaves out the size of a disk that RDS has grown since: the provider does not ask it to shrink as long as
// the disk may grow.
func (in *instanceInputs) dropGrown(s *settings) {
	asked, most := or(in.AllocatedStorage, 0), or(in.MaxStorage, 0)
	if asked < s.AllocatedStorage && most > asked {
		in.AllocatedStorage = nil
	}
}

func set[T any](field, given *T) {
	if given != nil {
		*field = *given
	}
}

func defaultSettings() settings {
	return settings{
		StorageType: "gp2", Port: 5432, BackupRetention: 1, AutoMinor: true, DeleteAutomatedBackups: true,
		CACertificate: "rds-ca-rsa2048-g1",
		InsightsMode:  "standard", NetworkType: "IPV4", LifecycleSupport: "open-source-rds-extended-support",
		ParameterGroup: "default.postgres16",
	}
}

// reset sets settings to their defaults if AWS does not choose their value. Removing such an input from a program
// therefore turns the setting off.
func (s *settings) reset() {
	s.MaxAllocatedStorage, s.MonitoringInterval, s.LogExports = 0, 0, nil
	s.CopyTags, s.Public, s.DeletionProtection, s.IAMAuth, s.PerformanceInsights = false, false, false, false, false
	s.AutoMinor, s.DeleteAutomatedBackups = true, true
}

// copyDeferred copies the settings that wait for the maintenance window unless they are applied immediately ("Available
// settings" in "Modifying a DB instance").
func copyDeferred(to, from *settings) {
	to.Class, to.EngineVersion, to.EngineVersionActual = from.Class, from.EngineVersion, from.EngineVersionActual
	to.AllocatedStorage, to.StorageType, to.Iops, to.Throughput = from.AllocatedStorage, from.StorageType, from.Iops,
		from.Throughput
	to.MultiAZ, to.CACertificate, to.IAMAuth, to.SubnetGroup = from.MultiAZ, from.CACertificate, from.IAMAuth,
		from.SubnetGroup
	to.MonitoringInterval, to.MonitoringRole = from.MonitoringInterval, from.MonitoringRole
	// Turning backups on or off requires an outage. Changing the retention does not.
	if (to.BackupRetention == 0) != (from.BackupRetention == 0) {
		to.BackupRetention = from.BackupRetention
	}
}

// placeStandby places the standby of a Multi-AZ instance in the next zone. One that is there stays.
func (i *dbInstance) placeStandby() {
	switch {
	case !i.MultiAZ:
		i.SecondaryAZ = ""
	case i.SecondaryAZ == "":
		at := slices.Index(zones, strings.TrimPrefix(i.AZ, i.Region))
		i.SecondaryAZ = i.Region + zones[(max(at, 0)+1)%len(zones)]
	}
}

func sameSettings(a, b settings) bool { return canonicalJSON(a) == canonicalJSON(b) }
