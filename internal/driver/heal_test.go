package driver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onlyStep are the events of one operation on a resource.
func onlyStep(op, resourceType string) string {
	resource := `"urn":"urn:pulumi:prod::dbtier::` + resourceType + `::k","type":"` + resourceType + `"`
	return `{"resourcePreEvent":{"metadata":{"op":"` + op + `",` + resource + `}}}
{"resOutputsEvent":{"metadata":{"op":"` + op + `",` + resource + `,"detailedDiff":{"spec.x":{"diffKind":"update"}}}}}
{"summaryEvent":{"resourceChanges":{"` + op + `":1,"same":4}}}
`
}

const (
	nothing   = `{"summaryEvent":{"resourceChanges":{"same":5}}}` + "\n"
	configMap = "kubernetes:core/v1:ConfigMap"
)

// drifting is a bench whose stack prod has drifted, and may be healed.
func drifting(t *testing.T) *bench {
	t.Helper()
	b := rotating(t, "config:\n", "config:\n  dbtier:drift: {heal: true}\n")
	b.happensIn("refresh", onlyStep("update", configMap))
	b.happensIn("preview", nothing)
	b.happensIn("preview"+refreshing, onlyStep("update", configMap))
	b.happensIn("up", onlyStep("update", configMap))
	return b
}

func TestDriftIsHealedByAnUpdate(t *testing.T) {
	b := drifting(t)
	require.Zero(t, b.run("drift", "--stack", "prod", "--heal"), b.stdout.String()+b.stderr.String())
	assert.Contains(t, b.stdout.String(), "stack prod: 1 resource drifted;")
	assert.Contains(t, b.stdout.String(), "stack prod: healed: 1 updated")
	commands, _ := b.engineRuns()
	assert.Equal(t, []string{"refresh", "preview", "preview", "up"}, commands)

	require.Zero(t, b.run("drift", "--stacks", "prod", "--heal"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "prod  healed, ")
	require.Zero(t, b.run("drift", "--stack", "prod", "--heal", "--json"), b.stderr.String())
	assert.True(t, b.answer().Healed)
	assert.True(t, *b.answer().Changed, "the drift that was found stays in the report")

	b.happensIn("refresh", nothing)
	require.Zero(t, b.run("drift", "--stack", "prod", "--heal"))
	assert.Contains(t, b.stdout.String(), "no drift")
	assert.NotContains(t, b.stdout.String(), "healed")
}

func TestDriftIsNotHealedWithoutBothTheFlagAndTheSetting(t *testing.T) {
	b := drifting(t)
	assert.Equal(t, exitPending, b.run("drift", "--stack", "prod"))
	b.writes(map[string]string{"Pulumi.prod.yaml": strings.Replace(b.file("Pulumi.prod.yaml"), "heal: true", "heal: false", 1)})
	b.says(exitPending, "stack prod is not healed: Pulumi.prod.yaml does not set dbtier:drift.heal to true", "drift",
		"--stack", "prod", "--heal")
	b.writes(map[string]string{"Pulumi.prod.yaml": strings.Replace(b.file("Pulumi.prod.yaml"), "heal: false", "heal: 7", 1)})
	b.says(exitConfig, "drift.heal: ", "drift", "--stack", "prod", "--heal")
	commands, _ := b.engineRuns()
	assert.Equal(t, []string{"refresh", "refresh", "refresh"}, commands)
}

func TestHealingThatWouldDoMoreIsRefused(t *testing.T) {
	const database = "aws:rds/instance:Instance"
	// drift itself has no flag that allows it.
	const lost = "if you want this, run `dbtier up --stack prod --refresh --allow-data-loss k`\n"
	for name, c := range map[string]struct{ recorded, refreshed, want string }{
		"a change that is not deployed": {
			onlyStep("update", configMap), onlyStep("update", configMap),
			"was not healed, and nothing was changed: it would also deploy what is not deployed yet (1 to update",
		},
		"a deletion": {
			nothing, onlyStep("delete", configMap), "it would do more than create and update (1 operation: delete kubernetes:ConfigMap k)",
		},
		"a replacement":      {nothing, onlyStep("replace", configMap), "it would do more than create and update"},
		"a lost database":    {nothing, onlyStep("replace", database), lost},
		"a deleted database": {nothing, onlyStep("delete", database), lost},
	} {
		b := drifting(t)
		b.happensIn("preview", c.recorded)
		b.happensIn("preview"+refreshing, c.refreshed)
		assert.Equal(t, exitRefused, b.run("drift", "--stack", "prod", "--heal"), "%s: %s", name, b.stderr.String())
		assert.Contains(t, b.stderr.String(), c.want, name)
		assert.Contains(t, b.stderr.String(), "stack prod was not healed, and nothing was changed: ", name)
		if c.want == lost {
			assert.Contains(t, b.stderr.String(), "nothing was changed: data would be lost:\n      aws:rds:Instance k is ", name)
		}
		assert.NotContains(t, b.stderr.String(), "add: --", name)
		commands, _ := b.engineRuns()
		assert.NotContains(t, commands, "up", name)
	}
	b := drifting(t)
	b.happensIn("up", `{"diagnosticEvent":{"severity":"error","message":"denied"}}`+"\n"+nothing)
	b.says(exitFailed, "denied", "drift", "--stack", "prod", "--heal")
}

// receiver is a webhook that answers with a status and keeps what it gets.
func receiver(t *testing.T, status int) (url string, got func() []string) {
	t.Helper()
	var mu sync.Mutex
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		bodies = append(bodies, string(body))
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/services/T0PSECRET", func() []string {
		mu.Lock()
		defer mu.Unlock()
		return bodies
	}
}

func TestFindingsArePostedToTheWebhook(t *testing.T) {
	b := drifting(t)
	url, got := receiver(t, http.StatusNoContent)
	t.Setenv("MY_PASSWORD", "correct-horse")
	b.happensIn("refresh", strings.ReplaceAll(onlyStep("update", configMap), "spec.x", "spec.correct-horse"))
	assert.Equal(t, exitPending, b.run("drift", "--stack", "prod", "--webhook", url), b.stderr.String())
	require.Len(t, got(), 1)
	var posted report
	require.NoError(t, json.Unmarshal([]byte(got()[0]), &posted))
	assert.Equal(t, []any{schema, "drift", "prod", exitPending},
		[]any{posted.Schema, posted.Command, posted.Stack, posted.ExitCode})
	require.Len(t, posted.Resources, 1)
	assert.NotContains(t, got()[0], "correct-horse")

	// One message for several stacks; the URL comes from a file.
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte(url+"\n"), 0o600))
	assert.Equal(t, exitPending, b.run("drift", "--stacks", "prod", "--webhook", "@"+file, "--json"), b.stderr.String())
	require.Len(t, got(), 2)
	posted = report{}
	require.NoError(t, json.Unmarshal([]byte(got()[1]), &posted))
	require.Len(t, posted.Stacks, 1)
	assert.NotContains(t, b.stdout.String()+b.stderr.String()+got()[1], "T0PSECRET")

	// What was healed was found.
	b.happensIn("refresh", onlyStep("update", configMap))
	require.Zero(t, b.run("drift", "--stack", "prod", "--webhook", url, "--heal"), b.stderr.String())
	require.Len(t, got(), 3)
	assert.Contains(t, got()[2], `"healed": true`)

	b.happensIn("refresh", nothing)
	require.Zero(t, b.run("drift", "--stack", "prod", "--webhook", url), b.stderr.String())
	assert.Len(t, got(), 3, "nothing was found")

	// A word in the path of the URL hides nothing.
	const named = configMap + "::team/alerts"
	b.happensIn("refresh", strings.ReplaceAll(onlyStep("update", configMap), configMap+"::k", named))
	short := strings.Replace(url, "/services/T0PSECRET", "/alerts", 1)
	assert.Equal(t, exitPending, b.run("drift", "--stack", "prod", "--webhook", short, "--json"), b.stderr.String())
	require.Len(t, got(), 4)
	assert.Contains(t, got()[3], named)
	assert.Contains(t, b.stdout.String(), named)
}

func TestFindingsThatAreNotDeliveredAreAFailure(t *testing.T) {
	b := drifting(t)
	url, got := receiver(t, http.StatusForbidden)
	const want = "--webhook: the findings were not delivered: it answered 403 Forbidden"
	b.says(exitTrouble, "error: "+want+"\n", "drift", "--stack", "prod", "--webhook", url)
	assert.Len(t, got(), 1)
	b.says(exitTrouble, want, "drift", "--stacks", "prod", "--webhook", url)
	assert.Equal(t, exitTrouble, b.run("drift", "--stack", "prod", "--webhook", url, "--json"))
	assert.Equal(t, []string{want}, b.answer().Faults)
	assert.NotContains(t, b.stdout.String()+b.stderr.String(), "T0PSECRET")

	// A worse code stays.
	b.happensIn("preview", onlyStep("update", configMap))
	b.says(exitRefused, "error: "+want, "drift", "--stack", "prod", "--webhook", url, "--heal")
	assert.Contains(t, b.stderr.String(), "was not healed")
	assert.Equal(t, exitRefused, b.run("drift", "--stack", "prod", "--webhook", url, "--heal", "--json"))
	assert.Equal(t, []string{want}, b.answer().Warnings)
}

func TestAWebhookMustBeASecretURL(t *testing.T) {
	b := drifting(t)
	for given, want := range map[string]string{
		"":                             "--webhook: is empty",
		"http://example.com/T0PSECRET": "--webhook: want https://",
		"T0PSECRET":                    "--webhook: is not a URL",
	} {
		b.says(exitUsage, want, "drift", "--stack", "prod", "--webhook="+given)
		assert.NotContains(t, b.stderr.String(), "T0PSECRET")
	}
	b.says(exitTrouble, "--webhook: reading the file with the URL: open nowhere", "drift", "--stack", "prod",
		"--webhook", "@nowhere")
	commands, _ := b.engineRuns()
	assert.Empty(t, commands)
}
