package migrationjob

import (
	_ "embed"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Console describes how to reach the PgBouncer consoles of a pool.
type Console struct {
	// Host is a DNS name with the address of each of the pool's pods. Port is PgBouncer's port on the pods.
	Host pulumi.StringInput
	Port int
	// Secret with the username and password of a user that may RECONNECT.
	Secret pulumi.StringInput
	// PoolName is the value of the label app.kubernetes.io/name of the pool's pods.
	PoolName string
	// Image that contains psql, getent and sh.
	Image string
	// UID is the user and group to run as, from 1. Default 10001.
	UID int
	// WaitSeconds is how long to wait for a pod that accepts no connections, 1 to 3600. A pod that stops waits for its
	// last clients for at most the pool's grace period. Default 180.
	WaitSeconds int
	// DependsOn must exist first: the pool's pods.
	DependsOn []pulumi.Resource
}

//go:embed reconnect.sh
var reconnectScript string

// reconnectTask names the Job, its pods and their container.
const reconnectTask = "reconnect"

// attempts allows for a node that fails during the first attempt.
const attempts = 2

func (c *Console) setDefaults() {
	if c.UID == 0 {
		c.UID = workload.DefaultUID
	}
	if c.WaitSeconds == 0 {
		c.WaitSeconds = 180
	}
}

func (c *Console) validate() error {
	var faults fault.List
	faults.Check(c.Host != nil, "host", nil, "is missing: a DNS name with the address of each of the pool's pods")
	faults.Between("port", c.Port, 1, 65535, "")
	faults.Check(c.Secret != nil, "secret", nil, "is missing: the Secret with the console's username and password")
	faults.Form("poolName", c.PoolName, validation.Label)
	workload.CheckImage(&faults, "image", c.Image)
	workload.CheckUID(&faults, c.UID)
	faults.Between("waitSeconds", c.WaitSeconds, 1, 3600, "seconds")
	return faults.Err()
}

// ReconnectPodName returns the name label of the pods that make a service's pool reconnect.
func ReconnectPodName(service string) string { return workload.JobPodName(service, reconnectTask) }

// reconnectJob follows a completed migration. Its content includes the name of the migration's Job, so it runs once a
// migration.
func (a *MigrationJobArgs) reconnectJob(migration string, after pulumi.Resource) *workload.Job {
	pool := a.Pool
	env := [][2]string{
		{"PGAPPNAME", "dbtier-reconnect"},
		{"PGCONNECT_TIMEOUT", "5"},
		{"PGDATABASE", "pgbouncer"},
		{"PGPORT", strconv.Itoa(pool.Port)},
		{"POOL_WAIT_SECONDS", strconv.Itoa(pool.WaitSeconds)},
	}
	return &workload.Job{
		Owner: a.Service, Task: reconnectTask, Service: a.Service, Namespace: a.Namespace,
		Content: struct {
			Migration, Image, Script string
			Env                      [][2]string
		}{migration, pool.Image, reconnectScript, env},
		Image: pool.Image, Command: []string{"sh", "-c", reconnectScript},
		Env: slices.Concat([]workload.Variable{{Name: "POOL_HOST", Value: pool.Host}}, workload.Variables(env...),
			[]workload.Variable{
				{Name: "PGUSER", Secret: pool.Secret, Key: contract.UsernameKey},
				{Name: "PGPASSWORD", Secret: pool.Secret, Key: contract.PasswordKey},
			}),
		Resources: workload.Resources{CPURequest: "10m", MemoryRequest: "16Mi", CPULimit: "500m", MemoryLimit: "64Mi"},
		UID:       pool.UID, Scheduling: a.Scheduling,
		Port: pool.Port, Pods: pool.PoolName,
		BackoffLimit: attempts - 1, DeadlineSeconds: attempts * (pool.WaitSeconds + 60),
		DependsOn: append([]pulumi.Resource{after}, pool.DependsOn...),
	}
}
