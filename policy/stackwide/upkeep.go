package stackwide

import (
	"maps"
	"slices"
	"time"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// upkeep returns the rules for the operation of a stack.
func upkeep() []*rule.Rule {
	return []*rule.Rule{{
		Name: "pod-disruption-covered", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "A server with several replicas has a PodDisruptionBudget that allows evictions.",
		Why:     "Without a budget, draining two nodes can evict all replicas. If a budget needs all, draining hangs.",
		Fix:     "add a PodDisruptionBudget with maxUnavailable 1",
		IDs:     []string{"kyverno:require-pdb", "kyverno:deployment-replicas-higher-than-pdb"},
		Types:   []string{types.DisruptionBudget, types.Deployment, types.StatefulSet},
		Stack:   disruptionCovered,
	}, {
		Name: "crds-retained", Severity: rule.Critical, Levels: rule.Always,
		Summary: "CustomResourceDefinitions stay when the stack is destroyed.",
		Why:     "Deleting a definition deletes its objects: the ExternalSecrets of every team, and their Secrets.",
		Fix:     "in a chart, annotate it with helm.sh/resource-policy: keep; on your own, set retainOnDelete",
		IDs:     []string{"tier:crds-retained"}, Types: []string{types.CustomResource},
		Resource: func(s *rule.Subject) {
			value := s.Get("metadata", "annotations", "helm.sh/resource-policy")
			if policy, ok := value.Text(""); ok && policy != "keep" && !s.Protected() {
				s.Fail("is deleted with the stack")
			}
		},
	}, {
		Name: "rds-events-subscribed", Severity: rule.Low, Levels: rule.AdviceInProduction,
		Summary: "Events of a database are sent to a topic.",
		Why:     "RDS reports failovers, low storage and failures once, and only to subscribers.",
		Fix:     "add an EventSubscription with the source type db-instance",
		IDs:     []string{"RDS.20"},
		Types:   []string{types.DBInstance, types.DBEventSubscription},
		Stack: func(s *rule.Stack) {
			subscribed := slices.ContainsFunc(s.All(types.DBEventSubscription), func(one *rule.Subject) bool {
				kind, ok := one.Get("sourceType").Text("")
				return !ok || kind == "" || kind == "db-instance"
			})
			for _, database := range s.All(types.DBInstance) {
				if !subscribed {
					database.Fail("its events are not sent to a topic")
				}
			}
		},
	}, {
		Name: "exceptions-current", Severity: rule.Medium, Levels: rule.Always,
		Summary: "Exceptions have not expired.",
		Why:     "An expired exception must be reviewed.",
		Fix:     "fix the resource and remove the exception, or set a later date",
		IDs:     []string{"tier:exceptions-expire"}, Types: []string{},
		Stack: func(s *rule.Stack) {
			for _, name := range slices.Sorted(maps.Keys(s.Exceptions)) {
				for _, exception := range s.Exceptions[name] {
					if exception.Expired(s.Now) {
						s.Fail("%s: the exception of %s for %s expired on %s (%s)", name, exception.Owner,
							exception.Resource, exception.Expires.Format(time.DateOnly), exception.Reason)
					}
				}
			}
		},
	}, {
		Name: "exceptions-used", Severity: rule.Low, Levels: rule.Advice,
		Summary: "Exceptions are for resources that the stack has.",
		Why:     "An exception for another name allows nothing, and is forgotten when the resource comes back.",
		Fix:     "correct the name, or remove the exception",
		IDs:     []string{"tier:exceptions-used"}, Types: []string{},
		Stack: func(s *rule.Stack) {
			for _, name := range slices.Sorted(maps.Keys(s.Exceptions)) {
				for _, exception := range s.Exceptions[name] {
					if !s.Has(exception) {
						s.Fail("%s: the exception of %s is for %s, which the stack does not have", name,
							exception.Owner, exception.Resource)
					}
				}
			}
		},
	}}
}

func disruptionCovered(s *rule.Stack) {
	all, _ := workloads(s, []string{types.Deployment, types.StatefulSet})
	var read rule.Reader
	budgets := map[string][]*rule.Subject{}
	for _, budget := range s.All(types.DisruptionBudget) {
		namespace := pods.Namespace(&read, budget)
		budgets[namespace] = append(budgets[namespace], budget)
	}
	if !read.OK() {
		return
	}
	for _, w := range all {
		count, ok := w.replicas()
		if !ok || count < 2 {
			continue
		}
		covered := false
		for _, budget := range budgets[w.namespace] {
			var read rule.Reader
			selected := selects(&read, budget.Get("spec", "selector"), w.labels)
			covered = covered || selected || !read.OK()
			if !selected || !read.OK() {
				continue
			}
			minimum := budget.Get("spec", "minAvailable")
			if least, ok := minimum.Number(0); ok && least >= count {
				minimum.Fail("%s has %v replicas, so none can be evicted", w.Name(), count)
			}
		}
		if !covered {
			w.Fail("has %v replicas and no PodDisruptionBudget", count)
		}
	}
}
