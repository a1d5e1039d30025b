package migrationjob

import (
	_ "embed"
	"fmt"
	"strconv"

	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Console is the way to the consoles of a pool's pods.
type Console struct {
	// Host is a name with the address of every pod of the pool, and Port PgBouncer's there.
	Host pulumi.StringInput
	Port int
	// Secret with username and password of a user that may RECONNECT.
	Secret pulumi.StringInput
	// PoolName is the value of the label app.kubernetes.io/name of the pool's pods.
	PoolName string
	// Image with psql, getent and sh.
	Image string
	// UID is the user and group to run as, from 1. Default [workload.DefaultUID].
	UID int
	// WaitSeconds is how long it waits for a pod that takes no connections, 1 to 3600: pods that stop wait for their
	// last clients at most for the pool's grace period. Default 180.
	WaitSeconds int
	// DependsOn is what must be there first: the pool's pods.
	DependsOn []pulumi.Resource
}

//go:embed reconnect.sh
var reconnectScript string

// reconnectContainer is also what `kubectl logs -c` takes.
const reconnectContainer = "reconnect"

// reconnectAttempts are more than one, because an attempt can lose its node.
const reconnectAttempts = 2

func (c *Console) setDefaults() {
	if c.UID == 0 {
		c.UID = workload.DefaultUID
	}
	if c.WaitSeconds == 0 {
		c.WaitSeconds = 180
	}
}

func (c *Console) validate() error {
	var faults fault.List
	faults.Check(c.Host != nil, "host", nil, "is missing: a name with the address of every pod of the pool")
	faults.Between("port", c.Port, 1, 65535, "")
	faults.Check(c.Secret != nil, "secret", nil, "is missing: the Secret with the console's username and password")
	faults.Form("poolName", c.PoolName, validation.Label)
	faults.Check(c.Image != "", "image", nil, "is missing: an image with psql, getent and sh")
	workload.CheckUID(&faults, c.UID)
	faults.Between("waitSeconds", c.WaitSeconds, 1, 3600, "seconds")
	return faults.Err()
}

// ReconnectPodName is the name label of the pods that have a service's pool reconnect.
func ReconnectPodName(service string) string {
	return naming.Join(naming.LabelLimit, service, "reconnect")
}

// reconnect makes the Job that follows a completed migration. It has the migration's name in its own, so there is one
// for each.
func (b *builder) reconnect(migration string, after pulumi.Resource) (*batchv1.Job, error) {
	c := b.args.Pool
	podName := ReconnectPodName(b.args.Service)
	environment := [][2]string{
		{"PGAPPNAME", "dbtier-reconnect"},
		{"PGCONNECT_TIMEOUT", "5"},
		{"PGDATABASE", "pgbouncer"},
		{"PGPORT", strconv.Itoa(c.Port)},
		{"POOL_WAIT_SECONDS", strconv.Itoa(c.WaitSeconds)},
	}
	hash, err := naming.Hash(struct {
		Migration, Image, Script string
		Env                      [][2]string
	}{migration, c.Image, reconnectScript, environment})
	if err != nil {
		return nil, err
	}
	policy, err := b.reconnectPolicy()
	if err != nil {
		return nil, fmt.Errorf("the network policy of the pool's reconnection: %w", err)
	}
	// Not the service's, which may have a role in AWS.
	account, err := corev1.NewServiceAccount(b.ctx, b.name+"-reconnect-account", &corev1.ServiceAccountArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(podName), Namespace: pulumi.String(b.args.Namespace),
			Labels: workload.Labels(podName, b.args.Service),
		},
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("the service account of the pool's reconnection: %w", err)
	}
	env := corev1.EnvVarArray{&corev1.EnvVarArgs{Name: pulumi.String("POOL_HOST"), Value: c.Host.ToStringOutput()}}
	for _, v := range environment {
		env = append(env, &corev1.EnvVarArgs{Name: pulumi.String(v[0]), Value: pulumi.String(v[1])})
	}
	for _, v := range [][2]string{{"PGUSER", "username"}, {"PGPASSWORD", "password"}} {
		env = append(env, &corev1.EnvVarArgs{Name: pulumi.String(v[0]), ValueFrom: &corev1.EnvVarSourceArgs{
			SecretKeyRef: &corev1.SecretKeySelectorArgs{Name: c.Secret.ToStringOutput(), Key: pulumi.String(v[1])},
		}})
	}
	deadline := reconnectAttempts * (c.WaitSeconds + 60)
	job, err := batchv1.NewJob(b.ctx, b.name+"-reconnect", &batchv1.JobArgs{
		Metadata: &metav1.ObjectMetaArgs{
			// The Job controller appends six characters for its pods' names.
			Name:      pulumi.String(naming.Join(naming.LabelLimit-6, b.args.Service, "reconnect", hash)),
			Namespace: pulumi.String(b.args.Namespace),
			Labels:    workload.Labels(podName, b.args.Service),
			Annotations: pulumi.ToStringMap(map[string]string{
				"pulumi.com/replaceUnready": "true", "pulumi.com/timeoutSeconds": strconv.Itoa(deadline + 60),
			}),
		},
		Spec: &batchv1.JobSpecArgs{
			BackoffLimit:          pulumi.Int(reconnectAttempts - 1),
			ActiveDeadlineSeconds: pulumi.Int(deadline),
			Template: &corev1.PodTemplateSpecArgs{
				Metadata: &metav1.ObjectMetaArgs{Labels: workload.Labels(podName, b.args.Service)},
				Spec: &corev1.PodSpecArgs{
					RestartPolicy:                pulumi.String("Never"),
					AutomountServiceAccountToken: pulumi.Bool(false),
					EnableServiceLinks:           pulumi.Bool(false),
					ServiceAccountName:           account.Metadata.Name().Elem(),
					SecurityContext:              workload.PodSecurity(c.UID),
					Containers: corev1.ContainerArray{&corev1.ContainerArgs{
						Name:            pulumi.String(reconnectContainer),
						Image:           pulumi.String(c.Image),
						ImagePullPolicy: pulumi.String("IfNotPresent"),
						Command:         pulumi.ToStringArray([]string{"sh", "-c", reconnectScript}),
						Env:             env,
						Resources: workload.Resources{
							CPURequest: "10m", MemoryRequest: "16Mi",
							MemoryLimit: "64Mi",
						}.Requirements(),
						SecurityContext: workload.ContainerSecurity(),
					}},
				},
			},
		},
	}, b.parent, pulumi.DependsOn(append([]pulumi.Resource{policy, after}, c.DependsOn...)),
		pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, fmt.Errorf("the pool's reconnection: %w", err)
	}
	return job, nil
}

// reconnectPolicy lets it reach the resolver and the pool's pods, and nothing else.
func (b *builder) reconnectPolicy() (*networkingv1.NetworkPolicy, error) {
	podName := ReconnectPodName(b.args.Service)
	return networkingv1.NewNetworkPolicy(b.ctx, b.name+"-reconnect-network", &networkingv1.NetworkPolicyArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(podName), Namespace: pulumi.String(b.args.Namespace),
			Labels: workload.Labels(podName, b.args.Service),
		},
		Spec: &networkingv1.NetworkPolicySpecArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(podName)},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Egress: networkingv1.NetworkPolicyEgressRuleArray{
				&networkingv1.NetworkPolicyEgressRuleArgs{
					Ports: networkingv1.NetworkPolicyPortArray{policyPort(53, "UDP"), policyPort(53, "TCP")},
				},
				&networkingv1.NetworkPolicyEgressRuleArgs{
					To: networkingv1.NetworkPolicyPeerArray{&networkingv1.NetworkPolicyPeerArgs{
						PodSelector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(b.args.Pool.PoolName)},
					}},
					Ports: networkingv1.NetworkPolicyPortArray{policyPort(b.args.Pool.Port, "TCP")},
				},
			},
		},
	}, b.parent)
}

func policyPort(number int, protocol string) *networkingv1.NetworkPolicyPortArgs {
	return &networkingv1.NetworkPolicyPortArgs{Port: pulumi.Int(number), Protocol: pulumi.String(protocol)}
}
