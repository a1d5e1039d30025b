package driver

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAFlagOfTerraformLeadsToOurs(t *testing.T) {
	b := newBench(t)
	for line, want := range map[string]string{
		"up -auto-approve --stack prod":            "unknown flag -auto-approve: want --yes\nsee: dbtier up --help",
		"up --auto-approve --stack prod":           "unknown flag --auto-approve: want --yes",
		"preview -auto-approve":                    "unknown flag -auto-approve: leave it out: dbtier preview has no --yes",
		"preview -out=prod.plan":                   "unknown flag -out: want --plan",
		"preview -out prod.plan":                   "unknown flag -out: want --plan",
		"up -stack local":                          "unknown flag -stack: want --stack",
		"up --stack local -target=urn:x":           "unknown flag -target: want --target",
		"up -target x --stack local":               "unknown flag -target: want --target",
		"up -var k=hunter22":                       "unknown flag -var: want --config\nsee",
		"up --var=k=hunter22":                      "unknown flag --var: want --config\nsee",
		"up -config k=v":                           "unknown flag -config: want --config",
		"up -replace=x":                            "unknown flag -replace: want --replace",
		"up -parallelism=4":                        "unknown flag -parallelism: want --parallel",
		"up -yes":                                  "unknown flag -yes: want --yes",
		"up -help":                                 "unknown flag -help: want --help",
		"preview -json":                            "unknown flag -json: want --json",
		"preview -refresh-only":                    "use `dbtier drift`",
		"preview --refresh-only":                   "use `dbtier drift`",
		"preview -refresh=false":                   "unknown flag -refresh: leave it out: the real resources are read only with",
		"preview -refresh":                         "unknown flag -refresh: want --refresh",
		"preview -destroy":                         "use `dbtier destroy`",
		"preview -detailed-exitcode":               "want --detailed-exitcode",
		"up -var-file prod.tfvars":                 "write the values into Pulumi.<stack>.yaml",
		"up -lock=false":                           "leave it out: a run always locks its stack",
		"up -input=false":                          "leave it out",
		"-chdir=infra preview":                     "change into the project's folder before",
		"-version":                                 "use `dbtier version`",
		"--version":                                "use `dbtier version`",
		"outputs -raw":                             "jq -r .outputs.<name>",
		"up --stak local":                          "unknown flag --stak: did you mean --stack?\nsee: dbtier up --help",
		"up -allow-dataloss x":                     "did you mean --allow-data-loss?",
		"up --zzzzzzzzzzzz":                        "the flags are --allow-data-loss, --backend",
		"local start -latency aws":                 "want --latency",
		"destroy --stack prod -- -target":          "no such", // Words after -- are no flags.
		"apply -auto-approve":                      "did you mean dbtier up?",
		"taint database":                           "did you mean dbtier up --replace <resource>?",
		"workspace select prod":                    "did you mean dbtier up --stack <stack>?",
		"show":                                     "did you mean dbtier export?",
		"up --stack prod --config -stack=x --json": "",
	} {
		if want == "" || want == "no such" {
			assert.NotContains(t, b.said(strings.Fields(line)...), "unknown flag", line)
			continue
		}
		b.says(exitUsage, want, strings.Fields(line)...)
		assert.NotContains(t, b.stderr.String(), "hunter22", line)
	}
}

// said runs a command and returns its messages.
func (b *bench) said(args ...string) string {
	b.t.Helper()
	b.run(args...)
	return b.stderr.String()
}

func TestShortFlagsWithTheirValuesAreUnderstood(t *testing.T) {
	b := newBench(t)
	for _, line := range []string{
		"up -sprod -y", "up -s prod -y", "up -s=prod -y", "up -ysprod -p4", "preview -sprod -cconsumer.image=x",
		"preview -s prod -t x --target -stack",
	} {
		assert.NotContains(t, b.said(strings.Fields(line)...), "flag", line)
	}
}

func TestThePlanOfApplyIsAFlagHere(t *testing.T) {
	b := newBench(t)
	require.NoError(t, os.WriteFile(filepath.Join(b.dir, "prod.plan"), []byte(`{"resourcePlans":{}}`), 0o600))
	b.says(exitUsage, "prod.plan is a plan: did you mean --plan prod.plan?", "up", "--stack", "prod", "prod.plan")
	b.says(exitUsage, `unknown command "other"`, "up", "--stack", "prod", "other")
}

// The page for people who come from Terraform names every command and flag for which there is a hint.
func TestWhatTerraformHasIsOnItsPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "concepts", "terraform.md"))
	require.NoError(t, err)
	for name := range flagsOfTerraform {
		assert.Regexp(t, "(?m)^\\|[^|]*-"+regexp.QuoteMeta(name)+"\\b", string(text))
	}
	for name := range ofTerraform {
		assert.Regexp(t, "(?m)^\\|[^|]*`(?:terraform )?"+regexp.QuoteMeta(name)+"\\b", string(text))
	}
}
