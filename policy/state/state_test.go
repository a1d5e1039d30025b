package state_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
	"dbtier/policy/state"
)

const secretSig = "1b47061264138c4ac30d75fd1eb44270"

// encrypted returns a secret as in an exported state.
func encrypted() map[string]any {
	return map[string]any{"4dabf18193072939515e22adb298388d": secretSig, "ciphertext": "djE6aHVudGVyMjI="}
}

func export(t *testing.T, resources ...map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"version": 3, "deployment": map[string]any{"resources": resources}})
	require.NoError(t, err)
	return text
}

func resource(kind, name string, inputs map[string]any) map[string]any {
	return map[string]any{
		"urn": "urn:pulumi:prod::shop::" + kind + "::" + name, "type": kind, "inputs": inputs,
		"outputs": inputs,
	}
}

func instance(inputs map[string]any) map[string]any {
	return resource("aws:rds/instance:Instance", "database", inputs)
}

// golden returns the resources of the stack prod.
func golden(t *testing.T) []map[string]any {
	t.Helper()
	var resources []map[string]any
	for _, r := range ruletest.Golden(t, "../../tests/golden/prod.yaml") {
		// Stack rules need dependencies and outputs of these resources, which the golden file does not have.
		if r.Name != "consumer-deployment" && r.Type != "aws:iam/role:Role" {
			resources = append(resources, resource(r.Type, r.Name, r.Inputs))
		}
	}
	return resources
}

func TestAStateIsJudgedByInputsAndByOutputs(t *testing.T) {
	t.Parallel()
	report, err := state.Judge(registry.Pack(), export(t, golden(t)...), state.Options{})
	require.NoError(t, err)
	assert.Zero(t, report.Mandatory, "%v", report.Findings)
	assert.Equal(t, len(golden(t)), report.Resources)

	broken := append(golden(t), instance(map[string]any{
		"publiclyAccessible": true, "identifier": "other", "enabledCloudwatchLogsExports": []any{"postgresql"},
	}))
	report, err = state.Judge(registry.Pack(), export(t, broken...), state.Options{})
	require.NoError(t, err)
	require.NotZero(t, report.Mandatory)
	assert.Equal(t, "mandatory", report.Findings[0].Level, "mandatory findings come first")
	assert.Contains(t, names(report), "rds-not-public")
	assert.Contains(t, names(report), "log-groups-managed", "by a stack rule")
}

func names(report *state.Report) []string {
	var found []string
	for _, f := range report.Findings {
		found = append(found, f.Rule)
	}
	return found
}

func TestAResourceThatIsToBeDeletedIsNotJudged(t *testing.T) {
	t.Parallel()
	gone := instance(map[string]any{"publiclyAccessible": true})
	gone["delete"] = true
	report, err := state.Judge(registry.Pack(), export(t, gone), state.Options{})
	require.NoError(t, err)
	assert.Equal(t, &state.Report{Findings: []state.Finding{}}, report)
}

func TestSecretsAreNotJudgedAndNotShown(t *testing.T) {
	t.Parallel()
	plain := map[string]any{"4dabf18193072939515e22adb298388d": secretSig, "plaintext": `"hunter22"`}
	report, err := state.Judge(registry.Pack(), export(t, instance(map[string]any{
		"username": encrypted(), "password": plain, "tags": map[string]any{"a": plain},
	})), state.Options{})
	require.NoError(t, err)
	text, err := json.Marshal(report)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "hunter22")
	assert.Contains(t, string(text), "username: is not known, so this rule was not evaluated")
	assert.Contains(t, string(text), "password: is set by the program")
}

func TestLevelsComeFromTheProfileAndTheConfigFile(t *testing.T) {
	t.Parallel()
	single := export(t, instance(map[string]any{"manageMasterUserPassword": true}))
	level := func(options state.Options) string {
		t.Helper()
		report, err := state.Judge(registry.Pack(), single, options)
		require.NoError(t, err)
		for _, f := range report.Findings {
			if f.Rule == "rds-multi-az" {
				return f.Level
			}
		}
		return ""
	}
	assert.Equal(t, "mandatory", level(state.Options{}))
	assert.Empty(t, level(state.Options{Profile: rule.Development}))
	assert.Equal(t, "advisory", level(state.Options{Config: []byte(`{"all": "advisory"}`)}))
	assert.Equal(t, "mandatory", level(state.Options{
		Config: []byte(`{"all": "disabled", "rds-multi-az": {"enforcementLevel": "mandatory"}}`),
	}))
	assert.Equal(t, "mandatory", level(state.Options{
		Config: []byte(`{"rds-multi-az": "remediate", "environments": ["a"]}`),
	}), "nothing is remediated in a state")
	assert.Equal(t, "advisory", level(state.Options{Config: []byte(
		`{"rds-multi-az": {"exceptions": [{"resource": "database", "owner": "a", "reason": "b", "expires": "2999-01-01"}]}}`)}))
}

func TestAFileOfABackendIsAState(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(map[string]any{"version": 3, "checkpoint": map[string]any{
		"stack": "prod", "latest": map[string]any{
			"resources": []any{instance(map[string]any{"publiclyAccessible": true})},
		},
	}})
	require.NoError(t, err)
	report, err := state.Judge(registry.Pack(), text, state.Options{})
	require.NoError(t, err)
	assert.Contains(t, names(report), "rds-not-public")
}

func TestTheProviderOfAResourceIsRead(t *testing.T) {
	t.Parallel()
	const provider = "urn:pulumi:prod::shop::pulumi:providers:aws::regional"
	tagged := instance(map[string]any{})
	tagged["provider"] = provider + "::6f1a"
	of := func(defaults any) []string {
		t.Helper()
		report, err := state.Judge(registry.Pack(), export(t, tagged, map[string]any{
			"urn": provider, "type": "pulumi:providers:aws", "inputs": map[string]any{"defaultTags": defaults},
		}), state.Options{})
		require.NoError(t, err)
		return names(report)
	}
	assert.NotContains(t, of(`{"tags":{"environment":"prod","service":"shop"}}`), "aws-tags")
	assert.Contains(t, of(`{"tags":{"environment":"prod"}}`), "aws-tags")
}

// TestALargeStateOfAnotherProjectIsJudged has types that no rule knows, too. BenchmarkJudge measures the time.
func TestALargeStateOfAnotherProjectIsJudged(t *testing.T) {
	t.Parallel()
	report, err := state.Judge(registry.Pack(), large(t), state.Options{})
	require.NoError(t, err)
	assert.Equal(t, 5000, report.Resources)
}

func BenchmarkJudge(b *testing.B) {
	text := large(b)
	for b.Loop() {
		_, err := state.Judge(registry.Pack(), text, state.Options{})
		require.NoError(b, err)
	}
}

// large returns the state of many services.
func large(tb testing.TB) []byte {
	tb.Helper()
	var resources []map[string]any
	for i, r := range ruletest.Many(tb, "../../tests/golden/prod.yaml", 4000) {
		judged := resource(r.Type, r.Name, r.Inputs)
		judged["dependencies"] = r.Dependencies
		resources = append(resources, judged)
		if i%4 == 0 {
			resources = append(resources, resource("aws:s3/bucketV2:BucketV2", strconv.Itoa(i), nil))
		}
	}
	text, err := json.Marshal(map[string]any{"version": 3, "deployment": map[string]any{"resources": resources}})
	require.NoError(tb, err)
	return text
}

func TestFaultsAreAllReported(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                 "reading the state: it is empty: want the output of `pulumi stack export`",
		"[]":               "want the output of `pulumi stack export` or `dbtier export`",
		`{"version": 3}`:   "it has no deployment",
		`{"deployment": 1`: "reading the state",
	} {
		_, err := state.Judge(registry.Pack(), []byte(text), state.Options{})
		require.ErrorContains(t, err, want)
	}
	_, err := state.Judge(registry.Pack(), export(t),
		state.Options{Config: []byte(`{"rds-typo": "mandatory", "rds-multi-az": "always", "all": 1}`)})
	require.Error(t, err)
	assert.Equal(t, []string{
		"the policy config:", "  all: 1: want advisory, mandatory, remediate or disabled",
		"  rds-multi-az: always: want advisory, mandatory, remediate or disabled",
		"  rds-typo: is not a rule of this pack: see `dbtier policy list`",
	}, strings.Split(err.Error(), "\n"))
	_, err = state.Judge(registry.Pack(), export(t), state.Options{Config: []byte(`{"rds-typo": {"exceptions": [{}]},
		"rds-multi-az": {"nothing": 1, "exceptions": [{"resource": "a", "owner": "b", "reason": "c", "expires": "soon"}]}}`)})
	require.Error(t, err)
	for _, want := range []string{
		"rds-typo: is not a rule", "rds-typo.exceptions[0].owner: is required", "rds-multi-az.nothing: is not a setting",
		`rds-multi-az.exceptions[0].expires: "soon": want a date`,
	} {
		require.ErrorContains(t, err, want, "all faults at once")
	}
	_, err = state.Judge(registry.Pack(), export(t), state.Options{Config: []byte("rules")})
	require.ErrorContains(t, err, "want a JSON object with the names of rules")
	_, err = state.Judge(registry.Pack(), export(t), state.Options{Profile: "prod"})
	assert.ErrorContains(t, err, "want production or development")
}

func FuzzAnyTextIsJudgedOrRefused(f *testing.F) {
	f.Add(`{"version":3,"deployment":{"resources":[{"urn":"a::b","type":"aws:rds/instance:Instance","inputs":{"kmsKeyId":{"4dabf18193072939515e22adb298388d":"` + secretSig + `","plaintext":"{"}}}]}}`)
	f.Add(`{"deployment":{"resources":[{"type":"kubernetes:apps/v1:Deployment","inputs":{"spec":{"template":{"spec":{"containers":[null,1]}}}}}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		report, err := state.Judge(registry.Pack(), []byte(text), state.Options{})
		assert.Equal(t, report == nil, err != nil)
	})
}

func TestTheAnswerOfExportIsAState(t *testing.T) {
	t.Parallel()
	plain := export(t, golden(t)...)
	answer := []byte(`{"schema": "dbtier/v1", "deployment": ` + string(plain) + `}`)
	want, err := state.Judge(registry.Pack(), plain, state.Options{})
	require.NoError(t, err)
	got, err := state.Judge(registry.Pack(), answer, state.Options{})
	require.NoError(t, err)
	assert.Equal(t, want, got)

	empty, err := state.Judge(registry.Pack(), []byte(`{"version":3,"deployment":{"manifest":{}}}`), state.Options{})
	require.NoError(t, err, "a stack that was never deployed has no resources")
	assert.Zero(t, empty.Resources)
}

func TestWhatIsNoStateIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "it is empty", "urn:pulumi": "it is not JSON", "[]": "no deployment", "{}": "no deployment",
		`{"deployment": 3}`: "no deployment", `{"deployment": {}}`: "no deployment", `{"resources": []}`: "no deployment",
	} {
		_, err := state.Judge(registry.Pack(), []byte(text), state.Options{})
		require.Error(t, err, text)
		assert.Contains(t, err.Error(), want, text)
		assert.NotContains(t, err.Error(), "Go ", text)
	}
}
