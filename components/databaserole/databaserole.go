package databaserole

import (
	_ "embed"
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/naming"
	"dbtier/components/workload"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:DatabaseRole"

const (
	secretsAPI    = "external-secrets.io/v1"
	generatorsAPI = "generators.external-secrets.io/v1alpha1"
	// containerName is also what `kubectl logs -c` takes.
	containerName = "bootstrap"
	// What the files expect of each other.
	filesDir      = "/etc/bootstrap"
	credentialDir = "/etc/credential" //nolint:gosec // a folder, and no credential
	// A rotation of the master password may fall into an attempt; the next one starts with the new.
	backoffLimit = 4
)

// The files of the bootstrap. Nothing is ever written into them: names come to psql as variables and are quoted there.
var (
	//go:embed bootstrap.sh
	bootstrapFile string
	//go:embed roles.sql
	rolesFile string
	//go:embed password.sql
	passwordFile string
)

func files() map[string]string {
	return map[string]string{"bootstrap.sh": bootstrapFile, "roles.sql": rolesFile, "password.sql": passwordFile}
}

// DatabaseRole is a role that the database knows.
type DatabaseRole struct {
	pulumi.ResourceState

	// CredentialSecret holds username and password of this generation's user. Its name becomes known when the user can
	// log in.
	CredentialSecret pulumi.StringOutput `pulumi:"credentialSecret"`
	// User of this generation.
	User pulumi.StringOutput `pulumi:"user"`
	// JobName of the bootstrap.
	JobName pulumi.StringOutput `pulumi:"jobName"`
	// Done is what [pulumi.DependsOn] takes: the completed Job. The component itself is no safe dependency: the SDK
	// adds children to it in goroutines of their own.
	Done []pulumi.Resource
}

// builder makes the parts of one role.
type builder struct {
	ctx    *pulumi.Context
	name   string
	args   *DatabaseRoleArgs
	parent pulumi.ResourceOption
}

// NewDatabaseRole makes the role, and this generation's password. It returns every fault of the arguments at once,
// before it makes anything. Give what makes objects in the database, such as a migration, [pulumi.DependsOn] the field
// Done: the role's rights on them come from default privileges.
func NewDatabaseRole(
	ctx *pulumi.Context, name string, args *DatabaseRoleArgs, opts ...pulumi.ResourceOption,
) (*DatabaseRole, error) {
	if args == nil {
		return nil, fmt.Errorf("role %s: %w", name, errors.New("no arguments given"))
	}
	own := *args
	own.setDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("role %s: %w", name, err)
	}
	component := &DatabaseRole{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering role %s: %w", name, err)
	}
	b := &builder{ctx: ctx, name: name, args: &own, parent: pulumi.Parent(component)}
	credential, err := b.credential()
	if err != nil {
		return nil, fmt.Errorf("role %s: %w", name, err)
	}
	job, err := b.job(credential)
	if err != nil {
		return nil, fmt.Errorf("role %s: %w", name, err)
	}
	component.Done = []pulumi.Resource{job}
	component.JobName = job.Metadata.Name().Elem()
	component.CredentialSecret = afterwards(job, own.credentialSecret())
	component.User = afterwards(job, own.User())
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"credentialSecret": component.CredentialSecret, "user": component.User, "jobName": component.JobName,
	})
}

// afterwards is a value that says nothing new, and waits for the Job all the same. A preview knows it.
func afterwards(job *batchv1.Job, value string) pulumi.StringOutput {
	return job.Metadata.Name().Elem().ApplyT(func(string) string { return value }).(pulumi.StringOutput)
}

// credentialSecret has the generation in its name: the pool reads the old one until it is told the new one.
func (a *DatabaseRoleArgs) credentialSecret() string {
	return naming.Join(naming.LabelLimit, a.ObjectName, "database", strconv.Itoa(a.Generation))
}

// metadata of an object in the service's namespace.
func (b *builder) metadata(name string, annotations map[string]string) *metav1.ObjectMetaArgs {
	meta := &metav1.ObjectMetaArgs{
		Name:      pulumi.String(name),
		Namespace: pulumi.String(b.args.Namespace),
		Labels:    workload.Labels(PodName(b.args.ObjectName), b.args.Service),
	}
	if annotations != nil {
		meta.Annotations = pulumi.ToStringMap(annotations)
	}
	return meta
}

// credential is made once: the operator runs a generator at every refresh, hence CreatedOnce and an ExternalSecret a
// generation.
func (b *builder) credential() (*apiextensions.CustomResource, error) {
	generator, err := apiextensions.NewCustomResource(b.ctx, b.name+"-generator", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String(generatorsAPI),
		Kind:       pulumi.String("Password"),
		Metadata:   b.metadata(naming.Join(naming.LabelLimit, b.args.ObjectName, "database"), nil),
		OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{
			"length":           pulumi.Int(40),
			"digits":           pulumi.Int(8),
			"symbols":          pulumi.Int(4),
			"symbolCharacters": pulumi.String("-_.~"),
			"noUpper":          pulumi.Bool(false),
			"allowRepeat":      pulumi.Bool(true),
		}},
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("the generator of its password: %w", err)
	}
	secret := b.args.credentialSecret()
	// Its resource has the generation in its name, too, so the last one's goes at the very end of an update, after the
	// pool has changed.
	credential, err := apiextensions.NewCustomResource(b.ctx,
		fmt.Sprintf("%s-credential-%d", b.name, b.args.Generation), &apiextensions.CustomResourceArgs{
			ApiVersion: pulumi.String(secretsAPI),
			Kind:       pulumi.String("ExternalSecret"),
			Metadata:   b.metadata(secret, map[string]string{"pulumi.com/waitFor": "condition=Ready"}),
			OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{
				"refreshPolicy":   pulumi.String("CreatedOnce"),
				"refreshInterval": pulumi.String("0s"),
				"target": pulumi.Map{
					"name":           pulumi.String(secret),
					"creationPolicy": pulumi.String("Owner"),
					"deletionPolicy": pulumi.String("Retain"),
					"template": pulumi.Map{"engineVersion": pulumi.String("v2"), "data": pulumi.Map{
						"username": pulumi.String(b.args.User()), "password": pulumi.String("{{ .password }}"),
					}},
				},
				"dataFrom": pulumi.Array{pulumi.Map{"sourceRef": pulumi.Map{"generatorRef": pulumi.Map{
					"apiVersion": pulumi.String(generatorsAPI), "kind": pulumi.String("Password"),
					"name": generator.Metadata.Name().Elem(),
				}}}},
			}},
		}, b.parent,
		// The operator does not look at a created credential again, so another user needs another one.
		pulumi.ReplaceOnChanges([]string{"spec"}), pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, fmt.Errorf("its credential: %w", err)
	}
	return credential, nil
}

// environment is what the bootstrap is told; its names are all there is to it that differs between services.
func (a *DatabaseRoleArgs) environment() [][2]string {
	env := [][2]string{
		{"PGAPPNAME", "dbtier-bootstrap"},
		{"PGCONNECT_TIMEOUT", "10"},
		{"ROLE_GENERATION", strconv.Itoa(a.Generation)},
		{"ROLE_GROUP", a.Name},
		{"ROLE_USER", a.User()},
		{"ROLE_USER_A", a.Name + "_a"},
		{"ROLE_USER_B", a.Name + "_b"},
		{"ROLE_WAIT_SECONDS", strconv.Itoa(a.WaitSeconds)},
	}
	if a.IAMUser != "" {
		env = append(env, [2]string{"ROLE_IAM_USER", a.IAMUser})
	}
	return env
}

// job is named by its content: an unchanged one is not run again, and a failed one is tried again by the next update.
func (b *builder) job(credential *apiextensions.CustomResource) (*batchv1.Job, error) {
	script, err := b.files()
	if err != nil {
		return nil, err
	}
	account, err := corev1.NewServiceAccount(b.ctx, b.name+"-account", &corev1.ServiceAccountArgs{
		Metadata:                     b.metadata(PodName(b.args.ObjectName), nil),
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("its bootstrap's service account: %w", err)
	}
	policy, err := b.networkPolicy()
	if err != nil {
		return nil, fmt.Errorf("its bootstrap's network policy: %w", err)
	}
	hash, err := naming.Hash(struct {
		Image string
		Env   [][2]string
		Files map[string]string
	}{b.args.Image, b.args.environment(), files()})
	if err != nil {
		return nil, err
	}
	// The Job controller appends six characters for its pods' names.
	name := naming.Join(naming.LabelLimit-6, b.args.ObjectName, "bootstrap", hash)
	job, err := batchv1.NewJob(b.ctx, b.name+"-job", &batchv1.JobArgs{
		Metadata: b.metadata(name, map[string]string{
			"pulumi.com/replaceUnready": "true",
			// Longer than the Job's own deadline, so that what is reported is Kubernetes' reason and not ours.
			"pulumi.com/timeoutSeconds": strconv.Itoa(b.args.DeadlineSeconds + 60),
		}),
		Spec: &batchv1.JobSpecArgs{
			BackoffLimit:          pulumi.Int(backoffLimit),
			ActiveDeadlineSeconds: pulumi.Int(b.args.DeadlineSeconds),
			Template:              b.pod(account, script, credential),
		},
	}, b.parent, pulumi.DependsOn([]pulumi.Resource{policy}), pulumi.ReplacementTrigger(b.args.DatabaseLife),
		pulumi.DeleteBeforeReplace(true))
	if err != nil {
		return nil, fmt.Errorf("its bootstrap: %w", err)
	}
	return job, nil
}

// files are public, and named by their content, so that a Job always runs the text it was made with.
func (b *builder) files() (*corev1.ConfigMap, error) {
	hash, err := naming.Hash(files())
	if err != nil {
		return nil, err
	}
	configMap, err := corev1.NewConfigMap(b.ctx, b.name+"-files", &corev1.ConfigMapArgs{
		Metadata:  b.metadata(naming.Join(naming.LabelLimit, b.args.ObjectName, "bootstrap", hash), nil),
		Immutable: pulumi.Bool(true),
		Data:      pulumi.ToStringMap(files()),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("its bootstrap's files: %w", err)
	}
	return configMap, nil
}

func (b *builder) pod(
	account *corev1.ServiceAccount, script *corev1.ConfigMap, credential *apiextensions.CustomResource,
) *corev1.PodTemplateSpecArgs {
	a := b.args
	mount := func(volume, dir string) *corev1.VolumeMountArgs {
		return &corev1.VolumeMountArgs{
			Name: pulumi.String(volume), MountPath: pulumi.String(dir),
			ReadOnly: pulumi.Bool(true),
		}
	}
	var env corev1.EnvVarArray
	for _, v := range a.environment() {
		env = append(env, &corev1.EnvVarArgs{Name: pulumi.String(v[0]), Value: pulumi.String(v[1])})
	}
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{Labels: workload.Labels(PodName(a.ObjectName), a.Service)},
		Spec: &corev1.PodSpecArgs{
			// Each attempt is a pod of its own, so that the log of a failed one survives the next.
			RestartPolicy:                pulumi.String("Never"),
			ServiceAccountName:           account.Metadata.Name().Elem(),
			AutomountServiceAccountToken: pulumi.Bool(false),
			EnableServiceLinks:           pulumi.Bool(false),
			SecurityContext:              workload.PodSecurity(a.UID),
			Volumes: corev1.VolumeArray{
				&corev1.VolumeArgs{Name: workload.ScratchVolume, EmptyDir: workload.Scratch()},
				&corev1.VolumeArgs{
					Name:      pulumi.String("files"),
					ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: script.Metadata.Name().Elem()},
				},
				&corev1.VolumeArgs{Name: pulumi.String("credential"), Secret: &corev1.SecretVolumeSourceArgs{
					SecretName: credential.Metadata.Name().Elem(), DefaultMode: pulumi.Int(0o440),
				}},
				&corev1.VolumeArgs{Name: pulumi.String("rds-ca"), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{
					Name: a.CAConfigMap.ToStringOutput(),
					Items: corev1.KeyToPathArray{&corev1.KeyToPathArgs{
						Key: pulumi.String(a.CAKey), Path: pulumi.String(path.Base(a.CAMountPath)),
					}},
				}},
			},
			Containers: corev1.ContainerArray{&corev1.ContainerArgs{
				Name:            pulumi.String(containerName),
				Image:           pulumi.String(a.Image),
				ImagePullPolicy: pulumi.String("IfNotPresent"),
				Command:         pulumi.ToStringArray([]string{"sh", filesDir + "/bootstrap.sh"}),
				Env:             env,
				EnvFrom: corev1.EnvFromSourceArray{&corev1.EnvFromSourceArgs{
					SecretRef: &corev1.SecretEnvSourceArgs{Name: a.DirectSecret.ToStringOutput()},
				}},
				Resources: workload.Resources{
					CPURequest: "10m", MemoryRequest: "32Mi",
					MemoryLimit: "64Mi",
				}.Requirements(),
				SecurityContext: workload.ContainerSecurity(),
				VolumeMounts: corev1.VolumeMountArray{
					workload.ScratchMount(), mount("files", filesDir), mount("credential", credentialDir),
					mount("rds-ca", path.Dir(a.CAMountPath)),
				},
			}},
		},
	}
}

// networkPolicy lets the bootstrap reach the resolver and the database, and nobody reach the bootstrap.
func (b *builder) networkPolicy() (*networkingv1.NetworkPolicy, error) {
	port := func(number int, protocol string) *networkingv1.NetworkPolicyPortArgs {
		return &networkingv1.NetworkPolicyPortArgs{Port: pulumi.Int(number), Protocol: pulumi.String(protocol)}
	}
	return networkingv1.NewNetworkPolicy(b.ctx, b.name+"-network", &networkingv1.NetworkPolicyArgs{
		Metadata: b.metadata(PodName(b.args.ObjectName), nil),
		Spec: &networkingv1.NetworkPolicySpecArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: workload.Selector(PodName(b.args.ObjectName))},
			PolicyTypes: pulumi.ToStringArray([]string{"Ingress", "Egress"}),
			Egress: networkingv1.NetworkPolicyEgressRuleArray{
				&networkingv1.NetworkPolicyEgressRuleArgs{
					Ports: networkingv1.NetworkPolicyPortArray{port(53, "UDP"), port(53, "TCP")},
				},
				&networkingv1.NetworkPolicyEgressRuleArgs{
					Ports: networkingv1.NetworkPolicyPortArray{port(b.args.DatabasePort, "TCP")},
				},
			},
		},
	}, b.parent)
}
