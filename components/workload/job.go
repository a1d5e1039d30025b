package workload

import (
	"fmt"
	"strconv"

	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/naming"
	"dbtier/components/object"
)

// Job is a task that runs once to its end, such as a migration. Its fields are plain types, so that a package that
// names a Job does not compile Kubernetes' metadata (docs/benchmarks.md).
type Job struct {
	// Owner and Task name the objects: <owner>-<task> is the name of the pods, the ServiceAccount and the
	// NetworkPolicy. Task is also the name of the container.
	Owner, Task string
	// Service that the objects belong to, and its Namespace.
	Service, Namespace string
	// Content is hashed into the Job's name, which is <owner>-<task>-<hash>: the task runs again when Content changes.
	Content any

	Image   string
	Command []string
	Env     []Variable
	// EnvSecret is a Secret whose keys become environment variables. Default none.
	EnvSecret pulumi.StringInput
	Mounts    []Mount
	Resources Resources
	UID       int
	// Scheduling of the pods. Default: anywhere.
	Scheduling Scheduling
	// ServiceAccount of the pods. Default: an account of the Job, which has no rights and no role in AWS.
	ServiceAccount pulumi.StringInput

	// The pods reach the cluster's resolver and this Port, and no pod reaches them. Pods are the pods that have the
	// port, by their name label. Default: any address.
	Port int
	Pods string

	// BackoffLimit is the number of retries after a failed attempt.
	BackoffLimit int
	// DeadlineSeconds is how long all attempts together may take.
	DeadlineSeconds int
	// Trigger is a value whose change runs the task again. Default none.
	Trigger pulumi.StringInput
	// DependsOn must exist before the task starts.
	DependsOn []pulumi.Resource
}

// JobPodName returns the name label of the pods of a Job.
func JobPodName(owner, task string) string { return contract.Object(owner, task) }

// Name returns the name of the Job in the cluster.
func (j *Job) Name() (string, error) {
	hash, err := naming.Hash(j.Content)
	if err != nil {
		return "", err
	}
	// The Job controller appends six characters for its pods.
	return naming.Join(naming.LabelLimit-6, j.Owner, j.Task, hash), nil
}

// NewJob creates a Job with the given name in Pulumi's state, below the component of the scope. An update waits until
// the Job completes, and so does whatever takes the name that NewJob returns. An unchanged Job does not run again; a
// failed Job is deleted and tried again by the next update.
func NewJob(s component.Scope, name string, job *Job) (object.Object, error) {
	podName := JobPodName(job.Owner, job.Task)
	meta := object.Meta{Name: podName, Namespace: job.Namespace, Labels: Labels(podName, job.Service)}
	jobName, err := job.Name()
	if err != nil {
		return object.Object{}, err
	}
	policy, err := job.newPolicy(s, meta)
	if err != nil {
		return object.Object{}, fmt.Errorf("network policy of the %s: %w", job.Task, err)
	}
	account := job.ServiceAccount
	if account == nil {
		created, err := object.NewServiceAccount(s.Ctx, s.Child("account"), meta, s.Parent)
		if err != nil {
			return object.Object{}, fmt.Errorf("service account of the %s: %w", job.Task, err)
		}
		account = created.Name
	}
	meta.Name = jobName
	meta.Annotations = pulumi.ToStringMap(map[string]string{
		"pulumi.com/replaceUnready": "true",
		// Longer than the Job's own deadline, so that the update reports Kubernetes' reason.
		"pulumi.com/timeoutSeconds": strconv.Itoa(job.DeadlineSeconds + 60),
	})
	// There is no time to live: a Job that Kubernetes deletes would run again after the next refresh.
	created, err := batchv1.NewJob(s.Ctx, name, &batchv1.JobArgs{
		Metadata: object.Args(meta),
		Spec: &batchv1.JobSpecArgs{
			BackoffLimit:          pulumi.Int(job.BackoffLimit),
			ActiveDeadlineSeconds: pulumi.Int(job.DeadlineSeconds),
			Template: &corev1.PodTemplateSpecArgs{
				Metadata: &metav1.ObjectMetaArgs{Labels: meta.Labels},
				Spec:     podOf(job, account),
			},
		},
	}, s.Parent, pulumi.DependsOn(append([]pulumi.Resource{policy}, job.DependsOn...)),
		pulumi.ReplacementTrigger(job.Trigger),
		// The old Job is deleted first. Otherwise a new Job that fails would leave the old one marked for deletion, and
		// an update back to the old version would find a Job with its own name.
		pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return object.Object{}, fmt.Errorf("the %s: %w", job.Task, err)
	}
	return object.Object{Name: created.Metadata.Name().Elem(), Resource: created}, nil
}

// podOf is a function because a method of Job with such a type in its signature would make every package that names a
// Job compile the type again.
func podOf(job *Job, account pulumi.StringInput) *corev1.PodSpecArgs {
	spec := PodSpec(account, job.UID)
	// Each attempt is another pod, so that the log of a failed attempt is kept.
	spec.RestartPolicy = pulumi.String("Never")
	container := Container(job.Task, job.Image, job.Resources)
	container.Command = pulumi.ToStringArray(job.Command)
	container.Env = Environment(job.Env)
	if job.EnvSecret != nil {
		container.EnvFrom = FromSecrets(job.EnvSecret)
	}
	if len(job.Mounts) > 0 {
		spec.Volumes, container.VolumeMounts = Volumes(job.Mounts...)
	}
	spec.Containers = corev1.ContainerArray{container}
	Schedule(spec, job.Scheduling, JobPodName(job.Owner, job.Task))
	return spec
}

// newPolicy lets the pods reach the resolver and the Job's port, and lets no pod reach them.
func (j *Job) newPolicy(s component.Scope, meta object.Meta) (pulumi.Resource, error) {
	rule := &networkingv1.NetworkPolicyEgressRuleArgs{
		Ports: networkingv1.NetworkPolicyPortArray{Port(pulumi.Int(j.Port), "TCP")},
	}
	if j.Pods != "" {
		rule.To = networkingv1.NetworkPolicyPeerArray{&networkingv1.NetworkPolicyPeerArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: Selector(j.Pods)},
		}}
	}
	return networkingv1.NewNetworkPolicy(s.Ctx, s.Child("network"), &networkingv1.NetworkPolicyArgs{
		Metadata: object.Args(meta),
		Spec: &networkingv1.NetworkPolicySpecArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: Selector(meta.Name)},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Egress:      networkingv1.NetworkPolicyEgressRuleArray{ResolverEgress(), rule},
		},
	}, s.Parent)
}
