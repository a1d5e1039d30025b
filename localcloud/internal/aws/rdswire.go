package aws

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
)

var rdsActions = map[string]func(*call, *wire.Params) (any, error){
	"DescribeDBInstances":                (*call).describeDBInstances,
	"ModifyDBInstance":                   (*call).modifyDBInstance,
	"RebootDBInstance":                   (*call).rebootDBInstance,
	"DeleteDBInstance":                   (*call).deleteDBInstance,
	"RestoreDBInstanceToPointInTime":     (*call).restoreToPointInTime,
	"RestoreDBInstanceFromDBSnapshot":    (*call).restoreFromSnapshot,
	"CreateDBSnapshot":                   (*call).createDBSnapshot,
	"CopyDBSnapshot":                     (*call).copyDBSnapshot,
	"DescribeDBSnapshots":                (*call).describeDBSnapshots,
	"DeleteDBSnapshot":                   (*call).deleteDBSnapshot,
	"DescribeDBInstanceAutomatedBackups": (*call).describeAutomatedBackups,
	"DeleteDBInstanceAutomatedBackup":    (*call).deleteAutomatedBackup,
	"DescribeEvents":                     (*call).describeEvents,
	"DescribeDBParameters":               (*call).describeDBParameters,
	"DescribeDBParameterGroups":          (*call).describeDBParameterGroups,
	"DescribeDBSubnetGroups":             (*call).describeDBSubnetGroups,
	"ListTagsForResource":                (*call).listTagsForResource,
}

// rdsARN returns an ARN of RDS in the call's region. The name may be *.
func (k *call) rdsARN(kind, name string) string {
	return "arn:aws:rds:" + k.region + ":" + AccountID + ":" + kind + ":" + name
}

// instance finds an instance and checks that the caller may perform the action on it.
func (k *call) instance(action, identifier string) (string, *dbInstance, error) {
	id, i := k.st.instanceID(k.region, identifier)
	name := strings.ToLower(identifier)
	if i != nil {
		name = i.Identifier
	}
	err := k.allowRDS(action, "db", name)
	switch {
	case err != nil:
		return "", nil, err
	case i == nil:
		return "", nil, errNoInstance(identifier)
	}
	return id, i, nil
}

// conditionKeys sets the condition keys that come from the instance. Every request on it has them.
func (i *dbInstance) conditionKeys(ctx iam.Context) {
	ctx.SetTags("aws:ResourceTag", i.Tags)
	ctx.SetTags("rds:db-tag", i.Tags)
	ctx.Set("rds:DatabaseClass", i.Class)
	ctx.Set("rds:DatabaseEngine", "postgres")
	ctx.Set("rds:MultiAz", strconv.FormatBool(i.MultiAZ))
	if i.DBName != "" {
		ctx.Set("rds:DatabaseName", i.DBName)
	}
}

// rdsResource finds a resource by the kind and name in its ARN. keys sets the condition keys that come from it, and is
// nil if there is none.
func (st *state) rdsResource(region, kind, name string) (tags map[string]string, keys func(iam.Context)) {
	id := regional(region, name)
	switch kind {
	case "db":
		if i := st.Instances[id]; i != nil {
			tags, keys = i.Tags, i.conditionKeys
		}
	case "subgrp":
		if g := st.SubnetGroups[id]; g != nil {
			tags, keys = g.Tags, g.conditionKeys
		}
	case "pg":
		if g := st.ParameterGroups[id]; g != nil {
			tags, keys = g.Tags, g.conditionKeys
		}
	case "snapshot":
		if s := st.Snapshots[id]; s != nil {
			tags, keys = s.Tags, s.conditionKeys
		}
	}
	return tags, keys
}

// allowRDS checks that the caller may perform an action on a resource, or on all of a kind if the name is empty.
func (k *call) allowRDS(action, kind, name string) error {
	_, keys := k.st.rdsResource(k.region, kind, name)
	return k.allow("rds:"+action, k.rdsARN(kind, cmp.Or(name, "*")), keys)
}

func member(prefix string, index int) string { return prefix + "." + strconv.Itoa(index+1) }

type instanceResult struct {
	DBInstance xmlInstance
}

func (k *call) instanceResult(id string) (any, error) {
	st := k.c.store.Read()
	i := st.Instances[id]
	if i == nil {
		return nil, errNoInstance(id)
	}
	return instanceResult{i.xml(st)}, nil
}

func (k *call) modifyDBInstance(p *wire.Params) (any, error) {
	identifier := p.Required("DBInstanceIdentifier")
	immediately := or(p.Bool("ApplyImmediately"), false)
	rotate := or(p.Bool("RotateMasterUserPassword"), false)
	text := func(name string) *string {
		if !p.Has(name) {
			return nil
		}
		v := p.String(name)
		return &v
	}
	number := func(name string) *int {
		if !p.Has(name) {
			return nil
		}
		n := p.Int(name, 0)
		return &n
	}
	in := instanceInputs{
		EngineVersion:      text("EngineVersion"),
		Class:              text("DBInstanceClass"),
		AllocatedStorage:   number("AllocatedStorage"),
		MaxStorage:         number("MaxAllocatedStorage"),
		StorageType:        text("StorageType"),
		Iops:               number("Iops"),
		Throughput:         number("StorageThroughput"),
		MultiAZ:            p.Bool("MultiAZ"),
		SubnetGroup:        text("DBSubnetGroupName"),
		ParameterGroup:     text("DBParameterGroupName"),
		SecurityGroups:     p.Strings("VpcSecurityGroupIds.VpcSecurityGroupId"),
		BackupRetention:    number("BackupRetentionPeriod"),
		BackupWindow:       text("PreferredBackupWindow"),
		MaintenanceWindow:  text("PreferredMaintenanceWindow"),
		CopyTags:           p.Bool("CopyTagsToSnapshot"),
		AutoMinor:          p.Bool("AutoMinorVersionUpgrade"),
		AllowMajor:         p.Bool("AllowMajorVersionUpgrade"),
		Public:             p.Bool("PubliclyAccessible"),
		DeletionProtection: p.Bool("DeletionProtection"),
		IAMAuth:            p.Bool("EnableIAMDatabaseAuthentication"),
		CACertificate:      text("CACertificateIdentifier"),
		MonitoringInterval: number("MonitoringInterval"),
		MonitoringRole:     text("MonitoringRoleArn"),
		PI:                 p.Bool("EnablePerformanceInsights"),
		PIRetention:        number("PerformanceInsightsRetentionPeriod"),
		InsightsMode:       text("DatabaseInsightsMode"),
		Port:               number("DBPortNumber"),
		Managed:            p.Bool("ManageMasterUserPassword"),
		SecretKMSKey:       text("MasterUserSecretKmsKeyId"),
		NetworkType:        text("NetworkType"),
	}
	enable := p.Strings("CloudwatchLogsExportConfiguration.EnableLogTypes.member")
	disable := p.Strings("CloudwatchLogsExportConfiguration.DisableLogTypes.member")
	if err := p.Check(); err != nil {
		return nil, err
	}
	id, _, err := k.instance("ModifyDBInstance", identifier)
	if err != nil {
		return nil, err
	}
	if rotate && !immediately {
		return nil, wire.Errorf(codeCombination,
			"RotateMasterUserPassword: You must apply the change immediately when rotating the master user password.")
	}
	f := &faults{what: "ModifyDBInstance"}
	latency := k.c.cfg.Latency
	err = k.c.runOrLeave(k.ctx, "modify "+identifier, latency.Modify+latency.Rotate, func(ctx context.Context) error {
		err := k.modify(ctx, id, immediately, f, func(st *state, i *dbInstance, next *settings) {
			in.overlay(next)
			next.LogExports = slices.Compact(slices.Sorted(slices.Values(slices.Concat(next.LogExports, enable))))
			next.LogExports = slices.DeleteFunc(next.LogExports,
				func(l string) bool { return slices.Contains(disable, l) })
			k.fixed(st, i, in, f)
		})
		if err == nil && rotate {
			err = k.c.rotate(ctx, id, "")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return k.instanceResult(id)
}

// runOrLeave runs an operation and waits for it. With a latency it waits only briefly, and the operation continues
// while clients can see its status.
func (c *Cloud) runOrLeave(
	ctx context.Context, what string, latency time.Duration, op func(context.Context) error,
) error {
	if latency == 0 {
		return c.run(ctx, what, op)
	}
	begun := make(chan error, 1)
	c.work.Go(func() {
		err := op(context.WithoutCancel(ctx))
		c.note(what, err)
		begun <- err
	})
	// An operation that is refused fails at once. Its error must reach the caller.
	timer := time.NewTimer(min(latency/2, 200*time.Millisecond))
	defer timer.Stop()
	select {
	case err := <-begun:
		return err
	case <-timer.C:
		return nil
	}
}

func (k *call) rebootDBInstance(p *wire.Params) (any, error) {
	identifier := p.Required("DBInstanceIdentifier")
	failover := or(p.Bool("ForceFailover"), false)
	if err := p.Check(); err != nil {
		return nil, err
	}
	id, _, err := k.instance("RebootDBInstance", identifier)
	if err != nil {
		return nil, err
	}
	err = k.c.runOrLeave(k.ctx, "reboot "+identifier, k.c.cfg.Latency.Reboot,
		func(ctx context.Context) error { return k.c.reboot(ctx, id, failover) })
	if err != nil {
		return nil, err
	}
	return k.instanceResult(id)
}

func errNoBackup(id string) error {
	return wire.Status(http.StatusNotFound, "DBInstanceAutomatedBackupNotFound",
		"DBInstanceAutomatedBackup %s not found.", clip(id))
}

func errNoSnapshot(id string) error {
	return wire.Status(http.StatusNotFound, "DBSnapshotNotFound", "DBSnapshot %s not found.", clip(id))
}
