package guard

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"dbtier/components/externalsecrets"
	"dbtier/internal/progress"
)

// ExternalSecrets is the kind of object that needs the operator, as kubectl names it.
const ExternalSecrets = "externalsecrets.external-secrets.io"

// DeletesOperator reports whether the deletions include a Deployment of the External Secrets Operator.
func DeletesOperator(deletions []progress.Step) bool {
	_, deleted := operatorOf(deletions)
	return deleted
}

func operatorOf(deletions []progress.Step) (urn string, deleted bool) {
	const within = externalsecrets.OperatorType + "$"
	for _, step := range deletions {
		if step.Type == "kubernetes:apps/v1:Deployment" && strings.Contains(step.URN, within) {
			return step.URN, true
		}
	}
	return "", false
}

// OperatorInUse is the obstacle that the deletions include the operator and leave ExternalSecrets of the cluster.
// Without the operator nothing refreshes their Secrets, and they cannot be deleted: each has a finalizer that only the
// operator removes, so the destroy of their stack would wait for its namespace until it gives up.
func OperatorInUse(deletions []progress.Step, inCluster []Object) []Obstacle {
	urn, deleted := operatorOf(deletions)
	if !deleted {
		return nil
	}
	gone := func(o Object) bool {
		return slices.ContainsFunc(deletions, func(step progress.Step) bool {
			switch {
			case step.Retained:
				return false
			case step.Type == namespaceType:
				return step.ID == o.Metadata.Namespace
			default:
				return strings.HasSuffix(step.Type, ":ExternalSecret") && step.ID == o.ID()
			}
		})
	}
	left := map[string]int{}
	for _, o := range inCluster {
		if !gone(o) {
			left[o.Metadata.Namespace]++
		}
	}
	if len(left) == 0 {
		return nil
	}
	namespaces := slices.Sorted(maps.Keys(left))
	parts := make([]string, len(namespaces))
	for i, name := range namespaces {
		parts[i] = fmt.Sprintf("%d in namespace %s", left[name], name)
	}
	return []Obstacle{{
		URN: urn,
		Reason: "is the operator of ExternalSecrets that stay, which could neither be refreshed nor deleted without " +
			"it: " + strings.Join(parts, ", "),
		Fix: "destroy the stacks that they belong to first; delete those of no stack: kubectl delete " +
			"externalsecrets <name> --namespace=" + namespaces[0],
	}}
}
