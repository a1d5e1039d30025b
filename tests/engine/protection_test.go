package engine

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tier declares a key, an instance and the service's Deployment, as a stack in production does, or as an earlier
// version did.
func tier(guarded bool) []declared {
	key := declared{Type: "aws:kms/key:Key", Name: "database-key", Props: props{"name": "key", "arn": "arn:key"}}
	database := instance("database-instance", props{
		"identifier": "db", "kmsKeyId": "arn:key", "finalSnapshotIdentifier": "final-db", "skipFinalSnapshot": false,
	})
	logs := declared{
		Type: "aws:cloudwatch/logGroup:LogGroup", Name: "database-log",
		Props: props{"name": "logs", "kmsKeyId": "arn:key"},
	}
	// The engine is told to protect it; what it is makes no difference.
	pods := declared{
		Type: "aws:ecs/service:Service", Name: "consumer-deployment", Props: props{"name": "pods"},
		After: []string{"database-instance"},
	}
	database.Component, pods.Component = "RdsPostgres", "Consumer"
	key.Retain, logs.Retain, database.Protect, pods.Protect = guarded, guarded, guarded, guarded
	return []declared{key, logs, database, pods}
}

// plain runs the Pulumi CLI on the stack local, without the driver.
func (s *site) plain(args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(s.bin, "pulumi"), append(args, "--stack", "local", "--non-interactive")...)
	state := filepath.Join(s.dir, ".localcloud", "state")
	cmd.Dir = filepath.Join(state, "pulumi", "work", "dbtier")
	// Pulumi takes an empty passphrase for one, before it looks at the file.
	cmd.Env = slices.DeleteFunc(slices.Clone(s.env),
		func(entry string) bool { return strings.HasPrefix(entry, "PULUMI_CONFIG_PASSPHRASE=") })
	cmd.Env = append(cmd.Env, "PULUMI_HOME="+filepath.Join(s.home, ".pulumi"),
		"PULUMI_BACKEND_URL=file://"+filepath.Join(state, "pulumi"),
		"PULUMI_CONFIG_PASSPHRASE_FILE="+filepath.Join(s.dir, ".dbtier", "local-passphrase"),
		"PULUMI_SKIP_UPDATE_CHECK=true")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestAnUpdateOfAnEarlierStackShowsOnlyOptions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", tier(false)...)
	s.must(0, "up", "--stack", "local")
	s.operations()
	s.stack("local", tier(true)...)
	preview := s.ask(2, "preview", "--stack", "local", "--detailed-exitcode")
	assert.Zero(t, preview.Changes["update"]+preview.Changes["replace"]+preview.Changes["create"], "%v",
		preview.Changes)
	options := map[string][]string{}
	for _, r := range preview.Resources {
		if len(r.Options) > 0 {
			options[r.Name] = r.Options
		}
	}
	assert.Equal(t, map[string][]string{
		"database-key": {"retainOnDelete"}, "database-log": {"retainOnDelete"}, "database-instance": {"protect"},
		"consumer-deployment": {"protect"},
	}, options)
	up := s.must(0, "up", "--stack", "local")
	assert.Contains(t, up.stdout, "4 resources with other options in the state")
	assert.Empty(t, s.operations(), "no resource was touched")
	s.ask(0, "preview", "--stack", "local", "--detailed-exitcode")
}

func TestAKeyIsNotDestroyedBeforeWhatItEncrypts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", tier(false)...)
	s.must(0, "up", "--stack", "local")
	refused := s.must(3, "destroy", "--stack", "local")
	assert.Contains(t, refused.stderr, "aws:kms:Key database-key encrypts the final snapshot or the backups of "+
		"aws:rds:Instance database-instance, which stay, and would be deleted with the stack")
	assert.Contains(t, refused.stderr, "keep it: dbtier up --stack local")
	assert.Len(t, s.there(), 4)

	s.stack("local", tier(true)...)
	s.must(0, "up", "--stack", "local")
	destroyed := s.must(0, "destroy", "--stack", "local")
	assert.Equal(t, []string{"key", "logs"}, s.there())
	for _, line := range []string{
		"kept: the final snapshot final-db\n    to remove it for good: aws rds delete-db-snapshot",
		"aws kms schedule-key-deletion --key-id key", "aws logs delete-log-group --log-group-name logs",
	} {
		assert.Contains(t, destroyed.stdout, line)
	}
}

func TestPlainPulumiDestroyTakesNothingOfAProtectedStack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", tier(true)...)
	s.must(0, "up", "--stack", "local")
	s.operations()
	for _, args := range [][]string{{"destroy", "--yes"}, {"destroy", "--yes", "--skip-preview"}} {
		out, err := s.plain(args...)
		require.Error(t, err, out)
		assert.Contains(t, out, "protected", "%v", args)
		assert.Equal(t, []string{"db", "key", "logs", "pods"}, s.there(), "%v: %s", args, out)
	}
}

func TestWhatIsProtectedIsReplacedOnlyIfItIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", tier(true)...)
	s.must(0, "up", "--stack", "local")
	s.operations()
	renamed := tier(true)
	renamed[3].Props = props{"name": "other"}
	s.stack("local", renamed...)
	preview := s.must(0, "preview", "--stack", "local")
	assert.Contains(t, preview.stdout, "up needs --allow-data-loss consumer-deployment")
	refused := s.must(3, "up", "--stack", "local", "--yes")
	assert.Contains(t, refused.stderr, "aws:ecs:Service consumer-deployment is replaced by an empty one because "+
		"of name: what the stack protects")
	assert.Empty(t, s.operations())
	s.must(0, "up", "--stack", "local", "--yes", "--allow-data-loss", "consumer-deployment")
	assert.ElementsMatch(t, []string{"create other", "delete pods"}, s.operations())

	// It stays protected.
	_, err := s.plain("destroy", "--yes", "--skip-preview")
	require.Error(t, err)
	s.stack("local", renamed[:3]...)
	s.must(3, "up", "--stack", "local")
	s.must(0, "up", "--stack", "local", "--allow-data-loss", "consumer-deployment")
	assert.NotContains(t, s.there(), "other")
}

func TestARestoreIsRefusedWhileAWSWouldKeepTheOldInstance(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", instance("database-instance", props{"identifier": "db", "deletionProtection": true}))
	s.must(0, "up", "--stack", "local")
	s.operations()
	restored := instance("database-instance",
		props{"identifier": "db-2", "deletionProtection": true, "snapshotIdentifier": "s"})
	s.stack("local", restored)
	refused := s.must(3, "up", "--stack", "local", "--allow-data-loss", "database-instance")
	assert.Contains(t, refused.stderr, "has deletion protection, so AWS refuses to delete it")
	assert.Empty(t, s.operations())
	s.stack("local", instance("database-instance", props{"identifier": "db", "deletionProtection": false}))
	s.must(0, "up", "--stack", "local")
	s.stack("local", restored)
	s.must(0, "up", "--stack", "local", "--allow-data-loss", "database-instance")
	assert.Equal(t, []string{"db-2"}, s.there())
}

// deferring is an instance whose answer differs from what the program wants until someone changes it.
func deferring(class string) declared {
	return instance("database-instance", props{
		"identifier": "db", "instanceClass": class, "applyImmediately": false,
		"maintenanceWindow": "Mon:04:00-Mon:05:00", "defers": true,
	})
}

func TestAChangeThatWaitsForTheWindowIsNeitherDriftNorAChange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", deferring("small"))
	s.must(0, "up", "--stack", "local")
	s.stack("local", deferring("large"))
	const waits = "pending: aws:rds:Instance database-instance: instanceClass small → large, pending until Mon 04:00 UTC"
	assert.Contains(t, s.must(0, "up", "--stack", "local").stdout, waits)
	drift := s.must(0, "drift", "--stack", "local")
	assert.Contains(t, drift.stdout, waits)
	assert.Contains(t, drift.stdout, "no drift")
	for _, args := range [][]string{
		{"preview", "--stack", "local", "--detailed-exitcode"},
		{"up", "--stack", "local", "--expect-no-changes"},
		{"up", "--stack", "local"},
		// After a refresh the state has the old value. The program still asks for nothing new.
		{"up", "--stack", "local", "--refresh"},
	} {
		again := s.must(0, args...)
		assert.Contains(t, again.stdout, waits, "%v", args)
		assert.Contains(t, again.stdout, "no changes", "%v", args)
	}
	pending := s.ask(0, "drift", "--stack", "local")
	require.Len(t, pending.Pending, 1)
	assert.Equal(t, "instanceClass", pending.Pending[0].Property)

	s.change("db", "instanceClass", "by-hand")
	assert.Contains(t, s.must(2, "drift", "--stack", "local").stdout, "~ aws:rds:Instance database-instance\n")
	s.change("db", "instanceClass", "large")
	applied := s.must(0, "drift", "--stack", "local")
	assert.Contains(t, applied.stdout, "no drift")
	assert.NotContains(t, applied.stdout, "pending")
}

func TestADeferredChangeThatMissedItsWindowIsDrift(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", deferring("small"))
	s.must(0, "up", "--stack", "local")
	s.stack("local", deferring("large"))
	s.must(0, "up", "--stack", "local")
	// Two weeks pass.
	file := filepath.Join(s.dir, "state.json")
	s.must(0, "export", "--stack", "local", "--file", file)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var export map[string]any
	require.NoError(t, json.Unmarshal(text, &export))
	for _, r := range export["deployment"].(map[string]any)["resources"].([]any) {
		if r := r.(map[string]any); strings.Contains(r["urn"].(string), "database-instance") {
			r["modified"] = "2020-01-02T03:04:05Z"
		}
	}
	text, err = json.Marshal(export)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	s.must(0, "import", "--stack", "local", "--file", file)
	assert.Contains(t, s.must(2, "drift", "--stack", "local").stdout, "~ aws:rds:Instance database-instance\n")
}
