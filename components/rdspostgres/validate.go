package rdspostgres

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"dbtier/components/fault"
	"dbtier/validation"
	"dbtier/validation/rdsrules"
)

var (
	groupNameForm  = regexp.MustCompile(`^[a-zA-Z0-9 ._-]{1,255}$`)
	parameterGroup = regexp.MustCompile(`^[a-z](-?[a-z0-9.])*$`)
)

// Validate reports every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	faults.Check(validation.DBIdentifier.Matches(s.Identifier), "identifier",
		s.Identifier,
		"want 1 to 63 lower-case letters, digits and single hyphens, beginning with a letter and not ending with a "+
			"hyphen")
	faults.Check(s.Identifier != "default" && !strings.HasPrefix(s.Identifier, "sg-"), "identifier", s.Identifier,
		"gives names that AWS reserves (default, sg-…); use another identifier")
	s.validateEngine(&faults)
	s.validateStorage(&faults)
	s.validateNames(&faults)
	s.validateBackups(&faults)
	s.validateMonitoring(&faults)
	s.validateParameters(&faults)
	s.validateRoles(&faults)
	faults.Within("rotation", s.Rotation.validate())
	faults.Within("restore", s.Restore.validate(s.Identifier))
	faults.Within("alarms", s.Alarms.validate(s.AllocatedStorage))
	faults.Within("events", s.Events.validate())
	faults.Within("timeouts", s.Timeouts.validate())
	return faults.Err()
}

func (s *Settings) validateEngine(faults *fault.List) {
	fault.OneOf(faults, "engineLifecycleSupport", s.EngineLifecycleSupport, ExtendedSupportDisabled, ExtendedSupport)
	// RDS: "Limitations for Secrets Manager integration".
	faults.Check(!s.BlueGreenUpdate, "blueGreenUpdate", true,
		"RDS makes no blue/green deployment of an instance whose master password it manages; "+
			"upgrade in place, or restore a copy under another identifier and switch to it")
	faults.Check(s.ReplicateSourceDb == "", "replicateSourceDb", s.ReplicateSourceDb,
		"RDS makes no read replica of a PostgreSQL instance whose master password it manages; use restore.pointInTime "+
			"for a copy, or multiAz for a standby")
	if err := rdsrules.CheckVersion(s.EngineVersion); err != nil {
		faults.Add("engineVersion", s.EngineVersion, "%s", err)
	}
	if !rdsrules.KnownFamily(s.Family()) {
		return
	}
	end, over := rdsrules.StandardSupportEnd(s.EngineVersion)
	// CreateDBInstance, EngineLifecycleSupport: "creating the DB instance will fail if the DB major version is past its
	// end of standard support date".
	faults.Check(!over || s.EngineLifecycleSupport == ExtendedSupport, "engineVersion", s.EngineVersion,
		"has been out of standard support since %s, and RDS creates it only with engineLifecycleSupport %s, which is "+
			"billed; use a later major version", end, ExtendedSupport)
	major, minor, _ := rdsrules.ParseVersion(s.EngineVersion)
	faults.Check(minor < 0 || !s.AutoMinorVersionUpgrade, "engineVersion", s.EngineVersion,
		"is a minor version, from which autoMinorVersionUpgrade will upgrade; use \"%d\", or set "+
			"autoMinorVersionUpgrade to false, which needs an exception from the policy rds-auto-minor-version", major)
}

func (s *Settings) validateStorage(faults *fault.List) {
	if err := rdsrules.CheckClass(s.InstanceClass); err != nil {
		faults.Add("instanceClass", s.InstanceClass, "%s", err)
	}
	provisioned := s.StorageType == "io1" || s.StorageType == "io2"
	faults.Check(!s.DedicatedLogVolume || provisioned, "dedicatedLogVolume", true,
		"needs storageType io1 or io2, not %s", s.StorageType)
	if s.AvailabilityZone != "" {
		faults.Form("availabilityZone", s.AvailabilityZone, validation.AvailabilityZone)
		faults.Check(!s.MultiAZ, "availabilityZone", s.AvailabilityZone,
			"RDS places a Multi-AZ instance itself; leave it out, or set multiAz to false")
	}
	if !fault.OneOf(faults, "storageType", s.StorageType, "gp3", "gp2", "io1", "io2") {
		return
	}
	found, _ := rdsrules.Storage{
		Type: s.StorageType, GiB: s.AllocatedStorage, MaxGiB: s.MaxAllocatedStorage, IOPS: s.Iops,
		Throughput: s.StorageThroughput,
	}.Check()
	for _, f := range found {
		if f.High > 0 {
			faults.Between(f.Setting, f.Value, f.Low, f.High, f.Unit)
			continue
		}
		faults.Add(f.Setting, f.Value, "%s", f.Reason)
	}
}

func (s *Settings) validateNames(faults *fault.List) {
	if err := rdsrules.CheckDatabaseName(s.DatabaseName); err != nil {
		faults.Add("databaseName", s.DatabaseName, "%s", err)
	}
	if err := rdsrules.CheckMasterUsername(s.MasterUsername); err != nil {
		faults.Add("masterUsername", s.MasterUsername, "%s", err)
	}
	faults.Between("port", s.Port, rdsrules.LowestPort, rdsrules.HighestPort, "")
	fault.OneOf(faults, "networkType", s.NetworkType, "IPV4", "DUAL")
	if s.SubnetGroupName != "" {
		faults.Check(groupNameForm.MatchString(s.SubnetGroupName), "subnetGroupName", s.SubnetGroupName,
			"want the name of a DB subnet group: 1 to 255 letters, digits, spaces, periods, underscores and hyphens")
	}
	fault.OneOf(faults, "caCertIdentifier", s.CACertIdentifier, rdsrules.CACertificates...)
	faults.OptionalForm("kmsKeyArn", s.KmsKeyArn, validation.KeyArn)
	faults.Between("kmsDeletionWindow", s.KmsDeletionWindow, 7, 30, "days")
}

func (s *Settings) validateBackups(faults *fault.List) {
	faults.Between("backupRetentionPeriod", s.BackupRetentionPeriod, 0, rdsrules.MostBackupDays, "days")
	if s.MultiAZ || s.DeletionProtection {
		faults.Check(s.BackupRetentionPeriod > 0, "backupRetentionPeriod", s.BackupRetentionPeriod,
			"turns backups off, but multiAz or deletionProtection is true; want 1 to 35 days")
	}
	daily, dailyErr := rdsrules.ParseBackupWindow(s.BackupWindow)
	if dailyErr != nil {
		faults.Add("backupWindow", s.BackupWindow, "%s", dailyErr)
	}
	weekly, weeklyErr := rdsrules.ParseMaintenanceWindow(s.MaintenanceWindow)
	if weeklyErr != nil {
		faults.Add("maintenanceWindow", s.MaintenanceWindow, "%s", weeklyErr)
	}
	if dailyErr == nil && weeklyErr == nil {
		faults.Check(!daily.Overlaps(weekly), "backupWindow", s.BackupWindow,
			"overlaps the maintenance window %s, which RDS refuses; move one of them", s.MaintenanceWindow)
	}
}

func (s *Settings) validateMonitoring(faults *fault.List) {
	fault.OneOf(faults, "databaseInsightsMode", s.DatabaseInsightsMode, "standard", "advanced")
	if s.DatabaseInsightsMode == "advanced" {
		faults.Check(s.PerformanceInsights && s.PerformanceInsightsRetentionPeriod >= rdsrules.AdvancedRetention,
			"databaseInsightsMode", s.DatabaseInsightsMode,
			"needs performanceInsights true and performanceInsightsRetentionPeriod of at least %d days (have %t, %d)",
			rdsrules.AdvancedRetention, s.PerformanceInsights, s.PerformanceInsightsRetentionPeriod)
	}
	if s.PerformanceInsights {
		retention := s.PerformanceInsightsRetentionPeriod
		faults.Check(rdsrules.IsInsightsRetention(retention),
			"performanceInsightsRetentionPeriod", retention, "want 7, 731 or a multiple of 31 up to 713, in days")
	}
	fault.OneOf(faults, "monitoringInterval", s.MonitoringInterval, rdsrules.MonitoringIntervals...)
	if s.MonitoringRoleArn != "" {
		faults.Form("monitoringRoleArn", s.MonitoringRoleArn, validation.RoleArn)
		faults.Check(s.MonitoringInterval != 0, "monitoringRoleArn", s.MonitoringRoleArn,
			"is not used, because monitoringInterval is 0")
	}
	for i, log := range s.LogExports {
		path := fmt.Sprintf("logExports[%d]", i)
		fault.OneOf(faults, path, log, rdsrules.LogTypes...)
		faults.Check(slices.Index(s.LogExports, log) == i, path, log, "is named twice")
	}
	if len(s.LogExports) > 0 {
		fault.OneOf(faults, "logRetention", s.LogRetention, validation.LogRetentions...)
		fault.OneOf(faults, "logGroupClass", s.LogGroupClass, "STANDARD", "INFREQUENT_ACCESS")
	}
	faults.OptionalForm("logKmsKeyArn", s.LogKmsKeyArn, validation.KeyArn)
}

func (s *Settings) validateParameters(faults *fault.List) {
	if s.ParameterGroupName != "" {
		faults.Check(len(s.ParameterGroupName) <= 255 && parameterGroup.MatchString(s.ParameterGroupName),
			"parameterGroupName", s.ParameterGroupName,
			"want the name of a parameter group: lower-case letters, digits, periods and single hyphens, beginning "+
				"with a letter")
		faults.Check(len(s.Parameters) == 0 || maps.Equal(s.Parameters, DefaultParameters()), "parameters", nil,
			"cannot be set in the group %s, because the stack does not own it; set them there, or leave "+
				"parameterGroupName out",
			s.ParameterGroupName)
	}
	if !rdsrules.KnownFamily(s.Family()) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		s.validateParameter(faults, name)
	}
	if ssl, set := s.Parameters["rds.force_ssl"]; set {
		faults.Check(ssl.Value == "1", "parameters.rds.force_ssl.value", ssl.Value,
			"would allow connections without TLS; want 1")
	}
}

func (s *Settings) validateParameter(faults *fault.List, name string) {
	path, family := "parameters."+name, s.Family()
	given := s.Parameters[name]
	p := s.withMethod(name, given)
	known := given.ApplyMethod == "" ||
		fault.OneOf(faults, path+".applyMethod", given.ApplyMethod, Immediate, PendingReboot)
	if p.Value == "" {
		faults.Add(path+".value", nil, "is missing")
	}
	if !faults.Form(path, name, validation.Parameter) || !known || p.Value == "" {
		return
	}
	reported := rdsrules.ReportedMethod(family, name, p.Value, p.ApplyMethod)
	for _, found := range rdsrules.CheckParameter(family, name, p.Value, p.ApplyMethod) {
		switch {
		case found.Unknown && strings.Contains(name, "."):
			// A parameter of an extension that the rules do not list: RDS knows it.
		case found.In == rdsrules.InName:
			faults.Add(path, nil, "%s", found.Reason)
		case found.In == rdsrules.InMethod:
			faults.Add(path+".applyMethod", given.ApplyMethod, "%s", found.Reason)
			reported = p.ApplyMethod
		default:
			faults.Add(path+".value", p.Value, "%s", found.Reason)
		}
	}
	// The provider compares the method, so that each update would find a change (terraform-provider-aws issue 39252).
	faults.Check(reported == p.ApplyMethod, path+".applyMethod", given.ApplyMethod,
		"is reported by RDS as %s, because %s is RDS's own value: each update would show a change; want %s, or "+
			"leave it out",
		reported, p.Value, reported)
}

// withMethod returns a parameter with its apply method: a static parameter, and one with the value that RDS sets
// itself, get pending-reboot.
func (s *Settings) withMethod(name string, p Parameter) Parameter {
	if p.ApplyMethod == "" {
		p.ApplyMethod = rdsrules.DefaultMethod(s.Family(), name, p.Value)
	}
	return p
}

func (s *Settings) validateRoles(faults *fault.List) {
	for _, feature := range slices.Sorted(maps.Keys(s.Roles)) {
		fault.OneOf(faults, "roles."+feature, feature, rdsrules.Features...)
		faults.Form("roles."+feature, s.Roles[feature], validation.RoleArn)
	}
}

func (t Timeouts) validate() error {
	var faults fault.List
	for _, timeout := range []struct{ path, value string }{
		{"create", t.Create},
		{"update", t.Update},
		{"delete", t.Delete},
	} {
		d, err := time.ParseDuration(timeout.value)
		faults.Check(err == nil && d >= time.Minute, timeout.path, timeout.value,
			"want a duration of at least a minute, for example 90m")
	}
	return faults.Err()
}
