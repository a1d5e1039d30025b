package pgbouncer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/workload"
)

// portName is the container's port as Service, probes and NetworkPolicy call it.
const portName = "pgbouncer"

// reloadScript has PgBouncer read its files when the kubelet has changed them. The kubelet writes a new folder and then points the link
// ..data to it, so the link's target is the files' version. While PgBouncer does not answer, it is asked again; psql finds its
// console by the environment. Reloaders by signal need a look into PgBouncer's processes, and those that were made for Prometheus
// signal nothing that does not speak its API.
const reloadScript = `trap 'exit 0' TERM INT
taken=
while :; do
  found=$(readlink ` + configDir + `/..data)
  if [ "$found" != "$taken" ] && psql --no-psqlrc --quiet --command=RELOAD; then
    taken=$found
    echo "PgBouncer has taken version $found of its files"
  fi
  sleep 1 &
  wait $!
done`

// deployment follows its Secret and its ConfigMap by name. Nothing in the pod template follows the Secret's content: a rotated password
// restarts nothing.
func (b *builder) deployment(config *apiextensions.CustomResource, authorities *corev1.ConfigMap, policy pulumi.Resource) (*appsv1.Deployment, error) {
	account, err := corev1.NewServiceAccount(b.ctx, b.name+"-account", &corev1.ServiceAccountArgs{
		Metadata:                     b.metadata(b.args.Name, nil),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("its service account: %w", err)
	}
	deployment, err := appsv1.NewDeployment(b.ctx, b.name+"-deployment", &appsv1.DeploymentArgs{
		Metadata: b.metadata(b.args.Name, nil),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(b.args.Replicas),
			Selector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Name)},
			Strategy: &appsv1.DeploymentStrategyArgs{
				Type: pulumi.String("RollingUpdate"),
				// Never fewer pods than clients were promised, and one at a time: every pod brings server connections.
				RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{MaxSurge: pulumi.Int(1), MaxUnavailable: pulumi.Int(0)},
			},
			Template: &corev1.PodTemplateSpecArgs{
				Metadata: &metav1.ObjectMetaArgs{
					Labels:      workload.Labels(b.args.Name, b.args.Service),
					Annotations: pulumi.ToStringMap(map[string]string{"kubectl.kubernetes.io/default-container": ContainerName}),
				},
				Spec: b.pod(account, config, authorities),
			},
		},
	}, b.options(pulumi.DependsOn([]pulumi.Resource{config, policy})))
	if err != nil {
		return nil, fmt.Errorf("its deployment: %w", err)
	}
	return deployment, nil
}

func (b *builder) pod(account *corev1.ServiceAccount, config *apiextensions.CustomResource, authorities *corev1.ConfigMap) *corev1.PodSpecArgs {
	// Readable for the pod's group and nobody else.
	mode := pulumi.Int(0o440)
	volumes := corev1.VolumeArray{
		&corev1.VolumeArgs{Name: pulumi.String("config"), Secret: &corev1.SecretVolumeSourceArgs{
			SecretName: config.Metadata.Name().Elem(), DefaultMode: mode,
		}},
		&corev1.VolumeArgs{Name: pulumi.String("ca"), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{
			Name: authorities.Metadata.Name().Elem(), DefaultMode: mode,
		}},
		&corev1.VolumeArgs{Name: pulumi.String("run"), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{
			Medium: pulumi.String("Memory"), SizeLimit: pulumi.String("1Mi"),
		}},
	}
	// No subPath anywhere: the kubelet never updates a file that is mounted by one.
	files := corev1.VolumeMountArray{mount("config", configDir, true), mount("run", SocketDir, false)}
	poolMounts := append(slices.Clone(files), mount("ca", caDir, true))
	if b.args.ClientTLSSecret != "" {
		volumes = append(volumes, &corev1.VolumeArgs{Name: pulumi.String("tls"), Secret: &corev1.SecretVolumeSourceArgs{
			SecretName: pulumi.String(b.args.ClientTLSSecret), DefaultMode: mode,
		}})
		poolMounts = append(poolMounts, mount("tls", tlsDir, true))
	}
	return &corev1.PodSpecArgs{
		ServiceAccountName:            account.Metadata.Name().Elem(),
		AutomountServiceAccountToken:  pulumi.Bool(false),
		EnableServiceLinks:            pulumi.Bool(false),
		SecurityContext:               workload.PodSecurity(b.args.UID),
		TerminationGracePeriodSeconds: pulumi.Int(b.args.TerminationGracePeriodSeconds),
		TopologySpreadConstraints: corev1.TopologySpreadConstraintArray{
			b.spread("topology.kubernetes.io/zone"), b.spread("kubernetes.io/hostname"),
		},
		Volumes:        volumes,
		InitContainers: corev1.ContainerArray{b.reloader(files)},
		Containers:     corev1.ContainerArray{b.pgbouncer(poolMounts)},
	}
}

// spread prefers pods in different domains, and still places them when there is only one.
func (b *builder) spread(topology string) *corev1.TopologySpreadConstraintArgs {
	return &corev1.TopologySpreadConstraintArgs{
		MaxSkew:           pulumi.Int(1),
		TopologyKey:       pulumi.String(topology),
		WhenUnsatisfiable: pulumi.String("ScheduleAnyway"),
		LabelSelector:     &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Name)},
		// Otherwise the pods of the last version, which are about to go, would push the new ones together.
		MatchLabelKeys: pulumi.ToStringArray([]string{"pod-template-hash"}),
	}
}

func mount(volume, path string, readOnly bool) *corev1.VolumeMountArgs {
	return &corev1.VolumeMountArgs{Name: pulumi.String(volume), MountPath: pulumi.String(path), ReadOnly: pulumi.Bool(readOnly)}
}

// console is the environment in which psql, without arguments, leads to the console.
func (b *builder) console() corev1.EnvVarArray {
	var env corev1.EnvVarArray
	for _, v := range []setting{
		{"PGHOST", SocketDir}, {"PGPORT", strconv.Itoa(b.args.ContainerPort)}, {"PGUSER", consoleUser}, {"PGDATABASE", consoleUser}, {"PGCONNECT_TIMEOUT", "5"},
	} {
		env = append(env, &corev1.EnvVarArgs{Name: pulumi.String(v.key), Value: pulumi.String(v.value)})
	}
	return env
}

func (b *builder) pgbouncer(mounts corev1.VolumeMountArray) *corev1.ContainerArgs {
	// PgBouncer is one thread. While a storm of logins keeps it busy the kernel still accepts, and the probes need no more: a pod
	// that is slow must not be taken away from those that are left.
	socket := &corev1.TCPSocketActionArgs{Port: pulumi.String(portName)}
	return &corev1.ContainerArgs{
		Name:            pulumi.String(ContainerName),
		Image:           pulumi.String(b.args.Image),
		ImagePullPolicy: pulumi.String("IfNotPresent"),
		Command:         pulumi.ToStringArray(b.args.Command),
		Env:             b.console(),
		Ports:           corev1.ContainerPortArray{&corev1.ContainerPortArgs{Name: pulumi.String(portName), ContainerPort: pulumi.Int(b.args.ContainerPort)}},
		Resources:       b.args.Resources.Requirements(),
		SecurityContext: workload.ContainerSecurity(),
		VolumeMounts:    mounts,
		StartupProbe:    &corev1.ProbeArgs{TcpSocket: socket, PeriodSeconds: pulumi.Int(1), TimeoutSeconds: pulumi.Int(2), FailureThreshold: pulumi.Int(60)},
		ReadinessProbe:  &corev1.ProbeArgs{TcpSocket: socket, PeriodSeconds: pulumi.Int(2), TimeoutSeconds: pulumi.Int(2), FailureThreshold: pulumi.Int(3)},
		LivenessProbe:   &corev1.ProbeArgs{TcpSocket: socket, PeriodSeconds: pulumi.Int(10), TimeoutSeconds: pulumi.Int(5), FailureThreshold: pulumi.Int(6)},
		Lifecycle: &corev1.LifecycleArgs{
			// Until every node has heard that this pod takes no more connections. Only then comes SIGTERM, on which PgBouncer waits for
			// its clients; a signal of our own before it would turn the kubelet's into "exit at once".
			PreStop: &corev1.LifecycleHandlerArgs{Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(b.args.DrainSeconds)}},
		},
	}
}

// reloader is a sidecar in Kubernetes' sense (an init container that is restarted): it starts before PgBouncer and ends after it,
// so that a password that is rotated while the pod drains is still read.
func (b *builder) reloader(mounts corev1.VolumeMountArray) *corev1.ContainerArgs {
	return &corev1.ContainerArgs{
		Name:            pulumi.String("reloader"),
		Image:           pulumi.String(b.args.ReloaderImage),
		ImagePullPolicy: pulumi.String("IfNotPresent"),
		RestartPolicy:   pulumi.String("Always"),
		Command:         pulumi.ToStringArray([]string{"sh", "-c", reloadScript}),
		Env:             b.console(),
		Resources:       workload.Resources{CPURequest: "5m", MemoryRequest: "16Mi", CPULimit: "50m", MemoryLimit: "32Mi"}.Requirements(),
		SecurityContext: workload.ContainerSecurity(),
		VolumeMounts:    mounts,
	}
}

func (b *builder) disruptionBudget() error {
	_, err := policyv1.NewPodDisruptionBudget(b.ctx, b.name+"-disruption-budget", &policyv1.PodDisruptionBudgetArgs{
		Metadata: b.metadata(b.args.Name, nil),
		Spec: &policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable: pulumi.Int(1),
			Selector:       &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Name)},
			// A pod that never became ready must not keep a node from being drained.
			UnhealthyPodEvictionPolicy: pulumi.String("AlwaysAllow"),
		},
	}, b.options())
	if err != nil {
		return fmt.Errorf("its disruption budget: %w", err)
	}
	return nil
}

// networkPolicy lets the clients reach the pool, and the pool reach the resolver and the databases.
func (b *builder) networkPolicy() (*networkingv1.NetworkPolicy, error) {
	port := func(number pulumi.Input, protocol string) *networkingv1.NetworkPolicyPortArgs {
		return &networkingv1.NetworkPolicyPortArgs{Port: number, Protocol: pulumi.String(protocol)}
	}
	var clients networkingv1.NetworkPolicyPeerArray
	for _, client := range b.args.Clients {
		peer := &networkingv1.NetworkPolicyPeerArgs{PodSelector: &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(client.Labels)}}
		if client.Namespace != "" && client.Namespace != b.args.Namespace {
			// Kubernetes gives every namespace this label, and nobody can take it away.
			peer.NamespaceSelector = &metav1.LabelSelectorArgs{
				MatchLabels: pulumi.ToStringMap(map[string]string{"kubernetes.io/metadata.name": client.Namespace}),
			}
		}
		clients = append(clients, peer)
	}
	var databases networkingv1.NetworkPolicyPeerArray
	for _, cidr := range b.args.DatabaseCIDRs {
		databases = append(databases, &networkingv1.NetworkPolicyPeerArgs{IpBlock: &networkingv1.IPBlockArgs{Cidr: pulumi.String(cidr)}})
	}
	policy, err := networkingv1.NewNetworkPolicy(b.ctx, b.name+"-network", &networkingv1.NetworkPolicyArgs{
		Metadata: b.metadata(b.args.Name, nil),
		Spec: &networkingv1.NetworkPolicySpecArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Name)},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Ingress: networkingv1.NetworkPolicyIngressRuleArray{&networkingv1.NetworkPolicyIngressRuleArgs{
				From: clients, Ports: networkingv1.NetworkPolicyPortArray{port(pulumi.Int(b.args.ContainerPort), "TCP")},
			}},
			Egress: networkingv1.NetworkPolicyEgressRuleArray{
				// To any address: a resolver on the node is no pod.
				&networkingv1.NetworkPolicyEgressRuleArgs{Ports: networkingv1.NetworkPolicyPortArray{port(pulumi.Int(53), "UDP"), port(pulumi.Int(53), "TCP")}},
				&networkingv1.NetworkPolicyEgressRuleArgs{To: databases, Ports: b.databasePorts()},
			},
		},
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("its network policy: %w", err)
	}
	return policy, nil
}

// databasePorts are the ports of the databases, each once.
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
