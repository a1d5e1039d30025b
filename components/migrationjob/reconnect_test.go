package migrationjob_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/contract"
	"dbtier/components/migrationjob"
	"dbtier/validation"
)

const (
	jobType    = "kubernetes:batch/v1:Job"
	policyType = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
)

func console() *migrationjob.Console {
	return &migrationjob.Console{
		Host: pulumi.String("pgbouncer-pods.myshop.svc"), Port: 6432, Secret: pulumi.String("pgbouncer-console"),
		PoolName: "pgbouncer",
		Image:    "registry.example/pgbouncer:1.24.1-1_deb13u2",
	}
}

func pooled() *migrationjob.MigrationJobArgs {
	args := arguments()
	args.Pool = console()
	return args
}

func reconnection(t *testing.T, args *migrationjob.MigrationJobArgs) *componenttest.Resource {
	t.Helper()
	return componenttest.Run(t, create(args)).Named(t, jobType, "migration-reconnect")
}

func TestThePoolReconnectsAfterTheMigrationAndBeforeWhatWaitsForIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		pool, err := corev1.NewSecret(ctx, "pool",
			&corev1.SecretArgs{Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("pool")}})
		if err != nil {
			return err
		}
		args := pooled()
		args.Pool.DependsOn = []pulumi.Resource{pool}
		job, err := migrationjob.NewMigrationJob(ctx, "migration", args)
		if err != nil {
			return err
		}
		ctx.Export("reconnect", job.ReconnectJobName)
		_, err = corev1.NewSecret(ctx, "pods", &corev1.SecretArgs{}, pulumi.DependsOn(job.Done))
		return err
	})
	migration, reconnect := recorded.Named(t, jobType, "migration-job"),
		recorded.Named(t, jobType, "migration-reconnect")
	pool := recorded.Named(t, "kubernetes:core/v1:Secret", "pool")
	assert.True(t, recorded.Follows(reconnect, migration))
	assert.True(t, recorded.Follows(reconnect, pool))
	assert.False(t, recorded.Follows(migration, pool), "the migration runs while the pool starts")
	assert.True(t, recorded.Follows(recorded.Named(t, "kubernetes:core/v1:Secret", "pods"), reconnect))
	assert.Equal(t, reconnect.At("metadata", "name"), recorded.Outputs["reconnect"])
	assert.Equal(t, "Never", reconnect.At("spec", "template", "spec", "restartPolicy"),
		"the log of a failed attempt is kept")
	assert.Equal(t, "true", reconnect.At("metadata", "annotations", "pulumi.com/replaceUnready"),
		"a failed Job is tried again")
	assert.Nil(t, reconnect.At("spec", "ttlSecondsAfterFinished"))
	assert.True(t, reconnect.DeleteBeforeReplace)
}

func TestThereIsOneReconnectionForEachMigration(t *testing.T) {
	t.Parallel()
	name := func(change func(*migrationjob.MigrationJobArgs)) any {
		args := pooled()
		change(args)
		return reconnection(t, args).At("metadata", "name")
	}
	same := name(func(*migrationjob.MigrationJobArgs) {})
	assert.Equal(t, same, name(func(a *migrationjob.MigrationJobArgs) { a.DeadlineSeconds = 900 }))
	assert.NotEqual(t, same, name(func(a *migrationjob.MigrationJobArgs) {
		a.Image = "registry.example/myshop-api:1.5.0"
	}))
	migration := func(change func(*migrationjob.MigrationJobArgs)) any {
		args := pooled()
		change(args)
		return componenttest.Run(t, create(args)).Named(t, jobType, "migration-job").At("metadata", "name")
	}
	assert.Equal(t, migration(func(*migrationjob.MigrationJobArgs) {}),
		migration(func(a *migrationjob.MigrationJobArgs) { a.Pool.Image = "other:1" }),
		"another image of the pool does not migrate again")
}

func TestTheReconnectionHasTheConsolesPasswordAndNothingOfTheDatabase(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(pooled()))
	reconnect := recorded.Named(t, jobType, "migration-reconnect")
	pod := reconnect.At("spec", "template", "spec")
	env, _ := componenttest.At(pod, "containers", 0, "env").([]any)
	values, secrets := map[string]any{}, map[string]any{}
	for _, variable := range env {
		name, _ := componenttest.At(variable, "name").(string)
		if ref := componenttest.At(variable, "valueFrom", "secretKeyRef"); ref != nil {
			secrets[name] = ref
		} else {
			values[name] = componenttest.At(variable, "value")
		}
	}
	assert.Equal(t, map[string]any{
		"PGUSER":     map[string]any{"name": "pgbouncer-console", "key": "username"},
		"PGPASSWORD": map[string]any{"name": "pgbouncer-console", "key": "password"},
	}, secrets)
	assert.Equal(t, map[string]any{
		"POOL_HOST": "pgbouncer-pods.myshop.svc", "POOL_WAIT_SECONDS": "180", "PGPORT": "6432",
		"PGDATABASE": "pgbouncer", "PGCONNECT_TIMEOUT": "5",
		"PGAPPNAME": "dbtier-reconnect",
	}, values)
	assert.NotContains(t, reconnect.Text(), "db-direct")
	account := recorded.One(t, "kubernetes:core/v1:ServiceAccount")
	assert.Equal(t, "myshop-api-reconnect", account.At("metadata", "name"))
	assert.Equal(t, false, account.At("automountServiceAccountToken"))
	assert.Equal(t, "myshop-api-reconnect", componenttest.At(pod, "serviceAccountName"),
		"the service's account may have a role in AWS")
	assert.Equal(t, true, componenttest.At(pod, "securityContext", "runAsNonRoot"))
	assert.Equal(t, []any{"ALL"}, componenttest.At(pod, "containers", 0, "securityContext", "capabilities", "drop"))

	policy := recorded.Named(t, policyType, "migration-reconnect-network")
	podName := componenttest.At(reconnect.At("spec", "template", "metadata", "labels"), contract.NameLabel)
	assert.Equal(t, migrationjob.ReconnectPodName("myshop-api"), podName)
	assert.Equal(t, podName, policy.At("spec", "podSelector", "matchLabels", contract.NameLabel))
	assert.Nil(t, policy.At("spec", "ingress"))
	assert.Equal(t, map[string]any{
		"to": []any{map[string]any{"podSelector": map[string]any{
			"matchLabels": map[string]any{contract.NameLabel: "pgbouncer"},
		}}},
		"ports": []any{map[string]any{"port": 6432.0, "protocol": "TCP"}},
	}, policy.At("spec", "egress", 1))
	assert.True(t, recorded.Follows(reconnect, policy))
}

func TestAnyServiceNameGivesTheReconnectionNamesWithinTheLimits(t *testing.T) {
	t.Parallel()
	for length := 1; length <= 63; length++ {
		args := pooled()
		args.Service = strings.Repeat("s", length)
		for _, resource := range componenttest.Run(t, create(args)).Each() {
			if name, _ := resource.At("metadata", "name").(string); resource.Custom {
				assert.True(t, validation.Label.Matches(name), "%s of a service name of %d characters: %q",
					resource.Type, length,
					name)
			}
		}
	}
}

func TestOptionsOfTheComponentStayWithIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(pooled(), pulumi.IgnoreChanges([]string{"spec"})))
	component := recorded.One(t, migrationjob.Type)
	assert.Equal(t, []string{"spec"}, component.IgnoreChanges)
	for _, child := range recorded.Each() {
		if child != component {
			assert.Equal(t, component.URN, componenttest.ParentOf(child), child.URN)
			assert.Empty(t, child.IgnoreChanges, child.URN)
		}
	}
}

func TestFaultsOfThePoolsConsole(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Pool = &migrationjob.Console{Port: 70000, PoolName: "*", UID: -1, WaitSeconds: 4000}
	recorded, err := componenttest.Try(create(args))
	require.Error(t, err)
	assert.Empty(t, recorded.Each())
	for _, path := range []string{
		"pool.host:", "pool.port:", "pool.secret:", "pool.poolName:", "pool.image:",
		"pool.uid:", "pool.waitSeconds:",
	} {
		require.ErrorContains(t, err, path)
	}
	assert.Equal(t, 4000, args.Pool.WaitSeconds)
}

// runScript runs the Job's script with a fake resolver and a fake psql. addresses is the resolver's answer. tries is
// the number of attempts that each address refuses, or "gone" if its pod disappears.
func runScript(t *testing.T, addresses string, tries map[string]string) (said string, calls []string, err error) {
	t.Helper()
	container := reconnection(t, pooled()).At("spec", "template", "spec", "containers", 0)
	command, _ := componenttest.At(container, "command").([]any)
	dir := t.TempDir()
	for name, script := range map[string]string{
		"getent": `[ "$1 $2" = "ahosts $POOL_HOST" ] || exit 2; cat "$DIR/addresses"`,
		"psql": `case "$*" in *"SHOW SERVERS"*)
  logins=$(cat "$DIR/$PGHOSTADDR-logins" 2>/dev/null || echo 0)
  [ "$logins" = 0 ] || { echo $((logins - 1)) >"$DIR/$PGHOSTADDR-logins"; echo "S|app|myshop|new|10.0.0.9|5432"; }
  exit 0
esac
echo "$PGHOSTADDR $*" >>"$DIR/calls"
left=$(cat "$DIR/$PGHOSTADDR")
[ "$left" != gone ] || { : >"$DIR/addresses"; echo "refused" >&2; exit 2; }
[ "$left" = 0 ] || { echo $((left - 1)) >"$DIR/$PGHOSTADDR"; echo "refused" >&2; exit 2; }`,
		"sleep": "exit 0",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "addresses"), []byte(addresses), 0o600))
	for address, text := range tries {
		require.NoError(t, os.WriteFile(filepath.Join(dir, address), []byte(text+"\n"), 0o600))
	}
	run := exec.CommandContext(t.Context(), command[0].(string), command[1].(string), command[2].(string))
	run.Env = []string{
		"PATH=" + dir + ":/usr/bin:/bin", "DIR=" + dir, "POOL_HOST=pgbouncer-pods.myshop.svc",
		"POOL_WAIT_SECONDS=12",
	}
	out, err := run.CombinedOutput()
	text, _ := os.ReadFile(filepath.Join(dir, "calls"))
	return string(out), strings.Split(strings.TrimSpace(string(text)), "\n"), err
}

const twoPods = "10.0.0.1 STREAM pods\n10.0.0.1 DGRAM\n10.0.0.2 STREAM pods\n10.0.0.2 DGRAM\n"

func TestEveryPodOfThePoolReconnectsOnce(t *testing.T) {
	t.Parallel()
	said, calls, err := runScript(t, twoPods, map[string]string{"10.0.0.1": "0", "10.0.0.2": "0"})
	require.NoError(t, err, said)
	const options = " --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --command=RECONNECT"
	assert.Equal(t, []string{"10.0.0.1" + options, "10.0.0.2" + options}, calls)
}

func TestAPodThatTakesNoConnectionsIsTriedAgain(t *testing.T) {
	t.Parallel()
	said, calls, err := runScript(t, twoPods, map[string]string{"10.0.0.1": "0", "10.0.0.2": "2"})
	require.NoError(t, err, said)
	assert.Len(t, calls, 4, "the first pod does not get the command again")
}

// RECONNECT would break off the login.
func TestALoginInProgressDelaysTheReconnection(t *testing.T) {
	t.Parallel()
	const options = " --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --command=RECONNECT"
	said, calls, err := runScript(t, twoPods,
		map[string]string{"10.0.0.1": "0", "10.0.0.2": "0", "10.0.0.1-logins": "2"})
	require.NoError(t, err, said)
	assert.Equal(t, []string{"10.0.0.2" + options, "10.0.0.1" + options}, calls)
	said, calls, err = runScript(t, twoPods,
		map[string]string{"10.0.0.1": "0", "10.0.0.2": "0", "10.0.0.1-logins": "99"})
	require.NoError(t, err, "a pool that never stops logging in also gets the command: %s", said)
	assert.Len(t, calls, 2)
}

func TestAPodThatHasDisappearedIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	said, _, err := runScript(t, twoPods, map[string]string{"10.0.0.1": "0", "10.0.0.2": "gone"})
	require.NoError(t, err, said)
}

func TestAPodThatCannotBeReachedFailsTheJobByName(t *testing.T) {
	t.Parallel()
	said, _, err := runScript(t, twoPods, map[string]string{"10.0.0.1": "0", "10.0.0.2": "99"})
	require.Error(t, err)
	assert.Contains(t, said, "were not reached: 10.0.0.2\n")
	said, _, err = runScript(t, "", nil)
	require.Error(t, err, "a pool without pods cannot reconnect")
	assert.Contains(t, said, "pgbouncer-pods.myshop.svc has no address")
}
