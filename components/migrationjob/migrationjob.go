package migrationjob

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"

	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/workload"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:MigrationJob"

// containerName is also what `kubectl logs -c` takes.
const containerName = "migration"

// MigrationJob is a completed migration.
type MigrationJob struct {
	pulumi.ResourceState

	// JobName of the Job.
	JobName pulumi.StringOutput `pulumi:"jobName"`
	// ReconnectJobName of the Job that has the pool reconnect; empty without [MigrationJobArgs].Pool.
	ReconnectJobName pulumi.StringOutput `pulumi:"reconnectJobName"`
	// Done is what [pulumi.DependsOn] takes: the last Job, completed. Not the component itself: the SDK adds children
	// to a component in goroutines of their own, so who names it right after it was made may find none, and wait for
	// nothing.
	Done []pulumi.Resource
}

type builder struct {
	ctx    *pulumi.Context
	name   string
	args   *MigrationJobArgs
	parent pulumi.ResourceOption
}

// NewMigrationJob runs the migration. It returns every fault of the arguments at once, before it makes anything. Give
// what must not start before the schema is there [pulumi.DependsOn] the field Done.
func NewMigrationJob(
	ctx *pulumi.Context, name string, args *MigrationJobArgs, opts ...pulumi.ResourceOption,
) (*MigrationJob, error) {
	if args == nil {
		return nil, fmt.Errorf("migration %s: %w", name, errors.New("no arguments given"))
	}
	own := *args
	own.setDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("migration %s: %w", name, err)
	}
	jobName, err := own.jobName()
	if err != nil {
		return nil, fmt.Errorf("migration %s: %w", name, err)
	}
	component := &MigrationJob{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering migration %s: %w", name, err)
	}
	b := &builder{ctx: ctx, name: name, args: &own, parent: pulumi.Parent(component)}
	policy, err := b.networkPolicy()
	if err != nil {
		return nil, fmt.Errorf("migration %s: its network policy: %w", name, err)
	}
	job, err := batchv1.NewJob(ctx, name+"-job", &batchv1.JobArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name:      pulumi.String(jobName),
			Namespace: pulumi.String(own.Namespace),
			Labels:    workload.Labels(own.podName(), own.Service),
			Annotations: pulumi.StringMap{
				// A failed Job that did not change is deleted and tried again instead of being waited for once more.
				"pulumi.com/replaceUnready": pulumi.String("true"),
				// Longer than the Job's own deadline, so that what is reported is Kubernetes' reason and not ours.
				"pulumi.com/timeoutSeconds": pulumi.String(strconv.Itoa(own.DeadlineSeconds + 60)),
			},
		},
		Spec: &batchv1.JobSpecArgs{
			BackoffLimit:          pulumi.Int(own.BackoffLimit),
			ActiveDeadlineSeconds: pulumi.Int(own.DeadlineSeconds),
			Template:              b.pod(),
		},
	}, b.parent, pulumi.DependsOn([]pulumi.Resource{policy}),
		pulumi.ReplacementTrigger(own.DatabaseLife),
		// The old Job goes first: made beside it, a failed new one would leave the old one marked for deletion, and
		// going back to the old version would then meet a Job of its own name.
		pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, fmt.Errorf("migration %s: %w", name, err)
	}
	component.Done = []pulumi.Resource{job}
	component.JobName = job.Metadata.Name().Elem()
	component.ReconnectJobName = pulumi.String("").ToStringOutput()
	if own.Pool != nil {
		reconnect, err := b.reconnect(jobName, job)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		component.Done = []pulumi.Resource{reconnect}
		component.ReconnectJobName = reconnect.Metadata.Name().Elem()
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"jobName": component.JobName, "reconnectJobName": component.ReconnectJobName,
	})
}

func (b *builder) pod() *corev1.PodTemplateSpecArgs {
	volumes := corev1.VolumeArray{&corev1.VolumeArgs{Name: workload.ScratchVolume, EmptyDir: workload.Scratch()}}
	mounts := corev1.VolumeMountArray{workload.ScratchMount()}
	if b.args.CAConfigMap != nil {
		volumes = append(volumes, &corev1.VolumeArgs{
			Name: pulumi.String("rds-ca"),
			ConfigMap: &corev1.ConfigMapVolumeSourceArgs{
				Name: b.args.CAConfigMap.ToStringOutput(),
				Items: corev1.KeyToPathArray{&corev1.KeyToPathArgs{
					Key: pulumi.String(b.args.CAKey), Path: pulumi.String(path.Base(b.args.CAMountPath)),
				}},
			},
		})
		mounts = append(mounts, &corev1.VolumeMountArgs{
			Name: pulumi.String("rds-ca"), MountPath: pulumi.String(path.Dir(b.args.CAMountPath)),
			ReadOnly: pulumi.Bool(true),
		})
	}
	var env corev1.EnvVarArray
	for _, key := range slices.Sorted(maps.Keys(b.args.Env)) {
		env = append(env, &corev1.EnvVarArgs{Name: pulumi.String(key), Value: pulumi.String(b.args.Env[key])})
	}
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{Labels: workload.Labels(b.args.podName(), b.args.Service)},
		Spec: &corev1.PodSpecArgs{
			// Each attempt is a pod of its own, so that the log of a failed one survives the next.
			RestartPolicy:                pulumi.String("Never"),
			ServiceAccountName:           b.args.ServiceAccount,
			AutomountServiceAccountToken: pulumi.Bool(false),
			EnableServiceLinks:           pulumi.Bool(false),
			SecurityContext:              workload.PodSecurity(b.args.UID),
			Volumes:                      volumes,
			Containers: corev1.ContainerArray{&corev1.ContainerArgs{
				Name:            pulumi.String(containerName),
				Image:           pulumi.String(b.args.Image),
				ImagePullPolicy: pulumi.String("IfNotPresent"),
				Command:         pulumi.ToStringArray(b.args.Command),
				Env:             env,
				EnvFrom: corev1.EnvFromSourceArray{&corev1.EnvFromSourceArgs{
					SecretRef: &corev1.SecretEnvSourceArgs{Name: b.args.DirectSecret.ToStringOutput()},
				}},
				Resources:       b.args.Resources.Requirements(),
				SecurityContext: workload.ContainerSecurity(),
				VolumeMounts:    mounts,
			}},
		},
	}
}

// networkPolicy lets the migration reach the resolver and the database, and nobody reach the migration.
func (b *builder) networkPolicy() (*networkingv1.NetworkPolicy, error) {
	return networkingv1.NewNetworkPolicy(b.ctx, b.name+"-network", &networkingv1.NetworkPolicyArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(b.args.podName()), Namespace: pulumi.String(b.args.Namespace),
			Labels: workload.Labels(b.args.podName(), b.args.Service),
		},
		Spec: &networkingv1.NetworkPolicySpecArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.podName())},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Egress: networkingv1.NetworkPolicyEgressRuleArray{
				&networkingv1.NetworkPolicyEgressRuleArgs{
					Ports: networkingv1.NetworkPolicyPortArray{policyPort(53, "UDP"), policyPort(53, "TCP")},
				},
				&networkingv1.NetworkPolicyEgressRuleArgs{
					Ports: networkingv1.NetworkPolicyPortArray{policyPort(b.args.DatabasePort, "TCP")},
				},
			},
		},
	}, b.parent)
}
