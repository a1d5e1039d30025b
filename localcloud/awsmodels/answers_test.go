package awsmodels_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// commonErrors are the errors that every action can return ("Common errors" in the API references), by their HTTP
// status. Services with the JSON protocol answer with 400 and the names that end with Exception.
var commonErrors = map[string]int{
	"AccessDenied": 403, "AccessDeniedException": 400, "MissingParameter": 400, "ValidationError": 400,
	"ValidationException": 400, "InvalidParameterValue": 400, "InvalidParameterCombination": 400,
	"SerializationException": 400,
}

// refusal is a request that AWS refuses, as a change of a request that it accepts.
type refusal struct {
	change object
	code   string
}

func TestAnswersAreThoseOfAWSsModels(t *testing.T) {
	s := start(t)
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},` +
		`"Action":"sts:AssumeRole"}]}`
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	const federated = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":` +
		`"arn:aws:iam::111122223333:oidc-provider/oidc.localcloud.internal/id/local"},` +
		`"Action":"sts:AssumeRoleWithWebIdentity"}]}`
	const administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
	tags := object{"team": "a"}
	key := s.create("aws:kms/key:Key", "key", object{"description": "key", "enableKeyRotation": true, "tags": tags})
	s.create("aws:kms/alias:Alias", "alias", object{"name": "alias/shop", "targetKeyId": key["keyId"]})
	s.create("aws:rds/subnetGroup:SubnetGroup", "subnets", object{
		"name": "shop", "description": "subnets", "tags": tags,
		"subnetIds": []string{"subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaaaaaaaaaaaaa2"},
	})
	s.create("aws:rds/parameterGroup:ParameterGroup", "parameters", object{
		"name": "shop", "family": "postgres16", "tags": tags,
		"parameters": []object{{"name": "log_min_duration_statement", "value": "500"}},
	})
	group := s.create("aws:ec2/securityGroup:SecurityGroup", "group", object{
		"name": "shop", "description": "shop", "vpcId": "vpc-0aaaaaaaaaaaaaaa1",
	})
	instance := func(name string, more object) object {
		return s.create("aws:rds/instance:Instance", name, s.with(object{
			"identifier": name, "engine": "postgres", "engineVersion": "16", "instanceClass": "db.m6g.large",
			"allocatedStorage": 100, "maxAllocatedStorage": 500, "storageType": "gp3", "storageEncrypted": true,
			"kmsKeyId": key["arn"], "username": "shop_admin", "dbName": "shop", "manageMasterUserPassword": true,
			"masterUserSecretKmsKeyId": key["arn"], "dbSubnetGroupName": "shop", "parameterGroupName": "shop",
			"vpcSecurityGroupIds": []any{group["id"]}, "backupRetentionPeriod": 7, "backupWindow": "03:00-04:00",
			"maintenanceWindow": "Mon:04:00-Mon:05:00", "multiAz": true, "performanceInsightsEnabled": true,
			"iamDatabaseAuthenticationEnabled": true, "applyImmediately": true, "tags": tags,
			"enabledCloudwatchLogsExports": []string{"postgresql", "upgrade"},
		}, more))
	}
	shop := instance("shop", object{"skipFinalSnapshot": true})
	old := instance("old", object{"finalSnapshotIdentifier": "last", "deleteAutomatedBackups": false})
	s.remove("aws:rds/instance:Instance", "old")
	secret := shop["masterUserSecrets"].([]any)[0].(map[string]any)["secretArn"]
	s.create("aws:iam/role:Role", "reader", object{"name": "reader", "assumeRolePolicy": trust, "tags": tags})
	s.create("aws:iam/role:Role", "federated", object{"name": "federated", "assumeRolePolicy": federated})

	missing := "00000000-0000-0000-0000-000000000000"
	role := object{"RoleName": "reader"}
	noRole := refusal{object{"RoleName": "nobody"}, "NoSuchEntity"}
	mine := object{"SecretId": "mine"}
	noSecret := refusal{object{"SecretId": "nothing"}, "ResourceNotFoundException"}
	noKey := refusal{object{"KeyId": missing}, "NotFoundException"}
	db := object{"DBInstanceIdentifier": "shop"}
	noInstance := refusal{object{"DBInstanceIdentifier": "nothing"}, "DBInstanceNotFound"}
	// What a restore does not take from its source.
	copied := object{
		"DBInstanceClass": "db.t4g.medium", "DBSubnetGroupName": "shop", "DBParameterGroupName": "shop",
		"VpcSecurityGroupIds.VpcSecurityGroupId.1": group["id"], "Port": "5432", "MultiAZ": "false",
		"PubliclyAccessible": "false", "DeletionProtection": "false",
	}
	assume := object{"RoleArn": "arn:aws:iam::111122223333:role/reader", "RoleSessionName": "test"}
	provider := "arn:aws:iam::111122223333:oidc-provider/oidc.localcloud.internal/id/local"
	done := map[string]bool{}
	for _, c := range []struct {
		service, action string
		in              object
		refusals        []refusal
	}{
		{"sts", "GetCallerIdentity", object{}, nil},
		{"sts", "AssumeRole", s.with(assume, object{"DurationSeconds": "900", "ExternalId": "42"}), []refusal{
			{object{"RoleArn": "arn:aws:iam::111122223333:role/nobody"}, "AccessDenied"},
			{object{"Policy": "{"}, "MalformedPolicyDocument"},
			{object{"DurationSeconds": "43200"}, "ValidationError"},
		}},
		{
			"sts", "AssumeRoleWithWebIdentity", s.with(assume, object{
				"RoleArn": "arn:aws:iam::111122223333:role/federated", "WebIdentityToken": s.token(),
			}), []refusal{
				{object{"WebIdentityToken": "no.token.atall"}, "InvalidIdentityToken"},
				{object{"RoleArn": "arn:aws:iam::111122223333:role/reader"}, "AccessDenied"},
				{object{"Policy": "{"}, "MalformedPolicyDocument"},
			},
		},

		{"iam", "CreateRole", object{
			"RoleName": "made", "AssumeRolePolicyDocument": trust, "Description": "d", "MaxSessionDuration": "7200",
			"Path": "/team/", "PermissionsBoundary": administrator, "Tags.member.1.Key": "team",
			"Tags.member.1.Value": "a",
		}, []refusal{
			{object{"RoleName": "reader"}, "EntityAlreadyExists"},
			{object{"AssumeRolePolicyDocument": "{"}, "MalformedPolicyDocument"},
		}},
		{"iam", "GetRole", object{"RoleName": "made"}, []refusal{noRole}},
		{"iam", "ListRoles", object{"MaxItems": "2"}, []refusal{
			{object{"MaxItems": "1001"}, "ValidationError"}, {object{"Marker": "none"}, "ValidationError"},
		}},
		{
			"iam", "UpdateAssumeRolePolicy", s.with(role, object{"PolicyDocument": trust}),
			[]refusal{noRole, {object{"PolicyDocument": "{"}, "MalformedPolicyDocument"}},
		},
		{
			"iam", "PutRolePolicy", s.with(role, object{"PolicyName": "inline", "PolicyDocument": policy}),
			[]refusal{
				noRole,
				{object{"PolicyDocument": "{"}, "MalformedPolicyDocument"},
				{object{"PolicyDocument": strings.Replace(policy, `"*"`, `"s3:`+strings.Repeat("x", 10300)+`"`, 1)}, "LimitExceeded"},
			},
		},
		{
			"iam", "GetRolePolicy", s.with(role, object{"PolicyName": "inline"}),
			[]refusal{noRole, {object{"PolicyName": "none"}, "NoSuchEntity"}},
		},
		{"iam", "ListRolePolicies", role, []refusal{noRole}},
		{"iam", "AttachRolePolicy", s.with(role, object{"PolicyArn": administrator}), []refusal{noRole}},
		{"iam", "ListAttachedRolePolicies", role, []refusal{noRole}},
		{
			"iam", "DetachRolePolicy", s.with(role, object{"PolicyArn": administrator}), []refusal{
				noRole, {object{"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "NoSuchEntity"},
			},
		},
		{
			"iam", "DeleteRolePolicy", s.with(role, object{"PolicyName": "inline"}),
			[]refusal{noRole, {object{"PolicyName": "none"}, "NoSuchEntity"}},
		},
		{"iam", "DeleteRole", object{"RoleName": "made"}, []refusal{noRole}},
		{"iam", "ListOpenIDConnectProviders", object{}, nil},
		{
			"iam", "GetOpenIDConnectProvider",
			object{"OpenIDConnectProviderArn": provider},
			[]refusal{{object{"OpenIDConnectProviderArn": provider + "x"}, "NoSuchEntity"}},
		},
		{"iam", "SimulateCustomPolicy", object{
			"PolicyInputList.member.1": policy, "ActionNames.member.1": "s3:GetObject",
			"ContextEntries.member.1.ContextKeyName":            "aws:userid",
			"ContextEntries.member.1.ContextKeyType":            "string",
			"ContextEntries.member.1.ContextKeyValues.member.1": "x",
		}, []refusal{{object{"PolicyInputList.member.1": "{"}, "InvalidInput"}}},

		{"kms", "DescribeKey", object{"KeyId": key["keyId"]}, []refusal{noKey}},
		{"kms", "GetKeyPolicy", object{"KeyId": key["keyId"]}, []refusal{noKey, {object{"PolicyName": "x"}, "NotFoundException"}}},
		{"kms", "GetKeyRotationStatus", object{"KeyId": key["keyId"]}, []refusal{noKey}},
		{"kms", "ListKeys", object{"Limit": 1}, []refusal{
			{object{"Limit": 1001}, "ValidationException"}, {object{"Marker": "none"}, "InvalidMarkerException"},
		}},
		{"kms", "ListAliases", object{"Limit": 1}, []refusal{
			{object{"Limit": 101}, "ValidationException"}, {object{"Marker": "none"}, "InvalidMarkerException"},
		}},

		{
			"secretsmanager", "CreateSecret",
			object{
				"Name": "mine", "SecretString": "v", "Description": "d", "KmsKeyId": key["keyId"],
				"ClientRequestToken": strings.Repeat("0", 32), "Tags": []object{{"Key": "team", "Value": "a"}},
			},
			[]refusal{{object{"Name": "rds!" + after(secret.(string), "rds!")}, "InvalidParameterException"}},
		},
		{"secretsmanager", "CreateSecret", object{"Name": "binary", "SecretBinary": "AAEC"}, []refusal{
			{object{"Name": "mine", "SecretBinary": nil, "SecretString": "w"}, "ResourceExistsException"},
		}},
		{"secretsmanager", "GetSecretValue", mine, []refusal{
			noSecret,
			{object{"VersionId": missing}, "ResourceNotFoundException"},
			{object{"VersionId": strings.Repeat("0", 32), "VersionStage": "NONE"}, "InvalidRequestException"},
		}},
		{"secretsmanager", "GetSecretValue", object{"SecretId": "binary"}, nil},
		{"secretsmanager", "GetSecretValue", object{"SecretId": secret}, nil},
		{
			"secretsmanager", "BatchGetSecretValue",
			object{"SecretIdList": []string{"mine", "binary", "nothing"}},
			[]refusal{{object{"Filters": []object{{"Key": "name", "Values": []string{"m"}}}}, "InvalidParameterException"}},
		},
		{"secretsmanager", "DescribeSecret", mine, []refusal{noSecret}},
		{"secretsmanager", "DescribeSecret", object{"SecretId": secret}, nil},
		{"secretsmanager", "ListSecrets", object{"MaxResults": 2}, []refusal{
			{object{"MaxResults": 101}, "InvalidParameterException"},
			{object{"NextToken": "none"}, "InvalidNextTokenException"},
			{object{"Filters": []object{{"Key": "color", "Values": []string{"red"}}}}, "ValidationException"},
		}},
		{
			"secretsmanager", "ListSecrets", object{
				"Filters": []object{{"Key": "owning-service", "Values": []string{"rds"}}}, "SortOrder": "asc",
				"IncludePlannedDeletion": true,
			}, nil,
		},
		{"secretsmanager", "ListSecretVersionIds", s.with(mine, object{"IncludeDeprecated": true}), []refusal{noSecret}},
		{"secretsmanager", "GetResourcePolicy", mine, []refusal{noSecret}},
		{
			"secretsmanager", "PutSecretValue", s.with(mine, object{"SecretString": "w"}), []refusal{
				noSecret,
				{object{"SecretId": secret}, "InvalidRequestException"},
				{object{"ClientRequestToken": strings.Repeat("0", 32)}, "ResourceExistsException"},
			},
		},
		{
			"secretsmanager", "UpdateSecret", s.with(mine, object{"SecretString": "u", "Description": "e"}),
			[]refusal{noSecret, {object{"SecretId": secret}, "InvalidRequestException"}},
		},
		{"secretsmanager", "TagResource", s.with(mine, object{"Tags": []object{{"Key": "a", "Value": "b"}}}), []refusal{
			noSecret, {object{"Tags": []object{{"Key": "aws:a", "Value": "b"}}}, "InvalidParameterException"},
		}},
		{"secretsmanager", "UntagResource", s.with(mine, object{"TagKeys": []string{"a"}}), []refusal{noSecret}},
		{
			"secretsmanager", "RotateSecret",
			object{"SecretId": secret, "RotationRules": object{"AutomaticallyAfterDays": 30}},
			[]refusal{
				noSecret, {object{"SecretId": "mine"}, "InvalidRequestException"},
			},
		},
		{"secretsmanager", "DeleteSecret", s.with(mine, object{"RecoveryWindowInDays": 7}), []refusal{
			noSecret,
			{object{"RecoveryWindowInDays": 3}, "InvalidParameterException"},
			{object{"SecretId": secret}, "InvalidRequestException"},
		}},
		{"secretsmanager", "RestoreSecret", mine, []refusal{noSecret}},

		{"rds", "DescribeDBInstances", db, []refusal{noInstance}},
		{"rds", "DescribeDBInstances", object{
			"MaxRecords": "20", "Filters.Filter.1.Name": "engine", "Filters.Filter.1.Values.Value.1": "postgres",
		}, []refusal{
			{object{"MaxRecords": "19"}, "InvalidParameterValue"}, {object{"Marker": "none"}, "InvalidParameterValue"},
		}},
		{
			"rds", "ModifyDBInstance", s.with(db, object{"DBInstanceClass": "db.m6g.xlarge", "DeletionProtection": "true"}),
			[]refusal{noInstance, {object{"DBParameterGroupName": "none"}, "DBParameterGroupNotFound"}},
		},
		{
			"rds", "ModifyDBInstance", s.with(db, object{"RotateMasterUserPassword": "true", "ApplyImmediately": "true"}),
			[]refusal{{object{"ApplyImmediately": nil}, "InvalidParameterCombination"}},
		},
		{
			"rds", "RebootDBInstance", s.with(db, object{"ForceFailover": "true"}), []refusal{noInstance},
		},
		{"rds", "CreateDBSnapshot", s.with(db, object{
			"DBSnapshotIdentifier": "by-hand", "Tags.Tag.1.Key": "team", "Tags.Tag.1.Value": "shop",
		}), []refusal{
			noInstance, {object{"DBSnapshotIdentifier": "last"}, "DBSnapshotAlreadyExists"},
		}},
		{"rds", "CopyDBSnapshot", object{
			"SourceDBSnapshotIdentifier": "last", "TargetDBSnapshotIdentifier": "copied", "CopyTags": "true",
		}, []refusal{
			{object{"SourceDBSnapshotIdentifier": "none"}, "DBSnapshotNotFound"},
			{object{"TargetDBSnapshotIdentifier": "last"}, "DBSnapshotAlreadyExists"},
		}},
		{"rds", "DescribeDBSnapshots", object{"DBSnapshotIdentifier": "last"}, []refusal{
			{object{"DBSnapshotIdentifier": "none"}, "DBSnapshotNotFound"},
		}},
		{"rds", "DescribeDBInstanceAutomatedBackups", object{}, []refusal{
			{object{"DbiResourceId": "db-NONE"}, "DBInstanceAutomatedBackupNotFound"},
		}},
		{"rds", "DeleteDBInstanceAutomatedBackup", object{"DbiResourceId": old["resourceId"]}, []refusal{
			{object{"DbiResourceId": "db-NONE"}, "DBInstanceAutomatedBackupNotFound"},
			{object{"DbiResourceId": shop["resourceId"]}, "InvalidDBInstanceAutomatedBackupState"},
		}},
		{"rds", "DescribeEvents", object{
			"SourceIdentifier": "shop", "SourceType": "db-instance", "Duration": "60",
			"EventCategories.EventCategory.1": "creation",
		}, []refusal{
			{object{"SourceType": nil}, "InvalidParameterCombination"}, {object{"MaxRecords": "101"}, "InvalidParameterValue"},
		}},
		{"rds", "DescribeDBParameters", object{"DBParameterGroupName": "shop", "Source": "user"}, []refusal{
			{object{"DBParameterGroupName": "none"}, "DBParameterGroupNotFound"},
		}},
		{"rds", "DescribeDBParameters", object{"DBParameterGroupName": "shop"}, nil},
		{"rds", "DescribeDBParameterGroups", object{"DBParameterGroupName": "shop"}, []refusal{
			{object{"DBParameterGroupName": "none"}, "DBParameterGroupNotFound"},
		}},
		{"rds", "DescribeDBSubnetGroups", object{"DBSubnetGroupName": "shop"}, []refusal{
			{object{"DBSubnetGroupName": "none"}, "DBSubnetGroupNotFoundFault"},
		}},
		{"rds", "ListTagsForResource", object{"ResourceName": shop["arn"]}, []refusal{
			{object{"ResourceName": shop["arn"].(string) + "x"}, "DBInstanceNotFound"},
			{object{"ResourceName": "arn:aws:rds:" + region + ":111122223333:snapshot:none"}, "DBSnapshotNotFound"},
		}},
		{"rds", "RestoreDBInstanceToPointInTime", s.with(copied, object{
			"SourceDBInstanceIdentifier": "shop", "TargetDBInstanceIdentifier": "to-a-time",
			"UseLatestRestorableTime": "true",
		}), []refusal{
			{object{"SourceDBInstanceIdentifier": "none"}, "DBInstanceNotFound"},
			{object{"TargetDBInstanceIdentifier": "shop"}, "DBInstanceAlreadyExists"},
		}},
		{"rds", "RestoreDBInstanceFromDBSnapshot", s.with(copied, object{
			"DBSnapshotIdentifier": "last", "DBInstanceIdentifier": "of-a-snapshot",
		}), []refusal{
			{object{"DBSnapshotIdentifier": "none"}, "DBSnapshotNotFound"},
			{object{"DBInstanceIdentifier": "shop"}, "DBInstanceAlreadyExists"},
		}},
		{"rds", "DeleteDBInstance", object{
			"DBInstanceIdentifier": "to-a-time", "SkipFinalSnapshot": "true", "DeleteAutomatedBackups": "true",
		}, []refusal{noInstance, {object{"SkipFinalSnapshot": "false"}, "InvalidParameterCombination"}}},
		{"rds", "DeleteDBSnapshot", object{"DBSnapshotIdentifier": "last"}, []refusal{
			{object{"DBSnapshotIdentifier": "none"}, "DBSnapshotNotFound"},
		}},
	} {
		name := c.service + ":" + c.action
		done[name] = true
		model := s.models[c.service]
		operation, ok := model.Operations[c.action]
		require.True(t, ok, name)
		for _, r := range c.refusals {
			s.refused(c.service, c.action, s.with(c.in, r.change), r.code)
		}
		s.checkInput(c.service, c.action, c.in)
		status, body := s.send(c.service, c.action, c.in)
		if !assert.Equal(t, http.StatusOK, status, "%s: %s", name, body) {
			continue
		}
		for _, fault := range s.differences(model, operation, c.action, body) {
			assert.Fail(t, fault, name)
		}
	}
	for service := range s.models {
		for _, action := range s.modelled(service) {
			assert.True(t, done[service+":"+action], "%s:%s is modelled and not compared", service, action)
		}
	}
}

// refused asserts that a request is refused with a code, and a status, that the model has for the action.
func (s *standIn) refused(service, action string, in object, code string) {
	s.t.Helper()
	status, body := s.send(service, action, in)
	at := service + ":" + action
	if !assert.GreaterOrEqual(s.t, status, 400, "%s was not refused with %s", at, code) {
		return
	}
	assert.Equal(s.t, code, s.code(service, body), "%s: %s", at, body)
	s.knownError(service, action, status, body)
}

func (s *standIn) knownError(service, action string, status int, body string) {
	s.t.Helper()
	code := s.code(service, body)
	want, known := commonErrors[code]
	for _, r := range s.models[service].Operations[action].Errors {
		if c, st := s.models[service].code(r); c == code {
			want, known = st, true
		}
	}
	if assert.True(s.t, known, "%s:%s: AWS does not answer with %s: %s", service, action, code, body) {
		assert.Equal(s.t, want, status, "%s:%s: HTTP status of %s", service, action, code)
	}
}

// checkInput sends the request with what the model excludes: without each required parameter, and with values that are
// too long, too short or not of the parameter's enumeration.
func (s *standIn) checkInput(service, action string, in object) {
	s.t.Helper()
	model := s.models[service]
	input := model.Shapes[model.Operations[action].Input.Shape]
	if input == nil {
		return
	}
	tries := map[string]object{}
	for _, name := range input.Required {
		if _, given := in[name]; given {
			tries["without "+name] = s.with(in, object{name: nil})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(input.Members)) {
		shape := model.Shapes[input.Members[name].Shape]
		if shape.Type == "string" && len(shape.Enum) > 0 {
			tries[name+" of no such value"] = s.with(in, object{name: "nothing"})
		}
		if shape.Type == "string" && shape.Max != nil && in[name] != nil {
			tries["too long "+name] = s.with(in, object{name: strings.Repeat("a", int(*shape.Max)+1)})
		}
	}
	for what, request := range tries {
		status, body := s.send(service, action, request)
		if assert.GreaterOrEqual(s.t, status, 400, "%s:%s is accepted %s", service, action, what) && status != 501 {
			s.knownError(service, action, status, body)
		}
	}
}

// differences returns how an answer differs from the action's output.
func (s *standIn) differences(m *model, o operation, action, body string) []string {
	s.t.Helper()
	if m.Metadata.Protocol == "json" {
		var v any
		require.NoError(s.t, json.Unmarshal([]byte(body), &v), body)
		if o.Output.Shape == "" {
			return nil
		}
		return m.json("answer", o.Output, v)
	}
	root, err := parseXML(body)
	require.NoError(s.t, err, body)
	var faults []string
	if root.XMLName.Local != action+"Response" {
		faults = append(faults, "the root is "+root.XMLName.Local)
	}
	result := root.child(o.Output.ResultWrapper)
	switch {
	case o.Output.Shape == "" && len(root.Nodes) > 1:
		faults = append(faults, "the answer has a result, which AWS does not send")
	case o.Output.Shape == "":
	case result == nil:
		faults = append(faults, "the answer lacks "+o.Output.ResultWrapper)
	default:
		faults = append(faults, m.xml("answer", o.Output, *result)...)
	}
	if id := root.child("ResponseMetadata"); id == nil || id.child("RequestId") == nil {
		faults = append(faults, "the answer lacks ResponseMetadata.RequestId")
	}
	return faults
}

// after returns the part of a text that follows a mark.
func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}
