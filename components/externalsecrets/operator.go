package externalsecrets

import (
	"context"
	"fmt"
	"maps"

	helmv4 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/helm/v4"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/object"
	"dbtier/components/workload"
)

// OperatorType is the operator component's type in URNs.
const OperatorType = "dbtier:components:ExternalSecretsOperator"

// release is the name of the Helm release. The names of everything in the chart begin with it.
const release = "external-secrets"

const firstProbeSeconds = 2

// ExternalSecretsOperator is the operator of a cluster. What creates stores or Secrets must depend on it, and so on the
// webhook that validates them.
type ExternalSecretsOperator struct {
	pulumi.ResourceState

	// Chart that was installed. Depend on it and not on the component (package component).
	Chart pulumi.Resource
}

// OperatorArgs is what [NewExternalSecretsOperator] needs.
type OperatorArgs struct {
	OperatorSettings
	// STSEndpoint and SecretsManagerEndpoint replace AWS's endpoints. Default: AWS.
	STSEndpoint, SecretsManagerEndpoint string
	// Scheduling of the pods. Default: the chart's.
	Scheduling workload.Scheduling
}

// SetDefaults does nothing: [DefaultOperator] has the defaults.
func (a *OperatorArgs) SetDefaults() {}

// NewExternalSecretsOperator installs the operator.
func NewExternalSecretsOperator(
	ctx *pulumi.Context, name string, args *OperatorArgs, opts ...pulumi.ResourceOption,
) (*ExternalSecretsOperator, error) {
	return component.New(ctx, OperatorType, name, args, install, opts...)
}

func install(s component.Scope, args *OperatorArgs, operator *ExternalSecretsOperator) error {
	namespace, err := object.NewNamespace(s.Ctx, s.Child("namespace"), object.Meta{
		Name:   args.Namespace,
		Labels: pulumi.StringMap{"pod-security.kubernetes.io/enforce": pulumi.String("restricted")},
	}, s.Parent)
	if err != nil {
		return err
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
	operator.Chart, err = helmv4.NewChart(s.Ctx, s.Child("chart"), chart, s.Parent,
		pulumi.DependsOn([]pulumi.Resource{namespace.Resource}),
		pulumi.Transforms([]pulumi.ResourceTransform{probeEarly}))
	if err != nil {
		return fmt.Errorf("the chart: %w", err)
	}
	return nil
}

// probeEarly makes the kubelet probe the operator's webhook and certificate controller from the first seconds. The
// chart waits 20 s before the first probe and has no value for that (decision 0023), and no Secret can be created
// before the webhook is ready.
func probeEarly(_ context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
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

func within(fields pulumi.Map, path ...string) pulumi.Map {
	for _, key := range path {
		fields, _ = fields[key].(pulumi.Map)
	}
	return fields
}

// values returns the chart's values. All of them are literals: one unknown value would empty the chart's preview, and
// the policies would have nothing to check.
func (a *OperatorArgs) values() pulumi.Map {
	resources := func(cpu, memory, limit string) pulumi.Map {
		return pulumi.Map{
			"requests": pulumi.Map{"cpu": pulumi.String(cpu), "memory": pulumi.String(memory)},
			"limits":   pulumi.Map{"memory": pulumi.String(limit)},
		}
	}
	values := pulumi.Map{
		"installCRDs": pulumi.Bool(true),
		// Removing the operator must not delete the CRDs, because that deletes the secrets of every team.
		"crds":      pulumi.Map{"annotations": pulumi.Map{"helm.sh/resource-policy": pulumi.String("keep")}},
		"resources": resources("10m", "96Mi", "256Mi"),
		"webhook": pulumi.Map{
			"replicaCount": pulumi.Int(a.Replicas),
			"resources":    resources("10m", "64Mi", "128Mi"),
		},
		"certController": pulumi.Map{"resources": resources("10m", "96Mi", "192Mi")},
		"replicaCount":   pulumi.Int(a.Replicas),
		"leaderElect":    pulumi.Bool(a.Replicas > 1),
		// One slow store must not delay every secret of the cluster.
		"concurrent": pulumi.Int(4),
	}
	if a.Replicas > 1 {
		for _, part := range []pulumi.Map{values, values["webhook"].(pulumi.Map)} {
			part["podDisruptionBudget"] = pulumi.Map{"enabled": pulumi.Bool(true), "minAvailable": pulumi.Int(1)}
		}
	}
	if a.WebhookPort != defaultWebhookPort {
		values["webhook"].(pulumi.Map)["port"] = pulumi.Int(a.WebhookPort)
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
	for name, part := range map[string]pulumi.Map{
		release: values, release + "-webhook": values["webhook"].(pulumi.Map),
		release + "-cert-controller": values["certController"].(pulumi.Map),
	} {
		maps.Copy(part, scheduling(a.Scheduling, name))
	}
	more, _ := literal(a.Values).(pulumi.Map)
	merge(values, more)
	return values
}

// merge adds further values. Maps are merged, and variables of the environment are added to those that are there.
// Everything else is replaced, as by Helm.
func merge(values, more pulumi.Map) {
	for key, value := range more {
		switch value := value.(type) {
		case pulumi.Map:
			if inner, ok := values[key].(pulumi.Map); ok {
				merge(inner, value)
				continue
			}
		case pulumi.Array:
			if own, ok := values[key].(pulumi.Array); ok && key == "extraEnv" {
				values[key] = append(own, value...)
				continue
			}
		}
		values[key] = value
	}
}

// literal returns a value of the config as an input.
func literal(value any) pulumi.Input {
	switch value := value.(type) {
	case map[string]any:
		inputs := pulumi.Map{}
		for key, element := range value {
			inputs[key] = literal(element)
		}
		return inputs
	case []any:
		inputs := pulumi.Array{}
		for _, element := range value {
			inputs = append(inputs, literal(element))
		}
		return inputs
	}
	return pulumi.Any(value)
}

// scheduling returns the chart's values for the pods called name.
func scheduling(on workload.Scheduling, name string) pulumi.Map {
	values := pulumi.Map{}
	if len(on.NodeSelector) > 0 {
		values["nodeSelector"] = pulumi.ToStringMap(on.NodeSelector)
	}
	if len(on.Tolerations) > 0 {
		var tolerations pulumi.Array
		for _, t := range on.Tolerations {
			toleration := pulumi.Map{}
			for key, value := range map[string]string{
				"key": t.Key, "operator": t.Operator, "value": t.Value, "effect": t.Effect,
			} {
				if value != "" {
					toleration[key] = pulumi.String(value)
				}
			}
			if t.TolerationSeconds > 0 {
				toleration["tolerationSeconds"] = pulumi.Int(t.TolerationSeconds)
			}
			tolerations = append(tolerations, toleration)
		}
		values["tolerations"] = tolerations
	}
	if len(on.Affinity) > 0 {
		values["affinity"] = literal(on.Affinity)
	}
	if len(on.TopologySpread) > 0 {
		var constraints pulumi.Array
		for _, s := range on.TopologySpread {
			constraints = append(constraints, pulumi.Map{
				"topologyKey": pulumi.String(s.TopologyKey), "maxSkew": pulumi.Int(s.MaxSkew),
				"whenUnsatisfiable": pulumi.String(s.WhenUnsatisfiable),
				"labelSelector": pulumi.Map{"matchLabels": pulumi.Map{
					contract.NameLabel: pulumi.String(name),
				}},
			})
		}
		values["topologySpreadConstraints"] = constraints
	}
	if on.PriorityClassName != "" {
		values["priorityClassName"] = pulumi.String(on.PriorityClassName)
	}
	if len(on.ImagePullSecrets) > 0 {
		var secrets pulumi.Array
		for _, secret := range on.ImagePullSecrets {
			secrets = append(secrets, pulumi.Map{"name": pulumi.String(secret)})
		}
		values["imagePullSecrets"] = secrets
	}
	return values
}
