package rds

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/rule"
)

const family = "rds"

// The types that the rules know.
const (
	instance           = "aws:rds/instance:Instance"
	cluster            = "aws:rds/cluster:Cluster"
	clusterInstance    = "aws:rds/clusterInstance:ClusterInstance"
	parameterGroup     = "aws:rds/parameterGroup:ParameterGroup"
	clusterParameters  = "aws:rds/clusterParameterGroup:ClusterParameterGroup"
	snapshot           = "aws:rds/snapshot:Snapshot"
	clusterSnapshot    = "aws:rds/clusterSnapshot:ClusterSnapshot"
	snapshotCopy       = "aws:rds/snapshotCopy:SnapshotCopy"
	backupsReplication = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
	eventSubscription  = "aws:rds/eventSubscription:EventSubscription"
	proxy              = "aws:rds/proxy:Proxy"
	logGroup           = "aws:cloudwatch/logGroup:LogGroup"
)

var databases = []string{instance, cluster}

// Rules are all rules of the family.
func Rules() []*rule.Rule {
	return slices.Concat(credentials(), encryption(), availability(), observation(), software(), companions(),
		[]*rule.Rule{tags()})
}

// replica tells that the instance copies another, whose backups, user and encryption are its own business.
func replica(s *rule.Subject) bool {
	source := s.Get("replicateSourceDb")
	return !source.Known() || !source.Missing()
}

// isPostgres tells engines that this family's rules on PostgreSQL hold for. An instance that says no engine is a
// replica or restored.
func isPostgres(s *rule.Subject) bool {
	engine, ok := s.Get("engine").Text("postgres")
	return ok && strings.Contains(engine, "postgres")
}

// on is a rule that a switch is on; missing says what AWS takes a missing one for.
func on(key string, missing bool, reason string) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if is, ok := s.Get(key).Bool(missing); ok && !is {
			s.Get(key).Fail("%s", reason)
		}
	}
}

// off is a rule that a switch is off.
func off(key, reason string) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if is, ok := s.Get(key).Bool(false); ok && is {
			s.Get(key).Fail("%s", reason)
		}
	}
}

// given is a rule that there is a value.
func given(key, reason string) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if value := s.Get(key); value.Empty() {
			value.Fail("%s", reason)
		}
	}
}

func unlessReplica(judge func(*rule.Subject)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if !replica(s) {
			judge(s)
		}
	}
}

func credentials() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "rds-managed-password", Family: family,
			Summary: "RDS makes and rotates the master password; the program holds none.",
			Why: "A password in the program is in its state, its plans and somebody's config, and nobody rotates " +
				"it.",
			Fix: "set manageMasterUserPassword and leave out password and passwordWo", Severity: rule.Critical,
			Levels: rule.Always,
			IDs:    []string{"gap:managed-password"}, Types: databases,
			Needs: []string{
				"manageMasterUserPassword", "password", "masterPassword", "passwordWo", "masterPasswordWo",
				"replicateSourceDb", "replicationSourceIdentifier",
				"globalClusterIdentifier",
			},
			Resource: unlessReplica(func(s *rule.Subject) {
				for _, key := range []string{"password", "masterPassword", "passwordWo", "masterPasswordWo"} {
					if s.Get(key).Given() {
						s.Get(key).FailUnseen("is given by the program")
						return
					}
				}
				if s.Get("globalClusterIdentifier").Given() || s.Get("replicationSourceIdentifier").Given() {
					return
				}
				on("manageMasterUserPassword", false, "RDS does not manage the password")(s)
			}),
		},
		{
			Name: "rds-master-secret-cmk", Family: family,
			Summary: "The secret with the master password is encrypted with a key of the account's own.",
			Why: "Who may decrypt with the AWS managed key cannot be said: every principal of the account that " +
				"may read the secret can.",
			Fix: "set masterUserSecretKmsKeyId to a key of your own", Severity: rule.Medium,
			Levels: rule.InProduction,
			IDs:    []string{"CKV_AWS_149", "AVD-AWS-0098", "pulumi:secretsmanager.Secret.configureCustomerManagedKey"},
			Types:  databases,
			Needs:  []string{"manageMasterUserPassword", "masterUserSecretKmsKeyId"},
			Resource: func(s *rule.Subject) {
				managed := s.Get("manageMasterUserPassword")
				if is, ok := managed.Bool(false); !ok || !is {
					return
				}
				given("masterUserSecretKmsKeyId", "is missing: aws/secretsmanager encrypts the secret")(s)
			},
		},
		{
			Name: "rds-admin-name", Family: family,
			Summary: "The master user has a name of its own.",
			Why:     "The names that everybody tries first are half of a login.",
			Fix:     "choose another username; it cannot be changed later", Severity: rule.Low,
			Levels: rule.InProduction,
			IDs:    []string{"RDS.25"}, Types: databases, Needs: []string{"username", "masterUsername"},
			Resource: func(s *rule.Subject) {
				for _, key := range []string{"username", "masterUsername"} {
					first := []string{"admin", "administrator", "postgres", "root", "rdsadmin", "user"}
					if name, ok := s.Get(key).Text(""); ok && slices.Contains(first, strings.ToLower(name)) {
						s.Get(key).Fail("is a name that everybody tries first")
					}
				}
			},
		},
		{
			Name: "rds-iam-authentication", Family: family,
			Summary: "The database takes IAM tokens in place of passwords from the users that are granted rds_iam.",
			Why:     "Without it every login is a password that somebody has to keep.",
			Fix:     "set iamDatabaseAuthenticationEnabled", Severity: rule.Medium, Levels: rule.InProduction,
			IDs: []string{"CKV_AWS_161", "CKV_AWS_162", "AVD-AWS-0176", "RDS.10"}, Types: databases,
			Needs:    []string{"iamDatabaseAuthenticationEnabled"},
			Resource: on("iamDatabaseAuthenticationEnabled", false, "IAM authentication is off"),
		},
	}
}

func encryption() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "rds-storage-encrypted", Family: family,
			Summary: "The storage of a database is encrypted.",
			Why: "Unencrypted storage leaves its snapshots and backups readable to whoever gets at them, and " +
				"cannot be encrypted later without a restore.",
			Fix: "set storageEncrypted; it replaces an instance that exists, so restore a snapshot copied with " +
				"encryption",
			Severity: rule.Critical, Levels: rule.Always,
			IDs: []string{
				"CKV_AWS_16", "AVD-AWS-0080", "AVD-AWS-0079", "RDS.3", "RDS.4", "CIS-2.3.1", "CIS-3.2.1",
				"awsguard:rds-storage-encrypted",
				"pulumi:rds.Instance.disallowUnencryptedStorage", "CKV_AWS_146",
			},
			Types: databases, Needs: []string{"storageEncrypted", "replicateSourceDb"},
			// A replica's storage is encrypted when its source's is.
			Resource: unlessReplica(on("storageEncrypted", false, "the storage is not encrypted")),
		},
		{
			Name: "rds-storage-cmk", Family: family,
			Summary: "A key of the account's own encrypts the storage.",
			Why: "A snapshot under the AWS managed key cannot be shared or copied to another account, and nobody " +
				"can take the key away.",
			Fix: "set kmsKeyId to the ARN of a key of your own", Severity: rule.Medium, Levels: rule.InProduction,
			Knobs: []rule.Knob{
				{
					Name: "kmsKeyId", Description: "The ARN of the one key that may be used; empty takes any.",
					Default: "",
				},
			},
			IDs: []string{
				"CKV_AWS_327", "pulumi:rds.Instance.configureCustomerManagedKey",
				"awsguard:rds-storage-encrypted",
			}, Types: databases,
			Needs: []string{"kmsKeyId", "replicateSourceDb"},
			Resource: unlessReplica(func(s *rule.Subject) {
				only := s.Text("kmsKeyId")
				if only == "" {
					given("kmsKeyId", "is missing: aws/rds encrypts the storage")(s)
					return
				}
				if key, ok := s.Get("kmsKeyId").Text(""); ok && key != only {
					s.Get("kmsKeyId").Fail("the policy config wants the key %s", only)
				}
			}),
		},
		{
			Name: "rds-performance-insights-cmk", Family: family,
			Summary: "A key of the account's own encrypts what Performance Insights keeps.",
			Why:     "It keeps the text of statements.",
			Fix:     "set performanceInsightsKmsKeyId", Severity: rule.Medium, Levels: rule.InProduction,
			IDs: []string{
				"CKV_AWS_354", "AVD-AWS-0078",
				"pulumi:rds.Instance.disallowUnencryptedPerformanceInsights",
			},
			Types: []string{instance, clusterInstance},
			Needs: []string{"performanceInsightsEnabled", "performanceInsightsKmsKeyId"},
			Resource: func(s *rule.Subject) {
				if is, ok := s.Get("performanceInsightsEnabled").Bool(false); ok && is {
					given("performanceInsightsKmsKeyId", "is missing: aws/rds encrypts them")(s)
				}
			},
		},
		{
			Name: "rds-force-ssl", Family: family,
			Summary: "The database refuses connections without TLS.",
			Why:     "A client that does not ask for TLS sends its statements and their results in plain.",
			Fix:     "set the parameter rds.force_ssl to 1", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"CKV2_AWS_69", "RDS.38"}, Types: []string{parameterGroup, clusterParameters},
			Needs: []string{"family", "parameters"},
			Resource: func(s *rule.Subject) {
				engine, ok := s.Get("family").Text("")
				if !ok || !strings.Contains(engine, "postgres") {
					return
				}
				value, found, ok := parameter(s, "rds.force_ssl")
				switch {
				case !ok:
				case found.Path() == "" && major(engine) >= 15:
					// The default of RDS from PostgreSQL 15 on.
				case found.Path() == "":
					s.Get("parameters").Fail("rds.force_ssl is not set, and the default of %s is 0", engine)
				case value != "1":
					found.Fail("rds.force_ssl is off")
				}
			},
		},
		{
			Name: "rds-ca-certificate", Family: family,
			Summary:  "The server certificate is of an authority that is still valid.",
			Why:      "When rds-ca-2019 expired, every client that verifies stopped connecting.",
			Fix:      "set caCertIdentifier to rds-ca-rsa2048-g1, rds-ca-rsa4096-g1 or rds-ca-ecc384-g1",
			Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{"CKV_AWS_211"}, Types: []string{instance, clusterInstance},
			Needs: []string{"caCertIdentifier"},
			Resource: func(s *rule.Subject) {
				authority, ok := s.Get("caCertIdentifier").Text("")
				if ok && authority != "" && !slices.Contains(
					[]string{"rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"}, authority,
				) {
					s.Get("caCertIdentifier").Fail("is no current authority of RDS")
				}
			},
		},
	}
}

// parameter finds a parameter of a group. It is not ok when it may be among what is not known yet. Where it is not set,
// the value found has no path.
func parameter(s *rule.Subject, name string) (value string, found rule.Value, ok bool) {
	parameters := s.Get("parameters")
	if !parameters.Known() {
		return "", rule.Value{}, false
	}
	ok = true
	for _, item := range parameters.Items() {
		called, known := item.Get("name").Text("")
		if !known {
			ok = false
		}
		if called == name {
			value, known := item.Get("value").Text("")
			return value, item.Get("value"), known
		}
	}
	return "", rule.Value{}, ok
}

// major is the major version in a family (postgres16, aurora-postgresql15) or engine version ("16.11"); 0 for what has
// none.
func major(text string) int {
	text = strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz-")
	text, _, _ = strings.Cut(text, ".")
	number, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return number
}

func availability() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "rds-not-public", Family: family,
			Summary: "A database has no address on the internet.",
			Why:     "Then only its password and a security group stand between it and everybody.",
			Fix:     "leave publiclyAccessible false", Severity: rule.Critical, Levels: rule.Always,
			IDs: []string{
				"CKV_AWS_17", "AVD-AWS-0180", "RDS.2", "CIS-2.3.3", "CIS-3.2.3", "awsguard:rds-instance-public-access",
				"pulumi:rds.Instance.disallowPublicAccess",
			},
			Types: []string{instance, clusterInstance}, Needs: []string{"publiclyAccessible"},
			Resource: off("publiclyAccessible", "the instance gets a public address"),
		},
		{
			Name: "rds-in-vpc", Family: family,
			Summary: "A database lies in named subnets, behind named security groups.",
			Why: "Otherwise it lands in the default VPC, whose subnets are public and whose default group lets " +
				"its members in.",
			Fix: "set dbSubnetGroupName and vpcSecurityGroupIds", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"RDS.18"}, Types: databases,
			Needs: []string{"dbSubnetGroupName", "vpcSecurityGroupIds", "replicateSourceDb"},
			Resource: func(s *rule.Subject) {
				if !replica(s) {
					given("dbSubnetGroupName", "is missing: the default VPC is used")(s)
				}
				given("vpcSecurityGroupIds", "is missing: the VPC's default group is used")(s)
			},
		},
		{
			Name: "rds-backup-retention", Family: family,
			Summary: "Automated backups are kept long enough.",
			Why:     "Without them there is no way back from a bad migration; damage is often found only days later.",
			Fix:     "raise backupRetentionPeriod", Severity: rule.High, Levels: rule.Always,
			Knobs: []rule.Knob{
				{Name: "minimumDays", Description: "How many days backups are kept at least.", Default: 7.0},
				{
					Name: "checkReadReplicas", Description: "Whether read replicas need backups of their own.",
					Default: false,
				},
			},
			IDs: []string{
				"CKV_AWS_133", "AVD-AWS-0077", "RDS.11", "awsguard:rds-instance-backup-enabled",
				"pulumi:rds.Instance.enableBackupRetention",
				"pulumi:rds.Instance.configureBackupRetention",
			},
			Types: databases, Needs: []string{"backupRetentionPeriod", "replicateSourceDb"},
			Resource: func(s *rule.Subject) {
				if replica(s) && !s.Flag("checkReadReplicas") {
					return
				}
				missing := 0.0
				if s.Type() == cluster {
					missing = 1
				}
				if days, ok := s.Get("backupRetentionPeriod").Number(missing); ok && days < s.Number("minimumDays") {
					s.Get("backupRetentionPeriod").Fail("want at least %v days", s.Number("minimumDays"))
				}
			},
		},
		{
			Name: "rds-windows", Family: family,
			Summary: "Backup and maintenance windows are chosen and do not overlap.",
			Why: "RDS refuses windows that overlap, and chooses those that are left out: in business hours, as " +
				"it may be.",
			Fix: "set backupWindow (hh:mm-hh:mm) and maintenanceWindow (ddd:hh:mm-ddd:hh:mm), UTC, apart by " +
				"design",
			Severity: rule.Low, Levels: rule.InProduction,
			Knobs: []rule.Knob{{
				Name:        "backupWindow",
				Description: "The one backup window that may be used, hh:mm-hh:mm UTC; empty takes any.", Default: "",
			}},
			IDs: []string{"gap:windows-not-overlapping", "awsguard:rds-instance-backup-enabled"}, Types: databases,
			Needs: []string{
				"backupWindow", "preferredBackupWindow", "maintenanceWindow",
				"preferredMaintenanceWindow",
			},
			Resource: windows,
		},
		{
			Name: "rds-multi-az", Family: family,
			Summary: "A standby in another zone takes over when an instance fails.",
			Why:     "Without one, the loss of a zone or of a disk is as long as a restore.",
			Fix:     "set multiAz", Severity: rule.Medium, Levels: rule.ProductionOnly,
			IDs:      []string{"CKV_AWS_157", "RDS.5", "CIS-3.2.4", "awsguard:rds-instance-multi-az-enabled"},
			Types:    []string{instance},
			Needs:    []string{"multiAz", "replicateSourceDb"},
			Resource: unlessReplica(on("multiAz", false, "there is no standby")),
		},
		{
			Name: "rds-deletion-protection", Family: family,
			Summary: "RDS refuses to delete the database.",
			Why:     "A renamed resource or a wrong stack is all it takes to delete one.",
			Fix:     "set deletionProtection", Severity: rule.High, Levels: rule.ProductionOnly,
			IDs: []string{"CKV_AWS_293", "CKV_AWS_139", "AVD-AWS-0177", "AVD-AWS-0343", "RDS.8"}, Types: databases,
			Needs:    []string{"deletionProtection"},
			Resource: on("deletionProtection", false, "the database can be deleted"),
		},
		{
			Name: "rds-final-snapshot", Family: family,
			Summary: "A database that is protected leaves a snapshot when it goes, under a name that is set " +
				"beforehand.",
			Why: "RDS asks for the name at the deletion only: without one in the state, the destroy fails; with " +
				"the snapshot skipped, the data is gone.",
			Fix: "leave skipFinalSnapshot false and set finalSnapshotIdentifier", Severity: rule.High,
			Levels: rule.ProductionOnly,
			IDs:    []string{"gap:final-snapshot-when-protected"}, Types: databases,
			Needs: []string{"deletionProtection", "skipFinalSnapshot", "finalSnapshotIdentifier", "replicateSourceDb"},
			Resource: unlessReplica(func(s *rule.Subject) {
				skipped, ok := s.Get("skipFinalSnapshot").Bool(false)
				switch {
				case !ok:
				case !skipped:
					given("finalSnapshotIdentifier", "is missing: a destroy fails at the very end")(s)
				default:
					if protected, ok := s.Get("deletionProtection").Bool(false); ok && protected {
						s.Get("skipFinalSnapshot").Fail("the database is protected, and yet leaves nothing behind")
					}
				}
			}),
		},
		{
			Name: "rds-keep-automated-backups", Family: family,
			Summary: "Automated backups outlive the instance for their retention period.",
			Why:     "Who deletes an instance by mistake has point-in-time recovery only while they are kept.",
			Fix:     "set deleteAutomatedBackups to false", Severity: rule.Medium, Levels: rule.ProductionOnly,
			IDs: []string{"tier:keep-automated-backups"}, Types: databases,
			Needs:    []string{"deleteAutomatedBackups", "replicateSourceDb"},
			Resource: unlessReplica(off2("deleteAutomatedBackups", "the backups go with the instance")),
		},
		{
			Name: "rds-copy-tags", Family: family,
			Summary: "Snapshots have the tags of their database.",
			Why:     "Cost reports, backup plans and access rules by tag lose sight of snapshots without.",
			Fix:     "set copyTagsToSnapshot, or the rule's level to remediate", Severity: rule.Low,
			Levels: rule.InProduction,
			IDs:    []string{"CKV2_AWS_60", "CKV_AWS_313", "RDS.17"}, Types: databases,
			Needs:    []string{"copyTagsToSnapshot"},
			Resource: on("copyTagsToSnapshot", false, "snapshots have no tags"),
			Remedy: func(s *rule.Subject) (property.Map, bool) {
				return s.Properties().Set("copyTagsToSnapshot", property.New(true)), true
			},
		},
		{
			Name: "rds-no-restart-in-hours", Family: family,
			Summary: "Changes that restart the database wait for the maintenance window.",
			Why:     "Applied at once, a parameter or class change is an outage at the time of the deployment.",
			Fix:     "leave applyImmediately false", Severity: rule.Low, Levels: rule.AdviceInProduction,
			IDs: []string{"tier:apply-in-window"}, Types: databases, Needs: []string{"applyImmediately"},
			Resource: off("applyImmediately", "changes are applied at once"),
		},
	}
}

// off2 is off for a switch that is on when it is missing.
func off2(key, reason string) func(*rule.Subject) {
	return func(s *rule.Subject) {
		if is, ok := s.Get(key).Bool(true); ok && is {
			s.Get(key).Fail("%s", reason)
		}
	}
}

func observation() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "rds-performance-insights", Family: family,
			Summary: "Performance Insights is on.",
			Why:     "What a database waits for is known only from before the incident.",
			Fix:     "set performanceInsightsEnabled; seven days are free", Severity: rule.Low,
			Levels:   rule.InProduction,
			IDs:      []string{"CKV_AWS_353", "AVD-AWS-0133", "pulumi:rds.Instance.enablePerformanceInsights"},
			Types:    []string{instance, clusterInstance},
			Needs:    []string{"performanceInsightsEnabled"},
			Resource: on("performanceInsightsEnabled", false, "Performance Insights is off"),
		},
		{
			Name: "rds-enhanced-monitoring", Family: family,
			Summary:  "Enhanced monitoring reports the operating system of the instance.",
			Why:      "CloudWatch sees the hypervisor, and not which process takes memory or disk.",
			Fix:      "set monitoringInterval to 1, 5, 10, 15, 30 or 60 seconds, and monitoringRoleArn",
			Severity: rule.Low, Levels: rule.InProduction,
			Knobs: []rule.Knob{{Name: "maximumSeconds", Description: "The longest interval, seconds.", Default: 60.0}},
			IDs:   []string{"CKV_AWS_118", "RDS.6"}, Types: []string{instance, clusterInstance},
			Needs: []string{"monitoringInterval", "monitoringRoleArn"},
			Resource: func(s *rule.Subject) {
				seconds, ok := s.Get("monitoringInterval").Number(0)
				switch {
				case !ok:
				case seconds == 0:
					s.Get("monitoringInterval").Fail("enhanced monitoring is off")
				case seconds > s.Number("maximumSeconds"):
					s.Get("monitoringInterval").Fail("want an interval of at most %v s", s.Number("maximumSeconds"))
				default:
					given("monitoringRoleArn", "is missing: RDS may not write the metrics")(s)
				}
			},
		},
		{
			Name: "rds-log-exports", Family: family,
			Summary: "The database's log goes to CloudWatch Logs.",
			Why:     "On the instance it is kept for three days, and goes with it.",
			Fix:     "add postgresql to enabledCloudwatchLogsExports", Severity: rule.Medium, Levels: rule.InProduction,
			IDs: []string{"CKV_AWS_129", "CKV_AWS_324", "RDS.9", "RDS.36"}, Types: databases,
			Needs: []string{"enabledCloudwatchLogsExports", "engine"},
			Resource: func(s *rule.Subject) {
				exports := s.Get("enabledCloudwatchLogsExports")
				if !exports.Known() {
					return
				}
				names := exports.Texts()
				if isPostgres(s) && !slices.Contains(names, "postgresql") || len(names) == 0 {
					exports.Fail("the log stays on the instance")
				}
			},
		},
		{
			Name: "rds-query-logging", Family: family,
			Summary: "Statements that take long are logged.",
			Why:     "A slow statement that nobody sees is found by its outage.",
			Fix:     "set log_min_duration_statement to a number of milliseconds", Severity: rule.Low,
			Levels: rule.InProduction,
			IDs:    []string{"CKV2_AWS_27", "CKV2_AWS_30"}, Types: []string{parameterGroup, clusterParameters},
			Needs: []string{"family", "parameters"},
			Resource: func(s *rule.Subject) {
				engine, ok := s.Get("family").Text("")
				if !ok || !strings.Contains(engine, "postgres") {
					return
				}
				value, found, ok := parameter(s, "log_min_duration_statement")
				switch {
				case !ok:
				case found.Path() == "":
					s.Get("parameters").Fail("log_min_duration_statement is not set, and its default is off")
				case value == "-1":
					found.Fail("log_min_duration_statement is off")
				}
			},
		},
		{
			Name: "rds-no-password-logging", Family: family,
			Summary: "The database does not log statements by their kind.",
			Why: "With log_statement = ddl, mod or all, CREATE ROLE … PASSWORD leaves passwords in CloudWatch " +
				"Logs.",
			Fix: "leave log_statement at none and log by duration: log_min_duration_statement", Severity: rule.High,
			Levels: rule.Always,
			IDs:    []string{"tier:no-password-logging"}, Types: []string{parameterGroup, clusterParameters},
			Needs: []string{"parameters"},
			Resource: func(s *rule.Subject) {
				if value, found, ok := parameter(s, "log_statement"); ok && found.Path() != "" && value != "none" {
					found.Fail("log_statement is %s", value)
				}
			},
		},
		{
			Name: "log-group-retention", Family: family,
			Summary: "A log group keeps its events for a chosen time, and long enough.",
			Why: "Without a retention they are kept, and paid for, for ever; with a short one they are gone " +
				"before the audit.",
			Fix: "set retentionInDays", Severity: rule.Low, Levels: rule.ProductionOnly,
			Knobs: []rule.Knob{{
				Name: "minimumDays", Description: "How many days events are kept at least.",
				Default: 365.0,
			}},
			IDs: []string{"CKV_AWS_66", "CKV_AWS_338"}, Types: []string{logGroup}, Needs: []string{"retentionInDays"},
			Resource: func(s *rule.Subject) {
				days, ok := s.Get("retentionInDays").Number(0)
				switch {
				case !ok:
				case days == 0:
					s.Get("retentionInDays").Fail("is missing: events are kept for ever")
				case days < s.Number("minimumDays"):
					s.Get("retentionInDays").Fail("want at least %v days", s.Number("minimumDays"))
				}
			},
		},
		{
			Name: "log-group-cmk", Family: family,
			Summary: "A key of the account's own encrypts the log of a database.",
			Why:     "It quotes statements, and with them data.",
			Fix:     "set kmsKeyId to a key whose policy admits CloudWatch Logs", Severity: rule.Medium,
			Levels: rule.InProduction,
			Knobs:  []rule.Knob{prefixes},
			IDs:    []string{"CKV_AWS_158", "AVD-AWS-0017"}, Types: []string{logGroup},
			Needs: []string{"kmsKeyId", "name"},
			Resource: func(s *rule.Subject) {
				if of, ok := ofDatabase(s); ok && of {
					given("kmsKeyId", "is missing: CloudWatch's own key encrypts the events")(s)
				}
			},
		},
		{
			Name: "log-group-cmk-others", Family: family,
			Summary: "A key of the account's own encrypts the other log groups, too.",
			Why:     "Who may read them is then said in one place.",
			Fix:     "set kmsKeyId to a key whose policy admits CloudWatch Logs", Severity: rule.Low,
			Levels: rule.AdviceInProduction,
			Knobs:  []rule.Knob{prefixes},
			IDs:    []string{"CKV_AWS_158", "AVD-AWS-0017"}, Types: []string{logGroup},
			Needs: []string{"kmsKeyId", "name"},
			Resource: func(s *rule.Subject) {
				if of, ok := ofDatabase(s); ok && !of {
					given("kmsKeyId", "is missing: CloudWatch's own key encrypts the events")(s)
				}
			},
		},
	}
}

var prefixes = rule.Knob{
	Name: "prefixes", Description: "What the names of databases' log groups begin with.",
	Default: []string{"/aws/rds/instance/", "/aws/rds/cluster/"},
}

// ofDatabase tells the log groups of databases, which quote statements, from others.
func ofDatabase(s *rule.Subject) (of, ok bool) {
	name, ok := s.Get("name").Text("")
	return slices.ContainsFunc(s.Texts(prefixes.Name),
		func(prefix string) bool { return strings.HasPrefix(name, prefix) }), ok
}

func software() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "rds-engine-version", Family: family,
			Summary: "The engine version can be created and is supported.",
			Why: "RDS refuses minor versions that it has withdrawn, upgrades the others by force, and old majors " +
				"have known holes (log_fdw among them).",
			Fix:      "name a major version alone, for example \"16\", and let RDS choose the minor",
			Severity: rule.High, Levels: rule.Always,
			Knobs: []rule.Knob{{
				Name:        "minimumMajor",
				Description: "The oldest major version of PostgreSQL that may be used.", Default: 14.0,
			}},
			IDs: []string{"CKV_AWS_250", "gap:engine-version-not-deprecated"}, Types: databases,
			Needs: []string{"engine", "engineVersion"},
			Resource: func(s *rule.Subject) {
				if !isPostgres(s) {
					return
				}
				value := s.Get("engineVersion")
				version, ok := value.Text("")
				if !ok || version == "" {
					return
				}
				if number := major(version); number > 0 && float64(number) < s.Number("minimumMajor") {
					value.Fail("PostgreSQL %d is out of standard support, want %v or later", number,
						s.Number("minimumMajor"))
					return
				}
				if engine, _ := s.Get("engine").Text("postgres"); engine == "postgres" && withdrawn(version) {
					value.Fail("RDS creates this minor version no more")
				}
			},
		},
		{
			Name: "rds-auto-minor-version", Family: family,
			Summary: "RDS applies minor versions by itself.",
			Why:     "Minor versions are security fixes, and those left behind are upgraded by force.",
			Fix:     "leave autoMinorVersionUpgrade true", Severity: rule.Medium, Levels: rule.Always,
			IDs:   []string{"CKV_AWS_226", "RDS.13", "CIS-2.3.2", "CIS-3.2.2"},
			Types: []string{instance, clusterInstance}, Needs: []string{"autoMinorVersionUpgrade"},
			Resource: on("autoMinorVersionUpgrade", true, "minor versions are not applied"),
		},
		{
			Name: "rds-extended-support", Family: family,
			Summary: "At the end of a major version's support the database is upgraded, and Extended Support is not " +
				"billed.",
			Why: "Extended Support costs by the vCPU and hour, and begins without a question where nothing is " +
				"said.",
			Fix: "set engineLifecycleSupport to open-source-rds-extended-support-disabled", Severity: rule.Low,
			Levels: rule.InProduction,
			IDs:    []string{"tier:no-extended-support"}, Types: databases,
			Needs: []string{"engineLifecycleSupport", "engine"},
			Resource: func(s *rule.Subject) {
				if support, ok := s.Get("engineLifecycleSupport").Text(""); ok && isPostgres(s) &&
					support != "open-source-rds-extended-support-disabled" {
					s.Get("engineLifecycleSupport").Fail("Extended Support is billed when the version's support ends")
				}
			},
		},
		{
			Name: "rds-own-parameter-group", Family: family,
			Summary: "A database has a parameter group of its own.",
			Why: "The default group cannot be changed, so TLS and logging are what AWS chose, and another group " +
				"means a restart.",
			Fix: "set parameterGroupName", Severity: rule.Low, Levels: rule.InProduction,
			IDs: []string{"tier:own-parameter-group"}, Types: []string{instance}, Needs: []string{"parameterGroupName"},
			Resource: func(s *rule.Subject) {
				value := s.Get("parameterGroupName")
				if name, ok := value.Text(""); ok && (name == "" || strings.HasPrefix(name, "default.")) {
					value.Fail("the default group is used")
				}
			},
		},
	}
}

// withdrawn tells minor versions that RDS does not create any more: before 16.9 of PostgreSQL 16 (release calendar of
// RDS for PostgreSQL).
func withdrawn(version string) bool {
	whole, minor, named := strings.Cut(version, ".")
	number, err := strconv.Atoi(minor)
	return named && err == nil && whole == "16" && number < 9
}

func companions() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "rds-snapshot-private", Family: family,
			Summary: "A snapshot is shared with named accounts only.",
			Why:     "A public snapshot is the whole database, for everybody.",
			Fix:     "take all out of sharedAccounts", Severity: rule.Critical, Levels: rule.Always,
			IDs: []string{"CKV_AWS_302", "RDS.1"}, Types: []string{snapshot, clusterSnapshot},
			Needs: []string{"sharedAccounts"},
			Resource: func(s *rule.Subject) {
				if slices.Contains(s.Get("sharedAccounts").Texts(), "all") {
					s.Get("sharedAccounts").Fail("the snapshot is public")
				}
			},
		},
		{
			Name: "rds-copies-cmk", Family: family,
			Summary: "Copies of snapshots and of backups are encrypted with a key of the account's own.",
			Why:     "A copy in another region or account needs a key there; the AWS managed one cannot be shared.",
			Fix:     "set kmsKeyId", Severity: rule.Medium, Levels: rule.InProduction,
			IDs: []string{"CKV_AWS_266", "CKV_AWS_245"}, Types: []string{snapshotCopy, backupsReplication},
			Needs:    []string{"kmsKeyId"},
			Resource: given("kmsKeyId", "is missing: the copy has no key of its own"),
		},
		{
			Name: "rds-event-subscription-on", Family: family,
			Summary: "An event subscription is on.",
			Why:     "One that is off looks like somebody is told of failovers.",
			Fix:     "leave enabled true", Severity: rule.Low, Levels: rule.InProduction,
			IDs: []string{"RDS.20", "RDS.21", "RDS.22"}, Types: []string{eventSubscription}, Needs: []string{"enabled"},
			Resource: on("enabled", true, "the subscription is off"),
		},
		{
			Name: "rds-proxy-tls", Family: family,
			Summary: "RDS Proxy refuses clients without TLS.",
			Why:     "The proxy is the hop that every statement takes.",
			Fix:     "set requireTls", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"RDS.43"}, Types: []string{proxy}, Needs: []string{"requireTls"},
			Resource: on("requireTls", false, "clients may connect without TLS"),
		},
		{
			Name: "rds-proxy-no-debug-logging", Family: family,
			Summary: "RDS Proxy does not log statements.",
			Why:     "Its debug log has the text of statements, and turns itself off only after a day.",
			Fix:     "leave debugLogging false", Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{"tier:proxy-no-debug-logging"}, Types: []string{proxy}, Needs: []string{"debugLogging"},
			Resource: off("debugLogging", "statements are logged"),
		},
	}
}

// windows compares the windows of an instance or cluster.
func windows(s *rule.Subject) {
	text := func(keys ...string) (rule.Value, string, bool) {
		for _, key := range keys {
			if value := s.Get(key); !value.Missing() {
				window, ok := value.Text("")
				return value, window, ok
			}
		}
		return s.Get(keys[0]), "", true
	}
	backupValue, backup, ok := text("backupWindow", "preferredBackupWindow")
	maintenanceValue, maintenance, also := text("maintenanceWindow", "preferredMaintenanceWindow")
	if !ok || !also {
		return
	}
	if only := s.Text("backupWindow"); only != "" && backup != only {
		backupValue.Fail("the policy config wants %s", only)
		return
	}
	if backup == "" {
		backupValue.Fail("is missing: RDS chooses one")
		return
	}
	if maintenance == "" {
		maintenanceValue.Fail("is missing: RDS chooses one")
		return
	}
	daily, err := parseDaily(backup)
	if err != nil {
		backupValue.Fail("%s", err)
		return
	}
	weekly, err := parseWeekly(maintenance)
	if err != nil {
		maintenanceValue.Fail("%s", err)
		return
	}
	for _, w := range []struct {
		value rule.Value
		span  span
	}{{backupValue, daily}, {maintenanceValue, weekly}} {
		if w.span.length < 30 {
			w.value.Fail("is %d min long, and RDS wants 30", w.span.length)
			return
		}
	}
	for day := range 7 {
		if (span{daily.start + day*minutesPerDay, daily.length}).overlaps(weekly) {
			backupValue.Fail("overlaps the maintenance window %s", maintenance)
			return
		}
	}
}

const (
	minutesPerDay  = 24 * 60
	minutesPerWeek = 7 * minutesPerDay
)

// span is a time of the week, minutes from Monday 00:00; it may run into the next week.
type span struct{ start, length int }

func (s span) overlaps(other span) bool {
	within := func(at int, in span) bool {
		return ((at-in.start)%minutesPerWeek+minutesPerWeek)%minutesPerWeek < in.length
	}
	return within(s.start, other) || within(other.start, s)
}

func parseDaily(text string) (span, error) {
	from, to, ok := strings.Cut(text, "-")
	start, err1 := clock(from)
	end, err2 := clock(to)
	if !ok || err1 != nil || err2 != nil {
		return span{}, errors.New("want hh:mm-hh:mm")
	}
	return span{start, (end - start + minutesPerDay) % minutesPerDay}, nil
}

func parseWeekly(text string) (span, error) {
	from, to, ok := strings.Cut(strings.ToLower(text), "-")
	start, err1 := dayClock(from)
	end, err2 := dayClock(to)
	if !ok || err1 != nil || err2 != nil {
		return span{}, errors.New("want ddd:hh:mm-ddd:hh:mm")
	}
	return span{start, (end - start + minutesPerWeek) % minutesPerWeek}, nil
}

func dayClock(text string) (int, error) {
	name, rest, _ := strings.Cut(text, ":")
	day := slices.Index([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, name)
	minutes, err := clock(rest)
	if day < 0 {
		return 0, fmt.Errorf("no day %q", name)
	}
	return day*minutesPerDay + minutes, err
}

func clock(text string) (int, error) {
	hours, minutes, ok := strings.Cut(text, ":")
	h, err1 := strconv.Atoi(hours)
	m, err2 := strconv.Atoi(minutes)
	if !ok || err1 != nil || err2 != nil || h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, fmt.Errorf("no time %q", text)
	}
	return h*60 + m, nil
}
