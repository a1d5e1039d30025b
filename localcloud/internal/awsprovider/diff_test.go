package awsprovider_test

import (
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
)

func TestChangesReplaceOrUpdate(t *testing.T) {
	server, control := local(t, echo)
	change := map[string]map[string]bool{
		keyType: {
			"customerMasterKeySpec": true, "keyUsage": true, "multiRegion": true, "description": false, "policy": false,
			"enableKeyRotation": false, "deletionWindowInDays": false, "isEnabled": false,
			"rotationPeriodInDays": false,
		},
		aliasType:       {"name": true, "targetKeyId": false},
		subnetGroupType: {"name": true, "description": false, "subnetIds": false},
		parameterGroupType: {
			"name": true, "description": true, "family": true, "parameters": false,
			"skipDestroy": false,
		},
		securityGroupType: {"name": true, "description": true, "vpcId": true, "ingress": false, "egress": false},
		logGroupType:      {"name": true, "logGroupClass": true, "retentionInDays": false, "kmsKeyId": false},
		roleType: {
			"name": true, "path": true, "assumeRolePolicy": false, "description": false, "maxSessionDuration": false,
			"permissionsBoundary": false, "managedPolicyArns": false,
		},
		rolePolicyType: {"name": true, "role": true, "policy": false},
		attachmentType: {"policyArn": true, "role": true},
		instanceType: {
			"availabilityZone": true, "dbName": true, "engine": true, "engineLifecycleSupport": true, "kmsKeyId": true,
			"restoreToPointInTime": true, "snapshotIdentifier": true, "storageEncrypted": true, "username": true,
			"allocatedStorage": false, "applyImmediately": false, "backupRetentionPeriod": false, "backupWindow": false,
			"caCertIdentifier": false, "databaseInsightsMode": false, "dbSubnetGroupName": false,
			"deletionProtection":           false,
			"enabledCloudwatchLogsExports": false, "engineVersion": false, "finalSnapshotIdentifier": false,
			"iamDatabaseAuthenticationEnabled": false, "identifier": false, "instanceClass": false, "iops": false,
			"maintenanceWindow": false, "manageMasterUserPassword": false, "masterUserSecretKmsKeyId": false,
			"maxAllocatedStorage": false, "monitoringInterval": false, "multiAz": false, "parameterGroupName": false,
			"password": false, "performanceInsightsEnabled": false, "performanceInsightsKmsKeyId": false, "port": false,
			"publiclyAccessible": false, "skipFinalSnapshot": false, "storageType": false, "vpcSecurityGroupIds": false,
			"tags": false,
		},
	}
	for typ, properties := range change {
		for property, replaces := range properties {
			t.Run(typ+" "+property, func(t *testing.T) {
				resp := diff(t, server, typ, nil, props{property: "before"}, props{property: "after"})
				assert.Equal(t, pulumirpc.DiffResponse_DIFF_SOME, resp.GetChanges())
				assert.Equal(t, []string{property}, resp.GetDiffs())
				kind := resp.GetDetailedDiff()[property].GetKind()
				if replaces {
					assert.Equal(t, []string{property}, resp.GetReplaces())
					assert.Equal(t, pulumirpc.PropertyDiff_UPDATE_REPLACE, kind)
				} else {
					assert.Empty(t, resp.GetReplaces())
					assert.Equal(t, pulumirpc.PropertyDiff_UPDATE, kind)
				}
			})
		}
	}
	assert.Empty(t, control.seen(), "comparing calls no service")
}

func TestEquivalentInputsAreNoChange(t *testing.T) {
	server, control := local(t, echo)
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["a:B","a:C"],"Resource":"*"}]}`
	reordered := `{"Statement":{"Resource":["*"],"Action":["a:C","a:B"],"Effect":"Allow"},"Version":"2012-10-17"}`
	rule := props{"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "securityGroups": []any{"sg-1", "sg-2"}}
	other := props{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": []any{"10.0.0.0/8"}}
	otherWords := with(other, props{"protocol": "All", "self": false})
	for name, c := range map[string]struct {
		typ               string
		state, olds, news props
	}{
		"same inputs": {instanceType, nil, least[instanceType], least[instanceType]},
		"order of subnets": {
			subnetGroupType, nil,
			props{"subnetIds": []any{"a", "b"}},
			props{"subnetIds": []any{"b", "a"}},
		},
		"order of rules": {
			securityGroupType, nil,
			props{"ingress": []any{rule, other}},
			props{"ingress": []any{other, rule}},
		},
		"words of a rule": {
			securityGroupType, nil,
			props{"ingress": []any{other}},
			props{"ingress": []any{otherWords}},
		},
		"default of a rule": {
			parameterGroupType, nil,
			props{"parameters": []any{props{"name": "a", "value": "1"}}},
			props{"parameters": []any{props{"name": "A", "value": "1", "applyMethod": "immediate"}}},
		},
		"order in a policy": {rolePolicyType, nil, props{"policy": policy}, props{"policy": reordered}},
		"case of a window": {
			instanceType, nil,
			props{"maintenanceWindow": "Mon:04:00-Mon:05:00"},
			props{"maintenanceWindow": "mon:04:00-mon:05:00"},
		},
		"key by id or ARN": {
			aliasType, nil,
			props{"targetKeyId": "k-1"},
			props{"targetKeyId": "arn:aws:kms:eu-west-1:111122223333:key/k-1"},
		},
		"AWS's choice kept": {
			instanceType,
			props{"backupWindow": "03:00-04:00"},
			props{"backupWindow": "03:00-04:00"},
			props{},
		},
		"AWS's choice spoken": {instanceType, props{"storageType": "gp3"}, props{}, props{"storageType": "gp3"}},
		"off is absent":       {instanceType, nil, props{"deletionProtection": false}, props{}},
		"a secret now": {
			keyType, nil,
			props{"tags": props{"a": "b"}},
			props{"tags": props{"a": secretValue("b")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			resp := diff(t, server, c.typ, c.state, c.olds, c.news)
			assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, resp.GetChanges(), resp.GetDiffs())
		})
	}
	assert.Empty(t, control.seen())
}

func TestADetailedDiffHasThePathOfEachDifference(t *testing.T) {
	server, _ := local(t, echo)
	resp := diff(t, server, keyType, nil,
		props{"tags": props{"a": "1", "gone": "x"}, "deletionWindowInDays": 7},
		props{"tags": props{"a": "2", "new": "y"}, "description": "d"})
	kinds := map[string]pulumirpc.PropertyDiff_Kind{}
	for path, d := range resp.GetDetailedDiff() {
		kinds[path] = d.GetKind()
	}
	assert.Equal(t, map[string]pulumirpc.PropertyDiff_Kind{
		"tags.a": pulumirpc.PropertyDiff_UPDATE, "tags.gone": pulumirpc.PropertyDiff_DELETE,
		"tags.new":             pulumirpc.PropertyDiff_ADD,
		"deletionWindowInDays": pulumirpc.PropertyDiff_DELETE, "description": pulumirpc.PropertyDiff_ADD,
	}, kinds)
}

func TestANameThatTheProgramChoseMustBeFreedBeforeAReplacement(t *testing.T) {
	server, _ := local(t, echo)
	olds, news := props{"identifier": "db", "username": "a"}, props{"identifier": "db", "username": "b"}
	assert.True(t, diff(t, server, instanceType, nil, olds, news).GetDeleteBeforeReplace())
	auto := with(news, props{"__defaults": []any{"identifier"}})
	assert.False(t, diff(t, server, instanceType, nil, olds, auto).GetDeleteBeforeReplace())
	renamed := with(news, props{"identifier": "db2"})
	assert.False(t, diff(t, server, instanceType, nil, olds, renamed).GetDeleteBeforeReplace())
}

// As Terraform does, the provider compares the parameters of a group with what RDS reports: rds.force_ssl = 1, which is
// RDS's own value, is reported with pending-reboot whatever it was set with.
func TestAnApplyMethodThatRDSReportsInAnotherWayIsAChange(t *testing.T) {
	server, _ := local(t, echo)
	with := func(method string) props {
		return props{"parameters": []any{props{"name": "rds.force_ssl", "value": "1", "applyMethod": method}}}
	}
	resp := diff(t, server, parameterGroupType, with("pending-reboot"), with("immediate"), with("immediate"))
	assert.Equal(t, []string{"parameters"}, resp.GetDiffs())
	resp = diff(t, server, parameterGroupType, with("pending-reboot"), with("pending-reboot"), with("pending-reboot"))
	assert.Empty(t, resp.GetDiffs())
}
