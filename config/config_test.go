package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/componenttest"
	"dbtier/components/externalsecrets"
	"dbtier/components/rdspostgres"
	"dbtier/config"
)

// least is a minimal stack: it sets only what has no default.
const least = `config:
  dbtier:cloud: aws
  dbtier:environment: prod
  dbtier:profile: production
  dbtier:service: {name: my-shop}
  dbtier:aws: {region: ap-northeast-2, accountId: "123456789012"}
  dbtier:network:
    vpcId: vpc-0123456789abcdef0
    subnetIds: [subnet-0123456789abcdef1, subnet-0123456789abcdef2]
    databaseCidrs: [10.0.192.0/20]
  dbtier:cluster:
    oidcProviderArn: arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B
    nodeSecurityGroupId: sg-0123456789abcdef0
  dbtier:consumer: {image: "registry.example/my-shop:1"}
  dbtier:migration: {command: [flyway, migrate]}
`

// withImage adds the image with psql, which has no default, to a stack of the tests that is otherwise complete.
func withImage(text string) string {
	section, line := "  dbtier:pool:", "image: registry.example/pgbouncer:1.24.1-1_deb13u2"
	if strings.Contains(text, "kind: rdsProxy") {
		section = "  dbtier:role:"
	}
	switch {
	case !strings.Contains(text, "\n  dbtier:migration: {command: [flyway, migrate]}\n"):
		return text
	case strings.Contains(text, section+" {"):
		return strings.Replace(text, section+" {", section+" {"+line+", ", 1)
	case strings.Contains(text, section+"\n"):
		return strings.Replace(text, section+"\n", section+"\n    "+line+"\n", 1)
	}
	return text + section + " {" + line + "}\n"
}

// load reads a stack's file as the engine hands it to the program.
func load(t *testing.T, text string, more ...componenttest.Option) (*config.Stack, error) {
	t.Helper()
	return loadAsIs(t, withImage(text), more...)
}

func loadAsIs(t *testing.T, text string, more ...componenttest.Option) (*config.Stack, error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.test.yaml"), []byte(text), 0o600))
	var file struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	values := map[string]string{}
	for key, value := range file.Config {
		if plain, ok := value.(string); ok {
			values[key] = plain
			continue
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		values[key] = string(encoded)
	}
	var stack *config.Stack
	_, err := componenttest.Try(func(ctx *pulumi.Context) (err error) {
		stack, err = config.Load(ctx, dir)
		return err
	}, append(more, componenttest.Config(values))...)
	return stack, err
}

func TestTheLeastConfigIsEnough(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least)
	require.NoError(t, err)
	want := rdspostgres.Production()
	want.Identifier, want.DatabaseName, want.MasterUsername = "my-shop-prod", "my_shop", "my_shop_admin"
	assert.Equal(t, want, stack.Database)
	assert.Equal(t, "my-shop", stack.Service.Namespace)
	assert.Equal(t, "my-shop", stack.Consumer.Name)
	assert.Equal(t, 3, stack.Consumer.Replicas)
	assert.Equal(t, 2, stack.Operator.Replicas)
	assert.Equal(t, externalsecrets.Defaults(), stack.Secrets.Settings)
	assert.Equal(t, 20, stack.Pool.DefaultPoolSize)
	assert.Equal(t, 3, stack.Migration.BackoffLimit)
	assert.Equal(t, map[string]string{"service": "my-shop", "environment": "prod", "managed-by": "dbtier"},
		stack.Tags())
	assert.Equal(t, "https://sts.ap-northeast-2.amazonaws.com", stack.STSEndpoint())
}

// No public registry has the pool's image. A default would name one that was never tested with the tier.
func TestTheImageOfThePoolHasNoDefault(t *testing.T) {
	t.Parallel()
	const want = "is missing: run `dbtier image export pool --output pool.tar`, push it"
	for name, c := range map[string]struct{ more, path, other string }{
		"PgBouncer": {"", "dbtier:pool.image", "dbtier:role.image"},
		"RDS Proxy": {"  dbtier:pool: {kind: rdsProxy}\n", "dbtier:role.image", "dbtier:pool.image"},
	} {
		_, err := loadAsIs(t, least+c.more)
		require.ErrorContains(t, err, c.path+": "+want, name)
		assert.NotContains(t, err.Error(), c.other, name)
	}
	digest := "registry.example/pgbouncer:1.24.1-1_deb13u2@sha256:" + strings.Repeat("0a", 32)
	stack, err := loadAsIs(t, least+"  dbtier:pool: {image: \""+digest+"\"}\n")
	require.NoError(t, err)
	assert.Equal(t, digest, stack.Role.Image)
	_, err = loadAsIs(t, least+"  dbtier:pool: {kind: rdsProxy}\n  dbtier:role: {poolUser: master}\n")
	assert.NoError(t, err, "nothing needs psql")
}

func TestTheProfileChoosesTheDefaults(t *testing.T) {
	t.Parallel()
	stack, err := load(t, strings.Replace(least, "profile: production", "profile: development", 1))
	require.NoError(t, err)
	assert.Equal(t, "db.t4g.medium", stack.Database.InstanceClass)
	assert.False(t, stack.Database.DeletionProtection)
	assert.Equal(t, 2, stack.Consumer.Replicas)
}

func TestASectionSaysOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least+`
  dbtier:database:
    backupRetentionPeriod: 14
    logExports: []
    parameters: {work_mem: {value: "16384"}}
  dbtier:pool: {resources: {cpuLimit: 500m}}
`)
	require.NoError(t, err)
	assert.Equal(t, 14, stack.Database.BackupRetentionPeriod)
	assert.True(t, stack.Database.MultiAZ, "the rest keeps the profile's default")
	assert.Empty(t, stack.Database.LogExports)
	assert.Equal(t, "16384", stack.Database.Parameters["work_mem"].Value)
	assert.Contains(t, stack.Database.Parameters, "rds.force_ssl", "named parameters come on top of the defaults")
	assert.Equal(t, "500m", stack.Pool.Resources.CPULimit)
	assert.Equal(t, "50m", stack.Pool.Resources.CPURequest)
}

func TestAllFaultsAreReportedWithFileAndKey(t *testing.T) {
	t.Parallel()
	_, err := load(t, `config:
  dbtier:cloud: azure
  dbtier:operatr: {install: true}
  dbtier:profile: large
  dbtier:service: myshop
  dbtier:aws: {region: Seoul, accountId: 123456789012, endpoint: "http://127.0.0.1:14566"}
  dbtier:network:
    vpcId: main
    subnetIds: [subnet-0123456789abcdef1, subnet-0123456789abcdef1, 7]
    databaseCidrs: [10.0.192.1/20, x]
    directClients: [{name: A B, connections: 0}]
    clients: [{securityGroupId: any}]
  dbtier:cluster: {oidcProviderArn: "https://oidc.eks/id", nodeSecurityGroupId: x}
  dbtier:database:
    instanceClas: db.m6g.large
    multiAz: "yes"
    allocatedStorage: 50.5
    maxAllocatedStorage: "500"
    masterUsername:
    logExports: postgresql
    parameters: [work_mem]
    frobnicate: 1
  dbtier:consumer: {replicas: 0, image: ""}
  dbtier:secrets: {refreshInterval: 2h}
  dbtier:operator: {replicas: 0}
  dbtier:pool: {poolMode: statement}
`)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	for _, fault := range []string{
		`cloud: "azure": want one of aws, local`,
		`operatr: is not a setting; did you mean operator?`,
		`profile: "large": want one of production, development`,
		`service: "myshop": want keys and values`,
		`environment: "": want`,
		`aws.region: "Seoul": want`,
		`aws.accountId: 123456789012: want text; put it in quotes`,
		`network.vpcId: "main": want`,
		`network.subnetIds[1]: "subnet-0123456789abcdef1": is named twice`,
		`network.subnetIds[2]: 7: want text; put it in quotes`,
		`network.databaseCidrs[0]: "10.0.192.1/20": has bits set after its prefix length; want 10.0.192.0/20`,
		`network.databaseCidrs[1]: "x": want an address range`,
		`network.directClients[0].name: "A B": want 1 to 63`,
		`network.directClients[0].connections: 0: want 1 to 5000`,
		`network.clients[0].name: is missing`,
		`network.clients[0].securityGroupId: "any": want`,
		`cluster.oidcProviderArn: "https://oidc.eks/id": is the issuer's URL`,
		`cluster.nodeSecurityGroupId: "x": want`,
		`database.instanceClas: is not a setting; did you mean instanceClass?`,
		`database.multiAz: "yes": want true or false, without quotes`,
		`database.allocatedStorage: 50.5: want a whole number, without quotes`,
		`database.maxAllocatedStorage: "500": want a whole number, without quotes`,
		`database.masterUsername: is empty; give it a value, or leave the key out`,
		`database.logExports: "postgresql": want a list`,
		`database.parameters: ["work_mem"]: want keys and values`,
		`database.frobnicate: is not a setting; known are alarms, allocatedStorage, `,
		`consumer.replicas: 0: want 1 to 500`,
		`consumer.image: is missing`,
		`secrets.refreshInterval: "2h": want 10s to 1h`,
		`operator.replicas: 0: want 1 to 5`,
		`pool.poolMode: "statement": want one of transaction, session`,
		`migration.command: is missing`,
	} {
		assert.Condition(t, func() bool {
			for _, line := range lines {
				if strings.Contains(line, "Pulumi.test.yaml: dbtier:"+fault) {
					return true
				}
			}
			return false
		}, "%s\nis not in\n%s", fault, err)
	}
}

func TestConnectionsThatDoNotFitAreAFaultWithTheArithmetic(t *testing.T) {
	t.Parallel()
	const tight = least + `  dbtier:database: {instanceClass: db.t4g.micro}
  dbtier:pool: {replicas: 3, reservePoolSize: 2}
`
	_, err := load(t, tight)
	require.Error(t, err)
	for _, line := range []string{
		`dbtier:database.instanceClass: "db.t4g.micro": has room for 78 connections, and 150 can be open at once`,
		`pool pgbouncer: 3 replicas × (20 + 2 in reserve) × 2 (old and new pods of an update) = 132`,
		`migration: 5 = 5`,
		`it fits with pool.defaultPoolSize 8, or with database.instanceClass db.t4g.small`,
	} {
		require.ErrorContains(t, err, line)
	}
	_, err = load(t, strings.Replace(tight, "db.t4g.micro", "db.t4g.small", 1))
	require.NoError(t, err)
	_, err = load(t, least+"  dbtier:database: {instanceClass: db.m99.large}\n")
	require.ErrorContains(t, err,
		"how many connections db.m99.large takes is not known here: set the parameter max_connections to a number")
	_, err = load(t,
		least+"  dbtier:database: {instanceClass: db.m99.large, parameters: {max_connections: {value: LEAST(4), "+
			"applyMethod: pending-reboot}}}\n")
	require.ErrorContains(t, err, `database.parameters.max_connections.value: "LEAST(4)": is 4 on db.m99.large, of which `+
		`RDS reserves 5`)
	formula := func(class, value string) error {
		_, err := load(t, least+"  dbtier:database: {instanceClass: "+class+", parameters: {max_connections: {value: \""+
			value+"\"}}}\n")
		return err
	}
	require.NoError(t, formula("db.m6g.large", "LEAST({DBInstanceClassMemory/9531392},400)"))
	require.ErrorContains(t, formula("db.m6g.large", "{DBInstanceClassMemory/95313920}"),
		"max_connections is {DBInstanceClassMemory/95313920}, which makes about 82 on db.m6g.large; less 5 reserved ones")
	require.ErrorContains(t, formula("db.m99.large", "{DBInstanceClassMemory/9531392}"),
		"the memory of db.m99.large is not known here; want a number")
	require.ErrorContains(t, formula("db.m6g.large", "{DBInstanceVCPU*100}"), "the value of DBInstanceVCPU is not known here")
	require.ErrorContains(t, formula("db.m6g.large", "{DBInstanceClassMemory/…}"),
		"database.parameters.max_connections.value: ")
	stack, err := load(t,
		least+"  dbtier:database: {instanceClass: db.m99.large, parameters: {max_connections: {value: \"400\", "+
			"applyMethod: pending-reboot}}}\n")
	require.NoError(t, err)
	b := stack.Budget
	limit, _ := b.Limit()
	assert.Equal(t, 316, limit)
}

func TestWhatBelongsToOneCloudOnly(t *testing.T) {
	t.Parallel()
	_, err := load(t, strings.Replace(least, `accountId: "123456789012"`,
		`accountId: "123456789012", endpoint: "http://127.0.0.1:14566"`, 1))
	require.ErrorContains(t, err, `aws.endpoint: "http://127.0.0.1:14566": is for local stacks`)
	_, err = load(t, strings.NewReplacer("cloud: aws", "cloud: local", "    nodeSecurityGroupId",
		"    context: prod\n    nodeSecurityGroupId").Replace(least))
	require.ErrorContains(t, err, `aws.endpoint: "": want the URL of the local cloud's AWS stand-in`)
	require.ErrorContains(t, err, `cluster.context: "prod": has no effect, because cloud is local`)
	_, err = load(t, strings.Replace(least, "cloud: aws", "cloud: local", 1)+"  dbtier:database: {events: {topicArn: "+
		"'arn:aws:sns:ap-northeast-2:123456789012:a'}, roles: {s3Export: 'arn:aws:iam::123456789012:role/e'}}\n")
	require.ErrorContains(t, err, "database.alarms.enabled: true: the local cloud has no CloudWatch alarms")
	require.ErrorContains(t, err, "database.events.topicArn")
	assert.ErrorContains(t, err, "database.roles")
}

// An error with the value would show it in the terminal.
func TestAnEncryptedValueIsRefusedAndNotShown(t *testing.T) {
	t.Parallel()
	_, err := loadAsIs(t, least+"\n  dbtier:pool: {image: s3cret-value}\n", componenttest.SecretConfig("dbtier:pool"))
	require.ErrorContains(t, err, "dbtier:pool: holds an encrypted value")
	assert.NotContains(t, err.Error(), "s3cret-value")
}

func TestWithoutAFileTheKeysThatPulumiKnowsAreRead(t *testing.T) {
	t.Parallel()
	var faults error
	_, _ = componenttest.Try(func(ctx *pulumi.Context) error {
		_, faults = config.Load(ctx, t.TempDir())
		return nil
	}, componenttest.Config(map[string]string{"dbtier:cloud": "aws", "dbtier:service": "{broken"}))
	require.ErrorContains(t, faults, `dbtier:service: "{broken": want keys and values`)
	assert.NotContains(t, faults.Error(), "dbtier:cloud:")
}

func TestAFileThatIsNoYAML(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.test.yaml"), []byte("config: ["), 0o600))
	_, err := componenttest.Try(func(ctx *pulumi.Context) error {
		_, err := config.Load(ctx, dir)
		return err
	})
	assert.ErrorContains(t, err, "reading the stack's config Pulumi.test.yaml")
}

func TestTheProjectsOwnStacksAreInOrder(t *testing.T) {
	t.Parallel()
	for _, stack := range []string{"dev", "prod", "local"} {
		text, err := os.ReadFile(filepath.Join("..", "Pulumi."+stack+".yaml"))
		require.NoError(t, err)
		_, err = load(t, string(text))
		assert.NoError(t, err, stack)
	}
}

func FuzzValuesOfAnyShapeGiveFaultsAndNoPanic(f *testing.F) {
	f.Add("database", `{"instanceClass": [1, {"a": null}], "port": 1e99}`)
	f.Add("network", `{"clients": [[]], "subnetIds": {"a": 1}}`)
	f.Add("aws", `[`)
	f.Fuzz(func(t *testing.T, section, value string) {
		_, err := componenttest.Try(func(ctx *pulumi.Context) error {
			_, err := config.Load(ctx, t.TempDir())
			return err
		}, componenttest.Config(map[string]string{"dbtier:" + section: value}))
		if err == nil {
			t.Errorf("%s = %s is no whole config", section, value)
		}
	})
}

func ExampleDefaults() {
	stack := config.Defaults(config.Production, "prod", config.Service{Name: "myshop"})
	fmt.Println(stack.Database.Identifier, stack.Database.InstanceClass, stack.Pool.Replicas)
	// Output: myshop-prod db.m6g.large 2
}

func TestThePoolIsTheApplicationsOwnRoleUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	stack, err := load(t, least)
	require.NoError(t, err)
	assert.Equal(t, config.RoleUser, stack.Role.PoolUser)
	assert.Equal(t, "my_shop_app_a", stack.DatabaseUser())
	assert.Equal(t, stack.Pool.Image, stack.Role.Image)

	stack, err = load(t, least+"  dbtier:role: {generation: 2, name: shop}\n")
	require.NoError(t, err)
	assert.Equal(t, "shop_b", stack.DatabaseUser())

	stack, err = load(t, least+"  dbtier:role: {poolUser: master, generation: 0}\n")
	require.NoError(t, err, "a setting without effect is not a fault")
	assert.Equal(t, "my_shop_admin", stack.DatabaseUser())

	_, err = load(t, least+"  dbtier:role: {poolUser: admin, generatoin: 2}\n")
	require.ErrorContains(t, err, `dbtier:role.poolUser: "admin": want one of role, master`)
	require.ErrorContains(t, err, `dbtier:role.generatoin: is not a setting; did you mean generation?`)
	_, err = load(t, least+"  dbtier:role: {name: pg_shop, generation: 0}\n")
	require.ErrorContains(t, err, `dbtier:role.name: "pg_shop": want`)
	assert.ErrorContains(t, err, `dbtier:role.generation: 0: want`)
}

func TestOneWrongNameIsOneFault(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 70)
	for name, c := range map[string]struct{ old, written, path string }{
		"service":            {"{name: my-shop}", "{name: My_Shop}", "service.name"},
		"service, too long":  {"{name: my-shop}", "{name: " + long + "}", "service.name"},
		"consumer":           {"consumer: {", "consumer: {name: MyShop_api, ", "consumer.name"},
		"consumer, too long": {"consumer: {", "consumer: {name: " + long + ", ", "consumer.name"},
		"environment":        {"environment: prod", "environment: Prod_x", "environment"},
		"namespace":          {"{name: my-shop}", "{name: my-shop, namespace: My_Shop}", "service.namespace"},
		"existing namespace": {"{name: my-shop}", "{name: My_Shop, existingNamespace: true}", "service.name"},
		"database":           {"consumer: {", "database: {databaseName: My-Db}\n  dbtier:consumer: {", "database.databaseName"},
		"identifier":         {"consumer: {", "database: {identifier: My_Db}\n  dbtier:consumer: {", "database.identifier"},
		"role":               {"consumer: {", "role: {name: Role-x}\n  dbtier:consumer: {", "role.name"},
		"operator":           {"consumer: {", "operator: {namespace: Op_x}\n  dbtier:consumer: {", "operator.namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, strings.Replace(least, c.old, c.written, 1))
			var lines []string
			for line := range strings.Lines(fmt.Sprint(err)) {
				if strings.HasPrefix(line, "Pulumi.test.yaml: ") {
					lines = append(lines, line)
				}
			}
			require.Len(t, lines, 1, "%v", err)
			assert.Contains(t, lines[0], "dbtier:"+c.path+": ")
			assert.NotContains(t, lines[0], "reserved for the console", "the rule of a name that is made from it")
		})
	}
	_, err := load(t, strings.Replace(least, "consumer: {", "database: {port: 1}\n  dbtier:consumer: {name: My_api, ", 1))
	require.ErrorContains(t, err, "database.port: 1: ", "another fault stays")
	require.ErrorContains(t, err, `consumer.name: "My_api": `)
}

func TestATabInTheFileIsCalledATab(t *testing.T) {
	t.Parallel()
	_, err := config.ReadFile(stackFile(t, "config:\n  dbtier:service:\n\tname: my-shop\n"))
	require.ErrorContains(t, err, "not valid YAML: line 3 begins with a tab: YAML is indented with spaces")
	_, err = config.ReadFile(stackFile(t, "config:\n  dbtier:service: {name: @x}\n"))
	require.ErrorContains(t, err, "cannot start any token", "the reason is no tab")
}

func stackFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Pulumi.test.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
