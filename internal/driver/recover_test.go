package driver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hasPasswords gives the stack prod a state with the outputs of a service, and a kubectl whose cluster has generated
// the database user's password at the given time. Its bootstrap Job completed at 10:00.
func (b *bench) hasPasswords(generated, recoveries string) {
	b.t.Helper()
	dir := filepath.Join(b.dir, ".dbtier", "state", ".pulumi", "stacks", "dbtier")
	require.NoError(b.t, os.MkdirAll(dir, 0o700))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, "prod.json"), []byte(`{
		"version":3,"checkpoint":{"latest":{"resources":[
		{"urn":"urn:pulumi:prod::dbtier::pulumi:pulumi:Stack::dbtier-prod","type":"pulumi:pulumi:Stack","outputs":{
			"namespace":"myshop","deployment":"api","container":"api","databaseSecret":"api-db","pool":"pgbouncer",
			"poolContainer":"pgbouncer","poolSocketDir":"/run","secretsRoleArn":"arn","secretsServiceAccount":"s",
			"secretsServiceAccountNamespace":"myshop","stsEndpoint":"https://sts",
			"externalSecrets":["api-db","database-1"],
			"bootstrapJob":"bootstrap-1","databaseCredential":"database-1","databaseUser":"app_a",
			"databaseEndpoint":"db.example.com","databasePort":5432,
			"recoveries":`+recoveries+`}}]}}}`), 0o600))
	tools := b.t.TempDir()
	require.NoError(b.t, os.WriteFile(filepath.Join(tools, "kubectl"), []byte(`#!/bin/sh
case "$*" in
get*externalsecrets*) echo '{"items":['"$KEPT"'{"metadata":{"name":"database-1"},"spec":{"refreshPolicy":"CreatedOnce"},"status":{
	"refreshTime":"`+generated+`","conditions":[{"type":"Ready","status":"True"}]}}]}' ;;
get*job*) echo '{"status":{"completionTime":"2026-11-23T10:00:00Z"}}' ;;
exec*) echo accepted app_a ;;
*) echo "unexpected $*" >&2; exit 1 ;;
esac
`), 0o700))
	b.t.Setenv("KEPT", `{"metadata":{"name":"api-db"}},`)
	b.t.Setenv("PATH", tools+":/bin:/usr/bin")
}

// given is the config with which the engine ran last: that of a copy of the stack's file.
func (b *bench) given() string {
	b.t.Helper()
	text, err := os.ReadFile(b.events + ".config")
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(b.t, err)
	return string(text)
}

const (
	before = "2026-11-23T09:59:50Z"
	after  = "2026-11-23T11:00:00Z"
)

func TestUpReplacesALostPasswordAndTheNextRunKnowsIt(t *testing.T) {
	b := newBench(t)
	b.hasPasswords(after, "0")
	require.Zero(t, b.run("up", "--stack", "prod", "--yes", "--json"), b.stderr.String())
	assert.Contains(t, b.given(), "recoveries: 1\n")
	require.Len(t, b.answer().LostPasswords, 1)
	assert.Equal(t, "database-1", b.answer().LostPasswords[0].Secret)
	assert.Contains(t, b.answer().LostPasswords[0].Cause, "was generated again at "+after)

	b.hasPasswords(before, "1")
	for _, command := range [][]string{{"preview"}, {"up", "--yes"}} {
		require.Zero(t, b.run(append(command, "--stack", "prod", "--json")...), b.stderr.String())
		assert.Contains(t, b.given(), "recoveries: 1\n", "%v keeps the count of the state", command)
		assert.Empty(t, b.answer().LostPasswords)
	}
	b.hasPasswords(after, "1")
	require.Zero(t, b.run("up", "--stack", "prod", "--yes"), b.stderr.String())
	assert.Contains(t, b.given(), "recoveries: 2\n")
	assert.Contains(t, b.stdout.String(), "! the password in Secret database-1 was generated again")
}

func TestAPersonsCountOfRecoveriesIsKept(t *testing.T) {
	b := newBench(t)
	b.hasPasswords(before, "1")
	require.Zero(t, b.run("up", "--stack", "prod", "--yes", "--config", "secrets.recoveries=7"), b.stderr.String())
	assert.Contains(t, b.given(), "recoveries: 7\n")
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "Pulumi.prod.yaml"),
		[]byte("config:\n  dbtier:cloud: aws\n  dbtier:secrets: {recoveries: 3}\n"), 0o600))
	require.NoError(t, os.RemoveAll(b.events+".config"))
	require.Zero(t, b.run("up", "--stack", "prod", "--yes"), b.stderr.String())
	assert.NotContains(t, b.given(), "recoveries: 1")
	b.hasPasswords(after, "1")
	require.Zero(t, b.run("up", "--stack", "prod", "--yes"), b.stderr.String())
	assert.Contains(t, b.given(), "recoveries: 4\n")
}

func TestAStackWithoutALossRunsWithItsOwnFile(t *testing.T) {
	b := newBench(t)
	b.hasPasswords(before, "0")
	require.Zero(t, b.run("up", "--stack", "prod", "--yes"), b.stderr.String())
	assert.NotContains(t, b.given(), "recoveries")
}

func TestALostPasswordIsDrift(t *testing.T) {
	b := newBench(t)
	b.happens(`{"summaryEvent":{"resourceChanges":{"same":4}}}`)
	b.hasPasswords(before, "0")
	assert.Equal(t, exitDone, b.run("drift", "--stack", "prod"), b.stdout.String())
	b.hasPasswords(after, "0")
	assert.Equal(t, exitPending, b.run("drift", "--stack", "prod"), b.stdout.String())
	assert.Contains(t, b.stdout.String(), "! the password in Secret database-1 was generated again at "+after)
	assert.Contains(t, b.stdout.String(),
		"stack prod: generated passwords are lost; repair with: dbtier up --stack prod")
}

// A Secret that is made of others is not lost with its ExternalSecret: the update only creates that again.
func TestAMissingObjectIsCreatedAgainWithoutAnotherPassword(t *testing.T) {
	b := newBench(t)
	b.hasPasswords(before, "0")
	t.Setenv("KEPT", "")
	b.happens(`{"summaryEvent":{"resourceChanges":{"same":4}}}`)
	assert.Equal(t, exitPending, b.run("drift", "--stack", "prod"), b.stdout.String())
	require.Zero(t, b.run("up", "--stack", "prod", "--yes"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "! the password in Secret api-db is gone")
	assert.NotContains(t, b.given(), "recoveries")
	text, err := os.ReadFile(b.events + ".calls")
	require.NoError(t, err)
	assert.Contains(t, string(text), `"--refresh"`, "the state still has it")
}

func TestAClusterThatDoesNotAnswerIsNoted(t *testing.T) {
	b := newBench(t)
	b.hasPasswords(after, "0")
	t.Setenv("KUBECTL", "false")
	b.says(exitDone, "note: the generated passwords of stack prod were not checked: ", "up", "--stack", "prod", "--yes")
	assert.NotContains(t, b.given(), "recoveries")
}
