package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRDSDescribesItsResources(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	a.create(typeParameters, "pg", m{
		"name": "pg", "family": "postgres16", "description": "d",
		"parameters": []m{{"name": "log_statement", "value": "ddl"}},
	})
	db, _ := a.instance("one", m{
		"parameterGroupName": "pg", "tags": m{"team": "a"},
		"performanceInsightsEnabled": true,
	})
	other := with(db.Inputs, m{
		"identifier": "two", "tags": nil, "kmsKeyId": nil, "masterUserSecretKmsKeyId": nil,
		"storageType": "gp3", "allocatedStorage": 400, "maxAllocatedStorage": 500,
	})
	two := a.create(typeInstance, "two", other)
	r := a.rds(a.admin())
	names := func(in *awsrds.DescribeDBInstancesInput) (out []string) {
		t.Helper()
		got, err := r.DescribeDBInstances(ctx, in)
		require.NoError(t, err)
		for _, i := range got.DBInstances {
			out = append(out, *i.DBInstanceIdentifier)
		}
		return out
	}
	filter := func(name string, values ...string) *awsrds.DescribeDBInstancesInput {
		return &awsrds.DescribeDBInstancesInput{Filters: []types.Filter{{Name: &name, Values: values}}}
	}
	assert.Equal(t, []string{"one", "two"}, names(&awsrds.DescribeDBInstancesInput{}))
	assert.Equal(t, []string{"two"}, names(filter("db-instance-id", "two", "three")))
	assert.Equal(t, []string{"one"}, names(filter("dbi-resource-id", db.ID)))
	assert.Empty(t, names(filter("engine", "mysql")))
	assert.Equal(t, []string{"one"}, names(&awsrds.DescribeDBInstancesInput{
		DBInstanceIdentifier: sdk.String(db.Outputs["arn"].(string)),
	}))
	assert.Equal(t, []string{"one"}, names(&awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: sdk.String("ONE")}),
		"identifiers have no case")
	_, err := r.DescribeDBInstances(ctx, filter("domain", "x"))
	refused(t, err, "NotImplemented")

	assert.Contains(t, two.Outputs["kmsKeyId"], ":key/", "encryption without a key uses the service's own")
	assert.EqualValues(t, 12000, two.Outputs["iops"], "gp3 from 400 GiB on")
	secretKey := two.Outputs["masterUserSecrets"].([]any)[0].(map[string]any)["kmsKeyId"]
	assert.Equal(t, a.store.Read().findKey(region, "alias/aws/secretsmanager").arn(), secretKey)
	assert.Empty(t, a.store.Read().Secrets[secretOf(two)].KMSKeyID)

	tags, err := r.ListTagsForResource(ctx, &awsrds.ListTagsForResourceInput{
		ResourceName: sdk.String(db.Outputs["arn"].(string)),
	})
	require.NoError(t, err)
	assert.Equal(t, "team", *tags.TagList[0].Key)
	for _, arn := range []string{
		"arn:aws:rds:ap-northeast-2:111122223333:pg:pg",
		"arn:aws:rds:ap-northeast-2:111122223333:subgrp:one",
	} {
		_, err = r.ListTagsForResource(ctx, &awsrds.ListTagsForResourceInput{ResourceName: &arn})
		require.NoError(t, err)
	}
	_, err = r.ListTagsForResource(ctx, &awsrds.ListTagsForResourceInput{
		ResourceName: sdk.String("arn:aws:rds:ap-northeast-2:111122223333:db:none"),
	})
	require.Error(t, err)

	groups, err := r.DescribeDBSubnetGroups(ctx, &awsrds.DescribeDBSubnetGroupsInput{})
	require.NoError(t, err)
	assert.Len(t, groups.DBSubnetGroups[0].Subnets, 3)
	pg, err := r.DescribeDBParameterGroups(ctx,
		&awsrds.DescribeDBParameterGroupsInput{DBParameterGroupName: sdk.String("pg")})
	require.NoError(t, err)
	assert.Equal(t, "postgres16", *pg.DBParameterGroups[0].DBParameterGroupFamily)
	user, err := r.DescribeDBParameters(ctx,
		&awsrds.DescribeDBParametersInput{DBParameterGroupName: sdk.String("pg"), Source: sdk.String("user")})
	require.NoError(t, err)
	require.Len(t, user.Parameters, 1)
	assert.Equal(t, "ddl", *user.Parameters[0].ParameterValue)
}

// kms sends a signed request of the KMS API.
func (a *account) kms(creds sdk.CredentialsProvider, action string, in m) map[string]any {
	a.t.Helper()
	body := []byte(text(in))
	r, err := http.NewRequest(http.MethodPost, a.server.URL, bytes.NewReader(body))
	require.NoError(a.t, err)
	r.Header.Set("X-Amz-Target", "TrentService."+action)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	c, err := creds.Retrieve(context.Background())
	require.NoError(a.t, err)
	sum := sha256.Sum256(body)
	require.NoError(a.t, v4.NewSigner().SignHTTP(context.Background(), c, r, hex.EncodeToString(sum[:]), "kms", region,
		time.Now()))
	resp, err := http.DefaultClient.Do(r)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	var out map[string]any
	require.NoError(a.t, json.Unmarshal(answer, &out))
	return out
}

func TestKMSDescribesKeysToPrincipalsThatTheirPolicyAllows(t *testing.T) {
	a := newAccount(t)
	key := a.create(typeKey, "key", m{"description": "mine", "enableKeyRotation": true})
	other := a.create(typeKey, "other", m{})
	a.create(typeAlias, "alias", m{"name": "alias/mine", "targetKeyId": key.ID})
	for _, id := range []string{
		key.ID, key.Outputs["arn"].(string), "alias/mine",
		"arn:aws:kms:ap-northeast-2:111122223333:alias/mine",
	} {
		meta := a.kms(a.admin(), "DescribeKey", m{"KeyId": id})["KeyMetadata"].(map[string]any)
		assert.Equal(t, key.ID, meta["KeyId"], id)
		assert.Equal(t, "Enabled", meta["KeyState"])
	}
	assert.Equal(t, true, a.kms(a.admin(), "GetKeyRotationStatus", m{"KeyId": key.ID})["KeyRotationEnabled"])
	assert.Contains(t, a.kms(a.admin(), "GetKeyPolicy", m{"KeyId": key.ID, "PolicyName": "default"})["Policy"], "kms:*")
	assert.Len(t, a.kms(a.admin(), "ListKeys", m{})["Keys"], 2)
	assert.Len(t, a.kms(a.admin(), "ListAliases", m{"KeyId": key.ID})["Aliases"], 1)
	page := a.kms(a.admin(), "ListKeys", m{"Limit": 1})
	assert.Equal(t, true, page["Truncated"])
	assert.Len(t, a.kms(a.admin(), "ListKeys", m{"Marker": page["NextMarker"]})["Keys"], 1)

	a.update(typeAlias, "alias/mine", m{"name": "alias/mine", "targetKeyId": other.ID})
	assert.Equal(t, other.ID, a.kms(a.admin(), "DescribeKey",
		m{"KeyId": "alias/mine"})["KeyMetadata"].(map[string]any)["KeyId"])

	role := a.role("reader", "a:b", allow([]string{"kms:DescribeKey"}, key.Outputs["arn"].(string)))
	creds, err := a.assume(role, a.token("a:b", "sts.amazonaws.com", nil))
	require.NoError(t, err)
	assert.NotContains(t, a.kms(creds, "DescribeKey", m{"KeyId": key.ID}), "__type")
	assert.Equal(t, "AccessDeniedException", a.kms(creds, "DescribeKey", m{"KeyId": other.ID})["__type"])
	assert.Equal(t, "AccessDeniedException", a.kms(creds, "ListKeys", m{})["__type"])
	assert.Contains(t, a.kms(a.admin(), "Decrypt", m{"KeyId": key.ID})["message"], "does not model kms:Decrypt")
}
