package aws

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// password returns the password in a version of the secret.
func (a *account) password(arn, stage string) string {
	a.t.Helper()
	out, err := a.secrets(a.admin()).GetSecretValue(context.Background(),
		&secretsmanager.GetSecretValueInput{SecretId: &arn, VersionStage: &stage})
	require.NoError(a.t, err)
	var v map[string]string
	require.NoError(a.t, json.Unmarshal([]byte(*out.SecretString), &v))
	return v["password"]
}

func TestRotationChangesTheDatabaseFirstAndThenTheSecret(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	db, _ := a.instance("myshop", nil)
	arn := secretOf(db)
	first := a.password(arn, "AWSCURRENT")
	var during string
	a.engine.fail = func(call string) error {
		if call == "password" {
			during = *a.store.Read().Secrets[arn].stage(stageCurrent).String
		}
		return nil
	}
	for name, rotate := range map[string]func() error{
		"ModifyDBInstance": func() error {
			_, err := a.rds(a.admin()).ModifyDBInstance(ctx,
				&awsrds.ModifyDBInstanceInput{
					DBInstanceIdentifier:     sdk.String("myshop"),
					RotateMasterUserPassword: sdk.Bool(true), ApplyImmediately: sdk.Bool(true),
				})
			return err
		},
		"RotateSecret": func() error {
			_, err := a.secrets(a.admin()).RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: &arn})
			return err
		},
	} {
		before := a.password(arn, "AWSCURRENT")
		require.NoError(t, rotate(), name)
		after := a.password(arn, "AWSCURRENT")
		assert.False(t, same(before, after), name)
		assert.True(t, strings.Contains(during, text(before)[1:10]) || strings.Contains(during, before),
			"AWSCURRENT was still the old one when the database changed")
		assert.True(t, same(after, a.engine.databases["myshop"].password), name)
		assert.True(t, same(before, a.password(arn, "AWSPREVIOUS")), name)
	}
	assert.False(t, same(first, a.password(arn, "AWSPREVIOUS")))
	_, err := a.rds(a.admin()).ModifyDBInstance(ctx,
		&awsrds.ModifyDBInstanceInput{
			DBInstanceIdentifier:     sdk.String("myshop"),
			RotateMasterUserPassword: sdk.Bool(true),
		})
	refused(t, err, "InvalidParameterCombination")
	d, err := a.secrets(a.admin()).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &arn})
	require.NoError(t, err)
	assert.Equal(t, "rds", *d.OwningService)
	assert.True(t, *d.RotationEnabled)
	assert.WithinDuration(t, time.Now().AddDate(0, 0, 7), *d.NextRotationDate, time.Minute)
}

func TestARotationThatFailedIsImpairedAndFinishedByTheNextOne(t *testing.T) {
	a := newAccount(t)
	db, _ := a.instance("myshop", nil)
	arn := secretOf(db)
	before := a.password(arn, "AWSCURRENT")
	a.engine.fail = func(call string) error {
		if call == "password" {
			return errors.New("the database is away")
		}
		return nil
	}
	_, err := a.secrets(a.admin()).RotateSecret(context.Background(), &secretsmanager.RotateSecretInput{SecretId: &arn})
	refused(t, err, "InternalServiceError")
	assert.True(t, same(before, a.password(arn, "AWSCURRENT")))
	pending := a.password(arn, "AWSPENDING")
	out, err := a.rds(a.admin()).DescribeDBInstances(context.Background(), &awsrds.DescribeDBInstancesInput{})
	require.NoError(t, err)
	assert.Equal(t, "impaired", *out.DBInstances[0].MasterUserSecret.SecretStatus)
	a.engine.fail = nil
	_, err = a.secrets(a.admin()).RotateSecret(context.Background(), &secretsmanager.RotateSecretInput{SecretId: &arn})
	require.NoError(t, err)
	assert.True(t, same(pending, a.password(arn, "AWSCURRENT")), "the pending password became the current one")
}

func TestRotationComesByItselfWhenItIsDue(t *testing.T) {
	a := newAccount(t)
	a.now = time.Now()
	db, _ := a.instance("myshop", nil)
	version := func() string { return a.store.Read().Secrets[secretOf(db)].stage(stageCurrent).ID }
	before := version()
	a.now = a.now.AddDate(0, 0, 6)
	a.housekeeping(context.Background())
	assert.Equal(t, before, version())
	a.now = a.now.AddDate(0, 0, 2)
	a.housekeeping(context.Background())
	assert.NotEqual(t, before, version())
}
