package pgbouncer

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
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

// namespaceLabel is given to every namespace by Kubernetes, and nobody can take it away.
const namespaceLabel = "kubernetes.io/metadata.name"

// metricsPort is the exporter's.
const metricsPort = "metrics"

// reloadScript runs beside PgBouncer. Reloaders by signal need a look into PgBouncer's processes, and those that were
// made for Prometheus signal nothing that does not speak its API.
//
//go:embed reload.sh
var reloadScript string

// deployment follows its Secret and its ConfigMap by name. Nothing in the pod template follows the Secret's content: a
// rotated password restarts nothing.
func (b *builder) deployment(
	config *apiextensions.CustomResource, authorities *corev1.ConfigMap, policy pulumi.Resource,
) (*appsv1.Deployment, error) {
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
				RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
					MaxSurge: pulumi.Int(1), MaxUnavailable: pulumi.Int(0),
				},
			},
			Template: &corev1.PodTemplateSpecArgs{
				Metadata: &metav1.ObjectMetaArgs{
					Labels: workload.Labels(b.args.Name, b.args.Service),
					Annotations: pulumi.ToStringMap(map[string]string{
						"kubectl.kubernetes.io/default-container": ContainerName,
					}),
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

func (b *builder) pod(
	account *corev1.ServiceAccount, config *apiextensions.CustomResource, authorities *corev1.ConfigMap,
) *corev1.PodSpecArgs {
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
		files = append(files, mount("tls", tlsDir, true))
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
		Containers:     append(corev1.ContainerArray{b.pgbouncer(poolMounts)}, b.exporter()...),
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
	return &corev1.VolumeMountArgs{
		Name: pulumi.String(volume), MountPath: pulumi.String(path),
		ReadOnly: pulumi.Bool(readOnly),
	}
}

// console is the environment in which psql, without arguments, leads to the console.
func (b *builder) console() corev1.EnvVarArray {
	var env corev1.EnvVarArray
	for _, v := range []setting{
		{"PGHOST", SocketDir},
		{"PGPORT", strconv.Itoa(b.args.ContainerPort)},
		{"PGUSER", consoleUser},
		{"PGDATABASE", consoleUser},
		{"PGCONNECT_TIMEOUT", "5"},
	} {
		env = append(env, &corev1.EnvVarArgs{Name: pulumi.String(v.key), Value: pulumi.String(v.value)})
	}
	return env
}

func (b *builder) pgbouncer(mounts corev1.VolumeMountArray) *corev1.ContainerArgs {
	// PgBouncer is one thread. While a storm of logins keeps it busy the kernel still accepts, and the probes need no
	// more: a pod that is slow must not be taken away from those that are left.
	socket := &corev1.TCPSocketActionArgs{Port: pulumi.String(portName)}
	return &corev1.ContainerArgs{
		Name:            pulumi.String(ContainerName),
		Image:           pulumi.String(b.args.Image),
		ImagePullPolicy: pulumi.String("IfNotPresent"),
		Command:         pulumi.ToStringArray(b.args.Command),
		Env:             b.console(),
		Ports: corev1.ContainerPortArray{
			&corev1.ContainerPortArgs{Name: pulumi.String(portName), ContainerPort: pulumi.Int(b.args.ContainerPort)},
		},
		Resources:       b.args.Resources.Requirements(),
		SecurityContext: workload.ContainerSecurity(),
		VolumeMounts:    mounts,
		StartupProbe: &corev1.ProbeArgs{
			TcpSocket: socket, PeriodSeconds: pulumi.Int(1),
			TimeoutSeconds: pulumi.Int(2), FailureThreshold: pulumi.Int(60),
		},
		ReadinessProbe: &corev1.ProbeArgs{
			TcpSocket: socket, PeriodSeconds: pulumi.Int(2),
			TimeoutSeconds: pulumi.Int(2), FailureThreshold: pulumi.Int(3),
		},
		LivenessProbe: &corev1.ProbeArgs{
			TcpSocket: socket, PeriodSeconds: pulumi.Int(10),
			TimeoutSeconds: pulumi.Int(5), FailureThreshold: pulumi.Int(6),
		},
		Lifecycle: &corev1.LifecycleArgs{
			// Until every node has heard that this pod takes no more connections. Only then comes SIGTERM, on which
			// PgBouncer waits for its clients; a signal of our own before it would turn the kubelet's into "exit at
			// once".
			PreStop: &corev1.LifecycleHandlerArgs{Sleep: &corev1.SleepActionArgs{
				Seconds: pulumi.Int(b.args.DrainSeconds),
			}},
		},
	}
}

// reloader is a sidecar in Kubernetes' sense (an init container that is restarted): it starts before PgBouncer and ends
// after it, so that a password that is rotated while the pod drains is still read.
func (b *builder) reloader(mounts corev1.VolumeMountArray) *corev1.ContainerArgs {
	command := []string{"sh", "-c", reloadScript, "reloader", configDir + "/..data"}
	if b.args.ClientTLSSecret != "" {
		command = append(command, tlsDir+"/..data")
	}
	return &corev1.ContainerArgs{
		Name:            pulumi.String("reloader"),
		Image:           pulumi.String(b.args.ReloaderImage),
		ImagePullPolicy: pulumi.String("IfNotPresent"),
		RestartPolicy:   pulumi.String("Always"),
		Command:         pulumi.ToStringArray(command),
		Env:             b.console(),
		Resources: workload.Resources{
			CPURequest: "5m", MemoryRequest: "16Mi", CPULimit: "500m",
			MemoryLimit: "32Mi",
		}.Requirements(),
		SecurityContext: workload.ContainerSecurity(),
		VolumeMounts:    mounts,
	}
}

// exporter is a user of its own: PgBouncer takes who comes over the socket with its own user id for the administrator,
// and the exporter may only look.
func (b *builder) exporter() corev1.ContainerArray {
	m := b.args.Metrics
	if !m.Enabled {
		return nil
	}
	security := workload.ContainerSecurity()
	security.RunAsUser = pulumi.Int(b.args.UID + 1)
	connection := fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", SocketDir, b.args.ContainerPort,
		metricsLogin, consoleUser)
	page := &corev1.HTTPGetActionArgs{Path: pulumi.String("/"), Port: pulumi.String(metricsPort)}
	return corev1.ContainerArray{&corev1.ContainerArgs{
		Name:            pulumi.String("exporter"),
		Image:           pulumi.String(m.Image),
		ImagePullPolicy: pulumi.String("IfNotPresent"),
		Args: pulumi.ToStringArray([]string{
			"--pgBouncer.connectionString=" + connection, fmt.Sprintf("--web.listen-address=:%d", m.Port),
		}),
		Ports: corev1.ContainerPortArray{
			&corev1.ContainerPortArgs{Name: pulumi.String(metricsPort), ContainerPort: pulumi.Int(m.Port)},
		},
		Resources:       m.Resources.Requirements(),
		SecurityContext: security,
		VolumeMounts:    corev1.VolumeMountArray{mount("run", SocketDir, true)},
		// No readiness: a pool without metrics still serves. Its own page asks PgBouncer nothing.
		LivenessProbe: &corev1.ProbeArgs{
			HttpGet: page, PeriodSeconds: pulumi.Int(30), TimeoutSeconds: pulumi.Int(5),
			FailureThreshold: pulumi.Int(3),
		},
	}}
}

// serviceMonitor tells the Prometheus operator to scrape every pod.
func (b *builder) serviceMonitor() error {
	m := b.args.Metrics
	if !m.ServiceMonitor {
		return nil
	}
	meta := b.metadata(b.args.Name, nil)
	labels := workload.Labels(b.args.Name, b.args.Service)
	for key, text := range m.Labels {
		labels[key] = pulumi.String(text)
	}
	meta.Labels = labels
	if _, err := apiextensions.NewCustomResource(b.ctx, b.name+"-service-monitor", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("monitoring.coreos.com/v1"),
		Kind:       pulumi.String("ServiceMonitor"),
		Metadata:   meta,
		OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{
			"selector": pulumi.Map{"matchLabels": workload.Selector(b.args.podsService())},
			"endpoints": pulumi.Array{pulumi.Map{
				"port": pulumi.String(metricsPort), "interval": pulumi.Sprintf("%ds", m.IntervalSeconds),
			}},
		}},
	}, b.options()); err != nil {
		return fmt.Errorf("its ServiceMonitor: %w", err)
	}
	return nil
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
	ingress := networkingv1.NetworkPolicyIngressRuleArray{&networkingv1.NetworkPolicyIngressRuleArgs{
		From: b.clients(), Ports: networkingv1.NetworkPolicyPortArray{port(pulumi.Int(b.args.ContainerPort), "TCP")},
	}}
	if b.args.Metrics.Enabled {
		ingress = append(ingress, &networkingv1.NetworkPolicyIngressRuleArgs{
			From: networkingv1.NetworkPolicyPeerArray{&networkingv1.NetworkPolicyPeerArgs{
				NamespaceSelector: &metav1.LabelSelectorArgs{
					MatchLabels: pulumi.ToStringMap(map[string]string{namespaceLabel: b.args.Metrics.Namespace}),
				},
			}},
			Ports: networkingv1.NetworkPolicyPortArray{port(pulumi.Int(b.args.Metrics.Port), "TCP")},
		})
	}
	var databases networkingv1.NetworkPolicyPeerArray
	for _, cidr := range b.args.DatabaseCIDRs {
		databases = append(databases, &networkingv1.NetworkPolicyPeerArgs{
			IpBlock: &networkingv1.IPBlockArgs{Cidr: pulumi.String(cidr)},
		})
	}
	policy, err := networkingv1.NewNetworkPolicy(b.ctx, b.name+"-network", &networkingv1.NetworkPolicyArgs{
		Metadata: b.metadata(b.args.Name, nil),
		Spec: &networkingv1.NetworkPolicySpecArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Name)},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Ingress:     ingress,
			Egress: networkingv1.NetworkPolicyEgressRuleArray{
				// To any address: a resolver on the node is no pod.
				&networkingv1.NetworkPolicyEgressRuleArgs{
					Ports: networkingv1.NetworkPolicyPortArray{
						port(pulumi.Int(53), "UDP"), port(pulumi.Int(53), "TCP"),
					},
				},
				&networkingv1.NetworkPolicyEgressRuleArgs{To: databases, Ports: b.databasePorts()},
			},
		},
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("its network policy: %w", err)
	}
	return policy, nil
}

// clients are the pods of all logins, and of the console.
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
				MatchLabels: pulumi.ToStringMap(map[string]string{namespaceLabel: client.Namespace}),
			}
		}
		peers = append(peers, peer)
	}
	return peers
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
