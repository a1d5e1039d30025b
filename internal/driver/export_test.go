package driver

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// monitoredProject is a bench with the stack prod of a service.
func monitoredProject(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.writes(map[string]string{"Pulumi.prod.yaml": validStack})
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
	b.writes(map[string]string{"Pulumi.bundle.yaml": strings.Replace(validStack, "    databaseCidrs:",
		"    caBundle: none.pem\n    databaseCidrs:", 1)})
	b.says(exitConfig, "network.caBundle", "export", "alerts", "--stack", "bundle")
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

func TestWhatIsNoRegularFileIsWrittenInPlace(t *testing.T) {
	b := monitoredProject(t)
	require.Zero(t, b.run("export", "dashboard", "--stack", "prod"), b.stderr.String())
	want := b.stdout.String()
	exports := func(file string) {
		t.Helper()
		require.Zero(t, b.run("export", "dashboard", "--stack", "prod", "--file", file), b.stderr.String())
	}
	b.writes(map[string]string{"target.json": strings.Repeat("old", len(want))})
	for _, link := range []string{"target.json", "missing.json"} {
		require.NoError(t, os.Symlink(link, filepath.Join(b.dir, "link.json")))
		exports("link.json")
		to, err := os.Readlink(filepath.Join(b.dir, "link.json"))
		require.NoError(t, err, "the link stays")
		assert.Equal(t, link, to)
		assert.Equal(t, want, b.file(link))
		require.NoError(t, os.Remove(filepath.Join(b.dir, "link.json")))
	}
	// A reader of a named pipe gets the text, as one of /dev/stdout does.
	pipe := filepath.Join(b.dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	read := make(chan string, 1)
	go func() {
		text, _ := os.ReadFile(pipe)
		read <- string(text)
	}()
	exports("pipe")
	info, err := os.Lstat(pipe)
	require.NoError(t, err)
	require.Equal(t, os.ModeNamedPipe, info.Mode().Type(), "the pipe stays")
	assert.Equal(t, want, <-read)
	b.says(exitTrouble, "--file: open "+b.dir, "export", "alerts", "--stack", "prod", "--file", ".")
}
