package rds

import (
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

func availability() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-not-public", Severity: rule.Critical, Levels: rule.Always,
		Summary: "A database does not have a public address.",
		Why:     "With a public address, only a password and a security group protect the database.",
		Fix:     "set publiclyAccessible to false",
		IDs: []string{
			"CKV_AWS_17", "AVD-AWS-0180", "RDS.2", "CIS-2.3.3", "CIS-3.2.3", "awsguard:rds-instance-public-access",
			"pulumi:rds.Instance.disallowPublicAccess",
		},
		Types:    []string{types.DBInstance, types.DBClusterInstance},
		Resource: off("publiclyAccessible", false, "the instance gets a public address"),
	}, {
		Name: "rds-in-vpc", Severity: rule.High, Levels: rule.Always,
		Summary: "A database has a subnet group and security groups.",
		Why:     "The default VPC has public subnets, and the members of its default group can reach each other.",
		Fix:     "set dbSubnetGroupName and vpcSecurityGroupIds",
		IDs:     []string{"RDS.18"},
		Resource: func(s *rule.Subject) {
			if !replica(s) {
				s.Get("dbSubnetGroupName").RequireFilled("is missing: the default VPC is used")
			}
			s.Get("vpcSecurityGroupIds").RequireFilled("is missing: the default group of the VPC is used")
		},
	}, {
		Name: "rds-backup-retention", Severity: rule.High, Levels: rule.Always,
		Summary: "Automated backups are kept long enough.",
		Why:     "A bad migration can only be undone from a backup, and damage is often found days later.",
		Fix:     "raise backupRetentionPeriod",
		Knobs: []rule.Knob{
			{Name: "minimumDays", Description: "Minimum retention of backups, in days.", Default: 7.0},
			{Name: "checkReadReplicas", Description: "Whether read replicas need backups too.", Default: false},
		},
		IDs: []string{
			"CKV_AWS_133", "AVD-AWS-0077", "RDS.11", "awsguard:rds-instance-backup-enabled",
			"pulumi:rds.Instance.enableBackupRetention", "pulumi:rds.Instance.configureBackupRetention",
		},
		Resource: func(s *rule.Subject) {
			if replica(s) && !s.Flag("checkReadReplicas") {
				return
			}
			missing := map[string]float64{types.DBCluster: 1}[s.Type()]
			s.Get("backupRetentionPeriod").RequireAtLeast(s.Number("minimumDays"), missing, " days")
		},
	}, {
		Name: "rds-windows", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "Backup and maintenance windows are set and do not overlap.",
		Why:     "RDS refuses overlapping windows, and chooses missing ones at random, perhaps in business hours.",
		Fix:     "set backupWindow (hh:mm-hh:mm) and maintenanceWindow (ddd:hh:mm-ddd:hh:mm), UTC, not overlapping",
		Knobs: []rule.Knob{{
			Name: "backupWindow", Default: "",
			Description: "The only allowed backup window, hh:mm-hh:mm UTC. Empty allows every window.",
		}},
		IDs:      []string{"gap:windows-not-overlapping", "awsguard:rds-instance-backup-enabled"},
		Resource: windows,
	}, {
		Name: "rds-multi-az", Severity: rule.Medium, Levels: rule.ProductionOnly,
		Summary:  "A standby in another zone takes over when an instance fails.",
		Why:      "Without a standby, losing a zone or a disk means an outage until a restore is complete.",
		Fix:      "set multiAz",
		IDs:      []string{"CKV_AWS_157", "RDS.5", "CIS-3.2.4", "awsguard:rds-instance-multi-az-enabled"},
		Types:    []string{types.DBInstance},
		Resource: unlessReplica(on("multiAz", false, "there is no standby")),
	}, {
		Name: "rds-deletion-protection", Severity: rule.High, Levels: rule.ProductionOnly,
		Summary:  "RDS refuses to delete the database.",
		Why:      "Renaming a resource or choosing the wrong stack is enough to delete a database.",
		Fix:      "set deletionProtection",
		IDs:      []string{"CKV_AWS_293", "CKV_AWS_139", "AVD-AWS-0177", "AVD-AWS-0343", "RDS.8"},
		Resource: on("deletionProtection", false, "the database can be deleted"),
	}, {
		Name: "rds-final-snapshot", Severity: rule.High, Levels: rule.ProductionOnly,
		Summary: "Deleting a protected database creates a final snapshot, and the snapshot's name is set.",
		Why:     "Without the name a destroy fails at the deletion, and without the snapshot the data is lost.",
		Fix:     "set skipFinalSnapshot to false and set finalSnapshotIdentifier",
		IDs:     []string{"gap:final-snapshot-when-protected"},
		Resource: unlessReplica(func(s *rule.Subject) {
			skipped, ok := s.Get("skipFinalSnapshot").Bool(false)
			switch {
			case !ok:
			case !skipped:
				s.Get("finalSnapshotIdentifier").RequireFilled("is missing: a destroy fails at the deletion")
			default:
				if protected, ok := s.Get("deletionProtection").Bool(false); ok && protected {
					s.Get("skipFinalSnapshot").Fail("the database is protected, but deleting it leaves no snapshot")
				}
			}
		}),
	}, {
		Name: "rds-keep-automated-backups", Severity: rule.Medium, Levels: rule.ProductionOnly,
		Summary: "Automated backups are kept after the instance is deleted, for their retention period.",
		Why:     "After an accidental deletion, point-in-time recovery needs them.",
		Fix:     "set deleteAutomatedBackups to false",
		IDs:     []string{"tier:keep-automated-backups"},
		Resource: unlessReplica(
			off("deleteAutomatedBackups", true, "the backups are deleted with the instance")),
	}, {
		Name: "rds-copy-tags", Severity: rule.Low, Levels: rule.InProduction,
		Summary:  "Snapshots have the tags of their database.",
		Why:      "Cost reports, backup plans and access rules that use tags do not see other snapshots.",
		Fix:      "set copyTagsToSnapshot, or set this rule's level to remediate",
		IDs:      []string{"CKV2_AWS_60", "CKV_AWS_313", "RDS.17"},
		Resource: on("copyTagsToSnapshot", false, "snapshots do not have tags"),
		Remedy: func(_ *rule.Subject, inputs property.Map) (property.Map, bool) {
			return inputs.Set("copyTagsToSnapshot", property.New(true)), true
		},
	}, {
		Name: "rds-no-restart-in-hours", Severity: rule.Low, Levels: rule.AdviceInProduction,
		Summary:  "Changes that restart the database wait for the maintenance window.",
		Why:      "If they are applied immediately, the deployment causes an outage.",
		Fix:      "set applyImmediately to false",
		IDs:      []string{"tier:apply-in-window"},
		Resource: off("applyImmediately", false, "changes are applied immediately"),
	}}
}
