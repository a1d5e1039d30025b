package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/componenttest"
	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

// judged returns the resources of a recording as the policy pack sees them.
func judged(recorded *componenttest.Recording) []*ruletest.Resource {
	each := recorded.Each()
	full := map[string]string{}
	for _, r := range each {
		for _, dependency := range append(slices.Clone(r.Dependencies), r.Parent) {
			if at := strings.SplitN(dependency, "::", 3); len(at) == 3 {
				full[at[2]] = dependency
			}
		}
	}
	resources := make([]*ruletest.Resource, len(each))
	for i, r := range each {
		resources[i] = &ruletest.Resource{
			Type: r.Type, Name: r.Name, GivenURN: full[r.URN], Inputs: ruletest.Plain(r.Given),
			Outputs: ruletest.Plain(r.Answered), Parent: r.Parent,
			Dependencies: r.Dependencies, PropertyDependencies: r.PropertyDependencies,
		}
		// An output that repeats an input follows the changes of the input.
		maps.DeleteFunc(resources[i].Outputs, func(key string, _ any) bool {
			_, input := resources[i].Inputs[key]
			return input
		})
	}
	return resources
}

// profileOf returns the profile in the config of a stack.
func profileOf(t *testing.T, stack string) rule.Profile {
	t.Helper()
	file := "Pulumi." + stack + ".yaml"
	if example, name, ok := strings.Cut(stack, "/"); ok {
		file = filepath.Join("examples", example, "Pulumi."+name+".yaml")
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var stackFile struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(text, &stackFile))
	if profile, ok := stackFile.Config["dbtier:profile"].(string); ok {
		return rule.Profile(profile)
	}
	return rule.Production
}

func TestNoStackBreaksAMandatoryRule(t *testing.T) {
	t.Parallel()
	recordings := map[string]*componenttest.Recording{}
	for _, stack := range stacks {
		recordings[stack] = run(t, stack)
		recordings[stack+" in a preview"] = run(t, stack, componenttest.Preview())
	}
	for _, stack := range []string{"cluster", "orders", "billing"} {
		recordings["services/"+stack], _ = serviceStack(t, stack)
	}
	for _, stack := range []string{"password", "tokens"} {
		recordings["proxy/"+stack], _ = proxyStack(t, stack)
	}
	for name, recorded := range recordings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stack, _, preview := strings.Cut(name, " ")
			answer := ruletest.Judge(t, ruletest.Setup{Profile: profileOf(t, stack), Update: !preview}, registry.All(),
				judged(recorded)...)
			assert.Empty(t, answer.Mandatory())
			if !preview {
				assert.Empty(t, answer.Pending)
				return
			}
			if stack == "prod" {
				assert.Contains(t, answer.Pending, "rds-storage-cmk")
				assert.Contains(t, answer.Pending, "iam-secrets-scoped")
				assert.Contains(t, answer.Said, "database-instance.kmsKeyId: rds-storage-cmk")
			}
		})
	}
}

// broken is a change to a stack, and the rule that it violates.
type broken struct {
	rule, resource string
	change         ruletest.Change
}

func (b broken) String() string {
	return fmt.Sprintf("%s %v %v", b.resource, b.change.Path, b.change.Value)
}

// podPath returns a path below a pod spec.
func podPath(steps ...any) []any { return append([]any{"spec", "template", "spec"}, steps...) }

func set(guard, resource string, value any, path ...any) broken {
	return broken{guard, resource, ruletest.Set(value, path...)}
}

func drop(guard, resource string, path ...any) broken {
	return broken{guard, resource, ruletest.Drop(path...)}
}

// secureDefaults undo the secure defaults of the tier, one by one.
func secureDefaults() []broken {
	const database = "database-instance"
	defaults := []broken{
		set("rds-storage-encrypted", database, false, "storageEncrypted"),
		drop("rds-storage-cmk", database, "kmsKeyId"),
		set("rds-managed-password", database, false, "manageMasterUserPassword"),
		set("rds-managed-password", database, ruletest.Secret{Value: "hunter22"}, "password"),
		drop("rds-master-secret-cmk", database, "masterUserSecretKmsKeyId"),
		set("rds-multi-az", database, false, "multiAz"),
		set("rds-backup-retention", database, 0, "backupRetentionPeriod"),
		set("rds-windows", database, "Mon:03:30-Mon:04:30", "maintenanceWindow"),
		set("rds-performance-insights", database, false, "performanceInsightsEnabled"),
		drop("rds-performance-insights-cmk", database, "performanceInsightsKmsKeyId"),
		set("rds-enhanced-monitoring", database, 0, "monitoringInterval"),
		set("rds-log-exports", database, []any{}, "enabledCloudwatchLogsExports"),
		set("rds-deletion-protection", database, false, "deletionProtection"),
		set("rds-final-snapshot", database, true, "skipFinalSnapshot"),
		set("rds-keep-automated-backups", database, true, "deleteAutomatedBackups"),
		set("rds-copy-tags", database, false, "copyTagsToSnapshot"),
		set("rds-not-public", database, true, "publiclyAccessible"),
		drop("rds-in-vpc", database, "vpcSecurityGroupIds"),
		set("rds-iam-authentication", database, false, "iamDatabaseAuthenticationEnabled"),
		set("rds-auto-minor-version", database, false, "autoMinorVersionUpgrade"),
		set("rds-ca-certificate", database, "rds-ca-2019", "caCertIdentifier"),
		set("rds-extended-support", database, "open-source-rds-extended-support", "engineLifecycleSupport"),
		set("rds-engine-version", database, "16.3", "engineVersion"),
		set("rds-no-restart-in-hours", database, true, "applyImmediately"),
		drop("rds-own-parameter-group", database, "parameterGroupName"),
		set("rds-force-ssl", "database-parameter-group", "0", "parameters", 2, "value"),
		set("rds-query-logging", "database-parameter-group", "-1", "parameters", 1, "value"),
		set("rds-no-password-logging", "database-parameter-group",
			map[string]any{"name": "log_statement", "value": "ddl"}, "parameters", 0),
		set("log-group-retention", "database-log-postgresql", 7, "retentionInDays"),
		drop("log-group-cmk", "database-log-postgresql", "kmsKeyId"),
		set("log-groups-managed", "database-log-postgresql", "/aws/rds/instance/other/postgresql", "name"),
		set("kms-rotation", "database-key", false, "enableKeyRotation"),
		drop("kms-policy-defined", "database-key", "policy"),
		set("kms-deletion-window", "database-key", 7, "deletionWindowInDays"),
		set("network-no-public-ingress", "database-security-group", []any{"0.0.0.0/0"}, "ingress", 0, "cidrBlocks"),
		set("network-database-port", "database-security-group", []any{"10.0.0.0/8"}, "ingress", 0, "cidrBlocks"),
		set("database-group-port", "database-security-group", 0, "ingress", 0, "fromPort"),
		set("network-no-public-egress", "database-security-group", map[string]any{"cidrBlocks": []any{"0.0.0.0/0"}},
			"egress", 0),
		drop("network-rule-description", "database-security-group", "ingress", 0, "description"),
		set("secret-store-scoped", "secrets-store", []any{}, "spec", "conditions"),
		drop("secret-store-irsa", "secrets-store", "spec", "provider", "aws", "auth"),
		set("external-secret-refresh", "secrets-direct", "24h", "spec", "refreshInterval"),
		set("external-secret-refresh", "pool-config", "24h", "spec", "refreshInterval"),
		set("external-secret-generated-once", "pool-login", "Periodic", "spec", "refreshPolicy"),
		set("external-secret-generated-once", "role-credential-1", "Periodic", "spec", "refreshPolicy"),
		drop("external-secret-awaited", "secrets-direct", "metadata", "annotations"),
		set("external-secret-url-encoded", "pool-consumer-secret",
			"postgresql://{{ .loginUser }}:{{ .loginPassword }}@pgbouncer.myshop.svc/x", "spec", "target", "template",
			"data", "DATABASE_URL"),
		set("external-secret-verifies-database", "secrets-direct", "require", "spec", "target", "template", "data",
			"PGSSLMODE"),
		set("k8s-namespace-pod-security", "namespace-namespace", "baseline", "metadata", "labels",
			"pod-security.kubernetes.io/enforce"),
		set("k8s-namespace-pod-security", "operator-namespace", "privileged", "metadata", "labels",
			"pod-security.kubernetes.io/enforce"),
		set("k8s-service-inside", "pool-service", "LoadBalancer", "spec", "type"),
		set("k8s-rbac-secrets", "pool-login-reader-role", []any{}, "rules", 0, "resourceNames"),
		set("k8s-network-policy-selects", "pool-network", []any{}, "spec", "ingress", 0, "from"),
		set("k8s-disruption-budget", "pool-disruption-budget", 0, "spec", "maxUnavailable"),
		set("k8s-disruption-budget", "consumer-disruption", 0, "spec", "maxUnavailable"),
		set("pool-replicas", "pool-deployment", 1, "spec", "replicas"),
		set("pool-version", "pool-deployment", "edoburu/pgbouncer:v1.24.1-p1", podPath("containers", 0, "image")...),
		drop("pool-drains", "pool-deployment", podPath("containers", 0, "lifecycle")...),
		set("pool-rolls-up-first", "pool-deployment", 1, "spec", "strategy", "rollingUpdate", "maxUnavailable"),
		drop("k8s-readiness-probe", "pool-deployment", podPath("containers", 0, "readinessProbe")...),
		drop("k8s-readiness-probe", "consumer-deployment", podPath("containers", 0, "readinessProbe")...),
	}
	for old, setting := range map[string]struct{ text, rule string }{
		"server_tls_sslmode = verify-full": {"server_tls_sslmode = prefer", "pool-verifies-database"},
		"auth_type = hba":                  {"auth_type = trust", "pool-authentication"},
		"max_db_connections = 20":          {"max_db_connections = 0", "pool-bounded"},
		"server_login_retry = 1\n":         {"server_login_retry = 15\n", "pool-login-retry"},
	} {
		defaults = append(defaults, broken{
			setting.rule, "pool-config",
			ruletest.Change{
				Path:  []any{"spec", "target", "template", "data", "pgbouncer.ini", old},
				Value: setting.text,
			},
		})
	}
	for _, workload := range []string{"pool-deployment", "consumer-deployment", "migration-job", "role-job"} {
		first := func(steps ...any) []any { return append(podPath("containers", 0), steps...) }
		defaults = append(
			defaults,
			set("k8s-run-as-non-root", workload, false, podPath("securityContext", "runAsNonRoot")...),
			set("k8s-high-uid", workload, 70, podPath("securityContext", "runAsUser")...),
			set("k8s-seccomp", workload, "Unconfined", podPath("securityContext", "seccompProfile", "type")...),
			set("k8s-privilege-escalation", workload, true, first("securityContext", "allowPrivilegeEscalation")...),
			set("k8s-read-only-root", workload, false, first("securityContext", "readOnlyRootFilesystem")...),
			set("k8s-capabilities", workload, []any{}, first("securityContext", "capabilities", "drop")...),
			drop("k8s-memory-limit", workload, first("resources", "limits")...),
			drop("k8s-requests", workload, first("resources", "requests")...),
			set("token-needed", workload, true, podPath("automountServiceAccountToken")...),
			drop("k8s-service-account-token", workload, podPath("automountServiceAccountToken")...),
			drop("k8s-service-account", workload, podPath("serviceAccountName")...),
		)
	}
	for _, workload := range []string{"migration-job", "role-job"} {
		defaults = append(
			defaults,
			drop("job-backoff", workload, "spec", "backoffLimit"),
			drop("job-deadline", workload, "spec", "activeDeadlineSeconds"),
			set("job-keeps-logs", workload, "OnFailure", podPath("restartPolicy")...),
			set("job-stays", workload, 100, "spec", "ttlSecondsAfterFinished"),
			drop("job-awaited", workload, "metadata", "annotations"),
		)
	}
	return defaults
}

// on returns the stack with the change.
func (b broken) on(t *testing.T, stack []*ruletest.Resource) []*ruletest.Resource {
	t.Helper()
	changed := slices.Clone(stack)
	at := slices.IndexFunc(changed, func(r *ruletest.Resource) bool { return r.Name == b.resource })
	require.GreaterOrEqual(t, at, 0, "no resource %s", b.resource)
	path := b.change.Path
	if text, ok := componenttest.At(changed[at].Inputs, path[:len(path)-1]...).(string); ok {
		// The last step is a part of the text.
		old := path[len(path)-1].(string)
		require.Contains(t, text, old)
		changed[at] = ruletest.Set(strings.Replace(text, old, b.change.Value.(string), 1),
			path[:len(path)-1]...).On(changed[at])
		return changed
	}
	changed[at] = b.change.On(changed[at])
	return changed
}

// advisedOnly are rules for secure defaults that are advisory in production.
var advisedOnly = []string{"rds-no-restart-in-hours", "k8s-high-uid"}

func TestEachSecureDefaultIsGuarded(t *testing.T) {
	t.Parallel()
	stack := judged(run(t, "prod"))
	production := ruletest.Setup{Profile: rule.Production, Update: true}
	baseline := ruletest.Judge(t, production, registry.All(), stack...)
	for _, b := range secureDefaults() {
		t.Run(b.rule+"/"+b.String(), func(t *testing.T) {
			t.Parallel()
			require.Empty(t, baseline.Violations(b.rule), "before the change")
			answer := ruletest.Judge(t, production, registry.All(), b.on(t, stack)...)
			assert.NotEmpty(t, answer.Violations(b.rule))
			if !slices.Contains(advisedOnly, b.rule) {
				assert.True(t, slices.ContainsFunc(answer.Mandatory(),
					func(line string) bool { return strings.HasPrefix(line, b.rule+" ") }), "%s is not mandatory",
					b.rule)
			}
		})
	}
}
