package driver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// monitoredProject is a bench with the project's own stacks.
func monitoredProject(t *testing.T) *bench {
	t.Helper()
	checkout, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	b := newBench(t)
	for _, name := range []string{"Pulumi.yaml", "Pulumi.prod.yaml", "Pulumi.local.yaml"} {
		text, err := os.ReadFile(filepath.Join(checkout, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(b.dir, name), text, 0o600))
	}
	return b
}

func TestAlertsAndDashboardAreWrittenFromTheStacksFile(t *testing.T) {
	b := monitoredProject(t)
	alertsOf := func(text string) []string {
		var file struct {
			Groups []struct{ Rules []struct{ Alert string } }
		}
		require.NoError(t, yaml.Unmarshal([]byte(text), &file))
		var names []string
		for _, group := range file.Groups {
			for _, r := range group.Rules {
				names = append(names, r.Alert)
			}
		}
		return names
	}
	require.Zero(t, b.run("export", "alerts", "--stack", "prod"), b.stderr.String())
	printed := b.stdout.String()
	assert.Contains(t, alertsOf(printed), "DbtierMigrationFailed")
	assert.Contains(t, printed, `job_name=~"myshop-api-migration-.*"`)
	require.Zero(t, b.run("export", "alerts", "--stack", "prod", "--json"), b.stderr.String())
	assert.Equal(t, printed, b.answer().Text)
	require.Zero(t, b.run("export", "alerts", "--stack", "prod", "--file", "rules.yml"), b.stderr.String())
	written, err := os.ReadFile(filepath.Join(b.dir, "rules.yml"))
	require.NoError(t, err)
	assert.Equal(t, printed, string(written))
	assert.Contains(t, b.stdout.String()+b.stderr.String(), "the alerts are in")

	require.Zero(t, b.run("export", "dashboard", "--stack", "prod"), b.stderr.String())
	var dashboard struct{ Panels []struct{ Title string } }
	require.NoError(t, json.Unmarshal(b.stdout.Bytes(), &dashboard))
	assert.Len(t, dashboard.Panels, len(alertsOf(printed))+3, "a panel for each alert, and a row for each source")
}

func TestAlertsOfAStackWithoutThemAreRefused(t *testing.T) {
	b := monitoredProject(t)
	b.says(exitConfig, "network.caBundle", "export", "alerts", "--stack", "local")
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "Pulumi.cluster.yaml"), []byte(
		"config:\n  dbtier:cloud: aws\n  dbtier:environment: prod\n  dbtier:profile: production\n"+
			"  dbtier:aws: {region: eu-west-1, accountId: \"123456789012\"}\n"+
			"  dbtier:cluster:\n    oidcProviderArn: "+
			"arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0A1B\n"+
			"    nodeSecurityGroupId: sg-0123456789abcdef0\n"+
			"  dbtier:operator: {install: true}\n"), 0o600))
	b.says(exitConfig, "stack cluster holds no service", "export", "alerts", "--stack", "cluster")
	b.says(exitConfig, "stack cluster holds no service", "export", "dashboard", "--stack", "cluster")
}
