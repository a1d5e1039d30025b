package aws

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation/rdsrules"
)

const (
	manual = "manual"

	statusBackingUp = "backing-up"
)

// data is the name of the snapshot's copy at the engine.
func (s *dbSnapshot) data() string { return s.Region + "." + s.Identifier }

// newSnapshot is a snapshot of the instance that is still to be taken.
func (i *dbInstance) newSnapshot(identifier string, now time.Time) *dbSnapshot {
	s := &dbSnapshot{
		Region: i.Region, Identifier: identifier, Instance: i.Identifier, ResourceID: i.ResourceID, Type: manual,
		Status: statusCreating, Created: now, InstanceCreated: i.Created, AllocatedStorage: i.AllocatedStorage,
		Port: i.Port, EngineVersion: i.EngineVersionActual, MasterUsername: i.MasterUsername, DBName: i.DBName,
		StorageType: i.StorageType, AZ: i.AZ, KMSKeyARN: i.KMSKeyARN, Encrypted: i.Encrypted, IAMAuth: i.IAMAuth,
	}
	if i.CopyTags {
		s.Tags = maps.Clone(i.Tags)
	}
	return s
}

// addSnapshot adds a new snapshot to the state.
func (st *state) addSnapshot(s *dbSnapshot) error {
	if err := rdsrules.CheckIdentifier(s.Identifier, 255); err != nil {
		return wire.Errorf(codeInvalidValue, "DBSnapshotIdentifier: %q: %v", clip(s.Identifier), err)
	}
	key := regional(s.Region, s.Identifier)
	if st.Snapshots[key] != nil {
		return wire.Errorf("DBSnapshotAlreadyExists",
			"Cannot create the snapshot because a snapshot with the identifier %s already exists.", s.Identifier)
	}
	st.Snapshots[key] = s
	return nil
}

type snapshotResult struct {
	DBSnapshot xmlSnapshot
}

func (k *call) snapshotResult(identifier string) (any, error) {
	s := k.c.store.Read().Snapshots[regional(k.region, identifier)]
	if s == nil {
		return nil, errNoSnapshot(identifier)
	}
	return snapshotResult{s.xml()}, nil
}

// snapshotTakes is how long a call waits at most for a snapshot, so that what is refused at once is the call's error.
// Clients wait for the snapshot's status.
const snapshotTakes = time.Second

func (k *call) createDBSnapshot(p *wire.Params) (any, error) {
	identifier := strings.ToLower(p.Required("DBSnapshotIdentifier"))
	instance := p.Required("DBInstanceIdentifier")
	tags := tagsOf(p, "Tags.Tag")
	if err := p.Check(); err != nil {
		return nil, err
	}
	id, _, err := k.instance("CreateDBSnapshot", instance)
	if err != nil {
		return nil, err
	}
	if err := k.allowRDS("CreateDBSnapshot", "snapshot", identifier); err != nil {
		return nil, err
	}
	err = k.c.runOrLeave(k.ctx, "take snapshot "+identifier, snapshotTakes, func(ctx context.Context) error {
		defer k.c.locks.lock("db " + id)()
		return k.c.takeSnapshot(ctx, id, identifier, func(_ *state, s *dbSnapshot) bool {
			if len(tags) > 0 {
				s.Tags = tags
			}
			return false
		})
	})
	if err != nil {
		return nil, err
	}
	return k.snapshotResult(identifier)
}

// takeSnapshot takes a snapshot of an instance that is available. complete completes the snapshot, and reports whether
// the state has it already.
func (c *Cloud) takeSnapshot(
	ctx context.Context, id, identifier string, complete func(st *state, s *dbSnapshot) bool,
) error {
	key := ""
	err := c.changeInstance(id, func(st *state, i *dbInstance) error {
		s := i.newSnapshot(identifier, c.now())
		key = regional(s.Region, identifier)
		switch {
		case complete(st, s):
			return nil
		case i.Status != statusAvailable:
			return i.unavailable()
		}
		i.Status = statusBackingUp
		return st.addSnapshot(s)
	})
	if err != nil {
		return err
	}
	return c.finishSnapshot(ctx, key)
}

func (k *call) copyDBSnapshot(p *wire.Params) (any, error) {
	source := strings.ToLower(p.Required("SourceDBSnapshotIdentifier"))
	target := strings.ToLower(p.Required("TargetDBSnapshotIdentifier"))
	key, copyTags, tags := p.String("KmsKeyId"), or(p.Bool("CopyTags"), false), tagsOf(p, "Tags.Tag")
	if err := p.Check(); err != nil {
		return nil, err
	}
	if arn, ok := strings.CutPrefix(source, strings.ToLower(k.rdsARN("snapshot", ""))); ok {
		source = arn
	} else if strings.HasPrefix(source, "arn:") {
		return nil, wire.NotModelled("copies of snapshots of another region or account")
	}
	for _, name := range []string{source, target} {
		if err := k.allowRDS("CopyDBSnapshot", "snapshot", name); err != nil {
			return nil, err
		}
	}
	f := &faults{what: "CopyDBSnapshot"}
	err := k.c.runOrLeave(k.ctx, "copy snapshot "+source, snapshotTakes, func(ctx context.Context) error {
		err := k.c.store.Update(func(st *state) error {
			from, err := k.readableSnapshot(st, k.region, source, f)
			if err != nil {
				return err
			}
			s := *from
			s.Identifier, s.Source, s.Type, s.Tags = target, source, manual, tags
			s.Status, s.Created, s.Origin = statusCreating, k.c.now(), nil
			if copyTags && len(tags) == 0 {
				s.Tags = maps.Clone(from.Tags)
			}
			if key != "" {
				if found := k.rdsKey(st, k.region, "rds", "KmsKeyId", key, f); found != nil {
					s.KMSKeyARN, s.Encrypted = found.arn(), true
				}
			}
			if err := f.err(); err != nil {
				return err
			}
			return st.addSnapshot(&s)
		})
		if err != nil {
			return err
		}
		return k.c.finishSnapshot(ctx, regional(k.region, target))
	})
	if err != nil {
		return nil, err
	}
	return k.snapshotResult(target)
}

// readableSnapshot returns a snapshot that can be copied or restored: it is complete, has data, and its key can be
// used.
func (k *call) readableSnapshot(st *state, region, identifier string, f *faults) (*dbSnapshot, error) {
	s := st.Snapshots[regional(region, identifier)]
	switch {
	case s == nil:
		return nil, errNoSnapshot(identifier)
	case s.Status == "":
		return nil, wire.NotModelled("the data of snapshot " + identifier + ", which an earlier local cloud took")
	case s.Status != statusAvailable:
		return nil, wire.Errorf("InvalidDBSnapshotState", "DBSnapshot %s is not in the available state: it is %s.",
			identifier, s.Status)
	}
	if s.Encrypted {
		k.rdsKey(st, region, "rds", "snapshotIdentifier", s.KMSKeyARN, f)
	}
	return s, nil
}

// finishSnapshot copies the data of a snapshot whose status is creating. It can be repeated after a kill. A snapshot
// that cannot be taken leaves the state.
func (c *Cloud) finishSnapshot(ctx context.Context, key string) error {
	s := c.store.Read().Snapshots[key]
	if s == nil || s.Status != statusCreating {
		return nil
	}
	var err error
	if s.Source != "" {
		from := *s
		from.Identifier = s.Source
		err = c.cfg.RDS.CopySnapshot(ctx, from.data(), s.data())
	} else {
		err = c.cfg.RDS.Snapshot(ctx, s.Instance, s.data())
	}
	if err != nil {
		err = engineError("take snapshot "+s.Identifier+" of", s.Instance, err)
	}
	return errors.Join(err, c.store.Update(func(st *state) error {
		taken := st.Snapshots[key]
		if i := st.Instances[regional(s.Region, s.Instance)]; i != nil && i.Status == statusBackingUp {
			i.Status = statusAvailable
		}
		if err != nil {
			delete(st.Snapshots, key)
		} else if taken != nil {
			taken.Status, taken.Completed = statusAvailable, c.now()
			st.snapshotEvent(taken.Created, taken, eventSnapshot, eventAutomated)
			st.snapshotEvent(c.now(), taken, eventSnapshotTaken, eventAutomatedTaken)
			if i := st.Instances[regional(s.Region, s.Instance)]; i != nil && s.Source == "" {
				st.instanceEvent(taken.Created, i, eventBackup)
				st.instanceEvent(c.now(), i, eventBackedUp)
			}
		}
		return nil
	}))
}

// resumeSnapshots finishes the snapshots that were interrupted by a kill. One that cannot be finished leaves the state,
// as at its creation, and does not keep the instances from starting.
func (c *Cloud) resumeSnapshots(ctx context.Context) {
	st := c.store.Read()
	for _, key := range sortedKeys(st.Snapshots) {
		c.note("finish snapshot "+key, c.finishSnapshot(ctx, key))
	}
	// A deletion that was killed has removed the backup from the state first.
	st = c.store.Read()
	var snapshots, archives []string
	for _, s := range st.Snapshots {
		snapshots = append(snapshots, s.data())
	}
	for _, b := range st.Backups {
		archives = append(archives, archive(b.Region, b.ResourceID))
	}
	c.note("delete what is left of backups", c.cfg.RDS.KeepBackups(snapshots, archives))
}

func (k *call) deleteDBSnapshot(p *wire.Params) (any, error) {
	identifier := strings.ToLower(p.Required("DBSnapshotIdentifier"))
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allowRDS("DeleteDBSnapshot", "snapshot", identifier); err != nil {
		return nil, err
	}
	if s := k.st.Snapshots[regional(k.region, identifier)]; s != nil && s.Type == automated {
		return nil, wire.Errorf("InvalidDBSnapshotState", "Only manual snapshots can be deleted: %s is "+
			"an automated one.", identifier)
	}
	gone, err := k.c.deleteSnapshot(regional(k.region, identifier), identifier)
	if err != nil {
		return nil, err
	}
	x := gone.xml()
	x.Status = "deleted"
	return snapshotResult{x}, nil
}

// deleteSnapshot removes a snapshot from the state, and then its data.
func (c *Cloud) deleteSnapshot(key, identifier string) (*dbSnapshot, error) {
	var gone *dbSnapshot
	err := c.store.Update(func(st *state) error {
		if gone = st.Snapshots[key]; gone == nil {
			return errNoSnapshot(identifier)
		}
		for _, i := range st.Instances {
			if i.Status == statusCreating && i.Region == gone.Region && i.FromSnapshot == gone.Identifier {
				return wire.Errorf("InvalidDBSnapshotState", "DBSnapshot %s is being restored to %s.", identifier,
					i.Identifier)
			}
		}
		delete(st.Snapshots, key)
		st.snapshotEvent(c.now(), gone, eventSnapshotDeleted, eventSnapshotDeleted)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if c.cfg.RDS != nil {
		err = c.cfg.RDS.DeleteSnapshot(gone.data())
	}
	return gone, err
}

// fromSnapshot sets what RDS takes from the snapshot that an instance begins with: always the master user, the
// database, the key and the encryption, and unless the request has them the version and the storage.
func (k *call) fromSnapshot(st *state, r resourceRequest, in *instanceInputs, i *dbInstance, f *faults) error {
	if or(in.Snapshot, "") == "" {
		return nil
	}
	s, err := k.readableSnapshot(st, r.Region, strings.ToLower(*in.Snapshot), f)
	if err != nil {
		return err
	}
	i.FromSnapshot = s.Identifier
	takeFrom(settings{
		MasterUsername: s.MasterUsername, DBName: s.DBName, Encrypted: s.Encrypted, KMSKeyARN: s.KMSKeyARN,
		EngineVersion: s.EngineVersion, StorageType: s.StorageType, AllocatedStorage: s.AllocatedStorage,
	}, "snapshot "+s.Identifier, in, f)
	return nil
}

// takeFrom sets the inputs of an instance that RDS takes from what it is restored from.
func takeFrom(s settings, what string, in *instanceInputs, f *faults) {
	in.Username, in.DBName, in.Encrypted, in.KMSKey = &s.MasterUsername, &s.DBName, &s.Encrypted, nil
	if s.KMSKeyARN != "" {
		in.KMSKey = &s.KMSKeyARN
	}
	if in.EngineVersion == nil {
		in.EngineVersion = &s.EngineVersion
	}
	if in.StorageType == nil {
		in.StorageType = &s.StorageType
	}
	if size := or(in.AllocatedStorage, s.AllocatedStorage); size < s.AllocatedStorage {
		f.add(codeInvalidValue, "allocatedStorage", "%d: %s needs at least %d GiB", size, what, s.AllocatedStorage)
	} else {
		in.AllocatedStorage = &size
	}
}

type snapshotInputs struct {
	Instance   *string           `json:"dbInstanceIdentifier"`
	Identifier *string           `json:"dbSnapshotIdentifier"`
	Tags       map[string]string `json:"tags"`
}

var snapshotRefused = map[string]string{"sharedAccounts": "snapshots that other accounts can read"}

func createSnapshot(ctx context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[snapshotInputs](r.Inputs, snapshotRefused, f)
	if err := f.err(); err != nil {
		return nil, err
	}
	identifier := strings.ToLower(or(in.Identifier, ""))
	key := regional(r.Region, identifier)
	id, i := c.store.Read().instanceID(r.Region, or(in.Instance, ""))
	if i == nil {
		return nil, errNoInstance(or(in.Instance, ""))
	}
	err := c.run(ctx, "take snapshot "+identifier, func(ctx context.Context) error {
		defer c.locks.lock("db " + id)()
		return c.takeSnapshot(ctx, id, identifier, func(st *state, s *dbSnapshot) bool {
			s.Origin, s.Tags = &origin{r.Name, r.Inputs}, in.Tags
			old := st.Snapshots[key]
			return old != nil && old.Origin.adoptable(r.Name, r.Inputs)
		})
	})
	if err != nil {
		return nil, err
	}
	return readSnapshot(c, resourceRequest{Region: r.Region, ID: identifier})
}

func readSnapshot(c *Cloud, r resourceRequest) (*resource, error) {
	s := c.store.Read().Snapshots[regional(r.Region, strings.ToLower(r.ID))]
	if s == nil {
		return nil, nil
	}
	return s.resource(), nil
}

func (s *dbSnapshot) resource() *resource {
	inputs := inputsOf(s.Origin)
	return &resource{ID: s.Identifier, Inputs: echo(inputs, nil), Outputs: echo(inputs, map[string]any{
		"allocatedStorage": s.AllocatedStorage, "availabilityZone": s.AZ, "dbSnapshotArn": s.arn(),
		"dbInstanceIdentifier": s.Instance, "dbSnapshotIdentifier": s.Identifier, "encrypted": s.Encrypted,
		"engine": "postgres", "engineVersion": s.EngineVersion, "iops": 0, "kmsKeyId": s.KMSKeyARN,
		"licenseModel": "postgresql-license", "optionGroupName": "default:postgres-16", "port": s.Port,
		"snapshotType": s.Type, "sourceDbSnapshotIdentifier": "", "sourceRegion": "", "status": s.xml().Status,
		"storageType": s.StorageType, "vpcId": VPCID, "tags": anyMap(s.Tags), "tagsAll": anyMap(s.Tags),
	})}
}

func updateSnapshot(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[snapshotInputs](r.Inputs, snapshotRefused, f)
	if err := f.err(); err != nil {
		return nil, err
	}
	return c.changed(func(st *state) (*resource, error) {
		s := st.Snapshots[regional(r.Region, strings.ToLower(r.ID))]
		if s == nil {
			return nil, errNoSnapshot(r.ID)
		}
		s.Tags, s.Origin = in.Tags, reinput(s.Origin, r.Inputs)
		return s.resource(), nil
	})
}

func removeSnapshot(_ context.Context, c *Cloud, r resourceRequest) error {
	key := regional(r.Region, strings.ToLower(r.ID))
	if c.store.Read().Snapshots[key] == nil {
		return nil
	}
	_, err := c.deleteSnapshot(key, r.ID)
	return err
}
