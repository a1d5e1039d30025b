package driver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	poolURN  = "urn:pulumi:prod::dbtier::kubernetes:core/v1:Service::pool-service"
	ownPort  = `"apiVersion":"v1","kind":"Service","metadata":{"name":"pool","namespace":"shop"},"spec":{"ports":[{"name":"pgbouncer","port":5432,"targetPort":6432}]}`
	byHand   = `"apiVersion":"v1","kind":"Service","metadata":{"name":"pool","namespace":"shop"},"spec":{"ports":[{"name":"pgbouncer","port":5433,"targetPort":6432}]}`
	poolPort = `"protocol":"TCP","targetPort":6432}]},"metadata":{"name":"pool","namespace":"shop",` +
		`"managedFields":[{"manager":"kubectl-edit","operation":"Update","time":"2026-12-01T08:00:00Z","fieldsV1":{"f:spec":{"f:ports":{` +
		`"k:{\"port\":%[1]d,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}}}}}]}}]}'`
	// setBack is the patch that replaces the port that was changed by hand.
	setBack = `patch service/pool --namespace=shop --type=json --patch='[{"op":"replace","path":"/spec/ports","value":` +
		`[{"name":"pgbouncer","port":5432,"targetPort":6432}]}]'`
)

// inCluster is the Service of the cluster with this number of its port, written with kubectl edit.
func inCluster(port int) string {
	return fmt.Sprintf(`echo '{"kind":"List","items":[{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"name":"pgbouncer",`+
		`"port":%[1]d,`+poolPort, port)
}

// hasPool gives the stack prod a state with the pool's Service.
func (b *bench) hasPool() {
	b.t.Helper()
	folder := filepath.Join(b.dir, ".dbtier", "state", ".pulumi", "stacks", "dbtier")
	require.NoError(b.t, os.MkdirAll(folder, 0o700))
	require.NoError(b.t, os.WriteFile(filepath.Join(folder, "prod.json"),
		[]byte(`{"version":3,"checkpoint":{"latest":{"resources":[{"urn":"`+poolURN+`","type":"kubernetes:core/v1:Service",`+
			`"id":"shop/pool","inputs":{`+ownPort+`},"outputs":{`+ownPort+`}}]}}}`), 0o600))
}

// refreshed is what the engine says of a refresh that found the pool's Service like this.
func refreshed(changed, found string) string {
	op, diff := "update", fmt.Sprintf(`,"detailedDiff":{%q:{"diffKind":"update"}}`, changed)
	if changed == "" {
		op, diff = "same", ""
	}
	return fmt.Sprintf(`{"resourcePreEvent":{"metadata":{"op":"refresh","urn":%[1]q,"type":"kubernetes:core/v1:Service","old":{"inputs":{%[3]s},"outputs":{%[3]s}}}}}
{"resOutputsEvent":{"metadata":{"op":%[2]q,"urn":%[1]q,"type":"kubernetes:core/v1:Service","old":{"id":"shop/pool","inputs":{%[3]s},"outputs":{%[3]s}},"new":{"id":"shop/pool","inputs":{%[4]s},"outputs":{%[4]s}}%[5]s}}}
{"summaryEvent":{"resourceChanges":{%[2]q:1}}}
`, poolURN, op, ownPort, found, diff)
}

// refusal is what the engine says of an update that the API server refuses, and of the call that it then cancels.
func refusal() string {
	return fmt.Sprintf(`{"resourcePreEvent":{"metadata":{"op":"update","urn":%[1]q,"type":"kubernetes:core/v1:Service","old":{"id":"shop/pool","inputs":{%[2]s},"outputs":{%[2]s}},"new":{"inputs":{%[3]s}}}}}
{"diagnosticEvent":{"urn":"urn:pulumi:prod::dbtier::kubernetes:apps/v1:Deployment::consumer-deployment","severity":"error","color":"never","message":"failed to run remediation: context canceled"}}
{"diagnosticEvent":{"urn":%[1]q,"severity":"error","color":"never","message":"the API server would refuse the change of Service shop/pool: Service \"pool\" is invalid: spec.ports[1].name: Duplicate value: \"pgbouncer\""}}
{"summaryEvent":{}}
`, poolURN, byHand, ownPort)
}

func TestDriftOfAPortThatWasChangedByHandSaysWhatToTakeOutFirst(t *testing.T) {
	b := newBench(t)
	b.hasPool()
	b.kubectl(inCluster(5433))
	b.happens(refreshed("spec.ports[0].port", byHand))
	require.Equal(t, exitPending, b.run("drift", "--stack", "prod"), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "spec.ports[0].port: 5432 → 5433\n")
	assert.Contains(t, b.stdout.String(), "  + Service shop/pool: spec.ports[5433,TCP] was added by kubectl-edit, "+
		"2026-12-01T08:00:00Z; take it out with: kubectl "+setBack+"\n")
	assert.Contains(t, b.stdout.String(), "which up does not remove; first take out what was added, then repair with: "+
		"dbtier up --stack prod --refresh\n")
}

func TestDriftIsOverWhenThePortIsPutBackByHand(t *testing.T) {
	b := newBench(t)
	b.hasPool()
	b.kubectl(inCluster(5432))
	b.happens(refreshed("", ownPort))
	assert.Equal(t, exitDone, b.run("drift", "--stack", "prod"), "%s%s", b.stdout.String(), b.stderr.String())
	assert.Contains(t, b.stdout.String(), "stack prod: no drift (1 resources)")
}

func TestDriftDoesNotReportWhatIsAsTheProgramWantsIt(t *testing.T) {
	b := newBench(t)
	b.hasPool()
	b.kubectl(`:`)
	b.happens(refreshed("spec.ports[0].port", ownPort))
	assert.Equal(t, exitDone, b.run("drift", "--stack", "prod"), "%s%s", b.stdout.String(), b.stderr.String())
	require.Zero(t, b.run("drift", "--stack", "prod", "--json"))
	assert.Equal(t, 1, b.answer().Changes[apitype.OpSame])
}

func TestARefusedUpdateSaysWhatWasAddedAndTheCommandThatTakesItOut(t *testing.T) {
	for _, command := range [][]string{{"preview"}, {"up", "--yes"}} {
		b := newBench(t)
		b.hasPool()
		b.kubectl(inCluster(5433))
		b.happens(refusal())
		if command[0] == "up" {
			b.happensIn("preview", created)
		}
		b.says(exitFailed, `is invalid: spec.ports[1].name: Duplicate value: "pgbouncer"`+
			"\n    spec.ports[5433,TCP] was added by kubectl-edit, 2026-12-01T08:00:00Z; no update removes what others "+
			"have written\n    fix, then run this again: kubectl "+setBack+"\n", append(command, "--stack", "prod")...)
		assert.NotContains(t, b.stderr.String(), "context canceled", "the first error has caused it")
		assert.Equal(t, 1, strings.Count(b.stderr.String(), "error: "), "%s", b.stderr.String())

		require.Equal(t, exitFailed, b.run(append(command, "--stack", "prod", "--json")...))
		require.Len(t, b.answer().Additions, 1)
		assert.Equal(t, "kubectl "+setBack, b.answer().Additions[0].Fix)

		b.kubectl(`echo 'Unable to connect to the server' >&2; exit 1`)
		b.says(exitFailed, "no update removes that, and `dbtier drift --stack prod` names it",
			append(command, "--stack", "prod")...)
		b.kubectl(inCluster(5432))
		require.Equal(t, exitFailed, b.run(append(command, "--stack", "prod")...))
		assert.NotContains(t, b.stderr.String(), "fix", "nothing was added")
	}
}
