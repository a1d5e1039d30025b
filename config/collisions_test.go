package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/config"
)

// line returns the only fault of a config, without the file.
func line(t *testing.T, text string) string {
	t.Helper()
	_, err := config.Parse(read(t, text), noStacks)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.GreaterOrEqual(t, len(lines), 2)
	assert.Equal(t, 1, strings.Count(err.Error(), ": dbtier:"), "%s", err)
	return strings.TrimPrefix(lines[1], "Pulumi.test.yaml: dbtier:")
}

func TestNamesThatCollideNameBothSettings(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:s-AbCdEf"
	for more, want := range map[string]string{
		"  dbtier:pool: {name: my-shop}\n": `pool.name: "my-shop": gives the Deployment my-shop, which consumer.name (my-shop) ` +
			`gives, too; want another name`,
		"  dbtier:secrets: {further: [{name: pgbouncer-login, arn: " + arn + "}]}\n": `secrets.further[0].name: ` +
			`"pgbouncer-login": gives the Secret pgbouncer-login, which pool.name (pgbouncer) gives, too`,
		"  dbtier:secrets: {further: [{name: pgbouncer-database-1, arn: " + arn + "}]}\n": "which pool.name (pgbouncer) gives",
		"  dbtier:pool: {logins: [{name: reports, credentialSecret: reports-db}]}\n": `pool.logins[0].credentialSecret: ` +
			`"reports-db": is a Secret that the tier makes itself (from pool.logins[0].name)`,
		"  dbtier:pool: {clientTlsSecret: my-shop-db}\n":                    "is a Secret that the tier makes itself",
		"  dbtier:pool: {name: my-shop-reconnect}\n":                        "gives the ServiceAccount my-shop-reconnect",
		"  dbtier:service: {name: my-shop, namespace: kube-system}\n":       "begins with kube-, which is reserved",
		"  dbtier:service: {name: my-shop, namespace: external-secrets}\n":  "is the operator's namespace",
		"  dbtier:role: {iamUser: my_shop_admin}\n":                         "which is the master user (database.masterUsername)",
		"  dbtier:database: {masterUsername: My_shop_app_B}\n":              "role.name",
		"  dbtier:database: {networkType: DUAL}\n":                          `has no IPv6 range, but database.networkType is DUAL`,
		"  dbtier:consumer: {image: a, name: pgbouncer}\n":                  `consumer.name: "pgbouncer": `,
		"  dbtier:consumer: {image: a, env: {DATABASE_URL: x}}\n":           "is set from the database's Secret",
		"  dbtier:consumer: {image: a, env: {9A: x}}\n":                     "want the name of an environment variable",
		"  dbtier:database: {databaseName: pgbouncer}\n":                    `database.databaseName: "pgbouncer": is the name of PgBouncer`,
		"  dbtier:pool: {databases: [pgbouncer]}\n":                         `pool.databases[0]: "pgbouncer": is the name of PgBouncer`,
		"  dbtier:operator: {namespace: kube-system}\n":                     `operator.namespace: "kube-system": begins with kube-`,
		"  dbtier:consumer: {image: a b}\n":                                 `consumer.image: "a b": has white space`,
		"  dbtier:consumer: {image: a, resources: {memoryRequest: 512m}}\n": `consumer.resources.memoryRequest: "512m": is a part`,
		"  dbtier:consumer: {image: a, resources: {memoryLimit: 64Mi}}\n":   `is less than memoryRequest (128Mi)`,
		"  dbtier:consumer: {image: a, replicas: 9, autoscaling: {enabled: true, minReplicas: 2, maxReplicas: 4}}\n": "is more " +
			"than autoscaling.maxReplicas (4)",
		"  dbtier:database: {rotation: {scheduleExpression: \"cron(0 3 ? * FUNDAY *)\"}}\n": `has the weekday "FUNDAY"`,
		"  dbtier:database: {engineVersion: \"14.5\", autoMinorVersionUpgrade: false}\n":    "RDS no longer creates it",
		"  dbtier:database: {engineVersion: \"13\"}\n":                                      "out of standard support since 2026-02-28",
		"  dbtier:database: {parameters: {max_worker_processes: {value: \"9\", applyMethod: immediate}}}\n": `database.` +
			`parameters.max_worker_processes.applyMethod: "immediate": cannot be used for a static parameter`,
		"  dbtier:database: {parameters: {rds.force_ssl: {value: \"1\", applyMethod: immediate}}}\n": "each update would show a change",
		"  dbtier:database: {parameters: {work_men: {value: \"4096\"}}}\n":                           "is not a parameter of the family",
		"  dbtier:database: {storageType: io1, allocatedStorage: 100, iops: 6000}\n":                 "RDS wants 0.5 to 50",
		"  dbtier:aws: {region: ap-northeast-2, accountId: \"123456789012\", tags: {since: 2026-11-03}}\n": `aws.tags.since: ` +
			`"2026-11-03": is a date in YAML`,
		"  dbtier:aws: {region: ap-northeast-2, accountId: 123456789012}\n": `aws.accountId: 123456789012: want text; put it in`,
		"  dbtier:service: {name: order}\n": `service.name: "order": conflicts with a default: database.databaseName: "order": ` +
			`is a reserved word`,
	} {
		// A section that the least config has is replaced.
		section, _, _ := strings.Cut(strings.TrimSpace(more), ": {")
		text := regexp.MustCompile(`(?m)^  `+section+`: .*\n`).ReplaceAllString(least, "") + more
		assert.Contains(t, line(t, text), want, more)
	}
}

func TestVariablesComeFromOnePlace(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:s-AbCdEf"
	env := strings.Replace(least, `image: "registry.example/my-shop:1"`, `image: "a:1", env: {REDIS_URL: x, AWS_REGION: y}`, 1)
	_, err := config.Parse(read(t, env), noStacks)
	require.NoError(t, err)
	assert.Contains(t, line(t, env+"  dbtier:secrets: {further: [{name: s, arn: "+arn+", keys: {REDIS_URL: url}}]}\n"),
		`secrets.further[0].keys.REDIS_URL: is a variable that consumer.env.REDIS_URL gives, too; keep one of them`)
	assert.Contains(t, line(t, env+"  dbtier:iam: {enabled: true}\n"),
		`consumer.env.AWS_REGION: "y": is a variable that iam.enabled gives, too`)
	two := "  dbtier:secrets: {further: [{name: s, arn: " + arn + ", keys: {A: url}}, {name: t, arn: " + arn + ", keys: {A: url}}]}\n"
	assert.Contains(t, line(t, least+two), "secrets.further[1].keys.A: is a variable that secrets.further[0].keys.A gives")
}

func TestTheReplicasThatCountAreTheMost(t *testing.T) {
	t.Parallel()
	scaled := strings.Replace(least, `image: "registry.example/my-shop:1"`,
		`image: "a:1", autoscaling: {enabled: true, minReplicas: 1, maxReplicas: 2}`, 1)
	stack, err := config.Parse(read(t, scaled), noStacks)
	require.NoError(t, err, "the default of 3 replicas does not contradict what is written")
	assert.Equal(t, 2, stack.Consumer.MostReplicas())
}

var hashed = regexp.MustCompile(`-[0-9a-f]{8}$`)

// What is compared is what is emitted: every object of the service's namespace in the golden files has its name in the
// list that collisions are found with, or a hash of its content in the name.
func TestEveryEmittedNameIsCompared(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dev", "prod", "local"} {
		values, err := config.ReadFile(filepath.Join("..", "Pulumi."+name+".yaml"))
		require.NoError(t, err)
		stack, err := config.Parse(values, noStacks)
		require.NoError(t, err)
		compared := map[string]bool{}
		for _, object := range stack.ObjectNames() {
			compared[object] = true
		}
		text, err := os.ReadFile(filepath.Join("..", "tests", "golden", name+".yaml"))
		require.NoError(t, err)
		var resources []struct {
			Resource string
			Inputs   struct {
				Kind     string
				Metadata struct{ Name, Namespace string }
			}
		}
		require.NoError(t, yaml.Unmarshal(text, &resources))
		found := 0
		for _, r := range resources {
			meta := r.Inputs.Metadata
			if !strings.HasPrefix(r.Resource, "kubernetes:") || meta.Namespace != stack.Service.Namespace ||
				hashed.MatchString(meta.Name) {
				continue
			}
			found++
			kind := regexp.MustCompile(`:(\w+) `).FindStringSubmatch(r.Resource)[1]
			kind = strings.Replace(kind, "ExternalSecret", "Secret", 1)
			assert.True(t, compared[kind+" "+meta.Name], "%s: %s %s", name, kind, meta.Name)
		}
		assert.Greater(t, found, 20, name)
	}
}
