//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// answer contains the fields of the driver's --json output that these tests read.
type answer struct {
	ExitCode  int
	Faults    []string
	Holder    string
	Resources []struct {
		Type, Name, Op string
		Changed        []string
	}
	DataLoss []struct{ Name string }
	// Additions are what people added to objects.
	Additions []struct{ Object, Path, By, Fix string }
	// LostPasswords are those that were found.
	LostPasswords []struct{ Secret, Cause string }
}

func ask(t *testing.T, args ...string) answer {
	t.Helper()
	r := dbtier(t, append(args, "--json")...)
	var a answer
	decode(t, r.stdout, &a)
	require.Equal(t, r.code, a.ExitCode)
	return a
}

func (a answer) names() []string {
	var names []string
	for _, r := range a.Resources {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return names
}

// door sends a request to the local cloud's control socket. Through it, the provider makes changes that have no other
// API on this machine.
func door(t *testing.T, method string, query url.Values, body any) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".localcloud", "state", "cloud.json"))
	require.NoError(t, err)
	var cloud struct{ RunDir string }
	decode(t, string(text), &cloud)
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(cloud.RunDir, "control.sock"))
		},
	}}
	defer client.CloseIdleConnections()
	encoded, err := json.Marshal(body)
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), method, "http://localcloud/aws/resources?"+query.Encode(),
		bytes.NewReader(encoded))
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Less(t, response.StatusCode, 300, "%s", said)
	var resource map[string]any
	if len(said) > 0 {
		decode(t, string(said), &resource)
	}
	return resource
}

// addRule adds a rule to the database's security group without the program.
func addRule(t *testing.T) {
	t.Helper()
	groups := aws(t, "rds", "describe-db-instances", "--query",
		"DBInstances[0].VpcSecurityGroups[0].VpcSecurityGroupId", "--output", "text")
	require.Zero(t, groups.code, "%s", groups)
	query := url.Values{
		"type": {"aws:ec2/securityGroup:SecurityGroup"}, "id": {strings.TrimSpace(groups.stdout)},
		"region": {"ap-northeast-2"},
	}
	inputs, _ := door(t, http.MethodGet, query, nil)["inputs"].(map[string]any)
	rules, _ := inputs["ingress"].([]any)
	require.NotEmpty(t, rules)
	inputs["ingress"] = append(rules, map[string]any{
		"protocol": "tcp", "fromPort": 5432, "toPort": 5432, "cidrBlocks": []string{"0.0.0.0/0"},
	})
	door(t, http.MethodPut, url.Values{}, map[string]any{
		"type": query.Get("type"), "id": query.Get("id"), "region": query.Get("region"), "name": "by-hand",
		"inputs": inputs,
	})
}

// changeIni changes a number in the pool's ini file, in the ExternalSecret that renders it.
func changeIni(t *testing.T) {
	t.Helper()
	name := output(t, "poolSecret")
	const path = `jsonpath={.spec.target.template.data.pgbouncer\.ini}`
	ini := kubectl(t, "-n", namespace, "get", "externalsecret", name, "-o", path)
	require.Contains(t, ini, "max_client_conn = 1000")
	changed := strings.ReplaceAll(ini, "max_client_conn = 1000", "max_client_conn = 900")
	patch, err := json.Marshal(map[string]any{
		"spec": map[string]any{"target": map[string]any{"template": map[string]any{
			"data": map[string]any{"pgbouncer.ini": changed},
		}}},
	})
	require.NoError(t, err)
	kubectl(t, "-n", namespace, "patch", "externalsecret", name, "--type=merge", "--patch", string(patch))
}

// The test makes several manual changes at once. Each is found and corrected, and nothing else is touched.
func TestDriftMadeByHandIsFoundAndMended(t *testing.T) {
	mustDbtier(t, "up", "--stack", "local")
	none := ask(t, "drift", "--stack", "local")
	require.Zero(t, none.ExitCode, "nothing has drifted yet: %v %v", none.names(), none.Faults)

	changeIni(t)
	addRule(t)
	modified := aws(t, "rds", "modify-db-instance", "--db-instance-identifier", output(t, "databaseIdentifier"),
		"--backup-retention-period", "3", "--apply-immediately")
	require.Zero(t, modified.code, "%s", modified)
	kubectl(t, "-n", namespace, "delete", "externalsecret", service+"-db-direct")
	// The image does not exist, so the old pods continue to serve.
	kubectl(t, "-n", namespace, "set", "image", "deployment/"+service,
		service+"=localcloud.internal/myshop-api:by-hand")
	// No update removes what a person adds.
	kubectl(t, "-n", namespace, "set", "env", "deployment/"+service, "BY_HAND=1")
	kubectl(t, "-n", namespace, "label", "service/"+pool, "example.com/by-hand=1")

	drift := ask(t, "drift", "--stack", "local")
	assert.Equal(t, 2, drift.ExitCode, "%v", drift.Faults)
	found := map[string]string{}
	for _, r := range drift.Resources {
		found[r.Type] = r.Op
		t.Logf("drift: %s %s %s %v", r.Op, r.Type, r.Name, r.Changed)
	}
	assert.Len(t, drift.Resources, 5, "fields that the operator and the cluster write are not drift")
	assert.Equal(t, "update", found["aws:ec2/securityGroup:SecurityGroup"])
	assert.Equal(t, "update", found["aws:rds/instance:Instance"])
	assert.Equal(t, "update", found["kubernetes:apps/v1:Deployment"])
	assert.Contains(t, found, "kubernetes:external-secrets.io/v1:ExternalSecret")

	up := ask(t, "up", "--stack", "local")
	require.Zero(t, up.ExitCode, "%v", up.Faults)
	assert.Equal(t, drift.names(), up.names(), "the update corrects the drift and touches nothing else")
	assert.Len(t, drift.Additions, 2, "%v", drift.Additions)
	left := ask(t, "drift", "--stack", "local")
	assert.Equal(t, 2, left.ExitCode)
	assert.Empty(t, left.names())
	require.Len(t, left.Additions, 2, "%v", left.Additions)
	for _, addition := range left.Additions {
		t.Logf("%s: %s by %s: %s", addition.Object, addition.Path, addition.By, addition.Fix)
		command := strings.Fields(addition.Fix)
		require.Equal(t, "kubectl", command[0])
		kubectl(t, command[1:]...)
	}
	after := ask(t, "drift", "--stack", "local")
	assert.Zero(t, after.ExitCode, "%v %v", after.names(), after.Additions)
	healthy(t)
}

// A port whose number was changed is another port for server-side apply: it adds that of the program beside it, under
// the same name, and the API server refuses both together.
func TestAPortThatWasChangedByHandIsPutBackByTheCommandThatIsPrinted(t *testing.T) {
	mustDbtier(t, "up", "--stack", "local")
	was := kubectl(t, "-n", namespace, "get", "service", pool, "-o", "jsonpath={.spec.clusterIP} {.spec.ports}")
	kubectl(t, "-n", namespace, "patch", "service", pool, "--type=json",
		`--patch=[{"op":"replace","path":"/spec/ports/0/port","value":5433}]`)
	drift := dbtier(t, "drift", "--stack", "local")
	assert.Equal(t, 2, drift.code, "%s", drift)
	assert.Contains(t, drift.stdout, "first take out what was added, then repair with: ")

	up := dbtier(t, "up", "--stack", "local", "--refresh")
	assert.Equal(t, 5, up.code, "%s", up)
	assert.NotContains(t, up.all(), "context canceled")
	_, fix, found := strings.Cut(up.stderr, "fix, then run this again: dbtier ")
	require.True(t, found, "%s", up)
	fix, _, _ = strings.Cut(fix, "\n")
	r := command{}.run(t, "sh", "-c", filepath.Join(root, "bin", "dbtier")+" "+fix)
	require.Zero(t, r.code, "%s: %s", fix, r)
	mustDbtier(t, "up", "--stack", "local", "--refresh")
	assert.Equal(t, was, kubectl(t, "-n", namespace, "get", "service", pool, "-o",
		"jsonpath={.spec.clusterIP} {.spec.ports}"))
	after := ask(t, "drift", "--stack", "local")
	assert.Zero(t, after.ExitCode, "%v %v %v", after.names(), after.Additions, after.Faults)
	healthy(t)
}

func TestTheReplicasOfAnAutoscalerAreNoDrift(t *testing.T) {
	mustDbtier(t, "up", "--stack", "local")
	apply(t, `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: e2e, namespace: `+namespace+`}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: `+service+`}
  minReplicas: 3
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
`)
	eventually(t, 2*time.Minute, "the autoscaler's number of replicas", func() (bool, string) {
		n := strings.TrimSpace(kubectl(t, "-n", namespace, "get", "deployment", service, "-o",
			"jsonpath={.spec.replicas}"))
		return n == "3", n
	})
	t.Cleanup(func() { kubectl(t, "-n", namespace, "scale", "deployment/"+service, "--replicas=2") })
	drift := ask(t, "drift", "--stack", "local")
	assert.Zero(t, drift.ExitCode, "%v %v", drift.Resources, drift.Faults)
	up := ask(t, "up", "--stack", "local")
	assert.Zero(t, up.ExitCode)
	assert.Empty(t, up.names(), "an update leaves them alone")
}

func TestAnUpdateThatWouldLoseTheDatabaseIsRefused(t *testing.T) {
	before := aws(t, "rds", "describe-db-instances", "--query", "DBInstances[].DbiResourceId", "--output",
		"text").stdout
	refused := ask(t, "up", "--stack", "local", "--yes", "--config", "database.databaseName=another")
	assert.Equal(t, 3, refused.ExitCode, "%v", refused.Faults)
	var lost []string
	for _, loss := range refused.DataLoss {
		lost = append(lost, loss.Name)
	}
	assert.Contains(t, lost, "database-instance")
	assert.Contains(t, strings.Join(refused.Faults, "\n"), "--allow-data-loss database-instance")
	assert.Equal(t, before, aws(t, "rds", "describe-db-instances", "--query", "DBInstances[].DbiResourceId", "--output",
		"text").stdout)
	healthy(t)
}

func TestOfTwoUpsAtOnceOneProceedsAndOneNamesItEveryTime(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		results := make(chan result, 2)
		for range 2 {
			go func() { results <- dbtier(t, "up", "--stack", "local") }()
		}
		one, other := <-results, <-results
		require.ElementsMatch(t, []int{0, 6}, []int{one.code, other.code}, "round %d: %s\n%s", round, one, other)
		loser := one
		if one.code == 0 {
			loser = other
		}
		assert.Contains(t, loser.all(), "another dbtier up (process ")
	}
	healthy(t)
}

func TestDoctorFindsTheLocalStackInOrder(t *testing.T) {
	r := dbtier(t, "doctor", "--stack", "local")
	assert.Zero(t, r.code, "%s", r)
	assert.Contains(t, r.stdout, "ready for a run")
}
