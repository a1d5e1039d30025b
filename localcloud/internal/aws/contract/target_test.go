package contract_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// target is an AWS account, or the stand-in.
type target struct {
	config   sdk.Config
	endpoint func(service string) (url, signingRegion string)
	// propagate is the longest time until a change in IAM is visible everywhere.
	propagate time.Duration
	// provider is the ARN of an IAM OIDC provider. token is a web identity token of it for the audience
	// sts.amazonaws.com.
	provider string
	token    func(*testing.T) string
}

func (g *target) sts() *sts.Client                { return sts.NewFromConfig(g.config) }
func (g *target) secrets() *secretsmanager.Client { return secretsmanager.NewFromConfig(g.config) }
func (g *target) rds() *rds.Client                { return rds.NewFromConfig(g.config) }

// as returns the same account with other credentials.
func (g *target) as(c sdk.CredentialsProvider) *target {
	other := *g
	other.config = g.config.Copy()
	other.config.Credentials = c
	return &other
}

// unique returns a unique name for something that a test creates and deletes.
func unique() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b)
	return "dbtier-contract-" + hex.EncodeToString(b)
}

// code returns AWS's code of an error, or "" for other errors.
func code(err error) string {
	var e smithy.APIError
	if !errors.As(err, &e) {
		return ""
	}
	return e.ErrorCode()
}

func refused(t *testing.T, err error, want string) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, want, code(err), "%v", err)
}

// xmlAnswer has the parts of a query answer that the tests use.
type xmlAnswer struct {
	status int
	body   string
	Code   string
}

// query signs and sends a request of the query protocol, for services without an SDK client here.
func (g *target) query(t *testing.T, service, version, action string, params map[string]string) xmlAnswer {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {version}}
	for k, v := range params {
		form.Set(k, v)
	}
	status, body := g.send(t, service, []byte(form.Encode()),
		map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
	out := xmlAnswer{status: status, body: body}
	var e struct {
		Error struct{ Code string }
	}
	if xml.Unmarshal([]byte(body), &e) == nil {
		out.Code = e.Error.Code
	}
	return out
}

// iam sends an IAM request.
func (g *target) iam(t *testing.T, action string, params map[string]string) xmlAnswer {
	t.Helper()
	return g.query(t, "iam", "2010-05-08", action, params)
}

// kms sends a KMS request. It returns the error type, if any.
func (g *target) kms(t *testing.T, action string, in map[string]any) (out map[string]any, errorType string) {
	t.Helper()
	text, err := json.Marshal(in)
	require.NoError(t, err)
	_, body := g.send(t, "kms", text, map[string]string{
		"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService." + action,
	})
	require.NoError(t, json.Unmarshal([]byte(body), &out), body)
	errorType, _ = out["__type"].(string)
	return out, errorType[strings.LastIndex(errorType, "#")+1:]
}

func (g *target) send(t *testing.T, service string, body []byte, header map[string]string) (int, string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // cleanups send requests too
	base, region := g.endpoint(service)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/", bytes.NewReader(body))
	require.NoError(t, err)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if g.config.Credentials != nil {
		c, err := g.config.Credentials.Retrieve(ctx)
		require.NoError(t, err)
		sum := sha256.Sum256(body)
		require.NoError(t, v4.NewSigner().SignHTTP(ctx, c, r, hex.EncodeToString(sum[:]), service, region, time.Now()))
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// role creates a role and deletes it after the test.
func (g *target) role(t *testing.T, trust string) (name, arn string) {
	t.Helper()
	name = unique()
	out := g.iam(t, "CreateRole", map[string]string{"RoleName": name, "AssumeRolePolicyDocument": trust})
	require.Equal(t, http.StatusOK, out.status, out.body)
	t.Cleanup(func() {
		g.iam(t, "DeleteRolePolicy", map[string]string{"RoleName": name, "PolicyName": "inline"})
		g.iam(t, "DeleteRole", map[string]string{"RoleName": name})
	})
	var answer struct {
		CreateRoleResult struct{ Role struct{ Arn string } }
	}
	require.NoError(t, xml.Unmarshal([]byte(out.body), &answer))
	return name, answer.CreateRoleResult.Role.Arn
}

func (g *target) put(t *testing.T, role, document string) {
	t.Helper()
	out := g.iam(t, "PutRolePolicy", map[string]string{
		"RoleName": role, "PolicyName": "inline", "PolicyDocument": document,
	})
	require.Equal(t, http.StatusOK, out.status, out.body)
}

// eventually waits until a change in IAM is visible.
func (g *target) eventually(t *testing.T, what string, holds func() error) {
	t.Helper()
	var last error
	require.Eventually(t, func() bool { last = holds(); return last == nil }, g.propagate, g.propagate/50, "%s",
		lazily(func() string { return what + ": " + errorText(last) }))
}

// lazily is text that is computed when it is printed.
type lazily func() string

func (l lazily) String() string { return l() }

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

// secret creates a secret and deletes it after the test.
func (g *target) secret(t *testing.T, value string) (name, arn string) {
	t.Helper()
	name = unique()
	out, err := g.secrets().CreateSecret(t.Context(),
		&secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := g.secrets().DeleteSecret(context.Background(),
			&secretsmanager.DeleteSecretInput{SecretId: &name, ForceDeleteWithoutRecovery: sdk.Bool(true)})
		if code(err) != "ResourceNotFoundException" {
			assert.NoError(t, err)
		}
	})
	return name, *out.ARN
}

// accountID returns the account of the caller.
func (g *target) accountID(t *testing.T) string {
	t.Helper()
	who, err := g.sts().GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	require.NoError(t, err)
	return *who.Account
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

type m = map[string]any

func policy(statements ...m) string {
	return text(m{"Version": "2012-10-17", "Statement": statements})
}

// tamper changes one character of a token's signature.
func tamper(token string) string {
	i := strings.LastIndex(token, ".") + 10
	c := "A"
	if token[i] == 'A' {
		c = "B"
	}
	return token[:i] + c + token[i+1:]
}

// unsignedToken returns a token of an issuer that no account knows.
func unsignedToken(issuer string) string {
	enc := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	return enc([]byte(`{"alg":"RS256","typ":"JWT","kid":"1"}`)) + "." +
		enc([]byte(`{"iss":"`+issuer+`","sub":"x","aud":"sts.amazonaws.com","iat":`+strconv.FormatInt(now,
			10)+`,"exp":`+strconv.FormatInt(now+600, 10)+`}`)) + "." +
		enc(make([]byte, 256))
}
