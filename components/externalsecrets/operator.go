package externalsecrets

import (
	"context"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	helmv4 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// OperatorType is the operator component's type in URNs.
const OperatorType = "dbtier:components:ExternalSecretsOperator"

// release is the name of the Helm release, and with it the prefix of everything that the chart makes.
const release = "external-secrets"

const firstProbeSeconds = 2

// ExternalSecretsOperator is the operator of a cluster. Whatever makes stores or secrets depends on it, and so on the
// webhook that checks them being there.
type ExternalSecretsOperator struct {
	pulumi.ResourceState

	// Chart that was installed.
	Chart *helmv4.Chart
}

// NewExternalSecretsOperator installs the operator. It returns every fault of the arguments at once, before it makes
// anything.
func NewExternalSecretsOperator(
	ctx *pulumi.Context, name string, args *OperatorArgs, opts ...pulumi.ResourceOption,
) (*ExternalSecretsOperator, error) {
	if args == nil {
		return nil, fmt.Errorf("operator %s: no arguments given", name)
	}
	if err := args.Validate(); err != nil {
		return nil, fmt.Errorf("operator %s: %w", name, err)
	}
	component := &ExternalSecretsOperator{}
	if err := ctx.RegisterComponentResource(OperatorType, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering operator %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	namespace, err := corev1.NewNamespace(ctx, name+"-namespace", &corev1.NamespaceArgs{
		Metadata: metav1.ObjectMetaArgs{
			Name:   pulumi.String(args.Namespace),
			Labels: pulumi.StringMap{"pod-security.kubernetes.io/enforce": pulumi.String("restricted")},
		},
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("operator %s: its namespace: %w", name, err)
	}
	chart := &helmv4.ChartArgs{
		Name:      pulumi.String(release),
		Chart:     pulumi.String(args.Chart),
		Namespace: pulumi.String(args.Namespace),
		Values:    args.values(),
	}
	if args.Repository != "" {
		chart.RepositoryOpts = helmv4.RepositoryOptsArgs{Repo: pulumi.String(args.Repository)}
		chart.Version = pulumi.String(args.Version)
	}
	component.Chart, err = helmv4.NewChart(ctx, name+"-chart", chart, parent,
		pulumi.DependsOn([]pulumi.Resource{namespace}),
		pulumi.Transforms([]pulumi.ResourceTransform{askAtOnce}))
	if err != nil {
		return nil, fmt.Errorf("operator %s: its chart: %w", name, err)
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// askAtOnce has the kubelet ask from the first seconds whether the operator's webhook and its certificate controller
// are ready. The chart has it wait for 20 s and has no value for that (decision 0023); nothing that needs a secret can
// be made before.
func askAtOnce(_ context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
	if args.Type != "kubernetes:apps/v1:Deployment" {
		return nil
	}
	containers, _ := within(args.Props, "spec", "template", "spec")["containers"].(pulumi.Array)
	for _, container := range containers {
		fields, _ := container.(pulumi.Map)
		if probe := within(fields, "readinessProbe"); probe != nil {
			probe["initialDelaySeconds"] = pulumi.Int(firstProbeSeconds)
		}
	}
	return &pulumi.ResourceTransformResult{Props: args.Props, Opts: args.Opts}
}

func within(object pulumi.Map, path ...string) pulumi.Map {
	for _, key := range path {
		object, _ = object[key].(pulumi.Map)
	}
	return object
}

// values are the chart's values: literals only. One value that is not known yet would leave the chart's preview empty,
// and policies without anything to look at.
func (a *OperatorArgs) values() pulumi.Map {
	resources := func(cpu, memory, limit string) pulumi.Map {
		return pulumi.Map{
			"requests": pulumi.Map{"cpu": pulumi.String(cpu), "memory": pulumi.String(memory)},
			"limits":   pulumi.Map{"memory": pulumi.String(limit)},
		}
	}
	values := pulumi.Map{
		"installCRDs": pulumi.Bool(true),
		// Removing the operator must not remove the CRDs, and with them the secrets of every team.
		"crds":      pulumi.Map{"annotations": pulumi.Map{"helm.sh/resource-policy": pulumi.String("keep")}},
		"resources": resources("10m", "96Mi", "256Mi"),
		"webhook": pulumi.Map{
			"replicaCount": pulumi.Int(a.Replicas),
			"resources":    resources("10m", "64Mi", "128Mi"),
		},
		"certController": pulumi.Map{"resources": resources("10m", "96Mi", "192Mi")},
		"replicaCount":   pulumi.Int(a.Replicas),
		"leaderElect":    pulumi.Bool(a.Replicas > 1),
		// One slow store must not hold up every secret of the cluster.
		"concurrent": pulumi.Int(4),
	}
	if a.Replicas > 1 {
		budget := pulumi.Map{"enabled": pulumi.Bool(true), "minAvailable": pulumi.Int(1)}
		values["podDisruptionBudget"] = budget
		values["webhook"].(pulumi.Map)["podDisruptionBudget"] = budget
	}
	if a.Image.Repository != "" {
		image := pulumi.Map{"repository": pulumi.String(a.Image.Repository), "tag": pulumi.String(a.Image.Tag)}
		values["image"] = image
		values["webhook"].(pulumi.Map)["image"] = image
		values["certController"].(pulumi.Map)["image"] = image
	}
	var env pulumi.Array
	for _, variable := range []struct{ name, value string }{
		{"AWS_STS_ENDPOINT", a.STSEndpoint}, {"AWS_SECRETSMANAGER_ENDPOINT", a.SecretsManagerEndpoint},
	} {
		if variable.value != "" {
			env = append(env, pulumi.Map{"name": pulumi.String(variable.name), "value": pulumi.String(variable.value)})
		}
	}
	if len(env) > 0 {
		values["extraEnv"] = env
	}
	return values
}
