package externalsecrets

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/rdsca"
	"dbtier/validation"
)

// Settings are the choices for a service's secrets. Begin with [Defaults].
type Settings struct {
	// StoreKind is ClusterSecretStore (default), which the named namespaces may use, or SecretStore, which its own
	// namespace may.
	StoreKind string `json:"storeKind"`
	// Namespaces that may use a ClusterSecretStore besides the service's own. Default none.
	Namespaces []string `json:"namespaces"`
	// RefreshInterval of secrets that hold database credentials. After a rotation, logins with the old password fail
	// for up to this long; each refresh is a request to Secrets Manager. Default 1m.
	RefreshInterval string `json:"refreshInterval"`
	// Binding of the role with which the operator reads the service's secrets: irsa (default). podIdentity is refused:
	// Pod Identity gives credentials to pods, here the operator's own, which would then read the secrets of every
	// service; the operator takes a service's role with a token of the service's ServiceAccount (auth.jwt). It stands
	// here so that who asks for it is told.
	Binding string `json:"binding"`
}

// Defaults of [Settings].
func Defaults() Settings {
	return Settings{StoreKind: ClusterSecretStore, RefreshInterval: "1m"}
}

// Validate reports every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	fault.OneOf(&faults, "storeKind", s.StoreKind, ClusterSecretStore, SecretStore)
	for i, namespace := range s.Namespaces {
		path := fmt.Sprintf("namespaces[%d]", i)
		faults.Form(path, namespace, validation.Label)
		faults.Check(slices.Index(s.Namespaces, namespace) == i, path, namespace, "is named twice")
	}
	faults.Check(len(s.Namespaces) == 0 || s.StoreKind != SecretStore, "namespaces", s.Namespaces,
		"a SecretStore serves its own namespace only; leave them out, or use a ClusterSecretStore")
	faults.Check(s.Binding == "" || s.Binding == "irsa", "binding", s.Binding,
		"want irsa: the operator takes the service's role with a token of its ServiceAccount, and Pod Identity gives "+
			"credentials to pods only, "+
			"so one role of the operator's would read the secrets of every service")
	interval, err := time.ParseDuration(s.RefreshInterval)
	faults.Check(err == nil && interval >= 10*time.Second && interval <= time.Hour, "refreshInterval",
		s.RefreshInterval,
		"want 10s to 1h: for as long, logins fail after a rotation of the password")
	return faults.Err()
}

// ExternalSecretsStackArgs is what [NewExternalSecretsStack] needs.
type ExternalSecretsStackArgs struct {
	Settings

	// Service is the consumer. Its Secret is <service>-db-direct.
	Service string
	// Namespace of the service.
	Namespace string
	// StoreName of the store; a ClusterSecretStore's is shared by the whole cluster.
	StoreName string
	// ServiceAccount to make, and RoleArn, the role that it takes.
	ServiceAccount string
	RoleArn        pulumi.StringInput
	// Region of the secrets.
	Region string

	// MasterSecretArn is the secret with the master user's username and password.
	MasterSecretArn pulumi.StringInput
	// DatabaseHost is the instance's own name, the one in its certificate, and DatabasePort its port.
	DatabaseHost pulumi.StringInput
	DatabasePort pulumi.IntInput
	// DatabaseName at the instance.
	DatabaseName string
	// CABundle are the certificates, in PEM, of the authorities that sign the instance's. Pods that connect directly
	// find them at CAPath.
	CABundle, CAPath string
	// Secrets besides those for the database. The role must be able to read what they are made of.
	Secrets []Secret
}

// Secret is a further Secret of the service, of secrets in its store.
type Secret struct {
	// Name of the ExternalSecret and of the Secret.
	Name string
	// Extract are secrets that are JSON objects, by name or ARN: the Secret gets each of their keys. Not with Keys.
	Extract []pulumi.StringInput
	// Keys of the Secret, and what each is made of. Not with Extract.
	Keys map[string]Template
	// Type of the Secret, for example kubernetes.io/tls. Default Opaque.
	Type string
	// RefreshPolicy is [Periodic] (default), [OnChange] or [CreatedOnce].
	RefreshPolicy string
	// RefreshInterval of the policy Periodic, 10s to 24h. Default 1h.
	RefreshInterval string
}

func (s *Secret) setDefaults() {
	if s.RefreshPolicy == "" {
		s.RefreshPolicy = Periodic
	}
	if s.RefreshInterval == "" {
		s.RefreshInterval = "1h"
	}
}

// Validate reports every fault of it.
func (s Secret) Validate() error {
	s.setDefaults()
	var faults fault.List
	faults.Form("name", s.Name, validation.Label)
	faults.Check(len(s.Extract) > 0 || len(s.Keys) > 0, "keys", nil,
		"is missing: a Secret with nothing in it; give keys, or extract a secret whole")
	faults.Check(len(s.Extract) == 0 || len(s.Keys) == 0, "keys", nil,
		"and extract are both given; give one, or make two Secrets")
	for i, secret := range s.Extract {
		faults.Check(secret != nil, fmt.Sprintf("extract[%d]", i), nil, "is missing")
	}
	for _, key := range slices.Sorted(maps.Keys(s.Keys)) {
		at := "keys." + key
		faults.Form(at, key, validation.DataKey)
		if faults.Check(s.Keys[key] != nil, at, nil, "is missing: what it is made of") {
			faults.Within(at, s.Keys[key].validate())
		}
	}
	faults.OptionalForm("type", s.Type, validation.SecretType)
	fault.OneOf(&faults, "refreshPolicy", s.RefreshPolicy, Periodic, OnChange, CreatedOnce)
	interval, err := time.ParseDuration(s.RefreshInterval)
	faults.Check(err == nil && interval >= 10*time.Second && interval <= 24*time.Hour, "refreshInterval",
		s.RefreshInterval, "want 10s to 24h")
	return faults.Err()
}

func (a *ExternalSecretsStackArgs) setDefaults() {
	a.Secrets = slices.Clone(a.Secrets)
	for i := range a.Secrets {
		a.Secrets[i].setDefaults()
	}
}

// directName is the Secret with the way to the instance itself.
func (a *ExternalSecretsStackArgs) directName() string {
	return naming.Join(naming.LabelLimit, a.Service, "db", "direct")
}

var pathForm = regexp.MustCompile(`^/[A-Za-z0-9._/-]+$`)

// Validate reports every fault of the arguments.
func (a *ExternalSecretsStackArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	for _, name := range []struct{ path, value string }{
		{"service", a.Service},
		{"namespace", a.Namespace},
		{"storeName", a.StoreName},
		{"serviceAccount", a.ServiceAccount},
	} {
		faults.Form(name.path, name.value, validation.Label)
	}
	for _, input := range []struct {
		path  string
		value pulumi.Input
	}{
		{"roleArn", a.RoleArn},
		{"masterSecretArn", a.MasterSecretArn},
		{"databaseHost", a.DatabaseHost},
		{"databasePort", a.DatabasePort},
	} {
		faults.Check(input.value != nil, input.path, nil, "is missing")
	}
	faults.Form("region", a.Region, validation.Region)
	// What goes into a template or URL as it is must not be able to end it.
	faults.Form("databaseName", a.DatabaseName, validation.SQLName)
	faults.Check(pathForm.MatchString(a.CAPath), "caPath", a.CAPath, "want an absolute path")
	if err := rdsca.Check(a.CABundle, time.Now()); err != nil {
		faults.Add("caBundle", nil, "%s", err)
	}
	taken := map[string]bool{a.directName(): true}
	for i := range a.Secrets {
		at := fmt.Sprintf("secrets[%d]", i)
		faults.Within(at, a.Secrets[i].Validate())
		faults.Check(!taken[a.Secrets[i].Name], at+".name", a.Secrets[i].Name, "is another Secret's name")
		taken[a.Secrets[i].Name] = true
	}
	return faults.Err()
}
