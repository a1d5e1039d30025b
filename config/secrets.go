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

// Secrets are the secrets of the service.
type Secrets struct {
	externalsecrets.Settings
	// Further are secrets of Secrets Manager that the service needs in addition to those of its database. Default none.
	Further []FurtherSecret `json:"further"`
	// Recoveries is how many times lost generated passwords were replaced, from 0. Each adds 1 to the generation of the
	// role and replaces the service's pods. The driver counts them: `dbtier up` finds a loss, and passes the number
	// that the stack's state has. Set it only if you run plain `pulumi up`. Default 0.
	Recoveries int `json:"recoveries" example:"1"`
}

// Use is how the service reads a secret.
type Use string

const (
	// Environment makes each key an environment variable.
	Environment Use = "environment"
	// Files makes each key a file.
	Files Use = "files"
	// Nothing creates the Secret and does not give it to the service.
	Nothing Use = "nothing"
)

// FurtherSecret is a Secret with values from a secret of Secrets Manager.
type FurtherSecret struct {
	// Name of the Secret in Kubernetes.
	Name string `json:"name" example:"cache"`
	// Arn of the secret in Secrets Manager, in the stack's region.
	Arn string `json:"arn" example:"arn:aws:secretsmanager:<region>:<account>:secret:myshop/cache-AbCdEf"`
	// KmsKeyArn is the key that encrypts the secret. Default: the key of the database.
	KmsKeyArn string `json:"kmsKeyArn" example:"arn:aws:kms:<region>:<account>:key/<uuid>"`
	// Keys maps a key of the Secret to a key of the JSON secret; "" takes the secret's whole text. Default, if urls is
	// not given either: every key of the JSON secret under its own name.
	Keys map[string]string `json:"keys" example:"{CACHE_TOKEN: token}"`
	// URLs are keys of the Secret whose values are connection strings.
	URLs map[string]SecretURL `json:"urls" example:"CACHE_URL"`
	// Type of the Secret, for example kubernetes.io/tls. Default Opaque.
	Type string `json:"type" example:"Opaque"`
	// RefreshPolicy is Periodic (default), OnChange or CreatedOnce.
	RefreshPolicy string `json:"refreshPolicy"`
	// RefreshInterval of the policy Periodic, 10s to 24h. Default 15m.
	RefreshInterval string `json:"refreshInterval" example:"5m"`
	// Use is environment (default), files or nothing.
	Use Use `json:"use"`
	// MountPath is the folder of the files, absolute.
	MountPath string `json:"mountPath" example:"/etc/cache"`
}

// SecretURL is a connection string with the user and password of the secret, encoded for a URL.
type SecretURL struct {
	// Scheme, for example rediss or amqps.
	Scheme string `json:"scheme" example:"rediss"`
	// User and Password are keys of the JSON secret. Default: the URL has none.
	User     string `json:"user" example:"username"`
	Password string `json:"password" example:"password"`
	// Host is a name or an address.
	Host string `json:"host" example:"cache.example.com"`
	// Port, 1 to 65535. Default: the scheme's port.
	Port int `json:"port" example:"6379"`
	// Path after the host, with its leading slash. Default none.
	Path string `json:"path" example:"/0"`
	// Query parameters. They must not be secret. Default none.
	Query map[string]string `json:"query" example:"{protocol: '3'}"`
}

// Args are the component's arguments for the secret.
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

// InEnvironment is true if the service reads the secret from environment variables.
func (f *FurtherSecret) InEnvironment() bool { return f.Use == Environment || f.Use == "" }

func (f *FurtherSecret) validate() error {
	var faults fault.List
	faults.Within("", f.named(f.Args().Validate()))
	faults.Form("arn", f.Arn, validation.SecretArn)
	faults.OptionalForm("kmsKeyArn", f.KmsKeyArn, validation.KeyArn)
	fault.OneOf(&faults, "use", f.Use, "", Environment, Files, Nothing)
	for _, key := range slices.Sorted(maps.Keys(f.URLs)) {
		_, twice := f.Keys[key]
		faults.Check(!twice, "urls."+key, nil, "is also in keys; keep one of them")
	}
	for _, key := range slices.Sorted(maps.Keys(f.URLs)) {
		// An operator's role must not be able to read a secret of which nothing is used.
		faults.Check(f.reads(), "urls."+key+".password", nil, "is missing: nothing reads the secret; name the keys of "+
			"the secret with the URL's user and password, or put the URL into consumer.env")
	}
	if f.InEnvironment() {
		for _, key := range slices.Sorted(maps.Keys(f.Args().Keys)) {
			at := "keys." + key
			if _, ok := f.URLs[key]; ok {
				at = "urls." + key
			}
			faults.Check(validation.EnvName.Matches(key), at, key,
				"is not the name of an environment variable; use another name, or use files")
			faults.Check(key != contract.DatabaseURL, at, key, "is the key of the database's URL; use another")
		}
	}
	if f.Use == Files {
		faults.Check(consumer.IsMountPath(f.MountPath), "mountPath", f.MountPath, consumer.MountPathRule)
	} else {
		faults.Check(f.MountPath == "", "mountPath", f.MountPath, "is for files; set use to files, or leave it out")
	}
	return faults.Err()
}

// reads is true if a key or a URL takes something of the secret.
func (f *FurtherSecret) reads() bool {
	reads := len(f.Keys) > 0 || len(f.URLs) == 0
	for _, url := range f.URLs {
		reads = reads || url.User != "" || url.Password != ""
	}
	return reads
}

// named translates the paths of the component's faults to the paths of this section, in which URLs are apart from other
// keys.
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
	faults.Between("recoveries", s.Secrets.Recoveries, 0, 1<<20, "")
	taken := map[string]bool{}
	for _, suffix := range []string{"db", "db-direct"} {
		taken[naming.Join(naming.LabelLimit, s.Consumer.Name, suffix)] = true
	}
	for i := range s.Secrets.Further {
		f := &s.Secrets.Further[i]
		at := fmt.Sprintf("further[%d]", i)
		faults.Within(at, f.validate())
		faults.Check(!taken[f.Name], at+".name", f.Name, "is the name of another Secret")
		taken[f.Name] = true
	}
	return faults.Err()
}
