package migrationjob_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/contract"
	"dbtier/components/migrationjob"
	"dbtier/components/workload"
	"dbtier/validation"
)

func arguments() *migrationjob.MigrationJobArgs {
	settings := migrationjob.Defaults()
	settings.Command = []string{"alembic", "upgrade", "head"}
	return &migrationjob.MigrationJobArgs{
		Settings: settings,
		Service:  "myshop-api", Namespace: "myshop", Image: "registry.example/myshop-api:1.4.2",
		ServiceAccount: pulumi.String("myshop-api"), DirectSecret: pulumi.String("myshop-api-db-direct"),
		CAConfigMap: pulumi.String("rds-ca"),
	}
}

func create(args *migrationjob.MigrationJobArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		job, err := migrationjob.NewMigrationJob(ctx, "migration", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("job", job.JobName)
		return nil
	}
}

func job(t *testing.T, args *migrationjob.MigrationJobArgs) *componenttest.Resource {
	t.Helper()
	return componenttest.Run(t, create(args)).One(t, "kubernetes:batch/v1:Job")
}

func TestTheJobRunsTheServicesImageWithTheMigrationsCommand(t *testing.T) {
	t.Parallel()
	j := job(t, arguments())
	container := j.At("spec", "template", "spec", "containers", 0)
	assert.Equal(t, "registry.example/myshop-api:1.4.2", componenttest.At(container, "image"))
	assert.Equal(t, []any{"alembic", "upgrade", "head"}, componenttest.At(container, "command"))
	assert.Equal(t, "myshop-api-db-direct", componenttest.At(container, "envFrom", 0, "secretRef", "name"))
	assert.Equal(t, "myshop-api", j.At("spec", "template", "spec", "serviceAccountName"))
	assert.Equal(t, "/etc/rds-ca", componenttest.At(container, "volumeMounts", 1, "mountPath"))
}

func TestAFailedAttemptKeepsItsLogAndIsMadeThreeMoreTimes(t *testing.T) {
	t.Parallel()
	j := job(t, arguments())
	assert.Equal(t, "Never", j.At("spec", "template", "spec", "restartPolicy"))
	assert.EqualValues(t, 3, j.At("spec", "backoffLimit"))
	assert.EqualValues(t, 600, j.At("spec", "activeDeadlineSeconds"))
	assert.Nil(t, j.At("spec", "ttlSecondsAfterFinished"), "a Job that Kubernetes deletes would run again")
	assert.Equal(t, "true", j.At("metadata", "annotations", "pulumi.com/replaceUnready"))
	assert.True(t, j.DeleteBeforeReplace, "an update to an older version must not find a Job with its own name")
}

func TestTheNameFollowsTheContent(t *testing.T) {
	t.Parallel()
	name := func(change func(*migrationjob.MigrationJobArgs)) string {
		args := arguments()
		change(args)
		return job(t, args).At("metadata", "name").(string)
	}
	same := name(func(*migrationjob.MigrationJobArgs) {})
	assert.Equal(t, same, name(func(a *migrationjob.MigrationJobArgs) { a.DeadlineSeconds = 900 }),
		"the deadline does not change what runs")
	assert.NotEqual(t, same, name(func(a *migrationjob.MigrationJobArgs) {
		a.Image = "registry.example/myshop-api:1.5.0"
	}))
	assert.NotEqual(t, same, name(func(a *migrationjob.MigrationJobArgs) { a.Command = []string{"flyway", "migrate"} }))
	assert.NotEqual(t, same, name(func(a *migrationjob.MigrationJobArgs) {
		a.Env = map[string]string{"FLYWAY_SCHEMAS": "shop"}
	}))
}

func TestAnyServiceNameGivesNamesWithinTheLimits(t *testing.T) {
	t.Parallel()
	for _, length := range []int{1, 30, 52, 63} {
		args := arguments()
		args.Service = strings.Repeat("s", length)
		recorded := componenttest.Run(t, create(args))
		for _, kind := range []string{"kubernetes:batch/v1:Job", "kubernetes:networking.k8s.io/v1:NetworkPolicy"} {
			name := recorded.One(t, kind).At("metadata", "name").(string)
			assert.True(t, validation.Label.Matches(name), "%s of a service name of %d characters: %q", kind, length,
				name)
		}
	}
}

func TestMigrationPodsGetNoRequestsAndReachOnlyResolverAndDatabase(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	labels := recorded.One(t, "kubernetes:batch/v1:Job").At("spec", "template", "metadata", "labels")
	assert.NotEqual(t, "myshop-api", componenttest.At(labels, contract.NameLabel),
		"with the service's own label, a Service would send requests to the migration")
	policy := recorded.One(t, "kubernetes:networking.k8s.io/v1:NetworkPolicy")
	assert.Equal(t, componenttest.At(labels, contract.NameLabel),
		policy.At("spec", "podSelector", "matchLabels", contract.NameLabel))
	assert.Equal(t, []any{"Ingress", "Egress"}, policy.At("spec", "policyTypes"))
	assert.Nil(t, policy.At("spec", "ingress"))
	assert.EqualValues(t, 5432, policy.At("spec", "egress", 1, "ports", 0, "port"))
}

func TestThePodMeetsTheRestrictedStandard(t *testing.T) {
	t.Parallel()
	pod := job(t, arguments()).At("spec", "template", "spec")
	assert.Equal(t, true, componenttest.At(pod, "securityContext", "runAsNonRoot"))
	assert.Equal(t, "RuntimeDefault", componenttest.At(pod, "securityContext", "seccompProfile", "type"))
	container := componenttest.At(pod, "containers", 0, "securityContext")
	assert.Equal(t, false, componenttest.At(container, "allowPrivilegeEscalation"))
	assert.Equal(t, true, componenttest.At(container, "readOnlyRootFilesystem"))
	assert.Equal(t, []any{"ALL"}, componenttest.At(container, "capabilities", "drop"))
	assert.Equal(t, false, componenttest.At(pod, "automountServiceAccountToken"))
}

func TestInputsKeepTheirDependenciesAndSecretness(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		args := arguments()
		args.DirectSecret = pulumi.ToSecret(pulumi.String("myshop-api-db-direct")).(pulumi.StringOutput)
		_, err := migrationjob.NewMigrationJob(ctx, "migration", args)
		return err
	})
	assert.NotEmpty(t, recorded.One(t, "kubernetes:batch/v1:Job").Secrets)
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := componenttest.Try(create(&migrationjob.MigrationJobArgs{
		Settings: migrationjob.Settings{
			Command: []string{"migrate", ""}, BackoffLimit: 11, DeadlineSeconds: 5,
			Env:       map[string]string{"DATABASE_URL": "x"},
			Resources: workload.Resources{CPURequest: "much", MemoryRequest: "1Mi", MemoryLimit: "1Mi"},
		},
		Service: "My Shop", UID: -1,
	}))
	require.Error(t, err)
	for _, path := range []string{
		"service:", "namespace:", "image:", "command:", "serviceAccount:", "directSecret:",
		"backoffLimit:", "deadlineSeconds:", "uid:", "env:", "resources.cpuRequest:",
	} {
		require.ErrorContains(t, err, path)
	}
	_, err = componenttest.Try(create(nil))
	assert.ErrorContains(t, err, "no arguments given")
}
