package driver

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// planted are secrets that a person has written where they do not belong.
var planted = []string{"hunter22-of-env", "hunter22-of-url", "hunter22-of-ini", "hunter22-of-before"}

// refused is a run in which a policy refuses a Deployment with a password after its inputs were shown. Another resource
// and an error of the engine have the same password without a name.
func refused(t *testing.T) string {
	t.Helper()
	inputs := func(password string) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"name": "myshop-api"},
			"spec": map[string]any{"containers": []any{map[string]any{"env": []any{
				map[string]any{"name": "DATABASE_PASSWORD", "value": password},
				map[string]any{"name": "CACHE", "value": "redis://app:hunter22-of-url@cache/0"},
				map[string]any{"name": "LOG_LEVEL", "value": "debug"},
			}}}},
			"data": map[string]any{"app.ini": "level = debug\npassword = hunter22-of-ini\n" + strings.Repeat("; comment\n", 20)},
		}
	}
	const urn = "urn:pulumi:prod::dbtier::kubernetes:apps/v1:Deployment::consumer-deployment"
	const other = "urn:pulumi:prod::dbtier::aws:kms/key:Key::k"
	events := []any{
		map[string]any{"resourcePreEvent": map[string]any{"metadata": map[string]any{
			"op": "update", "urn": urn, "type": "kubernetes:apps/v1:Deployment", "old": map[string]any{"inputs": inputs("hunter22-of-before")},
			"new": map[string]any{"inputs": inputs("hunter22-of-env")},
			"detailedDiff": map[string]any{
				"spec.containers[0].env[0].value": map[string]any{"kind": "update"}, "spec": map[string]any{"kind": "update"},
				`data["app.ini"]`: map[string]any{"kind": "update"},
			},
		}}},
		map[string]any{"resourcePreEvent": map[string]any{"metadata": map[string]any{
			"op": "create", "urn": other, "type": "aws:kms/key:Key",
			"new": map[string]any{"inputs": map[string]any{"description": "of hunter22-of-env and hunter22-of-before"}},
		}}},
		map[string]any{"policyEvent": map[string]any{
			"resourceUrn": urn, "message": "spec.containers[0].env[0].value: has the name of a credential", "color": "never",
			"policyName": "k8s-no-credentials-in-config", "policyPackName": "dbtier", "enforcementLevel": "mandatory",
		}},
		map[string]any{"diagnosticEvent": map[string]any{
			"severity": "warning", "message": "the server said hunter22-of-env, postgres://a:hunter22-of-url@b and hunter22-of-ini",
		}},
		map[string]any{"diagnosticEvent": map[string]any{"severity": "error", "message": "cannot log in with hunter22-of-env"}},
		map[string]any{"summaryEvent": map[string]any{"resourceChanges": map[string]any{"update": 1, "create": 1}}},
	}
	var text strings.Builder
	for _, event := range events {
		line, err := json.Marshal(event)
		require.NoError(t, err)
		text.Write(append(line, '\n'))
	}
	return text.String()
}

// written is what the files contain that exist.
func written(files ...string) string {
	var all bytes.Buffer
	for _, file := range files {
		text, _ := os.ReadFile(file)
		all.Write(text)
	}
	return all.String()
}

func TestARefusedSecretIsNotShown(t *testing.T) {
	for _, args := range [][]string{
		{"preview", "--inputs"},
		{"preview"},
		{"preview", "--json"},
		{"up", "--yes"},
		{"up", "--yes", "--json"},
		{"refresh", "--yes"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			b := newBench(t)
			b.happens(refused(t))
			args = append(args, "--stack", "prod")
			summary := filepath.Join(b.dir, "summary.md")
			if args[0] != "refresh" {
				args = append(args, "--summary", summary)
			}
			files := []string{summary}
			if args[0] == "preview" {
				files = append(files, filepath.Join(b.dir, "a.sarif"), filepath.Join(b.dir, "a.xml"))
				args = append(args, "--sarif", files[1], "--junit", files[2])
			}
			b.run(args...)
			all := b.stdout.String() + b.stderr.String() + written(files...)
			for _, secret := range planted {
				assert.NotContains(t, all, secret)
			}
			if args[0] == "preview" {
				assert.Contains(t, all, "consumer-deployment")
				assert.Contains(t, all, "has the name of a credential")
			}
			if args[1] == "--inputs" {
				assert.Contains(t, all, "value: debug")
				assert.Contains(t, all, "value: <secret>")
				assert.Contains(t, all, "redis://app:[secret]@cache/0")
			}
		})
	}
}

func TestSeveralStacksDoNotShowARefusedSecret(t *testing.T) {
	b := newBench(t)
	b.happens(refused(t))
	b.run("preview", "--inputs", "--stacks", "pro*")
	for _, secret := range planted {
		assert.NotContains(t, b.stdout.String()+b.stderr.String(), secret)
	}
	assert.Contains(t, b.stdout.String(), "prod | ")
}

func TestErrorsDoNotShowPasswords(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		args []string
		want string
	}{
		"a backend without encryption": {
			args: []string{"preview", "--backend", "postgres://app:hunter22@db.example.com/state"},
			want: "postgres://app:[secret]@db.example.com/state",
		},
		"a value for one run without a sign": {
			args: []string{"preview", "--config", "consumer.env.DB_PASSWORD:hunter22"}, want: "want key=value",
		},
		"a value for one run after a blank": {
			args: []string{"preview", "--config", "dbtier:consumer.env.DB_PASSWORD hunter22"},
			want: "--config dbtier:consumer.env.DB_PASSWORD: want key=value",
		},
		"a value for one run with an unknown key": {
			args: []string{"preview", "--config", "consumer.envs.DB_PASSWORD=hunter22"}, want: "has no key envs",
		},
		"an argument that does not belong there": {
			args: []string{"preview", "--config", "consumer.env.DB_PASSWORD=hunter22", "hunter22"}, want: "unknown command",
		},
		"variables as a list": {
			file: "dbtier:consumer: {env: [DB_PASSWORD=hunter22, {name: DB_PASSWORD, value: hunter22}, {DB_PASSWORD: hunter22}]}",
			args: []string{"doctor"}, want: "consumer.env: ",
		},
		"a URL in the place of a section": {
			file: "dbtier:database: postgres://app:hunter22@db/shop", args: []string{"doctor"},
			want: `database: "postgres://app:[secret]@db/shop"`,
		},
		"a DSN in the place of a section": {
			file: "dbtier:database: host=db password=hunter22", args: []string{"doctor"}, want: "database: ",
		},
		"a login in a host": {
			file: "dbtier:consumer: {image: 'app:hunter22@db.example.com'}", args: []string{"doctor"}, want: "consumer.image",
		},
		"a URL in the place of a key": {
			file: "postgres://app:hunter22@db: x", args: []string{"doctor"}, want: "postgres://app:[secret]@db",
		},
		"the cloud": {
			file: "dbtier:cloud: postgres://app:hunter22@db", args: []string{"preview"}, want: "no such cloud",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			t.Setenv("PULUMI_CONFIG_PASSPHRASE", "")
			if c.file != "" {
				t.Setenv("PULUMI_CONFIG_PASSPHRASE", "x")
				text := "config:\n  " + c.file + "\n"
				if !strings.HasPrefix(c.file, "dbtier:cloud") {
					text += "  dbtier:cloud: aws\n"
				}
				require.NoError(t, os.WriteFile(filepath.Join(b.dir, "Pulumi.prod.yaml"), []byte(text), 0o600))
			}
			args := slices.Concat(c.args, []string{"--stack", "prod", "--json"})
			if c.args[0] == "preview" {
				args = append(args, "--sarif", "a.sarif", "--junit", "a.xml")
			}
			b.run(args...)
			all := b.stdout.String() + b.stderr.String() +
				written(filepath.Join(b.dir, "a.sarif"), filepath.Join(b.dir, "a.xml"))
			assert.NotContains(t, all, "hunter22")
			assert.Contains(t, all, strings.ReplaceAll(c.want, `"`, `\"`))
			b.run(append(c.args, "--stack", "prod")...)
			all = b.stdout.String() + b.stderr.String()
			assert.NotContains(t, all, "hunter22")
			assert.Contains(t, all, c.want)
		})
	}
}

func TestAnExportedStateIsNotChanged(t *testing.T) {
	b := newBench(t)
	const state = `{"version":3,"deployment":{"resources":[{"urn":"u","inputs":{"url":"postgres://a:hunter22@b"}}]}}`
	t.Setenv(fakeState, state)
	require.Zero(t, b.run("export", "--stack", "prod"), b.stderr.String())
	assert.JSONEq(t, state, b.stdout.String())
	require.Zero(t, b.run("export", "--stack", "prod", "--json"), b.stderr.String())
	assert.JSONEq(t, state, string(b.answer().Deployment))
}
