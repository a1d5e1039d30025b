package rdsproxy

import (
	"fmt"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/amazontrust"
	"dbtier/components/naming"
	"dbtier/components/workload"
	"dbtier/validation"
)

const (
	// CAKey is the key of the ConfigMap with the authorities of the proxy's certificate.
	CAKey = "ca.pem"
	// CAPath is the file in which DATABASE_URL expects them.
	CAPath = "/etc/database-ca/ca.pem"
)

// untilReady has Pulumi wait until the operator has done its part. A role that was just made is not known everywhere in
// AWS at once, and the operator tries again at growing intervals.
var untilReady = pulumi.StringMap{
	"pulumi.com/waitFor":        pulumi.String("condition=Ready"),
	"pulumi.com/timeoutSeconds": pulumi.String("300"),
}

// metadata of an object in the service's namespace.
func (b *builder) metadata(name string, annotations pulumi.StringMap) *metav1.ObjectMetaArgs {
	meta := &metav1.ObjectMetaArgs{
		Name: pulumi.String(name), Namespace: pulumi.String(b.args.Namespace),
		Labels: workload.Labels(b.args.Service, b.args.Service),
	}
	if annotations != nil {
		meta.Annotations = annotations
	}
	return meta
}

// object is a name of the proxy's among those of the service.
func (b *builder) object(part string) string {
	return naming.Join(naming.LabelLimit, b.args.Service, "proxy", part)
}

// options are those of every object in the cluster: below the component, and after what it needs there.
func (b *builder) options(after ...pulumi.Resource) pulumi.ResourceOption {
	return pulumi.Composite(b.parent, pulumi.DependsOn(append(after, b.args.DependsOn...)))
}

func (b *builder) store() pulumi.Map {
	return pulumi.Map{"kind": pulumi.String(b.args.Store.Kind), "name": b.args.Store.Name}
}

// push has the operator write the first user's password to where the proxy reads it: into a secret that is there and is
// tagged as the operator's. The proxy reads text, and the operator writes bytes where nobody says otherwise.
func (b *builder) push() (*apiextensions.CustomResource, error) {
	pushed, err := apiextensions.NewCustomResource(b.ctx, b.name+"-credential", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("external-secrets.io/v1alpha1"),
		Kind:       pulumi.String("PushSecret"),
		Metadata:   b.metadata(b.object("credential"), untilReady),
		OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{
			"refreshInterval": pulumi.String("1h"),
			"updatePolicy":    pulumi.String("Replace"),
			// The secret is the program's.
			"deletionPolicy":  pulumi.String("None"),
			"secretStoreRefs": pulumi.Array{b.store()},
			"selector":        pulumi.Map{"secret": pulumi.Map{"name": b.args.CredentialSecret}},
			"data": pulumi.Array{pulumi.Map{
				// Without a key of the Secret all of them, as one object in JSON.
				"match": pulumi.Map{"remoteRef": pulumi.Map{"remoteKey": b.args.Users[0].SecretArn}},
				"metadata": pulumi.Map{
					"apiVersion": pulumi.String("kubernetes.external-secrets.io/v1alpha1"),
					"kind":       pulumi.String("PushSecretMetadata"),
					"spec":       pulumi.Map{"secretPushFormat": pulumi.String("string")},
				},
			}},
		}},
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("its credential: %w", err)
	}
	return pushed, nil
}

// authorities are public, so they are a ConfigMap.
func (b *builder) authorities() (*corev1.ConfigMap, error) {
	made, err := corev1.NewConfigMap(b.ctx, b.name+"-authorities", &corev1.ConfigMapArgs{
		Metadata: b.metadata(b.object("ca"), nil),
		Data:     pulumi.StringMap{CAKey: pulumi.String(amazontrust.Bundle())},
	}, b.options())
	if err != nil {
		return nil, fmt.Errorf("the authorities of its certificate: %w", err)
	}
	return made, nil
}

// consumerSecret is DATABASE_URL as the service gets it.
func (b *builder) consumerSecret(
	endpoint pulumi.StringOutput, after []pulumi.Resource,
) (*apiextensions.CustomResource, error) {
	secret, err := apiextensions.NewCustomResource(b.ctx, b.name+"-consumer-secret", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String("external-secrets.io/v1"),
		Kind:       pulumi.String("ExternalSecret"),
		Metadata:   b.metadata(b.args.ConsumerSecret, untilReady),
		OtherFields: kubernetes.UntypedArgs{"spec": pulumi.Map{
			"refreshPolicy":   pulumi.String("Periodic"),
			"refreshInterval": pulumi.String(b.args.RefreshInterval),
			"dataFrom": pulumi.Array{pulumi.Map{
				"extract":   pulumi.Map{"key": b.args.Users[0].SecretArn},
				"sourceRef": pulumi.Map{"storeRef": b.store()},
			}},
			"target": pulumi.Map{
				"name":           pulumi.String(b.args.ConsumerSecret),
				"creationPolicy": pulumi.String("Owner"),
				// A secret that is missing for a moment must not take the service's away.
				"deletionPolicy": pulumi.String("Retain"),
				"template": pulumi.Map{"engineVersion": pulumi.String("v2"), "data": pulumi.StringMap{
					"DATABASE_URL": endpoint.ApplyT(b.args.databaseURL).(pulumi.StringOutput),
				}},
			},
		}},
	}, b.options(after...))
	if err != nil {
		return nil, fmt.Errorf("the service's secret: %w", err)
	}
	return secret, nil
}

// databaseURL is a template that the operator fills. Who logs in with tokens has no password.
func (a *RdsProxyArgs) databaseURL(host string) (string, error) {
	// It comes from AWS, and goes where a stray quote or brace would be read as something else.
	if !validation.Hostname.Matches(host) {
		return "", fmt.Errorf("endpoint %q: want the name of a host", host)
	}
	login := "{{ .username | urlquery }}:{{ .password | urlquery }}"
	if a.IAMAuth == IAMRequired {
		login = "{{ .username | urlquery }}"
	}
	return fmt.Sprintf("postgresql://%s@%s:%d/%s?sslmode=verify-full&sslrootcert=%s", login, host, Port, a.DatabaseName,
		CAPath), nil
}
