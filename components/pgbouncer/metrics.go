package pgbouncer

import (
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/object"
	"dbtier/components/workload"
)

// metricsPort is the name of the exporter's port.
const metricsPort = "metrics"

// exporter is a Kubernetes sidecar like the reloader, so that it also serves while the pod drains. It runs as another
// user: PgBouncer treats a client on the socket with its own user id as the administrator, and the exporter must only
// read.
func (b *builder) exporter() corev1.ContainerArray {
	m := b.args.Metrics
	if !m.Enabled {
		return nil
	}
	connection := fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", SocketDir, b.args.ContainerPort,
		metricsLogin, consoleUser)
	container := workload.Container("exporter", m.Image, m.Resources)
	security := workload.ContainerSecurity()
	security.RunAsUser = pulumi.Int(b.args.UID + 1)
	container.SecurityContext = security
	container.RestartPolicy = pulumi.String("Always")
	container.Args = pulumi.ToStringArray([]string{
		"--pgBouncer.connectionString=" + connection, fmt.Sprintf("--web.listen-address=:%d", m.Port),
	})
	container.Ports = corev1.ContainerPortArray{
		&corev1.ContainerPortArgs{Name: pulumi.String(metricsPort), ContainerPort: pulumi.Int(m.Port)},
	}
	container.VolumeMounts = corev1.VolumeMountArray{mount("run", SocketDir, true)}
	// There is no readiness probe: a pool without metrics still serves. The page / does not query PgBouncer.
	container.LivenessProbe = &corev1.ProbeArgs{
		HttpGet:       &corev1.HTTPGetActionArgs{Path: pulumi.String("/"), Port: pulumi.Int(m.Port)},
		PeriodSeconds: pulumi.Int(30), TimeoutSeconds: pulumi.Int(5), FailureThreshold: pulumi.Int(3),
	}
	return corev1.ContainerArray{container}
}

// serviceMonitor makes the Prometheus operator scrape every pod.
func (b *builder) serviceMonitor() error {
	m := b.args.Metrics
	if !m.ServiceMonitor {
		return nil
	}
	meta := b.meta(b.args.Name)
	for key, text := range m.Labels {
		meta.Labels[key] = pulumi.String(text)
	}
	_, err := object.NewCustom(b.Ctx, b.Child("service-monitor"), "monitoring.coreos.com/v1", "ServiceMonitor", meta,
		pulumi.Map{
			"selector": pulumi.Map{"matchLabels": workload.Selector(b.args.podsService())},
			"endpoints": pulumi.Array{pulumi.Map{
				"port": pulumi.String(metricsPort), "interval": pulumi.Sprintf("%ds", m.IntervalSeconds),
			}},
		}, b.options())
	return err
}
