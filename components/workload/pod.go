package workload

import (
	"path"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/naming"
	"dbtier/components/object"
)

// PodSpec returns the part of a pod's spec that every pod of the tier has: no token for the API server, no variables
// for the namespace's Services, and the restricted Pod Security standard.
func PodSpec(account pulumi.StringInput, uid int) *corev1.PodSpecArgs {
	return &corev1.PodSpecArgs{
		ServiceAccountName:           account,
		AutomountServiceAccountToken: pulumi.Bool(false),
		EnableServiceLinks:           pulumi.Bool(false),
		SecurityContext:              PodSecurity(uid),
	}
}

// Container returns the part of a container that every container of the tier has, with the restricted Pod Security
// standard.
func Container(name, image string, resources Resources) *corev1.ContainerArgs {
	return &corev1.ContainerArgs{
		Name:            pulumi.String(name),
		Image:           pulumi.String(image),
		ImagePullPolicy: pulumi.String("IfNotPresent"),
		Resources:       resources.Requirements(),
		SecurityContext: ContainerSecurity(),
	}
}

// PodSecurity returns the pod's half of the restricted Pod Security standard.
func PodSecurity(uid int) *corev1.PodSecurityContextArgs {
	return &corev1.PodSecurityContextArgs{
		RunAsNonRoot:   pulumi.Bool(true),
		RunAsUser:      pulumi.Int(uid),
		RunAsGroup:     pulumi.Int(uid),
		FsGroup:        pulumi.Int(uid),
		SeccompProfile: &corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
}

// ContainerSecurity returns the container's half of the restricted Pod Security standard, with a read-only root file
// system.
func ContainerSecurity() *corev1.SecurityContextArgs {
	return &corev1.SecurityContextArgs{
		AllowPrivilegeEscalation: pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		Capabilities:             &corev1.CapabilitiesArgs{Drop: pulumi.ToStringArray([]string{"ALL"})},
	}
}

// Drain makes a stopping container sleep before it gets SIGTERM, until every node has removed the pod's endpoint.
func Drain(seconds int) *corev1.LifecycleArgs {
	return &corev1.LifecycleArgs{PreStop: &corev1.LifecycleHandlerArgs{
		Sleep: &corev1.SleepActionArgs{Seconds: pulumi.Int(seconds)},
	}}
}

// Spread prefers nodes in different domains of a topology for the pods called name, and still starts the pods where
// there is only one domain.
func Spread(name, topology string) *corev1.TopologySpreadConstraintArgs {
	return &corev1.TopologySpreadConstraintArgs{
		MaxSkew:           pulumi.Int(1),
		TopologyKey:       pulumi.String(topology),
		WhenUnsatisfiable: pulumi.String("ScheduleAnyway"),
		LabelSelector:     &metav1.LabelSelectorArgs{MatchLabels: Selector(name)},
	}
}

// Mount is a folder in a container.
type Mount struct {
	// Volume is the name of the volume in the pod.
	Volume string
	// Path of the folder, absolute.
	Path string
	// Secret or ConfigMap is the object whose keys are the folder's files. Only the pod's group can read the files of a
	// Secret. Without an object and a token, the folder is empty and the container can write up to 64 MiB into it.
	Secret, ConfigMap pulumi.StringInput
	// Token is a token of the pod's ServiceAccount in the file File.
	Token *Token
	// Key of the ConfigMap that is the only file in the folder, with the name File. Default: all keys.
	Key, File string
}

// Token is a token of a pod's ServiceAccount. The kubelet renews it.
type Token struct {
	// Audience that accepts the token.
	Audience string
	// Seconds is the lifetime of the token.
	Seconds int
}

// Scratch is the folder for temporary files: with [ContainerSecurity], a container cannot write anywhere else.
func Scratch() Mount { return Mount{Volume: "tmp", Path: "/tmp"} }

// File mounts one key of a ConfigMap as the file at an absolute path.
func File(volume string, configMap pulumi.StringInput, key, file string) Mount {
	return Mount{Volume: volume, Path: path.Dir(file), ConfigMap: configMap, Key: key, File: path.Base(file)}
}

// Volumes returns the pod's volumes and the container's mounts.
func Volumes(mounts ...Mount) (volumes corev1.VolumeArray, mounted corev1.VolumeMountArray) {
	for _, mount := range mounts {
		volume := &corev1.VolumeArgs{Name: pulumi.String(mount.Volume)}
		at := &corev1.VolumeMountArgs{Name: pulumi.String(mount.Volume), MountPath: pulumi.String(mount.Path)}
		switch {
		case mount.Secret != nil:
			volume.Secret = &corev1.SecretVolumeSourceArgs{
				SecretName: mount.Secret.ToStringOutput(), DefaultMode: pulumi.Int(0o440),
			}
		case mount.ConfigMap != nil:
			source := &corev1.ConfigMapVolumeSourceArgs{Name: mount.ConfigMap.ToStringOutput()}
			if mount.Key != "" {
				source.Items = corev1.KeyToPathArray{&corev1.KeyToPathArgs{
					Key: pulumi.String(mount.Key), Path: pulumi.String(mount.File),
				}}
			}
			volume.ConfigMap = source
		case mount.Token != nil:
			volume.Projected = &corev1.ProjectedVolumeSourceArgs{
				Sources: corev1.VolumeProjectionArray{&corev1.VolumeProjectionArgs{
					ServiceAccountToken: &corev1.ServiceAccountTokenProjectionArgs{
						Audience: pulumi.String(mount.Token.Audience), Path: pulumi.String(mount.File),
						ExpirationSeconds: pulumi.Int(mount.Token.Seconds),
					},
				}},
			}
		default:
			volume.EmptyDir = &corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String("64Mi")}
		}
		if volume.EmptyDir == nil {
			at.ReadOnly = pulumi.Bool(true)
		}
		volumes, mounted = append(volumes, volume), append(mounted, at)
	}
	return volumes, mounted
}

// NewConfig creates a ConfigMap that cannot change, with the name <meta.Name>-<suffix>-<hash of data>. Pods read most
// of their configuration only when they start, so a changed configuration is another object, which only new pods use.
func NewConfig(
	s component.Scope, name string, meta object.Meta, suffix string, data map[string]string,
) (object.Object, error) {
	hash, err := naming.Hash(data)
	if err != nil {
		return object.Object{}, err
	}
	meta.Name = contract.Object(meta.Name, suffix, hash)
	return object.NewImmutableConfigMap(s.Ctx, name, meta, data, s.Parent)
}

// Variable is an environment variable with a value, or with the value of a Secret's key.
type Variable struct {
	Name   string
	Value  pulumi.StringInput
	Secret pulumi.StringInput
	Key    string
}

// Variables returns variables from names and values.
func Variables(pairs ...[2]string) []Variable {
	variables := make([]Variable, len(pairs))
	for i, pair := range pairs {
		variables[i] = Variable{Name: pair[0], Value: pulumi.String(pair[1])}
	}
	return variables
}

// Environment returns the variables in the form that a container takes.
func Environment(variables []Variable) corev1.EnvVarArray {
	var env corev1.EnvVarArray
	for _, v := range variables {
		variable := &corev1.EnvVarArgs{Name: pulumi.String(v.Name)}
		if v.Secret != nil {
			variable.ValueFrom = &corev1.EnvVarSourceArgs{SecretKeyRef: &corev1.SecretKeySelectorArgs{
				Name: v.Secret.ToStringOutput(), Key: pulumi.String(v.Key),
			}}
		} else {
			variable.Value = v.Value
		}
		env = append(env, variable)
	}
	return env
}

// FromSecrets makes each key of the Secrets an environment variable. Where two have a key, the later Secret counts.
func FromSecrets(secrets ...pulumi.StringInput) corev1.EnvFromSourceArray {
	var sources corev1.EnvFromSourceArray
	for _, secret := range secrets {
		sources = append(sources, &corev1.EnvFromSourceArgs{
			SecretRef: &corev1.SecretEnvSourceArgs{Name: secret.ToStringOutput()},
		})
	}
	return sources
}

// Port returns a port of a NetworkPolicy.
func Port(number pulumi.Input, protocol string) *networkingv1.NetworkPolicyPortArgs {
	return &networkingv1.NetworkPolicyPortArgs{Port: number, Protocol: pulumi.String(protocol)}
}

// ResolverEgress lets pods ask the cluster's resolver. It allows any address: a resolver on the node is not a pod.
func ResolverEgress() *networkingv1.NetworkPolicyEgressRuleArgs {
	return &networkingv1.NetworkPolicyEgressRuleArgs{Ports: networkingv1.NetworkPolicyPortArray{
		Port(pulumi.Int(53), "UDP"), Port(pulumi.Int(53), "TCP"),
	}}
}

// NewDisruptionBudget lets a drain of nodes stop one pod called meta.Name at a time.
func NewDisruptionBudget(ctx *pulumi.Context, name string, meta object.Meta, opts ...pulumi.ResourceOption) error {
	_, err := policyv1.NewPodDisruptionBudget(ctx, name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: object.Args(meta),
		Spec: &policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable: pulumi.Int(1),
			Selector:       &metav1.LabelSelectorArgs{MatchLabels: Selector(meta.Name)},
			// A pod that is not ready must not block the drain.
			UnhealthyPodEvictionPolicy: pulumi.String("AlwaysAllow"),
		},
	}, opts...)
	return err
}
