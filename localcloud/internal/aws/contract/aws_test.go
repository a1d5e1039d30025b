//go:build aws

package contract_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/stretchr/testify/require"
)

// newTarget returns the AWS account that the environment names.
func newTarget(t *testing.T) *target {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(context.Background())
	require.NoError(t, err)
	require.NotEmpty(t, cfg.Region, "set AWS_REGION")
	return &target{
		config: cfg,
		endpoint: func(service string) (string, string) {
			if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
				return url, cfg.Region
			}
			if service == "iam" {
				return "https://iam.amazonaws.com", "us-east-1"
			}
			return "https://" + service + "." + cfg.Region + ".amazonaws.com", cfg.Region
		},
		// Roles and policies are eventually consistent.
		propagate: 90 * time.Second,
		provider:  os.Getenv("DBTIER_CONTRACT_OIDC_PROVIDER_ARN"),
		token: func(t *testing.T) string {
			t.Helper()
			file := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE")
			require.NotEmpty(t, file, "set AWS_WEB_IDENTITY_TOKEN_FILE and DBTIER_CONTRACT_OIDC_PROVIDER_ARN")
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			return string(text)
		},
	}
}
