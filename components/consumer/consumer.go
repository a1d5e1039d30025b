package consumer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	autoscalingv2 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/autoscaling/v2"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/naming"
	"dbtier/components/workload"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:Consumer"

// drainSeconds is how long a stopping pod still takes requests: until its endpoint is gone from every node.
const drainSeconds = 5

// Consumer is a running service.
type Consumer struct {
	pulumi.ResourceState

	// DeploymentName of the Deployment.
	DeploymentName pulumi.StringOutput `pulumi:"deploymentName"`
	// ServiceName of the Service.
	ServiceName pulumi.StringOutput `pulumi:"serviceName"`
}

type builder struct {
	ctx    *pulumi.Context
	name   string
	args   *ConsumerArgs
	parent pulumi.ResourceOption
}

// NewConsumer runs the service. It returns every fault of the arguments at once, before it makes anything.
func NewConsumer(
	ctx *pulumi.Context, name string, args *ConsumerArgs, opts ...pulumi.ResourceOption,
) (*Consumer, error) {
	if args == nil {
		return nil, fmt.Errorf("service %s: %w", name, errors.New("no arguments given"))
	}
	own := *args
	own.SetDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	component := &Consumer{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering service %s: %w", name, err)
	}
	b := &builder{ctx: ctx, name: name, args: &own, parent: pulumi.Parent(component)}
	config, err := b.configMap()
	if err != nil {
		return nil, fmt.Errorf("service %s: its configuration: %w", name, err)
	}
	service, err := corev1.NewService(ctx, name+"-service", &corev1.ServiceArgs{
		Metadata: b.metadata(own.Name),
		Spec: &corev1.ServiceSpecArgs{
			Selector: workload.Selector(own.Name),
			Ports: corev1.ServicePortArray{&corev1.ServicePortArgs{
				Name: pulumi.String("http"), Port: pulumi.Int(80), TargetPort: pulumi.String("http"),
			}},
		},
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	meta := b.metadata(own.Name)
	if own.Reloader {
		meta.Annotations = pulumi.StringMap{"secret.reloader.stakater.com/reload": b.reloads()}
	}
	replicas, options := own.Replicas, []pulumi.ResourceOption{b.parent}
	if own.Autoscaling.Enabled {
		// The first number only: afterwards it is the autoscaler's, and no update here sets it back. To leave the field
		// out would make it 1 until the autoscaler has looked.
		replicas = own.LeastReplicas()
		options = append(options, pulumi.IgnoreChanges([]string{"spec.replicas"}))
	}
	deployment, err := appsv1.NewDeployment(ctx, name+"-deployment", &appsv1.DeploymentArgs{
		Metadata: meta,
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(replicas),
			Selector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(own.Name)},
			// No pod goes before its successor serves.
			Strategy: &appsv1.DeploymentStrategyArgs{
				Type: pulumi.String("RollingUpdate"),
				RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{
					MaxSurge: pulumi.String("25%"), MaxUnavailable: pulumi.Int(0),
				},
			},
			Template: b.pod(config.Metadata.Name().Elem()),
		},
	}, options...)
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	if own.Autoscaling.Enabled {
		if err := b.autoscaler(deployment); err != nil {
			return nil, fmt.Errorf("service %s: its autoscaler: %w", name, err)
		}
	}
	if own.LeastReplicas() > 1 {
		if _, err := policyv1.NewPodDisruptionBudget(ctx, name+"-disruption", &policyv1.PodDisruptionBudgetArgs{
			Metadata: b.metadata(own.Name),
			Spec: &policyv1.PodDisruptionBudgetSpecArgs{
				MaxUnavailable: pulumi.Int(1),
				Selector:       &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(own.Name)},
				// Pods that are not ready anyway must not keep a node from being drained.
				UnhealthyPodEvictionPolicy: pulumi.String("AlwaysAllow"),
			},
		}, b.parent); err != nil {
			return nil, fmt.Errorf("service %s: its disruption budget: %w", name, err)
		}
	}
	component.DeploymentName = deployment.Metadata.Name().Elem()
	component.ServiceName = service.Metadata.Name().Elem()
	return component, ctx.RegisterResourceOutputs(component,
		pulumi.Map{"deploymentName": component.DeploymentName, "serviceName": component.ServiceName})
}

// autoscaler chooses the number of replicas within its bounds.
func (b *builder) autoscaler(deployment *appsv1.Deployment) error {
	var metrics autoscalingv2.MetricSpecArray
	for _, goal := range []struct {
		resource string
		percent  int
	}{{"cpu", b.args.Autoscaling.CPUUtilization}, {"memory", b.args.Autoscaling.MemoryUtilization}} {
		if goal.percent == 0 {
			continue
		}
		metrics = append(metrics, &autoscalingv2.MetricSpecArgs{
			Type: pulumi.String("Resource"),
			Resource: &autoscalingv2.ResourceMetricSourceArgs{
				Name: pulumi.String(goal.resource),
				Target: &autoscalingv2.MetricTargetArgs{
					Type: pulumi.String("Utilization"), AverageUtilization: pulumi.Int(goal.percent),
				},
			},
		})
	}
	_, err := autoscalingv2.NewHorizontalPodAutoscaler(b.ctx, b.name+"-autoscaler",
		&autoscalingv2.HorizontalPodAutoscalerArgs{
			Metadata: b.metadata(b.args.Name),
			Spec: &autoscalingv2.HorizontalPodAutoscalerSpecArgs{
				ScaleTargetRef: &autoscalingv2.CrossVersionObjectReferenceArgs{
					ApiVersion: pulumi.String("apps/v1"), Kind: pulumi.String("Deployment"),
					Name: deployment.Metadata.Name().Elem(),
				},
				MinReplicas: pulumi.Int(b.args.LeastReplicas()),
				MaxReplicas: pulumi.Int(b.args.Autoscaling.MaxReplicas),
				Metrics:     metrics,
				Behavior: &autoscalingv2.HorizontalPodAutoscalerBehaviorArgs{
					ScaleDown: &autoscalingv2.HPAScalingRulesArgs{
						StabilizationWindowSeconds: pulumi.Int(b.args.Autoscaling.ScaleDownSeconds),
					},
				},
			},
		}, b.parent)
	return err
}

// reloads are the Secrets whose change makes new pods: those that pods read only when they start.
func (b *builder) reloads() pulumi.StringOutput {
	names := []any{b.args.DatabaseSecret}
	for _, secret := range b.args.EnvSecrets {
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

func (b *builder) metadata(name string) *metav1.ObjectMetaArgs {
	return &metav1.ObjectMetaArgs{
		Name: pulumi.String(name), Namespace: pulumi.String(b.args.Namespace),
		Labels: workload.Labels(b.args.Name, b.args.Name),
	}
}

// configMap has its content in its name: pods read envFrom only when they start, so a changed configuration must be a
// new object, which new pods name and old pods do not.
func (b *builder) configMap() (*corev1.ConfigMap, error) {
	hash, err := naming.Hash(b.args.Env)
	if err != nil {
		return nil, err
	}
	return corev1.NewConfigMap(b.ctx, b.name+"-config", &corev1.ConfigMapArgs{
		Metadata:  b.metadata(naming.Join(naming.LabelLimit, b.args.Name, "config", hash)),
		Immutable: pulumi.Bool(true),
		Data:      pulumi.ToStringMap(b.args.Env),
	}, b.parent)
}

func (b *builder) pod(configMap pulumi.StringOutput) *corev1.PodTemplateSpecArgs {
	database := partsOf(&b.args.Database)
	volumes := append(corev1.VolumeArray{&corev1.VolumeArgs{
		Name: workload.ScratchVolume, EmptyDir: workload.Scratch(),
	}}, database.volumes...)
	mounts := append(corev1.VolumeMountArray{workload.ScratchMount()}, database.mounts...)
	for i, secret := range b.args.SecretMounts {
		volume := pulumi.String(fmt.Sprintf("secret-%d", i))
		volumes = append(volumes, &corev1.VolumeArgs{Name: volume, Secret: &corev1.SecretVolumeSourceArgs{
			SecretName: secret.Secret.ToStringOutput(), DefaultMode: pulumi.Int(0o440),
		}})
		mounts = append(mounts, &corev1.VolumeMountArgs{
			Name: volume, MountPath: pulumi.String(secret.Path), ReadOnly: pulumi.Bool(true),
		})
	}
	environment := corev1.EnvFromSourceArray{
		&corev1.EnvFromSourceArgs{ConfigMapRef: &corev1.ConfigMapEnvSourceArgs{Name: configMap}},
	}
	// The database's comes last: where two have a key, the later one counts.
	for _, secret := range append(slices.Clone(b.args.EnvSecrets), b.args.DatabaseSecret) {
		environment = append(environment, &corev1.EnvFromSourceArgs{
			SecretRef: &corev1.SecretEnvSourceArgs{Name: secret.ToStringOutput()},
		})
	}
	container := &corev1.ContainerArgs{
		Name:            pulumi.String(b.args.Name),
		Image:           pulumi.String(b.args.Image),
		ImagePullPolicy: pulumi.String("IfNotPresent"),
		Ports: corev1.ContainerPortArray{
			&corev1.ContainerPortArgs{Name: pulumi.String("http"), ContainerPort: pulumi.Int(b.args.Port)},
		},
		EnvFrom:         environment,
		Resources:       b.args.Resources.Requirements(),
		SecurityContext: workload.ContainerSecurity(),
		VolumeMounts:    mounts,
		ReadinessProbe: &corev1.ProbeArgs{
			HttpGet: &corev1.HTTPGetActionArgs{
				Path: pulumi.String(b.args.HealthPath), Port: pulumi.String("http"),
			},
			PeriodSeconds:  pulumi.Int(2),
			TimeoutSeconds: pulumi.Int(2),
		},
		// Alive is not healthy: a database that is away must not make Kubernetes restart every pod of the service.
		LivenessProbe: &corev1.ProbeArgs{
			TcpSocket:        &corev1.TCPSocketActionArgs{Port: pulumi.String("http")},
			PeriodSeconds:    pulumi.Int(10),
			FailureThreshold: pulumi.Int(6),
		},
		Lifecycle: &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{
			Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(drainSeconds)},
		}},
	}
	if len(b.args.Command) > 0 {
		container.Command = pulumi.ToStringArray(b.args.Command)
	}
	if database.env != nil {
		container.Env = database.env
	}
	if len(b.args.Arguments) > 0 {
		container.Args = pulumi.ToStringArray(b.args.Arguments)
	}
	metadata := &metav1.ObjectMetaArgs{Labels: workload.Labels(b.args.Name, b.args.Name)}
	if b.args.Database.Revision != nil {
		metadata.Annotations = pulumi.StringMap{revisionAnnotation: b.args.Database.Revision}
	}
	return &corev1.PodTemplateSpecArgs{
		Metadata: metadata,
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName:            b.args.ServiceAccount,
			AutomountServiceAccountToken:  pulumi.Bool(false),
			EnableServiceLinks:            pulumi.Bool(false),
			TerminationGracePeriodSeconds: pulumi.Int(b.args.TerminationGracePeriodSeconds + drainSeconds),
			SecurityContext:               workload.PodSecurity(b.args.UID),
			TopologySpreadConstraints: corev1.TopologySpreadConstraintArray{&corev1.TopologySpreadConstraintArgs{
				MaxSkew:           pulumi.Int(1),
				TopologyKey:       pulumi.String("topology.kubernetes.io/zone"),
				WhenUnsatisfiable: pulumi.String("ScheduleAnyway"),
				LabelSelector:     &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Name)},
			}},
			Volumes:    volumes,
			Containers: corev1.ContainerArray{container},
		},
	}
}
