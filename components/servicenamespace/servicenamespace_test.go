package servicenamespace_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/servicenamespace"
)

const (
	namespaceType = "kubernetes:core/v1:Namespace"
	policyType    = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
)

func arguments() *servicenamespace.ServiceNamespaceArgs {
	return &servicenamespace.ServiceNamespaceArgs{
		Name: "myshop", PartOf: "myshop", ServiceAccount: "myshop-api",
		DatabaseCIDRs: []string{"10.0.192.0/20", "fd00::/64"}, DatabasePort: 5432,
		Holders: []string{"pgbouncer", "myshop-api-migration"},
	}
}

func create(args *servicenamespace.ServiceNamespaceArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := servicenamespace.NewServiceNamespace(ctx, "namespace", args, opts...)
		return err
	}
}

func TestPodsOfTheNamespaceMeetTheRestrictedStandard(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	namespace := recorded.One(t, namespaceType)
	for _, mode := range []string{"enforce", "warn", "audit"} {
		assert.Equal(t, "restricted", namespace.At("metadata", "labels", "pod-security.kubernetes.io/"+mode))
	}
	for _, resourceType := range []string{policyType, "kubernetes:core/v1:ServiceAccount"} {
		assert.True(t, recorded.Follows(recorded.One(t, resourceType), namespace), resourceType)
	}
}

func TestOnlyHoldersReachTheDatabaseAndAllReachTheRest(t *testing.T) {
	t.Parallel()
	policy := componenttest.Run(t, create(arguments())).One(t, policyType)
	assert.Equal(t, []any{"Egress"}, policy.At("spec", "policyTypes"), "the rule does not restrict ingress")
	assert.Equal(t, map[string]any{
		"key": "app.kubernetes.io/name", "operator": "NotIn",
		"values": []any{"pgbouncer", "myshop-api-migration"},
	},
		policy.At("spec", "podSelector", "matchExpressions", 0))
	assert.Equal(t, map[string]any{}, policy.At("spec", "egress", 0, "to", 0, "namespaceSelector"),
		"every pod, including DNS")
	assert.Equal(t, []any{
		map[string]any{"ipBlock": map[string]any{"cidr": "0.0.0.0/0", "except": []any{"10.0.192.0/20"}}},
		map[string]any{"ipBlock": map[string]any{"cidr": "::/0", "except": []any{"fd00::/64"}}},
	}, policy.At("spec", "egress", 1, "to"))
	assert.Equal(t, []any{
		map[string]any{"protocol": "TCP", "port": 1.0, "endPort": 5431.0},
		map[string]any{"protocol": "TCP", "port": 5433.0, "endPort": 65535.0},
		map[string]any{"protocol": "UDP", "port": 1.0, "endPort": 65535.0},
	}, policy.At("spec", "egress", 2, "ports"), "the other machines in the database's subnets stay reachable")
}

func TestAnOpenHolderHasARuleThatSaysSo(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Holders, args.Open = append(args.Holders, "myshop-api"), []string{"myshop-api"}
	recorded := componenttest.Run(t, create(args))
	rule := recorded.Named(t, policyType, "namespace-open")
	assert.Equal(t, "myshop-api-reaches-the-database", rule.At("metadata", "name"))
	assert.Equal(t, []any{map[string]any{
		"key": "app.kubernetes.io/name", "operator": "In", "values": []any{"myshop-api"},
	}}, rule.At("spec", "podSelector", "matchExpressions"))
	assert.Equal(t, []any{map[string]any{}}, rule.At("spec", "egress"))
	args.Open = []string{"other"}
	_, err := componenttest.Try(create(args))
	assert.ErrorContains(t, err, `open[0]: "other": is not among the holders`)
}

func TestANamespaceOfSomeoneElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Existing = true
	recorded := componenttest.Run(t, create(args))
	assert.Empty(t, recorded.All(namespaceType))
	assert.Len(t, recorded.All(policyType), 2)
}

func TestTheServiceAccountHasNoToken(t *testing.T) {
	t.Parallel()
	account := componenttest.Run(t, create(arguments())).One(t, "kubernetes:core/v1:ServiceAccount")
	assert.Equal(t, "myshop-api", account.At("metadata", "name"))
	assert.Equal(t, false, account.At("automountServiceAccountToken"))
}

func TestOptionsOfTheComponentStayWithIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(), pulumi.IgnoreChanges([]string{"spec"})))
	assert.Empty(t, recorded.One(t, policyType).IgnoreChanges)
	assert.Equal(t, servicenamespace.Type+"::namespace", componenttest.ParentOf(recorded.One(t, policyType)))
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	recorded, err := componenttest.Try(create(&servicenamespace.ServiceNamespaceArgs{
		Name: "My", DatabaseCIDRs: []string{"10.0.0.1"}, Holders: []string{"A B"},
	}))
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`name: "My": want`, `partOf: "": want`, `serviceAccount: "": want`,
		`databaseCidrs[0]: "10.0.0.1": want an address range`,
		`databasePort: 0: want 2 to 65534`, `holders[0]: "A B": want`,
	} {
		require.ErrorContains(t, err, fault)
	}
	_, err = componenttest.Try(create(nil))
	assert.ErrorContains(t, err, "ServiceNamespace namespace: no arguments given")
}

// Rules add up. A rule of one tier that also selects pods of another would let them reach more than their own rules do.
func TestInAnExistingNamespaceTheRulesLeaveOtherTiersAlone(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Existing = true
	recorded := componenttest.Run(t, create(args))
	assert.Empty(t, recorded.All(namespaceType))
	expressions := func(name string) any {
		rule := recorded.Named(t, policyType, name)
		return []any{rule.At("metadata", "name"), rule.At("spec", "podSelector", "matchExpressions")}
	}
	holders := map[string]any{
		"key": "app.kubernetes.io/name", "operator": "NotIn", "values": []any{"pgbouncer", "myshop-api-migration"},
	}
	assert.Equal(t, []any{"myshop-api-database-for-holders-only", []any{map[string]any{
		"key": "app.kubernetes.io/part-of", "operator": "In", "values": []any{"myshop-api"},
	}, holders}}, expressions("namespace-database"))
	assert.Equal(t, []any{"myshop-api-database-for-holders-only-others", []any{map[string]any{
		"key": "app.kubernetes.io/managed-by", "operator": "NotIn", "values": []any{"dbtier"},
	}, holders}}, expressions("namespace-database-others"))
}
