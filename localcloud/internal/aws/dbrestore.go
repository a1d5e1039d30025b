package aws

import (
	"context"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
)

// restoreRequest reads what both restores take from their request. RDS manages the password of the restored instance's
// master user here, whether the request asks for it or not.
func restoreRequest(p *wire.Params) map[string]any {
	inputs := map[string]any{"engine": "postgres", "manageMasterUserPassword": true}
	text := func(input, name string) {
		if v := p.String(name); v != "" {
			inputs[input] = v
		}
	}
	flag := func(input, name string) {
		if v := p.Bool(name); v != nil {
			inputs[input] = *v
		}
	}
	text("instanceClass", "DBInstanceClass")
	text("dbSubnetGroupName", "DBSubnetGroupName")
	text("parameterGroupName", "DBParameterGroupName")
	text("availabilityZone", "AvailabilityZone")
	text("storageType", "StorageType")
	text("licenseModel", "LicenseModel")
	if p.Has("Port") {
		inputs["port"] = p.Int("Port", 0)
	}
	flag("multiAz", "MultiAZ")
	flag("publiclyAccessible", "PubliclyAccessible")
	flag("deletionProtection", "DeletionProtection")
	flag("autoMinorVersionUpgrade", "AutoMinorVersionUpgrade")
	flag("copyTagsToSnapshot", "CopyTagsToSnapshot")
	flag("iamDatabaseAuthenticationEnabled", "EnableIAMDatabaseAuthentication")
	if groups := p.Strings("VpcSecurityGroupIds.VpcSecurityGroupId"); groups != nil {
		inputs["vpcSecurityGroupIds"] = groups
	}
	if tags := tagsOf(p, "Tags.Tag"); len(tags) > 0 {
		inputs["tags"] = tags
	}
	return inputs
}

func (k *call) restoreToPointInTime(p *wire.Params) (any, error) {
	const action = "RestoreDBInstanceToPointInTime"
	source, target := p.Required("SourceDBInstanceIdentifier"), p.Required("TargetDBInstanceIdentifier")
	inputs := restoreRequest(p)
	inputs["restoreToPointInTime"] = map[string]any{
		"sourceDbInstanceIdentifier": source, "restoreTime": p.String("RestoreTime"),
		"useLatestRestorableTime": or(p.Bool("UseLatestRestorableTime"), false),
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	if _, _, err := k.instance(action, source); err != nil {
		return nil, err
	}
	return k.restore(action, target, inputs)
}

func (k *call) restoreFromSnapshot(p *wire.Params) (any, error) {
	const action = "RestoreDBInstanceFromDBSnapshot"
	snapshot, target := strings.ToLower(p.Required("DBSnapshotIdentifier")), p.Required("DBInstanceIdentifier")
	inputs := restoreRequest(p)
	inputs["snapshotIdentifier"] = snapshot
	if err := p.Check(); err != nil {
		return nil, err
	}
	if err := k.allowRDS(action, "snapshot", snapshot); err != nil {
		return nil, err
	}
	return k.restore(action, target, inputs)
}

// restore begins the creation of an instance. Clients wait for its status.
func (k *call) restore(action, target string, inputs map[string]any) (any, error) {
	target = strings.ToLower(target)
	inputs["identifier"] = target
	for kind, name := range map[string]any{
		"db": target, "subgrp": inputs["dbSubnetGroupName"], "pg": inputs["parameterGroupName"],
	} {
		if name, _ := name.(string); name != "" {
			if err := k.allowRDS(action, kind, name); err != nil {
				return nil, err
			}
		}
	}
	r := resourceRequest{Type: "aws:rds/instance:Instance", Name: target, Region: k.region, Inputs: inputs}
	creation, err := k.c.beginInstance(k.ctx, r)
	if err != nil {
		return nil, err
	}
	if creation.adopted {
		return nil, errInstanceExists(target)
	}
	err = k.c.runOrLeave(k.ctx, "restore DB instance "+target, snapshotTakes, func(ctx context.Context) error {
		defer k.c.locks.lock("db " + creation.id)()
		return k.c.makeDatabase(ctx, creation.id)
	})
	if err != nil {
		return nil, err
	}
	return k.instanceResult(creation.id)
}

func (k *call) deleteDBInstance(p *wire.Params) (any, error) {
	identifier := p.Required("DBInstanceIdentifier")
	how := map[string]any{"skipFinalSnapshot": or(p.Bool("SkipFinalSnapshot"), false)}
	if final := p.String("FinalDBSnapshotIdentifier"); final != "" {
		how["finalSnapshotIdentifier"] = final
	}
	how["deleteAutomatedBackups"] = or(p.Bool("DeleteAutomatedBackups"), true)
	if err := p.Check(); err != nil {
		return nil, err
	}
	_, i, err := k.instance("DeleteDBInstance", identifier)
	if err != nil {
		return nil, err
	}
	if i.Status == statusCreating {
		return nil, wire.Errorf("InvalidDBInstanceState", "Instance %s is currently creating - must be available.",
			i.Identifier)
	}
	said := i.xml(k.st)
	err = k.c.runOrLeave(k.ctx, "delete "+identifier, snapshotTakes, func(ctx context.Context) error {
		return removeInstance(ctx, k.c, resourceRequest{Region: k.region, ID: i.ResourceID, Olds: how})
	})
	if err != nil {
		return nil, err
	}
	said.DBInstanceStatus = statusDeleting
	return instanceResult{said}, nil
}
