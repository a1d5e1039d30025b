package pgbouncer

import (
	"fmt"
	"maps"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/object"
	"dbtier/components/workload"
)

func (b *builder) service() (*corev1.Service, error) {
	spec := &corev1.ServiceSpecArgs{
		Type:     pulumi.String("ClusterIP"),
		Selector: workload.Selector(b.args.Name),
		Ports: corev1.ServicePortArray{&corev1.ServicePortArgs{
			Name: pulumi.String("postgresql"), Port: pulumi.Int(b.args.Port), TargetPort: pulumi.String(portName),
			Protocol: pulumi.String("TCP"),
		}},
	}
	if b.args.ClientAffinity {
		spec.SessionAffinity = pulumi.String("ClientIP")
	}
	service, err := corev1.NewService(b.Ctx, b.Child("service"), &corev1.ServiceArgs{
		Metadata: object.Args(withoutWait(b.meta(b.args.Name))),
		Spec:     spec,
	}, b.options(), pulumi.Protect(b.args.Protect))
	if err != nil {
		return nil, fmt.Errorf("the Service: %w", err)
	}
	return service, nil
}

// withoutWait keeps Pulumi from waiting for a Service: the pods need Secrets with the Service's name, so the Service
// exists before them.
func withoutWait(meta object.Meta) object.Meta {
	meta.Annotations = pulumi.ToStringMap(map[string]string{"pulumi.com/skipAwait": "true"})
	return meta
}

// podsService creates a headless Service: its name has the address of every pod, including one that drains. It is for
// clients that must reach each pod. It returns the name if there is a console.
func (b *builder) podsService() (pulumi.StringOutput, error) {
	var host pulumi.StringOutput
	if b.args.Console == nil && !b.args.Metrics.Enabled {
		return host, nil
	}
	ports := corev1.ServicePortArray{&corev1.ServicePortArgs{
		Name: pulumi.String(portName), Port: pulumi.Int(b.args.ContainerPort), TargetPort: pulumi.String(portName),
		Protocol: pulumi.String("TCP"),
	}}
	if b.args.Metrics.Enabled {
		ports = append(ports, &corev1.ServicePortArgs{
			Name: pulumi.String(metricsPort), Port: pulumi.Int(b.args.Metrics.Port),
			// By number: not every version of Kubernetes finds the named port of a sidecar.
			TargetPort: pulumi.Int(b.args.Metrics.Port), Protocol: pulumi.String("TCP"),
		})
	}
	meta := withoutWait(b.meta(b.args.podsService()))
	// With the pool's name as label, a ServiceMonitor would find both Services.
	meta.Labels = workload.Labels(b.args.podsService(), b.args.Service)
	service, err := corev1.NewService(b.Ctx, b.Child("pods"), &corev1.ServiceArgs{
		Metadata: object.Args(meta),
		Spec: &corev1.ServiceSpecArgs{
			ClusterIP: pulumi.String("None"), PublishNotReadyAddresses: pulumi.Bool(true),
			Selector: workload.Selector(b.args.Name), Ports: ports,
		},
	}, b.options())
	if err != nil {
		return host, fmt.Errorf("the headless Service: %w", err)
	}
	if b.args.Console != nil {
		host = pulumi.Sprintf("%s.%s.svc", service.Metadata.Name().Elem(), b.args.Namespace)
	}
	return host, nil
}

// networkPolicy lets the clients reach the pool, and the pool reach DNS and the databases.
func (b *builder) networkPolicy() (object.Object, error) {
	ingress := networkingv1.NetworkPolicyIngressRuleArray{&networkingv1.NetworkPolicyIngressRuleArgs{
		From: b.clients(), Ports: networkingv1.NetworkPolicyPortArray{
			workload.Port(pulumi.Int(b.args.ContainerPort), "TCP"),
		},
	}}
	if b.args.Metrics.Enabled {
		ingress = append(ingress, &networkingv1.NetworkPolicyIngressRuleArgs{
			From: networkingv1.NetworkPolicyPeerArray{&networkingv1.NetworkPolicyPeerArgs{
				NamespaceSelector: &metav1.LabelSelectorArgs{
					MatchLabels: pulumi.ToStringMap(map[string]string{
						contract.NamespaceLabel: b.args.Metrics.Namespace,
					}),
				},
			}},
			Ports: networkingv1.NetworkPolicyPortArray{workload.Port(pulumi.Int(b.args.Metrics.Port), "TCP")},
		})
	}
	var databases networkingv1.NetworkPolicyPeerArray
	for _, cidr := range b.args.DatabaseCIDRs {
		databases = append(databases, &networkingv1.NetworkPolicyPeerArgs{
			IpBlock: &networkingv1.IPBlockArgs{Cidr: pulumi.String(cidr)},
		})
	}
	policy, err := networkingv1.NewNetworkPolicy(b.Ctx, b.Child("network"), &networkingv1.NetworkPolicyArgs{
		Metadata: object.Args(b.meta(b.args.Name)),
		Spec: &networkingv1.NetworkPolicySpecArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Name)},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Ingress:     ingress,
			Egress: networkingv1.NetworkPolicyEgressRuleArray{
				workload.ResolverEgress(),
				&networkingv1.NetworkPolicyEgressRuleArgs{To: databases, Ports: b.databasePorts()},
			},
		},
	}, b.options())
	if err != nil {
		return object.Object{}, fmt.Errorf("the NetworkPolicy: %w", err)
	}
	return object.Object{Name: policy.Metadata.Name().Elem(), Resource: policy}, nil
}

// clients returns the pods of all logins and of the console.
func (b *builder) clients() networkingv1.NetworkPolicyPeerArray {
	var groups []Client
	for _, m := range b.args.members() {
		groups = append(groups, m.Clients...)
	}
	if b.args.Console != nil {
		groups = append(groups, *b.args.Console)
	}
	var peers networkingv1.NetworkPolicyPeerArray
	for _, client := range groups {
		peer := &networkingv1.NetworkPolicyPeerArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(client.Labels)},
		}
		if client.Namespace != "" && client.Namespace != b.args.Namespace {
			peer.NamespaceSelector = &metav1.LabelSelectorArgs{
				MatchLabels: pulumi.ToStringMap(map[string]string{contract.NamespaceLabel: client.Namespace}),
			}
		}
		peers = append(peers, peer)
	}
	return peers
}

// databasePorts returns the ports of the databases without duplicates.
func (b *builder) databasePorts() networkingv1.NetworkPolicyPortArrayOutput {
	var ports []any
	for _, d := range b.args.Databases {
		ports = append(ports, d.Port)
	}
	return pulumi.All(ports...).ApplyT(func(known []any) []networkingv1.NetworkPolicyPort {
		distinct := map[int]bool{}
		for _, number := range known {
			distinct[number.(int)] = true
		}
		protocol := "TCP"
		var out []networkingv1.NetworkPolicyPort
		for _, number := range slices.Sorted(maps.Keys(distinct)) {
			out = append(out, networkingv1.NetworkPolicyPort{Port: number, Protocol: &protocol})
		}
		return out
	}).(networkingv1.NetworkPolicyPortArrayOutput)
}
