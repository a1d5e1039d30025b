package aws

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	sdkcreds "github.com/aws/aws-sdk-go-v2/credentials"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOnlyTheTrustedServiceAccountGetsTheRole(t *testing.T) {
	a := newAccount(t)
	role := a.role("reader", "myshop:reader")
	other := a.role("other", "myshop:other")
	good := a.token("myshop:reader", "sts.amazonaws.com", nil)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	signedBy := func(method jwt.SigningMethod, key any) string {
		now := time.Now()
		token, err := jwt.NewWithClaims(method, jwt.MapClaims{
			"iss": issuer, "sub": "system:serviceaccount:myshop:reader", "aud": "sts.amazonaws.com", "iat": now.Unix(),
			"exp": now.Add(time.Hour).Unix(),
		}).SignedString(key)
		require.NoError(t, err)
		return token
	}
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	claims, err := base64.RawURLEncoding.DecodeString(payload)
	require.NoError(t, err)
	forged := base64.RawURLEncoding.EncodeToString(
		[]byte(strings.Replace(string(claims), "myshop:reader", "myshop:other", 1)),
	)

	_, err = a.assume(role, good)
	require.NoError(t, err, "the ServiceAccount's own token")
	for name, c := range map[string]struct{ role, token, code string }{
		"another ServiceAccount":     {role, a.token("myshop:other", "sts.amazonaws.com", nil), "AccessDenied"},
		"another namespace":          {role, a.token("outsiders:reader", "sts.amazonaws.com", nil), "AccessDenied"},
		"another role":               {other, good, "AccessDenied"},
		"a role that does not exist": {strings.Replace(role, "reader", "nobody", 1), good, "AccessDenied"},
		"a role in another account":  {strings.Replace(role, AccountID, "999999999999", 1), good, "AccessDenied"},
		"a wrong audience": {
			role, a.token("myshop:reader", "https://kubernetes.default.svc", nil),
			"InvalidIdentityToken",
		},
		"an expired token": {role, a.token("myshop:reader", "sts.amazonaws.com",
			func(c jwt.MapClaims) { c["exp"] = time.Now().Add(-time.Second).Unix() }), "ExpiredTokenException"},
		"a token from the future": {role, a.token("myshop:reader", "sts.amazonaws.com",
			func(c jwt.MapClaims) { c["nbf"] = time.Now().Add(time.Hour).Unix() }), "InvalidIdentityToken"},
		"another issuer": {role, a.token("myshop:reader", "sts.amazonaws.com",
			func(c jwt.MapClaims) { c["iss"] = "https://evil.example.org" }), "InvalidIdentityToken"},
		"no subject": {role, a.token("myshop:reader", "sts.amazonaws.com",
			func(c jwt.MapClaims) { delete(c, "sub") }), "InvalidIdentityToken"},
		"no expiry": {role, a.token("myshop:reader", "sts.amazonaws.com",
			func(c jwt.MapClaims) { delete(c, "exp") }), "InvalidIdentityToken"},
		"a tampered signature": {
			role, good[:len(good)-12] + "AAAA" + good[len(good)-8:],
			"InvalidIdentityToken",
		},
		"another subject put in": {role, header + "." + forged + "." + signature, "InvalidIdentityToken"},
		"another key":            {role, signedBy(jwt.SigningMethodRS256, foreign), "InvalidIdentityToken"},
		"no signature (alg none)": {
			role, signedBy(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
			"InvalidIdentityToken",
		},
		"a symmetric key (alg HS256)":  {role, signedBy(jwt.SigningMethodHS256, []byte("x")), "InvalidIdentityToken"},
		"not a token":                  {role, "not.a.token", "InvalidIdentityToken"},
		"a token too long for STS":     {role, strings.Repeat("x", 20001), "ValidationError"},
		"not a role":                   {"reader", good, "ValidationError"},
		"an ARN with another path":     {strings.Replace(role, "role/", "role/path/", 1), good, "AccessDenied"},
		"a role in other upper case":   {strings.Replace(role, "reader", "Reader", 1), good, "AccessDenied"},
		"a ServiceAccount with a star": {role, a.token("myshop:*", "sts.amazonaws.com", nil), "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.assume(c.role, c.token)
			e := refused(t, err, c.code)
			assert.NotContains(t, e.ErrorMessage(), c.token, "the token is not quoted")
		})
	}
	assert.NotContains(t, a.log.String(), good, "no token in the log")
}

func TestWhatTheRoleDoesNotAllowIsDenied(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	db, key := a.instance("myshop-dev", nil)
	arn := secretOf(db)
	team, err := a.secrets(a.admin()).CreateSecret(ctx,
		&secretsmanager.CreateSecretInput{Name: sdk.String("team-b/db"), SecretString: sdk.String("theirs")})
	require.NoError(t, err)
	may := allow([]string{"secretsmanager:GetSecretValue"}, arn)
	full := a.role("full", "myshop:reader", may, allow([]string{"kms:Decrypt"}, key.Outputs["arn"].(string)))
	noKey := a.role("no-key", "myshop:reader", may)
	wrongVia := a.role("wrong-via", "myshop:reader", may, m{
		"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
		"Condition": m{"StringEquals": m{"kms:ViaService": "rds.ap-northeast-2.amazonaws.com"}},
	})
	rightVia := a.role("right-via", "myshop:reader", may, m{
		"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": m{"StringEquals": m{
			"kms:ViaService": "secretsmanager.ap-northeast-2.amazonaws.com", "kms:EncryptionContext:SecretARN": arn,
		}},
	})
	tagged := a.role("tagged", "myshop:reader", m{
		"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
		"Condition": m{"StringEquals": m{"secretsmanager:ResourceTag/aws:rds:primaryDBInstanceArn": db.Outputs["arn"]}},
	}, allow([]string{"kms:Decrypt"}, "*"))
	previous := a.role("previous", "myshop:reader", m{
		"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": "*",
		"Condition": m{"StringEquals": m{"secretsmanager:VersionStage": "AWSPREVIOUS"}},
	}, allow([]string{"kms:Decrypt"}, "*"))
	denied := a.role("denied", "myshop:reader", allow([]string{"*"}, "*"),
		m{"Effect": "Deny", "Action": "secretsmanager:*", "Resource": arn})
	bounded := a.create(typeRole, "bounded", m{
		"name": "bounded", "assumeRolePolicy": irsaTrust("myshop:reader"),
		"permissionsBoundary": "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
	}).Outputs["arn"].(string)
	a.create(typePolicy, "bounded", m{"name": "all", "role": "bounded", "policy": policy(allow([]string{"*"}, "*"))})

	for _, c := range []struct{ name, role, secret, says string }{
		{"its own secret", full, arn, ""},
		{"its own secret, by name", full, arn[strings.Index(arn, "rds!") : len(arn)-7], ""},
		{
			"another team's secret", full, *team.ARN,
			"no identity-based policy allows the secretsmanager:GetSecretValue action",
		},
		{"a secret that does not exist", full, "nowhere", "no identity-based policy"},
		{"without kms:Decrypt", noKey, arn, "Access to KMS is not allowed"},
		{"kms:Decrypt through another service", wrongVia, arn, "Access to KMS is not allowed"},
		{"kms:Decrypt through Secrets Manager for this secret", rightVia, arn, ""},
		{"by the tag of its instance", tagged, arn, ""},
		{"another secret, by the tag of the instance", tagged, *team.ARN, "no identity-based policy"},
		{"another stage than the allowed one", previous, arn, "no identity-based policy"},
		{"an explicit deny", denied, arn, "with an explicit deny in an identity-based policy"},
		{"beyond the boundary", bounded, arn, "no permissions boundary allows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			creds, err := a.assume(c.role, a.token("myshop:reader", "sts.amazonaws.com", nil))
			require.NoError(t, err)
			_, err = a.secrets(creds).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &c.secret})
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			assert.Contains(t, refused(t, err, "AccessDeniedException").ErrorMessage(), c.says)
		})
	}

	creds, err := a.assume(full, a.token("myshop:reader", "sts.amazonaws.com", nil))
	require.NoError(t, err)
	s := a.secrets(creds)
	_, err = s.ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	refused(t, err, "AccessDeniedException")
	_, err = s.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &arn})
	refused(t, err, "AccessDeniedException")
	_, err = s.RotateSecret(ctx, &secretsmanager.RotateSecretInput{SecretId: &arn})
	refused(t, err, "AccessDeniedException")
	_, err = s.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: sdk.String("mine"), SecretString: sdk.String("x"),
	})
	refused(t, err, "AccessDeniedException")
	_, err = s.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: &arn})
	refused(t, err, "AccessDeniedException")
	_, err = a.rds(creds).DescribeDBInstances(ctx, &awsrds.DescribeDBInstancesInput{})
	refused(t, err, "AccessDenied")
	_, err = a.rds(creds).ModifyDBInstance(ctx,
		&awsrds.ModifyDBInstanceInput{
			DBInstanceIdentifier: sdk.String("myshop-dev"),
			DeletionProtection:   sdk.Bool(false),
		})
	refused(t, err, "AccessDenied")
	_, err = a.sts(creds).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &denied, RoleSessionName: sdk.String("x1")})
	refused(t, err, "AccessDenied")
}

func TestAKeyThatDoesNotDelegateDeniesPrincipalsThatItDoesNotName(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	reader := a.role("reader", "myshop:reader", allow([]string{"secretsmanager:*", "kms:*"}, "*"))
	writer := a.role("writer", "myshop:writer", allow([]string{"secretsmanager:*", "kms:*"}, "*"))
	key := a.create(typeKey, "key", m{"policy": policy(
		m{
			"Effect": "Allow", "Principal": m{"AWS": "arn:aws:iam::111122223333:user/administrator"}, "Action": "kms:*",
			"Resource": "*",
		},
		m{"Effect": "Allow", "Principal": m{"AWS": reader}, "Action": "kms:Decrypt", "Resource": "*"},
	)})
	made, err := a.secrets(a.admin()).CreateSecret(ctx,
		&secretsmanager.CreateSecretInput{Name: sdk.String("x"), SecretString: sdk.String("v"), KmsKeyId: &key.ID})
	require.NoError(t, err)
	for subject, role := range map[string]string{"myshop:reader": reader, "myshop:writer": writer} {
		creds, err := a.assume(role, a.token(subject, "sts.amazonaws.com", nil))
		require.NoError(t, err)
		_, err = a.secrets(creds).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: made.ARN})
		if role == reader {
			require.NoError(t, err)
		} else {
			refused(t, err, "AccessDeniedException")
		}
		_, err = a.secrets(creds).PutSecretValue(ctx,
			&secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretString: sdk.String("w")})
		refused(t, err, "AccessDeniedException")
	}
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeKey, "", key.ID, nil, nil).status)
	_, err = a.secrets(a.admin()).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: made.ARN})
	refused(t, err, "DecryptionFailure")
}

func TestTemporaryCredentialsCannotBeForgedAndEndWithTheirRole(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	role := a.role("reader", "myshop:reader", allow([]string{"secretsmanager:ListSecrets"}, "*"))
	creds, err := a.assume(role, a.token("myshop:reader", "sts.amazonaws.com", nil))
	require.NoError(t, err)
	v, err := creds.Retrieve(ctx)
	require.NoError(t, err)
	identity := func(id, secret, token string) error {
		_, err := a.sts(sdkcreds.NewStaticCredentialsProvider(id, secret, token)).GetCallerIdentity(ctx,
			&sts.GetCallerIdentityInput{})
		return err
	}
	require.NoError(t, identity(v.AccessKeyID, v.SecretAccessKey, v.SessionToken))
	admin := a.store.Read().Admin
	token := []byte(v.SessionToken)
	token[len(token)/2] ^= 1
	refused(t, identity(v.AccessKeyID, "wrong", v.SessionToken), "SignatureDoesNotMatch")
	refused(t, identity(v.AccessKeyID, v.SecretAccessKey, ""), "InvalidClientTokenId")
	refused(t, identity(v.AccessKeyID, v.SecretAccessKey, string(token)), "InvalidClientTokenId")
	refused(t, identity(v.AccessKeyID, v.SecretAccessKey, "x"), "InvalidClientTokenId")
	refused(t, identity("ASIAXXXXXXXXXXXXXXXX", v.SecretAccessKey, v.SessionToken), "InvalidClientTokenId")
	refused(t, identity(admin.AccessKeyID, "wrong", ""), "SignatureDoesNotMatch")
	refused(t, identity(admin.AccessKeyID, admin.SecretAccessKey, v.SessionToken), "InvalidClientTokenId")
	refused(t, identity("AKIAXXXXXXXXXXXXXXXX", "x", ""), "InvalidClientTokenId")

	// As on AWS, credentials stay valid when the service restarts.
	require.NoError(t, a.Close())
	a.open()
	require.NoError(t, identity(v.AccessKeyID, v.SecretAccessKey, v.SessionToken))

	// A new role with the same name is another role.
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typePolicy, "", "reader:inline", nil,
		nil).status)
	require.Equal(t, http.StatusNoContent, a.controlCall(http.MethodDelete, typeRole, "", "reader", nil, nil).status)
	refused(t, identity(v.AccessKeyID, v.SecretAccessKey, v.SessionToken), "InvalidClientTokenId")
	a.role("reader", "myshop:reader")
	refused(t, identity(v.AccessKeyID, v.SecretAccessKey, v.SessionToken), "InvalidClientTokenId")
}

func TestTemporaryCredentialsExpire(t *testing.T) {
	a := newAccount(t)
	a.now = time.Now()
	role := a.role("reader", "myshop:reader")
	creds, err := a.assume(role, a.token("myshop:reader", "sts.amazonaws.com", nil))
	require.NoError(t, err)
	v, err := creds.Retrieve(context.Background())
	require.NoError(t, err)
	st := a.store.Read()
	s, ok := openSession(st, v.SessionToken)
	require.True(t, ok)
	s.Expires = a.now.Add(-time.Second)
	old, err := newCredentials(st, s)
	require.NoError(t, err)
	_, err = a.sts(sdkcreds.NewStaticCredentialsProvider(old.AccessKeyID, old.SecretAccessKey,
		old.SessionToken)).GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
	refused(t, err, "ExpiredToken")
	_, err = a.secrets(sdkcreds.NewStaticCredentialsProvider(old.AccessKeyID, old.SecretAccessKey,
		old.SessionToken)).ListSecrets(context.Background(), &secretsmanager.ListSecretsInput{})
	refused(t, err, "ExpiredTokenException")
}

func TestSessionsHonourDurationAndSessionPolicy(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	role := a.role("reader", "myshop:reader", allow([]string{"secretsmanager:*"}, "*"))
	token := a.token("myshop:reader", "sts.amazonaws.com", nil)
	in := func() *sts.AssumeRoleWithWebIdentityInput {
		return &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: &role, RoleSessionName: sdk.String("test"), WebIdentityToken: &token,
		}
	}
	for seconds, code := range map[int32]string{
		900: "", 3600: "", 3601: "ValidationError", 899: "ValidationError",
		43201: "ValidationError",
	} {
		i := in()
		i.DurationSeconds = &seconds
		out, err := a.sts(nil).AssumeRoleWithWebIdentity(ctx, i)
		if code != "" {
			refused(t, err, code)
			continue
		}
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now().Add(time.Duration(seconds)*time.Second), *out.Credentials.Expiration,
			10*time.Second)
		assert.Equal(t, "system:serviceaccount:myshop:reader", *out.SubjectFromWebIdentityToken)
		assert.Equal(t, "sts.amazonaws.com", *out.Audience)
	}
	i := in()
	i.Policy = sdk.String(policy(allow([]string{"secretsmanager:ListSecrets"}, "*")))
	out, err := a.sts(nil).AssumeRoleWithWebIdentity(ctx, i)
	require.NoError(t, err)
	c := out.Credentials
	creds := sdkcreds.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	_, err = a.secrets(creds).ListSecrets(ctx, &secretsmanager.ListSecretsInput{})
	require.NoError(t, err)
	_, err = a.secrets(creds).CreateSecret(ctx,
		&secretsmanager.CreateSecretInput{Name: sdk.String("x"), SecretString: sdk.String("x")})
	assert.Contains(t, refused(t, err, "AccessDeniedException").ErrorMessage(), "no session policy allows")
	i.Policy = sdk.String(`{"Statement":[]}`)
	_, err = a.sts(nil).AssumeRoleWithWebIdentity(ctx, i)
	refused(t, err, "MalformedPolicyDocument")
	i = in()
	i.PolicyArns = nil
	i.ProviderId = sdk.String("www.amazon.com")
	_, err = a.sts(nil).AssumeRoleWithWebIdentity(ctx, i)
	assert.Contains(t, refused(t, err, "NotImplemented").ErrorMessage(), "ProviderId")
}

func TestRolesAreAssumedByTrustAndChained(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	first := a.role("first", "myshop:reader",
		allow([]string{"sts:AssumeRole"}, "arn:aws:iam::111122223333:role/delegated"))
	named := a.create(typeRole, "named", m{
		"name": "named",
		"assumeRolePolicy": policy(m{
			"Effect": "Allow", "Principal": m{"AWS": first},
			"Action": "sts:AssumeRole",
		}),
	}).Outputs["arn"].(string)
	delegated := a.create(typeRole, "delegated",
		m{
			"name": "delegated", "maxSessionDuration": 7200,
			"assumeRolePolicy": policy(m{
				"Effect": "Allow", "Principal": m{"AWS": AccountID},
				"Action": "sts:AssumeRole",
			}),
		}).Outputs["arn"].(string)
	other := a.create(typeRole, "other", m{
		"name": "other",
		"assumeRolePolicy": policy(m{
			"Effect": "Allow", "Principal": m{"AWS": AccountID},
			"Action": "sts:AssumeRole",
		}),
	}).Outputs["arn"].(string)
	secretly := a.create(typeRole, "external", m{"name": "external", "assumeRolePolicy": policy(m{
		"Effect": "Allow", "Principal": m{"AWS": AccountID}, "Action": "sts:AssumeRole",
		"Condition": m{"StringEquals": m{"sts:ExternalId": "42"}},
	})}).Outputs["arn"].(string)
	creds, err := a.assume(first, a.token("myshop:reader", "sts.amazonaws.com", nil))
	require.NoError(t, err)
	assume := func(c sdk.CredentialsProvider, role string, change func(*sts.AssumeRoleInput)) error {
		in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: sdk.String("next")}
		if change != nil {
			change(in)
		}
		_, err := a.sts(c).AssumeRole(ctx, in)
		return err
	}
	require.NoError(t, assume(creds, named, nil), "a trust that names the role grants by itself")
	require.NoError(t, assume(creds, delegated, nil), "a trust in the account needs the identity's allow")
	refused(t, assume(creds, other, nil), "AccessDenied")
	refused(t, assume(creds, first, nil), "AccessDenied")
	refused(t, assume(a.admin(), first, nil), "AccessDenied")
	refused(t, assume(a.admin(), secretly, nil), "AccessDenied")
	require.NoError(t, assume(a.admin(), secretly, func(in *sts.AssumeRoleInput) { in.ExternalId = sdk.String("42") }))
	refused(t, assume(creds, delegated, func(in *sts.AssumeRoleInput) { in.DurationSeconds = sdk.Int32(7200) }),
		"ValidationError")
	require.NoError(t, assume(a.admin(), delegated,
		func(in *sts.AssumeRoleInput) { in.DurationSeconds = sdk.Int32(7200) }))
}

func TestWhatIsNotModelledIsRefusedByName(t *testing.T) {
	a := newAccount(t)
	ctx := context.Background()
	_, err := a.sts(a.admin()).GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	assert.Contains(t, refused(t, err, "NotImplemented").ErrorMessage(), "sts:GetSessionToken")
	_, err = a.secrets(a.admin()).PutResourcePolicy(ctx,
		&secretsmanager.PutResourcePolicyInput{SecretId: sdk.String("x"), ResourcePolicy: sdk.String("{}")})
	assert.Contains(t, refused(t, err, "NotImplemented").ErrorMessage(), "secretsmanager:PutResourcePolicy")
	_, err = a.rds(a.admin()).CreateDBInstance(ctx,
		&awsrds.CreateDBInstanceInput{
			DBInstanceIdentifier: sdk.String("x"), DBInstanceClass: sdk.String("x"),
			Engine: sdk.String("x"),
		})
	assert.Contains(t, refused(t, err, "NotImplemented").ErrorMessage(), "rds:CreateDBInstance")
	_, err = a.rds(a.admin()).DescribeDBInstances(ctx, &awsrds.DescribeDBInstancesInput{MaxRecords: sdk.Int32(5)})
	refused(t, err, "InvalidParameterValue")
	_, err = a.secrets(a.admin()).CreateSecret(ctx,
		&secretsmanager.CreateSecretInput{Name: sdk.String("x"), ForceOverwriteReplicaSecret: true})
	assert.Contains(t, refused(t, err, "NotImplemented").ErrorMessage(), "ForceOverwriteReplicaSecret")
	_, err = a.rds(a.admin()).ModifyDBInstance(ctx,
		&awsrds.ModifyDBInstanceInput{DBInstanceIdentifier: sdk.String("x"), Domain: sdk.String("x")})
	assert.Contains(t, refused(t, err, "NotImplemented").ErrorMessage(), "Domain")
}

func TestMalformedRequestsAreRefusedInTheShapeOfTheirProtocol(t *testing.T) {
	a := newAccount(t)
	send := func(method, path, body string, header http.Header) (int, string, http.Header) {
		r, err := http.NewRequest(method, a.server.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		for k, v := range header {
			r.Header[k] = v
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(text), resp.Header
	}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	jsonHeader := http.Header{
		"X-Amz-Target": {"secretsmanager.ListSecrets"},
		"Content-Type": {"application/x-amz-json-1.1"},
	}
	for _, c := range []struct {
		name, method, path, body string
		header                   http.Header
		status                   int
		says                     string
	}{
		{
			"unsigned query", http.MethodPost, "/",
			url.Values{"Action": {"GetCallerIdentity"}, "Version": {"2011-06-15"}}.Encode(), form, 403,
			"<Code>MissingAuthenticationToken</Code>",
		},
		{
			"unsigned JSON", http.MethodPost, "/", "{}", jsonHeader, 400,
			`"__type":"MissingAuthenticationTokenException"`,
		},
		{"nothing", http.MethodGet, "/", "", nil, 403, "MissingAuthenticationToken"},
		{"a REST request", http.MethodDelete, "/bucket", "", nil, 501, "NotImplemented"},
		{"malformed form", http.MethodPost, "/", "%zz", form, 400, "MalformedQueryString"},
		{
			"another protocol", http.MethodPost, "/", "",
			http.Header{"Smithy-Protocol": {"rpc-v2-cbor"}},
			501,
			"rpc-v2-cbor",
		},
		{"too large a body", http.MethodPost, "/", strings.Repeat("x", maxBody+1), form, 413, "RequestEntityTooLarge"},
		{
			"a web identity without parameters", http.MethodPost, "/",
			"Action=AssumeRoleWithWebIdentity&Version=2011-06-15", form, 400, "RoleArn",
		},
		{
			"another version", http.MethodPost, "/", "Action=AssumeRoleWithWebIdentity&Version=2000-01-01", form, 400,
			"InvalidAction",
		},
		{
			"a broken signature", http.MethodPost, "/", "Action=GetCallerIdentity",
			http.Header{"Authorization": {"AWS4-HMAC-SHA256 Credential=x"}},
			400, "IncompleteSignature",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body, header := send(c.method, c.path, c.body, c.header)
			assert.Equal(t, c.status, status, body)
			assert.Contains(t, body, c.says)
			assert.NotEmpty(t, header.Get("X-Amzn-Requestid"))
		})
	}
}
