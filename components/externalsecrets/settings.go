package externalsecrets

import (
	"time"

	"dbtier/components/eso"
	"dbtier/components/fault"
	"dbtier/validation"
)

// Settings are the choices for a service's secrets. Begin with [Defaults].
type Settings struct {
	// StoreKind is ClusterSecretStore (default), which the listed namespaces may use, or SecretStore, which only its
	// own namespace may use.
	StoreKind string `json:"storeKind"`
	// Namespaces that may use a ClusterSecretStore besides the service's own. Default none.
	Namespaces []string `json:"namespaces" example:"[reports]"`
	// RefreshInterval of secrets that hold database credentials. After a rotation, logins with the old password fail
	// for up to this long; each refresh is a request to Secrets Manager. Default 1m.
	RefreshInterval string `json:"refreshInterval" example:"5m"`
	// Binding of the role with which the operator reads the service's secrets: irsa (default). The value podIdentity is
	// refused: Pod Identity gives credentials to pods, here to the operator's own pods, which could then read the
	// secrets of every service. The operator takes a service's role with a token of the service's ServiceAccount
	// (auth.jwt).
	Binding string `json:"binding" example:"irsa"`
}

// Defaults returns the default [Settings].
func Defaults() Settings {
	return Settings{StoreKind: eso.ClusterSecretStore, RefreshInterval: "1m"}
}

const (
	shortest = 10 * time.Second
	longest  = 24 * time.Hour
)

// Validate reports every fault of the settings.
func (s *Settings) Validate() error {
	var faults fault.List
	fault.OneOf(&faults, "storeKind", s.StoreKind, eso.ClusterSecretStore, eso.SecretStore)
	faults.Names("namespaces", s.Namespaces, validation.Label)
	faults.Check(len(s.Namespaces) == 0 || s.StoreKind != eso.SecretStore, "namespaces", s.Namespaces,
		"a SecretStore serves its own namespace only; leave them out, or use a ClusterSecretStore")
	faults.Check(s.Binding == "" || s.Binding == "irsa", "binding", s.Binding,
		"want irsa: the operator takes the service's role with a token of its ServiceAccount; Pod Identity gives "+
			"credentials to pods only, so the operator's one role could read the secrets of every service")
	faults.Duration("refreshInterval", s.RefreshInterval, shortest, time.Hour,
		"want 10s to 1h: logins fail for up to this long after a rotation of the password")
	return faults.Err()
}
