package guard_test

import (
	"encoding/json"
	"maps"
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
		"kubernetes:external-secrets.io/v1:ExternalSecret", "aws:cloudwatch/logGroup:LogGroup",
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

func TestADatabaseThatIsGoneIsNotSilentlyCreatedAgain(t *testing.T) {
	steps := []progress.Step{
		step(apitype.OpCreate, instance, "database-instance"), step(apitype.OpCreate, key, "database-key"),
		step(apitype.OpCreate, "kubernetes:core/v1:Namespace", "namespace"), step(apitype.OpUpdate, instance, "other"),
	}
	assert.Empty(t, guard.Gone(steps, &stackstate.State{}, nil), "a new stack")
	var known stackstate.State
	for _, s := range steps {
		known.Resources = append(known.Resources, stackstate.Resource{URN: s.URN, Type: s.Type})
	}
	gone := guard.Gone(steps, &known, []string{"database-key"})
	require.Len(t, gone, 2)
	assert.Equal(t, "aws:rds:Instance database-instance is gone, and is created again, empty: the database (to begin "+
		"with its data, set dbtier:database.restore to a snapshot or to its retained backups)", gone[0].String())
	steps[0].Inputs = map[string]any{"snapshotIdentifier": "last"}
	restored := guard.Gone(steps, &known, nil)
	require.Len(t, restored, 1)
	assert.Equal(t, "database-key", restored[0].Name)
	require.Len(t, guard.Refused(gone), 1)
	assert.Contains(t, guard.Refusal("prod", guard.Refused(gone)), "--allow-data-loss database-instance")
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
	interrupted := step(apitype.OpSame, externalSecret, "role-credential-2")
	assert.Empty(t, guard.Losses([]progress.Step{interrupted, first}, nil), "the second run of a rotation")
	for name, other := range map[string]progress.Step{
		"both go":            step(apitype.OpDelete, externalSecret, "pool-credential-2"),
		"another's comes":    step(apitype.OpCreate, externalSecret, "pool-credential-2"),
		"another kind comes": step(apitype.OpCreate, "kubernetes:core/v1:Secret", "role-credential-2"),
	} {
		assert.NotEmpty(t, guard.Losses([]progress.Step{first, other}, nil), name)
	}
	assert.Len(t, guard.Losses([]progress.Step{
		step(apitype.OpDelete, externalSecret, "cache-1"), step(apitype.OpSame, externalSecret, "cache-2"),
	}, nil), 1, "names that end with a number are no generations")
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
		obstacles := guard.Obstacles(read, "prod", nil)
		require.Len(t, obstacles, 2)
		assert.Contains(t, obstacles[0].Fix,
			"deletionProtection: false in Pulumi.prod.yaml, then `dbtier up --stack prod`; ")
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
		assert.Empty(t, guard.Obstacles(read, "prod", nil))
	}
}

func TestWhatIsProtectedIsALossWhateverItIs(t *testing.T) {
	service := step(apitype.OpDelete, "kubernetes:core/v1:Service", "consumer-service")
	assert.Empty(t, guard.Losses([]progress.Step{service}, nil))
	service.Protected = true
	losses := guard.Losses([]progress.Step{service}, []string{"consumer-service"})
	require.Len(t, losses, 1)
	assert.True(t, losses[0].Protected)
	assert.True(t, losses[0].Allowed)
	assert.Equal(t, "kubernetes:Service consumer-service is deleted: what the stack protects", losses[0].String())
}

func TestWhatIsRetainedIsNoLossWhateverHappensToIt(t *testing.T) {
	for _, op := range []apitype.OpType{
		apitype.OpDelete, apitype.OpReplace, apitype.OpCreateReplacement, apitype.OpDeleteReplaced,
	} {
		group := step(op, "aws:cloudwatch/logGroup:LogGroup", "database-log-postgresql")
		group.Retained = true
		assert.Empty(t, guard.Losses([]progress.Step{group}, nil), op)
	}
}

func TestALossSaysHowToAvoidIt(t *testing.T) {
	group := step(apitype.OpReplace, "aws:cloudwatch/logGroup:LogGroup", "database-log-postgresql")
	group.Options = []string{"retainOnDelete"}
	renamed := step(apitype.OpReplace, instance, "database-instance")
	renamed.Because = []string{"identifier"}
	restored := renamed
	restored.Inputs = map[string]any{"snapshotIdentifier": "before"}
	for hint, s := range map[string]progress.Step{
		"bring the stack up without this change first: then the old one is kept":      group,
		"to keep the data, give dbtier:database.restore the old identifier as source": renamed,
		"": restored,
	} {
		losses := guard.Losses([]progress.Step{s}, nil)
		require.Len(t, losses, 1)
		assert.Equal(t, hint, losses[0].Hint)
	}
}

func TestAnInstanceThatAWSWouldNotDeleteIsAnObstacle(t *testing.T) {
	old := step(apitype.OpReplace, instance, "database-instance")
	old.Before = map[string]any{"deletionProtection": true}
	losses := guard.Losses([]progress.Step{old}, []string{"database-instance"})
	blocked := guard.Blocked(losses, []progress.Step{old}, "prod")
	require.Len(t, blocked, 1)
	assert.Contains(t, blocked[0].Fix, "deletionProtection: false in Pulumi.prod.yaml")
	old.Before["deletionProtection"] = false
	assert.Empty(t, guard.Blocked(losses, []progress.Step{old}, "prod"))
}

// tier is the state of a stack in production. The version says whether it was brought up by one that retains keys.
func tier(keepsKey bool, keep map[string]any) string {
	const of = "urn:pulumi:prod::dbtier::dbtier:components:RdsPostgres$"
	inputs := map[string]any{
		"kmsKeyId": "arn:key", "finalSnapshotIdentifier": "final-shop-prod-1", "backupRetentionPeriod": 30,
		"skipFinalSnapshot": true, "deleteAutomatedBackups": true,
	}
	maps.Copy(inputs, keep)
	text, err := json.Marshal(map[string]any{"deployment": map[string]any{"resources": []map[string]any{
		{
			"urn": of + "aws:kms/key:Key::database-key", "type": "aws:kms/key:Key", "id": "1234",
			"outputs": map[string]any{"arn": "arn:key"}, "retainOnDelete": keepsKey,
		},
		{
			"urn": of + "aws:kms/alias:Alias::database-key-alias", "type": "aws:kms/alias:Alias", "id": "alias/rds/shop",
			"retainOnDelete": keepsKey,
		},
		{
			"urn": of + instance + "::database-instance", "type": instance, "id": "db-1", "inputs": inputs,
			"outputs": map[string]any{"resourceId": "db-1"}, "protect": true,
		},
		{
			"urn":  "urn:pulumi:prod::dbtier::kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition::a",
			"type": "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "id": "a", "retainOnDelete": true,
		},
	}}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestAKeyGoesOnlyWithEverythingThatItEncrypts(t *testing.T) {
	for name, keep := range map[string]map[string]any{
		"final snapshot": {"skipFinalSnapshot": false}, "backups": {"deleteAutomatedBackups": false},
	} {
		read, err := stackstate.Read([]byte(tier(false, keep)))
		require.NoError(t, err)
		obstacles := guard.Obstacles(read, "prod", nil)
		require.Len(t, obstacles, 1, "%s: the tier's own protection is none", name)
		assert.Contains(t, obstacles[0].String(), "aws:kms:Key database-key encrypts the final snapshot or the backups")
		assert.Contains(t, obstacles[0].Fix, "dbtier up --stack prod")
		assert.Empty(t, guard.Obstacles(read, "prod", []string{"database-instance"}), "the key is no target")

		read, err = stackstate.Read([]byte(tier(true, keep)))
		require.NoError(t, err)
		assert.Empty(t, guard.Obstacles(read, "prod", nil), name)
	}
	read, err := stackstate.Read([]byte(tier(false, nil)))
	require.NoError(t, err)
	assert.Empty(t, guard.Obstacles(read, "prod", nil), "nothing stays")
}

func TestWhatStaysIsNamedWithItsEnd(t *testing.T) {
	read, err := stackstate.Read([]byte(tier(true, map[string]any{
		"skipFinalSnapshot": false, "deleteAutomatedBackups": false,
	})))
	require.NoError(t, err)
	ends := map[string]bool{}
	for _, kept := range guard.Keeps(guard.Deletions(read, nil)) {
		ends[kept.End] = true
	}
	for _, end := range []string{
		"aws kms schedule-key-deletion --key-id 1234", "aws kms delete-alias --alias-name alias/rds/shop",
		"aws rds delete-db-snapshot --db-snapshot-identifier final-shop-prod-1",
		"aws rds delete-db-instance-automated-backup --dbi-resource-id db-1",
		"kubectl get crd --output=name | grep external-secrets.io, then kubectl delete each",
	} {
		assert.True(t, ends[end], "%s in %v", end, ends)
	}
	assert.Len(t, ends, 5)
	read, err = stackstate.Read([]byte(tier(false, nil)))
	require.NoError(t, err)
	assert.Len(t, guard.Keeps(guard.Deletions(read, nil)), 1, "only the definitions")
	update := step(apitype.OpUpdate, instance, "database-instance")
	update.Before = map[string]any{"backupRetentionPeriod": 30.0, "deleteAutomatedBackups": false}
	assert.Empty(t, guard.Keeps([]progress.Step{update}), "nothing is deleted")
}
