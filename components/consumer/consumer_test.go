package consumer_test

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/consumer"
	"dbtier/components/workload"
)

func arguments() *consumer.ConsumerArgs {
	return &consumer.ConsumerArgs{
		Service: "myshop-api", Namespace: "myshop", Image: "registry.example/myshop-api:1.4.2",
		Env:            map[string]string{"LOG_LEVEL": "info"},
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
	assert.Equal(t, config.At("metadata", "name"), componenttest.At(pod, "containers", 0, "envFrom", 0, "configMapRef", "name"))
	assert.Equal(t, "myshop-api-db", componenttest.At(pod, "containers", 0, "envFrom", 1, "secretRef", "name"))
	assert.Equal(t, map[string]any{"LOG_LEVEL": "info"}, config.At("data"))
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

func TestADatabaseThatIsAwayMakesPodsUnreadyButRestartsNone(t *testing.T) {
	t.Parallel()
	container := deployment(t, arguments()).At("spec", "template", "spec", "containers", 0)
	assert.Equal(t, "/healthz", componenttest.At(container, "readinessProbe", "httpGet", "path"))
	assert.Nil(t, componenttest.At(container, "livenessProbe", "httpGet"))
	assert.NotNil(t, componenttest.At(container, "livenessProbe", "tcpSocket"))
}

func TestNoPodGoesBeforeItsSuccessorServes(t *testing.T) {
	t.Parallel()
	d := deployment(t, arguments())
	assert.EqualValues(t, 2, d.At("spec", "replicas"))
	assert.EqualValues(t, 0, d.At("spec", "strategy", "rollingUpdate", "maxUnavailable"))
	assert.EqualValues(t, 35, d.At("spec", "template", "spec", "terminationGracePeriodSeconds"), "the drain comes on top of the grace that was asked for")
	assert.EqualValues(t, 5, d.At("spec", "template", "spec", "containers", 0, "lifecycle", "preStop", "sleep", "seconds"))
}

func TestASingleReplicaHasNoDisruptionBudgetThatWouldBlockItsNode(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Replicas = 1
	assert.Empty(t, componenttest.Run(t, create(args)).All("kubernetes:policy/v1:PodDisruptionBudget"))
	assert.Len(t, componenttest.Run(t, create(arguments())).All("kubernetes:policy/v1:PodDisruptionBudget"), 1)
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := componenttest.Try(create(&consumer.ConsumerArgs{
		Service: "My Shop", Replicas: -1, Port: 70000, HealthPath: "healthz", UID: -1, TerminationGracePeriodSeconds: -1,
		Env: map[string]string{"DATABASE_URL": "postgresql://"}, Resources: workload.Resources{CPURequest: "1", MemoryRequest: "1Mi", MemoryLimit: "lots"},
	}))
	require.Error(t, err)
	for _, path := range []string{"service:", "namespace:", "image:", "replicas:", "port:", "healthPath:", "serviceAccount:", "databaseSecret:", "uid:", "terminationGracePeriodSeconds:", "env:", "resources.memoryLimit:"} {
		require.ErrorContains(t, err, path)
	}
	_, err = componenttest.Try(create(nil))
	assert.ErrorContains(t, err, "no arguments given")
}

func ExampleNewConsumer() {
	recorded, err := componenttest.Try(create(arguments()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(recorded.Outputs["deployment"])
	// Output: myshop-api
}
