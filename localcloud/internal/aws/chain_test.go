package aws

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAServiceAccountReadsTheMasterSecretOfItsInstance(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	db, key := a.instance("myshop-dev", nil)
	arn := secretOf(db)
	role := a.role("myshop-secrets", "myshop:reader",
		allow([]string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}, arn),
		allow([]string{"kms:Decrypt"}, key.Outputs["arn"].(string)))

	creds, err := a.assume(role, a.token("myshop:reader", "sts.amazonaws.com", nil))
	require.NoError(t, err)
	who, err := a.sts(creds).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	assert.Equal(t, "arn:aws:sts::111122223333:assumed-role/myshop-secrets/test", *who.Arn)

	got, err := a.secrets(creds).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	require.NoError(t, err)
	assert.Regexp(t,
		`^arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:rds!db-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-[A-Za-z0-9]{6}$`, arn)
	var value map[string]string
	require.NoError(t, json.Unmarshal([]byte(*got.SecretString), &value))
	assert.Len(t, value, 2, "exactly username and password")
	assert.Equal(t, "myshop_admin", value["username"])
	assert.True(t, same(value["password"], a.engine.databases["myshop-dev"].password),
		"the database has the password that the secret says")
	assert.GreaterOrEqual(t, len(value["password"]), 28)
	for _, c := range passwordSpecials {
		assert.True(t, strings.ContainsRune(value["password"], c), "the password contains %q", c)
	}
	assert.False(t, strings.ContainsAny(value["password"], `/'"@ \`), "characters that RDS never uses")

	out, err := a.rds(a.admin()).DescribeDBInstances(ctx,
		&awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: sdk.String("myshop-dev")})
	require.NoError(t, err)
	i := out.DBInstances[0]
	assert.Equal(t, arn, *i.MasterUserSecret.SecretArn)
	assert.Equal(t, db.Outputs["address"], *i.Endpoint.Address)
	assert.Equal(t, "16.14", *i.EngineVersion)
	assert.Equal(t, "available", *i.DBInstanceStatus)
	assert.NotContains(t, a.log.String(), value["password"])
}
