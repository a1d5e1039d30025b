package aws

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheControlAPIRefusesTypesItDoesNotModelByName(t *testing.T) {
	a := newAccount(t)
	a.deny("aws:s3/bucket:Bucket", m{}, "NotImplemented", "aws:s3/bucket:Bucket")
	for body, says := range map[string]string{
		`{"type":"aws:kms/key:Key"}`: "region", `nonsense`: "JSON", ``: "JSON", `{}`: "resource type",
	} {
		w := httptest.NewRecorder()
		a.control.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/aws/resources", strings.NewReader(body)))
		assert.GreaterOrEqual(t, w.Code, 400)
		assert.Contains(t, w.Body.String(), says, body)
	}
	out := a.controlCall(http.MethodPut, typeKey, "", "", m{}, nil)
	assert.Contains(t, out.Message, "id: missing")
}

// All types are created, adopted, read, updated and deleted in the same way. A second resource of the same name is
// refused.
func TestResourcesAreCreatedReadUpdatedAndDeleted(t *testing.T) {
	for typ, c := range map[string]struct {
		before  func(a *account)
		inputs  m
		update  m
		outputs m
		taken   string // error code for a second resource of the same name, or "" if names need not be unique
	}{
		typeKey: {
			inputs: m{
				"description": "a key", "deletionWindowInDays": 7, "enableKeyRotation": true,
				"tags": m{"a": "b"},
			}, update: m{"description": "still a key"},
			outputs: m{
				"multiRegion": false, "isEnabled": true, "rotationPeriodInDays": float64(365),
				"tagsAll": m{"a": "b"},
			},
		},
		typeAlias: {
			before:  func(a *account) { a.create(typeKey, "target", m{"description": "target"}) },
			inputs:  m{"name": "alias/x", "targetKeyId": "TARGET"},
			outputs: m{"arn": "arn:aws:kms:ap-northeast-2:111122223333:alias/x"}, taken: "AlreadyExistsException",
		},
		typeSubnets: {
			inputs:  m{"name": "subnets", "subnetIds": []any{SubnetIDA, SubnetIDB}, "description": "d"},
			update:  m{"subnetIds": []any{SubnetIDA, SubnetIDC}},
			outputs: m{"arn": "arn:aws:rds:ap-northeast-2:111122223333:subgrp:subnets", "vpcId": VPCID},
			taken:   "DBSubnetGroupAlreadyExists",
		},
		typeParameters: {
			inputs: m{
				"name": "pg", "family": "postgres16",
				"parameters": []any{m{"name": "rds.force_ssl", "value": "1"}},
			},
			update:  m{"parameters": []any{m{"name": "rds.force_ssl", "value": "0"}}},
			outputs: m{"arn": "arn:aws:rds:ap-northeast-2:111122223333:pg:pg"},
			taken:   "DBParameterGroupAlreadyExists",
		},
		typeGroup: {
			inputs: m{
				"name": "group", "description": "d", "vpcId": VPCID,
				"ingress": []any{m{"protocol": "tcp", "fromPort": 1, "toPort": 2, "cidrBlocks": []any{"10.0.0.0/8"}}},
			},
			update: m{"ingress": []any{}}, outputs: m{"ownerId": AccountID}, taken: "InvalidGroup.Duplicate",
		},
		typeLogs: {
			inputs: m{"name": "/x/y", "retentionInDays": 30}, update: m{"retentionInDays": 60},
			outputs: m{"arn": "arn:aws:logs:ap-northeast-2:111122223333:log-group:/x/y", "logGroupClass": "STANDARD"},
			taken:   "ResourceAlreadyExistsException",
		},
		typeRole: {
			inputs: m{"name": "role", "path": "/team/", "assumeRolePolicy": irsaTrust("a:b"), "tags": m{"k": "v"}},
			update: m{"description": "new"},
			outputs: m{
				"arn": "arn:aws:iam::111122223333:role/team/role", "maxSessionDuration": float64(3600),
				"name": "role",
			}, taken: "EntityAlreadyExists",
		},
		typePolicy: {
			before: func(a *account) { a.role("owner", "a:b") },
			inputs: m{"name": "inline", "role": "owner", "policy": policy(allow([]string{"a:B"}, "*"))},
			update: m{"policy": policy(allow([]string{"a:C"}, "*"))},
		},
		typeAttachment: {
			before: func(a *account) { a.role("owner", "a:b") },
			inputs: m{
				"role":      "owner",
				"policyArn": "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
			},
		},
	} {
		t.Run(typ, func(t *testing.T) {
			a := newAccount(t)
			if c.before != nil {
				c.before(a)
			}
			if c.inputs["targetKeyId"] != nil {
				for id := range a.store.Read().Keys {
					c.inputs["targetKeyId"] = id
				}
			}
			c.inputs["__defaults"] = []any{}
			one := a.create(typ, "x", c.inputs)
			two := a.create(typ, "x", c.inputs)
			assert.Equal(t, one.ID, two.ID, "a repeated create adopts the resource of the first one")
			for k, v := range c.outputs {
				assert.Equal(t, canonical(m{"v": v})["v"], one.Outputs[k], k)
			}
			if c.taken != "" {
				other := a.controlCall(http.MethodPost, typ, "another", "", c.inputs, nil)
				assert.Equal(t, c.taken, other.Code, "another resource may not take the name: %s", other.Message)
			}
			if c.update != nil {
				updated := a.update(typ, one.ID, with(c.inputs, c.update))
				for k, v := range c.update {
					if k != "parameters" {
						assert.Equal(t, canonical(m{"v": v})["v"], updated.Outputs[k], k)
					}
				}
				read := a.controlCall(http.MethodGet, typ, "", one.ID, nil, nil)
				assert.Equal(t, updated.Outputs, read.Outputs)
				assert.NotContains(t, read.Inputs, "__defaults")
				missing := a.controlCall(http.MethodPut, typ, "", "none:none", c.inputs, nil)
				assert.GreaterOrEqual(t, missing.status, 400, "updating what does not exist")
			}
			require.NoError(t, a.Close())
			a.open()
			require.Equal(t, http.StatusOK, a.controlCall(http.MethodGet, typ, "", one.ID, nil, nil).status,
				"it survives a restart")
			for range 2 {
				require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typ, "", one.ID, nil,
					nil).status)
			}
			assert.Equal(t, http.StatusNotFound, a.controlCall(http.MethodGet, typ, "", one.ID, nil, nil).status)
		})
	}
}

func TestInputsThatAWSWouldRefuse(t *testing.T) {
	a := newAccount(t)
	a.role("taken", "a:b")
	deny := policy(allow([]string{"a:B"}, "*"))
	lockout := policy(m{
		"Effect": "Allow", "Principal": m{"AWS": "arn:aws:iam::111122223333:role/taken"},
		"Action": "kms:*", "Resource": "*",
	})
	many := m{}
	for i := range 51 {
		many[strings.Repeat("k", i+1)] = "v"
	}
	rule := func(r m) m {
		return m{
			"name": "g", "description": "d", "vpcId": VPCID,
			"ingress": []m{with(m{"protocol": "tcp", "fromPort": 1, "toPort": 2, "cidrBlocks": []string{"10.0.0.0/8"}},
				r)},
		}
	}
	for name, c := range map[string]struct {
		typ        string
		inputs     m
		code, says string
	}{
		"a key policy that locks out": {
			typeKey, m{"policy": lockout}, "MalformedPolicyDocumentException", "update the key policy in the future",
		},
		"a key policy with a stranger": {
			typeKey,
			m{"policy": strings.Replace(lockout, "taken", "nobody", 1)},
			"MalformedPolicyDocumentException",
			"role/nobody",
		},
		"a key policy with a faulty operator": {
			typeKey, m{"policy": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringIs":{"a":"b"}}}]}`}, "MalformedPolicyDocumentException", "StringIs",
		},
		"a deletion window": {
			typeKey, m{"deletionWindowInDays": 3}, "ValidationException", "between 7 and 30",
		},
		"a rotation period": {
			typeKey, m{"enableKeyRotation": true, "rotationPeriodInDays": 30}, "ValidationException", "between 90",
		},
		"an asymmetric key": {
			typeKey, m{"customerMasterKeySpec": "RSA_2048"}, "NotImplemented", "RSA_2048",
		},
		"a multi-Region key": {typeKey, m{"multiRegion": true}, "NotImplemented", "multi-Region"},
		"too many tags":      {typeKey, m{"tags": many}, "TagException", "at most 50"},
		"an alias of AWS": {
			typeAlias, m{"name": "alias/aws/rds", "targetKeyId": "x"}, "NotAuthorizedException", "reserved",
		},
		"an alias without its prefix": {
			typeAlias, m{"name": "x", "targetKeyId": "x"}, "ValidationException", "alias/",
		},
		"an alias to nothing": {
			typeAlias, m{"name": "alias/x", "targetKeyId": "x"}, "NotFoundException", "targetKeyId",
		},
		"one zone": {
			typeSubnets,
			m{"name": "s", "subnetIds": []string{SubnetIDA}},
			"DBSubnetGroupDoesNotCoverEnoughAZs",
			"Availability Zone",
		},
		"a foreign subnet": {
			typeSubnets, m{"name": "s", "subnetIds": []string{SubnetIDA, "subnet-1"}}, "InvalidSubnet", "subnet-1",
		},
		"a family": {
			typeParameters, m{"name": "p", "family": "mysql8.0"}, "InvalidParameterValue", "mysql8.0",
		},
		"a parameter": {
			typeParameters,
			m{"name": "p", "family": "postgres16", "parameters": []m{{"name": "nope", "value": "1"}}},
			"InvalidParameterValue", "nope",
		},
		"a parameter that is not modelled": {
			typeParameters,
			m{
				"name": "p", "family": "postgres16",
				"parameters": []m{{"name": "rds.custom_dns_resolution", "value": "1", "applyMethod": "pending-reboot"}},
			},
			"NotImplemented",
			"rds.custom_dns_resolution",
		},
		"a static one applied immediately": {
			typeParameters, m{
				"name": "p", "family": "postgres16",
				"parameters": []m{{"name": "max_connections", "value": "100"}},
			}, "InvalidParameterCombination", "static",
		},
		"a parameter of a later family": {
			typeParameters, m{
				"name": "p", "family": "postgres13", "parameters": []m{{"name": "idle_session_timeout", "value": "1"}},
			}, "InvalidParameterValue", "idle_session_timeout",
		},
		"TLS on 14, applied immediately": {
			typeParameters, m{
				"name": "p", "family": "postgres14", "parameters": []m{{"name": "rds.force_ssl", "value": "1"}},
			}, "InvalidParameterCombination", "static",
		},
		"another VPC": {
			typeGroup, with(rule(nil), m{"vpcId": "vpc-1"}), "InvalidVpcID.NotFound", "vpc-1",
		},
		"a port range": {
			typeGroup, rule(m{"fromPort": 9}), "InvalidPermission.Malformed", "9-2",
		},
		"a protocol": {
			typeGroup, rule(m{"protocol": "carrier-pigeon"}), "InvalidParameterValue", "carrier-pigeon",
		},
		"a CIDR with host bits": {
			typeGroup, rule(m{"cidrBlocks": []string{"10.0.0.1/8"}}), "InvalidParameterValue", "10.0.0.0/8",
		},
		"a CIDR": {
			typeGroup, rule(m{"cidrBlocks": []string{"everywhere"}}), "InvalidParameterValue", "everywhere",
		},
		"an IPv6 block as IPv4": {
			typeGroup, rule(m{"cidrBlocks": []string{"::/0"}}), "InvalidParameterValue", "family",
		},
		"a group that does not exist": {
			typeGroup, rule(m{"securityGroups": []string{"sg-00000000000000000"}}), "InvalidGroup.NotFound",
			"sg-00000000000000000",
		},
		"a rule without a source": {
			typeGroup, rule(m{"cidrBlocks": nil}), "InvalidParameterValue", "no source",
		},
		"a prefix list": {
			typeGroup, rule(m{"prefixListIds": []string{"pl-1"}}), "NotImplemented", "prefix lists",
		},
		"a group's name": {
			typeGroup, with(rule(nil), m{"name": "sg-x"}), "InvalidParameterValue", "reserved",
		},
		"a retention": {
			typeLogs, m{"name": "x", "retentionInDays": 31}, "InvalidParameterException", "31",
		},
		"a log group's name": {typeLogs, m{"name": "a b"}, "InvalidParameterException", "a b"},
		"a log group's key": {
			typeLogs,
			m{"name": "x", "kmsKeyId": "arn:aws:kms:ap-northeast-2:111122223333:key/x"},
			"InvalidParameterException", "logs.ap-northeast-2.amazonaws.com",
		},
		"a role's name": {
			typeRole, m{"name": "a b", "assumeRolePolicy": irsaTrust("a:b")}, "ValidationError", "a b",
		},
		"a role's path": {
			typeRole, m{"name": "a", "path": "x", "assumeRolePolicy": irsaTrust("a:b")}, "ValidationError", "path",
		},
		"a trust policy": {
			typeRole, m{"name": "a", "assumeRolePolicy": `{}`}, "MalformedPolicyDocument", "Statement",
		},
		"a trust policy too long": {
			typeRole, m{"name": "a", "assumeRolePolicy": irsaTrust(strings.Repeat("x", 2048))}, "LimitExceeded", "2048",
		},
		"a trust in a stranger": {
			typeRole, m{"name": "a", "assumeRolePolicy": policy(
				m{
					"Effect": "Allow", "Principal": m{"AWS": "arn:aws:iam::111122223333:role/nobody"},
					"Action": "sts:AssumeRole",
				},
			)}, "MalformedPolicyDocument", "Invalid principal",
		},
		"a session too long": {
			typeRole,
			m{"name": "a", "maxSessionDuration": 50000, "assumeRolePolicy": irsaTrust("a:b")},
			"ValidationError", "50000",
		},
		"a boundary": {
			typeRole, m{
				"name": "a", "permissionsBoundary": "arn:aws:iam::111122223333:policy/x",
				"assumeRolePolicy": irsaTrust("a:b"),
			}, "NotImplemented", "policy/x",
		},
		"policies within a role": {
			typeRole, m{
				"name": "a", "inlinePolicies": []m{{"name": "x", "policy": deny}},
				"assumeRolePolicy": irsaTrust("a:b"),
			}, "NotImplemented", "aws:iam/rolePolicy:RolePolicy",
		},
		"a role of another case": {
			typeRole, m{"name": "TAKEN", "assumeRolePolicy": irsaTrust("a:b")}, "EntityAlreadyExists", "TAKEN",
		},
		"a policy of no role": {
			typePolicy, m{"name": "x", "role": "nobody", "policy": deny}, "NoSuchEntity", "nobody",
		},
		"a policy with a principal": {
			typePolicy,
			m{"name": "x", "role": "taken", "policy": irsaTrust("a:b")},
			"MalformedPolicyDocument",
			"principal",
		},
		"a policy too long": {
			typePolicy, m{
				"name": "x", "role": "taken",
				"policy": policy(allow([]string{"a:" + strings.Repeat("B", 10240)}, "*")),
			}, "LimitExceeded", "10240",
		},
		"an attachment of a policy unknown": {
			typeAttachment,
			m{"role": "taken", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
			"NotImplemented",
			"ReadOnlyAccess",
		},
	} {
		t.Run(name, func(t *testing.T) {
			at := *a
			at.t = t
			at.deny(c.typ, c.inputs, c.code, c.says)
		})
	}
}

func TestALogGroupMayUseAKeyWhosePolicyAdmitsCloudWatchLogs(t *testing.T) {
	a := newAccount(t)
	statement := m{
		"Effect": "Allow", "Principal": m{"Service": "logs.ap-northeast-2.amazonaws.com"}, "Resource": "*",
		"Action": []string{
			"kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*",
			"kms:Describe*",
		},
		"Condition": m{
			"ArnLike": m{
				"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/rds/*",
			},
		},
	}
	root := m{
		"Effect": "Allow", "Principal": m{"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*",
		"Resource": "*",
	}
	key := a.create(typeKey, "key", m{"policy": policy(root, statement)})
	a.create(typeLogs, "logs", m{"name": "/aws/rds/instance/x/postgresql", "kmsKeyId": key.Outputs["arn"]})
	a.deny(typeLogs, m{"name": "/elsewhere", "kmsKeyId": key.Outputs["arn"]}, "InvalidParameterException", "kmsKeyId")
}

func TestResourcesInUseAreNotDeleted(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("myshop", nil)
	group := db.Inputs["vpcSecurityGroupIds"].([]any)[0].(string)
	assert.Equal(t, "DependencyViolation", a.controlCall(http.MethodDelete, typeGroup, "", group, nil, nil).Code)
	assert.Equal(t, "InvalidDBSubnetGroupStateFault",
		a.controlCall(http.MethodDelete, typeSubnets, "", "myshop", nil, nil).Code)
	a.role("reader", "a:b", allow([]string{"a:B"}, "*"))
	assert.Equal(t, "DeleteConflict", a.controlCall(http.MethodDelete, typeRole, "", "reader", nil, nil).Code)
	assert.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeRole, "", "reader", nil,
		m{"forceDetachPolicies": true}).status)
	first := a.create(typeGroup, "first", m{"name": "first", "description": "d", "vpcId": VPCID})
	a.create(typeGroup, "second", m{
		"name": "second", "description": "d", "vpcId": VPCID,
		"ingress": []m{{"protocol": "tcp", "fromPort": 1, "toPort": 1, "securityGroups": []string{first.ID}}},
	})
	assert.Equal(t, "DependencyViolation", a.controlCall(http.MethodDelete, typeGroup, "", first.ID, nil, nil).Code)
	assert.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeLogs, "", "x", nil,
		m{"skipDestroy": true}).status)
}

func TestAKeyThatIsUsedIsNotAdopted(t *testing.T) {
	a := newAccount(t)
	one := a.create(typeKey, "key", m{"description": "same"})
	a.create(typeAlias, "alias", m{"name": "alias/x", "targetKeyId": one.ID})
	two := a.create(typeKey, "key", m{"description": "same"})
	assert.NotEqual(t, one.ID, two.ID)
}

func TestKeysAndSecretsAreDeletedAfterTheirWaitingPeriod(t *testing.T) {
	a := newAccount(t)
	a.now = time.Now()
	key := a.create(typeKey, "key", m{"deletionWindowInDays": 7})
	a.create(typeAlias, "alias", m{"name": "alias/x", "targetKeyId": key.ID})
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeKey, "", key.ID, nil, nil).status)
	assert.Equal(t, "PendingDeletion", a.store.Read().Keys[key.ID].keyState())
	a.now = a.now.AddDate(0, 0, 6)
	a.housekeeping(context.Background())
	assert.Len(t, a.store.Read().Keys, 1)
	a.now = a.now.AddDate(0, 0, 2)
	a.housekeeping(context.Background())
	assert.Empty(t, a.store.Read().Keys)
	assert.Empty(t, a.store.Read().Aliases)
}

func TestTheAdministratorsKeyIsGivenToHostClientsAndStays(t *testing.T) {
	a := newAccount(t)
	path := filepath.Join(a.dir, "credentials.json")
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	var c map[string]string
	require.NoError(t, json.Unmarshal(before, &c))
	assert.Len(t, c["accessKeyId"], 20)
	assert.Len(t, c["secretAccessKey"], 40)
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, a.Close())
	a.open()
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestAnAccountOfAnotherVersionIsRefused(t *testing.T) {
	a := newAccount(t)
	require.NoError(t, a.store.Update(func(st *state) error { st.Version = 99; return nil }))
	_, err := New(a.cfg)
	require.ErrorContains(t, err, "version 99")
	for field, change := range map[string]func(*Config){
		"Dir": func(c *Config) { c.Dir = "" }, "OIDCIssuer": func(c *Config) { c.OIDCIssuer = "http://x" },
		"OIDCKeys": func(c *Config) { c.OIDCKeys = nil },
	} {
		cfg := a.cfg
		change(&cfg)
		_, err := New(cfg)
		assert.ErrorContains(t, err, field)
	}
}

func TestMasterPasswordsAlwaysHoldWhatBreaksEncodings(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		p := newMasterPassword()
		assert.Len(t, p, passwordLength)
		for _, c := range passwordSpecials {
			assert.True(t, strings.ContainsRune(p, c))
		}
		for _, c := range p {
			assert.True(t, strings.ContainsRune(passwordAlphabet, c))
		}
		assert.False(t, strings.ContainsAny(p, "/'\"@ \\`"))
		assert.False(t, seen[p])
		seen[p] = true
	}
}
