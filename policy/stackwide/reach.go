package stackwide

import (
	"net/netip"
	"slices"

	"dbtier/policy/internal/pgini"
	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// groupRules are the types of rules that are separate from their security group.
func groupRules() []string {
	return []string{types.SecurityGroupRule, types.IngressRule, types.EgressRule}
}

// reach returns the rules for what can be reached over the network.
func reach() []*rule.Rule {
	return []*rule.Rule{{
		Name: "database-holders", Severity: rule.High, Levels: rule.InProduction,
		Summary: "NetworkPolicies allow access to the database for exactly the pods that have its address.",
		Why:     "Another pod could try passwords, and a pod that has the address but cannot reach it hangs.",
		Fix: "select every other pod of the namespace with an Egress policy, and allow the database's ranges and " +
			"port in the policies of the pods that have its address",
		IDs: []string{"tier:holders"},
		Types: slices.Concat([]string{types.DBInstance, types.ExternalSecret, types.NetworkPolicy},
			types.Workloads()),
		Stack: databaseHolders,
	}, {
		Name: "database-group-port", Severity: rule.Medium, Levels: rule.Always,
		Summary: "The security groups of a database open its port only.",
		Why:     "Another open port has no use today, and becomes a hole if the group is used again.",
		Fix:     "open the instance's port only",
		IDs:     []string{"tier:database-port-only"}, Types: []string{types.DBInstance, types.SecurityGroup},
		Stack: func(s *rule.Stack) {
			for _, database := range s.All(types.DBInstance) {
				port, ok := database.Get("port").Number(5432)
				if !ok {
					continue
				}
				for _, group := range s.FindAll(types.SecurityGroup, database.Dependencies()) {
					for _, ingress := range group.Get("ingress").Items() {
						var read rule.Reader
						from, to := read.Number(ingress.Get("fromPort"), 0),
							read.Number(ingress.Get("toPort"), 65535)
						if read.OK() && (from != port || to != port) {
							ingress.Fail("opens ports %v to %v, but the database listens on %v", from, to, port)
						}
					}
				}
			}
		},
	}, {
		Name: "pool-hop-guarded", Severity: rule.High, Levels: rule.Always,
		Summary: "Traffic from a service to its pool is encrypted, or only the services' pods can reach the pool.",
		Why:     "Without TLS, an attacker who can redirect traffic to the pool can read logins.",
		Fix:     "set client_tls_sslmode, or add an Ingress NetworkPolicy for the pool that names its clients' pods",
		IDs:     []string{"tier:pool-hop"},
		Types:   slices.Concat([]string{types.NetworkPolicy}, pgini.Types(), types.Servers()),
		Stack:   poolHop,
	}, {
		Name:     "pod-network-policy",
		Summary:  "A NetworkPolicy applies to every pod.",
		Why:      "A pod without a policy can reach every pod, and every pod can reach it.",
		Fix:      "add a NetworkPolicy that selects the pod",
		Severity: rule.Medium, Levels: rule.AdviceInProduction, Knobs: []rule.Knob{pods.Exempt()},
		IDs:   []string{"CKV2_K8S_6", "kyverno:add-network-policy"},
		Types: append([]string{types.NetworkPolicy}, types.Workloads()...),
		Stack: func(s *rule.Stack) {
			all, _ := workloads(s, types.Workloads())
			net := networkOf(s)
			for _, w := range all {
				if pods.Exempted(w.Subject) {
					continue
				}
				var read rule.Reader
				policies := append(net.over(&read, w, "Ingress"), net.over(&read, w, "Egress")...)
				if read.OK() && len(policies) == 0 {
					w.Fail("no NetworkPolicy applies to it")
				}
			}
		},
	}, {
		Name: "network-group-used", Severity: rule.Low, Levels: rule.Advice,
		Summary: "A security group with rules is used.",
		Why:     "An unused group can be attached to another resource, which its rules then open.",
		Fix:     "attach it or remove it",
		IDs:     []string{"CKV2_AWS_5"}, Types: []string{types.SecurityGroup},
		Stack: func(s *rule.Stack) {
			used := s.DependedOn()
			for _, group := range s.All(types.SecurityGroup) {
				// A group without rules is for clients, which can be in another stack.
				if hasRules(group) && !used[group.URN()] {
					group.Fail("no resource of this stack uses it")
				}
			}
		},
	}, {
		Name: "network-group-one-manager", Severity: rule.Medium, Levels: rule.Always,
		Summary: "The rules of a security group are managed in one place.",
		Why:     "A group with inline rules removes separate rules at every second update.",
		Fix:     "use either ingress and egress of the group, or separate rules",
		IDs:     []string{"awsguard:security-group-no-rule-management-conflicts"},
		Types:   append(groupRules(), types.SecurityGroup),
		Stack: func(s *rule.Stack) {
			for _, r := range s.All(groupRules()...) {
				for _, group := range s.FindAll(types.SecurityGroup, r.DependenciesOf("securityGroupId")) {
					if hasRules(group) {
						r.Fail("is a separate rule of %s, which also has inline rules", group.Name())
					}
				}
			}
		},
	}}
}

// hasRules reports whether a security group has inline rules.
func hasRules(group *rule.Subject) bool {
	return group.Get("ingress").Filled() || group.Get("egress").Filled()
}

// databaseHolders compares the pods that have the database's address with the pods that can reach it.
func databaseHolders(s *rule.Stack) {
	databases := s.All(types.DBInstance)
	if len(databases) == 0 {
		return
	}
	var read rule.Reader
	port := read.Number(databases[0].Get("port"), 5432)
	created, in := secretsOf(s)
	// A Secret whose hosts are unknown may contain the address.
	hidden := func(c *secret) bool { return c.url && len(c.hosts) == 0 }
	if !read.OK() || slices.ContainsFunc(created, hidden) {
		return
	}
	all, _ := workloads(s, types.Workloads())
	holds := func(w *workload) bool {
		// A login with tokens has no password, so its URL is in no Secret.
		return slices.ContainsFunc(variables(&read, w, ""), outside) || slices.ContainsFunc(in[w.namespace],
			func(c *secret) bool { return (c.outside() || c.config) && w.reads(c.name) })
	}
	net := networkOf(s)
	ranges := map[string][]netip.Prefix{}
	for _, w := range all {
		if holds(w) {
			ranges[w.namespace] = append(ranges[w.namespace], rangesOf(&read, net.over(&read, w, "Egress"), port)...)
		}
	}
	for _, w := range all {
		of, guarded := ranges[w.namespace]
		if !guarded {
			continue
		}
		policies := net.over(&read, w, "Egress")
		can := reaches(&read, policies, of, port)
		switch {
		case !read.OK():
			return
		case holds(w) && !can:
			w.Fail("has the database's address, but no NetworkPolicy allows access")
		case !holds(w) && len(policies) == 0:
			w.Fail("can reach the database without having its address: no Egress policy selects it")
		case !holds(w) && can:
			w.Fail("can reach the database without having its address: %s allows it", policies[0].Name())
		}
	}
}

func poolHop(s *rule.Stack) {
	_, in := workloads(s, types.Servers())
	net := networkOf(s)
	for _, subject := range s.All(pgini.Types()...) {
		for _, config := range pgini.Find(subject) {
			mode := config.Settings["client_tls_sslmode"]
			if slices.Contains([]string{"require", "verify-ca", "verify-full"}, mode) {
				continue
			}
			for _, w := range poolsOf(config, in) {
				var read rule.Reader
				if policies := net.over(&read, w, "Ingress"); read.OK() && len(policies) == 0 {
					w.Fail("accepts logins in plain text from every pod in the cluster")
				}
			}
		}
	}
}
