//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The node admits only pods that tolerate its taint, and the namespace only pods whose containers all have limits.
func TestTheTierRunsOnATaintedNodeUnderAQuota(t *testing.T) {
	node := strings.TrimSpace(kubectl(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"))
	plain := []string{"up", "--stack", "local"}
	t.Cleanup(func() {
		kubectl(t, "taint", "nodes", node, "dedicated-")
		mustDbtier(t, plain...)
	})
	kubectl(t, "taint", "nodes", node, "dedicated=database:NoSchedule")
	apply(t, `
apiVersion: v1
kind: ResourceQuota
metadata: {name: everything, namespace: myshop}
spec: {hard: {limits.cpu: "20", limits.memory: 8Gi, requests.cpu: "4", requests.memory: 4Gi, pods: "30"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: bounds, namespace: myshop}
spec: {limits: [{type: Container, max: {cpu: "2", memory: 1Gi}, min: {cpu: 1m, memory: 8Mi}}]}
`)
	w := withConfig(t, "      LOG_LEVEL: info\n", "      LOG_LEVEL: info\n    resources: {cpuLimit: 500m}\n"+
		"  dbtier:scheduling:\n    tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}]\n"+
		"    topologySpread: [{topologyKey: kubernetes.io/hostname, maxSkew: 5, whenUnsatisfiable: DoNotSchedule}]\n")
	r := w.run(t, append([]string{"bin/dbtier"}, plain...)...)
	require.Zero(t, r.code, "%s", r)
	var pods struct {
		Items []struct {
			Metadata struct{ Name, DeletionTimestamp string }
			Spec     struct{ Tolerations []map[string]any }
		}
	}
	decode(t, kubectl(t, "-n", namespace, "get", "pods", "-o", "json"), &pods)
	require.NotEmpty(t, pods.Items)
	for _, pod := range pods.Items {
		// A pod of the revision before may still wait for its clients.
		if pod.Metadata.DeletionTimestamp != "" {
			continue
		}
		text, err := json.Marshal(pod.Spec.Tolerations)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"dedicated"`, pod.Metadata.Name)
	}
	r = w.run(t, "bin/dbtier", "verify", "--stack", "local")
	require.Zero(t, r.code, "verify's own pods are admitted and scheduled: %s", r)
}
