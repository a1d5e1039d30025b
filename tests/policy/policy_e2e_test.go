//go:build e2e

package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/ruletest"
)

// tier is the stack prod, as a program without components declares it.
type tier struct {
	resources []*ruletest.Resource
	// outputs are inputs that are outputs of another resource.
	outputs []output
}

type output struct {
	of, input, from, property string
	// into converts the output to the input.
	into func(any) any
}

func prod(t *testing.T, changes ...change) *tier {
	t.Helper()
	stack := &tier{}
	for _, r := range ruletest.Golden(t, "../golden/prod.yaml") {
		// The provider of these tests does not know components, providers and charts.
		if strings.HasPrefix(r.Type, "aws:") || strings.HasPrefix(r.Type, "kubernetes:") &&
			r.Type != "kubernetes:helm.sh/v4:Chart" {
			stack.resources = append(stack.resources, r)
		}
	}
	// The golden file is sorted by type. In the program the service comes last.
	last := slices.IndexFunc(stack.resources, func(r *ruletest.Resource) bool { return r.Name == consumer })
	service := stack.resources[last]
	stack.resources = append(slices.Delete(stack.resources, last, last+1), service)
	for _, c := range changes {
		r := ruletest.Named(t, stack.resources, c.resource)
		*r = *ruletest.Set(c.value, c.path...).On(r)
	}
	return stack
}

type change struct {
	resource string
	value    any
	path     []any
}

func set(resource string, value any, path ...any) change { return change{resource, value, path} }

// declared is a resource of any type.
type declared struct {
	pulumi.CustomResourceState
	Arn       pulumi.StringOutput `pulumi:"arn"`
	Everybody pulumi.StringOutput `pulumi:"everybody"`
}

const consumer = "consumer-deployment"

// waits has the dependencies, which the golden file does not contain.
var waits = map[string]string{
	consumer: "migration-job", "secrets-role-policy": "secrets-role-role",
	"database-instance": "database-security-group",
}

func (s *tier) program(ctx *pulumi.Context) error {
	made := map[string]*declared{}
	for _, r := range s.resources {
		inputs := pulumi.Map{}
		for key, value := range r.Inputs {
			if secret, ok := value.(ruletest.Secret); ok {
				inputs[key] = pulumi.ToSecret(pulumi.Any(secret.Value))
				continue
			}
			inputs[key] = pulumi.Any(value)
		}
		for _, o := range s.outputs {
			if o.of == r.Name {
				from := made[o.from].Arn
				if o.property == "everybody" {
					from = made[o.from].Everybody
				}
				inputs[o.input] = from.ApplyT(func(value string) any { return o.into(value) })
			}
		}
		one := &declared{}
		var after []pulumi.Resource
		if first := waits[r.Name]; first != "" {
			after = append(after, made[first])
		}
		if err := ctx.RegisterResource(r.Type, r.Name, inputs, one, pulumi.DependsOn(after)); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		made[r.Name] = one
	}
	return nil
}

// engine is a stack in the real engine.
type engine struct {
	t     *testing.T
	stack auto.Stack
	pack  string
	env   map[string]string
}

func newEngine(t *testing.T, s *tier) *engine {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	command, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: root})
	require.NoError(t, err, "bin/pulumi is missing: make build")
	dir := t.TempDir()
	backend := filepath.Join(dir, "state")
	require.NoError(t, os.Mkdir(backend, 0o700))
	port := serve(t)
	env := map[string]string{
		"PULUMI_BACKEND_URL": "file://" + backend, "PULUMI_HOME": filepath.Join(dir, "home"),
		"PULUMI_CONFIG_PASSPHRASE": "tests", "PULUMI_SKIP_UPDATE_CHECK": "true",
		"PULUMI_DEBUG_PROVIDERS":                      fmt.Sprintf("aws:%d,kubernetes:%d", port, port),
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
	}
	stack, err := auto.UpsertStackInlineSource(t.Context(), "prod", "shop", s.program, auto.Pulumi(command),
		auto.EnvVars(env), auto.WorkDir(dir))
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(root, "bin", "policy-pack"), "make build")
	return &engine{t: t, stack: stack, pack: filepath.Join(root, "bin", "policy-pack"), env: env}
}

// config writes a policy config file.
func (e *engine) config(config map[string]any) string {
	e.t.Helper()
	text, err := json.Marshal(config)
	require.NoError(e.t, err)
	file := filepath.Join(e.t.TempDir(), "policies.json")
	require.NoError(e.t, os.WriteFile(file, text, 0o600))
	return file
}

func (e *engine) preview(config map[string]any) (said string, err error) {
	e.t.Helper()
	var out bytes.Buffer
	_, err = e.stack.Preview(e.t.Context(), optpreview.PolicyPacks(e.pack),
		optpreview.PolicyPackConfigs(e.config(config)), optpreview.ProgressStreams(&out),
		optpreview.ErrorProgressStreams(&out))
	return out.String(), err
}

func (e *engine) up(config map[string]any) (said string, err error) {
	e.t.Helper()
	var out bytes.Buffer
	_, err = e.stack.Up(e.t.Context(), optup.PolicyPacks(e.pack), optup.PolicyPackConfigs(e.config(config)),
		optup.ProgressStreams(&out),
		optup.ErrorProgressStreams(&out))
	return out.String(), err
}

// state exports the stack's state into a file.
func (e *engine) state() (file, text string) {
	e.t.Helper()
	exported, err := e.stack.Export(e.t.Context())
	require.NoError(e.t, err)
	encoded, err := json.Marshal(exported)
	require.NoError(e.t, err)
	file = filepath.Join(e.t.TempDir(), "state.json")
	require.NoError(e.t, os.WriteFile(file, encoded, 0o600))
	return file, string(encoded)
}

// made disables a rule that needs AWS's output of a role, which the golden file does not contain.
var made = map[string]any{"irsa-account-exists": "disabled"}

func TestTheTierPassesAPreviewAndAnUpdate(t *testing.T) {
	t.Parallel()
	e := newEngine(t, prod(t))
	said, err := e.preview(made)
	require.NoError(t, err, said)
	said, err = e.up(made)
	require.NoError(t, err, said)
}

func TestARuleOfEachFamilyStopsAPreview(t *testing.T) {
	t.Parallel()
	pod := func(steps ...any) []any { return append([]any{"spec", "template", "spec"}, steps...) }
	e := newEngine(t, prod(t,
		set("database-instance", true, "publiclyAccessible"),
		set("database-instance", "db.t4g.micro", "instanceClass"),
		set("database-key", false, "enableKeyRotation"),
		set("secrets-store", []any{}, "spec", "conditions"),
		set("secrets-role-policy", `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, "policy"),
		set("database-security-group", []any{"0.0.0.0/0"}, "ingress", 0, "cidrBlocks"),
		set("consumer-deployment", true, pod("containers", 0, "securityContext", "privileged")...),
		set("pool-deployment", "edoburu/pgbouncer:v1.24.1-p1", pod("containers", 0, "image")...),
		set("migration-job", 60, "spec", "ttlSecondsAfterFinished"),
	))
	said, err := e.preview(made)
	require.Error(t, err)
	for family, rule := range map[string]string{
		"rds": "rds-not-public", "kms": "kms-rotation", "secrets": "secret-store-scoped", "iam": "iam-no-star-action",
		"network":    "network-no-public-ingress",
		"kubernetes": "k8s-privileged", "pool": "pool-version", "migration": "job-stays",
		"stackwide": "connections-fit",
	} {
		assert.Contains(t, said, rule, family)
	}
	assert.Contains(t, said, "there is room for 78 connections", "the message of a stack rule")
}

func TestWhatAPreviewDoesNotKnowTheUpdateJudges(t *testing.T) {
	t.Parallel()
	stack := prod(t)
	stack.outputs = []output{{
		of: "database-security-group", input: "ingress", from: "database-log-postgresql",
		property: "everybody", into: func(cidr any) any {
			return []any{map[string]any{
				"description": "everybody", "fromPort": 5432, "toPort": 5432, "protocol": "tcp",
				"cidrBlocks": []any{cidr},
			}}
		},
	}}
	e := newEngine(t, stack)
	said, err := e.preview(made)
	require.NoError(t, err, "an unknown value is not a violation: %s", said)
	assert.Contains(t, said, "policies will be evaluated during the update, when these values are known")
	assert.Contains(t, said, "database-security-group.ingress: database-group-port, network-database-port",
		"nor a silent pass")

	said, err = e.up(made)
	require.Error(t, err)
	assert.Contains(t, said, "network-no-public-ingress")
	_, state := e.state()
	assert.NotContains(t, state, "::database-security-group\"", "a resource that violates a mandatory rule is not created")
}

func TestASecretIsInNothingThatIsSaid(t *testing.T) {
	t.Parallel()
	const password = "hunter22-hunter22"
	e := newEngine(t, prod(t, set("database-instance", ruletest.Secret{Value: password}, "password"),
		set("database-instance", ruletest.Secret{Value: "postgres"}, "username"),
		set("consumer-config", password, "data", "DB_PASSWORD")))
	said, err := e.preview(made)
	require.Error(t, err)
	for _, rule := range []string{"rds-managed-password", "rds-admin-name", "k8s-no-credentials-in-config"} {
		assert.Contains(t, said, rule)
	}
	assert.NotContains(t, said, password)
	assert.Contains(t, said, "username: (secret): is a common name")
}

func TestTheConfigFileChangesLevelsRemediatesAndLetsPass(t *testing.T) {
	t.Parallel()
	e := newEngine(t, prod(t, set("database-instance", false, "copyTagsToSnapshot"),
		set("database-instance", false, "multiAz")))
	config := map[string]any{
		"irsa-account-exists": "disabled",
		"rds-copy-tags":       "remediate",
		"rds-multi-az": map[string]any{"exceptions": []any{
			map[string]any{
				"resource": "database-instance", "owner": "team-shop", "reason": "load test",
				"expires": "2999-12-31",
			},
		}},
	}
	said, err := e.up(config)
	require.NoError(t, err, said)
	assert.Contains(t, said, "allowed until 2999-12-31 by team-shop: load test")
	_, state := e.state()
	assert.Contains(t, state, `"copyTagsToSnapshot":true`)
	assert.NotContains(t, state, `"copyTagsToSnapshot":false`)

	config["rds-multi-az"].(map[string]any)["exceptions"].([]any)[0].(map[string]any)["expires"] = "2026-01-01"
	said, err = e.preview(config)
	require.Error(t, err)
	assert.Contains(t, said, "the exception of team-shop for this resource expired on 2026-01-01")

	said, err = e.preview(map[string]any{"rds-typo": "mandatory"})
	require.Error(t, err)
	assert.Contains(t, said+err.Error(), "rds-typo: is not a rule of this pack")
}

func TestPolicyAnalyzeJudgesAnExportedState(t *testing.T) {
	t.Parallel()
	e := newEngine(t, prod(t, set("database-instance", true, "publiclyAccessible")))
	said, err := e.up(map[string]any{"all": "advisory"})
	require.NoError(t, err, said)
	file, _ := e.state()
	analyze := func(config map[string]any) (string, error) {
		cmd := exec.CommandContext(t.Context(), "../../bin/pulumi", "policy", "analyze", "--file", file,
			"--policy-pack", e.pack, "--policy-pack-config", e.config(config))
		cmd.Env = os.Environ()
		for key, value := range e.env {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	said, err = analyze(made)
	require.Error(t, err)
	assert.Contains(t, said, "rds-not-public")
	said, err = analyze(map[string]any{"irsa-account-exists": "disabled", "rds-not-public": "disabled"})
	require.NoError(t, err, said)
}
