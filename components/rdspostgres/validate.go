package rdspostgres

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/components/fault"
	"dbtier/validation"
)

var (
	classForm      = regexp.MustCompile(`^db\.[a-z0-9-]+\.[a-z0-9]+$`)
	versionForm    = regexp.MustCompile(`^([1-9]\d)(?:\.(\d{1,2}))?$`)
	groupNameForm  = regexp.MustCompile(`^[a-zA-Z0-9 ._-]{1,255}$`)
	parameterGroup = regexp.MustCompile(`^[a-z](-?[a-z0-9.])*$`)
)

// RDS refuses these master users of PostgreSQL ("Settings for DB instances").
var reservedUsers = []string{
	"admin", "postgres", "public", "rdsadmin", "rdsrepladmin", "rds_superuser", "rds_iam",
	"user",
}

// Lower minor versions can no longer be created (RDS for PostgreSQL release calendar).
var oldestMinor = map[int]int{16: 9}

// Major versions that have a parameter group family of the form postgres<major>.
const oldestMajor, newestMajor = 13, 18

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
	version := versionForm.FindStringSubmatch(s.EngineVersion)
	if !faults.Check(version != nil, "engineVersion", s.EngineVersion,
		`want a major version such as "16", or major.minor`) {
		return
	}
	major, _ := strconv.Atoi(version[1])
	if !faults.Check(oldestMajor <= major && major <= newestMajor, "engineVersion", s.EngineVersion,
		"want a major version from %d to %d", oldestMajor, newestMajor) || version[2] == "" {
		return
	}
	minor, _ := strconv.Atoi(version[2])
	faults.Check(minor >= oldestMinor[major], "engineVersion", s.EngineVersion,
		"RDS no longer creates it; use %q and let RDS pick the newest", version[1])
	faults.Check(!s.AutoMinorVersionUpgrade, "engineVersion", s.EngineVersion,
		"is a minor version, from which autoMinorVersionUpgrade will upgrade; use %q, or set autoMinorVersionUpgrade "+
			"to "+
			"false", version[1])
}

func (s *Settings) validateStorage(faults *fault.List) {
	faults.Check(classForm.MatchString(s.InstanceClass), "instanceClass", s.InstanceClass,
		"want a class such as db.m6g.large")
	fault.OneOf(faults, "storageType", s.StorageType, "gp3", "gp2", "io1", "io2")
	provisioned := s.StorageType == "io1" || s.StorageType == "io2"
	least := 20
	if provisioned {
		least = 100
	}
	faults.Check(!s.DedicatedLogVolume || provisioned, "dedicatedLogVolume", true,
		"needs storageType io1 or io2, not %s", s.StorageType)
	if s.AvailabilityZone != "" {
		faults.Form("availabilityZone", s.AvailabilityZone, validation.AvailabilityZone)
		faults.Check(!s.MultiAZ, "availabilityZone", s.AvailabilityZone,
			"RDS places a Multi-AZ instance itself; leave it out, or set multiAz to false")
	}
	faults.Between("allocatedStorage", s.AllocatedStorage, least, 65536, "GiB with "+s.StorageType)
	if s.MaxAllocatedStorage != 0 {
		// "The maximum storage threshold must be at least 10% more than the allocated storage."
		faults.Check(10*s.MaxAllocatedStorage >= 11*s.AllocatedStorage && s.MaxAllocatedStorage <= 65536,
			"maxAllocatedStorage", s.MaxAllocatedStorage,
			"want 0 to turn growth off, or at least a tenth more than allocatedStorage (%d GiB), up to 65536",
			s.AllocatedStorage)
	}
	switch {
	case provisioned:
		faults.Between("iops", s.Iops, 1000, 256000, "with "+s.StorageType)
	case s.StorageType != "gp3":
		faults.Check(s.Iops == 0, "iops", s.Iops, "%s has no provisioned iops; leave it out or use gp3", s.StorageType)
	case s.Iops != 0:
		if faults.Check(s.AllocatedStorage >= 400, "iops", s.Iops,
			"gp3 accepts it only from 400 GiB of allocatedStorage; leave it out") {
			faults.Between("iops", s.Iops, 12000, 64000, "with gp3")
		}
	}
	if s.StorageThroughput != 0 {
		if faults.Check(s.StorageType == "gp3" && s.Iops != 0, "storageThroughput", s.StorageThroughput,
			"needs storageType gp3 and iops; leave it out") {
			faults.Between("storageThroughput", s.StorageThroughput, 500, 4000, "MiB/s")
		}
	}
}

func (s *Settings) validateNames(faults *fault.List) {
	faults.Form("databaseName", s.DatabaseName, validation.SQLName)
	faults.Form("masterUsername", s.MasterUsername, validation.SQLName)
	user := strings.ToLower(s.MasterUsername)
	faults.Check(!slices.Contains(reservedUsers, user) && !strings.HasPrefix(user, "pg_"), "masterUsername",
		s.MasterUsername,
		"is reserved by RDS or PostgreSQL; use another name, for example <database>_admin")
	faults.Between("port", s.Port, 1150, 65535, "")
	fault.OneOf(faults, "networkType", s.NetworkType, "IPV4", "DUAL")
	if s.SubnetGroupName != "" {
		faults.Check(groupNameForm.MatchString(s.SubnetGroupName), "subnetGroupName", s.SubnetGroupName,
			"want the name of a DB subnet group: 1 to 255 letters, digits, spaces, periods, underscores and hyphens")
	}
	fault.OneOf(faults, "caCertIdentifier", s.CACertIdentifier, "rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1",
		"rds-ca-ecc384-g1")
	faults.OptionalForm("kmsKeyArn", s.KmsKeyArn, validation.KeyArn)
	faults.Between("kmsDeletionWindow", s.KmsDeletionWindow, 7, 30, "days")
}

func (s *Settings) validateBackups(faults *fault.List) {
	faults.Between("backupRetentionPeriod", s.BackupRetentionPeriod, 0, 35, "days")
	if s.MultiAZ || s.DeletionProtection {
		faults.Check(s.BackupRetentionPeriod > 0, "backupRetentionPeriod", s.BackupRetentionPeriod,
			"turns backups off, but multiAz or deletionProtection is true; want 1 to 35 days")
	}
	daily, dailyErr := parseDaily(s.BackupWindow)
	if dailyErr != nil {
		faults.Add("backupWindow", s.BackupWindow, "%s", dailyErr)
	}
	weekly, weeklyErr := parseWeekly(s.MaintenanceWindow)
	if weeklyErr != nil {
		faults.Add("maintenanceWindow", s.MaintenanceWindow, "%s", weeklyErr)
	}
	if dailyErr == nil && weeklyErr == nil {
		faults.Check(!overlap(daily, weekly), "backupWindow", s.BackupWindow,
			"overlaps the maintenance window %s, which RDS refuses; move one of them", s.MaintenanceWindow)
	}
}

// advancedRetention is the retention of Performance Insights that the advanced mode of Database Insights needs, in
// days.
const advancedRetention = 465

func (s *Settings) validateMonitoring(faults *fault.List) {
	fault.OneOf(faults, "databaseInsightsMode", s.DatabaseInsightsMode, "standard", "advanced")
	if s.DatabaseInsightsMode == "advanced" {
		// "Turning on the Advanced mode of Database Insights".
		faults.Check(s.PerformanceInsights && s.PerformanceInsightsRetentionPeriod >= advancedRetention,
			"databaseInsightsMode", s.DatabaseInsightsMode,
			"needs performanceInsights true and performanceInsightsRetentionPeriod of at least %d days (have %t, %d)",
			advancedRetention, s.PerformanceInsights, s.PerformanceInsightsRetentionPeriod)
	}
	if s.PerformanceInsights {
		retention := s.PerformanceInsightsRetentionPeriod
		faults.Check(retention == 7 || retention == 731 || (retention > 0 && retention <= 23*31 && retention%31 == 0),
			"performanceInsightsRetentionPeriod", retention, "want 7, 731 or a multiple of 31 up to 713, in days")
	}
	fault.OneOf(faults, "monitoringInterval", s.MonitoringInterval, 0, 1, 5, 10, 15, 30, 60)
	if s.MonitoringRoleArn != "" {
		faults.Form("monitoringRoleArn", s.MonitoringRoleArn, validation.RoleArn)
		faults.Check(s.MonitoringInterval != 0, "monitoringRoleArn", s.MonitoringRoleArn,
			"is not used, because monitoringInterval is 0")
	}
	for i, log := range s.LogExports {
		path := fmt.Sprintf("logExports[%d]", i)
		fault.OneOf(faults, path, log, "postgresql", "upgrade", "iam-db-auth-error")
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
	for _, name := range slices.Sorted(maps.Keys(s.Parameters)) {
		p := s.Parameters[name]
		path := "parameters." + name
		faults.Form(path, name, validation.Parameter)
		faults.Check(p.Value != "", path+".value", nil, "is missing")
		if p.ApplyMethod != "" {
			fault.OneOf(faults, path+".applyMethod", p.ApplyMethod, Immediate, PendingReboot)
		}
	}
	if ssl, set := s.Parameters["rds.force_ssl"]; set {
		faults.Check(ssl.Value == "1", "parameters.rds.force_ssl.value", ssl.Value,
			"would allow connections without TLS; want 1")
	}
}

func (s *Settings) validateRoles(faults *fault.List) {
	for _, feature := range slices.Sorted(maps.Keys(s.Roles)) {
		fault.OneOf(faults, "roles."+feature, feature, "s3Import", "s3Export", "Lambda")
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
