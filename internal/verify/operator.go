package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"dbtier/internal/kubectl"
)

// resource is the kind and version of the tier's ExternalSecrets. The operator must serve this version.
const resource = "externalsecrets.v1.external-secrets.io"

// noOperator reports whether the cluster does not serve the tier's kind of ExternalSecret.
func noOperator(err error) bool {
	var failed *kubectl.Error
	return errors.As(err, &failed) && failed.UnknownKind()
}

// withoutOperator is the finding on a cluster that does not serve it.
func withoutOperator(next string) *finding {
	return found(next,
		"the cluster does not serve %s: it has no External Secrets Operator, or one older than v0.16: bring up the "+
			"stack that installs the cluster's operator, or set dbtier:operator.install to true in this stack",
		resource)
}

// operator checks that the operator's Deployments are available and its API is served.
func (v *Verifier) operator(ctx context.Context) (string, error) {
	namespace := v.Target.OperatorNamespace
	look := fmt.Sprintf("%s --namespace=%s get deployments,pods --output=wide", v.Target.Kubectl, namespace)
	if _, err := v.Kubectl.Run(ctx, "", "get", resource, "--all-namespaces", "--output=name"); err != nil {
		if noOperator(err) {
			return "", withoutOperator(v.up())
		}
		return "", err
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Spec struct {
				Replicas int `json:"replicas"`
				Template struct {
					Spec struct {
						Containers []struct {
							Image string `json:"image"`
						} `json:"containers"`
					} `json:"spec"`
				} `json:"template"`
			} `json:"spec"`
			Status struct {
				AvailableReplicas int `json:"availableReplicas"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := v.Kubectl.Get(ctx, &list, namespace, "deployments"); err != nil {
		return "", err
	}
	if len(list.Items) == 0 {
		return "", found(v.up(), "namespace %s has no Deployment", namespace)
	}
	var seen []string
	for _, item := range list.Items {
		if available, wanted := item.Status.AvailableReplicas, item.Spec.Replicas; available < wanted {
			return "", found(look, "Deployment %s/%s has %d of %d pods available", namespace, item.Metadata.Name,
				available, wanted)
		}
		version := ""
		for _, container := range item.Spec.Template.Spec.Containers {
			if _, tag, ok := strings.Cut(container.Image[strings.LastIndex(container.Image, "/")+1:], ":"); ok {
				version = " " + tag
			}
		}
		seen = append(seen, item.Metadata.Name+version)
	}
	return strings.Join(seen, ", "), nil
}
