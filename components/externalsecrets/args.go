package externalsecrets

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/fault"
	"dbtier/components/rdsca"
	"dbtier/validation"
)

// ExternalSecretsStackArgs is what [NewExternalSecretsStack] needs.
type ExternalSecretsStackArgs struct {
	Settings

	// Service is the name of the service's Deployment. The names of the Secrets begin with it.
	Service string
	// Namespace of the service.
	Namespace string
	// StoreName is the name of the store. The whole cluster shares the names of ClusterSecretStores.
	StoreName string
	// ServiceAccount to create, and RoleArn, the role that it takes.
	ServiceAccount string
	RoleArn        pulumi.StringInput
	// Region of the secrets.
	Region string

	// MasterSecretArn is the secret with the master user's username and password.
	MasterSecretArn pulumi.StringInput
	// DatabaseHost is the instance's own name, the one in its certificate, and DatabasePort its port.
	DatabaseHost pulumi.StringInput
	DatabasePort pulumi.IntInput
	// DatabaseName on the instance.
	DatabaseName string
	// CABundle holds the certificates, in PEM, of the authorities that sign the instance's certificate. Pods that
	// connect directly mount them at [contract.CAPath].
	CABundle string
	// Secrets besides those for the database. The role must be able to read what they are made of.
	Secrets []Secret
}

// Secret is a Secret of the service that has nothing to do with the database. It is made of secrets in the store.
type Secret struct {
	// Name of the ExternalSecret and of the Secret.
	Name string
	// Extract are secrets that are JSON objects, by name or ARN: the Secret gets each of their keys. Not with Keys.
	Extract []pulumi.StringInput
	// Keys of the Secret, and what each is made of. Not with Extract.
	Keys map[string]Template
	// Type of the Secret, for example kubernetes.io/tls. Default Opaque.
	Type string
	// RefreshPolicy is [eso.Periodic] (default), [eso.OnChange] or [eso.CreatedOnce].
	RefreshPolicy string
	// RefreshInterval of the policy Periodic, 10s to 24h. Default 15m.
	RefreshInterval string
}

func (s *Secret) setDefaults() {
	if s.RefreshPolicy == "" {
		s.RefreshPolicy = eso.Periodic
	}
	if s.RefreshInterval == "" {
		s.RefreshInterval = "15m"
	}
}

// Validate reports every fault of the Secret. It fills defaults first.
func (s Secret) Validate() error {
	s.setDefaults()
	var faults fault.List
	faults.Form("name", s.Name, validation.Label)
	faults.Check(len(s.Extract) > 0 || len(s.Keys) > 0, "keys", nil,
		"is missing: the Secret would be empty; give keys, or extract a whole secret")
	faults.Check(len(s.Extract) == 0 || len(s.Keys) == 0, "keys", nil,
		"and extract are both given; give one, or make two Secrets")
	for i, secret := range s.Extract {
		faults.Present(fmt.Sprintf("extract[%d]", i), secret)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Keys)) {
		at := "keys." + key
		faults.Form(at, key, validation.DataKey)
		if faults.Check(s.Keys[key] != nil, at, nil, "is missing: what the key is made of") {
			faults.Within(at, s.Keys[key].validate())
		}
	}
	faults.OptionalForm("type", s.Type, validation.SecretType)
	fault.OneOf(&faults, "refreshPolicy", s.RefreshPolicy, eso.Periodic, eso.OnChange, eso.CreatedOnce)
	faults.Duration("refreshInterval", s.RefreshInterval, shortest, longest, "want 10s to 24h")
	return faults.Err()
}

// SetDefaults fills the fields that were left out.
func (a *ExternalSecretsStackArgs) SetDefaults() {
	a.Secrets = slices.Clone(a.Secrets)
	for i := range a.Secrets {
		a.Secrets[i].setDefaults()
	}
}

// Validate reports every fault of the arguments.
func (a *ExternalSecretsStackArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("service", a.Service, validation.Label)
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Form("storeName", a.StoreName, validation.Label)
	faults.Form("serviceAccount", a.ServiceAccount, validation.Label)
	faults.Present("roleArn", a.RoleArn)
	faults.Form("region", a.Region, validation.Region)
	faults.Present("masterSecretArn", a.MasterSecretArn)
	faults.Present("databaseHost", a.DatabaseHost)
	faults.Present("databasePort", a.DatabasePort)
	// The name goes into a template and a URL unescaped.
	faults.Form("databaseName", a.DatabaseName, validation.SQLName)
	if err := rdsca.Check(a.CABundle, time.Now()); err != nil {
		faults.Add("caBundle", nil, "%s", err)
	}
	taken := map[string]bool{contract.DirectSecret(a.Service): true}
	for i := range a.Secrets {
		at := fmt.Sprintf("secrets[%d]", i)
		faults.Within(at, a.Secrets[i].Validate())
		faults.Check(!taken[a.Secrets[i].Name], at+".name", a.Secrets[i].Name, "is another Secret's name")
		taken[a.Secrets[i].Name] = true
	}
	return faults.Err()
}
