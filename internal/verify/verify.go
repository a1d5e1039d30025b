package verify

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"dbtier/internal/redact"
)

// Target names the parts of a tier.
type Target struct {
	// Stack is the stack's name, for the commands that a failed check suggests.
	Stack string
	// OperatorNamespace is the namespace of the External Secrets Operator, for a stack without a service. The fields
	// about a service are then empty.
	OperatorNamespace string
	// Namespace of the service and its pool.
	Namespace string
	// Deployment of the service and its Container.
	Deployment, Container string
	// Secret with the service's DATABASE_URL.
	Secret string
	// Pool is the Deployment of PgBouncer, PoolContainer its container.
	Pool, PoolContainer string
	// SessionDatabase is the pool's name of the service's database for people and tools.
	SessionDatabase string
	// PoolSocketDir is the folder of PgBouncer's Unix socket in that container. Its console needs no password there.
	PoolSocketDir string
	// DatabaseHost and DatabasePort are the instance's endpoint.
	DatabaseHost, DatabasePort string
	// Proxy is the RDS Proxy if the tier has one instead of PgBouncer; the pool's fields are then empty. Tokens is true
	// if the service logs in to it with tokens.
	Proxy  string
	Tokens bool
	// Bootstrap is the Job that created the application's role, if there is one. Its image has psql.
	Bootstrap string
	// Credential is the Secret with the generated password that the Job gave the database user. Login is the Secret
	// with the service's generated password for the pool. Each is empty if the tier has none.
	Credential, Login string
	// DatabaseUser is the user whose password the Credential is.
	DatabaseUser string
	// ExternalSecrets are the names of the service's ExternalSecrets.
	ExternalSecrets []string
	// Role is the ARN of the role that only ServiceAccount, in ServiceAccountNamespace, can assume.
	Role, ServiceAccount, ServiceAccountNamespace string
	// STS is the endpoint of the security token service.
	STS string
	// Kubectl is the kubectl command that a person would type for the cluster.
	Kubectl string
}

// Kubectl runs kubectl on the target's cluster.
type Kubectl interface {
	Run(ctx context.Context, stdin string, args ...string) (string, error)
	Get(ctx context.Context, into any, namespace string, what ...string) error
}

// Check is the result of one check.
type Check struct {
	// Name is for programs, Title for people.
	Name  string `json:"name"`
	Title string `json:"title"`
	OK    bool   `json:"ok"`
	// Detail is what a check that passed has seen.
	Detail string `json:"detail,omitempty"`
	// Cause is what is wrong. Next is the command that fixes it or shows more.
	Cause string `json:"cause,omitempty"`
	Next  string `json:"next,omitempty"`
	// Seconds is the duration.
	Seconds float64 `json:"seconds"`
}

// Verifier runs the checks.
type Verifier struct {
	Target  Target
	Kubectl Kubectl
	// HTTP is the client for STS. Default http.DefaultClient.
	HTTP *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Timeout is the limit of each check. Default 90 s, because a check may have to start a pod.
	Timeout time.Duration

	secrets redact.Redactor

	stand    sync.Once
	standPod string
	standErr error
	// lasting is how long a temporary pod lives. Default 5 minutes.
	lasting time.Duration
	// made are the temporary pods.
	madeMutex sync.Mutex
	made      []string
}

// finding is a failure with the next command.
type finding struct{ cause, next string }

func (f *finding) Error() string { return f.cause }

// found returns a failure with the next command. The format is that of the cause.
func found(next, format string, args ...any) *finding {
	return &finding{fmt.Sprintf(format, args...), next}
}

// Run runs all checks at the same time and returns the results in the order of the chain.
func (v *Verifier) Run(ctx context.Context) []Check {
	if v.HTTP == nil {
		v.HTTP = http.DefaultClient
	}
	if v.Now == nil {
		v.Now = time.Now
	}
	if v.Timeout == 0 {
		v.Timeout = 90 * time.Second
	}
	type check struct {
		name, title string
		run         func(context.Context) (string, error)
	}
	checks := []check{
		{"secret", "the Secret holds a working DATABASE_URL", v.secret},
		{"query", "SELECT version() from a service pod", v.query},
		{"pool", "SHOW POOLS on PgBouncer", v.pool},
		{"sessions", "the service's server connections keep nothing that a client set", v.sessions},
		{"isolation", "another pod of the namespace reaches neither database nor pool", v.isolation},
		{"externalsecrets", "ExternalSecrets are Ready and fresh", v.externalSecrets},
		{"passwords", "PostgreSQL and the service have the generated passwords", v.passwords},
		{"irsa", "the ServiceAccount's token gets its role, others do not", v.irsa},
	}
	if v.Target.Proxy != "" {
		// RDS Proxy lends a server connection on which something was set to no other client.
		checks = slices.Replace(checks, 2, 4, check{"service", "the service is ready behind RDS Proxy", v.service})
	}
	if v.Target.Tokens {
		checks = slices.Delete(checks, 1, 2)
	}
	if v.Target.OperatorNamespace != "" {
		checks = []check{{"operator", "the External Secrets Operator runs and serves its API", v.operator}}
	}
	results := make([]Check, len(checks))
	var running sync.WaitGroup
	for i, check := range checks {
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, v.Timeout)
			defer cancel()
			started := v.Now()
			detail, err := check.run(ctx)
			results[i] = Check{
				Name: check.name, Title: check.title, OK: err == nil, Detail: detail,
				Seconds: v.Now().Sub(started).Round(10 * time.Millisecond).Seconds(),
			}
			if err != nil {
				results[i].Detail = ""
				results[i].Cause, results[i].Next = v.explain(ctx, err)
			}
		})
	}
	running.Wait()
	v.removePods(ctx)
	// Only now are all secrets known that a text could contain.
	for i := range results {
		results[i].Detail = v.secrets.Clean(results[i].Detail)
		results[i].Cause = v.secrets.Clean(results[i].Cause)
	}
	return results
}

// Failed returns the number of checks that failed.
func Failed(checks []Check) (failed int) {
	for _, c := range checks {
		if !c.OK {
			failed++
		}
	}
	return failed
}
