package aws

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVersionsMoveThroughTheirStages(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	s := a.secrets(a.admin())
	made, err := s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: sdk.String("team/db"), SecretString: sdk.String("one"), Description: sdk.String("d"),
	})
	require.NoError(t, err)
	get := func(in secretsmanager.GetSecretValueInput) (string, error) {
		in.SecretId = sdk.String("team/db")
		out, err := s.GetSecretValue(ctx, &in)
		if err != nil {
			return "", err
		}
		if out.SecretString != nil {
			return *out.SecretString, nil
		}
		return string(out.SecretBinary), nil
	}
	put := func(value, token string, stages ...string) error {
		in := &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretString: &value, VersionStages: stages}
		if token != "" {
			in.ClientRequestToken = sdk.String(strings.Repeat(token, 32))
		}
		_, err := s.PutSecretValue(ctx, in)
		return err
	}
	require.NoError(t, put("two", ""))
	for stage, want := range map[string]string{"AWSCURRENT": "two", "AWSPREVIOUS": "one", "": "two"} {
		in := secretsmanager.GetSecretValueInput{}
		if stage != "" {
			in.VersionStage = &stage
		}
		got, err := get(in)
		require.NoError(t, err)
		assert.Equal(t, want, got, stage)
	}
	got, err := get(secretsmanager.GetSecretValueInput{VersionId: made.VersionId})
	require.NoError(t, err)
	assert.Equal(t, "one", got)
	require.NoError(t, put("three", "p", "AWSPENDING"))
	got, err = get(secretsmanager.GetSecretValueInput{})
	require.NoError(t, err)
	assert.Equal(t, "two", got, "a pending version is not current")
	require.NoError(t, put("three", "p", "AWSPENDING"), "the same request again")
	refused(t, put("four", "p"), "ResourceExistsException")
	_, err = get(secretsmanager.GetSecretValueInput{VersionId: made.VersionId, VersionStage: sdk.String("AWSCURRENT")})
	refused(t, err, "InvalidRequestException")
	_, err = get(secretsmanager.GetSecretValueInput{VersionStage: sdk.String("NONE")})
	refused(t, err, "ResourceNotFoundException")
	_, err = get(secretsmanager.GetSecretValueInput{VersionId: sdk.String(strings.Repeat("z", 32))})
	refused(t, err, "ResourceNotFoundException")

	require.NoError(t, put("four", ""))
	_, err = get(secretsmanager.GetSecretValueInput{VersionId: made.VersionId})
	refused(t, err, "ResourceNotFoundException")
	versions, err := s.ListSecretVersionIds(ctx, &secretsmanager.ListSecretVersionIdsInput{SecretId: made.ARN})
	require.NoError(t, err)
	assert.Len(t, versions.Versions, 3, "AWSCURRENT, AWSPREVIOUS, AWSPENDING")
	versions, err = s.ListSecretVersionIds(ctx,
		&secretsmanager.ListSecretVersionIdsInput{
			SecretId: made.ARN, IncludeDeprecated: sdk.Bool(true), MaxResults: sdk.Int32(2),
		})
	require.NoError(t, err)
	assert.Len(t, versions.Versions, 2)
	require.NotNil(t, versions.NextToken)
	versions, err = s.ListSecretVersionIds(ctx,
		&secretsmanager.ListSecretVersionIdsInput{
			SecretId: made.ARN, IncludeDeprecated: sdk.Bool(true), MaxResults: sdk.Int32(2),
			NextToken: versions.NextToken,
		})
	require.NoError(t, err)
	assert.Len(t, versions.Versions, 2)
	assert.Nil(t, versions.NextToken)

	_, err = s.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{
		SecretId: made.ARN, SecretBinary: []byte("bytes"), Description: sdk.String("e"),
	})
	require.NoError(t, err)
	got, err = get(secretsmanager.GetSecretValueInput{})
	require.NoError(t, err)
	assert.Equal(t, "bytes", got)
	d, err := s.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{
		SecretId: sdk.String((*made.ARN)[:len(*made.ARN)-7]),
	})
	require.NoError(t, err, "an ARN without the random characters")
	assert.Equal(t, "e", *d.Description)
	assert.NotNil(t, d.LastAccessedDate)
	assert.Nil(t, d.KmsKeyId)
	assert.Nil(t, d.OwningService)
	p, err := s.GetResourcePolicy(ctx, &secretsmanager.GetResourcePolicyInput{SecretId: made.ARN})
	require.NoError(t, err)
	assert.Nil(t, p.ResourcePolicy)
	for _, secret := range []string{"three", "four", "bytes"} {
		assert.NotContains(t, a.log.String(), secret)
	}
}

func TestInvalidSecretsAreRefused(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	s := a.secrets(a.admin())
	value := sdk.String("v")
	for name, c := range map[string]struct {
		in   secretsmanager.CreateSecretInput
		code string
	}{
		"a name with a space": {
			secretsmanager.CreateSecretInput{Name: sdk.String("a b"), SecretString: value},
			"InvalidParameterException",
		},
		"a managed name": {
			secretsmanager.CreateSecretInput{Name: sdk.String("rds!db-1"), SecretString: value},
			"InvalidParameterException",
		},
		"two kinds of values": {secretsmanager.CreateSecretInput{
			Name: sdk.String("x"), SecretString: value, SecretBinary: []byte("x"),
		}, "InvalidParameterException"},
		"an empty value": {
			secretsmanager.CreateSecretInput{Name: sdk.String("x"), SecretString: sdk.String("")},
			"InvalidParameterException",
		},
		"a value too long": {secretsmanager.CreateSecretInput{
			Name: sdk.String("x"), SecretString: sdk.String(strings.Repeat("x", 65537)),
		}, "InvalidParameterException"},
		"a short token": {secretsmanager.CreateSecretInput{
			Name: sdk.String("x"), SecretString: value, ClientRequestToken: sdk.String("short"),
		}, "InvalidParameterException"},
		"a key that is nowhere": {secretsmanager.CreateSecretInput{
			Name: sdk.String("x"), SecretString: value, KmsKeyId: sdk.String("alias/none"),
		}, "InvalidParameterException"},
		"a tag of AWS": {secretsmanager.CreateSecretInput{
			Name: sdk.String("x"), SecretString: value, Tags: []types.Tag{{Key: sdk.String("aws:x"), Value: value}},
		}, "InvalidParameterException"},
		"a tag twice": {secretsmanager.CreateSecretInput{
			Name: sdk.String("x"), SecretString: value,
			Tags: []types.Tag{{Key: sdk.String("x"), Value: value}, {Key: sdk.String("x"), Value: value}},
		}, "InvalidParameterException"},
	} {
		_, err := s.CreateSecret(ctx, &c.in)
		require.Error(t, err, name)
		refused(t, err, c.code)
	}
	in := &secretsmanager.CreateSecretInput{
		Name: sdk.String("x"), SecretString: value, ClientRequestToken: sdk.String(strings.Repeat("t", 32)),
	}
	one, err := s.CreateSecret(ctx, in)
	require.NoError(t, err)
	two, err := s.CreateSecret(ctx, in)
	require.NoError(t, err, "the same request again")
	assert.Equal(t, *one.ARN, *two.ARN)
	in.ClientRequestToken = nil
	_, err = s.CreateSecret(ctx, in)
	refused(t, err, "ResourceExistsException")
}

func TestSecretsAreDeletedAfterTheirRecoveryWindow(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	s := a.secrets(a.admin())
	id := sdk.String("x")
	_, err := s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: id, SecretString: sdk.String("v")})
	require.NoError(t, err)
	_, err = s.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: id, RecoveryWindowInDays: sdk.Int64(6)})
	refused(t, err, "InvalidParameterException")
	_, err = s.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{
		SecretId: id, RecoveryWindowInDays: sdk.Int64(7), ForceDeleteWithoutRecovery: sdk.Bool(true),
	})
	refused(t, err, "InvalidParameterException")
	out, err := s.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: id})
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().AddDate(0, 0, 30), *out.DeletionDate, time.Minute)
	_, err = s.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: id})
	refused(t, err, "InvalidRequestException")
	_, err = s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: id, SecretString: sdk.String("v")})
	refused(t, err, "InvalidRequestException")
	list, err := s.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	require.NoError(t, err)
	assert.Empty(t, list.SecretList)
	list, err = s.ListSecrets(ctx, &secretsmanager.ListSecretsInput{IncludePlannedDeletion: sdk.Bool(true)})
	require.NoError(t, err)
	assert.Len(t, list.SecretList, 1)
	_, err = s.RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: id})
	require.NoError(t, err)
	_, err = s.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: id})
	require.NoError(t, err)
	_, err = s.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{
		SecretId: id, ForceDeleteWithoutRecovery: sdk.Bool(true),
	})
	require.NoError(t, err)
	_, err = s.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: id})
	refused(t, err, "ResourceNotFoundException")
}

func TestOnlyTheOwningServiceChangesManagedSecrets(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	db, _ := a.instance("myshop", nil)
	id := sdk.String(secretOf(db))
	s := a.secrets(a.admin())
	_, err := s.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: id, SecretString: sdk.String("x")})
	refused(t, err, "InvalidRequestException")
	_, err = s.UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: id, SecretString: sdk.String("x")})
	refused(t, err, "InvalidRequestException")
	_, err = s.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: id})
	refused(t, err, "InvalidRequestException")
	_, err = s.UntagResource(ctx, &secretsmanager.UntagResourceInput{
		SecretId: id, TagKeys: []string{"aws:rds:primaryDBInstanceArn"},
	})
	refused(t, err, "InvalidParameterException")

	before := a.password(*id, "AWSCURRENT")
	_, err = s.RotateSecret(ctx, &secretsmanager.RotateSecretInput{
		SecretId: id, RotateImmediately: sdk.Bool(false),
		RotationRules: &types.RotationRulesType{AutomaticallyAfterDays: sdk.Int64(30)},
	})
	require.NoError(t, err)
	assert.True(t, same(before, a.password(*id, "AWSCURRENT")), "only the schedule changed")
	d, err := s.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: id})
	require.NoError(t, err)
	assert.Equal(t, int64(30), *d.RotationRules.AutomaticallyAfterDays)
	token := sdk.String(strings.Repeat("r", 32))
	for range 2 {
		out, err := s.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: id, ClientRequestToken: token})
		require.NoError(t, err)
		assert.Equal(t, *token, *out.VersionId, "the same request rotates once")
	}
	assert.True(t, same(before, a.password(*id, "AWSPREVIOUS")))
	for expression, code := range map[string]string{
		"rate(10 days)": "", "cron(0 8 1 * ? *)": "NotImplemented",
		"rate(0 days)": "InvalidParameterException",
	} {
		_, err = s.RotateSecret(ctx, &secretsmanager.RotateSecretInput{
			SecretId: id, RotateImmediately: sdk.Bool(false),
			RotationRules: &types.RotationRulesType{ScheduleExpression: &expression},
		})
		if code == "" {
			require.NoError(t, err)
		} else {
			refused(t, err, code)
		}
	}
	_, err = s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: sdk.String("own"), SecretString: sdk.String("x"),
	})
	require.NoError(t, err)
	_, err = s.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: sdk.String("own")})
	refused(t, err, "InvalidRequestException")
}

func TestSecretsAreListedByFiltersAndPages(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	s := a.secrets(a.admin())
	for i := range 5 {
		_, err := s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
			Name: sdk.String(fmt.Sprintf("team-%c/db", 'a'+i)), SecretString: sdk.String("v"),
			Description: sdk.String("The database"),
			Tags:        []types.Tag{{Key: sdk.String("team"), Value: sdk.String(string(rune('a' + i)))}},
		})
		require.NoError(t, err)
	}
	names := func(in secretsmanager.ListSecretsInput) string {
		t.Helper()
		var out []string
		pages := secretsmanager.NewListSecretsPaginator(s, &in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			require.NoError(t, err)
			for _, e := range page.SecretList {
				out = append(out, (*e.Name)[len("team-"):len("team-")+1])
			}
		}
		return strings.Join(out, "")
	}
	filter := func(key types.FilterNameStringType, values ...string) types.Filter {
		return types.Filter{Key: key, Values: values}
	}
	assert.Equal(t, "edcba", names(secretsmanager.ListSecretsInput{}))
	assert.Equal(t, "abcde", names(secretsmanager.ListSecretsInput{
		SortOrder: types.SortOrderTypeAsc, MaxResults: sdk.Int32(2),
	}))
	for _, c := range []struct {
		want    string
		filters []types.Filter
	}{
		{"a", []types.Filter{filter("name", "team-a")}},
		{"ab", []types.Filter{filter("name", "team-a", "team-b")}},
		{"", []types.Filter{filter("name", "Team-a")}},
		{"bcde", []types.Filter{filter("name", "!team-a")}},
		{"abcde", []types.Filter{filter("description", "the DATA")}},
		{"c", []types.Filter{filter("tag-key", "team"), filter("tag-value", "c")}},
		{"", []types.Filter{filter("owning-service", "rds")}},
		{"d", []types.Filter{filter("all", "TEAM-D database")}},
		{"abcde", []types.Filter{filter("primary-region", "ap-")}},
	} {
		assert.Equal(t, c.want, names(secretsmanager.ListSecretsInput{
			Filters: c.filters, SortOrder: types.SortOrderTypeAsc,
		}), "%v", c.filters)
	}
	_, err := s.ListSecrets(ctx, &secretsmanager.ListSecretsInput{NextToken: sdk.String("forged")})
	refused(t, err, "InvalidNextTokenException")
	_, err = s.ListSecrets(ctx, &secretsmanager.ListSecretsInput{MaxResults: sdk.Int32(101)})
	refused(t, err, "InvalidParameterException")
	_, err = s.ListSecrets(ctx, &secretsmanager.ListSecretsInput{Filters: []types.Filter{filter("colour", "red")}})
	refused(t, err, "ValidationException")
	elsewhere := a.config(a.admin())
	elsewhere.Region = "eu-west-1"
	out, err := secretsmanager.NewFromConfig(elsewhere).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	require.NoError(t, err)
	assert.Empty(t, out.SecretList, "another region has its own secrets")

	batch, err := s.BatchGetSecretValue(ctx,
		&secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{"team-a/db", "nowhere"}})
	require.NoError(t, err)
	assert.Len(t, batch.SecretValues, 1)
	require.Len(t, batch.Errors, 1)
	assert.Equal(t, "ResourceNotFoundException", *batch.Errors[0].ErrorCode)
	batch, err = s.BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{
		Filters: []types.Filter{filter("name", "team-")}, MaxResults: sdk.Int32(3),
	})
	require.NoError(t, err)
	assert.Len(t, batch.SecretValues, 3)
	require.NotNil(t, batch.NextToken)
	_, err = s.BatchGetSecretValue(ctx, &secretsmanager.BatchGetSecretValueInput{})
	refused(t, err, "InvalidParameterException")

	_, err = s.TagResource(ctx, &secretsmanager.TagResourceInput{
		SecretId: sdk.String("team-a/db"), Tags: []types.Tag{{Key: sdk.String("env"), Value: sdk.String("dev")}},
	})
	require.NoError(t, err)
	_, err = s.UntagResource(ctx, &secretsmanager.UntagResourceInput{
		SecretId: sdk.String("team-a/db"), TagKeys: []string{"team"},
	})
	require.NoError(t, err)
	d, err := s.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: sdk.String("team-a/db")})
	require.NoError(t, err)
	require.Len(t, d.Tags, 1)
	assert.Equal(t, "env", *d.Tags[0].Key)
}

func TestABatchReadsOnlyWhatTheCallerMayRead(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	for _, name := range []string{"mine", "theirs"} {
		_, err := a.secrets(a.admin()).CreateSecret(ctx,
			&secretsmanager.CreateSecretInput{Name: &name, SecretString: sdk.String("v")})
		require.NoError(t, err)
	}
	role := a.role("reader", "myshop:reader", allow([]string{"secretsmanager:BatchGetSecretValue"}, "*"),
		allow([]string{"secretsmanager:GetSecretValue"}, "arn:aws:secretsmanager:*:*:secret:mine-*"))
	creds, err := a.assume(role, a.token("myshop:reader", "sts.amazonaws.com", nil))
	require.NoError(t, err)
	out, err := a.secrets(creds).BatchGetSecretValue(ctx,
		&secretsmanager.BatchGetSecretValueInput{SecretIdList: []string{"mine", "theirs"}})
	require.NoError(t, err)
	assert.Len(t, out.SecretValues, 1)
	require.Len(t, out.Errors, 1)
	assert.Equal(t, "AccessDeniedException", *out.Errors[0].ErrorCode)
}

func TestOldVersionsWithoutALabelAreRemoved(t *testing.T) {
	s := &secret{ARN: "x", Versions: map[string]*secretVersion{}}
	start := time.Now()
	for i := range 250 {
		value := strconv.Itoa(i)
		err := s.putVersion(randomUUID(), &value, nil, []string{stageCurrent}, start.Add(time.Duration(i)*time.Second))
		require.NoError(t, err)
	}
	assert.Len(t, s.Versions, maxVersions)
	assert.Equal(t, "249", *s.stage(stageCurrent).String)
	assert.Equal(t, "248", *s.stage(stagePrevious).String)
}
