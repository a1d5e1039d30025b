package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const operatorURN = "urn:pulumi:prod::dbtier::dbtier:components:ExternalSecretsOperator$"

// step is the engine's event for a resource that would be created.
func step(urn, token, inputs string) string {
	return fmt.Sprintf(`{"resourcePreEvent":{"metadata":{"op":"create","urn":%q,"type":%q,"new":{"inputs":{%s}}}}}`,
		urn+"::operator-"+token[strings.LastIndex(token, ":")+1:], token, inputs) + "\n"
}

// creates is what the engine says of a run that creates two objects of the operator, and the provider with these inputs.
func creates(provider string) string {
	const providerType, namespace, deployment = "pulumi:providers:kubernetes", "kubernetes:core/v1:Namespace",
		"kubernetes:apps/v1:Deployment"
	return step("urn:pulumi:prod::dbtier::"+providerType, providerType, provider) +
		step(operatorURN+namespace, namespace, `"apiVersion":"v1","kind":"Namespace","metadata":{"name":"external-secrets"}`) +
		step(operatorURN+deployment, deployment, `"apiVersion":"apps/v1","kind":"Deployment","metadata":{`+
			`"name":"external-secrets-webhook","namespace":"external-secrets"}`) +
		`{"summaryEvent":{"resourceChanges":{"create":3}}}` + "\n"
}

// kubectl makes a kubectl that records its arguments and its input in files of the returned folder, and answers a search
// for objects with these.
func (b *bench) kubectl(script string) string {
	b.t.Helper()
	tools := b.t.TempDir()
	require.NoError(b.t, os.WriteFile(filepath.Join(tools, "kubectl"), []byte(`#!/bin/sh
case "$*" in
*get*--filename=-*) echo "$*" >> `+tools+`/searches; cat >> `+tools+`/wanted
`+script+`
;;
*version*json*) echo '{"serverVersion":{"gitVersion":"v1.34.4"}}' ;;
*api-versions*) echo external-secrets.io/v1 ;;
*) echo yes ;;
esac
`), 0o700))
	b.t.Setenv("PATH", tools+":/bin:/usr/bin")
	return tools
}

const someoneElses = `echo '{"kind":"List","items":[
{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"external-secrets","labels":{
	"app.kubernetes.io/managed-by":"Helm","app.kubernetes.io/instance":"platform"}}},
{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"external-secrets-webhook","namespace":"external-secrets",
	"managedFields":[{"manager":"helm"}]}}]}'`

func searches(t *testing.T, tools string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tools, "searches"))
	if os.IsNotExist(err) {
		return 0
	}
	require.NoError(t, err)
	return strings.Count(string(text), "\n")
}

func TestAPreviewListsWhatExistsAlreadyWithItsOwnerAndTheSetting(t *testing.T) {
	b := newBench(t)
	tools := b.kubectl(someoneElses)
	b.happens(creates(""))
	summary := filepath.Join(t.TempDir(), "summary.md")
	require.Zero(t, b.run("preview", "--stack", "prod", "--summary", summary), b.stderr.String())
	for _, want := range []string{
		"  ! up would stop before it changes anything, because these objects exist already:\n",
		"      Namespace external-secrets (managed by Helm, instance platform)\n",
		"      Deployment external-secrets/external-secrets-webhook (written by helm)\n",
		"        fix: the cluster has an External Secrets Operator of another owner; to use it, set " +
			"dbtier:operator.install: false in Pulumi.prod.yaml; to take it over for good, set dbtier:operator.adopt: true",
	} {
		assert.Contains(t, b.stdout.String(), want)
	}
	assert.Equal(t, 1, searches(t, tools), "one call for all objects")
	wanted, err := os.ReadFile(filepath.Join(tools, "wanted"))
	require.NoError(t, err)
	assert.Contains(t, string(wanted), `{"apiVersion":"apps/v1","kind":"Deployment","metadata":`+
		`{"name":"external-secrets-webhook","namespace":"external-secrets"}}`+"\n")
	text, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.Contains(t, string(text), "## ⚠️ dbtier preview of `prod`")
	assert.Contains(t, string(text), "**Objects of the same names exist already.**")
	assert.Contains(t, string(text), "- `Namespace external-secrets (managed by Helm, instance platform)`: ")

	require.Zero(t, b.run("preview", "--stack", "prod", "--json"), b.stderr.String())
	require.Len(t, b.answer().Conflicts, 2)
	for _, c := range b.answer().Conflicts {
		assert.True(t, strings.HasPrefix(c.URN, operatorURN), c.URN)
		assert.NotEmpty(t, c.Owner)
		assert.Contains(t, c.Fix, "dbtier:operator.install: false")
	}
}

func TestUpStopsBeforeItMeetsWhatExistsAlready(t *testing.T) {
	b := newBench(t)
	b.kubectl(someoneElses)
	b.happens(creates(""))
	b.says(exitRefused, "error: stack prod: nothing was changed, because these objects exist already; to delete them "+
		"would destroy what their owner uses:\n", "up", "--stack", "prod", "--yes")
	assert.Contains(t, b.stderr.String(), "set dbtier:operator.install: false in Pulumi.prod.yaml")
	commands, _ := b.engineRuns()
	assert.Equal(t, []string{"preview"}, commands, "nothing was changed")
	assert.Equal(t, exitRefused, b.run("up", "--stack", "prod", "--yes", "--json"))
	assert.Len(t, b.answer().Conflicts, 2)

	b.asks = true
	b.stdin.Reset("prod\n")
	b.says(exitRefused, "nothing was changed", "up", "--stack", "prod")
	assert.NotContains(t, b.stdout.String(), "type the stack's name", "nobody is asked to agree to what must fail")
}

func TestTheClusterIsAskedOnlyForWhatARunWouldCreate(t *testing.T) {
	b := newBench(t)
	b.cloudScript(serves)
	tools := b.kubectl(someoneElses)
	require.Zero(t, b.run("up", "--stack", "prod", "--yes"), b.stderr.String())
	assert.Zero(t, searches(t, tools), "it creates no object")
	b.happens(creates(""))
	require.Zero(t, b.run("preview", "--stack", "prod", "--offline"), b.stderr.String())
	assert.Zero(t, searches(t, tools), "an offline preview has no cluster")
	b.happens(creates(`"upsertExistingObjects":"true"`))
	require.Zero(t, b.run("up", "--stack", "prod", "--yes", "--json"), b.stderr.String())
	assert.Zero(t, searches(t, tools), "operator.adopt takes over what exists")
	assert.Empty(t, b.answer().Conflicts)
}

func TestAClusterThatCannotBeSearchedIsNotedAndStopsNothing(t *testing.T) {
	b := newBench(t)
	b.happens(creates(""))
	for script, want := range map[string]string{
		`echo 'Unable to connect to the server: no such host' >&2; exit 1`:          "Unable to connect to the server: no such host",
		`echo 'Error from server (Forbidden): namespaces is forbidden' >&2; exit 1`: "namespaces is forbidden",
	} {
		b.kubectl(script)
		for _, command := range [][]string{{"preview"}, {"up", "--yes"}} {
			b.says(exitDone, "note: what stack prod would create was not looked for in the cluster, or not all of it: ",
				append(command, "--stack", "prod")...)
			assert.Contains(t, b.stderr.String(), want)
		}
	}
	b.kubectl(`echo 'no matches for kind "ExternalSecret" in version "external-secrets.io/v1"' >&2
echo 'ensure CRDs are installed first' >&2; exit 1`)
	require.Zero(t, b.run("up", "--stack", "prod", "--yes"))
	assert.NotContains(t, b.stderr.String(), "not looked for", "an unknown kind has no objects")
}

func TestWhatAKilledRunHasBegunIsNoConflict(t *testing.T) {
	b := newBench(t)
	b.kubectl(someoneElses)
	b.happens(creates(""))
	dir := filepath.Join(b.dir, ".dbtier", "state", ".pulumi", "stacks", "dbtier")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prod.json"), []byte(`{"version":3,"checkpoint":{"latest":{
		"resources":[],"pending_operations":[{"type":"creating","resource":{
		"urn":"`+operatorURN+`kubernetes:core/v1:Namespace::operator-Namespace"}}]}}}`), 0o600))
	require.Zero(t, b.run("preview", "--stack", "prod", "--json"), b.stderr.String())
	require.Len(t, b.answer().Conflicts, 1)
	assert.Equal(t, "Deployment external-secrets/external-secrets-webhook", b.answer().Conflicts[0].Object)
}

func TestAnErrorAboutWhatExistsAlreadySaysWhatToDo(t *testing.T) {
	b := newBench(t)
	b.happensIn("up", `{"diagnosticEvent":{"severity":"error","urn":"urn:pulumi:prod::dbtier::aws:iam/role:Role::`+
		`secrets-role","message":"creating IAM Role: EntityAlreadyExists: delete it first"}}`+"\n"+created)
	b.says(exitFailed, "error: aws:iam:Role secrets-role: creating IAM Role: EntityAlreadyExists: delete it first\n"+
		"    conflict: it exists already and is not in the state of stack prod: if it is this stack's own", "up", "--stack",
		"prod", "--yes")
	assert.Contains(t, b.stderr.String(), "dbtier import --stack prod aws:iam/role:Role secrets-role <id>")
	assert.Contains(t, b.stderr.String(), "do not follow the advice to delete it")
}

func TestDoctorFindsWhatExistsAlready(t *testing.T) {
	prod, err := os.ReadFile(filepath.Join("..", "..", "Pulumi.prod.yaml"))
	require.NoError(t, err)
	b := newBench(t)
	file := filepath.Join(b.dir, "Pulumi.prod.yaml")
	require.NoError(t, os.WriteFile(file, prod, 0o600))
	found := func() (all []finding) {
		b.run("doctor", "--stack", "prod", "--json")
		for _, f := range b.answer().Findings {
			if f.Name == "existing objects" {
				all = append(all, f)
			}
		}
		return all
	}
	tools := b.kubectl(`echo '{"kind":"List","items":[
{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"externalsecrets.external-secrets.io"}},
{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"external-secrets","namespace":"external-secrets"}},
{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"myshop","labels":{
	"app.kubernetes.io/managed-by":"dbtier","app.kubernetes.io/part-of":"other"}}}]}'`)
	all := found()
	require.Len(t, all, 2, "one for each fix: %v", all)
	assert.Equal(t, levelFault, all[0].Level)
	assert.Equal(t, "up would create what exists already: Deployment external-secrets/external-secrets, "+
		"CustomResourceDefinition externalsecrets.external-secrets.io", all[0].Found)
	assert.Contains(t, all[0].Fix, "dbtier:operator.install: false in Pulumi.prod.yaml")
	assert.Contains(t, all[1].Found, "Namespace myshop (managed by dbtier, part of other)")
	assert.Contains(t, all[1].Fix, "dbtier:service.existingNamespace: true")
	assert.Equal(t, exitTrouble, b.answer().ExitCode)
	assert.Equal(t, 1, searches(t, tools))

	b.kubectl("true")
	all = found()
	require.Len(t, all, 1)
	assert.Equal(t, levelOK, all[0].Level)
	b.kubectl("echo 'Error from server (Forbidden): no' >&2; exit 1")
	all = found()
	require.Len(t, all, 1)
	assert.Equal(t, levelWarning, all[0].Level)
}

// The definitions that an operator of the local cloud leaves, and what the stack has, are not in the way.
func TestDoctorLeavesOutWhatTheStackHas(t *testing.T) {
	prod, err := os.ReadFile(filepath.Join("..", "..", "Pulumi.prod.yaml"))
	require.NoError(t, err)
	b := newBench(t)
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "Pulumi.prod.yaml"), prod, 0o600))
	dir := filepath.Join(b.dir, ".dbtier", "state", ".pulumi", "stacks", "dbtier")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prod.json"), []byte(`{"version":3,"checkpoint":{"latest":{"resources":[
		{"urn":"urn:pulumi:prod::dbtier::kubernetes:core/v1:Namespace::n","type":"kubernetes:core/v1:Namespace",
		"inputs":{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"external-secrets"}}}]}}}`), 0o600))
	tools := b.kubectl("true")
	b.run("doctor", "--stack", "prod")
	assert.Contains(t, b.stdout.String(), "✓ existing objects   none has a name that the stack needs")
	wanted, err := os.ReadFile(filepath.Join(tools, "wanted"))
	require.NoError(t, err)
	assert.NotContains(t, string(wanted), `"Namespace","metadata":{"name":"external-secrets"}`)
	assert.Contains(t, string(wanted), `"Namespace","metadata":{"name":"myshop"}`)
}
