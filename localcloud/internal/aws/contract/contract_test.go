package contract_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadCredentialsAreRefusedInTheWordsOfEachProtocol(t *testing.T) {
	g := newTarget(t)
	right, err := g.config.Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	wrongSecret := g.as(credentials.NewStaticCredentialsProvider(right.AccessKeyID,
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", right.SessionToken))
	unknown := g.as(credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE",
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""))
	madeUp := g.as(credentials.NewStaticCredentialsProvider("ASIAIOSFODNN7EXAMPLE",
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "bm90IGEgdG9rZW4="))
	for _, c := range []struct {
		name        string
		who         *target
		query, json string
	}{
		{"a wrong secret key", wrongSecret, "SignatureDoesNotMatch", "InvalidSignatureException"},
		{"an unknown access key", unknown, "InvalidClientTokenId", "UnrecognizedClientException"},
		{"an invalid session token", madeUp, "InvalidClientTokenId", "UnrecognizedClientException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.who.sts().GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
			refused(t, err, c.query)
			_, err = c.who.rds().DescribeDBInstances(t.Context(), &rds.DescribeDBInstancesInput{})
			refused(t, err, c.query)
			_, err = c.who.secrets().ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
			refused(t, err, c.json)
		})
	}
	unsigned := g.as(nil)
	answer := unsigned.query(t, "sts", "2011-06-15", "GetCallerIdentity", nil)
	assert.Equal(t, http.StatusForbidden, answer.status)
	assert.Equal(t, "MissingAuthenticationToken", answer.Code)
}

func TestGetCallerIdentityNamesTheCaller(t *testing.T) {
	g := newTarget(t)
	who, err := g.sts().GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	assert.Regexp(t, `^[0-9]{12}$`, *who.Account)
	assert.Regexp(t, `^arn:aws[a-z-]*:(iam|sts)::`+*who.Account+`:`, *who.Arn)
	assert.NotEmpty(t, *who.UserId)
}

func TestASecretsVersionsMoveThroughTheirStages(t *testing.T) {
	g := newTarget(t)
	name, arn := g.secret(t, "one")
	assert.Regexp(t, `^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:`+name+`-[A-Za-z0-9]{6}$`, arn)
	put := func(value, token string, stages ...string) error {
		in := &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: &value, VersionStages: stages}
		if token != "" {
			in.ClientRequestToken = &token
		}
		_, err := g.secrets().PutSecretValue(t.Context(), in)
		return err
	}
	get := func(id, stage string) (string, error) {
		in := &secretsmanager.GetSecretValueInput{SecretId: &id}
		if stage != "" {
			in.VersionStage = &stage
		}
		out, err := g.secrets().GetSecretValue(t.Context(), in)
		if err != nil {
			return "", err
		}
		return *out.SecretString, nil
	}
	require.NoError(t, put("two", ""))
	pending := strings.Repeat("p", 32)
	require.NoError(t, put("three", pending, "AWSPENDING"))
	require.NoError(t, put("three", pending, "AWSPENDING"), "the same request again")
	refused(t, put("four", pending, "AWSPENDING"), "ResourceExistsException")
	for _, c := range []struct{ id, stage, want string }{
		{arn, "", "two"}, {name, "AWSCURRENT", "two"}, {name, "AWSPREVIOUS", "one"}, {name, "AWSPENDING", "three"},
	} {
		got, err := get(c.id, c.stage)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, c.stage)
	}
	_, err := get(name, "NOSUCHSTAGE")
	refused(t, err, "ResourceNotFoundException")
	d, err := g.secrets().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &name})
	require.NoError(t, err)
	assert.Len(t, d.VersionIdsToStages, 3)
	assert.Equal(t, []string{"AWSPENDING"}, d.VersionIdsToStages[pending])
	list, err := g.secrets().ListSecrets(t.Context(),
		&secretsmanager.ListSecretsInput{Filters: []types.Filter{
			{Key: types.FilterNameStringTypeName, Values: []string{name}},
		}})
	require.NoError(t, err)
	require.Len(t, list.SecretList, 1)
	assert.Equal(t, arn, *list.SecretList[0].ARN)
	p, err := g.secrets().GetResourcePolicy(t.Context(), &secretsmanager.GetResourcePolicyInput{SecretId: &name})
	require.NoError(t, err)
	assert.Nil(t, p.ResourcePolicy)
}

func TestASecretThatWaitsForItsDeletionCannotBeUsed(t *testing.T) {
	g := newTarget(t)
	name, _ := g.secret(t, "v")
	_, err := g.secrets().DeleteSecret(t.Context(),
		&secretsmanager.DeleteSecretInput{SecretId: &name, RecoveryWindowInDays: sdk.Int64(6)})
	refused(t, err, "InvalidParameterException")
	out, err := g.secrets().DeleteSecret(t.Context(),
		&secretsmanager.DeleteSecretInput{SecretId: &name, RecoveryWindowInDays: sdk.Int64(7)})
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now().AddDate(0, 0, 7), *out.DeletionDate, time.Hour)
	_, err = g.secrets().GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &name})
	refused(t, err, "InvalidRequestException")
	_, err = g.secrets().CreateSecret(t.Context(),
		&secretsmanager.CreateSecretInput{Name: &name, SecretString: sdk.String("w")})
	refused(t, err, "InvalidRequestException")
	_, err = g.secrets().RestoreSecret(t.Context(), &secretsmanager.RestoreSecretInput{SecretId: &name})
	require.NoError(t, err)
	_, err = g.secrets().CreateSecret(t.Context(),
		&secretsmanager.CreateSecretInput{Name: &name, SecretString: sdk.String("w")})
	refused(t, err, "ResourceExistsException")
}

func TestInvalidRequestsForSecretsAreRefused(t *testing.T) {
	g := newTarget(t)
	_, err := g.secrets().GetSecretValue(t.Context(),
		&secretsmanager.GetSecretValueInput{SecretId: sdk.String(unique())})
	refused(t, err, "ResourceNotFoundException")
	_, err = g.secrets().RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: sdk.String(unique())})
	refused(t, err, "ResourceNotFoundException")
	name, _ := g.secret(t, "v")
	_, err = g.secrets().RotateSecret(t.Context(), &secretsmanager.RotateSecretInput{SecretId: &name})
	refused(t, err, "InvalidRequestException")
	_, err = g.secrets().PutSecretValue(t.Context(),
		&secretsmanager.PutSecretValueInput{
			SecretId: &name, SecretString: sdk.String("v"),
			ClientRequestToken: sdk.String("short"),
		})
	refused(t, err, "InvalidParameterException")
}

func TestARoleReadsTheSecretThatItsPolicyNamesAndNoOther(t *testing.T) {
	g := newTarget(t)
	_, mine := g.secret(t, "mine")
	_, theirs := g.secret(t, "theirs")
	name, arn := g.role(t, policy(m{
		"Effect": "Allow", "Principal": m{"AWS": g.accountID(t)},
		"Action": "sts:AssumeRole",
	}))
	g.put(t, name, policy(m{"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": mine}))
	var role *target
	g.eventually(t, "assume the role", func() error {
		out, err := g.sts().AssumeRole(t.Context(),
			&sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: sdk.String("contract")})
		if err == nil {
			role = g.as(credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId,
				*out.Credentials.SecretAccessKey, *out.Credentials.SessionToken))
		}
		return err
	})
	who, err := role.sts().GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	assert.Regexp(t, `^arn:aws[a-z-]*:sts::[0-9]{12}:assumed-role/`+name+`/contract$`, *who.Arn)
	get := func(id string) error {
		_, err := role.secrets().GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &id})
		return err
	}
	g.eventually(t, "read the named secret", func() error { return get(mine) })
	refused(t, get(theirs), "AccessDeniedException")
	refused(t, get(unique()), "AccessDeniedException")
	_, err = role.secrets().ListSecrets(t.Context(), &secretsmanager.ListSecretsInput{})
	refused(t, err, "AccessDeniedException")
	_, err = role.secrets().DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: &mine})
	refused(t, err, "AccessDeniedException")

	limited, err := g.sts().AssumeRole(t.Context(), &sts.AssumeRoleInput{
		RoleArn: &arn, RoleSessionName: sdk.String("limited"),
		Policy: sdk.String(policy(m{
			"Effect": "Allow", "Action": "secretsmanager:DescribeSecret",
			"Resource": "*",
		})),
	})
	require.NoError(t, err)
	c := limited.Credentials
	_, err = g.as(credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey,
		*c.SessionToken)).secrets().
		GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &mine})
	refused(t, err, "AccessDeniedException")

	g.put(t, name, policy(
		m{"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"},
		m{"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": mine}))
	g.eventually(t, "read the other secret", func() error { return get(theirs) })
	g.eventually(t, "be denied the named one", func() error {
		if err := get(mine); code(err) != "AccessDeniedException" {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
}

func TestOnlyTrustedPrincipalsAssumeARole(t *testing.T) {
	g := newTarget(t)
	account := g.accountID(t)
	_, service := g.role(t, policy(m{
		"Effect": "Allow", "Principal": m{"Service": "monitoring.rds.amazonaws.com"},
		"Action": "sts:AssumeRole",
	}))
	_, external := g.role(t, policy(m{
		"Effect": "Allow", "Principal": m{"AWS": account}, "Action": "sts:AssumeRole",
		"Condition": m{"StringEquals": m{"sts:ExternalId": "42"}},
	}))
	assume := func(arn, id string, seconds int32) error {
		in := &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: sdk.String("contract"), DurationSeconds: &seconds}
		if id != "" {
			in.ExternalId = &id
		}
		_, err := g.sts().AssumeRole(t.Context(), in)
		return err
	}
	g.eventually(t, "assume with the external ID", func() error { return assume(external, "42", 900) })
	refused(t, assume(external, "43", 900), "AccessDenied")
	refused(t, assume(external, "", 900), "AccessDenied")
	refused(t, assume(service, "", 900), "AccessDenied")
	refused(t, assume("arn:aws:iam::"+account+":role/"+unique(), "", 900), "AccessDenied")
	refused(t, assume(external, "42", 7200), "ValidationError")
	refused(t, assume(external, "42", 60), "ValidationError")
}

func TestAWebIdentityGetsTheRoleThatTrustsIt(t *testing.T) {
	g := newTarget(t)
	token := g.token(t)
	require.NotEmpty(t, g.provider, "the ARN of the token's OIDC provider")
	key := g.provider[strings.Index(g.provider, "/")+1:]
	trust := func(subject string) string {
		return policy(m{
			"Effect": "Allow", "Principal": m{"Federated": g.provider}, "Action": "sts:AssumeRoleWithWebIdentity",
			"Condition": m{"StringEquals": m{key + ":sub": subject, key + ":aud": "sts.amazonaws.com"}},
		})
	}
	_, own := g.role(t, trust(subjectOf(t, token)))
	_, others := g.role(t, trust("system:serviceaccount:somebody:else"))
	assume := func(arn, token string) error {
		_, err := g.as(nil).sts().AssumeRoleWithWebIdentity(t.Context(),
			&sts.AssumeRoleWithWebIdentityInput{
				RoleArn: &arn, RoleSessionName: sdk.String("contract"),
				WebIdentityToken: &token,
			})
		return err
	}
	g.eventually(t, "assume the role with the token", func() error { return assume(own, token) })
	refused(t, assume(others, token), "AccessDenied")
	refused(t, assume(own, tamper(token)), "InvalidIdentityToken")
	refused(t, assume(own, unsignedToken("https://nobody.example.org")), "InvalidIdentityToken")
	refused(t, assume(own, "notatoken"), "InvalidIdentityToken")
}

func subjectOf(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var claims struct{ Sub string }
	require.NoError(t, json.Unmarshal(payload, &claims))
	return claims.Sub
}

func TestRDSErrorsNameTheMissingResource(t *testing.T) {
	g := newTarget(t)
	id := sdk.String(unique())
	_, err := g.rds().DescribeDBInstances(t.Context(), &rds.DescribeDBInstancesInput{DBInstanceIdentifier: id})
	refused(t, err, "DBInstanceNotFound")
	_, err = g.rds().ModifyDBInstance(t.Context(),
		&rds.ModifyDBInstanceInput{DBInstanceIdentifier: id, DeletionProtection: sdk.Bool(true)})
	refused(t, err, "DBInstanceNotFound")
	_, err = g.rds().RebootDBInstance(t.Context(), &rds.RebootDBInstanceInput{DBInstanceIdentifier: id})
	refused(t, err, "DBInstanceNotFound")
	_, err = g.rds().DescribeDBSnapshots(t.Context(), &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: id})
	refused(t, err, "DBSnapshotNotFound")
	_, err = g.rds().DescribeDBSubnetGroups(t.Context(), &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: id})
	refused(t, err, "DBSubnetGroupNotFoundFault")
	_, err = g.rds().DescribeDBParameterGroups(t.Context(),
		&rds.DescribeDBParameterGroupsInput{DBParameterGroupName: id})
	refused(t, err, "DBParameterGroupNotFound")
	_, err = g.rds().DescribeDBInstances(t.Context(), &rds.DescribeDBInstancesInput{MaxRecords: sdk.Int32(5)})
	refused(t, err, "InvalidParameterValue")
}

func TestMaxConnectionsFollowMemoryInTheDefaultGroup(t *testing.T) {
	g := newTarget(t)
	pages := rds.NewDescribeDBParametersPaginator(g.rds(),
		&rds.DescribeDBParametersInput{DBParameterGroupName: sdk.String("default.postgres16")})
	found := map[string]string{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		require.NoError(t, err)
		for _, p := range page.Parameters {
			found[*p.ParameterName] = sdk.ToString(p.ApplyType)
			if *p.ParameterName == "max_connections" {
				assert.Equal(t, "LEAST({DBInstanceClassMemory/9531392},5000)", *p.ParameterValue)
			}
		}
	}
	for name, apply := range map[string]string{
		"max_connections": "static", "rds.force_ssl": "dynamic",
		"log_statement": "dynamic", "shared_preload_libraries": "static", "work_mem": "dynamic",
	} {
		assert.Equal(t, apply, found[name], name)
	}
}

func TestKMSErrorsNameTheMissingResource(t *testing.T) {
	g := newTarget(t)
	_, errorType := g.kms(t, "DescribeKey", map[string]any{"KeyId": "00000000-0000-0000-0000-000000000000"})
	assert.Equal(t, "NotFoundException", errorType)
	_, errorType = g.kms(t, "GetKeyPolicy", map[string]any{"KeyId": "alias/" + unique()})
	assert.Equal(t, "NotFoundException", errorType)
	out, errorType := g.kms(t, "ListAliases", map[string]any{})
	assert.Empty(t, errorType)
	assert.Contains(t, out, "Aliases")
}
