package consumer_test

import (
	"strings"
	"testing"
	"testing/quick"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/consumer"
	"dbtier/components/workload"
	"dbtier/validation"
)

func arguments() *consumer.ConsumerArgs {
	settings := consumer.Defaults()
	settings.Name, settings.Image = "myshop-api", "registry.example/myshop-api:1.4.2"
	settings.Env = map[string]string{"LOG_LEVEL": "info"}
	return &consumer.ConsumerArgs{
		Settings: settings, Namespace: "myshop",
		ServiceAccount: pulumi.String("myshop-api"), DatabaseSecret: pulumi.String("myshop-api-db"),
	}
}

func create(args *consumer.ConsumerArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		c, err := consumer.NewConsumer(ctx, "service", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("deployment", c.DeploymentName)
		return nil
	}
}

func deployment(t *testing.T, args *consumer.ConsumerArgs) *componenttest.Resource {
	t.Helper()
	return componenttest.Run(t, create(args)).One(t, "kubernetes:apps/v1:Deployment")
}

func TestPodsTakeConfigurationAndDatabaseFromTheirEnvironment(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	pod := recorded.One(t, "kubernetes:apps/v1:Deployment").At("spec", "template", "spec")
	config := recorded.One(t, "kubernetes:core/v1:ConfigMap")
	assert.Equal(t, config.At("metadata", "name"),
		componenttest.At(pod, "containers", 0, "envFrom", 0, "configMapRef", "name"))
	assert.Equal(t, "myshop-api-db", componenttest.At(pod, "containers", 0, "envFrom", 1, "secretRef", "name"))
	assert.Equal(t, map[string]any{"LOG_LEVEL": "info"}, config.At("data"))
}

func TestTheServiceIsToldHowLongItMayKeepAConnection(t *testing.T) {
	t.Parallel()
	env := func(seconds int) any {
		args := arguments()
		args.ConnectionMaxLifetimeSeconds = seconds
		return deployment(t, args).At("spec", "template", "spec", "containers", 0, "env")
	}
	assert.Nil(t, env(0))
	assert.Equal(t, []any{map[string]any{"name": "DATABASE_CONNECTION_MAX_LIFETIME_SECONDS", "value": "60"}}, env(60))
	args := arguments()
	args.Env = map[string]string{"DATABASE_CONNECTION_MAX_LIFETIME_SECONDS": "60"}
	_, err := componenttest.Try(create(args))
	require.ErrorContains(t, err, "is set by consumer.connectionMaxLifetimeSeconds; remove it here")
}

func TestAChangedConfigurationIsANewObjectThatNewPodsName(t *testing.T) {
	t.Parallel()
	changed := arguments()
	changed.Env = map[string]string{"LOG_LEVEL": "debug"}
	of := func(args *consumer.ConsumerArgs) any {
		return deployment(t, args).At("spec", "template", "spec", "containers", 0, "envFrom", 0, "configMapRef", "name")
	}
	assert.NotEqual(t, of(arguments()), of(changed))
}

func TestAnUnavailableDatabaseMakesPodsUnreadyButRestartsNone(t *testing.T) {
	t.Parallel()
	container := deployment(t, arguments()).At("spec", "template", "spec", "containers", 0)
	assert.Equal(t, "/healthz", componenttest.At(container, "readinessProbe", "httpGet", "path"))
	assert.Nil(t, componenttest.At(container, "livenessProbe", "httpGet"))
	assert.NotNil(t, componenttest.At(container, "livenessProbe", "tcpSocket"))
}

func TestNoPodStopsBeforeItsSuccessorServes(t *testing.T) {
	t.Parallel()
	d := deployment(t, arguments())
	assert.EqualValues(t, 2, d.At("spec", "replicas"))
	assert.EqualValues(t, 0, d.At("spec", "strategy", "rollingUpdate", "maxUnavailable"))
	assert.EqualValues(t, 35, d.At("spec", "template", "spec", "terminationGracePeriodSeconds"),
		"the drain is added to the configured grace period")
	assert.EqualValues(t, 5, d.At("spec", "template", "spec", "containers", 0, "lifecycle", "preStop", "sleep",
		"seconds"))
}

func TestASingleReplicaHasNoDisruptionBudgetThatWouldBlockItsNode(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Replicas = 1
	assert.Empty(t, componenttest.Run(t, create(args)).All("kubernetes:policy/v1:PodDisruptionBudget"))
	assert.Len(t, componenttest.Run(t, create(arguments())).All("kubernetes:policy/v1:PodDisruptionBudget"), 1)
}

func TestTheAutoscalerOwnsTheNumberOfReplicas(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Autoscaling.Enabled, args.Autoscaling.MaxReplicas, args.Autoscaling.MemoryUtilization = true, 8, 90
	recorded := componenttest.Run(t, create(args))
	d := recorded.One(t, "kubernetes:apps/v1:Deployment")
	assert.EqualValues(t, 2, d.At("spec", "replicas"),
		"the initial number, so that the service does not start with one pod")
	assert.Equal(t, []string{"spec.replicas"}, d.IgnoreChanges, "later updates do not reset it")
	autoscaler := recorded.One(t, "kubernetes:autoscaling/v2:HorizontalPodAutoscaler")
	assert.Equal(t, map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "myshop-api"},
		autoscaler.At("spec", "scaleTargetRef"))
	assert.EqualValues(t, 2, autoscaler.At("spec", "minReplicas"))
	assert.EqualValues(t, 8, autoscaler.At("spec", "maxReplicas"))
	for i, goal := range []struct {
		resource string
		percent  int
	}{{"cpu", 70}, {"memory", 90}} {
		assert.Equal(t, goal.resource, autoscaler.At("spec", "metrics", i, "resource", "name"))
		assert.EqualValues(t, goal.percent, autoscaler.At("spec", "metrics", i, "resource", "target",
			"averageUtilization"))
	}
	assert.EqualValues(t, 300, autoscaler.At("spec", "behavior", "scaleDown", "stabilizationWindowSeconds"))
	assert.True(t, recorded.Follows(autoscaler, d))
	assert.Equal(t, 8, args.MostReplicas())
	assert.Len(t, recorded.All("kubernetes:policy/v1:PodDisruptionBudget"), 1)

	without := componenttest.Run(t, create(arguments()))
	assert.Empty(t, without.All("kubernetes:autoscaling/v2:HorizontalPodAutoscaler"))
	assert.Empty(t, without.One(t, "kubernetes:apps/v1:Deployment").IgnoreChanges)
	args.Autoscaling.MinReplicas = 1
	assert.Empty(t, componenttest.Run(t, create(args)).All("kubernetes:policy/v1:PodDisruptionBudget"),
		"the service may have only one pod")
}

func TestACommandReplacesTheImagesOwn(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Command, args.Arguments = []string{"/myshop-api"}, []string{"serve", "--verbose"}
	container := deployment(t, args).At("spec", "template", "spec", "containers", 0)
	assert.Equal(t, []any{"/myshop-api"}, componenttest.At(container, "command"))
	assert.Equal(t, []any{"serve", "--verbose"}, componenttest.At(container, "args"))
	container = deployment(t, arguments()).At("spec", "template", "spec", "containers", 0)
	assert.Nil(t, componenttest.At(container, "command"))
	assert.Nil(t, componenttest.At(container, "args"))
	args.Replicas = 4
	assert.Equal(t, 4, args.MostReplicas())
}

func TestFurtherSecretsAreVariablesOrFiles(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.EnvSecrets = []pulumi.StringInput{pulumi.String("myshop-cache")}
	args.SecretMounts = []consumer.SecretMount{{Secret: pulumi.String("myshop-tls"), Path: "/etc/myshop/tls"}}
	pod := deployment(t, args).At("spec", "template", "spec")
	container := componenttest.At(pod, "containers", 0)
	assert.Equal(t, "myshop-cache", componenttest.At(container, "envFrom", 1, "secretRef", "name"))
	assert.Equal(t, "myshop-api-db", componenttest.At(container, "envFrom", 2, "secretRef", "name"),
		"the last source that has a key counts")
	assert.Equal(t, map[string]any{"name": "secret-0", "mountPath": "/etc/myshop/tls", "readOnly": true},
		componenttest.At(container, "volumeMounts", 1))
	assert.Equal(t, map[string]any{"secretName": "myshop-tls", "defaultMode": 288.0},
		componenttest.At(pod, "volumes", 1, "secret"))
}

func TestReloaderIsAskedToWatchWhatPodsReadOnce(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Reloader = true
	args.EnvSecrets = []pulumi.StringInput{pulumi.String("myshop-cache")}
	args.SecretMounts = []consumer.SecretMount{{Secret: pulumi.String("myshop-tls"), Path: "/etc/myshop/tls"}}
	d := deployment(t, args)
	assert.Equal(t, map[string]any{"secret.reloader.stakater.com/reload": "myshop-api-db,myshop-cache"},
		d.At("metadata", "annotations"))
	assert.Nil(t, d.At("spec", "template", "metadata", "annotations"), "Reloader itself writes there")
	assert.Nil(t, deployment(t, arguments()).At("metadata", "annotations"))
}

func TestFaultsOfAutoscalingAndSecrets(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Autoscaling = consumer.Autoscaling{Enabled: true, MinReplicas: 600, MaxReplicas: 2, ScaleDownSeconds: -1}
	args.EnvSecrets = []pulumi.StringInput{nil}
	args.SecretMounts = []consumer.SecretMount{
		{Path: "etc"},
		{Secret: pulumi.String("a"), Path: "/etc/a"},
		{Secret: pulumi.String("b"), Path: "/etc/a/b"},
		{Secret: pulumi.String("c"), Path: "/tmp/c"},
	}
	_, err := componenttest.Try(create(args))
	require.Error(t, err)
	for _, fault := range []string{
		"autoscaling.minReplicas: 600: want 1 to 500",
		"autoscaling.maxReplicas: 2: want minReplicas (600) to 500",
		"autoscaling.cpuUtilization: 0: leaves nothing to scale by",
		"autoscaling.scaleDownSeconds: -1: want 0 to 3600",
		"envSecrets[0]: is missing",
		"secretMounts[0].secret: is missing",
		`secretMounts[0].path: "etc": want the absolute path`,
		`secretMounts[2].path: "/etc/a/b": overlaps with /etc/a`,
		`secretMounts[3].path: "/tmp/c": want`,
	} {
		require.ErrorContains(t, err, fault)
	}
}

func TestOptionsOfTheComponentStayWithItAndDependenciesAndSecretsPassThrough(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		first, err := corev1.NewSecret(ctx, "first",
			&corev1.SecretArgs{Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("myshop-cache")}})
		if err != nil {
			return err
		}
		args := arguments()
		args.EnvSecrets = []pulumi.StringInput{first.Metadata.Name().Elem()}
		args.DatabaseSecret = pulumi.ToSecret(pulumi.String("myshop-api-db")).(pulumi.StringOutput)
		_, err = consumer.NewConsumer(ctx, "service", args, pulumi.IgnoreChanges([]string{"spec"}),
			pulumi.DependsOn([]pulumi.Resource{first}))
		return err
	})
	d := recorded.One(t, "kubernetes:apps/v1:Deployment")
	assert.Empty(t, d.IgnoreChanges)
	assert.True(t, recorded.Follows(d, recorded.Named(t, "kubernetes:core/v1:Secret", "first")))
	assert.Contains(t, strings.Join(d.Secrets, " "), "spec", "a secret name makes the pod template secret")
	component := recorded.One(t, consumer.Type)
	for _, child := range recorded.Each() {
		if strings.HasPrefix(child.Name, "service-") {
			assert.Equal(t, component.URN, componenttest.ParentOf(child), child.URN)
		}
	}
}

// The name of every object is a DNS label, whatever the service's name and configuration are.
func TestEveryNameStaysWithinItsLimit(t *testing.T) {
	t.Parallel()
	property := func(length uint8, value string) bool {
		args := arguments()
		args.Name = strings.Repeat("s", int(length)%63+1)
		args.Env = map[string]string{"VALUE": value}
		args.Autoscaling.Enabled, args.Autoscaling.MaxReplicas = true, 3
		for _, resource := range componenttest.Run(t, create(args)).Each() {
			if name, _ := resource.At("metadata", "name").(string); resource.Custom &&
				!assert.True(t, validation.Label.Matches(name), "%s: %q", resource.Type, name) {
				return false
			}
		}
		return true
	}
	require.NoError(t, quick.Check(property, &quick.Config{MaxCount: 70}))
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := componenttest.Try(create(&consumer.ConsumerArgs{Settings: consumer.Settings{
		Name: "My Shop", Replicas: -1, Port: 70000, HealthPath: "healthz", UID: -1,
		TerminationGracePeriodSeconds: -1,
		Env:                           map[string]string{"DATABASE_URL": "postgresql://"},
		Resources:                     workload.Resources{CPURequest: "1", MemoryRequest: "1Mi", MemoryLimit: "lots"},
	}}))
	require.Error(t, err)
	for _, path := range []string{
		"name:", "namespace:", "image:", "replicas:", "port:", "healthPath:",
		"serviceAccount:", "databaseSecret:", "uid:", "terminationGracePeriodSeconds:", "env:",
		"resources.memoryLimit:",
	} {
		require.ErrorContains(t, err, path)
	}
	_, err = componenttest.Try(create(nil))
	assert.ErrorContains(t, err, "no arguments given")
}
