package servicenamespace

import (
	"fmt"
	"net/netip"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
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
	// Service that the namespace is for, in labels.
	Service string
	// ServiceAccount of the service's pods, which is made here because the migration uses it before the service is
	// there.
	ServiceAccount string
	// Existing leaves the namespace itself to someone else. Default false.
	Existing bool
	// DatabaseCIDRs are the address ranges in which the database lies, and DatabasePort its port.
	DatabaseCIDRs []string
	DatabasePort  int
	// Holders are the pods that this rule leaves alone, by their label app.kubernetes.io/name: those that may reach the
	// database, and those with a rule of their own for all that they may reach.
	Holders []string
}

// Validate reports every fault of the arguments.
func (a *ServiceNamespaceArgs) Validate() error {
	var faults fault.List
	faults.Form("name", a.Name, validation.Label)
	faults.Form("service", a.Service, validation.Label)
	faults.Form("serviceAccount", a.ServiceAccount, validation.Label)
	faults.Check(len(a.DatabaseCIDRs) > 0, "databaseCidrs", nil, "is missing: where the database lies")
	for i, cidr := range a.DatabaseCIDRs {
		_, err := netip.ParsePrefix(cidr)
		faults.Check(err == nil, fmt.Sprintf("databaseCidrs[%d]", i), cidr,
			validation.CIDRRule)
	}
	faults.Between("databasePort", a.DatabasePort, 2, lastPort-1, "")
	faults.Check(len(a.Holders) > 0, "holders", nil, "is missing: nothing could reach the database")
	for i, holder := range a.Holders {
		faults.Form(fmt.Sprintf("holders[%d]", i), holder, validation.Label)
	}
	return faults.Err()
}

// ServiceNamespace is a namespace with its rule for the database.
type ServiceNamespace struct {
	pulumi.ResourceState

	// ServiceAccount of the service's pods.
	ServiceAccount pulumi.StringOutput `pulumi:"serviceAccount"`
	// Ready is what [pulumi.DependsOn] takes: the rule for the database, and with it the namespace. Not the component
	// itself: the SDK adds children to a component in goroutines of their own, so who names it right after it was made
	// may find none, and wait for nothing.
	Ready []pulumi.Resource
}

// NewServiceNamespace makes the namespace. It returns every fault of the arguments at once, before it makes anything.
func NewServiceNamespace(
	ctx *pulumi.Context, name string, args *ServiceNamespaceArgs, opts ...pulumi.ResourceOption,
) (*ServiceNamespace, error) {
	if args == nil {
		return nil, fmt.Errorf("namespace %s: no arguments given", name)
	}
	if err := args.Validate(); err != nil {
		return nil, fmt.Errorf("namespace %s: %w", name, err)
	}
	component := &ServiceNamespace{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering namespace %s: %w", name, err)
	}
	options := []pulumi.ResourceOption{pulumi.Parent(component)}
	if !args.Existing {
		labels := workload.Labels(args.Name, args.Service)
		for _, mode := range []string{"enforce", "warn", "audit"} {
			labels["pod-security.kubernetes.io/"+mode] = pulumi.String("restricted")
		}
		namespace, err := corev1.NewNamespace(ctx, name+"-namespace", &corev1.NamespaceArgs{
			Metadata: metav1.ObjectMetaArgs{Name: pulumi.String(args.Name), Labels: labels},
		}, options...)
		if err != nil {
			return nil, fmt.Errorf("namespace %s: %w", name, err)
		}
		options = append(options, pulumi.DependsOn([]pulumi.Resource{namespace}))
	}
	rule, err := networkingv1.NewNetworkPolicy(ctx, name+"-database", keepOut(args), options...)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: its rule for the database: %w", name, err)
	}
	account, err := corev1.NewServiceAccount(ctx, name+"-service-account", &corev1.ServiceAccountArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name: pulumi.String(args.ServiceAccount), Namespace: pulumi.String(args.Name),
			Labels: workload.Labels(args.ServiceAccount, args.Service),
		},
		// A service that talks to a database has no business with the API server.
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, options...)
	if err != nil {
		return nil, fmt.Errorf("namespace %s: the service's ServiceAccount: %w", name, err)
	}
	component.Ready = []pulumi.Resource{rule, account}
	component.ServiceAccount = account.Metadata.Name().Elem()
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"serviceAccount": component.ServiceAccount})
}

// keepOut lets every pod but the holders go everywhere but to the database. Policies can only allow, so the rule names
// what is left: all pods, all addresses outside of the database's, and there the other ports, because the subnets may
// hold more than this database.
func keepOut(a *ServiceNamespaceArgs) *networkingv1.NetworkPolicyArgs {
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
			Name: pulumi.String("database-for-holders-only"), Namespace: pulumi.String(a.Name),
			Labels: workload.Labels(a.Name, a.Service),
		},
		Spec: networkingv1.NetworkPolicySpecArgs{
			PodSelector: metav1.LabelSelectorArgs{MatchExpressions: metav1.LabelSelectorRequirementArray{
				metav1.LabelSelectorRequirementArgs{
					Key: pulumi.String(workload.NameLabel), Operator: pulumi.String("NotIn"),
					Values: pulumi.ToStringArray(a.Holders),
				},
			}},
			PolicyTypes: pulumi.ToStringArray([]string{"Egress"}),
			Egress: networkingv1.NetworkPolicyEgressRuleArray{
				// Pods are no addresses to every CNI, so they are named apart.
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

// split sorts the database's ranges by family: an exception must lie within its block.
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
