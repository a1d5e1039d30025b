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

// Restore creates the instance from a backup. In a stack that has an instance it creates a new one beside it, which
// needs another identifier. Clients then switch to the new instance, and the old one is deleted last.
//
// The copy has the engine, master user, databases and size of its source. databaseName and masterUsername must be the
// source's. The copy is encrypted with the source's key, because RDS accepts no other: if that is not this stack's own
// key, set kmsKeyArn to it. The master password is new and managed by RDS.
//
// When the instance exists, Restore can be removed: nothing is replaced.
type Restore struct {
	// SnapshotIdentifier is the name or ARN of a snapshot.
	SnapshotIdentifier string `json:"snapshotIdentifier" example:"myshop-prod-before-migration"`
	// PointInTime is a time within the source's backup retention period.
	PointInTime PointInTime `json:"pointInTime"`
}

// PointInTime is a source and a time.
type PointInTime struct {
	// RestoreTime in UTC, for example 2026-11-03T04:05:06Z.
	RestoreTime string `json:"restoreTime" example:"2026-11-03T04:05:06Z"`
	// UseLatestRestorableTime replaces the time by the latest possible one, about five minutes ago.
	UseLatestRestorableTime bool `json:"useLatestRestorableTime"`
	// SourceDBInstanceIdentifier is an existing instance.
	SourceDBInstanceIdentifier string `json:"sourceDbInstanceIdentifier" example:"myshop-old"`
	// SourceDbiResourceID (db-…) finds the backups of an instance that was deleted.
	SourceDbiResourceID string `json:"sourceDbiResourceId" example:"db-ABCDEFGHIJKLMNOPQRSTUVWXY0"`
	// BackupsArn finds automated backups that were copied to this region.
	BackupsArn string `json:"sourceDbInstanceAutomatedBackupsArn" example:"arn:aws:rds:<region>:<account>:auto-backup:ab-1a2b"` //nolint:lll // a tag is one line
}

func (r Restore) toPointInTime() bool { return r.PointInTime != PointInTime{} }

func (r Restore) restoring() bool { return r != Restore{} }

var (
	// Names of automated snapshots have a colon: rds:myshop-prod-2026-11-03-03-05.
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
		"give either a time or useLatestRestorableTime: true")
	if p.RestoreTime != "" {
		at, err := time.Parse(time.RFC3339, p.RestoreTime)
		faults.Check(err == nil && at.Location() == time.UTC, "restoreTime", p.RestoreTime,
			"want a time in UTC such as 2026-11-03T04:05:06Z, in quotes")
	}
	sources := 0
	for _, source := range []string{
		p.SourceDBInstanceIdentifier, p.SourceDbiResourceID,
		p.BackupsArn,
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
			"is this instance itself, and the copy is created beside it: give the stack another identifier, for "+
				"example "+
				"%s-2", id)
	}
	if id := p.SourceDbiResourceID; id != "" {
		faults.Check(resourceIDForm.MatchString(id), "sourceDbiResourceId", id,
			"want a resource id, db- and 26 letters and digits")
	}
	if arn := p.BackupsArn; arn != "" {
		faults.Check(backupsArnForm.MatchString(arn), "sourceDbInstanceAutomatedBackupsArn", arn,
			"want an ARN such as arn:aws:rds:<region>:<account>:auto-backup:ab-…")
	}
	return faults.Err()
}

// restore changes the arguments of a new instance into those of a copy. It removes what the copy takes from its source:
// RDS would refuse those values or change the copy to them.
func (b *builder) restore(args *rds.InstanceArgs) {
	r := b.args.Restore
	args.DbName, args.Username, args.AllocatedStorage = nil, nil, nil
	if r.SnapshotIdentifier != "" {
		args.SnapshotIdentifier = pulumi.String(r.SnapshotIdentifier)
		return
	}
	point := &rds.InstanceRestoreToPointInTimeArgs{
		RestoreTime:                         optional(r.PointInTime.RestoreTime),
		SourceDbInstanceIdentifier:          optional(r.PointInTime.SourceDBInstanceIdentifier),
		SourceDbiResourceId:                 optional(r.PointInTime.SourceDbiResourceID),
		SourceDbInstanceAutomatedBackupsArn: optional(r.PointInTime.BackupsArn),
	}
	if r.PointInTime.UseLatestRestorableTime {
		point.UseLatestRestorableTime = pulumi.Bool(true)
	}
	args.RestoreToPointInTime = point
}

// optional returns nil for an empty text.
func optional(text string) pulumi.StringPtrInput {
	if text == "" {
		return nil
	}
	return pulumi.String(text)
}

// life returns a text that differs for each origin of the instance, for the name of its final snapshot.
func (r Restore) life() string {
	if !r.restoring() {
		return ""
	}
	text, _ := json.Marshal(r) // strings and a flag
	return string(text)
}
