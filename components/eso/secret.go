package eso

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/object"
)

// Policies of refreshing a Secret.
const (
	// Periodic reads the store again at every interval.
	Periodic = "Periodic"
	// OnChange reads the store when the ExternalSecret changes.
	OnChange = "OnChange"
	// CreatedOnce reads the store until the Secret exists, and never again.
	CreatedOnce = "CreatedOnce"
)

// Logins of a URL, in a template whose values are named username and password. Both are encoded, because they may
// contain characters that mean something in a URL.
const (
	URLUser  = "{{ .username | urlquery }}"
	URLLogin = URLUser + ":{{ .password | urlquery }}"
)

// Extract takes every key of a secret that is a JSON object. It is one request to the store, however many keys there
// are.
type Extract struct {
	Store StoreRef
	// Key is the secret's name or ARN in the store.
	Key pulumi.StringInput
}

// Value is one value of a store.
type Value struct {
	// Name that templates use.
	Name  string
	Store StoreRef
	// Key is the secret's name or ARN in the store.
	Key pulumi.StringInput
	// Property is a key of a secret that is a JSON object. Default: the secret's whole text.
	Property string
}

// ExternalSecretArgs describes a Secret that the operator fills.
type ExternalSecretArgs struct {
	// Meta is that of the ExternalSecret. The Secret has the same name.
	object.Meta

	// RefreshPolicy is [Periodic], [OnChange] or [CreatedOnce]. Default none, which the operator takes for Periodic.
	RefreshPolicy string
	// RefreshInterval is how often the stores are read, for example 1m.
	RefreshInterval string
	// Extract and Values are where values come from.
	Extract []Extract
	Values  []Value
	// Template is the Secret's data: Go templates over the names of the values, in the operator's engine v2. Default:
	// the values as they are.
	Template pulumi.StringMap
	// MergePolicy of Template and the values as they are. Default none, which the operator takes for Replace.
	MergePolicy string
	// Type of the Secret, for example kubernetes.io/tls. Default Opaque.
	Type string
	// WaitSeconds until the Secret exists. Default 0: the Kubernetes provider's ten minutes.
	WaitSeconds int
}

// NewExternalSecret creates an ExternalSecret.
func NewExternalSecret(
	ctx *pulumi.Context, name string, args *ExternalSecretArgs, opts ...pulumi.ResourceOption,
) (object.Object, error) {
	var from, values pulumi.Array
	for _, extract := range args.Extract {
		from = append(from, pulumi.Map{
			"extract": pulumi.Map{"key": extract.Key}, "sourceRef": extract.Store.source(),
		})
	}
	for _, value := range args.Values {
		remote := pulumi.Map{"key": value.Key}
		if value.Property != "" {
			remote["property"] = pulumi.String(value.Property)
		}
		values = append(values, pulumi.Map{
			"secretKey": pulumi.String(value.Name), "remoteRef": remote, "sourceRef": value.Store.source(),
		})
	}
	return create(ctx, name, apiVersion, "ExternalSecret", args.Meta, args.spec(from, values), args.WaitSeconds, opts)
}

func (a *ExternalSecretArgs) spec(from, values pulumi.Array) pulumi.Map {
	template := pulumi.Map{"engineVersion": pulumi.String("v2")}
	if len(a.Template) > 0 {
		template["data"] = a.Template
		if a.MergePolicy != "" {
			template["mergePolicy"] = pulumi.String(a.MergePolicy)
		}
	}
	if a.Type != "" {
		template["type"] = pulumi.String(a.Type)
	}
	spec := pulumi.Map{
		"refreshInterval": pulumi.String(a.RefreshInterval),
		"target": pulumi.Map{
			"name": pulumi.String(a.Name),
			// The Secret is deleted with its ExternalSecret, but stays when the store briefly has no value.
			"creationPolicy": pulumi.String("Owner"),
			"deletionPolicy": pulumi.String("Retain"),
			"template":       template,
		},
	}
	if a.RefreshPolicy != "" {
		spec["refreshPolicy"] = pulumi.String(a.RefreshPolicy)
	}
	if len(from) > 0 {
		spec["dataFrom"] = from
	}
	if len(values) > 0 {
		spec["data"] = values
	}
	return spec
}

// Generator creates passwords.
type Generator struct{ name pulumi.StringInput }

// NewGenerator creates a generator of passwords with length characters. It uses only characters that mean nothing in a
// URL, a shell or an ini file, so that tools that read DATABASE_URL carelessly get it right.
func NewGenerator(
	ctx *pulumi.Context, name string, meta object.Meta, length int, opts ...pulumi.ResourceOption,
) (Generator, error) {
	created, err := object.NewCustom(ctx, name, generatorsAPI, "Password", meta, pulumi.Map{
		"length":           pulumi.Int(length),
		"digits":           pulumi.Int(8),
		"symbols":          pulumi.Int(4),
		"symbolCharacters": pulumi.String("-_.~"),
		"noUpper":          pulumi.Bool(false),
		"allowRepeat":      pulumi.Bool(true),
	}, opts...)
	return Generator{created.Name}, err
}

// NewLogin creates a Secret with the username and a generated password. The password is created once: the operator runs
// a generator at every refresh, and does not look at a Secret that is [CreatedOnce] again. Another username therefore
// replaces the Secret.
func NewLogin(
	ctx *pulumi.Context, name string, meta object.Meta, username string, generator Generator,
	opts ...pulumi.ResourceOption,
) (object.Object, error) {
	args := &ExternalSecretArgs{
		Meta: meta, RefreshPolicy: CreatedOnce, RefreshInterval: "0s",
		Template: pulumi.StringMap{
			contract.UsernameKey: pulumi.String(username), contract.PasswordKey: pulumi.String("{{ .password }}"),
		},
	}
	from := pulumi.Array{pulumi.Map{"sourceRef": pulumi.Map{"generatorRef": pulumi.Map{
		"apiVersion": pulumi.String(generatorsAPI), "kind": pulumi.String("Password"), "name": generator.name,
	}}}}
	return create(ctx, name, apiVersion, "ExternalSecret", meta, args.spec(from, nil), 0,
		append(opts, pulumi.ReplaceOnChanges([]string{"spec"}), pulumi.DeleteBeforeReplace(true)))
}

// NewLoginCopy creates a Secret with the username and the password of another one, which the store reads. It is created
// once: it keeps its password when the other Secret is lost and gets another one, and it gets the same password again
// when it is lost itself.
func NewLoginCopy(
	ctx *pulumi.Context, name string, meta object.Meta, username, of pulumi.StringInput, store StoreRef,
	opts ...pulumi.ResourceOption,
) (object.Object, error) {
	return NewExternalSecret(ctx, name, &ExternalSecretArgs{
		Meta: meta, RefreshPolicy: CreatedOnce, RefreshInterval: "0s",
		Template: pulumi.StringMap{
			contract.UsernameKey: username, contract.PasswordKey: pulumi.String("{{ .password }}"),
		},
		Values: []Value{{Name: "password", Store: store, Key: of, Property: contract.PasswordKey}},
	}, append(opts, pulumi.ReplaceOnChanges([]string{"spec"}), pulumi.DeleteBeforeReplace(true))...)
}

// PushSecretArgs describes a Secret that the operator copies into a store.
type PushSecretArgs struct {
	object.Meta

	Store StoreRef
	// Secret is the name of the Secret. All its keys are pushed, as one JSON object.
	Secret pulumi.StringInput
	// RemoteKey is the name or ARN of the secret in the store. It must exist and carry the tag
	// managed-by=external-secrets.
	RemoteKey pulumi.StringInput
}

// NewPushSecret creates a PushSecret. It writes text: by default the operator writes bytes, which RDS Proxy does not
// read.
func NewPushSecret(
	ctx *pulumi.Context, name string, args *PushSecretArgs, opts ...pulumi.ResourceOption,
) (object.Object, error) {
	return create(ctx, name, pushVersion, "PushSecret", args.Meta, pulumi.Map{
		"refreshInterval": pulumi.String("1h"),
		"updatePolicy":    pulumi.String("Replace"),
		// The secret in the store belongs to the program.
		"deletionPolicy":  pulumi.String("None"),
		"secretStoreRefs": pulumi.Array{args.Store.fields()},
		"selector":        pulumi.Map{"secret": pulumi.Map{"name": args.Secret}},
		"data": pulumi.Array{pulumi.Map{
			// Without secretKey, all keys of the Secret are pushed.
			"match": pulumi.Map{"remoteRef": pulumi.Map{"remoteKey": args.RemoteKey}},
			"metadata": pulumi.Map{
				"apiVersion": pulumi.String("kubernetes.external-secrets.io/v1alpha1"),
				"kind":       pulumi.String("PushSecretMetadata"),
				"spec":       pulumi.Map{"secretPushFormat": pulumi.String("string")},
			},
		}},
	}, WaitSeconds, opts)
}
