package rdspostgres

import (
	"encoding/json"
	"regexp"
	"time"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/validation"
)

// Restore makes the instance from a backup. On a stack whose instance lives already it makes a new one beside it, which
// therefore needs another identifier; clients change over to it, and the old one is deleted last.
//
// The copy has engine, master user, databases and size of its source; databaseName and masterUsername must be the
// source's. It is encrypted with its source's key: RDS takes no other, so where that is not this stack's own key, give
// it as kmsKeyArn. The master password is new and managed by RDS like that of any instance here.
//
// Once the instance is there, Restore can be taken out again: nothing is replaced.
type Restore struct {
	// SnapshotIdentifier is a snapshot's name or ARN.
	SnapshotIdentifier string `json:"snapshotIdentifier"`
	// PointInTime is a moment within the source's backup retention period.
	PointInTime PointInTime `json:"pointInTime"`
}

// PointInTime is a source and a moment.
type PointInTime struct {
	// RestoreTime in UTC, for example 2026-11-03T04:05:06Z.
	RestoreTime string `json:"restoreTime"`
	// UseLatestRestorableTime in place of a moment: some five minutes ago.
	UseLatestRestorableTime bool `json:"useLatestRestorableTime"`
	// SourceDBInstanceIdentifier is an instance that lives.
	SourceDBInstanceIdentifier string `json:"sourceDbInstanceIdentifier"`
	// SourceDbiResourceID (db-…) finds the backups of an instance that was deleted.
	SourceDbiResourceID string `json:"sourceDbiResourceId"`
	// SourceDBInstanceAutomatedBackupsArn finds backups that were copied to this region.
	SourceDBInstanceAutomatedBackupsArn string `json:"sourceDbInstanceAutomatedBackupsArn"`
}

func (r Restore) toPointInTime() bool { return r.PointInTime != PointInTime{} }

func (r Restore) restoring() bool { return r != Restore{} }

var (
	// Automated snapshots have a colon in their names: rds:myshop-prod-2026-11-03-03-05.
	snapshotForm   = regexp.MustCompile(`^((rds|awsbackup):)?[a-zA-Z](-?[a-zA-Z0-9:])*$`)
	snapshotArn    = regexp.MustCompile(`^arn:[a-z-]+:rds:[a-z0-9-]+:\d{12}:snapshot:[a-zA-Z0-9:-]+$`)
	resourceIDForm = regexp.MustCompile(`^db-[A-Z0-9]{26}$`)
	backupsArnForm = regexp.MustCompile(`^arn:[a-z-]+:rds:[a-z0-9-]+:\d{12}:auto-backup:ab-[a-z0-9]+$`)
)

func (r Restore) validate(identifier string) error {
	var faults fault.List
	if id := r.SnapshotIdentifier; id != "" {
		faults.Check(len(id) <= 255 && snapshotForm.MatchString(id) || snapshotArn.MatchString(id),
			"snapshotIdentifier", id,
			"want the name or ARN of a snapshot; aws rds describe-db-snapshots lists them")
		faults.Check(!r.toPointInTime(), "snapshotIdentifier", id, "conflicts with pointInTime; give one of them")
	}
	if r.toPointInTime() {
		faults.Within("pointInTime", r.PointInTime.validate(identifier))
	}
	return faults.Err()
}

func (p PointInTime) validate(identifier string) error {
	var faults fault.List
	faults.Check((p.RestoreTime != "") != p.UseLatestRestorableTime, "restoreTime", p.RestoreTime,
		"give a time, or useLatestRestorableTime: true, and not both")
	if p.RestoreTime != "" {
		at, err := time.Parse(time.RFC3339, p.RestoreTime)
		faults.Check(err == nil && at.Location() == time.UTC, "restoreTime", p.RestoreTime,
			"want a time in UTC such as 2026-11-03T04:05:06Z, in quotes")
	}
	sources := 0
	for _, source := range []string{
		p.SourceDBInstanceIdentifier, p.SourceDbiResourceID,
		p.SourceDBInstanceAutomatedBackupsArn,
	} {
		if source != "" {
			sources++
		}
	}
	faults.Check(sources == 1, "", nil,
		"want exactly one of sourceDbInstanceIdentifier, sourceDbiResourceId and "+
			"sourceDbInstanceAutomatedBackupsArn, not %d", sources)
	if id := p.SourceDBInstanceIdentifier; id != "" {
		faults.Check(validation.DBIdentifier.Matches(id), "sourceDbInstanceIdentifier", id,
			"want the identifier of an instance, for example myshop-prod")
		faults.Check(id != identifier, "sourceDbInstanceIdentifier", id,
			"is this instance itself, beside which the copy is made: give the stack another identifier, for example "+
				"%s-2", id)
	}
	if id := p.SourceDbiResourceID; id != "" {
		faults.Check(resourceIDForm.MatchString(id), "sourceDbiResourceId", id,
			"want a resource id, db- and 26 letters and digits")
	}
	if arn := p.SourceDBInstanceAutomatedBackupsArn; arn != "" {
		faults.Check(backupsArnForm.MatchString(arn), "sourceDbInstanceAutomatedBackupsArn", arn,
			"want an ARN such as arn:aws:rds:<region>:<account>:auto-backup:ab-…")
	}
	return faults.Err()
}

// restore turns the arguments of a new instance into those of a copy: what the copy has from its source is left to RDS,
// which refuses it or would otherwise be asked to change it.
func (b *builder) restore(args *rds.InstanceArgs) {
	r := b.args.Restore
	args.DbName, args.Username, args.AllocatedStorage = nil, nil, nil
	if r.SnapshotIdentifier != "" {
		args.SnapshotIdentifier = pulumi.String(r.SnapshotIdentifier)
		return
	}
	optional := func(text string) pulumi.StringPtrInput {
		if text == "" {
			return nil
		}
		return pulumi.String(text)
	}
	point := &rds.InstanceRestoreToPointInTimeArgs{
		RestoreTime:                         optional(r.PointInTime.RestoreTime),
		SourceDbInstanceIdentifier:          optional(r.PointInTime.SourceDBInstanceIdentifier),
		SourceDbiResourceId:                 optional(r.PointInTime.SourceDbiResourceID),
		SourceDbInstanceAutomatedBackupsArn: optional(r.PointInTime.SourceDBInstanceAutomatedBackupsArn),
	}
	if r.PointInTime.UseLatestRestorableTime {
		point.UseLatestRestorableTime = pulumi.Bool(true)
	}
	args.RestoreToPointInTime = point
}

// life tells one origin of the instance from another, for the name of its final snapshot.
func (r Restore) life() string {
	if !r.restoring() {
		return ""
	}
	text, _ := json.Marshal(r) // strings and a flag
	return string(text)
}
