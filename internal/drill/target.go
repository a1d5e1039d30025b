package drill

import (
	"context"
	"fmt"
	"time"

	"dbtier/internal/drill/report"
	"dbtier/internal/kubectl"
)

// Target is the stack that a drill runs on.
type Target struct {
	// Stack is its name, and Cloud where it is: aws or local.
	Stack, Cloud string
	Local        bool
	// Namespace of the service, its Deployment, and the Deployment of PgBouncer; the last is empty with RDS Proxy.
	Namespace, Service, Pool string
	// PoolContainer is the container of PgBouncer, and PoolSocketDir the folder of its socket. Databases are those of
	// the service at the pool.
	PoolContainer, PoolSocketDir string
	Databases                    []string
	// PartOf is the name of the service as a whole, which the objects of its namespace are labelled with.
	PartOf string
	// OperatorNamespace has the operator that the stack installs; empty if another stack does.
	OperatorNamespace string
	// DatabaseSecret is the Secret with the service's DATABASE_URL.
	DatabaseSecret string
	// Credential is the Secret with the login of the application's role at the database itself, DirectSecret that with
	// the address, and CAConfigMap has the certificates that verify it. They are empty without such a role.
	Credential, DirectSecret, CAConfigMap string
	// Instance is the identifier of the DB instance, and MasterSecretArn the secret of its master user.
	Instance, MasterSecretArn string
	MultiAZ, Migrates         bool
	// Generation of the application's role in the stack's file.
	Generation int
	// Image of the load, and the number of Connections that it may open.
	Image       string
	Connections int
	// Lifetime is how long the service keeps a connection at most, and so the load. 0 means for good.
	Lifetime time.Duration
	// Versions and Settings are shown in the report.
	Versions, Settings []report.Fact
}

// Kubectl runs kubectl on the stack's cluster. A [kubectl.Client] does.
type Kubectl interface {
	Run(ctx context.Context, stdin string, args ...string) (string, error)
	Get(ctx context.Context, into any, namespace string, what ...string) error
}

var _ Kubectl = (*kubectl.Client)(nil)

// Runner runs drills on a stack.
type Runner struct {
	Target  Target
	Kubectl Kubectl
	// AWS runs the AWS CLI with the rights of the person, and returns what it printed.
	AWS func(ctx context.Context, args ...string) (string, error)
	// Account returns an error if the AWS CLI is logged in to another account than that of the stack.
	Account func(ctx context.Context) error
	// Fault runs `dbtier local fault` with the arguments.
	Fault func(ctx context.Context, args ...string) error
	// Update updates the stack, with values in place of those of its file, each as key=value.
	Update func(ctx context.Context, values ...string) error
	// Repair updates the stack after a look at its real resources, so that what was lost is made again.
	Repair func(ctx context.Context) error
	// Say prints a line for a person.
	Say func(format string, args ...any)
	// Steady is how long the load runs before the fault, and after it has healed.
	Steady time.Duration
	// Rate is the number of requests per second of each client.
	Rate int
	// Direct makes the load connect to the database itself, past the pool.
	Direct bool

	record record
	events []report.Event
	// lasts replaces the time that faults last, if it is not zero.
	lasts time.Duration
	// restored is what a drill has restored.
	restored *report.Restored
}

// event records what happened, and tells it.
func (r *Runner) event(kind, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.events = append(r.events, report.Event{At: time.Now(), Text: text, Kind: kind})
	r.Say("%s", text)
}

// caused, healed and noted record the events of a drill.
func (r *Runner) caused(format string, args ...any) { r.event(report.Fault, format, args...) }
func (r *Runner) healed(format string, args ...any) { r.event(report.Healed, format, args...) }
func (r *Runner) noted(format string, args ...any)  { r.event(report.Note, format, args...) }
