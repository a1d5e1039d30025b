package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/consumer"
	"dbtier/components/contract"
	"dbtier/components/externalsecrets"
	"dbtier/components/fault"
	"dbtier/components/naming"
	"dbtier/validation"
)

// Secrets are the service's secrets.
type Secrets struct {
	externalsecrets.Settings
	// Further secrets of the service, from Secrets Manager, that have nothing to do with the database. Default none.
	Further []FurtherSecret `json:"further"`
}

// Use is how the service gets a secret.
type Use string

const (
	// Environment makes each key an environment variable.
	Environment Use = "environment"
	// Files makes each key a file.
	Files Use = "files"
	// Nothing leaves the Secret to others.
	Nothing Use = "nothing"
)

// FurtherSecret is a Secret that is made of one of Secrets Manager's.
type FurtherSecret struct {
	// Name of the Secret in Kubernetes.
	Name string `json:"name"`
	// Arn of the secret in Secrets Manager, in the stack's region.
	Arn string `json:"arn"`
	// KmsKeyArn encrypts it. Default: the key of the database.
	KmsKeyArn string `json:"kmsKeyArn"`
	// Keys of the Secret, and the key of the JSON secret that each takes; nothing ("") for its whole text. Default,
	// where there are no urls either: every key, under its own name.
	Keys map[string]string `json:"keys"`
	// URLs are keys of the Secret that are connection strings.
	URLs map[string]SecretURL `json:"urls"`
	// Type of the Secret, for example kubernetes.io/tls. Default Opaque.
	Type string `json:"type"`
	// RefreshPolicy is Periodic (default), OnChange or CreatedOnce.
	RefreshPolicy string `json:"refreshPolicy"`
	// RefreshInterval of the policy Periodic, 10s to 24h. Default 1h.
	RefreshInterval string `json:"refreshInterval"`
	// Use is environment (default), files or nothing.
	Use Use `json:"use"`
	// MountPath is the folder of the files, absolute.
	MountPath string `json:"mountPath"`
}

// SecretURL is a connection string whose user and password come from the secret, encoded as a URL wants it.
type SecretURL struct {
	// Scheme, for example rediss or amqps.
	Scheme string `json:"scheme"`
	// User and Password are keys of the JSON secret. Default: none in the URL.
	User     string `json:"user"`
	Password string `json:"password"`
	// Host is a name or an address.
	Host string `json:"host"`
	// Port, 1 to 65535. Default: the scheme's, which then is not written.
	Port int `json:"port"`
	// Path behind the host, with its slash. Default none.
	Path string `json:"path"`
	// Query parameters, no secrets. Default none.
	Query map[string]string `json:"query"`
}

// Args are what the component makes of it.
func (f *FurtherSecret) Args() externalsecrets.Secret {
	secret := externalsecrets.Secret{
		Name: f.Name, Keys: map[string]externalsecrets.Template{}, Type: f.Type, RefreshPolicy: f.RefreshPolicy,
		RefreshInterval: f.RefreshInterval,
	}
	from := func(property string) externalsecrets.Value {
		return externalsecrets.Value{Secret: pulumi.String(f.Arn), Property: property}
	}
	optional := func(property string) *externalsecrets.Value {
		if property == "" {
			return nil
		}
		value := from(property)
		return &value
	}
	for key, property := range f.Keys {
		secret.Keys[key] = from(property)
	}
	for key, url := range f.URLs {
		secret.Keys[key] = externalsecrets.URL{
			Scheme: url.Scheme, User: optional(url.User), Password: optional(url.Password),
			Host: pulumi.String(url.Host), Port: url.Port, Path: url.Path,
			Query: url.Query,
		}
	}
	if len(secret.Keys) == 0 {
		secret.Extract = []pulumi.StringInput{pulumi.String(f.Arn)}
	}
	return secret
}

// InEnvironment tells a secret that the service gets as variables.
func (f *FurtherSecret) InEnvironment() bool { return f.Use == Environment || f.Use == "" }

func (f *FurtherSecret) validate(region string) error {
	var faults fault.List
	faults.Within("", f.named(f.Args().Validate()))
	checkSecretArn(&faults, "arn", f.Arn, region)
	faults.OptionalForm("kmsKeyArn", f.KmsKeyArn, validation.KeyArn)
	fault.OneOf(&faults, "use", f.Use, "", Environment, Files, Nothing)
	for _, key := range slices.Sorted(maps.Keys(f.URLs)) {
		_, twice := f.Keys[key]
		faults.Check(!twice, "urls."+key, nil, "is a key, too; keep one of them")
	}
	if f.InEnvironment() {
		for _, key := range slices.Sorted(maps.Keys(f.Args().Keys)) {
			at := "keys." + key
			if _, ok := f.URLs[key]; ok {
				at = "urls." + key
			}
			faults.Check(validation.EnvName.Matches(key), at, key,
				"is no name of an environment variable; want another, or use files")
			faults.Check(key != contract.DatabaseURL, at, key, "is the database's; want another")
		}
	}
	if f.Use == Files {
		faults.Check(consumer.IsMountPath(f.MountPath), "mountPath", f.MountPath, consumer.MountPathRule)
	} else {
		faults.Check(f.MountPath == "", "mountPath", f.MountPath, "is for files; set use to files, or leave it out")
	}
	return faults.Err()
}

// named gives the faults of the component the paths of this section, where URLs stand apart from other keys.
func (f *FurtherSecret) named(err error) error {
	var invalid *fault.Error
	if !errors.As(err, &invalid) {
		return err
	}
	for i := range invalid.Faults {
		for key := range f.URLs {
			if rest, ok := strings.CutPrefix(invalid.Faults[i].Path, "keys."+key); ok &&
				(rest == "" || rest[0] == '.') {
				invalid.Faults[i].Path = "urls." + key + rest
			}
		}
	}
	return invalid
}

func (s *Stack) validateSecrets() error {
	var faults fault.List
	faults.Within("", s.Secrets.Validate())
	taken := map[string]bool{}
	for _, suffix := range []string{"db", "db-direct"} {
		taken[naming.Join(naming.LabelLimit, s.Consumer.Name, suffix)] = true
	}
	for i := range s.Secrets.Further {
		f := &s.Secrets.Further[i]
		at := fmt.Sprintf("further[%d]", i)
		faults.Within(at, f.validate(s.AWS.Region))
		faults.Check(!taken[f.Name], at+".name", f.Name, "is another Secret's name")
		taken[f.Name] = true
	}
	return faults.Err()
}
