package consumer

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	autoscalingv2 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/autoscaling/v2"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/object"
	"dbtier/components/workload"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:Consumer"

const (
	// portName is the container's port as the Service and the probes name it.
	portName = "http"
	// drainSeconds is how long a stopping pod still serves requests: until every node has removed its endpoint.
	drainSeconds = 5
)

// Consumer is a running service.
type Consumer struct {
	pulumi.ResourceState

	// DeploymentName is the name of the Deployment.
	DeploymentName pulumi.StringOutput `pulumi:"deploymentName"`
	// ServiceName is the name of the Service.
	ServiceName pulumi.StringOutput `pulumi:"serviceName"`
}

// NewConsumer runs the service. Before it creates anything, it returns every fault of the arguments at once.
func NewConsumer(
	ctx *pulumi.Context, name string, args *ConsumerArgs, opts ...pulumi.ResourceOption,
) (*Consumer, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, args *ConsumerArgs, consumer *Consumer) error {
	meta := object.Meta{Name: args.Name, Namespace: args.Namespace, Labels: workload.Labels(args.Name, args.Name)}
	config, err := workload.NewConfig(s, s.Child("config"), meta, "config", args.Env)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	service, err := corev1.NewService(s.Ctx, s.Child("service"), &corev1.ServiceArgs{
		Metadata: object.Args(meta),
		Spec: &corev1.ServiceSpecArgs{
			Selector: workload.Selector(args.Name),
			Ports: corev1.ServicePortArray{&corev1.ServicePortArgs{
				Name: pulumi.String(portName), Port: pulumi.Int(80), TargetPort: pulumi.String(portName),
			}},
		},
	}, s.Parent, pulumi.Protect(args.Protect))
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	deployment, err := newDeployment(s, args, meta, config.Name)
	if err != nil {
		return fmt.Errorf("deployment: %w", err)
	}
	consumer.DeploymentName = deployment.Metadata.Name().Elem()
	consumer.ServiceName = service.Metadata.Name().Elem()
	if args.Autoscaling.Enabled {
		if err := newAutoscaler(s, args, meta, consumer.DeploymentName); err != nil {
			return fmt.Errorf("autoscaler: %w", err)
		}
	}
	// The budget of a single pod would block the drain of its node.
	if args.LeastReplicas() > 1 {
		if err := workload.NewDisruptionBudget(s.Ctx, s.Child("disruption"), meta, s.Parent); err != nil {
			return fmt.Errorf("disruption budget: %w", err)
		}
	}
	return nil
}

func newDeployment(
	s component.Scope, args *ConsumerArgs, meta object.Meta, config pulumi.StringInput,
) (*appsv1.Deployment, error) {
	if args.Reloader {
		meta.Annotations = pulumi.StringMap{"secret.reloader.stakater.com/reload": reloads(args)}
	}
	options := []pulumi.ResourceOption{s.Parent, pulumi.Protect(args.Protect)}
	if args.Autoscaling.Enabled {
		// The number of replicas is only the initial one: later updates must not reset what the autoscaler has chosen.
		// Without the field, Kubernetes would start with one pod.
		options = append(options, pulumi.IgnoreChanges([]string{"spec.replicas"}))
	}
	template := &metav1.ObjectMetaArgs{Labels: meta.Labels}
	if args.Database.Revision != nil {
		template.Annotations = pulumi.StringMap{revisionAnnotation: args.Database.Revision}
	}
	return appsv1.NewDeployment(s.Ctx, s.Child("deployment"), &appsv1.DeploymentArgs{
		Metadata: object.Args(meta),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(args.LeastReplicas()),
			Selector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(args.Name)},
			// No pod stops before its successor is ready.
			Strategy: &appsv1.DeploymentStrategyArgs{
				Type: pulumi.String("RollingUpdate"),
				RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
					MaxSurge: pulumi.String("25%"), MaxUnavailable: pulumi.Int(0),
				},
			},
			Template: &corev1.PodTemplateSpecArgs{Metadata: template, Spec: podOf(args, config)},
		},
	}, options...)
}

// newAutoscaler chooses the number of replicas within the bounds of the settings.
func newAutoscaler(s component.Scope, args *ConsumerArgs, meta object.Meta, deployment pulumi.StringInput) error {
	var metrics autoscalingv2.MetricSpecArray
	for _, target := range []struct {
		resource string
		percent  int
	}{{"cpu", args.Autoscaling.CPUUtilization}, {"memory", args.Autoscaling.MemoryUtilization}} {
		if target.percent == 0 {
			continue
		}
		metrics = append(metrics, &autoscalingv2.MetricSpecArgs{
			Type: pulumi.String("Resource"),
			Resource: &autoscalingv2.ResourceMetricSourceArgs{
				Name: pulumi.String(target.resource),
				Target: &autoscalingv2.MetricTargetArgs{
					Type: pulumi.String("Utilization"), AverageUtilization: pulumi.Int(target.percent),
				},
			},
		})
	}
	_, err := autoscalingv2.NewHorizontalPodAutoscaler(s.Ctx, s.Child("autoscaler"),
		&autoscalingv2.HorizontalPodAutoscalerArgs{
			Metadata: object.Args(meta),
			Spec: &autoscalingv2.HorizontalPodAutoscalerSpecArgs{
				ScaleTargetRef: &autoscalingv2.CrossVersionObjectReferenceArgs{
					ApiVersion: pulumi.String("apps/v1"), Kind: pulumi.String("Deployment"), Name: deployment,
				},
				MinReplicas: pulumi.Int(args.LeastReplicas()),
				MaxReplicas: pulumi.Int(args.Autoscaling.MaxReplicas),
				Metrics:     metrics,
				Behavior: &autoscalingv2.HorizontalPodAutoscalerBehaviorArgs{
					ScaleDown: &autoscalingv2.HPAScalingRulesArgs{
						StabilizationWindowSeconds: pulumi.Int(args.Autoscaling.ScaleDownSeconds),
					},
				},
			},
		}, s.Parent)
	return err
}

// reloads returns the names of the Secrets in the pods' environment, which a pod reads only when it starts.
func reloads(args *ConsumerArgs) pulumi.StringOutput {
	names := []any{args.DatabaseSecret}
	for _, secret := range args.EnvSecrets {
		names = append(names, secret)
	}
	return pulumi.All(names...).ApplyT(func(known []any) string {
		text := make([]string, len(known))
		for i, name := range known {
			text[i] = fmt.Sprint(name)
		}
		return strings.Join(text, ",")
	}).(pulumi.StringOutput)
}

func podOf(args *ConsumerArgs, config pulumi.StringInput) *corev1.PodSpecArgs {
	mounts := append([]workload.Mount{workload.Scratch()}, args.Database.mounts()...)
	for i, secret := range args.SecretMounts {
		mounts = append(mounts, workload.Mount{
			Volume: fmt.Sprintf("secret-%d", i), Path: secret.Path, Secret: secret.Secret,
		})
	}
	volumes, mounted := workload.Volumes(mounts...)
	container := workload.Container(args.Name, args.Image, args.Resources)
	container.Ports = corev1.ContainerPortArray{
		&corev1.ContainerPortArgs{Name: pulumi.String(portName), ContainerPort: pulumi.Int(args.Port)},
	}
	container.Env = workload.Environment(append(args.Database.variables(), args.lifetime()...))
	// The database's Secret is last: where two sources have a key, the later source counts.
	container.EnvFrom = append(corev1.EnvFromSourceArray{
		&corev1.EnvFromSourceArgs{ConfigMapRef: &corev1.ConfigMapEnvSourceArgs{Name: config.ToStringOutput()}},
	}, workload.FromSecrets(append(slices.Clone(args.EnvSecrets), args.DatabaseSecret)...)...)
	container.VolumeMounts = mounted
	container.ReadinessProbe = &corev1.ProbeArgs{
		HttpGet: &corev1.HTTPGetActionArgs{
			Path: pulumi.String(args.HealthPath), Port: pulumi.String(portName),
		},
		PeriodSeconds: pulumi.Int(2), TimeoutSeconds: pulumi.Int(2),
	}
	// This probe does not use the health path: when the database is down, Kubernetes must not restart every pod of the
	// service.
	container.LivenessProbe = &corev1.ProbeArgs{
		TcpSocket:     &corev1.TCPSocketActionArgs{Port: pulumi.String(portName)},
		PeriodSeconds: pulumi.Int(10), FailureThreshold: pulumi.Int(6),
	}
	container.Lifecycle = workload.Drain(drainSeconds)
	if len(args.Command) > 0 {
		container.Command = pulumi.ToStringArray(args.Command)
	}
	if len(args.Arguments) > 0 {
		container.Args = pulumi.ToStringArray(args.Arguments)
	}
	spec := workload.PodSpec(args.ServiceAccount, args.UID)
	spec.TerminationGracePeriodSeconds = pulumi.Int(args.TerminationGracePeriodSeconds + drainSeconds)
	workload.Schedule(spec, args.Scheduling, args.Name, workload.Spread(args.Name, "topology.kubernetes.io/zone"))
	spec.Volumes, spec.Containers = volumes, corev1.ContainerArray{container}
	return spec
}
