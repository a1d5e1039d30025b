package eso

import (
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/object"
)

const (
	apiVersion    = "external-secrets.io/v1"
	pushVersion   = "external-secrets.io/v1alpha1"
	generatorsAPI = "generators.external-secrets.io/v1alpha1"
)

// WaitSeconds is how long an update waits for an object that depends on a new role in AWS. A new role is not known
// everywhere in AWS at once, and the operator tries again at growing intervals.
const WaitSeconds = 300

// waitFor makes Pulumi wait for the condition Ready of an object: by default it does not wait for custom resources. An
// update fails after the given seconds; 0 is the Kubernetes provider's default of ten minutes.
func waitFor(seconds int) pulumi.StringMap {
	annotations := pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=Ready")}
	if seconds > 0 {
		annotations["pulumi.com/timeoutSeconds"] = pulumi.String(strconv.Itoa(seconds))
	}
	return annotations
}

// create creates an object and waits until it is Ready.
func create(
	ctx *pulumi.Context, name, version, kind string, meta object.Meta, spec pulumi.Map, wait int,
	opts []pulumi.ResourceOption,
) (object.Object, error) {
	meta.Annotations = waitFor(wait)
	return object.NewCustom(ctx, name, version, kind, meta, spec, opts...)
}
