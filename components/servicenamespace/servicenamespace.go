package servicenamespace

import (
	"fmt"
	"net/netip"
	"slices"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/components/object"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:ServiceNamespace"

const lastPort = 65535

// ServiceNamespaceArgs is what [NewServiceNamespace] needs.
type ServiceNamespaceArgs struct {
	// Name of the namespace.
	Name string
	// PartOf is the value of the label app.kubernetes.io/part-of: the name of the service as a whole.
	PartOf string
	// ServiceAccount of the service's pods. It is created here because the migration uses it before the service exists.
	ServiceAccount string
	// Existing does not create the namespace, because it exists. It may hold other services with their databases: the
	// names of the objects begin with ServiceAccount, and the rules leave the pods of other tiers alone. Default false.
	Existing bool
	// DatabaseCIDRs are the address ranges of the database, and DatabasePort is its port.
	DatabaseCIDRs []string
	DatabasePort  int
	// Holders are the pods that this rule does not restrict, by their label app.kubernetes.io/name: pods that may reach
	// the database, and pods whose own rule lists everything that they may reach.
	Holders []string
	// Open are holders that a rule of their own lets reach every address: the rule says so instead of leaving it open.
	// A holder with a narrower rule must not be among them. Default none.
	Open []string
	// Protect makes the engine refuse to delete or replace the namespace. The driver asks a
	// person instead. Default false.
	Protect bool
}

// SetDefaults does nothing: every field but Existing, Open and Protect is required.
func (a *ServiceNamespaceArgs) SetDefaults() {}

// Validate reports every fault of the arguments.
func (a *ServiceNamespaceArgs) Validate() error {
	var faults fault.List
	faults.Form("name", a.Name, validation.Label)
	faults.Form("partOf", a.PartOf, validation.Label)
	faults.Form("serviceAccount", a.ServiceAccount, validation.Label)
	faults.Check(len(a.DatabaseCIDRs) > 0, "databaseCidrs", nil, "is missing: the address ranges of the database")
	faults.CIDRs("databaseCidrs", a.DatabaseCIDRs)
	faults.Between("databasePort", a.DatabasePort, 2, lastPort-1, "")
	faults.Check(len(a.Holders) > 0, "holders", nil, "is missing: without holders no pod can reach the database")
	for i, holder := range a.Holders {
		faults.Form(fmt.Sprintf("holders[%d]", i), holder, validation.Label)
	}
	for i, holder := range a.Open {
		faults.Check(slices.Contains(a.Holders, holder), fmt.Sprintf("open[%d]", i), holder, "is not among the holders")
	}
	return faults.Err()
}

// ServiceNamespace is a namespace with its rule for the database.
type ServiceNamespace struct {
	pulumi.ResourceState

	// ServiceAccount of the service's pods.
	ServiceAccount pulumi.StringOutput `pulumi:"serviceAccount"`
	// Ready is the rule for the database and the ServiceAccount, and with them the namespace. Depend on it and not on
	// the component (package component).
	Ready []pulumi.Resource
}

// NewServiceNamespace creates the namespace.
func NewServiceNamespace(
	ctx *pulumi.Context, name string, args *ServiceNamespaceArgs, opts ...pulumi.ResourceOption,
) (*ServiceNamespace, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, args *ServiceNamespaceArgs, out *ServiceNamespace) error {
	options := []pulumi.ResourceOption{s.Parent}
	if !args.Existing {
		labels := workload.Labels(args.Name, args.PartOf)
		for _, mode := range []string{"enforce", "warn", "audit"} {
			labels["pod-security.kubernetes.io/"+mode] = pulumi.String("restricted")
		}
		namespace, err := object.NewNamespace(s.Ctx, s.Child("namespace"), object.Meta{Name: args.Name, Labels: labels},
			s.Parent, pulumi.Protect(args.Protect))
		if err != nil {
			return err
		}
		options = append(options, pulumi.DependsOn([]pulumi.Resource{namespace.Resource}))
	}
	rules, err := args.newRules(s, options)
	if err != nil {
		return fmt.Errorf("the rule for the database: %w", err)
	}
	// A service that talks to a database does not need the API server, so its token is not mounted.
	account, err := object.NewServiceAccount(s.Ctx, s.Child("service-account"), object.Meta{
		Name: args.ServiceAccount, Namespace: args.Name, Labels: workload.Labels(args.ServiceAccount, args.PartOf),
	}, options...)
	if err != nil {
		return err
	}
	out.Ready = slices.Concat(rules, []pulumi.Resource{account.Resource})
	out.ServiceAccount = account.Name
	return nil
}

// newRules creates the rule for the database. In a namespace of its own a tier has one for all pods. In an existing one
// it has one for its own pods and one for pods of no tier: rules add up, so a rule for the pods of another tier would
// let them reach more than their own rules do.
func (a *ServiceNamespaceArgs) newRules(s component.Scope, options []pulumi.ResourceOption) ([]pulumi.Resource, error) {
	const name = "database-for-holders-only"
	var open []pulumi.Resource
	if len(a.Open) > 0 {
		rule, err := networkingv1.NewNetworkPolicy(s.Ctx, s.Child("open"), openRule(a), options...)
		if err != nil {
			return nil, err
		}
		open = append(open, rule)
	}
	holders := requirement(contract.NameLabel, "NotIn", a.Holders...)
	if !a.Existing {
		rule, err := networkingv1.NewNetworkPolicy(s.Ctx, s.Child("database"), databaseRule(a, name, holders),
			options...)
		return append(open, rule), err
	}
	own, err := networkingv1.NewNetworkPolicy(s.Ctx, s.Child("database"), databaseRule(a,
		contract.Object(a.ServiceAccount, name), requirement(contract.PartOfLabel, "In", a.ServiceAccount), holders),
		options...)
	if err != nil {
		return nil, err
	}
	others, err := networkingv1.NewNetworkPolicy(s.Ctx, s.Child("database-others"), databaseRule(a,
		contract.Object(a.ServiceAccount, name, "others"),
		requirement(contract.ManagedByLabel, "NotIn", contract.ManagedBy), holders), options...)
	return append(open, own, others), err
}

// openRule lets the open holders reach every address.
func openRule(a *ServiceNamespaceArgs) *networkingv1.NetworkPolicyArgs {
	return &networkingv1.NetworkPolicyArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name:      pulumi.String(contract.Object(a.ServiceAccount, "reaches-the-database")),
			Namespace: pulumi.String(a.Name), Labels: workload.Labels(a.Name, a.PartOf),
		},
		Spec: networkingv1.NetworkPolicySpecArgs{
			PodSelector: metav1.LabelSelectorArgs{MatchExpressions: metav1.LabelSelectorRequirementArray{
				requirement(contract.NameLabel, "In", a.Open...),
			}},
			PolicyTypes: pulumi.ToStringArray([]string{"Egress"}),
			Egress:      networkingv1.NetworkPolicyEgressRuleArray{networkingv1.NetworkPolicyEgressRuleArgs{}},
		},
	}
}

func requirement(key, operator string, values ...string) metav1.LabelSelectorRequirementArgs {
	return metav1.LabelSelectorRequirementArgs{
		Key: pulumi.String(key), Operator: pulumi.String(operator), Values: pulumi.ToStringArray(values),
	}
}

// databaseRule lets every pod except the holders reach everything except the database. Policies can only allow, so the
// rule lists the rest: all pods, all addresses outside of the database's ranges, and the other ports inside them,
// because the subnets may contain more than this database.
func databaseRule(
	a *ServiceNamespaceArgs, name string, pods ...metav1.LabelSelectorRequirementInput,
) *networkingv1.NetworkPolicyArgs {
	four, six := a.split()
	block := func(cidr string, except []string) networkingv1.NetworkPolicyPeerArgs {
		return networkingv1.NetworkPolicyPeerArgs{
			IpBlock: networkingv1.IPBlockArgs{Cidr: pulumi.String(cidr), Except: pulumi.ToStringArray(except)},
		}
	}
	ports := func(protocol string, from, to int) networkingv1.NetworkPolicyPortArgs {
		return networkingv1.NetworkPolicyPortArgs{
			Protocol: pulumi.String(protocol), Port: pulumi.Int(from), EndPort: pulumi.Int(to),
		}
	}
	database := networkingv1.NetworkPolicyPeerArray{}
	for _, cidr := range a.DatabaseCIDRs {
		database = append(database, block(cidr, nil))
	}
	return &networkingv1.NetworkPolicyArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name: pulumi.String(name), Namespace: pulumi.String(a.Name),
			Labels: workload.Labels(a.Name, a.PartOf),
		},
		Spec: networkingv1.NetworkPolicySpecArgs{
			PodSelector: metav1.LabelSelectorArgs{MatchExpressions: metav1.LabelSelectorRequirementArray(pods)},
			PolicyTypes: pulumi.ToStringArray([]string{"Egress"}),
			Egress: networkingv1.NetworkPolicyEgressRuleArray{
				// Some CNIs do not match pods by address, so pods have their own rule.
				networkingv1.NetworkPolicyEgressRuleArgs{To: networkingv1.NetworkPolicyPeerArray{
					networkingv1.NetworkPolicyPeerArgs{NamespaceSelector: metav1.LabelSelectorArgs{}},
				}},
				networkingv1.NetworkPolicyEgressRuleArgs{
					To: networkingv1.NetworkPolicyPeerArray{block("0.0.0.0/0", four), block("::/0", six)},
				},
				networkingv1.NetworkPolicyEgressRuleArgs{
					To: database,
					Ports: networkingv1.NetworkPolicyPortArray{
						ports("TCP", 1, a.DatabasePort-1), ports("TCP", a.DatabasePort+1, lastPort),
						ports("UDP", 1, lastPort),
					},
				},
			},
		},
	}
}

// split returns the database's ranges by family: an exception must be within its block.
func (a *ServiceNamespaceArgs) split() (four, six []string) {
	for _, cidr := range a.DatabaseCIDRs {
		if prefix, err := netip.ParsePrefix(cidr); err == nil && prefix.Addr().Is4() {
			four = append(four, cidr)
		} else {
			six = append(six, cidr)
		}
	}
	return four, six
}
