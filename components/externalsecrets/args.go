package externalsecrets

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/components/rdsca"
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
	// Binding of the role with which the operator reads the service's secrets: irsa (default). podIdentity is refused: Pod Identity gives
	// credentials to pods, here the operator's own, which would then read the secrets of every service; the operator takes a service's
	// role with a token of the service's ServiceAccount (auth.jwt). It stands here so that who asks for it is told.
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
		faults.Check(naming.IsLabel(namespace), path, namespace, naming.LabelRule)
		faults.Check(slices.Index(s.Namespaces, namespace) == i, path, namespace, "is named twice")
	}
	faults.Check(len(s.Namespaces) == 0 || s.StoreKind != SecretStore, "namespaces", s.Namespaces,
		"a SecretStore serves its own namespace only; leave them out, or use a ClusterSecretStore")
	faults.Check(s.Binding == "" || s.Binding == "irsa", "binding", s.Binding,
		"want irsa: the operator takes the service's role with a token of its ServiceAccount, and Pod Identity gives credentials to pods only, "+
			"so one role of the operator's would read the secrets of every service")
	interval, err := time.ParseDuration(s.RefreshInterval)
	faults.Check(err == nil && interval >= 10*time.Second && interval <= time.Hour, "refreshInterval", s.RefreshInterval,
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
}

var (
	regionForm = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
	pathForm   = regexp.MustCompile(`^/[A-Za-z0-9._/-]+$`)
	sqlForm    = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,62}$`)
)

// Validate reports every fault of the arguments.
func (a *ExternalSecretsStackArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	for _, name := range []struct{ path, value string }{
		{"service", a.Service}, {"namespace", a.Namespace}, {"storeName", a.StoreName}, {"serviceAccount", a.ServiceAccount},
	} {
		faults.Check(naming.IsLabel(name.value), name.path, name.value, naming.LabelRule)
	}
	for _, input := range []struct {
		path  string
		value pulumi.Input
	}{
		{"roleArn", a.RoleArn}, {"masterSecretArn", a.MasterSecretArn}, {"databaseHost", a.DatabaseHost}, {"databasePort", a.DatabasePort},
	} {
		faults.Check(input.value != nil, input.path, nil, "is missing")
	}
	faults.Check(regionForm.MatchString(a.Region), "region", a.Region, "want an AWS region such as ap-northeast-2")
	// What goes into a template or URL as it is must not be able to end it.
	faults.Check(sqlForm.MatchString(a.DatabaseName), "databaseName", a.DatabaseName,
		"want 1 to 63 letters, digits and underscores, not beginning with a digit")
	faults.Check(pathForm.MatchString(a.CAPath), "caPath", a.CAPath, "want an absolute path")
	if err := rdsca.Check(a.CABundle, time.Now()); err != nil {
		faults.Add("caBundle", nil, "%s", err)
	}
	return faults.Err()
}
