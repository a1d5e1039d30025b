package awsprovider_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/awsprovider"
)

func TestAPropertyThatTheTypeDoesNotHaveIsRefusedByName(t *testing.T) {
	server, _ := local(t, echo)
	for typ, inputs := range least {
		t.Run(typ, func(t *testing.T) {
			_, failures := check(t, server, typ, nil, inputs)
			assert.Empty(t, failures)
			_, failures = check(t, server, typ, nil, with(inputs, props{"sparkle": true, "instance_class": "x"}))
			assert.Contains(t, failures["sparkle"], "sparkle: "+typ+" has no such property")
			if typ == instanceType {
				assert.Contains(t, failures["instance_class"], "it is called instanceClass")
			}
		})
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	server, _ := local(t, echo)
	_, failures := check(t, server, instanceType, nil, props{
		"allocatedStorage":         "20",
		"backupWindow":             "3-4",
		"maintenanceWindow":        "Mon:04:00-Mon:25:00",
		"monitoringInterval":       7,
		"identifier":               "My_DB",
		"kmsKeyId":                 "1234",
		"tags":                     props{"a": 1},
		"vpcSecurityGroupIds":      []any{"sg-1", 2},
		"finalSnapshotIdentifier":  "final--x",
		"domain":                   "d-1",
		"password":                 "longenough",
		"manageMasterUserPassword": true,
		"restoreToPointInTime":     props{"restoretime": "now"},
	})
	assert.Equal(t, map[string]string{
		"allocatedStorage":   "allocatedStorage: must be a whole number, not string",
		"backupWindow":       `backupWindow: "3-4" must have the form "hh:mm-hh:mm" (UTC), for example "03:00-04:00"`,
		"maintenanceWindow":  `maintenanceWindow: "Mon:04:00-Mon:25:00" must have the form "ddd:hh:mm-ddd:hh:mm" (UTC), for example "Mon:04:00-Mon:05:00"`,
		"monitoringInterval": "monitoringInterval: 7 must be one of 0, 1, 5, 10, 15, 30, 60",
		"identifier": `identifier: "My_DB" must begin with a letter, contain only lower-case letters, digits and single hyphens, ` +
			`and not end with a hyphen`,
		"kmsKeyId":               `kmsKeyId: "1234" must be the ARN of the key, not its id or alias`,
		"tags.a":                 "tags.a: must be a string, not number",
		"vpcSecurityGroupIds[1]": "vpcSecurityGroupIds[1]: must be a string, not number",
		"finalSnapshotIdentifier": `finalSnapshotIdentifier: "final--x" must begin with a letter, contain only letters, digits and single hyphens, ` +
			`and not end with a hyphen`,
		"domain": "domain: the local cloud does not model this property of aws:rds/instance:Instance: leave it out " +
			"on local stacks",
		"password": "password: conflicts with manageMasterUserPassword: " +
			"set only one of the two",
		"restoreToPointInTime.restoretime": "restoreToPointInTime.restoretime: aws:rds/instance:Instance has no such " +
			"property; it is called restoreTime",
		"instanceClass": "instanceClass: missing: aws:rds/instance:Instance requires it (a string)",
	}, failures)
}

func TestValuesThatAWSRefusesAreRefused(t *testing.T) {
	server, _ := local(t, echo)
	for _, c := range []struct {
		typ, property string
		value         any
		want          string
	}{
		{aliasType, "name", "dbtier", `"dbtier" must begin with "alias/"`},
		{aliasType, "name", "alias/aws/rds", `must not begin with "alias/aws/"`},
		{keyType, "multiRegion", true, "the local cloud does not model this property"},
		{roleType, "managedPolicyArns", []any{"arn"}, "the local cloud does not model this property"},
		{keyType, "deletionWindowInDays", 3, "3 must be between 7 and 30"},
		{keyType, "policy", "{", "must be a JSON policy document, but is not JSON"},
		{logGroupType, "retentionInDays", 8, "8 must be one of 0, 1, 3, 5, 7"},
		{roleType, "name", strings.Repeat("r", 65), "must have at most 64 characters, not 65"},
		{roleType, "path", "dbtier", `begin and end with "/"`},
		{securityGroupType, "name", "sg-mine", `must not begin with "sg-"`},
		{subnetGroupType, "name", "Mine", "lower-case"},
		{parameterGroupType, "name", "pg_16", "lower-case"},
		{instanceType, "identifier", "db-", "not end with a hyphen"},
		{
			instanceType, "enabledCloudwatchLogsExports",
			[]any{"postgres"},
			`contains "postgres"; each must be one of agent`,
		},
		{instanceType, "performanceInsightsRetentionPeriod", 30, "must be 7, 731 or a multiple of 31"},
	} {
		t.Run(c.typ+" "+c.property, func(t *testing.T) {
			_, failures := check(t, server, c.typ, nil, with(least[c.typ], props{c.property: c.value}))
			assert.Contains(t, failures[c.property], c.want)
			assert.Len(t, failures, 1)
		})
	}
}

func TestUnknownInputsAreAcceptedEverywhere(t *testing.T) {
	server, _ := local(t, echo)
	for typ, inputs := range least {
		unknownInputs := props{}
		for k := range inputs {
			unknownInputs[k] = unknownValue
		}
		_, failures := check(t, server, typ, nil, unknownInputs)
		assert.Empty(t, failures, typ)
	}
	_, failures := check(t, server, securityGroupType, nil, props{"ingress": []any{props{
		"protocol": "tcp", "fromPort": unknownValue, "toPort": 5432, "securityGroups": []any{unknownValue},
	}}})
	assert.Empty(t, failures)
}

func TestDefaultsAreThoseOfTheRealProvider(t *testing.T) {
	server, _ := local(t, echo)
	inputs, _ := check(t, server, instanceType, nil, with(least[instanceType], props{"identifier": "db"}))
	assert.Equal(t, propertyMap(props{
		"identifier": "db", "engine": "postgres", "instanceClass": "db.t4g.micro",
		"applyImmediately": false, "autoMinorVersionUpgrade": true, "copyTagsToSnapshot": false,
		"dedicatedLogVolume":     false,
		"deleteAutomatedBackups": true, "monitoringInterval": 0, "performanceInsightsEnabled": false,
		"publiclyAccessible": false,
		"skipFinalSnapshot":  false,
		"__defaults": []any{
			"applyImmediately", "autoMinorVersionUpgrade", "copyTagsToSnapshot", "dedicatedLogVolume",
			"deleteAutomatedBackups",
			"monitoringInterval", "performanceInsightsEnabled", "publiclyAccessible", "skipFinalSnapshot",
		},
	}), inputs)
	inputs, _ = check(t, server, subnetGroupType, nil, least[subnetGroupType])
	assert.Equal(t, "Managed by Pulumi", inputs["description"].StringValue())
	inputs, _ = check(t, server, keyType, nil, nil)
	assert.Equal(t, "SYMMETRIC_DEFAULT", inputs["customerMasterKeySpec"].StringValue())
	inputs, _ = check(t, server, roleType, nil,
		with(least[roleType], props{"assumeRolePolicy": props{"Statement": []any{}, "Version": "x"}}))
	assert.JSONEq(t, `{"Version":"x","Statement":[]}`, inputs["assumeRolePolicy"].StringValue())
}

func TestNamelessResourcesAreNamedAfterThemselves(t *testing.T) {
	server, _ := local(t, echo)
	for typ, want := range map[string]struct{ property, pattern string }{
		aliasType:          {"name", `^alias/db-[0-9a-f]{7}$`},
		subnetGroupType:    {"name", `^db-[0-9a-f]{7}$`},
		parameterGroupType: {"name", `^db-[0-9a-f]{7}$`},
		instanceType:       {"identifier", `^db-[0-9a-f]{7}$`},
		securityGroupType:  {"name", `^db-[0-9a-f]{7}$`},
		logGroupType:       {"name", `^db-[0-9a-f]{7}$`},
		roleType:           {"name", `^db-[0-9a-f]{7}$`},
		rolePolicyType:     {"name", `^db-[0-9a-f]{7}$`},
	} {
		t.Run(typ, func(t *testing.T) {
			key := resource.PropertyKey(want.property)
			resp, err := server.Check(t.Context(), &pulumirpc.CheckRequest{
				Urn: urn(typ, "db"), News: marshal(t, least[typ]),
			})
			require.NoError(t, err)
			require.Empty(t, resp.GetFailures())
			first := unmarshal(t, resp.GetInputs())
			assert.Regexp(t, want.pattern, first[key].StringValue())

			again, err := server.Check(t.Context(), &pulumirpc.CheckRequest{
				Urn: urn(typ, "db"), News: marshal(t, least[typ]), Olds: resp.GetInputs(),
			})
			require.NoError(t, err)
			assert.Equal(t, first[key], unmarshal(t, again.GetInputs())[key], "an auto-name stays the same")
		})
	}
}

func TestTheNamesOfRDSGroupsAreLowerCase(t *testing.T) {
	server, _ := local(t, echo)
	resp, err := server.Check(t.Context(), &pulumirpc.CheckRequest{
		Urn: urn(subnetGroupType, "MyDB"), News: marshal(t, least[subnetGroupType]),
	})
	require.NoError(t, err)
	assert.Regexp(t, `^mydb-[0-9a-f]{7}$`, unmarshal(t, resp.GetInputs())["name"].StringValue())
}

func TestANameThatTheProgramDroppedIsReplacedByAnAutoName(t *testing.T) {
	server, _ := local(t, echo)
	inputs, _ := check(t, server, subnetGroupType, props{"name": "chosen", "__defaults": []any{"description"}},
		least[subnetGroupType])
	assert.Regexp(t, `^db-[0-9a-f]{7}$`, inputs["name"].StringValue())
}

func TestAutonamingOfTheStackIsFollowed(t *testing.T) {
	server, _ := local(t, echo)
	name := func(mode pulumirpc.CheckRequest_AutonamingOptions_Mode, proposed string) *pulumirpc.CheckResponse {
		resp, err := server.Check(t.Context(), &pulumirpc.CheckRequest{
			Urn: urn(aliasType, "db"), News: marshal(t, least[aliasType]),
			Autonaming: &pulumirpc.CheckRequest_AutonamingOptions{Mode: mode, ProposedName: proposed},
		})
		require.NoError(t, err)
		return resp
	}
	proposed := name(pulumirpc.CheckRequest_AutonamingOptions_PROPOSE, "mine")
	assert.Equal(t, "alias/mine", unmarshal(t, proposed.GetInputs())["name"].StringValue())
	disabled := name(pulumirpc.CheckRequest_AutonamingOptions_DISABLE, "")
	require.Len(t, disabled.GetFailures(), 1)
	assert.Contains(t, disabled.GetFailures()[0].GetReason(), "auto-naming is switched off")
	enforced := name(pulumirpc.CheckRequest_AutonamingOptions_ENFORCE, "mine")
	assert.Contains(t, enforced.GetFailures()[0].GetReason(), `must begin with "alias/"`)
}

func TestTagsOfTheProviderLieBelowThoseOfTheResource(t *testing.T) {
	control := newControl(t, echo)
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: control.socket})
	require.NoError(t, configure(t, server, with(marker(),
		props{"defaultTags": `{"tags":{"team":"data","stack":"local"}}`})))
	inputs, _ := check(t, server, keyType, nil, props{"tags": props{"stack": "mine"}})
	want := resource.NewPropertyValue(props{"team": "data", "stack": "mine"})
	assert.Equal(t, want, inputs["tags"])
	inputs, _ = check(t, server, rolePolicyType, nil, least[rolePolicyType])
	assert.NotContains(t, inputs, resource.PropertyKey("tags"), "a role policy has no tags")

	resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn(keyType, "db"), Properties: marshal(t, props{"tags": props{"a": "b"}}), Preview: true,
	})
	require.NoError(t, err)
	assert.Equal(t, resource.NewPropertyValue(props{"a": "b"}), unmarshal(t, resp.GetProperties())["tagsAll"])
}
