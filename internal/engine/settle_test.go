package engine_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/engine"
)

// parent and provider are what each pending resource of these tests belongs to.
const (
	parent   = "urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres::database"
	provider = "urn:pulumi:prod::dbtier::pulumi:providers:aws::aws"
)

func begun(operation, resourceType, name, inputs string) string {
	return `{"type":"` + operation + `","resource":{"urn":"urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres$` +
		resourceType + `::` + name +
		`","type":"` + resourceType + `","custom":true,"parent":"` + parent + `","provider":"` + provider +
		`::id-1","inputs":` + inputs + `}}`
}

// killed leaves a state of the stack prod with pending operations, as a killed engine does.
func (f *fixture) killed(pending ...string) {
	f.t.Helper()
	operations := strings.Join(pending, ",")
	writeState(f.t, f, "prod", `{"version":3,"checkpoint":{"latest":{"pending_operations":[`+operations+`]}}}`)
	f.file("exported",
		`{"version":3,"deployment":{"manifest":{"magic":"m"},"resources":[{"urn":"`+parent+`"},{"urn":"`+provider+
			`","id":"id-1","inputs":{"n":12345678901234567890}}],"pending_operations":[`+operations+`],"metadata":{}}}`)
}

type resource struct {
	URN     string         `json:"urn"`
	ID      string         `json:"id"`
	Inputs  map[string]any `json:"inputs"`
	Outputs map[string]any `json:"outputs"`
}

// imported are the resources of the state that was written back, by the last part of their URN.
func (f *fixture) imported() map[string]resource {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "imported"))
	require.NoError(f.t, err)
	var state struct {
		Deployment struct {
			Resources []resource
			Pending   []any `json:"pending_operations"`
		}
	}
	require.NoError(f.t, json.Unmarshal(text, &state))
	assert.Empty(f.t, state.Deployment.Pending)
	assert.Contains(f.t, string(text), "12345678901234567890", "numbers keep their digits")
	assert.Contains(f.t, string(text), `"manifest":{"magic":"m"}`, "the rest stays as it was")
	found := map[string]resource{}
	for _, r := range state.Deployment.Resources {
		found[r.URN[strings.LastIndex(r.URN, "::")+2:]] = r
	}
	return found
}

func TestACreationThatWasBegunIsLookedForByItsName(t *testing.T) {
	for name, c := range map[string]struct{ resourceType, inputs, id string }{
		"an instance":        {"aws:rds/instance:Instance", `{"identifier":"myshop-prod"}`, "myshop-prod"},
		"a role":             {"aws:iam/role:Role", `{"name":"myshop-secrets"}`, "myshop-secrets"},
		"a policy of a role": {"aws:iam/rolePolicy:RolePolicy", `{"role":"r","name":"p"}`, "r:p"},
		"an attachment": {
			"aws:iam/rolePolicyAttachment:RolePolicyAttachment",
			`{"role":"r","policyArn":"arn:aws:iam::aws:policy/P"}`, "r/arn:aws:iam::aws:policy/P",
		},
		"an object": {
			"kubernetes:apps/v1:Deployment",
			`{"metadata":{"namespace":"myshop","name":"pgbouncer"}}`, "myshop/pgbouncer",
		},
		"an object of no other": {"kubernetes:core/v1:Namespace", `{"metadata":{"name":"myshop"}}`, "myshop"},
		"a store of the cluster": {
			"kubernetes:external-secrets.io/v1:ClusterSecretStore",
			`{"metadata":{"name":"myshop-prod"}}`, "myshop-prod",
		},
		"a group of parameters": {"aws:rds/parameterGroup:ParameterGroup", `{"name":"myshop-pg16"}`, "myshop-pg16"},
		"a group of subnets":    {"aws:rds/subnetGroup:SubnetGroup", `{"name":"myshop"}`, "myshop"},
		"a group of log messages": {
			"aws:cloudwatch/logGroup:LogGroup", `{"name":"/aws/rds/instance/x/postgresql"}`,
			"/aws/rds/instance/x/postgresql",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.killed(begun("creating", c.resourceType, "it", c.inputs))
			s := f.open(f.config("prod"))
			it := f.imported()["it"]
			assert.Equal(t, c.id, it.ID)
			assert.Equal(t, it.Inputs, it.Outputs)
			assert.Contains(t, strings.Join(f.notes, "\n"), "an earlier run was killed while it was creating")
			_, err := s.Up(t.Context(), quiet())
			require.NoError(t, err)
			assert.Contains(t, f.only("up").Args, "--refresh", "the provider reports whether it exists")
			assert.NoFileExists(t, f.project.Own("locks", "prod.refresh"))
		})
	}
}

func TestWhatOnlyTheCloudKnowsIsForAPersonToJudgeWithACommandForEach(t *testing.T) {
	key := begun("creating", "aws:kms/key:Key", "database-key", `{"description":"d"}`)
	group := begun("creating", "aws:ec2/securityGroup:SecurityGroup", "database-group", `{"name":"g"}`)
	named := begun("creating", "aws:iam/role:Role", "role", `{"name":"r"}`)

	f := newFixture(t)
	f.killed(key, named, group)
	_, err := engine.NewRun(t.Context(), f.config("prod"))
	var unsettled *engine.UnsettledError
	require.ErrorAs(t, err, &unsettled)
	require.Len(t, unsettled.Pending, 2, "the role has a name")
	for _, want := range []string{
		"aws:kms:Key database-key", "aws:ec2:SecurityGroup database-group",
		"dbtier refresh --stack prod --adopt-pending " +
			"'urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres$aws:kms/key:Key::database-key=<id>'",
		"dbtier refresh --stack prod --forget-pending " +
			"'urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres$aws:ec2/securityGroup:SecurityGroup::database-group'",
	} {
		require.ErrorContains(t, err, want)
	}
	assert.NoFileExists(t, filepath.Join(f.dir, "imported"), "nothing is imported unless everything is decided")

	f = newFixture(t)
	f.killed(key, named, group)
	c := f.config("prod")
	c.Adopt, c.Forget = map[string]string{"database-key": "1234-abcd"}, []string{"database-group"}
	f.open(c)
	imported := f.imported()
	assert.Equal(t, "1234-abcd", imported["database-key"].ID)
	assert.NotContains(t, imported, "database-group")
	assert.Equal(t, "r", imported["role"].ID)

	f = newFixture(t)
	f.killed(key)
	c = f.config("prod")
	c.Forget = []string{"another"}
	_, err = engine.NewRun(t.Context(), c)
	require.ErrorContains(t, err,
		"--forget-pending another: the stack has no such unfinished creation; unfinished are: creating urn:")
}

func TestACreationThatTheStateCannotTakeInIsForAPerson(t *testing.T) {
	role := begun("creating", "aws:iam/role:Role", "role", `{"name":"r"}`)
	for name, change := range map[string][2]string{
		"its provider is not there": {`"id":"id-1"`, `"id":"id-2"`},
		"its parent is not there":   {`{"urn":"` + parent + `"}`, `{"urn":"other"}`},
		"its successor is there": {
			`{"urn":"` + parent + `"}`,
			`{"urn":"` + parent +
				`"},{"urn":"urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres$aws:iam/role:Role::role","id":"r"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.killed(role)
			text, err := os.ReadFile(filepath.Join(f.dir, "exported"))
			require.NoError(t, err)
			f.file("exported", strings.Replace(string(text), change[0], change[1], 1))
			_, err = engine.NewRun(t.Context(), f.config("prod"))
			require.ErrorContains(t, err, "aws:iam:Role role")
		})
	}
}

func TestBegunUpdatesAndDeletionsAreSettledByALook(t *testing.T) {
	f := newFixture(t)
	f.killed(begun("updating", "aws:kms/key:Key", "database-key", `{}`),
		begun("deleting", "aws:ec2/securityGroup:SecurityGroup", "g", `{}`),
		`{"type":"creating","resource":{"urn":"urn:pulumi:prod::dbtier::pulumi:providers:kubernetes::k","type":"pulumi:providers:kubernetes","inputs":{}}}`)
	f.open(f.config("prod"))
	assert.Len(t, f.imported(), 2, "no provider is imported: it consists of settings only")
	assert.FileExists(t, f.project.Own("locks", "prod.refresh"))
}

func TestAStateThatIsNoFileIsAskedThroughTheCLI(t *testing.T) {
	f := newFixture(t)
	f.killed(begun("creating", "aws:iam/role:Role", "role", `{"name":"r"}`))
	c := f.config("prod")
	c.Backend = "s3://states"
	f.open(c)
	assert.Equal(t, "r", f.imported()["role"].ID)
}
