package aws

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/localcloud/internal/rds"
	"dbtier/validation/rdsrules"
)

const (
	automated = "automated"

	// uploadInterval is how often RDS uploads the log of transactions.
	uploadInterval = 5 * time.Minute
	// archiveLimit is the disk space of an instance's archive, in bytes, from which a new backup replaces all older
	// ones.
	archiveLimit = 4 << 30
)

// automatedBackup is the automated backup of an instance: an archive of its WAL, beside its automated snapshots.
type automatedBackup struct {
	Region, Instance, ResourceID string
	// ID is the last part of the ARN.
	ID              string
	InstanceCreated time.Time
	// Restorable is the newest time that the archive reaches, in whole seconds.
	Restorable time.Time
	// Retained is set when the instance was deleted and its backups stay.
	Retained *retainedBackup
}

// retainedBackup is what was known of an instance when it was deleted.
type retainedBackup struct {
	Deleted time.Time
	AZ      string
	settings
}

// archive is the name of the archive at the engine.
func archive(region, resourceID string) string { return region + "." + resourceID }

func (b *automatedBackup) arn() string {
	return "arn:aws:rds:" + b.Region + ":" + AccountID + ":auto-backup:" + b.ID
}

// archive is the name at the engine of the archive that gets the instance's WAL, or "".
func (i *dbInstance) archive() string {
	if i.BackupRetention == 0 {
		return ""
	}
	return archive(i.Region, i.ResourceID)
}

// replay is what a new instance replays on the snapshot that it begins with, or nil.
func (i *dbInstance) replay() *rds.Replay {
	if i.FromBackup == "" {
		return nil
	}
	return &rds.Replay{Archive: archive(i.Region, i.FromBackup), Until: i.RestoreTime}
}

// automatedSnapshots are the complete automated snapshots of an instance, the oldest first.
func (st *state) automatedSnapshots(resourceID string) []*dbSnapshot {
	var all []*dbSnapshot
	for _, s := range st.Snapshots {
		if s.ResourceID == resourceID && s.Type == automated && s.Status == statusAvailable {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *dbSnapshot) int { return a.Created.Compare(b.Created) })
	return all
}

// window is the time that can be restored, in whole seconds. It is empty if no time can.
func (st *state) restoreWindow(b *automatedBackup) (earliest, latest time.Time) {
	all := st.automatedSnapshots(b.ResourceID)
	if len(all) == 0 {
		return time.Time{}, time.Time{}
	}
	earliest = all[0].Completed.Add(time.Second - 1).Truncate(time.Second)
	if b.Restorable.Before(earliest) {
		return time.Time{}, time.Time{}
	}
	return earliest, b.Restorable
}

// restoredFrom reports whether an instance that is being created still reads the backup.
func (st *state) restoredFrom(resourceID string) bool {
	for _, i := range st.Instances {
		if i.Status == statusCreating && i.FromBackup == resourceID {
			return true
		}
	}
	return false
}

// forgetBackup removes an automated backup from the state, and returns the names of its snapshots at the engine.
func (st *state) forgetBackup(resourceID string) (data []string) {
	for key, s := range st.Snapshots {
		if s.ResourceID == resourceID && s.Type == automated {
			data = append(data, s.data())
			delete(st.Snapshots, key)
		}
	}
	delete(st.Backups, resourceID)
	return data
}

// dropBackup deletes an automated backup.
func (c *Cloud) dropBackup(region, resourceID string) error {
	var data []string
	err := c.store.Update(func(st *state) error {
		if st.restoredFrom(resourceID) {
			return wire.Errorf("InvalidDBInstanceAutomatedBackupState",
				"The automated backup of %s is being restored.", resourceID)
		}
		data = st.forgetBackup(resourceID)
		return nil
	})
	if err != nil {
		return err
	}
	return c.deleteBackupData(region, resourceID, data)
}

func (c *Cloud) deleteBackupData(region, resourceID string, snapshots []string) error {
	failed := []error{c.cfg.RDS.DeleteArchive(archive(region, resourceID))}
	for _, name := range snapshots {
		failed = append(failed, c.cfg.RDS.DeleteSnapshot(name))
	}
	return errors.Join(failed...)
}

// settleBackups turns the automated backups of an instance on or off, as its retention says. The first one is taken at
// once. The caller holds the lock of the instance.
func (c *Cloud) settleBackups(ctx context.Context, id string) error {
	st := c.store.Read()
	i := st.Instances[id]
	if i == nil {
		return nil
	}
	if err := c.cfg.RDS.SetArchive(ctx, i.Identifier, i.archive()); err != nil {
		return engineError("archive the log of", i.Identifier, err)
	}
	switch {
	case i.BackupRetention == 0 && st.Backups[i.ResourceID] == nil:
		return nil
	case i.BackupRetention == 0:
		return c.dropBackup(i.Region, i.ResourceID)
	case st.Backups[i.ResourceID] == nil:
		err := c.store.Update(func(st *state) error {
			st.Backups[i.ResourceID] = &automatedBackup{
				Region: i.Region, Instance: i.Identifier, ResourceID: i.ResourceID, ID: "ab-" + pick(lower+decimal, 31),
				InstanceCreated: i.Created,
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(st.automatedSnapshots(i.ResourceID)) > 0 {
		return nil
	}
	return c.backUp(ctx, id)
}

// backUp takes an automated snapshot. The caller holds the lock of the instance.
func (c *Cloud) backUp(ctx context.Context, id string) error {
	key := ""
	err := c.changeInstance(id, func(st *state, i *dbInstance) error {
		now := c.now()
		for at := now; key == "" || st.Snapshots[key] != nil; at = at.Add(time.Minute) {
			key = regional(i.Region, "rds:"+i.Identifier+at.Format("-2006-01-02-15-04"))
		}
		s := i.newSnapshot(strings.TrimPrefix(key, regional(i.Region, "")), now)
		s.Type = automated
		if i.Status == statusAvailable {
			i.Status = statusBackingUp
		}
		st.Snapshots[key] = s
		return nil
	})
	if err == nil {
		err = c.finishSnapshot(ctx, key)
	}
	if err == nil {
		err = c.uploadLog(ctx, id)
	}
	return err
}

// uploadLog archives what was committed since the last time. There is nothing since a fault has stopped the database,
// see [Cloud.breakInstance].
func (c *Cloud) uploadLog(ctx context.Context, id string) error {
	i := c.store.Read().Instances[id]
	if i == nil {
		return errNoInstance(id)
	}
	if i.broken() || i.Deleting != nil && i.Deleting.Broken {
		return nil
	}
	return c.flush(ctx, i)
}

func (c *Cloud) flush(ctx context.Context, i *dbInstance) error {
	reached, err := c.cfg.RDS.Flush(ctx, i.Identifier)
	if err != nil {
		return engineError("archive the log of", i.Identifier, err)
	}
	return c.store.Update(func(st *state) error {
		if b := st.Backups[i.ResourceID]; b != nil {
			b.Restorable = reached.UTC().Add(-1).Truncate(time.Second)
		}
		return nil
	})
}

// keepBackups does what is due for the automated backups of an instance: the daily snapshot, the upload of the log, and
// the end of what is older than the retention.
func (c *Cloud) keepBackups(ctx context.Context, id string) error {
	defer c.locks.lock("db " + id)()
	st, now := c.store.Read(), c.now()
	i := st.Instances[id]
	if i == nil || i.Status != statusAvailable || i.BackupRetention == 0 {
		return nil
	}
	if err := c.settleBackups(ctx, id); err != nil {
		return err
	}
	st = c.store.Read()
	size, err := c.cfg.RDS.ArchiveSize(i.archive())
	if err != nil {
		return err
	}
	all := st.automatedSnapshots(i.ResourceID)
	newest := all[len(all)-1]
	oldest := now.AddDate(0, 0, -i.BackupRetention)
	window, err := rdsrules.ParseBackupWindow(i.BackupWindow)
	daily := err == nil && window.Contains(now) && now.Sub(newest.Created) > time.Duration(window.Length)*time.Minute
	b := st.Backups[i.ResourceID]
	_, latest := st.restoreWindow(b)
	switch {
	case size > archiveLimit:
		c.log.Warn("the archive of a DB instance has reached its limit; a new backup replaces the older ones",
			"instance", i.Identifier, "bytes", size, "limit", archiveLimit)
		err = c.backUp(ctx, id)
		oldest = c.now()
	case daily:
		err = c.backUp(ctx, id)
	case latest.IsZero(), now.Sub(latest) >= uploadInterval:
		err = c.uploadLog(ctx, id)
	}
	return errors.Join(err, c.expireSnapshots(i, oldest))
}

// expireSnapshots deletes the automated snapshots, and the WAL, that a restore to a time after before does not need.
func (c *Cloud) expireSnapshots(i *dbInstance, before time.Time) error {
	st := c.store.Read()
	all := st.automatedSnapshots(i.ResourceID)
	if len(all) == 0 || st.restoredFrom(i.ResourceID) {
		return nil
	}
	keep := 0 // what comes after the time needs the last snapshot before it
	for n, s := range all {
		if !s.Created.After(before) {
			keep = n
		}
	}
	for _, s := range all[:keep] {
		if _, err := c.deleteSnapshot(regional(s.Region, s.Identifier), s.Identifier); err != nil {
			return err
		}
	}
	if keep == 0 {
		return nil
	}
	return c.cfg.RDS.TrimArchive(i.archive(), all[keep].data())
}

// expireRetained deletes the backups of deleted instances whose retention has ended.
func (c *Cloud) expireRetained() {
	st, now := c.store.Read(), c.now()
	for _, id := range sortedKeys(st.Backups) {
		if r := st.Backups[id].Retained; r != nil && now.After(r.Deleted.AddDate(0, 0, r.BackupRetention)) {
			c.note("delete the automated backup of "+id, c.dropBackup(st.Backups[id].Region, id))
		}
	}
}

// pointInTime is the provider's restoreToPointInTime.
type pointInTime struct {
	RestoreTime string `json:"restoreTime"`
	Latest      bool   `json:"useLatestRestorableTime"`
	Instance    string `json:"sourceDbInstanceIdentifier"`
	ResourceID  string `json:"sourceDbiResourceId"`
	BackupsARN  string `json:"sourceDbInstanceAutomatedBackupsArn"`
}

// backup finds the backup that a restore reads.
func (st *state) backup(region string, p *pointInTime) (*automatedBackup, error) {
	if p.Instance != "" {
		_, i := st.instanceID(region, p.Instance)
		switch {
		case i == nil:
			return nil, errNoInstance(p.Instance)
		case st.Backups[i.ResourceID] == nil:
			return nil, wire.Errorf("PointInTimeRestoreNotEnabled",
				"Point in time restore is not enabled for %s: its backup retention period is 0.", i.Identifier)
		}
		return st.Backups[i.ResourceID], nil
	}
	for _, b := range st.Backups {
		if b.Region == region && (b.ResourceID == p.ResourceID || b.arn() == p.BackupsARN) {
			return b, nil
		}
	}
	return nil, errNoBackup(p.ResourceID + p.BackupsARN)
}

// beforeRestore archives what the source has committed, so that a restore can have it.
func (c *Cloud) beforeRestore(ctx context.Context, region string, p *pointInTime) error {
	st := c.store.Read()
	b, err := st.backup(region, p)
	if err != nil || b.Retained != nil {
		return nil // the error is that of the creation
	}
	id := regional(b.Region, b.Instance)
	defer c.locks.lock("db " + id)()
	return c.uploadLog(ctx, id)
}

// fromBackup sets what RDS takes from the backup that an instance begins with, see [call.fromSnapshot].
func (k *call) fromBackup(st *state, r resourceRequest, in *instanceInputs, i *dbInstance, f *faults) error {
	p := in.PointInTime
	if p == nil {
		return nil
	}
	const property = "restoreToPointInTime"
	given := 0
	for _, source := range []string{p.Instance, p.ResourceID, p.BackupsARN} {
		if source != "" {
			given++
		}
	}
	if given != 1 || (p.RestoreTime == "") != p.Latest || or(in.Snapshot, "") != "" {
		f.add(codeCombination, property, "want one source, either restoreTime or useLatestRestorableTime, and no "+
			"snapshotIdentifier")
		return nil
	}
	b, err := st.backup(r.Region, p)
	if err != nil {
		return err
	}
	earliest, latest := st.restoreWindow(b)
	i.FromBackup = b.ResourceID
	if !p.Latest {
		at, err := time.Parse(time.RFC3339, p.RestoreTime)
		switch {
		case err != nil:
			f.add(codeInvalidValue, property, "restoreTime: %q: want a time such as 2026-11-03T04:05:06Z",
				clip(p.RestoreTime))
		case at.After(latest):
			f.add(codeInvalidValue, property,
				"The specified instance cannot be restored to a time later than %s.", latest.Format(time.RFC3339))
		case at.Before(earliest):
			f.add(codeInvalidValue, property,
				"The specified instance cannot be restored to a time earlier than %s.", earliest.Format(time.RFC3339))
		}
		if i.RestoreTime = at.UTC(); len(f.list) > 0 {
			return nil
		}
	} else if latest.IsZero() {
		f.add(codeInvalidValue, property, "There is no restorable time for %s yet.", b.Instance)
		return nil
	}
	var base *dbSnapshot
	for _, s := range st.automatedSnapshots(b.ResourceID) {
		if p.Latest || !s.Completed.After(i.RestoreTime) {
			base = s
		}
	}
	i.FromSnapshot = base.Identifier
	source := b.settingsOf(st)
	if source.Encrypted {
		k.rdsKey(st, r.Region, "rds", property, source.KMSKeyARN, f)
	}
	takeFrom(source, b.Instance, in, f)
	return nil
}

// settingsOf are the newest settings of the backup's instance.
func (b *automatedBackup) settingsOf(st *state) settings {
	if b.Retained != nil {
		return b.Retained.settings
	}
	return st.Instances[regional(b.Region, b.Instance)].settings
}

// retain keeps the backup of an instance that is being deleted.
func (b *automatedBackup) retain(i *dbInstance, now time.Time) {
	b.Retained = &retainedBackup{Deleted: now, AZ: i.AZ, settings: i.settings}
}

type backupResult struct {
	DBInstanceAutomatedBackup xmlBackup
}

func (k *call) describeAutomatedBackups(p *wire.Params) (any, error) {
	instance, resource := strings.ToLower(p.String("DBInstanceIdentifier")), p.String("DbiResourceId")
	arn, want := p.String("DBInstanceAutomatedBackupsArn"), filters(p)
	if err := k.allowRDS("DescribeDBInstanceAutomatedBackups", "auto-backup", ""); err != nil {
		return nil, err
	}
	var all []xmlBackup
	for _, id := range sortedKeys(k.st.Backups) {
		b := k.st.Backups[id]
		if b.Region == k.region && (instance == "" || b.Instance == instance) &&
			(resource == "" || b.ResourceID == resource) && (arn == "" || b.arn() == arn) {
			all = append(all, b.xml(k.st))
		}
	}
	if (resource != "" || arn != "") && len(all) == 0 {
		return nil, errNoBackup(resource + arn)
	}
	for name, values := range want {
		of := map[string]func(xmlBackup) string{
			"status":          func(x xmlBackup) string { return x.Status },
			"db-instance-id":  func(x xmlBackup) string { return x.DBInstanceIdentifier },
			"dbi-resource-id": func(x xmlBackup) string { return x.DbiResourceID },
		}[name]
		if of == nil {
			return nil, wire.NotModelled("the filter %q of DescribeDBInstanceAutomatedBackups", clip(name))
		}
		all = slices.DeleteFunc(all, func(x xmlBackup) bool { return !slices.Contains(values, of(x)) })
	}
	page, next, err := rdsPage(p, all, func(x xmlBackup) string { return x.DbiResourceID })
	if err != nil {
		return nil, err
	}
	return struct {
		Marker                     string      `xml:",omitempty"`
		DBInstanceAutomatedBackups []xmlBackup `xml:"DBInstanceAutomatedBackups>DBInstanceAutomatedBackup"`
	}{next, page}, nil
}

// deleteAutomatedBackup deletes the retained backup of a deleted instance.
func (k *call) deleteAutomatedBackup(p *wire.Params) (any, error) {
	from := &pointInTime{ResourceID: p.String("DbiResourceId"), BackupsARN: p.String("DBInstanceAutomatedBackupsArn")}
	if err := p.Check(); err != nil {
		return nil, err
	}
	name := ""
	b, missing := k.st.backup(k.region, from)
	if missing == nil {
		name = b.ID
	}
	if err := k.allowRDS("DeleteDBInstanceAutomatedBackup", "auto-backup", name); err != nil {
		return nil, err
	}
	switch {
	case missing != nil:
		return nil, missing
	case b.Retained == nil:
		return nil, wire.Errorf("InvalidDBInstanceAutomatedBackupState",
			"The automated backup of %s is active: only retained ones can be deleted.", b.Instance)
	}
	x := b.xml(k.st)
	if err := k.c.dropBackup(b.Region, b.ResourceID); err != nil {
		return nil, err
	}
	x.Status = "deleting"
	return backupResult{x}, nil
}
