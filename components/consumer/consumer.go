package consumer

import (
	"errors"
	"fmt"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
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

// NewConsumer runs the service. It returns every fault of the arguments at once, before it makes anything.
func NewConsumer(ctx *pulumi.Context, name string, args *ConsumerArgs, opts ...pulumi.ResourceOption) (*Consumer, error) {
	if args == nil {
		return nil, fmt.Errorf("service %s: %w", name, errors.New("no arguments given"))
	}
	own := *args
	own.setDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	component := &Consumer{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering service %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	config, err := own.configMap(ctx, name, parent)
	if err != nil {
		return nil, fmt.Errorf("service %s: its configuration: %w", name, err)
	}
	service, err := corev1.NewService(ctx, name+"-service", &corev1.ServiceArgs{
		Metadata: own.metadata(own.Service),
		Spec: &corev1.ServiceSpecArgs{
			Selector: workload.Selector(own.Service),
			Ports: corev1.ServicePortArray{&corev1.ServicePortArgs{
				Name: pulumi.String("http"), Port: pulumi.Int(80), TargetPort: pulumi.String("http"),
			}},
		},
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	deployment, err := appsv1.NewDeployment(ctx, name+"-deployment", &appsv1.DeploymentArgs{
		Metadata: own.metadata(own.Service),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(own.Replicas),
			Selector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(own.Service)},
			// No pod goes before its successor serves.
			Strategy: &appsv1.DeploymentStrategyArgs{
				Type:          pulumi.String("RollingUpdate"),
				RollingUpdate: &appsv1.RollingUpdateDeploymentArgs{MaxSurge: pulumi.String("25%"), MaxUnavailable: pulumi.Int(0)},
			},
			Template: own.pod(config.Metadata.Name().Elem()),
		},
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	if own.Replicas > 1 {
		if _, err := policyv1.NewPodDisruptionBudget(ctx, name+"-disruption", &policyv1.PodDisruptionBudgetArgs{
			Metadata: own.metadata(own.Service),
			Spec: &policyv1.PodDisruptionBudgetSpecArgs{
				MaxUnavailable: pulumi.Int(1),
				Selector:       &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(own.Service)},
			},
		}, parent); err != nil {
			return nil, fmt.Errorf("service %s: its disruption budget: %w", name, err)
		}
	}
	component.DeploymentName = deployment.Metadata.Name().Elem()
	component.ServiceName = service.Metadata.Name().Elem()
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"deploymentName": component.DeploymentName, "serviceName": component.ServiceName})
}

func (a *ConsumerArgs) metadata(name string) *metav1.ObjectMetaArgs {
	return &metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: pulumi.String(a.Namespace), Labels: workload.Labels(a.Service, a.Service)}
}

// configMap has its content in its name: pods read envFrom only when they start, so a changed configuration must be a new
// object, which new pods name and old pods do not.
func (a *ConsumerArgs) configMap(ctx *pulumi.Context, name string, parent pulumi.ResourceOption) (*corev1.ConfigMap, error) {
	hash, err := naming.Hash(a.Env)
	if err != nil {
		return nil, err
	}
	return corev1.NewConfigMap(ctx, name+"-config", &corev1.ConfigMapArgs{
		Metadata:  a.metadata(naming.Join(naming.LabelLimit, a.Service, "config", hash)),
		Immutable: pulumi.Bool(true),
		Data:      pulumi.ToStringMap(a.Env),
	}, parent)
}

func (a *ConsumerArgs) pod(configMap pulumi.StringOutput) *corev1.PodTemplateSpecArgs {
	scratch, scratchMount := workload.Scratch()
	database := a.Database.parts()
	container := &corev1.ContainerArgs{
		Name:            pulumi.String(a.Service),
		Image:           pulumi.String(a.Image),
		ImagePullPolicy: pulumi.String("IfNotPresent"),
		Ports:           corev1.ContainerPortArray{&corev1.ContainerPortArgs{Name: pulumi.String("http"), ContainerPort: pulumi.Int(a.Port)}},
		EnvFrom: corev1.EnvFromSourceArray{
			&corev1.EnvFromSourceArgs{ConfigMapRef: &corev1.ConfigMapEnvSourceArgs{Name: configMap}},
			&corev1.EnvFromSourceArgs{SecretRef: &corev1.SecretEnvSourceArgs{Name: a.DatabaseSecret.ToStringOutput()}},
		},
		Resources:       a.Resources.Requirements(),
		SecurityContext: workload.ContainerSecurity(),
		VolumeMounts:    append(corev1.VolumeMountArray{scratchMount}, database.mounts...),
		ReadinessProbe: &corev1.ProbeArgs{
			HttpGet:        &corev1.HTTPGetActionArgs{Path: pulumi.String(a.HealthPath), Port: pulumi.String("http")},
			PeriodSeconds:  pulumi.Int(2),
			TimeoutSeconds: pulumi.Int(2),
		},
		// Alive is not healthy: a database that is away must not make Kubernetes restart every pod of the service.
		LivenessProbe: &corev1.ProbeArgs{
			TcpSocket:        &corev1.TCPSocketActionArgs{Port: pulumi.String("http")},
			PeriodSeconds:    pulumi.Int(10),
			FailureThreshold: pulumi.Int(6),
		},
		Lifecycle: &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(drainSeconds)}}},
	}
	if len(a.Command) > 0 {
		container.Command = pulumi.ToStringArray(a.Command)
	}
	if database.env != nil {
		container.Env = database.env
	}
	if len(a.Arguments) > 0 {
		container.Args = pulumi.ToStringArray(a.Arguments)
	}
	metadata := &metav1.ObjectMetaArgs{Labels: workload.Labels(a.Service, a.Service)}
	if a.Database.Revision != "" {
		metadata.Annotations = pulumi.StringMap{revisionAnnotation: pulumi.String(a.Database.Revision)}
	}
	return &corev1.PodTemplateSpecArgs{
		Metadata: metadata,
		Spec: &corev1.PodSpecArgs{
			ServiceAccountName:            a.ServiceAccount,
			AutomountServiceAccountToken:  pulumi.Bool(false),
			EnableServiceLinks:            pulumi.Bool(false),
			TerminationGracePeriodSeconds: pulumi.Int(a.TerminationGracePeriodSeconds + drainSeconds),
			SecurityContext:               workload.PodSecurity(a.UID),
			TopologySpreadConstraints: corev1.TopologySpreadConstraintArray{&corev1.TopologySpreadConstraintArgs{
				MaxSkew:           pulumi.Int(1),
				TopologyKey:       pulumi.String("topology.kubernetes.io/zone"),
				WhenUnsatisfiable: pulumi.String("ScheduleAnyway"),
				LabelSelector:     &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(a.Service)},
			}},
			Volumes:    append(corev1.VolumeArray{scratch}, database.volumes...),
			Containers: corev1.ContainerArray{container},
		},
	}
}
