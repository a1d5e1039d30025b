package stackwide

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/budget"
	"dbtier/policy/internal/iamdoc"
	"dbtier/policy/internal/pgini"
	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
)

const (
	family           = "stackwide"
	instance         = "aws:rds/instance:Instance"
	parameterGroup   = "aws:rds/parameterGroup:ParameterGroup"
	proxyTarget      = "aws:rds/proxyTarget:ProxyTarget"
	proxyTargetGroup = "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup"
	subscription     = "aws:rds/eventSubscription:EventSubscription"
	logGroup         = "aws:cloudwatch/logGroup:LogGroup"
	role             = "aws:iam/role:Role"
	rolePolicy       = "aws:iam/rolePolicy:RolePolicy"
	secret           = "aws:secretsmanager/secret:Secret"
	rotation         = "aws:secretsmanager/secretRotation:SecretRotation"
	group            = "aws:ec2/securityGroup:SecurityGroup"
)

var (
	attachments = []string{
		"aws:iam/rolePolicyAttachment:RolePolicyAttachment",
		"aws:iam/policyAttachment:PolicyAttachment", rolePolicy,
	}
	groupRules = []string{
		"aws:ec2/securityGroupRule:SecurityGroupRule", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
		"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
	}
)

// Rules are all rules of the family.
func Rules() []*rule.Rule {
	return slices.Concat(connections(), identities(), access(), order(), housekeeping())
}

func connections() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "connections-fit", Family: family,
			Summary: "What pools and Jobs can open together fits into the database's max_connections.",
			Why:     "The connection that is one too many fails, and it is as well the migration's or the on-call's.",
			Fix:     "lower the pools' sizes, or take a larger instance class", Severity: rule.High,
			Levels: rule.Always,
			Knobs: []rule.Knob{{
				Name:        "directConnections",
				Description: "How many connections a pod opens that goes to the database itself.", Default: 1.0,
			}},
			IDs: []string{"gap:pool-budget"}, Types: slices.Concat(
				[]string{instance, parameterGroup, proxyTarget, proxyTargetGroup}, pgini.Types, pods.All,
			),
			Stack: connectionsFit,
		},
		{
			Name: "database-holders", Family: family,
			Summary: "NetworkPolicies let exactly those pods to the database that hold its address.",
			Why: "A pod that can reach the database can try passwords; a holder that cannot is a migration that " +
				"hangs.",
			Fix: "let an Egress policy select every other pod of the namespace, and the holders' policies name " +
				"the database's ranges and port",
			Severity: rule.High,
			Levels:   rule.InProduction, IDs: []string{"tier:holders"},
			Types: slices.Concat([]string{instance, externalSecret, networkPolicy}, pods.All),
			Stack: holders,
		},
		{
			Name: "database-group-port", Family: family,
			Summary: "The security groups of a database open its port, and nothing else.",
			Why:     "What else they open leads nowhere today, and somewhere when the group is used again.",
			Fix:     "open the instance's port only", Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{"tier:database-port-only"}, Types: []string{instance, group},
			Needs: []string{"port", "ingress", "vpcSecurityGroupIds"},
			Stack: func(s *rule.Stack) {
				for _, database := range s.All(instance) {
					port, ok := database.Get("port").Number(5432)
					if !ok {
						continue
					}
					for _, urn := range database.Dependencies() {
						guard := s.Find(urn)
						if guard == nil || guard.Type() != group {
							continue
						}
						for _, ingress := range guard.Get("ingress").Items() {
							from, known := ingress.Get("fromPort").Number(0)
							to, also := ingress.Get("toPort").Number(65535)
							if known && also && (from != port || to != port) {
								ingress.Fail("opens the ports %v to %v, and the database listens on %v", from, to, port)
							}
						}
					}
				}
			},
		},
		{
			Name: "pool-hop-guarded", Family: family,
			Summary: "The hop from a service to its pool is encrypted, or kept to the services' pods.",
			Why:     "Without TLS, whoever reaches the pool's pods reads the login of whoever connects.",
			Fix: "set client_tls_sslmode, or let an Ingress NetworkPolicy select the pool and name the clients' " +
				"pods",
			Severity: rule.High, Levels: rule.Always,
			IDs: []string{"tier:pool-hop"}, Types: slices.Concat([]string{networkPolicy}, pgini.Types, pods.Servers),
			Stack: poolHop,
		},
	}
}

// poolOf are the workloads that run with a configuration of PgBouncer, by its Secret or ConfigMap.
func poolOf(config pgini.Config, in map[string][]*workload) []*workload {
	namespace, ok := pods.Namespace(config.Value.Subject())
	if !ok {
		return nil
	}
	var found []*workload
	for _, w := range in[namespace] {
		mounts := w.secrets()[config.Object]
		for _, volume := range w.spec.Get("volumes").Items() {
			if name := volume.Get("configMap").Get("name"); !name.Missing() {
				text, _ := name.Text("")
				mounts = mounts || text == config.Object
			}
		}
		if mounts {
			found = append(found, w)
		}
	}
	return found
}

func connectionsFit(s *rule.Stack) {
	databases := s.All(instance)
	if len(databases) == 0 {
		return
	}
	holders := holdersOf(s)
	parameters, proxies := parametersOf(s), proxiesOf(s)
	for _, database := range databases {
		class, ok := database.Get("instanceClass").Text("")
		most, known := maxConnections(parameters, database)
		if !ok || !known || class == "" {
			continue
		}
		b := budget.Budget{Class: class, MaxConnections: most, Holders: holders[""]}
		if len(databases) == 1 {
			// The address only AWS knows; where there is one instance, everything is about it.
			b.Holders = nil
			for _, address := range slices.Sorted(maps.Keys(holders)) {
				b.Holders = append(b.Holders, holders[address]...)
			}
		} else if address, found := database.Get("address").Text(""); found {
			b.Holders = append(slices.Clone(b.Holders), holders[address]...)
		} else {
			continue
		}
		if identifier, ok := database.Get("identifier").Text(""); ok {
			b.Holders = append(b.Holders, proxies[identifier]...)
		}
		if len(b.Holders) > 0 {
			report(database, b.Check())
		}
	}
}

func report(database *rule.Subject, err error) {
	var exceeded *budget.ExceededError
	switch {
	case err == nil:
	case errors.As(err, &exceeded):
		fixes := strings.ReplaceAll(strings.Join(exceeded.Fixes, ", or "), "database.instanceClass", "instanceClass")
		if fixes == "" {
			fixes = "nothing smaller than another design"
		}
		database.Fail("there is room for %d connections, and %d can be open at once\n  %s\n  it fits with %s",
			exceeded.Limit, exceeded.Most,
			strings.Join(exceeded.Lines, "\n  "), fixes)
	default:
		database.Fail("%s", err)
	}
}

// proxiesOf are what RDS Proxies may open, by the identifier of their instance.
func proxiesOf(s *rule.Stack) map[string][]budget.Holder {
	percent := map[string]int{}
	for _, group := range s.All(proxyTargetGroup) {
		name, ok := group.Get("dbProxyName").Text("")
		// The default of RDS.
		most, also := group.Get("connectionPoolConfig", "maxConnectionsPercent").Number(100)
		if ok && also {
			percent[name] = int(most)
		}
	}
	found := map[string][]budget.Holder{}
	for _, target := range s.All(proxyTarget) {
		name, ok := target.Get("dbProxyName").Text("")
		identifier, also := target.Get("dbInstanceIdentifier").Text("")
		if ok && also && percent[name] > 0 {
			found[identifier] = append(found[identifier],
				budget.Holder{Name: "proxy " + name, Setting: "maxConnectionsPercent", Percent: percent[name]})
		}
	}
	return found
}

// parametersOf are the parameter groups by name.
func parametersOf(s *rule.Stack) map[string]*rule.Subject {
	found := map[string]*rule.Subject{}
	for _, parameters := range s.All(parameterGroup) {
		if name, ok := parameters.Get("name").Text(""); ok {
			found[name] = parameters
		}
	}
	return found
}

// maxConnections is the parameter of the instance's group, or 0 where the class decides.
func maxConnections(groups map[string]*rule.Subject, database *rule.Subject) (most int, ok bool) {
	wanted, ok := database.Get("parameterGroupName").Text("")
	if !ok || groups[wanted] == nil {
		return 0, ok
	}
	parameters := groups[wanted].Get("parameters")
	if !parameters.Known() {
		return 0, false
	}
	for _, parameter := range parameters.Items() {
		called, ok := parameter.Get("name").Text("")
		if !ok {
			return 0, false
		}
		if called != "max_connections" {
			continue
		}
		value, ok := parameter.Get("value").Text("")
		number, err := strconv.Atoi(value)
		if !ok || err != nil {
			return 0, ok
		}
		return number, true
	}
	return 0, true
}

// holdersOf are the pools and the pods that go to a database itself, by the database's address. Where an address cannot
// be told, it is nothing.
func holdersOf(s *rule.Stack) map[string][]budget.Holder {
	_, in := workloads(s, pods.All...)
	found := map[string][]budget.Holder{}
	for _, subject := range s.All(pgini.Types...) {
		for _, config := range pgini.Find(subject) {
			lines := map[string]int{}
			for _, connection := range config.Databases {
				lines[pgini.Host(connection)]++
			}
			size, reserve, setting := config.Number("default_pool_size", 20), config.Number("reserve_pool_size", 0),
				"default_pool_size"
			if bound := config.Number("max_db_connections", 0); bound > 0 {
				size, reserve, setting = bound, 0, "max_db_connections"
			}
			for _, w := range poolOf(config, in) {
				count, ok := w.Get("spec", "replicas").Number(1)
				if !ok || !w.server() {
					continue
				}
				for host, pairs := range lines {
					found[host] = append(found[host], budget.Holder{
						Name: "pool " + w.Name(), Instances: int(count), Setting: setting, Value: size,
						Reserve: reserve, Pairs: pairs,
						Rolling: w.Type() == pods.Deployment,
					})
				}
			}
		}
	}
	all, _ := secrets(s)
	for _, m := range all {
		if !m.direct() {
			continue
		}
		for _, w := range in[m.namespace] {
			count, ok := w.Get("spec", "replicas").Number(1)
			if ok && m.usedBy(w) {
				found[m.hosts[0]] = append(found[m.hosts[0]], budget.Holder{
					Name: w.Name(), Instances: int(count), Value: int(s.Number("directConnections")),
					Rolling: w.Type() == pods.Deployment,
				})
			}
		}
	}
	return found
}

// holders compares who has the database's address with who can reach it.
func holders(s *rule.Stack) {
	databases := s.All(instance)
	if len(databases) == 0 {
		return
	}
	port, ok := databases[0].Get("port").Number(5432)
	if !ok {
		return
	}
	all, _ := workloads(s, pods.All...)
	every, keys := secrets(s)
	holds := func(w *workload) bool {
		return slices.ContainsFunc(keys[w.namespace],
			func(m *made) bool { return (m.outside() || m.config) && m.usedBy(w) })
	}
	// A Secret whose hosts are not known yet may be a way to the database.
	for _, m := range every {
		if m.url && len(m.hosts) == 0 {
			return
		}
	}
	net := networkOf(s)
	namespaces := map[string][]netip.Prefix{}
	for _, w := range all {
		if holds(w) {
			ranges, ok := rangesOf(net, w, port)
			if !ok {
				return
			}
			namespaces[w.namespace] = append(namespaces[w.namespace], ranges...)
		}
	}
	for _, w := range all {
		ranges, guarded := namespaces[w.namespace]
		if !guarded {
			continue
		}
		policies, ok := net.over(w, "Egress")
		if !ok {
			return
		}
		reaches, ok := reach(policies, ranges, port)
		switch {
		case !ok:
			return
		case holds(w) && !reaches:
			w.Fail("has the database's address, and no NetworkPolicy lets it go there")
		case !holds(w) && len(policies) == 0:
			w.Fail("can reach the database, whose address it does not have: no Egress policy selects it")
		case !holds(w) && reaches:
			w.Fail("can reach the database, whose address it does not have: %s lets it", policies[0].Name())
		}
	}
}

// rangesOf are the address ranges to which a holder's policies open the database's port.
func rangesOf(net *network, w *workload, port float64) (ranges []netip.Prefix, ok bool) {
	policies, ok := net.over(w, "Egress")
	if !ok {
		return nil, false
	}
	for _, policy := range policies {
		if !policy.Get("spec", "egress").Known() {
			return nil, false
		}
		for _, egress := range policy.Get("spec", "egress").Items() {
			open, known := opens(egress, port)
			if !known {
				return nil, false
			}
			if !open || egress.Get("ports").Missing() {
				continue
			}
			for _, peer := range egress.Get("to").Items() {
				if cidr, known := peer.Get("ipBlock").Get("cidr").Text(""); known && cidr != "" {
					if prefix, err := netip.ParsePrefix(cidr); err == nil {
						ranges = append(ranges, prefix)
					}
				}
			}
		}
	}
	return ranges, true
}

// opens tells whether a rule of a policy is about a port.
func opens(rules rule.Value, port float64) (open, ok bool) {
	ports := rules.Get("ports")
	if !ports.Known() {
		return false, false
	}
	if ports.Empty() {
		return true, true
	}
	for _, item := range ports.Items() {
		protocol, ok := item.Get("protocol").Text("TCP")
		from, isNumber := item.Get("port").Number(0)
		to, also := item.Get("endPort").Number(from)
		if !ok || !also || !item.Get("port").Known() {
			return false, false
		}
		if protocol == "TCP" && (!isNumber || from == 0 || from <= port && port <= to) {
			return true, true
		}
	}
	return false, true
}

// reach tells whether policies let a pod to one of the ranges. Without policies everything is let through, and without
// ranges anything outside of the cluster is meant.
func reach(policies []*rule.Subject, ranges []netip.Prefix, port float64) (reaches, ok bool) {
	if len(policies) == 0 {
		return true, true
	}
	for _, policy := range policies {
		if !policy.Get("spec", "egress").Known() {
			return false, false
		}
		for _, egress := range policy.Get("spec", "egress").Items() {
			open, ok := opens(egress, port)
			if !ok {
				return false, false
			}
			to := egress.Get("to")
			if !to.Known() {
				return false, false
			}
			if !open {
				continue
			}
			if to.Empty() {
				return true, true
			}
			for _, peer := range to.Items() {
				covers, ok := covers(peer.Get("ipBlock"), ranges)
				if !ok {
					return false, false
				}
				if covers {
					return true, true
				}
			}
		}
	}
	return false, true
}

// covers tells whether an address block has one of the ranges in it.
func covers(block rule.Value, ranges []netip.Prefix) (covers, ok bool) {
	if !block.Known() {
		return false, false
	}
	cidr, ok := block.Get("cidr").Text("")
	if !ok || cidr == "" {
		return false, ok
	}
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return false, true
	}
	if !block.Get("except").Known() {
		return false, false
	}
	var except []netip.Prefix
	for _, text := range block.Get("except").Texts() {
		if out, err := netip.ParsePrefix(text); err == nil {
			except = append(except, out)
		}
	}
	inside := func(outer, inner netip.Prefix) bool {
		return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
	}
	if len(ranges) == 0 {
		return prefix.Bits() == 0 && len(except) == 0, true
	}
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool {
		return prefix.Overlaps(r) && !slices.ContainsFunc(except, func(out netip.Prefix) bool { return inside(out, r) })
	}), true
}

func poolHop(s *rule.Stack) {
	_, in := workloads(s, pods.Servers...)
	net := networkOf(s)
	for _, subject := range s.All(pgini.Types...) {
		for _, config := range pgini.Find(subject) {
			if mode := config.Settings["client_tls_sslmode"]; slices.Contains(
				[]string{"require", "verify-ca", "verify-full"}, mode,
			) {
				continue
			}
			for _, w := range poolOf(config, in) {
				policies, ok := net.over(w, "Ingress")
				if ok && len(policies) == 0 {
					w.Fail("takes logins in plain from everybody in the cluster")
				}
			}
		}
	}
}

func identities() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "irsa-account-exists", Family: family,
			Summary: "The ServiceAccount that a role trusts is there, and names the role.",
			Why: "A trust in an account that nobody has made belongs to whoever makes it; an account with " +
				"another role's ARN gets no credentials.",
			Fix: "make the ServiceAccount, and annotate it with eks.amazonaws.com/role-arn", Severity: rule.High,
			Levels: rule.InProduction,
			IDs:    []string{"tier:irsa-account", "kyverno:require-aws-node-irsa"}, Types: []string{role, serviceAccount},
			Needs: []string{"assumeRolePolicy", "arn", "metadata"},
			Stack: func(s *rule.Stack) {
				accounts, known := accountsOf(s)
				if !known {
					return
				}
				for _, r := range s.All(role) {
					for _, subject := range trusted(r) {
						account := accounts[subject]
						if account == nil {
							r.Get("assumeRolePolicy").Fail("trusts %s, which this stack does not make", subject)
							continue
						}
						arn, ok := r.Get("arn").Text("")
						annotation := account.Get("metadata", "annotations", "eks.amazonaws.com/role-arn")
						named, also := annotation.Text("")
						if ok && also && arn != "" && named != arn {
							annotation.Fail("is not the role that trusts the account: %s", arn)
						}
					}
				}
			},
		},
		{
			Name: "irsa-rights-fit", Family: family,
			Summary: "A role reads exactly the secrets that ExternalSecrets read with it.",
			Why:     "One more is a secret of somebody else; one less is an ExternalSecret that never becomes Ready.",
			Fix:     "name in the role's policy the ARNs that the ExternalSecrets name", Severity: rule.High,
			Levels: rule.Always,
			IDs:    []string{"gap:eso-role-one-secret", "tier:rights-fit"},
			Types:  []string{role, rolePolicy, externalSecret, pushSecret, secretStore, clusterSecretStore},
			Stack:  rightsFit,
		},
		{
			Name: "iam-role-one-manager", Family: family,
			Summary:  "A role's policies are managed in one place.",
			Why:      "A role that lists its policies takes away those that others attach, at every other update.",
			Fix:      "use either managedPolicyArns and inlinePolicies, or attachments and RolePolicy",
			Severity: rule.Medium, Levels: rule.Always,
			IDs:   []string{"awsguard:iam-role-no-policy-management-conflicts"},
			Types: append([]string{role}, attachments...),
			Needs: []string{"managedPolicyArns", "inlinePolicies", "role", "policyArn", "name"},
			Stack: func(s *rule.Stack) {
				for _, other := range s.All(attachments...) {
					for _, urn := range other.Dependencies() {
						if r := s.Find(urn); r != nil && r.Type() == role && lists(r, other) {
							other.Fail("attaches to %s, which lists its policies itself", r.Name())
						}
					}
				}
			},
		},
		{
			Name: "token-needed", Family: family,
			Summary: "Pods with a token for the API server have rights there.",
			Why: "A token without rights is of use to nobody but a thief, who finds more rights with it than " +
				"were meant.",
			Fix: "set automountServiceAccountToken to false, or bind the ServiceAccount to a role in the same " +
				"stack",
			Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{"CKV_K8S_38", "KSV-0036"}, Knobs: []rule.Knob{pods.Exempt},
			Types: slices.Concat([]string{roleBinding, clusterRoleBinding}, pods.All),
			Stack: func(s *rule.Stack) {
				bound := map[string]bool{}
				for _, binding := range s.All(roleBinding, clusterRoleBinding) {
					own, _ := pods.Namespace(binding)
					for _, subject := range binding.Get("subjects").Items() {
						name, ok := subject.Get("name").Text("")
						namespace, also := subject.Get("namespace").Text(own)
						if !ok || !also {
							return
						}
						bound[namespace+"/"+name] = true
					}
				}
				all, _ := workloads(s, pods.All...)
				for _, w := range all {
					value := w.spec.Get("automountServiceAccountToken")
					mounts, ok := value.Bool(false)
					account, also := w.spec.Get("serviceAccountName").Text("default")
					if ok && also && mounts && !slices.Contains(s.Texts(pods.Exempt.Name), w.namespace) &&
						!bound[w.namespace+"/"+account] {
						value.Fail("nothing in this stack gives the account %s any rights", account)
					}
				}
			},
		},
	}
}

// lists tells whether a role's own lists are about what another resource attaches. In the state a role lists what it
// was given as well, so an attachment that the role's list names in so many words is no conflict of the program's.
func lists(r, other *rule.Subject) bool {
	if other.Type() == rolePolicy {
		return r.Get("inlinePolicies").Filled() &&
			!slices.ContainsFunc(r.Get("inlinePolicies").Items(), func(inline rule.Value) bool {
				name, _ := inline.Get("name").Text("")
				own, _ := other.Get("name").Text("")
				return name == own
			})
	}
	arn, _ := other.Get("policyArn").Text("")
	return r.Get("managedPolicyArns").Filled() && !slices.Contains(r.Get("managedPolicyArns").Texts(), arn)
}

// trusted are the ServiceAccounts that a role trusts, as namespace:name.
func trusted(r *rule.Subject) []string {
	text, ok := r.Get("assumeRolePolicy").Text("")
	if !ok || text == "" {
		return nil
	}
	document, err := iamdoc.Parse(text)
	if err != nil {
		return nil
	}
	var found []string
	for i := range document.Statements {
		statement := &document.Statements[i]
		for _, provider := range statement.Principal["Federated"] {
			_, issuer, _ := strings.Cut(provider, ":oidc-provider/")
			values, _, _ := statement.Values(issuer + ":sub")
			for _, value := range values {
				if account, ok := strings.CutPrefix(value, "system:serviceaccount:"); ok &&
					!strings.ContainsAny(account, "*?") {
					found = append(found, account)
				}
			}
		}
	}
	return found
}

// accountsOf are the ServiceAccounts as namespace:name. They are not known while an account's name is not.
func accountsOf(s *rule.Stack) (accounts map[string]*rule.Subject, known bool) {
	accounts = map[string]*rule.Subject{}
	for _, account := range s.All(serviceAccount) {
		namespace, ok := pods.Namespace(account)
		name, also := account.Get("metadata", "name").Text("")
		if !ok || !also {
			return nil, false
		}
		accounts[namespace+":"+name] = account
	}
	return accounts, true
}

// rightsFit compares what roles may read with what is read through the stores that use them.
func rightsFit(s *rule.Stack) {
	stores, read := storesOf(s), keysOf(s)
	policies := map[string][]*rule.Subject{}
	for _, p := range s.All(rolePolicy) {
		for _, urn := range p.Dependencies() {
			policies[urn] = append(policies[urn], p)
		}
	}
	for _, r := range s.All(role) {
		for _, account := range trusted(r) {
			if len(stores[account]) == 0 {
				continue
			}
			keys := map[string]*rule.Subject{}
			whole := read.whole
			for _, store := range stores[account] {
				whole = whole && !read.waits[store]
				maps.Copy(keys, read.by[store])
			}
			given, only, policy, ok := readable(policies[r.URN()])
			if !ok || !whole || policy == nil {
				continue
			}
			for key, reader := range keys {
				if !slices.ContainsFunc(given, func(pattern string) bool { return means(pattern, key) }) {
					reader.Fail("reads %s, which the role %s may not", key, r.Name())
				}
			}
			for _, pattern := range only {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(keys)),
					func(key string) bool { return means(pattern, key) }) {
					policy.Fail("gives %s, which no ExternalSecret of this stack reads", pattern)
				}
			}
		}
	}
}

// means tells whether an ARN in a policy is the secret of a key, which is an ARN or a name.
func means(pattern, key string) bool {
	if iamdoc.Match(pattern, key) {
		return true
	}
	_, name, found := strings.Cut(pattern, ":secret:")
	if !found || strings.HasPrefix(key, "arn:") {
		return false
	}
	return name == key || strings.TrimSuffix(name, "-??????") == key || len(name) == len(key)+len("-abcdef") &&
		strings.HasPrefix(name, key+"-")
}

// storesOf are the stores, as kind/namespace/name, by the ServiceAccount as which they log in.
func storesOf(s *rule.Stack) map[string][]string {
	found := map[string][]string{}
	for _, store := range s.All(secretStore, clusterSecretStore) {
		reference := store.Get("spec", "provider", "aws", "auth", "jwt", "serviceAccountRef")
		if reference.Missing() {
			continue
		}
		own, ok := pods.Namespace(store)
		name, also := reference.Get("name").Text("")
		namespace, too := reference.Get("namespace").Text(own)
		called, named := store.Get("metadata", "name").Text("")
		if !ok || !also || !too || !named {
			continue
		}
		at := "SecretStore/" + own + "/" + called
		if store.Type() == clusterSecretStore {
			at = "ClusterSecretStore//" + called
		}
		found[namespace+":"+name] = append(found[namespace+":"+name], at)
	}
	return found
}

// readable are the secrets that a role's policies give, those of them that it may only read, and the last of those
// policies. It is not ok while one is not known. What the role may write as well is for a PushSecret, of which the
// program may have another at the next rotation.
func readable(policies []*rule.Subject) (given, only []string, policy *rule.Subject, ok bool) {
	for _, p := range policies {
		text, known := p.Get("policy").Text("")
		if !known {
			return nil, nil, nil, false
		}
		document, err := iamdoc.Parse(text)
		if err != nil {
			continue
		}
		for i := range document.Statements {
			if statement := &document.Statements[i]; statement.Gives("secretsmanager:GetSecretValue") {
				policy = p
				given = append(given, statement.Resource...)
				if !statement.Gives("secretsmanager:PutSecretValue") {
					only = append(only, statement.Resource...)
				}
			}
		}
	}
	return given, only, policy, true
}

// reads are the keys that ExternalSecrets read, with their reader, by store.
type reads struct {
	by map[string]map[string]*rule.Subject
	// waits are the stores of which a key is not known; whole is false when a store is not.
	waits map[string]bool
	whole bool
}

func keysOf(s *rule.Stack) reads {
	all := reads{by: map[string]map[string]*rule.Subject{}, waits: map[string]bool{}, whole: true}
	for _, subject := range s.All(externalSecret, pushSecret) {
		namespace, known := pods.Namespace(subject)
		all.whole = all.whole && known
		note := func(reference, key rule.Value) {
			if key.Missing() {
				return
			}
			if reference.Missing() {
				reference = subject.Get("spec", "secretStoreRef")
			}
			kind, known := reference.Get("kind").Text("SecretStore")
			name, also := reference.Get("name").Text("")
			if !known || !also {
				all.whole = false
				return
			}
			at := kind + "/" + namespace + "/" + name
			if kind == "ClusterSecretStore" {
				at = kind + "//" + name
			}
			text, ok := key.Text("")
			if !ok {
				all.waits[at] = true
				return
			}
			if all.by[at] == nil {
				all.by[at] = map[string]*rule.Subject{}
			}
			all.by[at][text] = subject
		}
		for _, datum := range subject.Get("spec", "data").Items() {
			note(datum.Get("sourceRef").Get("storeRef"), datum.Get("remoteRef").Get("key"))
		}
		for _, from := range subject.Get("spec", "dataFrom").Items() {
			note(from.Get("sourceRef").Get("storeRef"), from.Get("extract").Get("key"))
		}
		// What is pushed is read first, to see whether it has changed.
		for _, store := range subject.Get("spec", "secretStoreRefs").Items() {
			for _, datum := range subject.Get("spec", "data").Items() {
				note(store, datum.Get("match").Get("remoteRef").Get("remoteKey"))
			}
		}
	}
	return all
}

func access() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "dsn-not-shared", Family: family,
			Summary: "A Secret with a login is taken by those that it is made for.",
			Why: "The way to the database itself is the master user's: in a service's environment it is in " +
				"every crash report of the service.",
			Fix: "give the service the pool's Secret; let Jobs of the same part-of take the direct one, and the " +
				"pool alone its files",
			Severity: rule.Critical,
			Levels:   rule.Always, IDs: []string{"tier:dsn-not-shared"},
			Types: append([]string{externalSecret}, pods.All...), Needs: pods.Needs,
			Stack: func(s *rule.Stack) {
				_, in := workloads(s, pods.All...)
				all, _ := secrets(s)
				for _, m := range all {
					for _, w := range in[m.namespace] {
						if !m.usedBy(w) {
							continue
						}
						service := w.labels[partOf]
						switch {
						case m.service != "" && service != "" && service != m.service:
							w.Fail("takes the Secret %s, which is of %s and not of %s", m.name, m.service, service)
						case m.direct() && w.server():
							w.Fail("takes the Secret %s, which leads to the database itself", m.name)
						case m.config && !strings.Contains(strings.Join(images(w.spec), " "), "pgbouncer"):
							w.Fail("takes the Secret %s, which has the pool's passwords", m.name)
						}
					}
				}
			},
		},
		{
			Name: "pod-network-policy", Family: family,
			Summary: "Every pod is under a NetworkPolicy.",
			Why:     "A pod under none talks to everybody, and everybody to it.",
			Fix:     "add a NetworkPolicy that selects the pod", Severity: rule.Medium, Levels: rule.AdviceInProduction,
			Knobs: []rule.Knob{pods.Exempt},
			IDs:   []string{"CKV2_K8S_6", "kyverno:add-network-policy"},
			Types: append([]string{networkPolicy}, pods.All...), Needs: pods.Needs,
			Stack: func(s *rule.Stack) {
				all, _ := workloads(s, pods.All...)
				net := networkOf(s)
				for _, w := range all {
					if slices.Contains(s.Texts(pods.Exempt.Name), w.namespace) {
						continue
					}
					in, ok := net.over(w, "Ingress")
					out, also := net.over(w, "Egress")
					if ok && also && len(in)+len(out) == 0 {
						w.Fail("is under no NetworkPolicy")
					}
				}
			},
		},
		{
			Name: "pod-disruption-covered", Family: family,
			Summary: "A server with replicas has a PodDisruptionBudget that fits them.",
			Why: "Without one, draining two nodes at once takes all replicas; with one that asks for all, no " +
				"node can be drained.",
			Fix: "add a PodDisruptionBudget with maxUnavailable 1", Severity: rule.Low, Levels: rule.InProduction,
			IDs:   []string{"kyverno:require-pdb", "kyverno:deployment-replicas-higher-than-pdb"},
			Types: []string{disruption, pods.Deployment, pods.StatefulSet}, Needs: pods.Needs, Stack: covered,
		},
	}
}

// images are those of a pod's containers.
func images(spec rule.Value) []string {
	var found []string
	for _, container := range spec.Get("containers").Items() {
		if image, ok := container.Get("image").Text(""); ok {
			found = append(found, image)
		}
	}
	return found
}

func covered(s *rule.Stack) {
	all, _ := workloads(s, pods.Deployment, pods.StatefulSet)
	budgets := map[string][]*rule.Subject{}
	for _, budget := range s.All(disruption) {
		namespace, ok := pods.Namespace(budget)
		if !ok {
			return
		}
		budgets[namespace] = append(budgets[namespace], budget)
	}
	for _, w := range all {
		count, ok := w.Get("spec", "replicas").Number(1)
		if !ok || count < 2 {
			continue
		}
		found := false
		for _, budget := range budgets[w.namespace] {
			fits, ok := selects(budget.Get("spec", "selector"), w.labels)
			found = found || fits || !ok
			if !fits {
				continue
			}
			if least, ok := budget.Get("spec", "minAvailable").Number(0); ok && least >= count {
				budget.Get("spec", "minAvailable").Fail("%s has %v replicas, so none may go", w.Name(), count)
			}
		}
		if !found {
			w.Fail("has %v replicas and no PodDisruptionBudget", count)
		}
	}
}

func order() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "migration-before-consumers", Family: family,
			Summary: "Every service waits for the migration of its database.",
			Why:     "New pods on an old schema fail, and a failed migration must leave the old pods serving.",
			Fix:     "make the Deployment depend on the Job: dependsOn", Severity: rule.High, Levels: rule.Always,
			IDs: []string{"tier:migration-first"}, Types: append([]string{externalSecret}, pods.All...),
			Needs: pods.Needs,
			Stack: func(s *rule.Stack) {
				all, in := workloads(s, pods.All...)
				_, keys := secrets(s)
				uses := func(w *workload) bool {
					return slices.ContainsFunc(keys[w.namespace], func(m *made) bool { return m.url && m.usedBy(w) })
				}
				for _, consumer := range all {
					if !consumer.server() || !uses(consumer) {
						continue
					}
					for _, job := range in[consumer.namespace] {
						// The migration runs the service's own image.
						same := slices.ContainsFunc(images(job.spec),
							func(image string) bool { return slices.Contains(images(consumer.spec), image) })
						if job.Type() == pods.Job && same && uses(job) && !s.Follows(consumer.Subject, job.Subject) {
							consumer.Fail("does not wait for %s", job.Name())
						}
					}
				}
			},
		},
	}
}

func housekeeping() []*rule.Rule {
	return []*rule.Rule{
		{
			Name: "crds-retained", Family: family,
			Summary: "CustomResourceDefinitions stay when the stack goes.",
			Why: "With a definition go all its objects: every team's ExternalSecrets, and the Secrets that they " +
				"own.",
			Fix: "annotate it with helm.sh/resource-policy: keep, which Pulumi's charts heed, and set " +
				"retainOnDelete on one of your own",
			Severity: rule.Critical,
			Levels:   rule.Always, IDs: []string{"tier:crds-retained"}, Types: []string{definition},
			Needs: []string{"metadata"},
			Resource: func(s *rule.Subject) {
				value := s.Get("metadata", "annotations", "helm.sh/resource-policy")
				if keep, ok := value.Text(""); ok && keep != "keep" && !s.Protected() {
					s.Fail("goes with the stack")
				}
			},
		},
		{
			Name: "secrets-rotated", Family: family,
			Summary: "Every secret of Secrets Manager has a rotation.",
			Why: "A secret that is never changed is a secret of everybody who has ever seen it. RDS rotates " +
				"those that it manages by itself.",
			Fix: "add a SecretRotation", Severity: rule.Medium, Levels: rule.InProduction,
			IDs: []string{"CKV2_AWS_57", "SecretsManager.1"}, Types: []string{secret, rotation},
			Needs: []string{"secretId", "arn", "tags"},
			Stack: func(s *rule.Stack) {
				rotated := map[string]bool{}
				for _, r := range s.All(rotation) {
					for _, urn := range r.Dependencies() {
						rotated[urn] = true
					}
					id, ok := r.Get("secretId").Text("")
					if !ok {
						return
					}
					rotated[id] = true
				}
				for _, one := range s.All(secret) {
					// The operator writes it, and whoever has made the value it writes changes it.
					if by, ok := one.Get("tags", "managed-by").Text(""); !ok || by == "external-secrets" {
						continue
					}
					if arn, ok := one.Get("arn").Text(""); !rotated[one.URN()] && ok && !rotated[arn] {
						one.Fail("is never rotated")
					}
				}
			},
		},
		{
			Name: "network-group-used", Family: family,
			Summary: "A security group with rules is used.",
			Why:     "A group that nothing has is opened by whoever finds it.",
			Fix:     "attach it, or take it away", Severity: rule.Low, Levels: rule.Advice,
			IDs: []string{"CKV2_AWS_5"}, Types: []string{group}, Needs: []string{"ingress", "egress"},
			Stack: func(s *rule.Stack) {
				used := s.DependedOn()
				for _, one := range s.All(group) {
					// One without rules names clients, which are elsewhere.
					if rules := one.Get("ingress").Filled() || one.Get("egress").Filled(); rules && !used[one.URN()] {
						one.Fail("nothing in this stack has it")
					}
				}
			},
		},
		{
			Name: "network-group-one-manager", Family: family,
			Summary: "The rules of a security group are managed in one place.",
			Why:     "A group with rules of its own takes away those that others add, at every other update.",
			Fix:     "use either ingress and egress of the group, or rules of their own", Severity: rule.Medium,
			Levels: rule.Always,
			IDs:    []string{"awsguard:security-group-no-rule-management-conflicts"},
			Types:  append([]string{group}, groupRules...),
			Needs:  []string{"ingress", "egress", "securityGroupId"},
			Stack: func(s *rule.Stack) {
				for _, r := range s.All(groupRules...) {
					for _, urn := range r.DependenciesOf("securityGroupId") {
						one := s.Find(urn)
						if one == nil || one.Type() != group {
							continue
						}
						if one.Get("ingress").Filled() || one.Get("egress").Filled() {
							r.Fail("is a rule of %s, which lists its rules itself", one.Name())
						}
					}
				}
			},
		},
		{
			Name: "rds-events-subscribed", Family: family,
			Summary: "Somebody is told of a database's failovers, low storage and failures.",
			Why:     "RDS says so once, and to subscribers only.",
			Fix:     "add an EventSubscription of the source type db-instance", Severity: rule.Low,
			Levels: rule.AdviceInProduction,
			IDs:    []string{"RDS.20", "RDS.21", "RDS.22"}, Types: []string{instance, subscription},
			Needs: []string{"sourceType", "enabled"},
			Stack: func(s *rule.Stack) {
				subscribed := slices.ContainsFunc(s.All(subscription), func(one *rule.Subject) bool {
					kind, ok := one.Get("sourceType").Text("")
					return !ok || kind == "" || kind == "db-instance"
				})
				for _, database := range s.All(instance) {
					if !subscribed {
						database.Fail("nobody is told of its events")
					}
				}
			},
		},
		{
			Name: "log-groups-managed", Family: family,
			Summary: "The log groups of a database are made before RDS makes them.",
			Why: "RDS makes those that are missing, without a retention and without a key, and they stay when " +
				"the stack goes.",
			Fix: "add a LogGroup /aws/rds/instance/<identifier>/<log> for each export, and let the instance " +
				"depend on it", Severity: rule.Low,
			Levels: rule.InProduction, IDs: []string{"tier:log-groups-managed"}, Types: []string{instance, logGroup},
			Needs: []string{"identifier", "enabledCloudwatchLogsExports", "name"},
			Stack: func(s *rule.Stack) {
				names := map[string]bool{}
				for _, one := range s.All(logGroup) {
					name, ok := one.Get("name").Text("")
					if !ok {
						return
					}
					names[name] = true
				}
				for _, database := range s.All(instance) {
					identifier, ok := database.Get("identifier").Text("")
					if !ok || identifier == "" {
						continue
					}
					for _, log := range database.Get("enabledCloudwatchLogsExports").Texts() {
						if name := fmt.Sprintf("/aws/rds/instance/%s/%s", identifier, log); !names[name] {
							database.Fail("RDS makes the log group %s by itself", name)
						}
					}
				}
			},
		},
		{
			Name: "exceptions-current", Family: family,
			Summary:  "Exceptions have not expired.",
			Why:      "An exception that nobody looks at again is a rule that nobody keeps.",
			Fix:      "mend the resource and take the exception out, or decide anew and set another day",
			Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{"tier:exceptions-expire"}, Types: []string{},
			Stack: func(s *rule.Stack) {
				exceptions := s.Exceptions()
				for _, name := range slices.Sorted(maps.Keys(exceptions)) {
					for _, exception := range exceptions[name] {
						if exception.Expired(s.Now()) {
							s.Fail("%s: the exception of %s for %s expired on %s (%s)", name, exception.Owner,
								exception.Resource,
								exception.Expires.Format(time.DateOnly), exception.Reason)
						}
					}
				}
			},
		},
	}
}
