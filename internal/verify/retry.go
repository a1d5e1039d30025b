package verify

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Kinds and versions of the operator's stores.
const (
	stores        = "secretstores.v1.external-secrets.io"
	clusterStores = "clustersecretstores.v1.external-secrets.io"
)

// retryInterval is how long the operator has for an attempt before it is asked again.
const retryInterval = 2 * time.Second

// RetryExternalSecrets makes the operator try again at once what it failed to do, and returns what it still cannot do
// when the context ends. By itself it waits longer after each failure, up to a quarter of an hour: an update that
// repaired a role or a store would be followed by Secrets that are as old as the fault.
func (v *Verifier) RetryExternalSecrets(ctx context.Context) ([]string, error) {
	for {
		failed, err := v.failedOfOperator(ctx)
		if err != nil || len(failed) == 0 {
			return nil, err
		}
		for _, f := range failed {
			// Any new value makes the operator look at the object.
			_, err := v.Kubectl.Run(ctx, "", "annotate", "--namespace="+v.Target.Namespace, "--overwrite", f.kind,
				f.name, "force-sync="+strconv.FormatInt(v.now().UnixMilli(), 10))
			if err != nil && !notFound(err) {
				return nil, err
			}
		}
		select {
		case <-time.After(retryInterval):
		case <-ctx.Done():
			var faults []string
			for _, f := range failed {
				faults = append(faults, fmt.Sprintf("%s %s", f.name, f.fault))
			}
			return faults, nil
		}
	}
}

type failedObject struct{ kind, name, fault string }

// failedOfOperator returns the tier's ExternalSecrets that are not Ready, after the stores that they need and that are
// not Ready either.
func (v *Verifier) failedOfOperator(ctx context.Context) ([]failedObject, error) {
	var list struct {
		Items []struct {
			Kind string `json:"kind"`
			externalSecret
		} `json:"items"`
	}
	if err := v.Kubectl.Get(ctx, &list, v.Target.Namespace, resource+","+stores+","+clusterStores); err != nil {
		return nil, err
	}
	tiers := map[string]bool{}
	for _, name := range v.Target.ExternalSecrets {
		tiers[name] = true
	}
	needed := map[string]bool{}
	var failed, secrets []failedObject
	for _, item := range list.Items {
		if item.Kind != "ExternalSecret" || !tiers[item.Metadata.Name] {
			continue
		}
		if fault := item.unready(); fault != "" {
			secrets = append(secrets, failedObject{resource, item.Metadata.Name, fault})
			for _, ref := range item.stores() {
				needed[ref] = true
			}
		}
	}
	for _, item := range list.Items {
		fault := item.unready()
		if fault == "" || !needed[item.Kind+"/"+item.Metadata.Name] {
			continue
		}
		kind := stores
		if item.Kind == "ClusterSecretStore" {
			kind = clusterStores
		}
		failed = append(failed, failedObject{kind, item.Metadata.Name, fault})
	}
	return append(failed, secrets...), nil
}
