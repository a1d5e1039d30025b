package stackwide

import (
	"maps"
	"slices"
	"strings"

	"dbtier/policy/internal/iamdoc"
	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// attachments are the types that give a role its policies.
func attachments() []string {
	return []string{types.IAMRoleAttachment, types.IAMPolicyAttachment, types.IAMRolePolicy}
}

// identities returns the rules for roles and ServiceAccounts.
func identities() []*rule.Rule {
	bindings := []string{types.RoleBinding, types.ClusterRoleBinding}
	return []*rule.Rule{{
		Name: "irsa-account-exists", Severity: rule.High, Levels: rule.InProduction,
		Summary: "The ServiceAccount that a role trusts exists, and it or its pods name the role.",
		Why: "If the account does not exist, another team can create it and assume the role. An account with the ARN " +
			"of another role gets no credentials.",
		Fix: "create the ServiceAccount, with the annotation eks.amazonaws.com/role-arn, or set AWS_ROLE_ARN in its " +
			"pods",
		IDs:   []string{"tier:irsa-account", "kyverno:require-aws-node-irsa"},
		Types: append([]string{types.IAMRole, types.ServiceAccount}, types.Workloads()...),
		Stack: accountsExist,
	}, {
		Name: "irsa-rights-fit", Severity: rule.High, Levels: rule.Always,
		Summary: "A role can read exactly the secrets that ExternalSecrets read with it.",
		Why:     "One secret more belongs to another service, and with one less an ExternalSecret never becomes Ready.",
		Fix:     "name the ARNs of the ExternalSecrets in the role's policy",
		IDs:     []string{"gap:eso-role-one-secret", "tier:rights-fit"},
		Types: []string{
			types.IAMRole, types.IAMRolePolicy, types.IAMPolicy, types.IAMRoleAttachment, types.IAMPolicyAttachment,
			types.ExternalSecret, types.PushSecret, types.SecretStore,
			types.ClusterSecretStore,
		},
		Stack: rightsFit,
	}, {
		Name: "iam-role-one-manager", Severity: rule.Medium, Levels: rule.Always,
		Summary: "The policies of a role are managed in one place.",
		Why:     "A role with inline lists removes policies that other resources attach, at every second update.",
		Fix:     "use either managedPolicyArns and inlinePolicies, or attachments and RolePolicy",
		IDs:     []string{"awsguard:iam-role-no-policy-management-conflicts"},
		Types:   append(attachments(), types.IAMRole),
		Stack: func(s *rule.Stack) {
			for _, other := range s.All(attachments()...) {
				for _, role := range s.FindAll(types.IAMRole, other.Dependencies()) {
					if conflicts(role, other) {
						other.Fail("attaches to %s, which lists its policies itself", role.Name())
					}
				}
			}
		},
	}, {
		Name: "token-needed", Severity: rule.Medium, Levels: rule.Always, Knobs: []rule.Knob{pods.Exempt()},
		Summary: "Only pods with rights in the API server mount a token for it.",
		Why:     "A token without rights has no use, except for an attacker who looks for further rights.",
		Fix:     "set automountServiceAccountToken to false, or bind the ServiceAccount to a role in the same stack",
		IDs:     []string{"CKV_K8S_38", "KSV-0036"}, Types: slices.Concat(bindings, types.Workloads()),
		Stack: func(s *rule.Stack) {
			var read rule.Reader
			bound := map[string]bool{}
			for _, binding := range s.All(bindings...) {
				for _, subject := range binding.Get("subjects").Items() {
					own, _ := binding.Get("metadata", "namespace").Text("default")
					namespace := read.Text(subject.Get("namespace"), own)
					bound[namespace+"/"+read.Text(subject.Get("name"), "")] = true
				}
			}
			if !read.OK() {
				return
			}
			all, _ := workloads(s, types.Workloads())
			for _, w := range all {
				var read rule.Reader
				value := w.spec.Get("automountServiceAccountToken")
				mounts := read.Bool(value, false)
				account := read.Text(w.spec.Get("serviceAccountName"), "default")
				if read.OK() && mounts && !pods.Exempted(w.Subject) &&
					!bound[w.namespace+"/"+account] {
					value.Fail("no binding of this stack gives rights to the account %s", account)
				}
			}
		},
	}}
}

func accountsExist(s *rule.Stack) {
	accounts := map[string]*rule.Subject{}
	var read rule.Reader
	for _, account := range s.All(types.ServiceAccount) {
		namespace := pods.Namespace(&read, account)
		accounts[namespace+":"+read.Text(account.Get("metadata", "name"), "")] = account
	}
	if !read.OK() {
		return
	}
	all, _ := workloads(s, types.Workloads())
	for _, role := range s.All(types.IAMRole) {
		for _, name := range trusted(role) {
			account := accounts[name]
			if account == nil {
				role.Get("assumeRolePolicy").Fail("trusts %s, which this stack does not create", name)
				continue
			}
			var read rule.Reader
			annotation := account.Get("metadata", "annotations", "eks.amazonaws.com/role-arn")
			arn, named := read.Text(role.Get("arn"), ""), read.Text(annotation, "")
			names := func(w *workload) bool {
				return w.namespace+":"+read.Text(w.spec.Get("serviceAccountName"), "default") == name &&
					slices.Contains(variables(&read, w, "AWS_ROLE_ARN"), arn)
			}
			if read.OK() && arn != "" && named != arn && !slices.ContainsFunc(all, names) && read.OK() {
				annotation.Fail("is not the role that trusts the account: %s", arn)
			}
		}
	}
}

// variables returns the values of the variables with a name in the containers of a workload, or of all variables.
func variables(read *rule.Reader, w *workload, name string) []string {
	var values []string
	for _, container := range pods.Containers(w.spec) {
		for _, variable := range container.Get("env").Items() {
			if name == "" || read.Text(variable.Get("name"), "") == name {
				values = append(values, read.Text(variable.Get("value"), ""))
			}
		}
	}
	return values
}

// conflicts reports whether a role's own lists manage what another resource attaches. In the state, a role also lists
// the policies that other resources attach, so an attachment that the list contains is not a conflict.
func conflicts(role, other *rule.Subject) bool {
	if inline := role.Get("inlinePolicies"); other.Type() == types.IAMRolePolicy {
		return inline.Filled() && !slices.ContainsFunc(inline.Items(), func(policy rule.Value) bool {
			name, _ := policy.Get("name").Text("")
			own, _ := other.Get("name").Text("")
			return name == own
		})
	}
	arn, _ := other.Get("policyArn").Text("")
	return role.Get("managedPolicyArns").Filled() && !role.Get("managedPolicyArns").Contains(arn)
}

// trusted returns the ServiceAccounts that a role trusts, as namespace:name.
func trusted(role *rule.Subject) []string {
	text, _ := role.Get("assumeRolePolicy").Text("")
	// Package iam reports documents that cannot be parsed.
	statements, _ := iamdoc.Parse(text)
	var found []string
	for _, statement := range statements {
		for _, provider := range statement.Principal["Federated"] {
			_, issuer, _ := strings.Cut(provider, ":oidc-provider/")
			values, _, _ := statement.Values(issuer + ":sub")
			for _, value := range values {
				account, ok := strings.CutPrefix(value, "system:serviceaccount:")
				if ok && !strings.ContainsAny(account, "*?") {
					found = append(found, account)
				}
			}
		}
	}
	return found
}

// rightsFit compares what roles can read with what is read through the stores that use them.
func rightsFit(s *rule.Stack) {
	stores, reads := storesOf(s), readsOf(s)
	policies := map[string][]*rule.Subject{}
	for _, p := range s.All(types.IAMRolePolicy) {
		for _, urn := range p.Dependencies() {
			policies[urn] = append(policies[urn], p)
		}
	}
	// A policy of its own is attached to a role by a third resource.
	for _, attachment := range s.All(types.IAMRoleAttachment, types.IAMPolicyAttachment) {
		for _, role := range s.FindAll(types.IAMRole, attachment.Dependencies()) {
			attached := s.FindAll(types.IAMPolicy, attachment.Dependencies())
			policies[role.URN()] = append(policies[role.URN()], attached...)
		}
	}
	for _, role := range s.All(types.IAMRole) {
		for _, account := range trusted(role) {
			if len(stores[account]) == 0 {
				continue
			}
			keys, complete := map[string]*rule.Subject{}, reads.complete
			for _, store := range stores[account] {
				complete = complete && !reads.unknown[store]
				maps.Copy(keys, reads.keys[store])
			}
			granted, readOnly, policy, ok := readable(policies[role.URN()])
			if !ok || !complete || policy == nil {
				continue
			}
			for key, reader := range keys {
				if !slices.ContainsFunc(granted, func(pattern string) bool { return means(pattern, key) }) {
					reader.Fail("reads %s, which the role %s cannot read", key, role.Name())
				}
			}
			for _, pattern := range readOnly {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(keys)),
					func(key string) bool { return means(pattern, key) }) {
					policy.Fail("grants access to %s, which no ExternalSecret of this stack reads", pattern)
				}
			}
		}
	}
}

// means reports whether an ARN in a policy is that of a secret, given by its ARN or name.
func means(pattern, key string) bool {
	if iamdoc.Match(pattern, key) {
		return true
	}
	_, name, found := strings.Cut(pattern, ":secret:")
	if !found || strings.HasPrefix(key, "arn:") {
		return false
	}
	return name == key || strings.TrimSuffix(name, "-??????") == key ||
		len(name) == len(key)+len("-abcdef") && strings.HasPrefix(name, key+"-")
}

// readable returns the secrets that a role's policies grant, those that the role can only read, and the last of the
// policies. It is not ok if a policy is unknown. A secret that the role can also write is for a PushSecret, and the
// program may replace that PushSecret at the next rotation.
func readable(policies []*rule.Subject) (granted, readOnly []string, policy *rule.Subject, ok bool) {
	for _, p := range policies {
		text, known := p.Get("policy").Text("")
		if !known {
			return nil, nil, nil, false
		}
		statements, _ := iamdoc.Parse(text)
		for _, statement := range statements {
			if !statement.Gives("secretsmanager:GetSecretValue") {
				continue
			}
			policy = p
			granted = append(granted, statement.Resource...)
			if !statement.Gives("secretsmanager:PutSecretValue") {
				readOnly = append(readOnly, statement.Resource...)
			}
		}
	}
	return granted, readOnly, policy, true
}

// storeID identifies a store. Cluster stores have no namespace.
func storeID(kind, namespace, name string) string {
	if kind == "ClusterSecretStore" {
		namespace = ""
	}
	return kind + "/" + namespace + "/" + name
}

// storesOf returns the ids of stores by the ServiceAccount with which they log in, as namespace:name.
func storesOf(s *rule.Stack) map[string][]string {
	found := map[string][]string{}
	for _, store := range s.All(types.SecretStore, types.ClusterSecretStore) {
		reference := store.Get("spec", "provider", "aws", "auth", "jwt", "serviceAccountRef")
		if reference.Missing() {
			continue
		}
		var read rule.Reader
		own := pods.Namespace(&read, store)
		name, namespace := read.Text(reference.Get("name"), ""), read.Text(reference.Get("namespace"), own)
		kind := store.Type()[strings.LastIndex(store.Type(), ":")+1:]
		id := storeID(kind, own, read.Text(store.Get("metadata", "name"), ""))
		if read.OK() {
			found[namespace+":"+name] = append(found[namespace+":"+name], id)
		}
	}
	return found
}

// reads are the secrets that are read through stores.
type reads struct {
	// keys are the keys of secrets, each with an object that reads it, by store.
	keys map[string]map[string]*rule.Subject
	// unknown are the stores with an unknown key.
	unknown map[string]bool
	// complete is false if a store is unknown.
	complete bool
}

func readsOf(s *rule.Stack) reads {
	all := reads{keys: map[string]map[string]*rule.Subject{}, unknown: map[string]bool{}, complete: true}
	for _, subject := range s.All(types.ExternalSecret, types.PushSecret) {
		var read rule.Reader
		namespace := pods.Namespace(&read, subject)
		add := func(reference, key rule.Value) {
			if key.Missing() {
				return
			}
			if reference.Missing() {
				reference = subject.Get("spec", "secretStoreRef")
			}
			kind := read.Text(reference.Get("kind"), "SecretStore")
			store := storeID(kind, namespace, read.Text(reference.Get("name"), ""))
			text, ok := key.Text("")
			if !ok {
				all.unknown[store] = true
				return
			}
			if all.keys[store] == nil {
				all.keys[store] = map[string]*rule.Subject{}
			}
			all.keys[store][text] = subject
		}
		for _, datum := range subject.Get("spec", "data").Items() {
			add(datum.Get("sourceRef", "storeRef"), datum.Get("remoteRef", "key"))
			// The operator reads a secret before it pushes it.
			for _, store := range subject.Get("spec", "secretStoreRefs").Items() {
				add(store, datum.Get("match", "remoteRef", "remoteKey"))
			}
		}
		for _, from := range subject.Get("spec", "dataFrom").Items() {
			add(from.Get("sourceRef", "storeRef"), from.Get("extract", "key"))
		}
		all.complete = all.complete && read.OK()
	}
	return all
}
