package driver

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/registry"
)

// policies runs `dbtier policy …` and returns what it printed.
func policies(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errors, system: "linux"}
	code = a.run(t.Context(), append([]string{"policy"}, args...))
	return code, out.String(), errors.String()
}

const publicDatabase = `{"version":3,"deployment":{"resources":[
	{"urn":"urn:pulumi:prod::shop::aws:rds/instance:Instance::database","type":"aws:rds/instance:Instance","inputs":{"publiclyAccessible":true},"outputs":{}}]}}`

func TestPolicyListHasEveryRule(t *testing.T) {
	t.Parallel()
	code, out, _ := policies(t, "", "list")
	require.Zero(t, code)
	for _, r := range registry.All() {
		assert.Contains(t, out, r.Name+" ")
		assert.Contains(t, out, r.Summary)
	}
	code, out, _ = policies(t, "", "list", "--family", "kms", "--json")
	require.Zero(t, code)
	var listed report
	require.NoError(t, json.Unmarshal([]byte(out), &listed))
	require.NotEmpty(t, listed.Rules)
	for _, d := range listed.Rules {
		assert.Equal(t, "kms", d.Family)
	}
	code, _, errors := policies(t, "", "list", "--family", "s3")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errors, "--family s3: choose one of rds, secrets, kms")
}

func TestPolicyExplainTellsWhyAndHow(t *testing.T) {
	t.Parallel()
	code, out, _ := policies(t, "", "explain", "rds-backup-retention")
	require.Zero(t, code)
	for _, part := range []string{
		"fix          raise backupRetentionPeriod", "mandatory in production, mandatory in development",
		"covers       CKV_AWS_133", "settings     minimumDays, default 7: ",
		"checks       aws:rds/instance:Instance",
	} {
		assert.Contains(t, out, part)
	}
	code, out, _ = policies(t, "", "explain", "rds-copy-tags", "--json")
	require.Zero(t, code)
	var explained report
	require.NoError(t, json.Unmarshal([]byte(out), &explained))
	require.Len(t, explained.Rules, 1)
	assert.True(t, explained.Rules[0].Remediates)

	for name, want := range map[string]string{
		"backup":      `no rule is called "backup": did you mean rds-backup-retention`,
		"ckv_aws_133": `no rule is called "ckv_aws_133": did you mean rds-backup-retention?`,
		"nothing":     "no rule is called \"nothing\": see `dbtier policy list`",
	} {
		code, _, errors := policies(t, "", "explain", name)
		assert.Equal(t, exitUsage, code)
		assert.Contains(t, errors, want)
	}
}

func TestPolicyCheckFailsForWhatIsMandatory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, os.WriteFile(file, []byte(publicDatabase), 0o600))
	code, out, errors := policies(t, "", "check", "--state", file)
	assert.Equal(t, exitRefused, code)
	assert.Contains(t, out,
		"mandatory  rds-not-public: aws:rds:Instance database: A database does not have a public address.")
	assert.Contains(t, errors, "the state violates mandatory rules")

	code, out, _ = policies(t, publicDatabase, "check", "--state", "-", "--json")
	assert.Equal(t, exitRefused, code)
	var judged report
	require.NoError(t, json.Unmarshal([]byte(out), &judged))
	require.NotNil(t, judged.Judgement)
	assert.Positive(t, judged.Judgement.Mandatory)

	config := filepath.Join(t.TempDir(), "policies.json")
	require.NoError(t, os.WriteFile(config, []byte(`{"all": "advisory"}`), 0o600))
	code, out, _ = policies(t, publicDatabase, "check", "--state", "-", "--policy-pack-config", config)
	assert.Zero(t, code)
	assert.Contains(t, out, "advisory   rds-not-public")
	assert.Contains(t, out, "0 of them mandatory")

	require.NoError(t, os.WriteFile(config, []byte(`{"rds-typo": "advisory"}`), 0o600))
	code, _, errors = policies(t, publicDatabase, "check", "--state", "-", "--policy-pack-config", config)
	assert.Equal(t, exitConfig, code)
	assert.Contains(t, errors, "rds-typo: is not a rule")
}

func TestPolicyCheckStopsForFindingsThatAreNotInTheBaseline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, config := filepath.Join(dir, "findings.json"), filepath.Join(dir, "policies.json")
	require.NoError(t, os.WriteFile(config,
		[]byte(`{"all": "disabled", "rds-not-public": "mandatory", "rds-multi-az": "mandatory"}`), 0o600))
	check := func(state string, args ...string) (code int, out, errors string) {
		return policies(t, state, append([]string{
			"check", "--state", "-", "--policy-pack-config", config, "--baseline", file,
		}, args...)...)
	}
	code, _, errors := check(publicDatabase)
	assert.Equal(t, 1, code)
	assert.Contains(t, errors, "there is no such file: create it with --write-baseline")

	multiAZ := strings.Replace(publicDatabase, `"inputs":{`, `"inputs":{"multiAz":true,`, 1)
	code, out, _ := check(multiAZ, "--write-baseline")
	assert.Zero(t, code)
	assert.Contains(t, out, "known      rds-not-public")
	assert.Contains(t, out, "1 resources, 1 findings, 0 of them mandatory, 1 known")
	code, out, _ = check(multiAZ)
	assert.Zero(t, code, out)

	code, out, _ = check(publicDatabase)
	assert.Equal(t, exitRefused, code, "a second finding is new")
	assert.Contains(t, out, "known      rds-not-public")
	assert.Contains(t, out, "mandatory  rds-multi-az")

	code, out, _ = check(strings.Replace(multiAZ, `"publiclyAccessible":true`, `"publiclyAccessible":false`, 1))
	assert.Zero(t, code)
	assert.Contains(t, out, "gone       rds-not-public: aws:rds:Instance database: removed from the baseline")
	code, _, _ = check(multiAZ)
	assert.Equal(t, exitRefused, code, "the finding is new again")

	require.NoError(t, os.WriteFile(file, []byte(`{"findings": [{}]}`), 0o600))
	code, _, errors = check(multiAZ)
	assert.Equal(t, 1, code)
	assert.Contains(t, errors, "findings[0].rule: is missing")
}

func TestPolicyCheckSaysWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"check"}, "--state is missing", exitUsage},
		{
			[]string{"check", "--state", "-", "--profile", "prod"},
			"--profile prod: choose production or development",
			exitUsage,
		},
		{[]string{"check", "--state", "missing.json"}, "--state: open missing.json", 1},
		{[]string{"check", "--state", "-", "--write-baseline"}, "--write-baseline needs the file", exitUsage},
		{
			[]string{"check", "--state", "-", "--policy-pack-config", "missing.json"},
			"--policy-pack-config: open missing.json", 1,
		},
		{[]string{"check", "--state", "-"}, "want the output of `pulumi stack export`", 1},
	} {
		code, _, errors := policies(t, "nonsense", c.args...)
		assert.Equal(t, c.code, code, "%v", c.args)
		assert.Contains(t, errors, c.want, "%v", c.args)
	}
}

func TestFindingsAreWrittenForPipelines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sarif, junit := filepath.Join(dir, "findings.sarif"), filepath.Join(dir, "findings.xml")
	code, _, _ := policies(t, publicDatabase, "check", "--state", "-", "--sarif", sarif, "--junit", junit)
	assert.Equal(t, exitRefused, code)
	text, err := os.ReadFile(sarif)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"ruleId": "rds-not-public"`)
	text, err = os.ReadFile(junit)
	require.NoError(t, err)
	assert.Contains(t, string(text), `<testcase name="rds-not-public: database" classname="-">`)

	code, _, errors := policies(t, publicDatabase, "check", "--state", "-", "--sarif", filepath.Join(dir, "no", "file"))
	assert.Equal(t, 1, code)
	assert.Contains(t, errors, "--sarif: open ")
}

func TestAPreviewWritesTheFindingsOfItsStacks(t *testing.T) {
	b := newBench(t)
	b.happens(`{"policyEvent":{"resourceUrn":"urn:pulumi:prod::dbtier::aws:rds/instance:Instance::database-instance",` +
		`"policyName":"rds-multi-az","policyPackName":"dbtier-policy","enforcementLevel":"mandatory",` +
		`"message":"A standby takes over.\nmultiAz: false"}}` + "\n" +
		`{"summaryEvent":{"resourceChanges":{"same":4}}}`)
	sarif := filepath.Join(b.dir, "findings.sarif")
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "Pulumi.prod.yaml"),
		[]byte("config:\n  dbtier:cloud: aws\n  dbtier:database:\n    multiAz: false\n"), 0o600))
	b.run("preview", "--stack", "prod", "--sarif", sarif)
	text, err := os.ReadFile(sarif)
	require.NoError(t, err, b.stderr.String())
	assert.Contains(t, string(text), `"uri": "Pulumi.prod.yaml"`)
	assert.Contains(t, string(text), `"startLine": 4`)
	assert.Contains(t, string(text), `"level": "error"`)
}
