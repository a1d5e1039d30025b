//go:build !aws

package contract_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws"
)

const issuer = "https://oidc.localcloud.internal/id/local"

var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// newTarget starts a new stand-in for each test.
func newTarget(t *testing.T) *target {
	t.Helper()
	dir := t.TempDir()
	key, err := signingKey()
	require.NoError(t, err)
	cloud, err := aws.New(aws.Config{
		Dir: dir, CredentialsFile: filepath.Join(dir, "credentials.json"), OIDCIssuer: issuer,
		OIDCKeys: func() ([]crypto.PublicKey, error) { return []crypto.PublicKey{key.Public()}, nil },
	})
	require.NoError(t, err)
	server := httptest.NewServer(cloud.Wire())
	t.Cleanup(server.Close)
	t.Cleanup(func() { require.NoError(t, cloud.Close()) })
	text, err := os.ReadFile(filepath.Join(dir, "credentials.json"))
	require.NoError(t, err)
	var admin struct{ AccessKeyID, SecretAccessKey string }
	require.NoError(t, json.Unmarshal(text, &admin))
	return &target{
		config: sdk.Config{
			Region: "ap-northeast-2", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(admin.AccessKeyID, admin.SecretAccessKey, ""),
		},
		endpoint:  func(string) (string, string) { return server.URL, "ap-northeast-2" },
		propagate: 5 * time.Second,
		provider:  "arn:aws:iam::" + aws.AccountID + ":oidc-provider/" + issuer[len("https://"):],
		token: func(*testing.T) string {
			now := time.Now()
			token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
				"iss": issuer, "sub": "system:serviceaccount:contract:reader", "aud": []string{"sts.amazonaws.com"},
				"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
			}).SignedString(key)
			require.NoError(t, err)
			return token
		},
	}
}
