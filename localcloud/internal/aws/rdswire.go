package aws

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/rdsrules"
	"dbtier/localcloud/internal/aws/sigv4"
	"dbtier/localcloud/internal/aws/wire"
)

var rdsActions = map[string]func(*call, *wire.Params) (any, error){
	"DescribeDBInstances":       (*call).describeDBInstances,
	"ModifyDBInstance":          (*call).modifyDBInstance,
	"RebootDBInstance":          (*call).rebootDBInstance,
	"DescribeDBSnapshots":       (*call).describeDBSnapshots,
	"DeleteDBSnapshot":          (*call).deleteDBSnapshot,
	"DescribeDBParameters":      (*call).describeDBParameters,
	"DescribeDBParameterGroups": (*call).describeDBParameterGroups,
	"DescribeDBSubnetGroups":    (*call).describeDBSubnetGroups,
	"ListTagsForResource":       (*call).listTagsForResource,
}

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

func (i *dbInstance) xml(st *state, now time.Time) xmlInstance {
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
		x.LatestRestorableTime = now.Add(-5 * time.Minute).Truncate(5 * time.Minute).Format(time.RFC3339)
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

// rdsARN returns an ARN of RDS in the call's region. The name may be *.
func (k *call) rdsARN(kind, name string) string {
	return "arn:aws:rds:" + k.region + ":" + AccountID + ":" + kind + ":" + name
}

// instance finds an instance and checks that the caller may perform the action on it.
func (k *call) instance(action, identifier string) (string, *dbInstance, error) {
	id, i := k.st.instanceID(k.region, identifier)
	arn := k.rdsARN("db", strings.ToLower(identifier))
	if i != nil {
		arn = i.arn()
	}
	err := k.allow("rds:"+action, arn, func(ctx iam.Context) {
		if i != nil {
			ctx.SetTags("aws:ResourceTag", i.Tags)
			ctx.SetTags("rds:db-tag", i.Tags)
			ctx.Set("rds:DatabaseClass", i.Class)
			ctx.Set("rds:DatabaseEngine", "postgres")
			ctx.Set("rds:DatabaseName", i.DBName)
			ctx.Set("rds:MultiAz", strconv.FormatBool(i.MultiAZ))
		}
	})
	switch {
	case err != nil:
		return "", nil, err
	case i == nil:
		return "", nil, errNoInstance(identifier)
	}
	return id, i, nil
}

func member(prefix string, index int) string { return prefix + "." + strconv.Itoa(index+1) }

// filters reads Filters.Filter.N.Name and .Values.Value.M.
func filters(p *wire.Params) map[string][]string {
	out := map[string][]string{}
	for n := range p.Count("Filters.Filter") {
		at := member("Filters.Filter", n)
		name := p.String(at + ".Name")
		out[name] = append(out[name], p.Strings(at+".Values.Value")...)
	}
	return out
}

// rdsPage cuts a page out of a list, by the paging parameters that RDS's describe actions share.
func rdsPage[T any](p *wire.Params, all []T, id func(T) string) (page []T, next string, err error) {
	limit := p.Int("MaxRecords", 100)
	marker := p.String("Marker")
	if err := p.Check(); err != nil {
		return nil, "", err
	}
	if limit < 20 || limit > 100 {
		return nil, "", wire.Errorf(codeInvalidValue, "Invalid value %d for MaxRecords. Must be between 20 and 100",
			limit)
	}
	return paginate(all, limit, 100, marker, id)
}

func (k *call) describeDBInstances(p *wire.Params) (any, error) {
	identifier := p.String("DBInstanceIdentifier")
	want := filters(p)
	var all []*dbInstance
	if identifier != "" && !strings.HasPrefix(identifier, "arn:") {
		_, i, err := k.instance("DescribeDBInstances", identifier)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	} else {
		if err := k.allow("rds:DescribeDBInstances", k.rdsARN("db", "*"), nil); err != nil {
			return nil, err
		}
		for _, id := range sortedKeys(k.st.Instances) {
			if i := k.st.Instances[id]; i.Region == k.region && (identifier == "" || identifier == i.arn()) {
				all = append(all, i)
			}
		}
		if identifier != "" && len(all) == 0 {
			return nil, errNoInstance(identifier)
		}
	}
	for name, values := range want {
		of := map[string]func(*dbInstance) []string{
			"db-instance-id":  func(i *dbInstance) []string { return []string{i.Identifier, i.arn()} },
			"dbi-resource-id": func(i *dbInstance) []string { return []string{i.ResourceID} },
			"engine":          func(*dbInstance) []string { return []string{"postgres"} },
		}[name]
		if of == nil {
			return nil, wire.NotModelled("the filter %q of DescribeDBInstances", clip(name))
		}
		all = slices.DeleteFunc(all, func(i *dbInstance) bool {
			return !slices.ContainsFunc(of(i), func(v string) bool { return slices.Contains(values, v) })
		})
	}
	page, next, err := rdsPage(p, all, func(i *dbInstance) string { return i.Identifier })
	if err != nil {
		return nil, err
	}
	out := struct {
		Marker      string        `xml:",omitempty"`
		DBInstances []xmlInstance `xml:"DBInstances>DBInstance"`
	}{Marker: next}
	for _, i := range page {
		out.DBInstances = append(out.DBInstances, i.xml(k.st, k.c.now()))
	}
	return out, nil
}

type instanceResult struct {
	DBInstance xmlInstance
}

func (k *call) instanceResult(id string) (any, error) {
	st := k.c.store.Read()
	i := st.Instances[id]
	if i == nil {
		return nil, errNoInstance(id)
	}
	return instanceResult{i.xml(st, k.c.now())}, nil
}

func (k *call) modifyDBInstance(p *wire.Params) (any, error) {
	identifier := p.Required("DBInstanceIdentifier")
	immediately := or(p.Bool("ApplyImmediately"), false)
	rotate := or(p.Bool("RotateMasterUserPassword"), false)
	text := func(name string) *string {
		if !p.Has(name) {
			return nil
		}
		v := p.String(name)
		return &v
	}
	number := func(name string) *int {
		if !p.Has(name) {
			return nil
		}
		n := p.Int(name, 0)
		return &n
	}
	in := instanceInputs{
		EngineVersion:      text("EngineVersion"),
		Class:              text("DBInstanceClass"),
		AllocatedStorage:   number("AllocatedStorage"),
		MaxStorage:         number("MaxAllocatedStorage"),
		StorageType:        text("StorageType"),
		Iops:               number("Iops"),
		Throughput:         number("StorageThroughput"),
		MultiAZ:            p.Bool("MultiAZ"),
		SubnetGroup:        text("DBSubnetGroupName"),
		ParameterGroup:     text("DBParameterGroupName"),
		SecurityGroups:     p.Strings("VpcSecurityGroupIds.VpcSecurityGroupId"),
		BackupRetention:    number("BackupRetentionPeriod"),
		BackupWindow:       text("PreferredBackupWindow"),
		MaintenanceWindow:  text("PreferredMaintenanceWindow"),
		CopyTags:           p.Bool("CopyTagsToSnapshot"),
		AutoMinor:          p.Bool("AutoMinorVersionUpgrade"),
		AllowMajor:         p.Bool("AllowMajorVersionUpgrade"),
		Public:             p.Bool("PubliclyAccessible"),
		DeletionProtection: p.Bool("DeletionProtection"),
		IAMAuth:            p.Bool("EnableIAMDatabaseAuthentication"),
		CACertificate:      text("CACertificateIdentifier"),
		MonitoringInterval: number("MonitoringInterval"),
		MonitoringRole:     text("MonitoringRoleArn"),
		PI:                 p.Bool("EnablePerformanceInsights"),
		PIRetention:        number("PerformanceInsightsRetentionPeriod"),
		InsightsMode:       text("DatabaseInsightsMode"),
		Port:               number("DBPortNumber"),
		Managed:            p.Bool("ManageMasterUserPassword"),
		SecretKMSKey:       text("MasterUserSecretKmsKeyId"),
		NetworkType:        text("NetworkType"),
	}
	enable := p.Strings("CloudwatchLogsExportConfiguration.EnableLogTypes.member")
	disable := p.Strings("CloudwatchLogsExportConfiguration.DisableLogTypes.member")
	if err := p.Check(); err != nil {
		return nil, err
	}
	id, _, err := k.instance("ModifyDBInstance", identifier)
	if err != nil {
		return nil, err
	}
	if rotate && !immediately {
		return nil, wire.Errorf(codeCombination,
			"RotateMasterUserPassword: You must apply the change immediately when rotating the master user password.")
	}
	f := &faults{what: "ModifyDBInstance"}
	latency := k.c.cfg.Latency
	err = k.c.runOrLeave(k.ctx, "modify "+identifier, latency.Modify+latency.Rotate, func(ctx context.Context) error {
		err := k.modify(ctx, id, immediately, f, func(st *state, i *dbInstance, next *settings) {
			in.overlay(next)
			next.LogExports = slices.Compact(slices.Sorted(slices.Values(slices.Concat(next.LogExports, enable))))
			next.LogExports = slices.DeleteFunc(next.LogExports,
				func(l string) bool { return slices.Contains(disable, l) })
			k.fixed(st, i, in, f)
		})
		if err == nil && rotate {
			err = k.c.rotate(ctx, id, "")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return k.instanceResult(id)
}

// runOrLeave runs an operation and waits for it. With a latency it waits only briefly, and the operation continues
// while clients can see its status.
func (c *Cloud) runOrLeave(
	ctx context.Context, what string, latency time.Duration, op func(context.Context) error,
) error {
	if latency == 0 {
		return c.run(ctx, what, op)
	}
	begun := make(chan error, 1)
	c.work.Go(func() {
		err := op(context.WithoutCancel(ctx))
		c.note(what, err)
		begun <- err
	})
	// An operation that is refused fails at once. Its error must reach the caller.
	timer := time.NewTimer(min(latency/2, 200*time.Millisecond))
	defer timer.Stop()
	select {
	case err := <-begun:
		return err
	case <-timer.C:
		return nil
	}
}

func (k *call) rebootDBInstance(p *wire.Params) (any, error) {
	identifier := p.Required("DBInstanceIdentifier")
	failover := or(p.Bool("ForceFailover"), false)
	if err := p.Check(); err != nil {
		return nil, err
	}
	id, _, err := k.instance("RebootDBInstance", identifier)
	if err != nil {
		return nil, err
	}
	err = k.c.runOrLeave(k.ctx, "reboot "+identifier, k.c.cfg.Latency.Reboot,
		func(ctx context.Context) error { return k.c.reboot(ctx, id, failover) })
	if err != nil {
		return nil, err
	}
	return k.instanceResult(id)
}

type xmlSnapshot struct {
	DBSnapshotIdentifier, DBInstanceIdentifier, SnapshotCreateTime, Engine, Status, AvailabilityZone string
	AllocatedStorage, Port                                                                           int
	InstanceCreateTime, MasterUsername, EngineVersion, LicenseModel, SnapshotType, StorageType       string
	PercentProgress                                                                                  int
	Encrypted                                                                                        bool
	KmsKeyID                                                                                         string `xml:"KmsKeyId,omitempty"`
	DBSnapshotArn                                                                                    string
	IAMDatabaseAuthenticationEnabled                                                                 bool
	DbiResourceID                                                                                    string   `xml:"DbiResourceId"`
	TagList                                                                                          []xmlTag `xml:"TagList>Tag"`
}

func (s *dbSnapshot) xml() xmlSnapshot {
	return xmlSnapshot{
		DBSnapshotIdentifier:             s.Identifier,
		DBInstanceIdentifier:             s.Instance,
		SnapshotCreateTime:               s.Created.Format(time.RFC3339Nano),
		Engine:                           "postgres",
		Status:                           statusAvailable,
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

func errNoSnapshot(id string) error {
	return wire.Status(http.StatusNotFound, "DBSnapshotNotFound", "DBSnapshot %s not found.", clip(id))
}

func (k *call) describeDBSnapshots(p *wire.Params) (any, error) {
	snapshot, instance, kind := strings.ToLower(p.String("DBSnapshotIdentifier")),
		strings.ToLower(p.String("DBInstanceIdentifier")), p.String("SnapshotType")
	if err := k.allow("rds:DescribeDBSnapshots", k.rdsARN("snapshot", cmp.Or(snapshot, "*")), nil); err != nil {
		return nil, err
	}
	var all []*dbSnapshot
	for _, id := range sortedKeys(k.st.Snapshots) {
		s := k.st.Snapshots[id]
		if s.Region == k.region && (snapshot == "" || s.Identifier == snapshot) &&
			(instance == "" || s.Instance == instance) &&
			(kind == "" || s.Type == kind) {
			all = append(all, s)
		}
	}
	if snapshot != "" && len(all) == 0 {
		return nil, errNoSnapshot(snapshot)
	}
	page, next, err := rdsPage(p, all, func(s *dbSnapshot) string { return s.Identifier })
	if err != nil {
		return nil, err
	}
	out := struct {
		Marker      string        `xml:",omitempty"`
		DBSnapshots []xmlSnapshot `xml:"DBSnapshots>DBSnapshot"`
	}{Marker: next}
	for _, s := range page {
		out.DBSnapshots = append(out.DBSnapshots, s.xml())
	}
	return out, nil
}

func (k *call) deleteDBSnapshot(p *wire.Params) (any, error) {
	id := strings.ToLower(p.Required("DBSnapshotIdentifier"))
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allow("rds:DeleteDBSnapshot", k.rdsARN("snapshot", id), nil); err != nil {
		return nil, err
	}
	var gone *dbSnapshot
	err := k.c.store.Update(func(st *state) error {
		if gone = st.Snapshots[regional(k.region, id)]; gone == nil {
			return errNoSnapshot(id)
		}
		delete(st.Snapshots, regional(k.region, id))
		return nil
	})
	if err != nil {
		return nil, err
	}
	x := gone.xml()
	x.Status = "deleted"
	return struct{ DBSnapshot xmlSnapshot }{x}, nil
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

// describeDBParameters lists the parameters that a group sets (source "user"). Without a source, it also lists those
// that a group could set.
func (k *call) describeDBParameters(p *wire.Params) (any, error) {
	name, source := strings.ToLower(p.Required("DBParameterGroupName")), p.String("Source")
	if err := k.allow("rds:DescribeDBParameters", k.rdsARN("pg", name), nil); err != nil {
		return nil, err
	}
	g := k.st.ParameterGroups[regional(k.region, name)]
	if g == nil {
		if name != "default."+rdsrules.Family(rdsrules.PostgresVersion) {
			return nil, wire.Status(http.StatusNotFound, "DBParameterGroupNotFound", "DBParameterGroup not found: %s",
				clip(name))
		}
		g = &parameterGroup{}
	}
	var all []xmlParameter
	for _, known := range rdsrules.ParameterNames() {
		def, _ := rdsrules.LookupParameter(known)
		x := xmlParameter{
			ParameterName: known, Source: "engine-default", ApplyType: def.ApplyType, DataType: def.Type,
			IsModifiable: !def.Locked,
			ApplyMethod:  rdsrules.PendingReboot,
		}
		if def.Min != "" {
			x.AllowedValues = def.Min + "-" + def.Max
		}
		if known == "max_connections" {
			x.ParameterValue, x.Source = rdsrules.DefaultMaxConnections, "system"
		}
		if v, ok := g.Parameters[known]; ok {
			x.ParameterValue, x.Source, x.ApplyMethod = v.Value, "user", v.Method
		}
		if source == "" || source == x.Source {
			all = append(all, x)
		}
	}
	page, next, err := rdsPage(p, all, func(x xmlParameter) string { return x.ParameterName })
	if err != nil {
		return nil, err
	}
	return struct {
		Marker     string         `xml:",omitempty"`
		Parameters []xmlParameter `xml:"Parameters>Parameter"`
	}{next, page}, nil
}

func (k *call) describeDBParameterGroups(p *wire.Params) (any, error) {
	name := strings.ToLower(p.String("DBParameterGroupName"))
	if err := k.allow("rds:DescribeDBParameterGroups", k.rdsARN("pg", cmp.Or(name, "*")), nil); err != nil {
		return nil, err
	}
	type group struct{ DBParameterGroupName, DBParameterGroupFamily, Description, DBParameterGroupArn string }
	var all []group
	for _, id := range sortedKeys(k.st.ParameterGroups) {
		if g := k.st.ParameterGroups[id]; g.Region == k.region && (name == "" || g.Name == name) {
			all = append(all, group{g.Name, g.Family, g.Description, g.arn()})
		}
	}
	if name != "" && len(all) == 0 {
		return nil, wire.Status(http.StatusNotFound, "DBParameterGroupNotFound", "DBParameterGroup not found: %s",
			clip(name))
	}
	page, next, err := rdsPage(p, all, func(g group) string { return g.DBParameterGroupName })
	if err != nil {
		return nil, err
	}
	return struct {
		Marker            string  `xml:",omitempty"`
		DBParameterGroups []group `xml:"DBParameterGroups>DBParameterGroup"`
	}{next, page}, nil
}

func (k *call) describeDBSubnetGroups(p *wire.Params) (any, error) {
	name := strings.ToLower(p.String("DBSubnetGroupName"))
	if err := k.allow("rds:DescribeDBSubnetGroups", k.rdsARN("subgrp", cmp.Or(name, "*")), nil); err != nil {
		return nil, err
	}
	var all []xmlSubnetGroup
	for _, id := range sortedKeys(k.st.SubnetGroups) {
		if g := k.st.SubnetGroups[id]; g.Region == k.region && (name == "" || g.Name == name) {
			all = append(all, g.xml())
		}
	}
	if name != "" && len(all) == 0 {
		return nil, wire.Status(http.StatusNotFound, "DBSubnetGroupNotFoundFault",
			"DB subnet group '%s' does not exist.", clip(name))
	}
	page, next, err := rdsPage(p, all, func(g xmlSubnetGroup) string { return g.DBSubnetGroupName })
	if err != nil {
		return nil, err
	}
	return struct {
		Marker         string           `xml:",omitempty"`
		DBSubnetGroups []xmlSubnetGroup `xml:"DBSubnetGroups>DBSubnetGroup"`
	}{next, page}, nil
}

func (k *call) listTagsForResource(p *wire.Params) (any, error) {
	arn := p.Required("ResourceName")
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allow("rds:ListTagsForResource", arn, nil); err != nil {
		return nil, err
	}
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[3] != k.region {
		return nil, wire.Errorf(codeInvalidValue,
			"The specified resource name does not match an RDS resource in this region.")
	}
	var tags map[string]string
	found := false
	id := regional(k.region, parts[6])
	switch parts[5] {
	case "db":
		if i := k.st.Instances[id]; i != nil {
			tags, found = i.Tags, true
		}
	case "subgrp":
		if g := k.st.SubnetGroups[id]; g != nil {
			tags, found = g.Tags, true
		}
	case "pg":
		if g := k.st.ParameterGroups[id]; g != nil {
			tags, found = g.Tags, true
		}
	case "snapshot":
		if s := k.st.Snapshots[id]; s != nil {
			tags, found = s.Tags, true
		}
	}
	if !found {
		return nil, wire.Status(http.StatusNotFound, "InvalidParameterValue", "%s was not found", clip(arn))
	}
	return struct {
		TagList []xmlTag `xml:"TagList>Tag"`
	}{xmlTags(tags)}, nil
}

// tokenLife is the longest lifetime of an RDS authentication token.
const tokenLife = 15 * time.Minute

// verifyDatabaseToken checks a login with an IAM authentication token. The token must be a presigned request for the
// action connect of rds-db, for this endpoint and user, by a principal that has rds-db:connect for that user. Errors
// never contain the token.
func (c *Cloud) verifyDatabaseToken(ctx context.Context, host string, port int, user, token string) error {
	refuse := func(format string, args ...any) error {
		return wire.Status(http.StatusForbidden, "AccessDenied",
			"PAM authentication failed for user \""+user+"\": "+format, args...)
	}
	u, err := url.Parse("https://" + token)
	if err != nil {
		return refuse("the password is not an authentication token")
	}
	q := u.Query()
	st := c.store.Read()
	var i *dbInstance
	for _, candidate := range st.Instances {
		if strings.EqualFold(st.endpointHost(candidate), host) && candidate.Port == port {
			i = candidate
		}
	}
	switch {
	case i == nil:
		return refuse("no DB instance has this endpoint")
	case !i.IAMAuth:
		return refuse("IAM database authentication is not enabled for %s", i.Identifier)
	case !strings.EqualFold(u.Host, net.JoinHostPort(host, strconv.Itoa(port))):
		return refuse("the token is for another endpoint")
	case q.Get("Action") != "connect" || q.Get("DBUser") != user:
		return refuse("the token is for another user")
	}
	request := (&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}).WithContext(ctx)
	sig, err := sigv4.Parse(request)
	switch {
	case err != nil:
		return refuse("%v", err)
	case sig.Service != "rds-db" || sig.Region != i.Region:
		return refuse("the token is for service %s in %s", sig.Service, sig.Region)
	case sig.Expires > tokenLife:
		return refuse("the token is valid for longer than %s", tokenLife)
	}
	k, err := c.verify(request, sig, nil)
	if err != nil {
		return refuse("%v", err)
	}
	if err := k.allow("rds-db:connect", "arn:aws:rds-db:"+i.Region+":"+AccountID+":dbuser:"+i.ResourceID+"/"+user,
		nil); err != nil {
		return refuse("%v", err)
	}
	return nil
}
