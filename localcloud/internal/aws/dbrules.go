package aws

import (
	"cmp"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/validation/rdsrules"
)

const (
	codeInvalidValue = "InvalidParameterValue"
	codeCombination  = "InvalidParameterCombination"
)

// check completes the settings of an instance and checks them by RDS's rules. before is nil at creation.
func (k *call) check(st *state, i *dbInstance, before *settings, f *faults) {
	s := &i.settings
	actual, notModelled, err := resolveVersion(s.EngineVersion, s.LifecycleSupport)
	switch {
	case notModelled:
		f.notModelled("engineVersion", "%v", err)
	case err != nil:
		f.add(codeCombination, "engineVersion", "%v", err)
	default:
		s.EngineVersionActual = actual
		if s.EngineVersion == "" {
			s.EngineVersion = actual
		}
	}
	if err := rdsrules.CheckClass(s.Class); err != nil {
		f.add(codeInvalidValue, "instanceClass", "Invalid DB Instance class: %s: %v", clip(s.Class), err)
	} else if _, ok := rdsrules.ClassMemory(s.Class); !ok {
		f.notModelled("instanceClass", "the class %s, whose memory it does not know", clip(s.Class))
	}
	checkStorage(s, before, f)
	checkWindows(s, f)
	k.checkMonitoring(st, i, f)
	checkInsights(s, before, f)
	k.checkGroups(st, i, f)
	for _, l := range s.LogExports {
		if !slices.Contains(rdsrules.LogTypes, l) {
			f.add(codeCombination, "enabledCloudwatchLogsExports",
				"You cannot use the log types '%s' with engine version postgres %s. For supported log types, see the "+
					"documentation.",
				clip(l), s.EngineVersionActual)
		}
	}
	if !slices.Contains(rdsrules.CACertificates, s.CACertificate) {
		f.add("CertificateNotFound", "caCertIdentifier", "%q: want one of %s", clip(s.CACertificate),
			strings.Join(rdsrules.CACertificates, ", "))
	}
	if s.NetworkType != "IPV4" {
		f.notModelled("networkType", "the network type %q", clip(s.NetworkType))
	}
	if s.LifecycleSupport != rdsrules.ExtendedSupport && s.LifecycleSupport != rdsrules.ExtendedSupportDisabled {
		f.add(codeInvalidValue, "engineLifecycleSupport", "%q: want %s or %s", clip(s.LifecycleSupport),
			rdsrules.ExtendedSupport, rdsrules.ExtendedSupportDisabled)
	}
	if s.Port < rdsrules.LowestPort || s.Port > rdsrules.HighestPort {
		f.add(codeInvalidValue, "port", "%d: must be between %d and "+
			"%d", s.Port, rdsrules.LowestPort, rdsrules.HighestPort)
	}
	if s.MultiAZ && i.AZ != "" && before == nil {
		f.add(codeCombination, "availabilityZone",
			"Requesting a specific availability zone is not valid for Multi-AZ instances.")
	}
	if err := checkTags(i.Tags); err != nil {
		f.add(codeInvalidValue, "tags", "%v", err)
	}
}

// gp3Threshold is the size in GiB from which IOPS and throughput of gp3 can be chosen, and are higher by default.
const gp3Threshold = 400

// checkStorage checks the storage, and completes the operations and the throughput that RDS chooses.
func checkStorage(s, before *settings, f *faults) {
	large := s.StorageType == "gp3" && s.AllocatedStorage >= gp3Threshold
	given := rdsrules.Storage{
		Type: s.StorageType, GiB: s.AllocatedStorage, MaxGiB: s.MaxAllocatedStorage, IOPS: s.Iops,
		Throughput: s.Throughput,
	}
	// RDS itself may grow the disk up to the limit.
	if before != nil && s.MaxAllocatedStorage == before.MaxAllocatedStorage &&
		s.AllocatedStorage == before.AllocatedStorage {
		given.MaxGiB = 0
	}
	switch {
	case s.StorageType == "gp3" && !large && s.Iops == 3000 && s.Throughput == 125:
		given.IOPS, given.Throughput = 0, 0 // the baseline, which RDS reports
	case large && s.Iops == 3000 && s.Throughput == 125:
		given.IOPS, given.Throughput = 0, 0 // the baseline of the smaller storage that it was
	case before != nil && before.StorageType != s.StorageType && s.StorageType != "gp3":
		given.Throughput = 0 // of the former type
		if s.StorageType == "gp2" {
			given.IOPS = 0
		}
	}
	found, known := given.Check()
	if !known {
		f.add(codeInvalidValue, "storageType", "Invalid storage type: %s", clip(s.StorageType))
		return
	}
	for _, fault := range found {
		code := codeCombination
		if fault.Setting == "allocatedStorage" {
			code = codeInvalidValue
		}
		f.add(code, fault.Setting, "%d: %s", fault.Value, fault.Reason)
	}
	if before != nil && s.AllocatedStorage < before.AllocatedStorage {
		f.add(codeInvalidValue, "allocatedStorage", "%d: storage cannot shrink; the instance has %d GiB",
			s.AllocatedStorage,
			before.AllocatedStorage)
	}
	s.Iops, s.Throughput = given.IOPS, given.Throughput
	switch {
	case large:
		s.Iops, s.Throughput = cmp.Or(s.Iops, 12000), cmp.Or(s.Throughput, 500)
	case s.StorageType == "gp3":
		s.Iops, s.Throughput = 3000, 125
	}
}

func checkWindows(s *settings, f *faults) {
	if s.BackupRetention < 0 || s.BackupRetention > rdsrules.MostBackupDays {
		f.add(codeInvalidValue, "backupRetentionPeriod", "%d: must be between 0 and %d", s.BackupRetention,
			rdsrules.MostBackupDays)
	}
	backup, maintenance, err := rdsrules.DefaultWindows(s.BackupWindow, s.MaintenanceWindow)
	if err == nil {
		s.BackupWindow, s.MaintenanceWindow = backup, maintenance
	}
	b, errB := rdsrules.ParseBackupWindow(s.BackupWindow)
	if errB != nil {
		f.add(codeInvalidValue, "backupWindow", "%q: %v", clip(s.BackupWindow), errB)
	}
	m, errM := rdsrules.ParseMaintenanceWindow(s.MaintenanceWindow)
	if errM != nil {
		f.add(codeInvalidValue, "maintenanceWindow", "%q: %v", clip(s.MaintenanceWindow), errM)
	}
	if errB == nil && errM == nil && b.Overlaps(m) {
		f.add(codeInvalidValue, "backupWindow",
			"%q: The backup window and maintenance window must not overlap (maintenanceWindow is %q).",
			s.BackupWindow, s.MaintenanceWindow)
	}
}

func checkInsights(s, before *settings, f *faults) {
	if s.InsightsMode != "standard" && s.InsightsMode != "advanced" {
		f.add(codeInvalidValue, "databaseInsightsMode", "%q: want standard or advanced", clip(s.InsightsMode))
	}
	if !s.PerformanceInsights {
		if s.PIRetention != 0 && before == nil {
			f.add(codeCombination, "performanceInsightsRetentionPeriod", "requires performanceInsightsEnabled")
		}
		if s.InsightsMode == "advanced" {
			f.add(codeCombination, "databaseInsightsMode",
				"To enable the Advanced mode of Database Insights, set performanceInsightsEnabled and a retention of "+
					"at least 465 days.")
		}
		s.PIKMSKeyARN, s.PIRetention = "", 0
		return
	}
	if s.PIRetention == 0 {
		s.PIRetention = 7
		if s.InsightsMode == "advanced" {
			s.PIRetention = rdsrules.AdvancedRetention
		}
	}
	if n := s.PIRetention; !rdsrules.IsInsightsRetention(n) {
		f.add(codeInvalidValue, "performanceInsightsRetentionPeriod",
			"%d: Invalid Performance Insights retention period. Valid values are: [7, 731] or month * 31, where "+
				"month is 1 to 23", n)
	}
	if s.InsightsMode == "advanced" && s.PIRetention < rdsrules.AdvancedRetention {
		f.add(codeCombination, "performanceInsightsRetentionPeriod",
			"%d: To enable the Advanced mode of Database Insights, set at least 465 days.", s.PIRetention)
	}
}

// checkMonitoring checks that RDS can write enhanced monitoring with the role. The role must trust RDS's monitoring
// service and allow it to write to the log group.
func (k *call) checkMonitoring(st *state, i *dbInstance, f *faults) {
	s := &i.settings
	switch {
	case !slices.Contains(rdsrules.MonitoringIntervals, s.MonitoringInterval):
		f.add(codeInvalidValue, "monitoringInterval", "%d: Invalid monitoring interval. Valid values are: %v",
			s.MonitoringInterval, rdsrules.MonitoringIntervals)
		return
	case s.MonitoringInterval == 0:
		s.MonitoringRole = ""
		return
	case s.MonitoringRole == "":
		f.add(codeCombination, "monitoringRoleArn",
			"A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0.")
		return
	}
	r := st.roleByARN(s.MonitoringRole)
	if r == nil || !k.mayMonitor(r, i) {
		f.add(codeInvalidValue, "monitoringRoleArn",
			"IAM role ARN value is invalid or does not include the required permissions for: ENHANCED_MONITORING")
	}
}

func (k *call) mayMonitor(r *role, i *dbInstance) bool {
	trust, err := iam.Parse(r.Trust, iam.Trust)
	if err != nil {
		return false
	}
	ctx := k.c.conditionContext(nil, i.Region, "", "")
	ctx.Set("aws:SourceAccount", AccountID)
	ctx.Set("aws:SourceArn", i.arn())
	ctx.Set("aws:PrincipalIsAWSService", "true")
	ctx.SetTags("aws:ResourceTag", r.Tags)
	service := iam.Principal{Kind: iam.Service, ARN: "monitoring.rds.amazonaws.com", Account: AccountID}
	assume := iam.Request{Action: "sts:AssumeRole", Resource: r.arn(), Context: ctx}
	if !iam.Evaluate(service, assume, &iam.ResourcePolicy{Policy: trust, Account: AccountID, Required: true}).Allowed {
		return false
	}
	who, err := roleCaller(r, &session{Name: "RDSEnhancedMonitoring"})
	if err != nil {
		return false
	}
	ctx = k.c.conditionContext(who, i.Region, "", "")
	group := "arn:aws:logs:" + i.Region + ":" + AccountID + ":log-group:RDSOSMetrics"
	for action, on := range map[string]string{
		"logs:CreateLogGroup": group,
		"logs:PutLogEvents":   group + ":log-stream:" + i.ResourceID,
	} {
		if !iam.Evaluate(who.Principal, iam.Request{Action: action, Resource: on, Context: ctx}, nil).Allowed {
			return false
		}
	}
	return true
}

func (k *call) checkGroups(st *state, i *dbInstance, f *faults) {
	s := &i.settings
	const family = engineFamily
	if g := st.ParameterGroups[regional(i.Region, s.ParameterGroup)]; g != nil {
		if g.Family != family {
			f.add(codeCombination, "parameterGroupName",
				"The parameter group %s with DBParameterGroupFamily %s can't be used for this instance. "+
					"Please use a parameter group with DBParameterGroupFamily %s", g.Name, g.Family, family)
		}
	} else if s.ParameterGroup != "default."+family {
		f.add("DBParameterGroupNotFound", "parameterGroupName", "DBParameterGroup not found: %s",
			clip(s.ParameterGroup))
	}
	if g := st.SubnetGroups[regional(i.Region, s.SubnetGroup)]; g == nil {
		name := s.SubnetGroup
		if name == "" {
			name = "default"
		}
		f.add("DBSubnetGroupNotFoundFault", "dbSubnetGroupName", "DB subnet group '%s' does not exist.", clip(name))
	}
	if len(s.SecurityGroups) == 0 {
		f.notModelled("vpcSecurityGroupIds", "the VPC's default security group: name another group")
	}
	for _, id := range s.SecurityGroups {
		if g := st.SecurityGroups[id]; id != NodeSecurityGroupID && (g == nil || g.Region != i.Region) {
			f.add(codeInvalidValue, "vpcSecurityGroupIds", "Invalid security group, groupId= %s, groupName=.", clip(id))
		}
	}
}

// rdsKey finds a key that RDS should use on behalf of the caller, and checks that the caller may use it. Without an ID
// it is the AWS managed key of service, which can be denied to the caller, too.
func (k *call) rdsKey(st *state, region, service, property, id string, f *faults) *kmsKey {
	if id == "" {
		id = k.c.awsManagedKey(st, region, service).arn()
	}
	key := st.findKey(region, id)
	usable := key != nil && key.keyState() == "Enabled"
	if usable {
		via := "rds"
		if key.AWSManaged == service {
			via = service
		}
		inUpdate := *k
		inUpdate.st = st
		inUpdate.keys = k.keys.Clone()
		inUpdate.keys.Set("kms:GrantIsForAWSResource", "true")
		usable = inUpdate.allowKey(key, "kms:CreateGrant", via, nil) == nil &&
			inUpdate.allowKey(key, "kms:DescribeKey", via, nil) == nil
	}
	if !usable {
		f.add("KMSKeyNotAccessibleFault", property,
			"The specified KMS key [%s] does not exist, is not enabled or you do not have permissions to access it.",
			clip(id))
		return nil
	}
	return key
}

// finalSnapshotRules checks the name of the final snapshot. RDS requires the name only at deletion.
func finalSnapshotRules(in instanceInputs, f *faults) {
	if id := or(in.FinalSnapshot, ""); id != "" {
		if err := rdsrules.CheckIdentifier(id, 255); err != nil {
			f.add(codeInvalidValue, "finalSnapshotIdentifier", "%q: %v", clip(id), err)
		}
	}
}

func (k *call) keysOfInstance(st *state, i *dbInstance, in instanceInputs, f *faults) {
	if i.Encrypted {
		if key := k.rdsKey(st, i.Region, "rds", "kmsKeyId", or(in.KMSKey, ""), f); key != nil {
			i.KMSKeyARN = key.arn()
		}
	} else if or(in.KMSKey, "") != "" {
		f.add(codeCombination, "kmsKeyId", "requires storageEncrypted")
	}
	k.insightsKey(st, i, or(in.PIKMSKey, ""), f)
}

// insightsKey sets the key of Performance Insights when it is turned on. An empty ID stands for the AWS managed key.
func (k *call) insightsKey(st *state, i *dbInstance, id string, f *faults) {
	if !i.PerformanceInsights || i.PIKMSKeyARN != "" {
		return
	}
	if key := k.rdsKey(st, i.Region, "rds", "performanceInsightsKmsKeyId", id, f); key != nil {
		i.PIKMSKeyARN = key.arn()
	}
}

// fixed refuses changes to settings that an instance keeps for life, or that the stand-in cannot change.
func (k *call) fixed(st *state, i *dbInstance, in instanceInputs, f *faults) {
	keeps := func(property string, given *string, have string) {
		if given != nil && *given != have {
			f.add(codeCombination, property, "%q: cannot be changed (it is %q)", clip(*given), have)
		}
	}
	keeps("dbName", in.DBName, i.DBName)
	keeps("username", in.Username, i.MasterUsername)
	if in.Encrypted != nil && *in.Encrypted != i.Encrypted {
		f.add(codeCombination, "storageEncrypted", "cannot be changed")
	}
	if !or(in.Managed, true) {
		f.notModelled("manageMasterUserPassword", "turning managed master passwords off")
	}
	sameKey := func(property string, given *string, have string) {
		if id := or(given, ""); id != "" && have != "" {
			if key := st.findKey(i.Region, id); key == nil || key.arn() != have {
				f.add(codeCombination, property, "%q: cannot be changed (it is %s)", clip(id), have)
			}
		}
	}
	sameKey("kmsKeyId", in.KMSKey, i.KMSKeyARN)
	sameKey("performanceInsightsKmsKeyId", in.PIKMSKey, i.PIKMSKeyARN)
	if s := st.Secrets[i.SecretARN]; s != nil {
		sameKey("masterUserSecretKmsKeyId", in.SecretKMSKey, st.secretKeyARN(s))
	}
	if in.Identifier != nil && !strings.EqualFold(*in.Identifier, i.Identifier) {
		f.notModelled("identifier", "renaming a DB instance")
	}
	finalSnapshotRules(in, f)
}

// settle sets an instance's settings, completes them and checks them.
func (k *call) settle(st *state, i *dbInstance, before *settings, next settings, f *faults) {
	i.settings = next
	k.check(st, i, before, f)
	if i.Port != before.Port {
		f.notModelled("port", "changing the port of a DB instance")
	}
	if i.SubnetGroup != before.SubnetGroup {
		f.notModelled("dbSubnetGroupName", "moving a DB instance to another subnet group")
	}
	k.insightsKey(st, i, "", f)
}
