package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/policy/registry"
	"dbtier/policy/rule"
	"dbtier/policy/ruletest"
)

// edit returns a changed stack.
type edit func(t *testing.T, stack []*ruletest.Resource) []*ruletest.Resource

func with(resource string, value any, path ...any) edit {
	return func(t *testing.T, stack []*ruletest.Resource) []*ruletest.Resource {
		t.Helper()
		return set("", resource, value, path...).on(t, stack)
	}
}

func adding(resources ...*ruletest.Resource) edit {
	return func(_ *testing.T, stack []*ruletest.Resource) []*ruletest.Resource {
		return append(slices.Clone(stack), resources...)
	}
}

// changing changes more than the inputs of a resource.
func changing(name string, change func(*ruletest.Resource)) edit {
	return func(t *testing.T, stack []*ruletest.Resource) []*ruletest.Resource {
		t.Helper()
		changed := slices.Clone(stack)
		at := slices.IndexFunc(changed, func(r *ruletest.Resource) bool { return r.Name == name })
		require.GreaterOrEqual(t, at, 0, name)
		changed[at] = changed[at].Clone()
		change(changed[at])
		return changed
	}
}

type comparison struct {
	rule   string
	holds  edit
	breaks []edit
	// unknown are edits after which the rule waits for an unknown value.
	unknown []edit
}

func comparisons() []comparison {
	unknown := ruletest.Unknown{}
	pgini := []any{"spec", "target", "template", "data", "pgbouncer.ini"}
	url := []any{"spec", "target", "template", "data", "DATABASE_URL"}
	envFrom := podPath("containers", 0, "envFrom", 1, "secretRef", "name")
	policy := func(arn string) string {
		return fmt.Sprintf(
			`{"Statement":[{"Effect":"Allow","Action":["secretsmanager:GetSecretValue"],"Resource":[%q]}]}`, arn,
		)
	}
	const other = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:rds!db-another-xmJRDx"
	secret := &ruletest.Resource{
		Type: "aws:secretsmanager/secret:Secret", Name: "login", Inputs: map[string]any{},
		Outputs: map[string]any{"arn": other},
	}
	rotation := func(id any, dependencies ...string) *ruletest.Resource {
		return &ruletest.Resource{
			Type: "aws:secretsmanager/secretRotation:SecretRotation", Name: "rotation",
			Inputs: map[string]any{"secretId": id}, Dependencies: dependencies,
		}
	}
	group := func(ingress any) *ruletest.Resource {
		return &ruletest.Resource{
			Type: "aws:ec2/securityGroup:SecurityGroup", Name: "group",
			Inputs: map[string]any{"ingress": ingress},
		}
	}
	rules := []any{map[string]any{"fromPort": 443, "toPort": 443, "protocol": "tcp"}}
	groupRule := &ruletest.Resource{
		Type: "aws:ec2/securityGroupRule:SecurityGroupRule", Name: "rule", Inputs: map[string]any{},
		Dependencies:         []string{group(nil).URN()},
		PropertyDependencies: map[string][]string{"securityGroupId": {group(nil).URN()}},
	}
	subscription := func(kind any) *ruletest.Resource {
		return &ruletest.Resource{
			Type: "aws:rds/eventSubscription:EventSubscription", Name: "events",
			Inputs: map[string]any{"sourceType": kind},
		}
	}
	vpc := &ruletest.Resource{
		Type: "aws:ec2/vpc:Vpc", Name: "vpc", Inputs: map[string]any{},
		Outputs: map[string]any{"id": "vpc-1", "defaultSecurityGroupId": "sg-default"},
	}
	defaultGroup := func(ingress any) *ruletest.Resource {
		return &ruletest.Resource{
			Type: "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", Name: "default",
			Inputs:  map[string]any{"vpcId": "vpc-1", "ingress": ingress},
			Outputs: map[string]any{"id": "sg-default"},
		}
	}
	inDefaultGroup := &ruletest.Resource{
		Type: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", Name: "rule",
		Inputs: map[string]any{"securityGroupId": "sg-default"},
	}
	return []comparison{
		{
			rule: "kms-policy-defined",
			breaks: []edit{
				with("database-key", nil, "policy"), with("database-key", "", "policy"),
				changing("database-key", func(r *ruletest.Resource) {
					// The cloud answers with the policy that it gives every key.
					delete(r.Inputs, "policy")
					r.Outputs = map[string]any{"policy": "{}"}
				}),
			},
			unknown: []edit{with("database-key", unknown, "policy")},
		},
		{
			rule: "network-default-group-closed", holds: adding(vpc, defaultGroup([]any{})),
			breaks: []edit{
				adding(vpc), adding(vpc, defaultGroup(rules)), adding(vpc, defaultGroup(nil), inDefaultGroup),
				adding(defaultGroup(nil), inDefaultGroup),
				adding(vpc, defaultGroup(nil), &ruletest.Resource{
					Type: "aws:ec2/securityGroupRule:SecurityGroupRule", Name: "rule", Inputs: map[string]any{},
					Dependencies:         []string{vpc.URN()},
					PropertyDependencies: map[string][]string{"securityGroupId": {vpc.URN()}},
				}),
			},
			unknown: []edit{adding(vpc, defaultGroup(unknown))},
		},
		{
			rule: "connections-fit",
			breaks: []edit{
				with("database-instance", "db.t4g.micro", "instanceClass"),
				with("database-instance", "db.nothing.known", "instanceClass"),
				with("database-parameter-group", map[string]any{"name": "max_connections", "value": "60"}, "parameters",
					0),
				with("pool-deployment", 40, "spec", "replicas"),
				with("pool-config", "max_db_connections = 400", append(pgini, "max_db_connections = 20")...),
			},
			unknown: []edit{
				with("pool-config", unknown, pgini...), with("database-instance", unknown, "instanceClass"),
				with("pool-deployment", unknown, "spec", "replicas"),
			},
		},
		{
			rule: "database-holders",
			breaks: []edit{
				with("namespace-database", []any{map[string]any{}}, "spec", "egress"),
				with("namespace-database", []any{
					"pgbouncer", "myshop-api-migration", "pgbouncer-bootstrap",
					"myshop-api",
				}, "spec", "podSelector", "matchExpressions", 0, "values"),
				with("namespace-database", []any{}, "spec", "egress", 1, "to", 0, "ipBlock", "except"),
				with("migration-network", []any{}, "spec", "egress"),
				with("pool-network", 5433, "spec", "egress", 1, "ports", 0, "port"),
			},
			unknown: []edit{
				with("namespace-database", unknown, "spec", "podSelector"),
				with("secrets-direct", unknown, url...), with("migration-network", unknown, "spec", "egress"),
			},
		},
		{
			rule: "database-group-port",
			breaks: []edit{
				with("database-security-group", 5433, "ingress", 0, "toPort"),
				with("database-instance", 5433, "port"),
			},
			unknown: []edit{with("database-security-group", unknown, "ingress")},
		},
		{
			rule: "pool-hop-guarded",
			breaks: []edit{
				with("pool-network", []any{"Egress"}, "spec", "policyTypes"),
				with("pool-network", "elsewhere", "metadata", "namespace"),
			},
			unknown: []edit{
				with("pool-network", unknown, "spec", "podSelector"),
				with("pool-config", unknown, pgini...),
			},
		},
		{
			rule: "irsa-account-exists",
			breaks: []edit{
				with("secrets-service-account", nil, "metadata", "annotations"),
				with("secrets-service-account", "somebody", "metadata", "name"),
				with("secrets-service-account", "elsewhere", "metadata", "namespace"),
				with("secrets-service-account", "arn:aws:iam::111122223333:role/another", "metadata", "annotations",
					"eks.amazonaws.com/role-arn"),
			},
			unknown: []edit{
				with("secrets-service-account", unknown, "metadata", "annotations", "eks.amazonaws.com/role-arn"),
				with("secrets-role-role", unknown, "assumeRolePolicy"),
				changing("secrets-role-role", func(r *ruletest.Resource) { r.Outputs["arn"] = unknown }),
			},
		},
		{
			rule: "irsa-rights-fit",
			breaks: []edit{
				with("secrets-role-policy", policy(other), "policy"),
				with("secrets-direct", other, "spec", "dataFrom", 0, "extract", "key"),
				with("secrets-role-policy", policy("arn:aws:secretsmanager:*:*:secret:nothing"), "policy"),
				func(t *testing.T, stack []*ruletest.Resource) []*ruletest.Resource {
					t.Helper()
					more := &ruletest.Resource{
						Type: "aws:iam/policy:Policy", Name: "more", Inputs: map[string]any{"policy": policy(other)},
					}
					return append(slices.Clone(stack), more, &ruletest.Resource{
						Type: "aws:iam/rolePolicyAttachment:RolePolicyAttachment", Name: "more",
						Inputs:       map[string]any{},
						Dependencies: []string{ruletest.Named(t, stack, "secrets-role-role").URN(), more.URN()},
					})
				},
			},
			unknown: []edit{
				with("secrets-role-policy", unknown, "policy"),
				with("secrets-direct", unknown, "spec", "dataFrom", 0, "extract", "key"),
			},
		},
		{
			rule: "iam-role-one-manager",
			// A role in the state also lists the policies that other resources attach.
			holds: with("database-monitoring-role", []any{
				"arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
			}, "managedPolicyArns"),
			breaks: []edit{
				with("database-monitoring-role", []any{"arn:aws:iam::aws:policy/ReadOnlyAccess"}, "managedPolicyArns"),
				with("secrets-role-role", []any{map[string]any{"name": "another", "policy": "{}"}}, "inlinePolicies"),
			},
			unknown: []edit{
				with("database-monitoring-role", unknown, "managedPolicyArns"),
				with("secrets-role-role", unknown, "inlinePolicies"),
			},
		},
		{
			rule:    "token-needed",
			breaks:  []edit{with("consumer-deployment", true, podPath("automountServiceAccountToken")...)},
			unknown: []edit{with("consumer-deployment", unknown, podPath("automountServiceAccountToken")...)},
		},
		{
			rule: "dsn-not-shared",
			breaks: []edit{
				with("consumer-deployment", "myshop-api-db-direct", envFrom...),
				with("consumer-deployment", "pgbouncer-config", envFrom...),
				with("secrets-direct", "orders-api", "metadata", "labels", "app.kubernetes.io/part-of"),
				with("pool-consumer-secret", "orders-api", "metadata", "labels", "app.kubernetes.io/part-of"),
			},
			unknown: []edit{with("secrets-direct", unknown, url...), with("consumer-deployment", unknown, envFrom...)},
		},
		{
			rule:   "pod-network-policy",
			breaks: []edit{with("namespace-database", "elsewhere", "metadata", "namespace")},
			unknown: []edit{
				with("namespace-database", unknown, "spec", "podSelector"),
				with("pool-network", unknown, "spec", "policyTypes"),
			},
		},
		{
			rule: "pod-disruption-covered",
			breaks: []edit{
				with("pool-disruption-budget", "nobody", "spec", "selector", "matchLabels", "app.kubernetes.io/name"),
				with("pool-disruption-budget", 2, "spec", "minAvailable"),
				with("consumer-disruption", "elsewhere", "metadata", "namespace"),
			},
			unknown: []edit{
				with("pool-disruption-budget", unknown, "spec", "selector"),
				with("pool-deployment", unknown, "spec", "replicas"),
			},
		},
		{
			rule: "migration-before-consumers",
			breaks: []edit{changing("consumer-deployment", func(r *ruletest.Resource) {
				r.Parent, r.Dependencies, r.PropertyDependencies = "", nil, nil
			})},
			unknown: []edit{
				with("consumer-deployment", unknown, podPath("containers", 0, "image")...),
				with("consumer-deployment", unknown, envFrom...),
			},
		},
		{
			rule: "secrets-rotated", holds: adding(secret, rotation("x", secret.URN())),
			breaks:  []edit{adding(secret), adding(secret, rotation("another"))},
			unknown: []edit{adding(secret, rotation(unknown))},
		},
		{rule: "network-group-used", breaks: []edit{adding(group(rules))}, unknown: []edit{adding(group(unknown))}},
		{
			rule: "network-group-one-manager", holds: adding(group([]any{}), groupRule),
			breaks:  []edit{adding(group(rules), groupRule)},
			unknown: []edit{adding(group(unknown), groupRule)},
		},
		{
			rule: "rds-events-subscribed", holds: adding(subscription("db-instance")),
			breaks:  []edit{adding(), adding(subscription("db-snapshot"))},
			unknown: []edit{adding(subscription(unknown))},
		},
		{
			rule: "log-groups-managed",
			breaks: []edit{
				with("database-log-postgresql", "another", "name"),
				with("database-instance", []any{"postgresql", "upgrade"}, "enabledCloudwatchLogsExports"),
			},
			unknown: []edit{
				with("database-log-postgresql", unknown, "name"),
				with("database-instance", unknown, "identifier"),
			},
		},
	}
}

// TestEveryStackRuleBreaksHoldsAndWaits judges the stack prod, as the components create it, with one resource changed.
func TestEveryStackRuleBreaksHoldsAndWaits(t *testing.T) {
	t.Parallel()
	stack := judged(run(t, "prod"))
	tried := map[string]bool{"exceptions-current": true, "exceptions-used": true} // tested in package analyzer
	for _, c := range comparisons() {
		r := registry.Find(c.rule)
		require.NotNil(t, r, c.rule)
		tried[c.rule] = len(c.breaks) > 0 && len(c.unknown) > 0
		judge := func(t *testing.T, update bool, change edit) *ruletest.Answer {
			t.Helper()
			setup := ruletest.Setup{
				Profile: rule.Production, Update: update,
				Config: map[string]map[string]any{c.rule: {"enforcementLevel": "mandatory"}},
			}
			changed := stack
			if change != nil {
				changed = change(t, stack)
			}
			return ruletest.Judge(t, setup, []*rule.Rule{r}, changed...)
		}
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			held := judge(t, true, c.holds)
			assert.Empty(t, held.Violations(c.rule), "unchanged")
			assert.Empty(t, held.Pending, "unchanged")
			for i, change := range c.breaks {
				answer := judge(t, true, change)
				assert.NotEmpty(t, answer.Mandatory(), "break %d", i)
				for _, message := range answer.Violations(c.rule) {
					assert.Contains(t, message, r.Fix)
				}
			}
			for i, change := range c.unknown {
				answer := judge(t, false, change)
				assert.Empty(t, answer.Violations(c.rule), "unknown %d", i)
				assert.Equal(t, []string{c.rule}, answer.Pending, "unknown %d", i)
				assert.Contains(t, answer.Said, c.rule)
				// If the value does not become known, that is not a pass either.
				assert.NotEmpty(t, judge(t, true, change).Violations(c.rule), "unknown %d at the update", i)
			}
		})
	}
	for _, r := range registry.All() {
		assert.True(t, !r.IsStack() || tried[r.Name],
			"%s: a test that breaks it, or one that makes it wait, is missing", r.Name)
	}
}

func TestTheShareOfAProxyCounts(t *testing.T) {
	t.Parallel()
	recorded, _ := proxyStack(t, "password")
	stack := with("proxy-target-group", 90, "connectionPoolConfig", "maxConnectionsPercent")(t, judged(recorded))
	found := ruletest.Judge(t, ruletest.Setup{Profile: rule.Production, Update: true}, registry.All(),
		stack...).Violations("connections-fit")
	require.Len(t, found, 1)
	assert.Contains(t, found[0], "proxy myshop-prod-proxy: 90 % of")
}

func TestConnectionsThatDoNotFitAreCountedAndTheFixIsNamed(t *testing.T) {
	t.Parallel()
	stack := with("database-instance", "db.t4g.micro", "instanceClass")(t, judged(run(t, "prod")))
	found := ruletest.Judge(t, ruletest.Setup{Profile: rule.Production, Update: true}, registry.All(),
		stack...).Violations("connections-fit")
	require.Len(t, found, 1)
	assert.Contains(t, found[0], "pool pool-deployment: 2 replicas × 20 × 2 (old and new pods of an update) = 80")
	assert.Contains(t, found[0], "it fits with max_db_connections 17")
	assert.Contains(t, found[0], "or instanceClass db.t4g.small")
}
