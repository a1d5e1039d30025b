package pgbouncer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/fault"
	"dbtier/components/rdsca"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Database is a database that clients can connect to.
type Database struct {
	// Name that clients connect to.
	Name string
	// Host is the instance's endpoint, which is the name in its certificate.
	Host pulumi.StringInput
	// Port of the endpoint.
	Port pulumi.IntInput
	// DBName is the name of the database on the instance. Default: Name.
	DBName string
}

// Credential is the database user the pool logs in as.
type Credential struct {
	// Store that Key is read from. Default: Key is a Secret of the pool's namespace, and the pool's reader gets access
	// to it.
	Store eso.StoreRef
	// Key is the ARN or name of a secret with the keys username and password. Use an output that resolves when the
	// credential is valid: the pool switches to another credential when its key is known.
	Key pulumi.StringInput
	// Generated is the name of the Secret that Key resolves to, if the operator generates its password once. Generation
	// counts its passwords, and User is its username. The pool then keeps a copy of it, which stays valid when that
	// Secret is lost and gets another password. Default: the pool reads Key itself, whose password may change.
	Generated  string
	Generation int
	User       string
	// After is what makes a generated credential valid. The copy is made after it. No input of the copy may come from
	// it: when the engine replaces a resource, it first deletes those whose inputs come from it, and the pool would
	// lose its password.
	After []pulumi.Resource
}

func (c *Credential) validate() error {
	var faults fault.List
	if !c.inCluster() {
		faults.Within("store", c.Store.Validate())
	}
	if c.Generated != "" {
		faults.Form("generated", c.Generated, validation.Label)
		faults.Check(c.inCluster(), "generated", c.Generated, "is for a Secret of the pool's namespace; want no store")
		faults.Check(c.User != "", "user", nil, "is missing: the username of the generated credential")
	}
	faults.Check(c.Key != nil, "key", nil, "is missing: the secret with the database user's username and password")
	return faults.Err()
}

// inCluster reports whether the credential is a Secret of the pool's namespace.
func (c *Credential) inCluster() bool { return c.Store.Kind == "" && c.Store.Name == nil }

// Client is a group of pods that may connect to the pool.
type Client struct {
	// Namespace of the pods. Default: the pool's.
	Namespace string `json:"namespace" example:"reports"`
	// Labels of the pods, at least one.
	Labels map[string]string `json:"labels" example:"{app.kubernetes.io/name: reports}"`
}

// PgBouncerPoolArgs is what [NewPgBouncerPool] needs.
type PgBouncerPoolArgs struct {
	Settings

	// Service is the name of the service's Deployment. The name of its Secret begins with it.
	Service string
	// Namespace of the service and of the pool.
	Namespace string
	// Databases behind the pool. DATABASE_URL names the first.
	Databases []Database
	// Credential is the database user of the service's own login, in all databases.
	Credential Credential
	// Logins besides the service's own. Each has its own database user.
	Logins []Login
	// CABundle holds the certificates, in PEM, of the authorities that sign the instance's certificate.
	CABundle string

	// LoginUser is the name the service logs in to the pool with. Default: Service with underscores for hyphens.
	LoginUser string
	// ConsumerSecret is the name of the Secret with the service's DATABASE_URL. Default <service>-db.
	ConsumerSecret string
	// Clients that may connect. Default: the pods whose label app.kubernetes.io/name is Service.
	Clients []Client
	// DatabaseCIDRs are the address ranges of the instance. The pool may reach them on the databases' ports. Default:
	// any address.
	DatabaseCIDRs []string
	// Console are the pods that may log in to PgBouncer's console as [ConsoleLogin], which may run every command there
	// but cannot connect to a database. Default: only the pool's own pods reach the console.
	Console *Client
	// Protect makes the engine refuse to delete or replace the Deployment and the Service of the clients. The driver
	// asks a person instead. Default false.
	Protect bool
	// Scheduling of the pods. Default: anywhere, spread over zones and nodes as far as possible.
	Scheduling workload.Scheduling
	// DependsOn must exist before anything of the pool: the operator with its CRDs, and the namespace.
	DependsOn []pulumi.Resource
}

// SetDefaults fills the fields that were left out.
func (a *PgBouncerPoolArgs) SetDefaults() {
	if a.ReloaderImage == "" {
		a.ReloaderImage = a.Image
	}
	if a.LoginUser == "" {
		a.LoginUser = strings.ReplaceAll(a.Service, "-", "_")
	}
	if a.ConsumerSecret == "" {
		a.ConsumerSecret = contract.DatabaseSecret(a.Service)
	}
	if len(a.Clients) == 0 {
		a.Clients = []Client{{Labels: map[string]string{contract.NameLabel: a.Service}}}
	}
	a.Databases = slices.Clone(a.Databases)
	for i := range a.Databases {
		if a.Databases[i].DBName == "" {
			a.Databases[i].DBName = a.Databases[i].Name
		}
	}
	a.Logins = slices.Clone(a.Logins)
	for i := range a.Logins {
		a.Logins[i].setDefaults(a)
	}
}

// Validate reports every fault of the arguments.
func (a *PgBouncerPoolArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	a.validateDatabases(&faults)
	faults.Within("credential", a.Credential.validate())
	// PgBouncer would report a broken bundle only when the pods start.
	if err := rdsca.Check(a.CABundle, time.Now()); err != nil {
		faults.Add("caBundle", nil, "%s; want the certificates of RDS's authorities in PEM", err)
	}
	a.validateLogins(&faults)
	faults.Within("scheduling", a.Scheduling.Validate())
	for i := range a.Logins {
		faults.Within(fmt.Sprintf("logins[%d].credential", i), a.Logins[i].Credential.validate())
	}
	if a.Console != nil {
		faults.Within("console", a.Console.validate())
	}
	faults.CIDRs("databaseCidrs", a.DatabaseCIDRs)
	return faults.Err()
}

func (a *PgBouncerPoolArgs) validateDatabases(faults *fault.List) {
	faults.Check(len(a.Databases) > 0, "databases", nil, "is missing: the databases behind the pool")
	seen := map[string]bool{}
	for i, d := range a.Databases {
		path := fmt.Sprintf("databases[%d]", i)
		faults.Check(validation.SQLName.Matches(d.Name) && d.Name != consoleUser, path+".name", d.Name,
			"want 1 to 63 letters, digits and underscores, not beginning with a digit; %s is reserved for the console",
			consoleUser)
		faults.Check(!seen[d.Name], path+".name", d.Name, "is named twice")
		seen[d.Name] = true
		faults.Form(path+".dbName", d.DBName, validation.SQLName)
		faults.Present(path+".host", d.Host)
		faults.Present(path+".port", d.Port)
	}
}

func (a *PgBouncerPoolArgs) loginSecret() string { return a.Name + "-login" }

// KeptSecret is the name of a pool's copy of a generated Secret, whose name begins with the pool's.
func KeptSecret(pool, generated string) string {
	return contract.Object(pool, "kept", strings.TrimPrefix(generated, pool+"-"))
}

func (a *PgBouncerPoolArgs) configSecret() string  { return a.Name + "-config" }
func (a *PgBouncerPoolArgs) consoleSecret() string { return a.Name + "-console" }
func (a *PgBouncerPoolArgs) loginReader() string   { return a.Name + "-login-reader" }
func (a *PgBouncerPoolArgs) podsService() string   { return PodsService(a.Name) }

// PodsService returns the name of the headless Service of a pool's pods, which is also the label job of their metrics.
func PodsService(pool string) string { return pool + "-pods" }

func (a *PgBouncerPoolArgs) refresh() string {
	return (time.Duration(a.RefreshInterval) * time.Second).String()
}
