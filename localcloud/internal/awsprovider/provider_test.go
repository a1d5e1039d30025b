package awsprovider_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"dbtier/localcloud/internal/awsprovider"
)

const (
	endpoint = "http://127.0.0.1:14566"

	keyType            = "aws:kms/key:Key"
	aliasType          = "aws:kms/alias:Alias"
	subnetGroupType    = "aws:rds/subnetGroup:SubnetGroup"
	parameterGroupType = "aws:rds/parameterGroup:ParameterGroup"
	instanceType       = "aws:rds/instance:Instance"
	securityGroupType  = "aws:ec2/securityGroup:SecurityGroup"
	logGroupType       = "aws:cloudwatch/logGroup:LogGroup"
	roleType           = "aws:iam/role:Role"
	rolePolicyType     = "aws:iam/rolePolicy:RolePolicy"
	attachmentType     = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
)

type props = map[string]any

var unknownValue = resource.MakeComputed(resource.NewProperty(""))

func secretValue(v any) resource.PropertyValue {
	return resource.MakeSecret(resource.NewPropertyValue(v))
}

// propertyMap accepts plain values, property values, and a mixture of both.
func propertyMap(m props) resource.PropertyMap {
	return resource.NewPropertyMapFromMap(m)
}

func marshal(t *testing.T, m props) *structpb.Struct {
	t.Helper()
	if m == nil {
		return nil
	}
	s, err := plugin.MarshalProperties(propertyMap(m), plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(t, err)
	return s
}

func unmarshal(t *testing.T, s *structpb.Struct) resource.PropertyMap {
	t.Helper()
	m, err := plugin.UnmarshalProperties(s, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(t, err)
	return m
}

func urn(typ, name string) string {
	return "urn:pulumi:local::dbtier::" + typ + "::" + name
}

func marker() props {
	return props{
		"region":    "ap-northeast-2",
		"endpoints": []any{props{"sts": endpoint, "rds": endpoint, "secretsmanager": endpoint + "/"}},
	}
}

func configure(t *testing.T, server pulumirpc.ResourceProviderServer, args props) error {
	t.Helper()
	_, err := server.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: marshal(t, args), AcceptSecrets: true})
	return err
}

func newServer(t *testing.T, opts awsprovider.Options) pulumirpc.ResourceProviderServer {
	t.Helper()
	server, err := awsprovider.New(opts)
	require.NoError(t, err)
	return server
}

// local returns a configured server with a recording control API.
func local(t *testing.T, answer func(call) (int, any)) (pulumirpc.ResourceProviderServer, *recordingDoor) {
	t.Helper()
	door := newDoor(t, answer)
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: door.socket})
	require.NoError(t, configure(t, server, marker()))
	return server, door
}

func offline(t *testing.T) pulumirpc.ResourceProviderServer {
	t.Helper()
	server := newServer(t, awsprovider.Options{Offline: true})
	require.NoError(t, configure(t, server, props{"region": "eu-west-1", "profile": "prod"}))
	return server
}

func check(
	t *testing.T, server pulumirpc.ResourceProviderServer, typ string, olds, news props,
) (resource.PropertyMap, map[string]string) {
	t.Helper()
	resp, err := server.Check(t.Context(), &pulumirpc.CheckRequest{
		Urn: urn(typ, "db"), Type: typ, Name: "db", Olds: marshal(t, olds), News: marshal(t, news),
		RandomSeed: []byte("seed"),
	})
	require.NoError(t, err)
	failures := map[string]string{}
	for _, f := range resp.GetFailures() {
		failures[f.GetProperty()] = f.GetReason()
	}
	return unmarshal(t, resp.GetInputs()), failures
}

func diff(
	t *testing.T, server pulumirpc.ResourceProviderServer, typ string, state, olds, news props,
) *pulumirpc.DiffResponse {
	t.Helper()
	resp, err := server.Diff(t.Context(), &pulumirpc.DiffRequest{
		Id: "id-1", Urn: urn(typ, "Db"), Type: typ, Name: "Db",
		Olds: marshal(t, state), OldInputs: marshal(t, olds), News: marshal(t, news),
	})
	require.NoError(t, err)
	return resp
}

// least has the minimum inputs of each type.
var least = map[string]props{
	keyType:            {},
	aliasType:          {"targetKeyId": "k-1"},
	subnetGroupType:    {"subnetIds": []any{"subnet-1", "subnet-2"}},
	parameterGroupType: {"family": "postgres16"},
	instanceType:       {"instanceClass": "db.t4g.micro", "engine": "postgres"},
	securityGroupType:  {"vpcId": "vpc-1"},
	logGroupType:       {},
	roleType:           {"assumeRolePolicy": `{"Version":"2012-10-17"}`},
	rolePolicyType:     {"role": "r", "policy": `{"Version":"2012-10-17"}`},
	attachmentType: {
		"role": "r", "policyArn": "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
	},
}

func with(base, more props) props {
	out := props{}
	for k, v := range base {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

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
		"identifier": `identifier: "My_DB" must begin with a letter, hold only lower-case letters, digits and single hyphens, ` +
			`and not end in a hyphen`,
		"kmsKeyId":               `kmsKeyId: "1234" must be the ARN of the key, not its id or alias`,
		"tags.a":                 "tags.a: must be a string, not number",
		"vpcSecurityGroupIds[1]": "vpcSecurityGroupIds[1]: must be a string, not number",
		"finalSnapshotIdentifier": `finalSnapshotIdentifier: "final--x" must begin with a letter, hold only letters, digits and single hyphens, ` +
			`and not end in a hyphen`,
		"domain": "domain: the local cloud does not model this property of aws:rds/instance:Instance: leave it out " +
			"on local stacks",
		"password": "password: conflicts with manageMasterUserPassword: " +
			"set only one of the two",
		"restoreToPointInTime": "restoreToPointInTime: the local cloud does not model this property of " +
			"aws:rds/instance:Instance: leave it out on local stacks",
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
		{instanceType, "identifier", "db-", "not end in a hyphen"},
		{
			instanceType, "enabledCloudwatchLogsExports",
			[]any{"postgres"},
			`holds "postgres"; each must be one of agent`,
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
			assert.Equal(t, first[key], unmarshal(t, again.GetInputs())[key], "a name once given stays")
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

func TestANameThatTheProgramDroppedIsMadeAnew(t *testing.T) {
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
	door := newDoor(t, echo)
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: door.socket})
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

func TestWhatReplacesAndWhatUpdates(t *testing.T) {
	server, door := local(t, echo)
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
	assert.Empty(t, door.seen(), "comparing asks nobody")
}

func TestWhatMeansTheSameIsNoChange(t *testing.T) {
	server, door := local(t, echo)
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
	assert.Empty(t, door.seen())
}

func TestDifferencesNameWhereTheyAre(t *testing.T) {
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

func TestAPreviewOfACreationKnowsTheInputsAndNothingElse(t *testing.T) {
	server, door := local(t, echo)
	inputs, failures := check(t, server, instanceType, nil, with(least[instanceType], props{
		"identifier": "db", "tags": props{"a": "b"}, "manageMasterUserPassword": true,
	}))
	require.Empty(t, failures)
	encoded, err := plugin.MarshalProperties(inputs, plugin.MarshalOptions{KeepSecrets: true})
	require.NoError(t, err)
	resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn(instanceType, "Db"), Properties: encoded, Preview: true,
	})
	require.NoError(t, err)
	outputs := unmarshal(t, resp.GetProperties())
	assert.Empty(t, resp.GetId(), "an id is not known before there is a resource")
	assert.NotContains(t, outputs, resource.PropertyKey("__defaults"))
	for _, name := range []resource.PropertyKey{
		"address", "arn", "endpoint", "engineVersionActual", "hostedZoneId", "masterUserSecrets", "resourceId",
		"status",
		"port", "kmsKeyId", "availabilityZone", "backupWindow",
	} {
		assert.True(t, outputs[name].IsComputed(), name)
	}
	assert.Equal(t, "db", outputs["identifier"].StringValue())
	assert.Equal(t, "db.t4g.micro", outputs["instanceClass"].StringValue())
	assert.Equal(t, outputs["tags"], outputs["tagsAll"])
	assert.NotContains(t, outputs, resource.PropertyKey("password"))
	assert.Empty(t, door.seen())
}

func TestAPreviewOfAnUpdateKeepsWhatItDoesNotTouch(t *testing.T) {
	server, door := local(t, echo)
	olds := props{"identifier": "db", "engineVersion": "16", "deletionProtection": true, "tags": props{"a": "b"}}
	state := with(olds, props{
		"address": "db.x", "endpoint": "db.x:5432", "arn": "arn", "engineVersionActual": "16.11", "resourceId": "db-1",
		"masterUserSecrets": []any{props{"secretArn": "arn:s"}}, "port": 5432, "tagsAll": props{"a": "b"},
	})
	update := func(news props) resource.PropertyMap {
		resp, err := server.Update(t.Context(), &pulumirpc.UpdateRequest{
			Id: "db-1", Urn: urn(instanceType, "Db"), Olds: marshal(t, state), OldInputs: marshal(t, olds),
			News: marshal(t, news), Preview: true,
		})
		require.NoError(t, err)
		return unmarshal(t, resp.GetProperties())
	}
	outputs := update(props{"identifier": "db", "engineVersion": "16", "tags": props{"a": "c"}})
	assert.Equal(t, propertyMap(props{
		"identifier": "db", "engineVersion": "16", "tags": props{"a": "c"}, "tagsAll": props{"a": "c"},
		"address": "db.x", "endpoint": "db.x:5432", "arn": "arn", "engineVersionActual": "16.11", "resourceId": "db-1",
		"masterUserSecrets": []any{props{"secretArn": "arn:s"}}, "port": 5432,
	}), outputs)

	outputs = update(props{"identifier": "renamed", "engineVersion": "17", "manageMasterUserPassword": true})
	for _, name := range []resource.PropertyKey{
		"address", "endpoint", "arn", "engineVersionActual",
		"masterUserSecrets",
	} {
		assert.True(t, outputs[name].IsComputed(), name)
	}
	assert.Equal(t, "db-1", outputs["resourceId"].StringValue())
	assert.Empty(t, door.seen())
}

func TestCreateUpdateDeleteReachTheDoor(t *testing.T) {
	server, door := local(t, func(c call) (int, any) {
		if c.Method == http.MethodDelete {
			return http.StatusNoContent, nil
		}
		outputs := with(c.Inputs, props{
			"arn": "arn:aws:rds:x", "subnetIds": []any{"subnet-2", "subnet-1"}, "vpcId": "vpc-1",
			"internalNote": "not of the type",
			"tagsAll":      props{},
		})
		return http.StatusOK, props{"id": "mine", "outputs": outputs}
	})
	inputs, _ := check(t, server, subnetGroupType, nil, with(least[subnetGroupType], props{"name": "mine"}))
	encoded, err := plugin.MarshalProperties(inputs, plugin.MarshalOptions{})
	require.NoError(t, err)
	created, err := server.Create(t.Context(),
		&pulumirpc.CreateRequest{Urn: urn(subnetGroupType, "Db"), Properties: encoded})
	require.NoError(t, err)
	assert.Equal(t, "mine", created.GetId())
	assert.Equal(t, propertyMap(props{
		"name": "mine", "description": "Managed by Pulumi", "subnetIds": []any{"subnet-1", "subnet-2"},
		"arn": "arn:aws:rds:x", "vpcId": "vpc-1",
		"tagsAll": props{},
	}), unmarshal(t, created.GetProperties()), "the program's order stays, and what the type does not have stays out")

	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{
		Id: "mine", Urn: urn(subnetGroupType, "Db"), Olds: created.GetProperties(), OldInputs: encoded,
		News: marshal(t, props{"name": "mine", "description": "new", "subnetIds": []any{"subnet-1"}}),
	})
	require.NoError(t, err)
	_, err = server.Delete(t.Context(), &pulumirpc.DeleteRequest{
		Id: "mine", Urn: urn(subnetGroupType, "Db"), Properties: created.GetProperties(),
	})
	require.NoError(t, err)

	calls := door.seen()
	require.Len(t, calls, 3)
	assert.Equal(t, call{
		Method: http.MethodPost, Query: map[string]string{}, Type: subnetGroupType, Name: "Db",
		Region: "ap-northeast-2",
		Inputs: props{"name": "mine", "description": "Managed by Pulumi", "subnetIds": []any{"subnet-1", "subnet-2"}},
	}, calls[0])
	assert.Equal(t, http.MethodPut, calls[1].Method)
	assert.Equal(t, "mine", calls[1].ID)
	assert.Equal(t, "vpc-1", calls[1].Olds["vpcId"])
	assert.Equal(t, "new", calls[1].Inputs["description"])
	assert.Equal(t, http.MethodDelete, calls[2].Method)
	assert.Equal(t, "ap-northeast-2", calls[2].Region)
	assert.Equal(t, "vpc-1", calls[2].Olds["vpcId"])
}

func TestWhatIsNotModelledMayBeOff(t *testing.T) {
	server, door := local(t, echo)
	inputs, failures := check(t, server, keyType, nil, props{"multiRegion": false})
	require.Empty(t, failures)
	encoded, err := plugin.MarshalProperties(inputs, plugin.MarshalOptions{})
	require.NoError(t, err)
	resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "Db"), Properties: encoded})
	require.NoError(t, err)
	assert.NotContains(t, door.seen()[0].Inputs, "multiRegion")
	assert.False(t, unmarshal(t, resp.GetProperties())["multiRegion"].BoolValue())
}

func TestSecretsReachTheDoorAndStaySecretEverywhereElse(t *testing.T) {
	server, door := local(t, echo)
	inputs, failures := check(t, server, instanceType, nil, with(least[instanceType], props{
		"identifier": "db", "password": "pa:ss%word", "tags": secretValue(props{"a": "hidden"}),
	}))
	require.Empty(t, failures)
	assert.True(t, inputs["password"].IsSecret(), "whether the program says so or not")
	encoded, err := plugin.MarshalProperties(inputs, plugin.MarshalOptions{KeepSecrets: true})
	require.NoError(t, err)
	for _, preview := range []bool{true, false} {
		resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
			Urn: urn(instanceType, "Db"), Properties: encoded, Preview: preview,
		})
		require.NoError(t, err)
		outputs := unmarshal(t, resp.GetProperties())
		assert.Equal(t, secretValue("pa:ss%word"), outputs["password"])
		assert.True(t, outputs["tags"].IsSecret())
		assert.True(t, outputs["tagsAll"].IsSecret())
	}
	require.Len(t, door.seen(), 1)
	assert.Equal(t, "pa:ss%word", door.seen()[0].Inputs["password"])

	_, failures = check(t, server, logGroupType, nil, props{"name": secretValue("no spaces here")})
	assert.Equal(t, "name: the secret value is not valid", failures["name"])
}

func TestTheDoorsRefusalIsShownWithWhatWasDone(t *testing.T) {
	server, _ := local(t, func(call) (int, any) {
		return http.StatusBadRequest, props{
			"code":    "InvalidParameterCombination",
			"message": "Cannot find version 16.3 for postgres (pa:ss%word)",
		}
	})
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn(instanceType, "x"), Properties: marshal(t, props{"password": secretValue("pa:ss%word")}),
	})
	require.ErrorContains(t, err,
		`creating aws:rds/instance:Instance "x": InvalidParameterCombination: Cannot find version 16.3 for postgres ([secret])`)
	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{Urn: urn(instanceType, "x"), Id: "a"})
	require.ErrorContains(t, err, `updating aws:rds/instance:Instance "x": InvalidParameterCombination`)
	_, err = server.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(instanceType, "x"), Id: "a"})
	require.ErrorContains(t, err, `deleting aws:rds/instance:Instance "x": InvalidParameterCombination`)
}

func TestTheResourceIsNamedOnceInARefusal(t *testing.T) {
	server, _ := local(t, func(call) (int, any) {
		return http.StatusBadRequest, props{"code": "ValidationError", "message": keyType + " x: policy: no principal"}
	})
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
	require.ErrorContains(t, err, `creating aws:kms/key:Key "x": ValidationError: policy: no principal`)
}

func TestAnAnswerThatIsNoJSONIsStillShown(t *testing.T) {
	server, _ := local(t, func(call) (int, any) { return http.StatusBadGateway, "upset" })
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
	require.ErrorContains(t, err, `creating aws:kms/key:Key "x": the stand-in answered 502 Bad Gateway: "upset"`)
}

func TestWithoutALocalCloudTheErrorSaysHowToStartIt(t *testing.T) {
	server := newServer(t, awsprovider.Options{
		Endpoint: endpoint, ControlSocket: filepath.Join(t.TempDir(), "none.sock"),
	})
	require.NoError(t, configure(t, server, marker()))
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
	require.ErrorContains(t, err, "the local cloud is not running")
	require.ErrorContains(t, err, "start it with `dbtier local start`")
}

func TestReadFindsDriftAndKeepsTheProgramsWords(t *testing.T) {
	server, door := local(t, func(call) (int, any) {
		return http.StatusOK, props{
			"id": "db-1",
			"outputs": props{
				"identifier": "db", "engineVersion": "16.11", "engineVersionActual": "16.11",
				"deletionProtection": true, "multiAz": true,
				"vpcSecurityGroupIds": []any{"sg-2", "sg-1"}, "instanceClass": "db.t4g.large",
				"backupWindow": "03:00-04:00", "port": 5432,
				"skipFinalSnapshot": false, "password": "leaked", "autoMinorVersionUpgrade": true,
			},
		}
	})
	olds := props{
		"identifier": "db", "engineVersion": "16", "vpcSecurityGroupIds": []any{"sg-1", "sg-2"},
		"instanceClass":     "db.t4g.micro",
		"skipFinalSnapshot": true, "password": secretValue("pa:ss%word"), "autoMinorVersionUpgrade": true,
		"copyTagsToSnapshot": false,
		"__defaults":         []any{"autoMinorVersionUpgrade", "copyTagsToSnapshot"},
	}
	resp, err := server.Read(t.Context(), &pulumirpc.ReadRequest{
		Id: "db-1", Urn: urn(instanceType, "Db"), Inputs: marshal(t, olds), Properties: marshal(t, olds),
	})
	require.NoError(t, err)
	assert.Equal(t, "db-1", resp.GetId())
	want := propertyMap(with(olds, props{"instanceClass": "db.t4g.large", "deletionProtection": true}))
	assert.Equal(t, want, unmarshal(t, resp.GetInputs()))
	state := unmarshal(t, resp.GetProperties())
	assert.Equal(t, secretValue("pa:ss%word"), state["password"])
	assert.Equal(t, "16", state["engineVersion"].StringValue())
	assert.Equal(t, "16.11", state["engineVersionActual"].StringValue())
	assert.InEpsilon(t, 5432, state["port"].NumberValue(), 0)
	assert.Equal(t, map[string]string{"type": instanceType, "id": "db-1", "region": "ap-northeast-2"},
		door.seen()[0].Query)

	back := diff(t, server, instanceType, nil,
		with(olds, props{"instanceClass": "db.t4g.large", "deletionProtection": true}), olds)
	assert.Equal(t, []string{"deletionProtection", "instanceClass"}, back.GetDiffs(),
		"the next update undoes what was done by hand")
}

func TestReadImports(t *testing.T) {
	server, _ := local(t, func(call) (int, any) {
		return http.StatusOK, props{
			"id": "k-1", "inputs": props{"description": "found", "enableKeyRotation": true, "strange": 1},
			"outputs": props{"arn": "arn:k", "keyId": "k-1", "description": "found", "enableKeyRotation": true},
		}
	})
	resp, err := server.Read(t.Context(), &pulumirpc.ReadRequest{Id: "k-1", Urn: urn(keyType, "Db")})
	require.NoError(t, err)
	inputs := unmarshal(t, resp.GetInputs())
	assert.Equal(t, "found", inputs["description"].StringValue())
	assert.True(t, inputs["enableKeyRotation"].BoolValue())
	assert.Equal(t, "SYMMETRIC_DEFAULT", inputs["customerMasterKeySpec"].StringValue())
	assert.NotContains(t, inputs, resource.PropertyKey("strange"))
	assert.Equal(t, "arn:k", unmarshal(t, resp.GetProperties())["arn"].StringValue())
}

func TestWhatIsGoneReadsAsGoneAndDeletesAsDone(t *testing.T) {
	server, _ := local(t, func(call) (int, any) {
		return http.StatusNotFound, props{"code": "DBInstanceNotFound", "message": "DBInstance db not found"}
	})
	read, err := server.Read(t.Context(), &pulumirpc.ReadRequest{Id: "db-1", Urn: urn(instanceType, "Db")})
	require.NoError(t, err)
	assert.Empty(t, read.GetId())
	_, err = server.Delete(t.Context(), &pulumirpc.DeleteRequest{Id: "db-1", Urn: urn(instanceType, "Db")})
	require.NoError(t, err)
	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{Id: "db-1", Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err, "DBInstanceNotFound: DBInstance db not found")
}

func TestOnlyStacksMarkedLocalAreServed(t *testing.T) {
	for name, c := range map[string]struct {
		endpoints any
		want      string
	}{
		"no endpoints":   {nil, "sts is missing, rds is missing, secretsmanager is missing"},
		"one is missing": {[]any{props{"sts": endpoint, "rds": endpoint}}, "but secretsmanager is missing"},
		"another stand-in": {
			[]any{props{"sts": endpoint, "rds": "http://127.0.0.1:4566", "secretsmanager": endpoint}},
			`rds is "http://127.0.0.1:4566"`,
		},
		"AWS by name": {
			[]any{props{"sts": "https://sts.amazonaws.com", "rds": endpoint, "secretsmanager": endpoint}},
			`sts is "https://sts.amazonaws.com"`,
		},
		"JSON of something": {`[{"sts":"` + endpoint + `"}]`, "rds is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
			args := with(marker(), props{"endpoints": c.endpoints})
			err := configure(t, server, args)
			require.ErrorContains(t, err, "this stack is not marked local: ")
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "dbtier:cloud: local")

			resp, err := server.CheckConfig(t.Context(), &pulumirpc.CheckRequest{News: marshal(t, args)})
			require.NoError(t, err)
			require.Len(t, resp.GetFailures(), 1)
			assert.Contains(t, resp.GetFailures()[0].GetReason(), "this stack is not marked local: ")
		})
	}
}

func TestTheMarkerIsReadAsTextAndAsObjects(t *testing.T) {
	text := `[{"sts":"` + endpoint + `"},{"rds":"` + endpoint + `","secretsmanager":"` + endpoint + `"}]`
	for name, endpoints := range map[string]any{
		"text":   text,
		"secret": secretValue(text),
		"object": props{"sts": endpoint, "rds": endpoint, "secretsmanager": endpoint},
		"list":   marker()["endpoints"],
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
			require.NoError(t, configure(t, server, with(marker(), props{"endpoints": endpoints})))
		})
	}
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
	_, err := server.Configure(t.Context(), &pulumirpc.ConfigureRequest{Variables: map[string]string{
		"aws:config:region": "ap-northeast-2", "aws:config:endpoints": text,
	}})
	require.NoError(t, err)
}

func TestProviderInputsThatTheLocalCloudDoesNotModelAreRefused(t *testing.T) {
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
	args := with(marker(), props{
		"assumeRoles":       []any{props{"roleArn": "arn"}},
		"allowedAccountIds": `["999988887777"]`,
	})
	delete(args, "region")
	err := configure(t, server, args)
	require.ErrorContains(t, err, "assumeRoles: the local cloud does not model this provider input")
	require.ErrorContains(t, err, `allowedAccountIds: ["999988887777"]: must contain the local cloud's account 111122223333`)
	require.ErrorContains(t, err, "region: missing")
	require.NoError(t, configure(t, server, with(marker(), props{"allowedAccountIds": []any{"111122223333"}})))
}

func TestASecondOtherConfigurationIsRefused(t *testing.T) {
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
	require.NoError(t, configure(t, server, with(marker(), props{"accessKey": "AKIAONE"})))
	require.NoError(t, configure(t, server, with(marker(), props{"accessKey": "AKIAONE"})),
		"a preview and an update in one run")
	err := configure(t, server, with(marker(), props{"accessKey": "AKIATWO", "region": "eu-west-1"}))
	require.ErrorContains(t, err, "already configured in this run, with other values of accessKey, region")
	require.NotContains(t, err.Error(), "AKIA")
}

func TestDiffConfigReplacesForAnotherRegionOnly(t *testing.T) {
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: "unused"})
	configDiff := func(news props) *pulumirpc.DiffResponse {
		resp, err := server.DiffConfig(t.Context(),
			&pulumirpc.DiffRequest{OldInputs: marshal(t, marker()), News: marshal(t, news)})
		require.NoError(t, err)
		return resp
	}
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, configDiff(marker()).GetChanges())
	tagged := configDiff(with(marker(), props{"defaultTags": props{"tags": props{"a": "b"}}}))
	assert.Equal(t, []string{"defaultTags"}, tagged.GetDiffs())
	assert.Empty(t, tagged.GetReplaces())
	assert.Equal(t, []string{"region"}, configDiff(with(marker(), props{"region": "eu-west-1"})).GetReplaces())
}

func TestAnOfflineServerPreviewsAndDoesNothingElse(t *testing.T) {
	server := offline(t)
	inputs, failures := check(t, server, instanceType, nil, with(least[instanceType], props{"domain": "d-1"}))
	assert.Empty(t, failures, "what only AWS models is fine in a preview for AWS")
	assert.Equal(t, "d-1", inputs["domain"].StringValue())
	_, failures = check(t, server, instanceType, nil, with(least[instanceType], props{"sparkle": 1}))
	assert.Contains(t, failures, "sparkle")

	resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn(instanceType, "Db"), Properties: marshal(t, least[instanceType]), Preview: true,
	})
	require.NoError(t, err)
	assert.True(t, unmarshal(t, resp.GetProperties())["address"].IsComputed())
	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{Urn: urn(instanceType, "Db"), Preview: true})
	require.NoError(t, err)

	_, err = server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err,
		`creating aws:rds/instance:Instance "Db": an offline server only previews: run the command without --offline`)
	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err, "only previews")
	_, err = server.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err, "only previews")
	_, err = server.Read(t.Context(), &pulumirpc.ReadRequest{Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err, "an offline preview cannot read resources")
}

func TestTypesThatAreNotModelledAreRefusedByName(t *testing.T) {
	server, door := local(t, echo)
	const bucket = "aws:s3/bucketV2:BucketV2"
	_, failures := check(t, server, bucket, nil, props{"bucket": "b"})
	assert.Contains(t, failures[""], bucket+" is not modelled by the local cloud")
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(bucket, "b")})
	require.ErrorContains(t, err, bucket)
	_, err = server.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "aws:index/getCallerIdentity:getCallerIdentity"})
	require.ErrorContains(t, err,
		"aws:index/getCallerIdentity:getCallerIdentity: the local cloud does not serve functions")
	_, err = server.Call(t.Context(), &pulumirpc.CallRequest{Tok: "aws:x:y"})
	require.ErrorContains(t, err, "aws:x:y")
	_, err = server.GetSchema(t.Context(), &pulumirpc.GetSchemaRequest{})
	require.ErrorContains(t, err, "has no schema")
	assert.Empty(t, door.seen())
}

func TestCancelEndsWhatIsUnderWay(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	server, _ := local(t, func(c call) (int, any) {
		close(entered)
		<-leave
		return echo(c)
	})
	t.Cleanup(func() { close(leave) })
	failed := make(chan error, 1)
	go func() {
		_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
		failed <- err
	}()
	<-entered
	_, err := server.Cancel(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	require.ErrorContains(t, <-failed, `creating aws:kms/key:Key "x": cancelled`)
}

// An engine may also call Cancel when it ends. A preview and an update use two engines.
func TestCancelLeavesTheNextRunAlone(t *testing.T) {
	server, _ := local(t, echo)
	_, err := server.Cancel(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	_, err = server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
	require.NoError(t, err)
}

func TestATimeoutOfTheResourceIsKept(t *testing.T) {
	leave := make(chan struct{})
	server, _ := local(t, func(c call) (int, any) {
		<-leave
		return echo(c)
	})
	t.Cleanup(func() { close(leave) })
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x"), Timeout: 0.01})
	require.ErrorContains(t, err, "the resource's timeout (customTimeouts) ran out")
}

func TestAServerNeedsItsEndpointAndSocketUnlessOffline(t *testing.T) {
	_, err := awsprovider.New(awsprovider.Options{})
	require.ErrorContains(t, err, "Endpoint: missing")
	require.ErrorContains(t, err, "ControlSocket: missing")
	_, err = awsprovider.New(awsprovider.Options{Offline: true})
	require.NoError(t, err)
}

func TestTheServerAnnouncesItself(t *testing.T) {
	server := offline(t)
	info, err := server.GetPluginInfo(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	assert.Equal(t, "6.83.0", info.GetVersion())
	hands, err := server.Handshake(t.Context(), &pulumirpc.ProviderHandshakeRequest{})
	require.NoError(t, err)
	assert.True(t, hands.GetAcceptSecrets())
	_, err = server.Attach(t.Context(), &pulumirpc.PluginAttach{})
	require.NoError(t, err)
}
