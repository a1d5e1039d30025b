package aws

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdkcreds "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws/iam"
)

// request signs and sends a request of any modelled action. Parameters of query services are flat.
func (a *account) request(creds sdk.CredentialsProvider, service, action string, in m) (status int, body string) {
	a.t.Helper()
	var text []byte
	header := http.Header{}
	if s, ok := jsonServices[service]; ok {
		var err error
		text, err = json.Marshal(in)
		require.NoError(a.t, err)
		header.Set("Content-Type", "application/x-amz-json-1.1")
		header.Set("X-Amz-Target", s.target+"."+action)
	} else {
		form := url.Values{"Action": {action}, "Version": {queryServices[service].version}}
		for name, value := range in {
			form.Set(name, value.(string))
		}
		text = []byte(form.Encode())
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.server.URL+"/", bytes.NewReader(text))
	require.NoError(a.t, err)
	r.Header = header
	if creds != nil {
		v, err := creds.Retrieve(a.t.Context())
		require.NoError(a.t, err)
		sum := sha256.Sum256(text)
		require.NoError(a.t, v4.NewSigner().SignHTTP(a.t.Context(), v, r, hex.EncodeToString(sum[:]), service, region,
			time.Now()))
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	return resp.StatusCode, string(answer)
}

// session returns the credentials of AssumeRoleWithWebIdentity.
func (a *account) session(in m) sdk.CredentialsProvider {
	a.t.Helper()
	status, body := a.request(nil, "sts", webIdentityAction, in)
	require.Equal(a.t, http.StatusOK, status, body)
	var out struct {
		Credentials credentials `xml:"AssumeRoleWithWebIdentityResult>Credentials"`
	}
	require.NoError(a.t, xml.Unmarshal([]byte(body), &out))
	c := out.Credentials
	return sdkcreds.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
}

// Each key that a policy may name must come with the requests that AWS lists it for ("Actions, resources, and condition
// keys for AWS services", service authorization reference, and "AWS global condition context keys", IAM user guide).
// Without it, a condition would decide as for another request.
func TestRequestsCarryTheConditionKeysOfTheirActions(t *testing.T) {
	a := newAccount(t)
	tags := m{"team": "a"}
	db, key := a.instance("myshop-dev", m{"tags": tags})
	a.update(typeKey, key.ID, m{"description": "key of myshop-dev", "enableKeyRotation": true, "tags": tags})
	a.update(typeSubnets, "myshop-dev", m{
		"name": "myshop-dev", "subnetIds": []string{SubnetIDA, SubnetIDB, SubnetIDC}, "tags": tags,
	})
	a.create(typeParameters, "pg", m{"name": "pg", "family": "postgres16", "tags": tags})
	require.NoError(t, a.store.Update(func(st *state) error {
		st.Snapshots[regional(region, "last")] = &dbSnapshot{
			Region: region, Identifier: "last", Instance: "myshop-dev", Tags: map[string]string{"team": "a"},
		}
		return nil
	}))
	status, body := a.request(a.admin(), "secretsmanager", "CreateSecret", m{
		"Name": "mine", "SecretString": "v", "KmsKeyId": key.ID, "Tags": []m{{"Key": "team", "Value": "a"}},
	})
	require.Equal(t, http.StatusOK, status, body)
	a.create(typeRole, "reader", m{"name": "reader", "assumeRolePolicy": irsaTrust("myshop:reader"), "tags": tags})
	a.create(typePolicy, "reader", m{"name": "inline", "role": "reader", "policy": policy(allow([]string{"*"}, "*"))})
	trusting := func(trust string) m { return m{"name": "other", "tags": tags, "assumeRolePolicy": trust} }
	everyone := m{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
	other := a.create(typeRole, "other", trusting(policy(everyone))).Outputs["arn"].(string)
	a.create(typePolicy, "other", m{"name": "inline", "role": "other", "policy": policy(allow([]string{"*"}, "*"))})
	token := a.token("myshop:reader", "sts.amazonaws.com", nil)
	creds, err := a.assume("arn:aws:iam::"+AccountID+":role/reader", token)
	require.NoError(t, err)

	carried := map[string]bool{}
	// absent is the condition of a statement that denies requests without the key.
	absent := func(key string) m {
		carried[strings.ToLower(key)] = true
		return m{"Null": m{key: "true"}}
	}
	granted := func(what, key, answer string) {
		t.Helper()
		for _, denial := range []string{"AccessDenied", "Access to KMS", "KMSKeyNotAccessible"} {
			assert.NotContains(t, answer, denial, "%s without %s", what, key)
		}
	}

	global := []string{
		"aws:CurrentTime", "aws:EpochTime", "aws:TokenIssueTime", "aws:SecureTransport", "aws:SourceIp",
		"aws:UserAgent", "aws:RequestedRegion", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalType",
		"aws:PrincipalIsAWSService", "aws:userid", "aws:FederatedProvider", "aws:ViaAWSService", "aws:ResourceAccount",
		"aws:PrincipalTag/team",
	}
	secret := []string{
		"secretsmanager:SecretId", "secretsmanager:SecretPrimaryRegion", "aws:ResourceTag/team",
		"secretsmanager:ResourceTag/team",
	}
	kms := []string{"kms:CallerAccount", "kms:KeySpec", "kms:KeyUsage", "kms:KeyOrigin", "aws:ResourceTag/team"}
	viaSecrets := append(slices.Clone(kms), "kms:ViaService", "kms:EncryptionContext:SecretARN",
		"kms:EncryptionContext:SecretVersionId", "kms:EncryptionContextKeys")
	instance := []string{
		"aws:ResourceTag/team", "rds:db-tag/team", "rds:DatabaseClass", "rds:DatabaseEngine", "rds:DatabaseName",
		"rds:MultiAz",
	}
	tagged := []string{"aws:ResourceTag/team"}
	newTags := []string{"aws:RequestTag/team", "aws:TagKeys"}
	mine := m{"SecretId": "mine"}
	role := m{"RoleName": "other"}
	name := db.Outputs["arn"].(string)
	group := func(kind, name string) m {
		return m{"ResourceName": "arn:aws:rds:" + region + ":" + AccountID + ":" + kind + ":" + name}
	}
	for _, c := range []struct {
		service, action string
		in              m
		denied          string // the action to deny, if it is another
		keys            []string
	}{
		{"secretsmanager", "ListSecrets", m{}, "", global},
		{"secretsmanager", "BatchGetSecretValue", m{"SecretIdList": []string{"mine"}}, "", global},
		{"secretsmanager", "GetSecretValue", mine, "", append(slices.Clone(secret), "secretsmanager:VersionStage")},
		{
			"secretsmanager", "GetSecretValue", with(mine, m{"VersionId": strings.Repeat("0", 32)}), "",
			[]string{"secretsmanager:VersionId"},
		},
		{"secretsmanager", "GetSecretValue", mine, "kms:Decrypt", viaSecrets},
		{"secretsmanager", "PutSecretValue", with(mine, m{"SecretString": "w"}), "kms:GenerateDataKey", viaSecrets},
		{"secretsmanager", "DescribeSecret", mine, "", secret},
		{"secretsmanager", "ListSecretVersionIds", mine, "", secret},
		{"secretsmanager", "GetResourcePolicy", mine, "", secret},
		{"secretsmanager", "RotateSecret", mine, "", append(slices.Clone(secret),
			"secretsmanager:RotateImmediately", "secretsmanager:ModifyRotationRules")},
		{
			"secretsmanager", "CreateSecret",
			m{"Name": "new", "KmsKeyId": key.ID, "Description": "d", "Tags": []m{{"Key": "team", "Value": "a"}}},
			"",
			append(slices.Clone(newTags), "secretsmanager:Name", "secretsmanager:Description",
				"secretsmanager:KmsKeyId", "secretsmanager:KmsKeyArn"),
		},
		{"secretsmanager", "PutSecretValue", with(mine, m{"SecretString": "w"}), "", secret},
		{
			"secretsmanager", "UpdateSecret", with(mine, m{"KmsKeyId": key.ID, "Description": "d"}), "",
			append(slices.Clone(secret), "secretsmanager:Description", "secretsmanager:KmsKeyId",
				"secretsmanager:KmsKeyArn"),
		},
		{
			"secretsmanager", "TagResource", with(mine, m{"Tags": []m{{"Key": "team", "Value": "a"}}}), "",
			append(slices.Clone(secret), newTags...),
		},
		{
			"secretsmanager", "UntagResource", with(mine, m{"TagKeys": []string{"none"}}), "",
			append(slices.Clone(secret), "aws:TagKeys"),
		},
		{"secretsmanager", "DeleteSecret", mine, "", append(slices.Clone(secret),
			"secretsmanager:ForceDeleteWithoutRecovery", "secretsmanager:RecoveryWindowInDays")},
		{"secretsmanager", "RestoreSecret", mine, "", secret},
		{"kms", "DescribeKey", m{"KeyId": key.ID}, "", kms},
		{"kms", "GetKeyPolicy", m{"KeyId": key.ID}, "", kms},
		{"kms", "GetKeyRotationStatus", m{"KeyId": key.ID}, "", kms},
		{"kms", "ListKeys", m{}, "", global},
		{"kms", "ListAliases", m{}, "", global},
		{"rds", "DescribeDBInstances", m{"DBInstanceIdentifier": "myshop-dev"}, "", instance},
		{"rds", "ModifyDBInstance", m{"DBInstanceIdentifier": "myshop-dev"}, "", instance},
		{
			"rds", "ModifyDBInstance",
			m{
				"DBInstanceIdentifier": "myshop-dev", "EnablePerformanceInsights": "true", "ApplyImmediately": "true",
			},
			"kms:CreateGrant",
			[]string{"kms:GrantIsForAWSResource"},
		},
		{"rds", "RebootDBInstance", m{"DBInstanceIdentifier": "myshop-dev"}, "", instance},
		{"rds", "DescribeDBSnapshots", m{"DBSnapshotIdentifier": "last"}, "", tagged},
		{"rds", "DescribeDBParameters", m{"DBParameterGroupName": "pg"}, "", tagged},
		{"rds", "DescribeDBParameterGroups", m{"DBParameterGroupName": "pg"}, "", tagged},
		{"rds", "DescribeDBSubnetGroups", m{"DBSubnetGroupName": "myshop-dev"}, "", tagged},
		{"rds", "ListTagsForResource", m{"ResourceName": name}, "", instance},
		{"rds", "ListTagsForResource", group("pg", "pg"), "", tagged},
		{"rds", "ListTagsForResource", group("subgrp", "myshop-dev"), "", tagged},
		{"rds", "ListTagsForResource", group("snapshot", "last"), "", tagged},
		{"rds", "DeleteDBSnapshot", m{"DBSnapshotIdentifier": "last"}, "", tagged},
		{"iam", "CreateRole", m{
			"RoleName": "third", "AssumeRolePolicyDocument": policy(everyone), "Tags.member.1.Key": "team",
			"Tags.member.1.Value": "a",
		}, "", newTags},
		{"iam", "GetRole", role, "", tagged},
		{"iam", "ListRoles", m{}, "", global},
		{"iam", "UpdateAssumeRolePolicy", with(role, m{"PolicyDocument": policy(everyone)}), "", tagged},
		{
			"iam", "PutRolePolicy",
			with(role, m{"PolicyName": "more", "PolicyDocument": policy(allow([]string{"*"}, "*"))}), "", tagged,
		},
		{"iam", "GetRolePolicy", with(role, m{"PolicyName": "more"}), "", tagged},
		{"iam", "ListRolePolicies", role, "", tagged},
		{"iam", "DeleteRolePolicy", with(role, m{"PolicyName": "more"}), "", tagged},
		{"iam", "AttachRolePolicy", with(role, m{"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}), "", tagged},
		{"iam", "ListAttachedRolePolicies", role, "", tagged},
		{"iam", "DetachRolePolicy", with(role, m{"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}), "", tagged},
		{"iam", "DeleteRole", role, "", tagged},
		{"iam", "ListOpenIDConnectProviders", m{}, "", global},
		{"sts", "AssumeRole", m{"RoleArn": other, "RoleSessionName": "next", "ExternalId": "42"}, "", append(
			slices.Clone(global), "sts:RoleSessionName", "sts:ExternalId", "aws:ResourceTag/team",
		)},
	} {
		denied := c.denied
		if denied == "" {
			denied = c.service + ":" + c.action
		}
		for _, key := range c.keys {
			a.update(typePolicy, "reader:inline", m{"name": "inline", "role": "reader", "policy": policy(
				allow([]string{"*"}, "*"),
				m{"Effect": "Deny", "Action": denied, "Resource": "*", "Condition": absent(key)},
			)})
			_, answer := a.request(creds, c.service, c.action, c.in)
			granted(c.action+" as "+denied, key, answer)
		}
	}
	for _, key := range []string{
		"sts:RoleSessionName", "aws:ResourceTag/team", "aws:FederatedProvider", "aws:SourceIp",
		issuer[len("https://"):] + ":sub", issuer[len("https://"):] + ":aud",
	} {
		deny := m{
			"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRoleWithWebIdentity", "Condition": absent(key),
		}
		a.update(typeRole, "other", trusting(policy(irsaStatement("myshop:reader"), deny)))
		_, answer := a.request(nil, "sts", webIdentityAction, m{
			"RoleArn": other, "RoleSessionName": "test", "WebIdentityToken": token,
		})
		granted(webIdentityAction, key, answer)
	}
	a.update(typeRole, "other", trusting(policy(everyone,
		m{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Condition": absent("aws:username")})))
	_, answer := a.request(a.admin(), "sts", "AssumeRole", m{"RoleArn": other, "RoleSessionName": "test"})
	granted("AssumeRole of a user", "aws:username", answer)
	for _, key := range []string{"aws:SourceArn", "aws:SourceAccount", "aws:ResourceTag/team"} {
		service := m{"Service": "monitoring.rds.amazonaws.com"}
		a.update(typeRole, "other", trusting(policy(
			m{"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"},
			m{"Effect": "Deny", "Principal": service, "Action": "sts:AssumeRole", "Condition": absent(key)},
		)))
		st := a.store.Read()
		assert.True(t, a.administratorCall(t.Context(), region).mayMonitor(st.Roles["other"],
			st.Instances[regional(region, "myshop-dev")]), "monitoring without %s", key)
	}
	for _, key := range iam.ConditionKeys() {
		assert.True(t, carried[strings.ToLower(key)], "no request carries %s: remove it from the keys that are modelled",
			key)
	}
}

// The policy of an AWS managed key allows everyone in the account, so only a denial can stop a caller.
func TestADenialOfKMSCountsForAWSManagedKeysToo(t *testing.T) {
	a := newAccount(t)
	status, body := a.request(a.admin(), "secretsmanager", "CreateSecret", m{"Name": "mine", "SecretString": "v"})
	require.Equal(t, http.StatusOK, status, body)
	noKMS := m{"Effect": "Deny", "Action": "kms:*", "Resource": "*"}
	reader := a.role("reader", "myshop:reader", allow([]string{"secretsmanager:*", "rds:*"}, "*"))
	denied := a.role("denied", "myshop:reader", allow([]string{"*"}, "*"), noKMS)
	token := a.token("myshop:reader", "sts.amazonaws.com", nil)
	get := func(role string, session ...m) string {
		t.Helper()
		in := m{"RoleArn": role, "RoleSessionName": "test", "WebIdentityToken": token}
		if len(session) > 0 {
			in["Policy"] = policy(session...)
		}
		_, answer := a.request(a.session(in), "secretsmanager", "GetSecretValue", m{"SecretId": "mine"})
		return answer
	}
	assert.Contains(t, get(reader), `"SecretString":"v"`)
	assert.Contains(t, get(denied), "Access to KMS is not allowed")
	secrets := allow([]string{"secretsmanager:*"}, "*")
	assert.Contains(t, get(reader, secrets), `"SecretString":"v"`, "the key's policy grants by itself")
	assert.Contains(t, get(reader, secrets, noKMS), "Access to KMS is not allowed")
	assert.Contains(t, get(reader, secrets, m{
		"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*",
		"Condition": m{"StringEquals": m{"kms:ViaService": "secretsmanager." + region + ".amazonaws.com"}},
	}), "Access to KMS is not allowed")
	session := m{"RoleArn": denied, "RoleSessionName": "test", "WebIdentityToken": token}
	_, answer := a.request(a.session(session), "secretsmanager", "CreateSecret", m{"Name": "other", "SecretString": "v"})
	assert.Contains(t, answer, "Access to KMS is not allowed")

	a.instance("myshop-dev", nil)
	insights := m{
		"DBInstanceIdentifier": "myshop-dev", "EnablePerformanceInsights": "true", "ApplyImmediately": "true",
	}
	_, answer = a.request(a.session(session), "rds", "ModifyDBInstance", insights)
	assert.Contains(t, answer, "KMSKeyNotAccessibleFault")
	session["RoleArn"] = reader
	_, answer = a.request(a.session(session), "rds", "ModifyDBInstance", insights)
	assert.Contains(t, answer, "<PerformanceInsightsEnabled>true</PerformanceInsightsEnabled>")
}

// An action of a JSON service is named by a header, so a presigned request must have signed it.
func TestAPresignedRequestCannotBeTurnedIntoAnother(t *testing.T) {
	a := newAccount(t)
	v, err := a.admin().Retrieve(t.Context())
	require.NoError(t, err)
	sum := sha256.Sum256([]byte("{}"))
	for name, c := range map[string]struct {
		sign bool
		want string
	}{"signed": {true, "SecretList"}, "unsigned": {false, "not signed: x-amz-target"}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.server.URL+"/?X-Amz-Expires=60",
			strings.NewReader("{}"))
		require.NoError(t, err)
		if c.sign {
			r.Header.Set("X-Amz-Target", "secretsmanager.ListSecrets")
		}
		uri, header, err := v4.NewSigner().PresignHTTP(t.Context(), v, r, hex.EncodeToString(sum[:]), "secretsmanager",
			region, time.Now(), func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
		require.NoError(t, err)
		sent, err := http.NewRequestWithContext(t.Context(), http.MethodPost, uri, strings.NewReader("{}"))
		require.NoError(t, err)
		sent.Header = header
		sent.Header.Set("X-Amz-Target", "secretsmanager.ListSecrets")
		resp, err := http.DefaultClient.Do(sent)
		require.NoError(t, err)
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		assert.Contains(t, string(answer), c.want, name)
	}
}
