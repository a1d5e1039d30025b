package aws

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/localcloud/internal/rds"
	"dbtier/validation/rdsrules"
)

// The statuses of DB instances and of their master secrets.
const (
	statusCreating  = "creating"
	statusAvailable = "available"
	statusModifying = "modifying"
	statusRebooting = "rebooting"
	statusRotating  = "resetting-master-credentials"
	statusDeleting  = "deleting"

	secretCreating = "creating"
	secretActive   = "active"
	secretRotating = "rotating"
	secretImpaired = "impaired"
)

// instanceID finds an instance by its DbiResourceId or identifier. It returns the instance's key in the store, too.
func (st *state) instanceID(region, id string) (string, *dbInstance) {
	if i := st.Instances[regional(region, strings.ToLower(id))]; i != nil {
		return regional(region, i.Identifier), i
	}
	for key, i := range st.Instances {
		if i.Region == region && i.ResourceID == id {
			return key, i
		}
	}
	return "", nil
}

func errNoInstance(id string) error {
	return wire.Status(http.StatusNotFound, "DBInstanceNotFound", "DBInstance %s not found.", clip(id))
}

// unavailable returns the error for an operation that requires the status available.
func (i *dbInstance) unavailable() error {
	return wire.Errorf("InvalidDBInstanceState", "Database instance is not in available state: it is %s.", i.Status)
}

// changeInstance changes an instance. It fails if the instance no longer exists.
func (c *Cloud) changeInstance(id string, change func(*state, *dbInstance) error) error {
	return c.store.Update(func(st *state) error {
		i := st.Instances[id]
		if i == nil {
			return errNoInstance(id)
		}
		return change(st, i)
	})
}

// engineError wraps an error of the database engine.
func engineError(verb, identifier string, err error) error {
	return wire.Status(http.StatusInternalServerError, "InternalFailure", "could not %s the database of %s: %v", verb,
		identifier, err)
}

func createInstance(ctx context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	var begun *creation
	err := c.run(ctx, "create DB instance "+r.identifier(), func(ctx context.Context) error {
		var err error
		if begun, err = c.beginInstance(ctx, r); err != nil {
			return err
		}
		defer c.locks.lock("db " + begun.id)()
		return c.makeDatabase(ctx, begun.id)
	})
	if err != nil {
		return nil, err
	}
	st := c.store.Read()
	i := st.Instances[begun.id]
	if i == nil {
		return nil, errNoInstance(r.identifier())
	}
	return i.resource(st), nil
}

// creation is an instance whose creation has begun.
type creation struct {
	id string
	// adopted is true if the same resource has made the instance before.
	adopted bool
}

func (r *resourceRequest) identifier() string {
	name, _ := r.Inputs["identifier"].(string)
	return strings.ToLower(name)
}

// beginInstance checks a new instance and adds it to the state with the status creating.
func (c *Cloud) beginInstance(ctx context.Context, r resourceRequest) (*creation, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[instanceInputs](r.Inputs, instanceRefused, f)
	if c.cfg.RDS == nil {
		return nil, wire.NotModelled("DB instances without a database engine")
	}
	begun := &creation{id: regional(r.Region, r.identifier())}
	k := c.administratorCall(ctx, r.Region)
	if in.PointInTime != nil {
		if err := c.beforeRestore(ctx, r.Region, in.PointInTime); err != nil {
			return nil, err
		}
	}
	defer c.locks.lock("db " + begun.id)()
	return begun, c.store.Update(func(st *state) error {
		if old := st.Instances[begun.id]; old != nil {
			if begun.adopted = old.Deleting == nil && old.Origin.adoptable(r.Name, r.Inputs); begun.adopted {
				return nil
			}
			return errInstanceExists(r.identifier())
		}
		return k.newInstance(st, r, in, r.identifier(), f)
	})
}

func errInstanceExists(identifier string) error {
	return wire.Errorf("DBInstanceAlreadyExists", "DB instance already exists: %s", identifier)
}

// newInstance checks a new instance and adds it to the state with its secret. The database is created later.
func (k *call) newInstance(st *state, r resourceRequest, in instanceInputs, identifier string, f *faults) error {
	now := k.c.now()
	i := &dbInstance{
		Region: r.Region, Identifier: identifier, ResourceID: "db-" + pick(upper+decimal, 26), Status: statusCreating,
		Created: now,
		Tags:    in.Tags, Origin: &origin{r.Name, r.Inputs}, settings: defaultSettings(), AZ: or(in.AZ, ""),
		SecretStatus: secretCreating,
	}
	if err := errors.Join(k.fromSnapshot(st, r, &in, i, f), k.fromBackup(st, r, &in, i, f)); err != nil {
		return err
	}
	in.overlay(&i.settings)
	i.MasterUsername, i.DBName, i.Encrypted = or(in.Username, ""), or(in.DBName, ""), or(in.Encrypted, false)
	if err := rdsrules.CheckIdentifier(identifier, 63); err != nil {
		f.add(codeInvalidValue, "identifier", "%q: %v", clip(identifier), err)
	}
	for _, other := range st.Instances {
		if other.Identifier == identifier {
			f.notModelled("identifier", "DB instances of the same name in two regions: %s is in %s", identifier,
				other.Region)
		}
	}
	if engine := strings.ToLower(or(in.Engine, "")); engine != "postgres" {
		f.notModelled("engine", "the engine %q; set engine to postgres", clip(engine))
	}
	if err := rdsrules.CheckMasterUsername(i.MasterUsername); err != nil {
		f.add(codeInvalidValue, "username", "MasterUsername %s %v", clip(i.MasterUsername), err)
	}
	if i.DBName != "" {
		if err := rdsrules.CheckDatabaseName(i.DBName); err != nil {
			f.add(codeInvalidValue, "dbName", "DBName %s %v", clip(i.DBName), err)
		}
	}
	if !or(in.Managed, false) {
		f.notModelled("manageMasterUserPassword", "master passwords that RDS does not manage: set it to true")
	}
	if l := or(in.License, "postgresql-license"); l != "postgresql-license" {
		f.add(codeInvalidValue, "licenseModel", "%q: want postgresql-license", clip(l))
	}
	finalSnapshotRules(in, f)
	k.check(st, i, nil, f)
	k.keysOfInstance(st, i, in, f)
	if i.AZ == "" {
		i.AZ = r.Region + zones[0]
	} else if z, ok := strings.CutPrefix(i.AZ, r.Region); !ok || !slices.Contains(zones, z) {
		f.add(codeInvalidValue, "availabilityZone", "%q: want one of %[2]sa, %[2]sb, %[2]sc", clip(i.AZ), r.Region)
	}
	i.placeStandby()
	secretKey := k.rdsKey(st, r.Region, "secretsmanager", "masterUserSecretKmsKeyId", or(in.SecretKMSKey, ""), f)
	if err := f.err(); err != nil {
		return err
	}
	if st.EndpointSuffixes[r.Region] == "" {
		st.EndpointSuffixes[r.Region] = pick(lower, 1) + pick(lower+decimal, 11)
	}
	i.SecretARN = k.c.newMasterSecret(st, i, secretKey)
	k.c.ensureLogGroups(st, i)
	st.Instances[regional(r.Region, identifier)] = i
	return nil
}

// ensureLogGroups creates missing log groups as RDS does: they have no retention and no resource manages them.
func (c *Cloud) ensureLogGroups(st *state, i *dbInstance) {
	for _, l := range i.LogExports {
		name := "/aws/rds/instance/" + i.Identifier + "/" + l
		if id := regional(i.Region, name); st.LogGroups[id] == nil {
			st.LogGroups[id] = &logGroup{Region: i.Region, Name: name, Class: "STANDARD", Created: c.now()}
		}
	}
}

func (st *state) endpointHost(i *dbInstance) string {
	return i.Identifier + "." + st.EndpointSuffixes[i.Region] + "." + i.Region + ".rds.amazonaws.com"
}

// makeDatabase creates the database of an instance whose status is creating, and then makes the instance available. It
// can be repeated after a kill, because the engine adopts a database that it has already created.
func (c *Cloud) makeDatabase(ctx context.Context, id string) error {
	st := c.store.Read()
	i := st.Instances[id]
	if i == nil || i.Status != statusCreating {
		return nil
	}
	started := c.now()
	var address string
	want, err := st.desired(i)
	if err == nil {
		var password string
		if s := st.Secrets[i.SecretARN]; s != nil {
			password, err = masterPassword(s.stage(stageCurrent))
		} else {
			err = errors.New("the master secret is missing")
		}
		if err == nil {
			c.setAccess(id, i)
			var addr netip.Addr
			addr, err = c.cfg.RDS.Create(ctx, rds.Spec{
				Identifier: i.Identifier, EndpointHost: st.endpointHost(i), Port: i.Port,
				MasterUsername: i.MasterUsername, DBName: i.DBName,
				MaxConnections: want.MaxConnections, Parameters: want.Parameters, Snapshot: i.snapshotData(),
				Replay: i.replay(), Archive: i.archive(), Standby: i.MultiAZ,
			}, password)
			address = addr.String()
		}
	}
	if err != nil {
		undo := c.store.Update(func(st *state) error {
			delete(st.Instances, id)
			delete(st.Secrets, i.SecretARN)
			return nil
		})
		return errors.Join(engineError("create", i.Identifier, err), undo)
	}
	// Without its first backup the instance can be used. The next one is tried soon.
	c.note("back up "+i.Identifier, c.settleBackups(ctx, id))
	c.pause(ctx, c.cfg.Latency.Create-c.now().Sub(started))
	return c.changeInstance(id, func(st *state, i *dbInstance) error {
		i.Address, i.Applied, i.Status, i.SecretStatus = address, want, statusAvailable, secretActive
		switch {
		case i.FromBackup != "":
			source := i.FromBackup
			if b := st.Backups[i.FromBackup]; b != nil {
				source = b.Instance
			}
			st.instanceEvent(c.now(), i, eventRestoredTo, source, i.Identifier)
		case i.FromSnapshot != "":
			st.instanceEvent(c.now(), i, eventRestored, i.FromSnapshot)
		}
		st.instanceEvent(c.now(), i, eventCreated)
		return nil
	})
}

// snapshotData is the name at the engine of the snapshot that the instance begins with, or "".
func (i *dbInstance) snapshotData() string {
	if i.FromSnapshot == "" {
		return ""
	}
	return (&dbSnapshot{Region: i.Region, Identifier: i.FromSnapshot}).data()
}

// setAccess passes the rules of the security groups to the engine, which evaluates them at each new connection.
func (c *Cloud) setAccess(id string, i *dbInstance) {
	c.cfg.RDS.SetAccess(i.Identifier, func(source netip.Addr) error {
		st := c.store.Read()
		i := st.Instances[id]
		if i == nil {
			return errNoInstance(id)
		}
		return st.mayConnect(i.SecurityGroups, source, i.Port)
	})
}

func readInstance(c *Cloud, r resourceRequest) (*resource, error) {
	st := c.store.Read()
	_, i := st.instanceID(r.Region, r.ID)
	if i == nil || i.Deleting != nil {
		return nil, nil
	}
	return i.resource(st), nil
}

// hostedZones are Route 53's zone IDs of RDS endpoints. Other regions get an invented ID, because clients do not use
// it.
var hostedZones = map[string]string{
	"us-east-1": "Z2R2ITUGPM61AM", "us-east-2": "Z2XHWR1WZ565X2", "us-west-2": "Z1PVIF0B656C1W",
	"eu-west-1":    "Z29XKXDKYMONMX",
	"eu-central-1": "Z1RLNUO7B9Q6NB", "ap-northeast-1": "Z24O6O9L7SGTNB", "ap-northeast-2": "ZLA2NUCOLGUUR",
}

func hostedZone(region string) string {
	if z, ok := hostedZones[region]; ok {
		return z
	}
	return "ZLOCALRDSENDPOINTS"
}

func (i *dbInstance) resource(st *state) *resource {
	inputs := inputsOf(i.Origin)
	host := st.endpointHost(i)
	s := i.settings
	secrets := []any{}
	secretKey := ""
	if sec := st.Secrets[i.SecretARN]; sec != nil {
		secretKey = st.secretKeyARN(sec)
		secrets = append(secrets, map[string]any{
			"secretArn": sec.ARN, "secretStatus": i.SecretStatus, "kmsKeyId": secretKey,
		})
	}
	outputs := echo(inputs, map[string]any{
		"address":                            host,
		"endpoint":                           host + ":" + strconv.Itoa(s.Port),
		"port":                               s.Port,
		"arn":                                i.arn(),
		"resourceId":                         i.ResourceID,
		"identifier":                         i.Identifier,
		"status":                             i.Status,
		"engine":                             "postgres",
		"engineVersion":                      s.EngineVersion,
		"engineVersionActual":                s.EngineVersionActual,
		"instanceClass":                      s.Class,
		"hostedZoneId":                       hostedZone(i.Region),
		"availabilityZone":                   i.AZ,
		"dbName":                             i.DBName,
		"username":                           i.MasterUsername,
		"masterUserSecrets":                  secrets,
		"allocatedStorage":                   s.AllocatedStorage,
		"maxAllocatedStorage":                s.MaxAllocatedStorage,
		"storageType":                        s.StorageType,
		"iops":                               s.Iops,
		"storageThroughput":                  s.Throughput,
		"storageEncrypted":                   s.Encrypted,
		"kmsKeyId":                           s.KMSKeyARN,
		"multiAz":                            s.MultiAZ,
		"dbSubnetGroupName":                  s.SubnetGroup,
		"parameterGroupName":                 s.ParameterGroup,
		"vpcSecurityGroupIds":                anyList(s.SecurityGroups),
		"backupRetentionPeriod":              s.BackupRetention,
		"backupWindow":                       s.BackupWindow,
		"maintenanceWindow":                  s.MaintenanceWindow,
		"copyTagsToSnapshot":                 s.CopyTags,
		"autoMinorVersionUpgrade":            s.AutoMinor,
		"publiclyAccessible":                 s.Public,
		"deletionProtection":                 s.DeletionProtection,
		"iamDatabaseAuthenticationEnabled":   s.IAMAuth,
		"deleteAutomatedBackups":             s.DeleteAutomatedBackups,
		"caCertIdentifier":                   s.CACertificate,
		"monitoringInterval":                 s.MonitoringInterval,
		"monitoringRoleArn":                  s.MonitoringRole,
		"performanceInsightsEnabled":         s.PerformanceInsights,
		"performanceInsightsKmsKeyId":        s.PIKMSKeyARN,
		"performanceInsightsRetentionPeriod": s.PIRetention,
		"databaseInsightsMode":               s.InsightsMode,
		"enabledCloudwatchLogsExports":       anyList(s.LogExports),
		"networkType":                        s.NetworkType,
		"engineLifecycleSupport":             s.LifecycleSupport,
		"licenseModel":                       "postgresql-license",
		"optionGroupName":                    "default:postgres-16",
		"backupTarget":                       "region",
		"listenerEndpoints":                  []any{},
		"replicas":                           []any{},
		"tags":                               anyMap(i.Tags),
		"tagsAll":                            anyMap(i.Tags),
	})
	if _, given := inputs["masterUserSecretKmsKeyId"]; !given {
		outputs["masterUserSecretKmsKeyId"] = secretKey
	}
	return &resource{ID: i.ResourceID, Inputs: echo(inputs, nil), Outputs: outputs}
}
