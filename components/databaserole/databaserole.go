package databaserole

import (
	_ "embed"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/object"
	"dbtier/components/workload"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:DatabaseRole"

const (
	// task names the bootstrap's Job, its pods and their container.
	task = "bootstrap"
	// The scripts expect their files and the credential in these folders.
	filesDir      = "/etc/bootstrap"
	credentialDir = "/etc/credential" //nolint:gosec // a folder, and no credential
	// backoffLimit allows for a rotation of the master password during an attempt: the next attempt has the new
	// password.
	backoffLimit   = 4
	passwordLength = 40
)

// The files of the bootstrap. They are the same for every service: names are passed to psql as variables, which it
// quotes.
var (
	//go:embed bootstrap.sh
	bootstrapFile string
	//go:embed roles.sql
	rolesFile string
	//go:embed password.sql
	passwordFile string
	//go:embed drills.sql
	drillsFile string
)

func files() map[string]string {
	return map[string]string{
		"bootstrap.sh": bootstrapFile, "roles.sql": rolesFile, "password.sql": passwordFile, "drills.sql": drillsFile,
	}
}

// DatabaseRole is a role in the database.
type DatabaseRole struct {
	pulumi.ResourceState

	// CredentialSecret is the name of the Secret with the username and password of this generation's user. It resolves
	// once the user can log in.
	CredentialSecret pulumi.StringOutput `pulumi:"credentialSecret"`
	// User is this generation's user. It resolves once the user can log in.
	User pulumi.StringOutput `pulumi:"user"`
	// Created is the time at which this generation was first deployed, as in RFC 3339: that of its credential in the
	// cluster. It stays until the generation changes or the credential is created again.
	Created pulumi.StringOutput `pulumi:"created"`
	// JobName is the name of the bootstrap's Job.
	JobName pulumi.StringOutput `pulumi:"jobName"`
	// Done is the completed Job, for [pulumi.DependsOn]. The component itself is not a safe dependency: the SDK adds
	// children to a component concurrently, so a dependency on a new component may miss them.
	Done []pulumi.Resource
}

// NewDatabaseRole creates the role and this generation's password. Before it creates anything, it returns every fault
// of the arguments at once. Whatever creates objects in the database, such as a migration, takes [pulumi.DependsOn]
// with the field Done: the role's rights on the objects come from default privileges.
func NewDatabaseRole(
	ctx *pulumi.Context, name string, args *DatabaseRoleArgs, opts ...pulumi.ResourceOption,
) (*DatabaseRole, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, args *DatabaseRoleArgs, role *DatabaseRole) error {
	credential, err := newCredential(s, args)
	if err != nil {
		return err
	}
	scripts, err := workload.NewConfig(s, s.Child("files"), args.meta(args.ObjectName), task, files())
	if err != nil {
		return err
	}
	job, err := workload.NewJob(s, s.Child("job"), args.job(credential, scripts))
	if err != nil {
		return err
	}
	role.Done = []pulumi.Resource{job.Resource}
	role.JobName = job.Name
	role.CredentialSecret = onceCompleted(job, args.credentialSecret())
	role.User = onceCompleted(job, args.User())
	role.Created = credential.Created
	return nil
}

// onceCompleted returns value as an output that resolves once the Job completes. A preview knows the value.
func onceCompleted(job object.Object, value string) pulumi.StringOutput {
	return job.Name.ApplyT(func(string) string { return value }).(pulumi.StringOutput)
}

// CredentialSecret is the name of a generation's Secret. It contains the generation: the pool reads the Secret of the
// last generation until it gets the new name.
func CredentialSecret(objectName string, generation int) string {
	return contract.Object(objectName, "database", strconv.Itoa(generation))
}

func (a *DatabaseRoleArgs) credentialSecret() string {
	return CredentialSecret(a.ObjectName, a.Generation)
}

func (a *DatabaseRoleArgs) meta(name string) object.Meta {
	return object.Meta{
		Name: name, Namespace: a.Namespace, Labels: workload.Labels(PodName(a.ObjectName), a.Service),
	}
}

// newCredential creates the Secret with this generation's user and password.
func newCredential(s component.Scope, args *DatabaseRoleArgs) (object.Object, error) {
	generator, err := eso.NewGenerator(s.Ctx, s.Child("generator"),
		args.meta(contract.Object(args.ObjectName, "database")), passwordLength, s.Parent)
	if err != nil {
		return object.Object{}, err
	}
	// The resource's name also contains the generation, so that an update deletes the previous generation's Secret
	// last, after the pool has switched.
	return eso.NewLogin(s.Ctx, s.Child("credential-"+strconv.Itoa(args.Generation)), args.meta(args.credentialSecret()),
		args.User(), generator, s.Parent)
}

// environment tells the scripts everything that differs between services.
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
	if a.Proxy {
		env = append(env, [2]string{"ROLE_PROXY", "1"})
	}
	if a.Drills {
		env = append(env, [2]string{"ROLE_DRILLS", "1"})
	}
	return env
}

func (a *DatabaseRoleArgs) job(credential, scripts object.Object) *workload.Job {
	return &workload.Job{
		Owner: a.ObjectName, Task: task, Service: a.Service, Namespace: a.Namespace,
		// The JSON of this struct is hashed into the names of existing Jobs.
		Content: struct {
			Image string
			Env   [][2]string
			Files map[string]string
		}{a.Image, a.environment(), files()},
		Image: a.Image, Command: []string{"sh", filesDir + "/bootstrap.sh"},
		Env: workload.Variables(a.environment()...), EnvSecret: a.DirectSecret,
		Mounts: []workload.Mount{
			workload.Scratch(),
			{Volume: "files", Path: filesDir, ConfigMap: scripts.Name},
			{Volume: "credential", Path: credentialDir, Secret: credential.Name},
			workload.File("rds-ca", a.CAConfigMap, contract.CAKey, contract.CAPath),
		},
		Resources: workload.Resources{CPURequest: "10m", MemoryRequest: "32Mi", CPULimit: "500m", MemoryLimit: "64Mi"},
		UID:       a.UID, Scheduling: a.Scheduling, Port: a.DatabasePort,
		BackoffLimit: backoffLimit, DeadlineSeconds: a.DeadlineSeconds, Trigger: a.DatabaseLife,
	}
}
