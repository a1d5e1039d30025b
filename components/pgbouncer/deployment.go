package pgbouncer

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/object"
	"dbtier/components/workload"
)

// portName is the name of the container's port in the Service, probes and the NetworkPolicy.
const portName = "pgbouncer"

// reloadScript runs beside PgBouncer. Existing reloaders do not fit: those that send a signal need access to
// PgBouncer's processes, and those made for Prometheus use its HTTP API.
//
//go:embed reload.sh
var reloadScript string

// aliveScript is the liveness probe.
//
//go:embed alive.sh
var aliveScript string

const (
	// livenessPeriod is the time between two probes. Each takes some tens of milliseconds of the container's CPU.
	livenessPeriod = 30
	// livenessFailures in a row end the process.
	livenessFailures = 3
	// patience is how long, in seconds, PgBouncer may not answer, or not resolve a name that the probe resolves, before
	// the probe fails.
	patience = 60
	// stuckGrace is what the clients of a process that is not alive get, beyond the drain.
	stuckGrace = 15
)

// deployment creates the pods. They follow the Secret and the ConfigMap by name. Nothing in the pod template depends on
// the Secret's content, so a rotated password restarts nothing.
func (b *builder) deployment(config, authorities, policy object.Object) (*appsv1.Deployment, error) {
	account, err := object.NewServiceAccount(b.Ctx, b.Child("account"), b.meta(b.args.Name), b.options())
	if err != nil {
		return nil, err
	}
	deployment, err := appsv1.NewDeployment(b.Ctx, b.Child("deployment"), &appsv1.DeploymentArgs{
		Metadata: object.Args(b.meta(b.args.Name)),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(b.args.Replicas),
			Selector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Name)},
			Strategy: &appsv1.DeploymentStrategyArgs{
				Type: pulumi.String("RollingUpdate"),
				// All replicas keep serving during an update. Pods are added one at a time, because each opens its own
				// server connections.
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
	}, b.options(config.Resource, policy.Resource), pulumi.Protect(b.args.Protect))
	if err != nil {
		return nil, fmt.Errorf("the Deployment: %w", err)
	}
	return deployment, nil
}

func (b *builder) pod(account, config, authorities object.Object) *corev1.PodSpecArgs {
	// Only the pod's user and group can read the files.
	mode := pulumi.Int(0o440)
	volumes := corev1.VolumeArray{
		&corev1.VolumeArgs{Name: pulumi.String("config"), Secret: &corev1.SecretVolumeSourceArgs{
			SecretName: config.Name, DefaultMode: mode,
		}},
		&corev1.VolumeArgs{Name: pulumi.String("ca"), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{
			Name: authorities.Name, DefaultMode: mode,
		}},
		&corev1.VolumeArgs{Name: pulumi.String("run"), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{
			Medium: pulumi.String("Memory"), SizeLimit: pulumi.String("1Mi"),
		}},
	}
	// No mount uses subPath: the kubelet never updates such a file.
	files := corev1.VolumeMountArray{mount("config", configDir, true), mount("run", SocketDir, false)}
	poolMounts := append(slices.Clone(files), mount("ca", caDir, true))
	if b.args.ClientTLSSecret != "" {
		volumes = append(volumes, &corev1.VolumeArgs{Name: pulumi.String("tls"), Secret: &corev1.SecretVolumeSourceArgs{
			SecretName: pulumi.String(b.args.ClientTLSSecret), DefaultMode: mode,
		}})
		poolMounts = append(poolMounts, mount("tls", tlsDir, true))
		files = append(files, mount("tls", tlsDir, true))
	}
	spec := workload.PodSpec(account.Name, b.args.UID)
	spec.TerminationGracePeriodSeconds = pulumi.Int(b.args.TerminationGracePeriodSeconds)
	workload.Schedule(spec, b.args.Scheduling, b.args.Name,
		b.spread("topology.kubernetes.io/zone"), b.spread("kubernetes.io/hostname"))
	spec.Volumes = volumes
	spec.InitContainers = append(corev1.ContainerArray{b.reloader(files)}, b.exporter()...)
	spec.Containers = corev1.ContainerArray{b.pgbouncer(poolMounts)}
	return spec
}

// spread prefers pods in different domains, but also accepts one domain.
func (b *builder) spread(topology string) *corev1.TopologySpreadConstraintArgs {
	spread := workload.Spread(b.args.Name, topology)
	// Without it, the old pods, which are about to go, would push the new ones together.
	spread.MatchLabelKeys = pulumi.ToStringArray([]string{"pod-template-hash"})
	return spread
}

func mount(volume, path string, readOnly bool) *corev1.VolumeMountArgs {
	return &corev1.VolumeMountArgs{
		Name: pulumi.String(volume), MountPath: pulumi.String(path),
		ReadOnly: pulumi.Bool(readOnly),
	}
}

// console returns the environment with which psql without arguments opens the console.
func (b *builder) console() corev1.EnvVarArray {
	return workload.Environment(workload.Variables([][2]string{
		{"PGHOST", SocketDir},
		{"PGPORT", strconv.Itoa(b.args.ContainerPort)},
		{"PGUSER", consoleUser},
		{"PGDATABASE", consoleUser},
		{"PGCONNECT_TIMEOUT", "5"},
	}...))
}

func (b *builder) pgbouncer(mounts corev1.VolumeMountArray) *corev1.ContainerArgs {
	// PgBouncer is one thread. While many logins keep it busy, the kernel still accepts connections, and the probes
	// need no more: removing a slow pod would only add load to the others. The readiness probe does not ask for
	// lookups, because the open server connections work without.
	socket := &corev1.TCPSocketActionArgs{Port: pulumi.String(portName)}
	container := workload.Container(ContainerName, b.args.Image, b.args.Resources)
	container.Command = pulumi.ToStringArray(b.args.Command)
	container.Env = b.console()
	container.Ports = corev1.ContainerPortArray{
		&corev1.ContainerPortArgs{Name: pulumi.String(portName), ContainerPort: pulumi.Int(b.args.ContainerPort)},
	}
	container.VolumeMounts = mounts
	container.StartupProbe = &corev1.ProbeArgs{
		TcpSocket: socket, PeriodSeconds: pulumi.Int(1),
		TimeoutSeconds: pulumi.Int(2), FailureThreshold: pulumi.Int(60),
	}
	container.ReadinessProbe = &corev1.ProbeArgs{
		TcpSocket: socket, PeriodSeconds: pulumi.Int(2),
		TimeoutSeconds: pulumi.Int(2), FailureThreshold: pulumi.Int(3),
	}
	container.LivenessProbe = &corev1.ProbeArgs{
		Exec: &corev1.ExecActionArgs{Command: pulumi.ToStringArray(
			[]string{"sh", "-c", aliveScript, "alive", strconv.Itoa(patience)},
		)},
		PeriodSeconds: pulumi.Int(livenessPeriod), FailureThreshold: pulumi.Int(livenessFailures),
		// More than the script waits for the console and for lookups.
		TimeoutSeconds:                pulumi.Int(30),
		TerminationGracePeriodSeconds: pulumi.Int(b.args.DrainSeconds + stuckGrace),
	}
	// After the sleep comes SIGTERM, on which PgBouncer waits for its clients. An earlier signal from us would make
	// PgBouncer exit at once on the kubelet's.
	container.Lifecycle = workload.Drain(b.args.DrainSeconds)
	return container
}

// reloader is a Kubernetes sidecar (an init container with restartPolicy Always): it starts before PgBouncer and ends
// after it, so that a password rotated while the pod drains is still read.
func (b *builder) reloader(mounts corev1.VolumeMountArray) *corev1.ContainerArgs {
	command := []string{"sh", "-c", reloadScript, "reloader", configDir + "/..data"}
	if b.args.ClientTLSSecret != "" {
		command = append(command, tlsDir+"/..data")
	}
	container := workload.Container("reloader", b.args.ReloaderImage, workload.Resources{
		CPURequest: "5m", MemoryRequest: "16Mi", CPULimit: "500m", MemoryLimit: "32Mi",
	})
	container.RestartPolicy = pulumi.String("Always")
	container.Command = pulumi.ToStringArray(command)
	container.Env = b.console()
	container.VolumeMounts = mounts
	return container
}
