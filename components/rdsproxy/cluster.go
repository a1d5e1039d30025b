package rdsproxy

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/amazontrust"
	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/object"
	"dbtier/components/workload"
	"dbtier/validation"
)

// meta returns the metadata of an object in the service's namespace.
func (b *builder) meta(name string) object.Meta {
	return object.Meta{
		Name: name, Namespace: b.args.Namespace, Labels: workload.Labels(b.args.Service, b.args.Service),
	}
}

// object returns the name of an object of the proxy.
func (b *builder) object(part string) string { return contract.Object(b.args.Service, "proxy", part) }

// options returns the options of every object in the cluster. An object is below the component, and created after what
// it needs.
func (b *builder) options(after ...pulumi.Resource) pulumi.ResourceOption {
	return pulumi.Composite(b.Parent, pulumi.DependsOn(append(after, b.args.DependsOn...)))
}

// push makes the operator write the first user's password into the secret that the proxy reads.
func (b *builder) push() (object.Object, error) {
	return eso.NewPushSecret(b.Ctx, b.Child("credential"), &eso.PushSecretArgs{
		Meta:      b.meta(b.object("credential")),
		Store:     b.args.Store,
		Secret:    b.args.CredentialSecret,
		RemoteKey: b.args.Users[0].SecretArn,
	}, b.options())
}

// authorities creates the ConfigMap of the certificates, which are public.
func (b *builder) authorities() (object.Object, error) {
	return object.NewConfigMap(b.Ctx, b.Child("authorities"), b.meta(b.object("ca")),
		map[string]string{contract.CAKey: amazontrust.Bundle()}, b.options())
}

// consumerSecret is the Secret with the service's DATABASE_URL.
func (b *builder) consumerSecret(endpoint pulumi.StringOutput, after []pulumi.Resource) (object.Object, error) {
	return eso.NewExternalSecret(b.Ctx, b.Child("consumer-secret"), &eso.ExternalSecretArgs{
		Meta:            b.meta(b.args.ConsumerSecret),
		RefreshPolicy:   eso.Periodic,
		RefreshInterval: b.args.RefreshInterval,
		Extract:         []eso.Extract{{Store: b.args.Store, Key: b.args.Users[0].SecretArn}},
		Template: pulumi.StringMap{
			contract.DatabaseURL: endpoint.ApplyT(b.args.databaseURL).(pulumi.StringOutput),
		},
		WaitSeconds: eso.WaitSeconds,
	}, b.options(after...))
}

// databaseURL returns the operator's template of DATABASE_URL. A service that logs in with tokens has no password.
func (a *RdsProxyArgs) databaseURL(host string) (string, error) {
	// The endpoint comes from AWS and goes into the URL unescaped, where a quote or brace would break it.
	if !validation.Hostname.Matches(host) {
		return "", fmt.Errorf("endpoint %q: %s", host, validation.Hostname.Rule)
	}
	login := eso.URLLogin
	if a.IAMAuth == IAMRequired {
		login = eso.URLUser
	}
	return contract.URL(login, host, Port, a.DatabaseName, contract.ProxyCAPath), nil
}
