package aws

import (
	"cmp"
	"time"
)

type xmlEndpoint struct {
	Address      string
	Port         int
	HostedZoneID string `xml:"HostedZoneId"`
}

type xmlSecurityGroup struct {
	VpcSecurityGroupID string `xml:"VpcSecurityGroupId"`
	Status             string
}

type xmlParameterGroupStatus struct{ DBParameterGroupName, ParameterApplyStatus string }

type xmlSubnet struct {
	SubnetIdentifier       string
	SubnetAvailabilityZone struct{ Name string }
	SubnetStatus           string
}

type xmlSubnetGroup struct {
	DBSubnetGroupName, DBSubnetGroupDescription string
	VpcID                                       string `xml:"VpcId"`
	SubnetGroupStatus                           string
	Subnets                                     []xmlSubnet `xml:"Subnets>Subnet"`
	DBSubnetGroupArn                            string
	SupportedNetworkTypes                       []string `xml:"SupportedNetworkTypes>member"`
}

type xmlMasterSecret struct {
	SecretArn    string
	SecretStatus string
	KmsKeyID     string `xml:"KmsKeyId"`
}

type xmlInstance struct {
	DBInstanceIdentifier               string
	DBInstanceClass                    string
	Engine                             string
	DBInstanceStatus                   string
	MasterUsername                     string
	DBName                             string       `xml:",omitempty"`
	Endpoint                           *xmlEndpoint `xml:",omitempty"`
	AllocatedStorage                   int
	InstanceCreateTime                 string
	PreferredBackupWindow              string
	BackupRetentionPeriod              int
	VpcSecurityGroups                  []xmlSecurityGroup        `xml:"VpcSecurityGroups>VpcSecurityGroupMembership"`
	DBParameterGroups                  []xmlParameterGroupStatus `xml:"DBParameterGroups>DBParameterGroup"`
	AvailabilityZone                   string
	SecondaryAvailabilityZone          string          `xml:",omitempty"`
	DBSubnetGroup                      *xmlSubnetGroup `xml:",omitempty"`
	PreferredMaintenanceWindow         string
	PendingModifiedValues              xmlPending
	LatestRestorableTime               string `xml:",omitempty"`
	MultiAZ                            bool
	EngineVersion                      string
	AutoMinorVersionUpgrade            bool
	LicenseModel                       string
	Iops                               int `xml:",omitempty"`
	StorageThroughput                  int `xml:",omitempty"`
	PubliclyAccessible                 bool
	StorageType                        string
	DbInstancePort                     int
	StorageEncrypted                   bool
	KmsKeyID                           string `xml:"KmsKeyId,omitempty"`
	DbiResourceID                      string `xml:"DbiResourceId"`
	CACertificateIdentifier            string
	CopyTagsToSnapshot                 bool
	MonitoringInterval                 int
	MonitoringRoleArn                  string `xml:",omitempty"`
	DBInstanceArn                      string
	IAMDatabaseAuthenticationEnabled   bool
	DatabaseInsightsMode               string
	PerformanceInsightsEnabled         bool
	PerformanceInsightsKMSKeyID        string   `xml:"PerformanceInsightsKMSKeyId,omitempty"`
	PerformanceInsightsRetentionPeriod int      `xml:",omitempty"`
	EnabledCloudwatchLogsExports       []string `xml:"EnabledCloudwatchLogsExports>member"`
	DeletionProtection                 bool
	MaxAllocatedStorage                int      `xml:",omitempty"`
	TagList                            []xmlTag `xml:"TagList>Tag"`
	BackupTarget                       string
	NetworkType                        string
	MasterUserSecret                   *xmlMasterSecret `xml:",omitempty"`
	EngineLifecycleSupport             string
}

type xmlPending struct {
	DBInstanceClass                  string `xml:",omitempty"`
	AllocatedStorage                 int    `xml:",omitempty"`
	BackupRetentionPeriod            *int   `xml:",omitempty"`
	MultiAZ                          *bool  `xml:",omitempty"`
	EngineVersion                    string `xml:",omitempty"`
	Iops                             int    `xml:",omitempty"`
	StorageThroughput                int    `xml:",omitempty"`
	StorageType                      string `xml:",omitempty"`
	CACertificateIdentifier          string `xml:",omitempty"`
	IAMDatabaseAuthenticationEnabled *bool  `xml:",omitempty"`
}

func (i *dbInstance) pendingXML() xmlPending {
	var x xmlPending
	p := i.Pending
	if p == nil {
		return x
	}
	differ(&x.DBInstanceClass, p.Class, i.Class)
	differ(&x.AllocatedStorage, p.AllocatedStorage, i.AllocatedStorage)
	differ(&x.EngineVersion, p.EngineVersionActual, i.EngineVersionActual)
	differ(&x.Iops, p.Iops, i.Iops)
	differ(&x.StorageThroughput, p.Throughput, i.Throughput)
	differ(&x.StorageType, p.StorageType, i.StorageType)
	differ(&x.CACertificateIdentifier, p.CACertificate, i.CACertificate)
	if p.BackupRetention != i.BackupRetention {
		x.BackupRetentionPeriod = &p.BackupRetention
	}
	if p.MultiAZ != i.MultiAZ {
		x.MultiAZ = &p.MultiAZ
	}
	if p.IAMAuth != i.IAMAuth {
		x.IAMDatabaseAuthenticationEnabled = &p.IAMAuth
	}
	return x
}

func differ[T comparable](field *T, pending, now T) {
	if pending != now {
		*field = pending
	}
}

func (i *dbInstance) xml(st *state) xmlInstance {
	x := xmlInstance{
		DBInstanceIdentifier:               i.Identifier,
		DBInstanceClass:                    i.Class,
		Engine:                             "postgres",
		DBInstanceStatus:                   i.Status,
		MasterUsername:                     i.MasterUsername,
		DBName:                             i.DBName,
		AllocatedStorage:                   i.AllocatedStorage,
		InstanceCreateTime:                 i.Created.Format(time.RFC3339Nano),
		PreferredBackupWindow:              i.BackupWindow,
		BackupRetentionPeriod:              i.BackupRetention,
		AvailabilityZone:                   i.AZ,
		SecondaryAvailabilityZone:          i.SecondaryAZ,
		PreferredMaintenanceWindow:         i.MaintenanceWindow,
		MultiAZ:                            i.MultiAZ,
		EngineVersion:                      i.EngineVersionActual,
		AutoMinorVersionUpgrade:            i.AutoMinor,
		LicenseModel:                       "postgresql-license",
		Iops:                               i.Iops,
		StorageThroughput:                  i.Throughput,
		PubliclyAccessible:                 i.Public,
		StorageType:                        i.StorageType,
		StorageEncrypted:                   i.Encrypted,
		KmsKeyID:                           i.KMSKeyARN,
		DbiResourceID:                      i.ResourceID,
		CACertificateIdentifier:            i.CACertificate,
		CopyTagsToSnapshot:                 i.CopyTags,
		MonitoringInterval:                 i.MonitoringInterval,
		MonitoringRoleArn:                  i.MonitoringRole,
		DBInstanceArn:                      i.arn(),
		IAMDatabaseAuthenticationEnabled:   i.IAMAuth,
		DatabaseInsightsMode:               i.InsightsMode,
		PerformanceInsightsEnabled:         i.PerformanceInsights,
		PerformanceInsightsKMSKeyID:        i.PIKMSKeyARN,
		PerformanceInsightsRetentionPeriod: i.PIRetention,
		EnabledCloudwatchLogsExports:       i.LogExports,
		DeletionProtection:                 i.DeletionProtection,
		MaxAllocatedStorage:                i.MaxAllocatedStorage,
		TagList:                            xmlTags(i.Tags),
		BackupTarget:                       "region",
		NetworkType:                        i.NetworkType,
		EngineLifecycleSupport:             i.LifecycleSupport,
		PendingModifiedValues:              i.pendingXML(),
		DBParameterGroups:                  []xmlParameterGroupStatus{{i.ParameterGroup, st.parameterStatus(i)}},
	}
	if i.Status != statusCreating {
		x.Endpoint = &xmlEndpoint{Address: st.endpointHost(i), Port: i.Port, HostedZoneID: hostedZone(i.Region)}
		if b := st.Backups[i.ResourceID]; b != nil {
			if _, latest := st.restoreWindow(b); !latest.IsZero() {
				x.LatestRestorableTime = latest.Format(time.RFC3339)
			}
		}
	}
	for _, id := range i.SecurityGroups {
		x.VpcSecurityGroups = append(x.VpcSecurityGroups, xmlSecurityGroup{id, "active"})
	}
	if g := st.SubnetGroups[regional(i.Region, i.SubnetGroup)]; g != nil {
		sub := g.xml()
		x.DBSubnetGroup = &sub
	}
	if s := st.Secrets[i.SecretARN]; s != nil {
		x.MasterUserSecret = &xmlMasterSecret{s.ARN, i.SecretStatus, st.secretKeyARN(s)}
	}
	return x
}

func (g *subnetGroup) xml() xmlSubnetGroup {
	x := xmlSubnetGroup{
		DBSubnetGroupName: g.Name, DBSubnetGroupDescription: g.Description, VpcID: VPCID, SubnetGroupStatus: "Complete",
		DBSubnetGroupArn:      g.arn(),
		SupportedNetworkTypes: []string{"IPV4"},
	}
	for _, id := range g.Subnets {
		s := xmlSubnet{SubnetIdentifier: id, SubnetStatus: "Active"}
		s.SubnetAvailabilityZone.Name = g.Region + subnetZones[id]
		x.Subnets = append(x.Subnets, s)
	}
	return x
}

type xmlSnapshot struct {
	DBSnapshotIdentifier             string
	DBInstanceIdentifier             string
	SnapshotCreateTime               string
	Engine                           string
	Status                           string
	AvailabilityZone                 string
	AllocatedStorage                 int
	Port                             int
	InstanceCreateTime               string
	MasterUsername                   string
	EngineVersion                    string
	LicenseModel                     string
	SnapshotType                     string
	StorageType                      string
	PercentProgress                  int
	Encrypted                        bool
	KmsKeyID                         string `xml:"KmsKeyId,omitempty"`
	DBSnapshotArn                    string
	IAMDatabaseAuthenticationEnabled bool
	DbiResourceID                    string   `xml:"DbiResourceId"`
	TagList                          []xmlTag `xml:"TagList>Tag"`
}

func (s *dbSnapshot) xml() xmlSnapshot {
	return xmlSnapshot{
		DBSnapshotIdentifier:             s.Identifier,
		DBInstanceIdentifier:             s.Instance,
		SnapshotCreateTime:               s.Created.Format(time.RFC3339Nano),
		Engine:                           "postgres",
		Status:                           cmp.Or(s.Status, statusAvailable),
		AvailabilityZone:                 s.AZ,
		AllocatedStorage:                 s.AllocatedStorage,
		Port:                             s.Port,
		InstanceCreateTime:               s.InstanceCreated.Format(time.RFC3339Nano),
		MasterUsername:                   s.MasterUsername,
		EngineVersion:                    s.EngineVersion,
		LicenseModel:                     "postgresql-license",
		SnapshotType:                     s.Type,
		StorageType:                      s.StorageType,
		PercentProgress:                  100,
		Encrypted:                        s.Encrypted,
		KmsKeyID:                         s.KMSKeyARN,
		DBSnapshotArn:                    s.arn(),
		IAMDatabaseAuthenticationEnabled: s.IAMAuth,
		DbiResourceID:                    s.ResourceID,
		TagList:                          xmlTags(s.Tags),
	}
}

type xmlRestoreWindow struct {
	EarliestTime, LatestTime string `xml:",omitempty"`
}

type xmlBackup struct {
	DBInstanceArn                    string
	DbiResourceID                    string `xml:"DbiResourceId"`
	Region                           string
	DBInstanceIdentifier             string
	RestoreWindow                    xmlRestoreWindow
	AllocatedStorage                 int
	Status                           string
	Port                             int
	AvailabilityZone                 string
	VpcID                            string `xml:"VpcId"`
	InstanceCreateTime               string
	MasterUsername                   string
	Engine                           string
	EngineVersion                    string
	LicenseModel                     string
	Iops                             int `xml:",omitempty"`
	Encrypted                        bool
	StorageType                      string
	KmsKeyID                         string `xml:"KmsKeyId,omitempty"`
	IAMDatabaseAuthenticationEnabled bool
	BackupRetentionPeriod            int
	DBInstanceAutomatedBackupsArn    string
	BackupTarget                     string
}

func (b *automatedBackup) xml(st *state) xmlBackup {
	s := b.settingsOf(st)
	x := xmlBackup{
		DBInstanceArn: "arn:aws:rds:" + b.Region + ":" + AccountID + ":db:" + b.Instance, DbiResourceID: b.ResourceID,
		Region: b.Region, DBInstanceIdentifier: b.Instance, AllocatedStorage: s.AllocatedStorage, Status: "active",
		Port: s.Port, VpcID: VPCID, InstanceCreateTime: b.InstanceCreated.Format(time.RFC3339Nano),
		MasterUsername: s.MasterUsername, Engine: "postgres", EngineVersion: s.EngineVersionActual,
		LicenseModel: "postgresql-license", Iops: s.Iops, Encrypted: s.Encrypted, StorageType: s.StorageType,
		KmsKeyID: s.KMSKeyARN, IAMDatabaseAuthenticationEnabled: s.IAMAuth, BackupRetentionPeriod: s.BackupRetention,
		DBInstanceAutomatedBackupsArn: b.arn(), BackupTarget: "region",
	}
	if b.Retained != nil {
		x.Status, x.AvailabilityZone = "retained", b.Retained.AZ
	} else {
		x.AvailabilityZone = st.Instances[regional(b.Region, b.Instance)].AZ
	}
	if earliest, latest := st.restoreWindow(b); !latest.IsZero() {
		x.RestoreWindow = xmlRestoreWindow{earliest.Format(time.RFC3339), latest.Format(time.RFC3339)}
	}
	return x
}

type xmlParameter struct {
	ParameterName  string
	ParameterValue string `xml:",omitempty"`
	Source         string
	ApplyType      string
	DataType       string
	AllowedValues  string `xml:",omitempty"`
	IsModifiable   bool
	ApplyMethod    string
}
