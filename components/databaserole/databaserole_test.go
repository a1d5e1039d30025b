package databaserole_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/databaserole"
	"dbtier/validation"
)

const (
	externalSecret = "kubernetes:external-secrets.io/v1:ExternalSecret"
	jobType        = "kubernetes:batch/v1:Job"
	configMapType  = "kubernetes:core/v1:ConfigMap"
	policyType     = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
)

func arguments() *databaserole.DatabaseRoleArgs {
	settings := databaserole.Defaults()
	settings.Name, settings.Image = "myshop_app", "registry.example/pgbouncer:1"
	return &databaserole.DatabaseRoleArgs{
		Settings: settings, Service: "myshop-api", Namespace: "myshop", ObjectName: "pgbouncer",
		DirectSecret: pulumi.String("myshop-api-db-direct"), CAConfigMap: pulumi.String("myshop-api-rds-ca"),
	}
}

func create(args *databaserole.DatabaseRoleArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		role, err := databaserole.NewDatabaseRole(ctx, "role", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("credential", role.CredentialSecret)
		ctx.Export("user", role.User)
		ctx.Export("job", role.JobName)
		ctx.Export("created", role.Created)
		return nil
	}
}

func environment(job *componenttest.Resource) map[string]any {
	env := map[string]any{}
	list, _ := job.At("spec", "template", "spec", "containers", 0, "env").([]any)
	for _, v := range list {
		env[componenttest.At(v, "name").(string)] = componenttest.At(v, "value")
	}
	return env
}

func TestGenerationsAlternateBetweenTwoUsers(t *testing.T) {
	t.Parallel()
	for generation, user := range map[int]string{
		1: "myshop_app_a", 2: "myshop_app_b", 3: "myshop_app_a",
		10: "myshop_app_b",
	} {
		args := arguments()
		args.Generation = generation
		recorded := componenttest.Run(t, create(args))
		secret := recorded.One(t, externalSecret)
		name := fmt.Sprintf("pgbouncer-database-%d", generation)
		assert.Equal(t, name, secret.At("metadata", "name"))
		assert.Equal(t, fmt.Sprintf("role-credential-%d", generation), secret.Name,
			"another resource, so that the old one is deleted after the pool has changed")
		assert.Equal(t, map[string]any{"username": user, "password": "{{ .password }}"},
			secret.At("spec", "target", "template", "data"))
		job := recorded.One(t, jobType)
		assert.Equal(t, user, environment(job)["ROLE_USER"])
		assert.Equal(t, name, job.At("spec", "template", "spec", "volumes", 2, "secret", "secretName"))
		assert.Equal(t, user, recorded.Outputs["user"])
		assert.Equal(t, name, recorded.Outputs["credential"])
		assert.Equal(t, componenttest.Created, recorded.Outputs["created"])
	}
}

func TestThePasswordIsCreatedOnceInTheCluster(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	secret := recorded.One(t, externalSecret)
	assert.Equal(t, "CreatedOnce", secret.At("spec", "refreshPolicy"), "a generator runs at every refresh")
	assert.Equal(t, "condition=Ready", secret.At("metadata", "annotations", "pulumi.com/waitFor"))
	assert.Equal(t, "Password", secret.At("spec", "dataFrom", 0, "sourceRef", "generatorRef", "kind"))
	assert.True(t, secret.DeleteBeforeReplace)
	for _, resource := range recorded.Each() {
		assert.Empty(t, resource.Secrets, "no secret passes through the program: %s", resource.URN)
	}
}

func TestTheJobRunsAgainWhenItsContentChanges(t *testing.T) {
	t.Parallel()
	name := func(change func(*databaserole.DatabaseRoleArgs)) string {
		args := arguments()
		change(args)
		return componenttest.Run(t, create(args)).One(t, jobType).At("metadata", "name").(string)
	}
	same := name(func(*databaserole.DatabaseRoleArgs) {})
	assert.Equal(t, same, name(func(a *databaserole.DatabaseRoleArgs) { a.DeadlineSeconds = 900 }),
		"the deadline does not change what runs")
	for what, change := range map[string]func(*databaserole.DatabaseRoleArgs){
		"generation": func(a *databaserole.DatabaseRoleArgs) { a.Generation = 2 },
		"name":       func(a *databaserole.DatabaseRoleArgs) { a.Name = "shop_app" },
		"image":      func(a *databaserole.DatabaseRoleArgs) { a.Image = "registry.example/pgbouncer:2" },
		"IAM user":   func(a *databaserole.DatabaseRoleArgs) { a.IAMUser = "myshop_iam" },
	} {
		assert.NotEqual(t, same, name(change), what)
	}
}

func TestTheJobIsAwaitedTriedAgainAndKeepsItsLogs(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	job := recorded.One(t, jobType)
	assert.Equal(t, "true", job.At("metadata", "annotations", "pulumi.com/replaceUnready"))
	assert.Equal(t, "660", job.At("metadata", "annotations", "pulumi.com/timeoutSeconds"))
	assert.Equal(t, "Never", job.At("spec", "template", "spec", "restartPolicy"))
	assert.EqualValues(t, 600, job.At("spec", "activeDeadlineSeconds"))
	assert.Nil(t, job.At("spec", "ttlSecondsAfterFinished"))
	assert.True(t, job.DeleteBeforeReplace)
	assert.True(t, recorded.Follows(job, recorded.One(t, externalSecret)))
	assert.True(t, recorded.Follows(job, recorded.One(t, policyType)))
}

// Every user of a node can read the arguments of its processes.
func TestNoCredentialIsAnArgument(t *testing.T) {
	t.Parallel()
	container := componenttest.Run(t, create(arguments())).One(t, jobType).At("spec", "template", "spec", "containers",
		0)
	assert.Equal(t, []any{"sh", "/etc/bootstrap/bootstrap.sh"}, componenttest.At(container, "command"))
	assert.Nil(t, componenttest.At(container, "args"))
	assert.Equal(t, "myshop-api-db-direct", componenttest.At(container, "envFrom", 0, "secretRef", "name"))
	assert.NotContains(t, environment(componenttest.Run(t, create(arguments())).One(t, jobType)), "PGPASSWORD")
	script, err := os.ReadFile("bootstrap.sh")
	require.NoError(t, err)
	for line := range strings.Lines(string(script)) {
		if strings.Contains(line, "psql ") && !strings.HasPrefix(line, "#") {
			assert.NotContains(t, line, "DATABASE_URL")
			assert.NotContains(t, line, "$password")
		}
	}
}

func TestTheIAMUserIsCreatedOnlyOnRequest(t *testing.T) {
	t.Parallel()
	args := arguments()
	assert.NotContains(t, environment(componenttest.Run(t, create(args)).One(t, jobType)), "ROLE_IAM_USER")
	args.IAMUser = "myshop_iam"
	assert.Equal(t, "myshop_iam", environment(componenttest.Run(t, create(args)).One(t, jobType))["ROLE_IAM_USER"])
}

func TestThePodMeetsTheRestrictedStandardAndReachesOnlyResolverAndDatabase(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	pod := recorded.One(t, jobType).At("spec", "template", "spec")
	assert.Equal(t, true, componenttest.At(pod, "securityContext", "runAsNonRoot"))
	assert.Equal(t, false, componenttest.At(pod, "automountServiceAccountToken"))
	assert.Equal(t, true, componenttest.At(pod, "containers", 0, "securityContext", "readOnlyRootFilesystem"))
	assert.Equal(t, []any{"ALL"}, componenttest.At(pod, "containers", 0, "securityContext", "capabilities", "drop"))
	policy := recorded.One(t, policyType)
	assert.Equal(t, databaserole.PodName("pgbouncer"),
		policy.At("spec", "podSelector", "matchLabels", "app.kubernetes.io/name"))
	assert.Nil(t, policy.At("spec", "ingress"))
	assert.EqualValues(t, 5432, policy.At("spec", "egress", 1, "ports", 0, "port"))
}

func TestOptionsOfTheComponentStayWithIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(), pulumi.IgnoreChanges([]string{"metadata"})))
	for _, resource := range recorded.Each() {
		if resource.Type == databaserole.Type {
			assert.Equal(t, []string{"metadata"}, resource.IgnoreChanges)
			continue
		}
		assert.Empty(t, resource.IgnoreChanges, resource.URN)
		assert.Equal(t, databaserole.Type+"::role", componenttest.ParentOf(resource))
	}
}

func TestInputsKeepTheirSecretness(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.DirectSecret = pulumi.ToSecret(pulumi.String("hidden")).(pulumi.StringOutput)
	assert.NotEmpty(t, componenttest.Run(t, create(args)).One(t, jobType).Secrets)
}

func TestAnyObjectNameGivesNamesWithinTheLimits(t *testing.T) {
	t.Parallel()
	for _, length := range []int{1, 30, 50, 63} {
		args := arguments()
		args.ObjectName, args.Generation = strings.Repeat("p", length), 1<<31-1
		for _, resource := range componenttest.Run(t, create(args)).Each() {
			if name, ok := resource.At("metadata", "name").(string); ok {
				assert.True(t, validation.Label.Matches(name), "%s: %q", resource.URN, name)
			}
		}
	}
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	recorded, err := componenttest.Try(create(&databaserole.DatabaseRoleArgs{
		Settings: databaserole.Settings{
			Name: "pg_app", Generation: 0, IAMUser: "My", Image: "a b", WaitSeconds: -1,
			DeadlineSeconds: 5,
		},
		Service: "My Shop", DatabasePort: -1, UID: -1,
	}))
	require.Error(t, err)
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`name: "pg_app": want 1 to 61`, `generation: 0: want`, `iamUser: "My": want 1 to 63`, `image: "a b": has white space`,
		`waitSeconds: -1: want`,
		`deadlineSeconds: 5: want`, `service: "My Shop"`, `namespace: ""`, `objectName: ""`, `directSecret: is missing`,
		`caConfigMap: is missing`,
		`databasePort: -1`, `uid: -1`,
	} {
		require.ErrorContains(t, err, fault)
	}
	args := arguments()
	args.IAMUser = "myshop_app_b"
	_, err = componenttest.Try(create(args))
	require.ErrorContains(t, err, `iamUser: "myshop_app_b": is already the name of the role`)
	_, err = componenttest.Try(create(nil))
	require.ErrorContains(t, err, "no arguments given")
	_, err = componenttest.Try(func(ctx *pulumi.Context) error {
		_, err := databaserole.NewDatabaseRole(ctx, "", arguments())
		return err
	})
	assert.ErrorContains(t, err, "DatabaseRole : registering it: ", "a resource must have a name")
}

// A name is either invalid or reaches psql as the value of a variable: the files that psql and the shell read are the
// same for all names.
func FuzzNamesNeverReachTheScripts(f *testing.F) {
	f.Add("myshop_app", "myshop_iam")
	f.Add(`x"; drop table orders; --`, "a")
	f.Add("a$(id)", "`id`")
	f.Fuzz(func(t *testing.T, name, iam string) {
		args := arguments()
		reference := componenttest.Run(t, create(arguments())).One(t, configMapType).At("data")
		args.Name, args.IAMUser = name, iam
		recorded, err := componenttest.Try(create(args))
		if err != nil {
			return
		}
		assert.Equal(t, reference, recorded.One(t, configMapType).At("data"))
		job := recorded.One(t, jobType)
		assert.Equal(t, []any{"sh", "/etc/bootstrap/bootstrap.sh"},
			job.At("spec", "template", "spec", "containers", 0, "command"))
		for _, role := range []string{name, name + "_a", name + "_b", iam} {
			assert.LessOrEqual(t, len(role), 63, "PostgreSQL truncates longer names, so that two could become one")
			assert.Regexp(t, `^[a-z0-9_]*$`, role)
		}
	})
}
