package migrationjob

import (
	"maps"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/workload"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:MigrationJob"

// MigrationJob is a completed migration.
type MigrationJob struct {
	pulumi.ResourceState

	// JobName is the name of the Job.
	JobName pulumi.StringOutput `pulumi:"jobName"`
	// ReconnectJobName is the name of the Job that makes the pool reconnect. It is empty without
	// [MigrationJobArgs].Pool.
	ReconnectJobName pulumi.StringOutput `pulumi:"reconnectJobName"`
	// Done is the last Job, for [pulumi.DependsOn]. The component itself is not a safe dependency: the SDK adds
	// children to a component concurrently, so a dependency on a new component may miss them.
	Done []pulumi.Resource
}

// NewMigrationJob runs the migration. Before it creates anything, it returns every fault of the arguments at once.
// Whatever must not start before the schema is migrated takes [pulumi.DependsOn] with the field Done.
func NewMigrationJob(
	ctx *pulumi.Context, name string, args *MigrationJobArgs, opts ...pulumi.ResourceOption,
) (*MigrationJob, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, args *MigrationJobArgs, migration *MigrationJob) error {
	job := args.job()
	done, err := workload.NewJob(s, s.Child("job"), job)
	if err != nil {
		return err
	}
	migration.JobName, migration.Done = done.Name, []pulumi.Resource{done.Resource}
	if args.Pool == nil {
		return nil
	}
	migrationName, err := job.Name()
	if err != nil {
		return err
	}
	s.Name = s.Child("reconnect")
	reconnected, err := workload.NewJob(s, s.Name, args.reconnectJob(migrationName, done.Resource))
	if err != nil {
		return err
	}
	migration.ReconnectJobName, migration.Done = reconnected.Name, []pulumi.Resource{reconnected.Resource}
	return nil
}

func (a *MigrationJobArgs) job() *workload.Job {
	mounts := []workload.Mount{workload.Scratch()}
	if a.CAConfigMap != nil {
		mounts = append(mounts, workload.File("rds-ca", a.CAConfigMap, contract.CAKey, contract.CAPath))
	}
	var env []workload.Variable
	for _, key := range slices.Sorted(maps.Keys(a.Env)) {
		env = append(env, workload.Variable{Name: key, Value: pulumi.String(a.Env[key])})
	}
	return &workload.Job{
		Owner: a.Service, Task: task, Service: a.Service, Namespace: a.Namespace,
		Content: a.content(), Image: a.Image, Command: a.Command, Env: env, EnvSecret: a.DirectSecret, Mounts: mounts,
		Resources: a.Resources, UID: a.UID, Scheduling: a.Scheduling, ServiceAccount: a.ServiceAccount,
		Port: a.DatabasePort, BackoffLimit: a.BackoffLimit, DeadlineSeconds: a.DeadlineSeconds, Trigger: a.DatabaseLife,
	}
}
