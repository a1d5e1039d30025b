package guard_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/guard"
	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

func step(op apitype.OpType, resourceType, name string) progress.Step {
	return progress.Step{
		Op: op, Type: resourceType, Name: name,
		URN: "urn:pulumi:prod::dbtier::" + resourceType + "::" + name,
	}
}

const (
	instance = "aws:rds/instance:Instance"
	key      = "aws:kms/key:Key"
)

func TestWhatHoldsDataIsALossWhenItIsDeletedOrReplaced(t *testing.T) {
	for _, resourceType := range []string{
		instance, key, "aws:secretsmanager/secret:Secret", "aws:rds/proxy:Proxy", "kubernetes:core/v1:Secret",
		"kubernetes:core/v1:Namespace",
		"kubernetes:external-secrets.io/v1:ExternalSecret",
		"kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
		"dbtier:components:PgBouncerPool$kubernetes:apps/v1:Deployment",
	} {
		for op, lost := range map[apitype.OpType]bool{
			apitype.OpDelete: true, apitype.OpReplace: true, apitype.OpDeleteReplaced: true,
			apitype.OpCreate: false, apitype.OpUpdate: false, apitype.OpSame: false, apitype.OpRefresh: false,
		} {
			s := step(op, resourceType, "it")
			if own := resourceType[max(0, len(resourceType)-len(
				"kubernetes:apps/v1:Deployment",
			)):]; own == "kubernetes:apps/v1:Deployment" {
				s.Type = own
			}
			losses := guard.Losses([]progress.Step{s}, nil)
			assert.Equal(t, lost, len(losses) == 1, "%s of %s", op, resourceType)
		}
	}
}

func TestWhatCanBeMadeAgainIsNoLoss(t *testing.T) {
	for _, resourceType := range []string{
		"aws:ec2/securityGroup:SecurityGroup", "kubernetes:batch/v1:Job",
		"kubernetes:core/v1:ConfigMap", "kubernetes:apps/v1:Deployment",
	} {
		assert.Empty(t, guard.Losses([]progress.Step{step(apitype.OpDelete, resourceType, "it")}, nil), resourceType)
	}
	retained := step(apitype.OpDelete, "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "externalsecrets")
	retained.Retained = true
	assert.Empty(t, guard.Losses([]progress.Step{retained}, nil), "it only leaves the state")
}

func TestARotationIsNoLoss(t *testing.T) {
	const externalSecret = "kubernetes:external-secrets.io/v1:ExternalSecret"
	first, second := step(apitype.OpDelete, externalSecret, "role-credential-1"),
		step(apitype.OpCreate, externalSecret, "role-credential-2")
	assert.Empty(t, guard.Losses([]progress.Step{second, first}, nil))
	for name, other := range map[string]progress.Step{
		"nothing comes":      step(apitype.OpSame, externalSecret, "role-credential-2"),
		"another's comes":    step(apitype.OpCreate, externalSecret, "pool-credential-2"),
		"another kind comes": step(apitype.OpCreate, "kubernetes:core/v1:Secret", "role-credential-2"),
	} {
		assert.Len(t, guard.Losses([]progress.Step{first, other}, nil), 1, name)
	}
	assert.Len(t, guard.Losses([]progress.Step{
		step(apitype.OpDelete, externalSecret, "login"), step(apitype.OpCreate, externalSecret, "login-2"),
	}, nil), 1)
}

func TestAReplacementIsOneLossWithItsReasons(t *testing.T) {
	first, second := step(apitype.OpCreateReplacement, instance, "database-instance"),
		step(apitype.OpReplace, instance, "database-instance")
	first.Because, second.Because = []string{"dbName"}, []string{"dbName", "username"}
	losses := guard.Losses([]progress.Step{
		first, second,
		step(apitype.OpDeleteReplaced, instance, "database-instance"),
	}, nil)
	require.Len(t, losses, 1)
	assert.Equal(t, []string{"dbName", "username"}, losses[0].Because)
	assert.Equal(t,
		"aws:rds:Instance database-instance is replaced by an empty one because of dbName, username: the database",
		losses[0].String())
}

func TestOnlyWhatIsNamedMayBeLost(t *testing.T) {
	steps := []progress.Step{
		step(apitype.OpDelete, instance, "database-instance"),
		step(apitype.OpDelete, key, "database-key"),
	}
	for name, allowed := range map[string][]string{
		"by name": {"database-instance"}, "by URN": {
			"urn:pulumi:prod::dbtier::aws:rds/instance:Instance::database-instance",
		},
	} {
		refused := guard.Refused(guard.Losses(steps, allowed))
		require.Len(t, refused, 1, name)
		assert.Equal(t, "database-key", refused[0].Name, name)
		text := guard.Refusal("prod", refused)
		assert.Contains(t, text, "add: --allow-data-loss database-key", name)
		assert.NotContains(t, text, "database-instance", name)
	}
	assert.Len(t, guard.Refused(guard.Losses(steps, []string{"instance", "database"})), 2,
		"a part of a name names nothing")
}

const state = `{"resources":[
	{"urn":"urn:pulumi:prod::dbtier::aws:rds/instance:Instance::database-instance","type":"aws:rds/instance:Instance","inputs":{"deletionProtection":true}},
	{"urn":"urn:pulumi:prod::dbtier::aws:kms/key:Key::database-key","type":"aws:kms/key:Key","protect":true,"inputs":{"deletionProtection":false}},
	{"urn":"urn:pulumi:prod::dbtier::aws:rds/instance:Instance::old","type":"aws:rds/instance:Instance","delete":true,"inputs":{"deletionProtection":true}}]}`

func TestObstaclesNameTheWayOn(t *testing.T) {
	for _, text := range []string{
		`{"version":3,"deployment":` + state + `}`,
		`{"version":3,"checkpoint":{"latest":` + state + `}}`,
	} {
		read, err := stackstate.Read([]byte(text))
		require.NoError(t, err)
		assert.True(t, guard.HoldsData(read))
		obstacles := guard.Obstacles(read, "prod", nil)
		require.Len(t, obstacles, 2)
		assert.Contains(t, obstacles[0].Fix,
			"deletionProtection: false in Pulumi.prod.yaml, then dbtier up --stack prod")
		assert.Contains(t, obstacles[1].Fix,
			"pulumi state unprotect --stack prod 'urn:pulumi:prod::dbtier::aws:kms/key:Key::database-key'")
		assert.Len(t, guard.Obstacles(read, "prod", []string{"database-key"}), 1)
		assert.Empty(t, guard.Obstacles(read, "prod", []string{"another"}))
	}
	for _, nothing := range []string{
		"", `{"version":3,"checkpoint":{"latest":null}}`,
		`{"version":3,"deployment":{"resources":[{"urn":"u","type":"aws:iam/role:Role"}]}}`,
	} {
		read, err := stackstate.Read([]byte(nothing))
		require.NoError(t, err)
		assert.False(t, guard.HoldsData(read))
		assert.Empty(t, guard.Obstacles(read, "prod", nil))
	}
}
