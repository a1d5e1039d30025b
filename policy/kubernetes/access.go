package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// grant is a rule of a Role or ClusterRole.
type grant struct {
	value                    rule.Value
	groups, resources, verbs []string
}

// grants judges each rule of a Role or ClusterRole, except those of the knob operators.
func grants(judge func(g grant) (reason string)) func(*rule.Subject) {
	return func(s *rule.Subject) {
		name, ok := s.Get("metadata", "name").Text("")
		isPrefix := func(prefix string) bool { return prefix != "" && strings.HasPrefix(name, prefix) }
		if !ok || slices.ContainsFunc(s.Texts("operators"), isPrefix) {
			return
		}
		for _, item := range s.Get("rules").Items() {
			list := item.Get("apiGroups")
			g := grant{item, list.Texts(), item.Get("resources").Texts(), item.Get("verbs").Texts()}
			// The name of the core group is empty.
			if list.IsList() && len(g.groups) < len(list.Items()) {
				g.groups = append(g.groups, "")
			}
			if reason := judge(g); reason != "" {
				item.Fail("%s", reason)
			}
		}
	}
}

func operators(what string) []rule.Knob {
	return []rule.Knob{{
		Name: "operators",
		Description: "Prefixes of the names of roles that this rule skips: those of operators that manage " + what +
			".",
		Default: []string{"external-secrets-"},
	}}
}

// gives returns the first of the verbs that the rule grants on a resource of an API group. As in Kubernetes, a resource
// is named alone, as resource/subresource, or by */subresource; the * alone includes subresources.
func (g grant) gives(group, resource string, verbs ...string) (verb string, gives bool) {
	_, sub, isSub := strings.Cut(resource, "/")
	if !has(g.groups, group) || !has(g.resources, resource) && (!isSub || !slices.Contains(g.resources, "*/"+sub)) {
		return "", false
	}
	for _, verb := range verbs {
		if has(g.verbs, verb) {
			return verb, true
		}
	}
	return "", false
}

// has reports whether a list of a rule has a name, or the * that stands for all.
func has(list []string, name string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, name)
}

// access returns the rules for rights in the cluster.
func access() []*rule.Rule {
	roles := []string{types.Role, types.ClusterRole}
	return []*rule.Rule{{
		Name: "k8s-rbac-wildcards", Severity: rule.High, Levels: rule.Always, Knobs: operators("everything"),
		Summary: "A role names API groups, resources and verbs.",
		Why:     "With * it also grants rights on resources that do not exist yet.",
		Fix:     "name them",
		IDs:     []string{"CKV_K8S_49", "KSV-0044", "KSV-0045", "KSV-0046"}, Types: roles,
		Resource: grants(func(g grant) string {
			switch {
			case slices.Contains(g.groups, "*"):
				return "grants rights on all API groups"
			case slices.Contains(g.resources, "*"):
				return "grants rights on all resources"
			case slices.Contains(g.verbs, "*"):
				return "grants all verbs"
			}
			return ""
		}),
	}, {
		Name:     "k8s-rbac-escalation",
		Summary:  "A role does not grant rights with which its users can gain more rights.",
		Why:      "Binding, escalating, impersonating, approving certificates and changing webhooks give all rights.",
		Fix:      "remove the verb",
		Severity: rule.Critical, Levels: rule.Always, Knobs: operators("webhooks and certificates"),
		IDs: []string{
			"CKV_K8S_155", "CKV_K8S_156", "CKV_K8S_157", "CKV_K8S_158", "CKV2_K8S_1", "CKV2_K8S_2", "CKV2_K8S_3",
			"CKV2_K8S_4",
		},
		Types: roles, Resource: grants(escalates),
	}, {
		Name: "k8s-rbac-secrets", Severity: rule.Critical, Levels: rule.Always, Knobs: operators("Secrets"),
		Summary: "A role reads named Secrets only.",
		Why:     "To list Secrets or to get every Secret gives every login of the namespace.",
		Fix:     "name the Secrets in resourceNames, and grant get only: list and watch ignore the names",
		IDs:     []string{"CKV2_K8S_5", "KSV-0041", "KSV-0113", "kyverno:restrict-secret-role-verbs"},
		Types:   roles,
		Resource: grants(func(g grant) string {
			if verb, gives := g.gives("", "secrets", "list", "watch"); gives {
				return fmt.Sprintf("grants %s on Secrets", verb)
			}
			_, gives := g.gives("", "secrets", "get", "update", "patch")
			if gives && g.value.Get("resourceNames").Empty() {
				return "grants access to every Secret of the namespace"
			}
			return ""
		}),
	}, {
		Name: "k8s-default-account", Severity: rule.Medium, Levels: rule.Always,
		Summary: "The default ServiceAccount has no rights and no token.",
		Why:     "Every pod that names no account uses it.",
		Fix: "bind the role to an account of the workload, and set automountServiceAccountToken of the default " +
			"account to false",
		IDs:   []string{"CKV_K8S_41", "CKV_K8S_42"},
		Types: []string{types.ServiceAccount, types.RoleBinding, types.ClusterRoleBinding},
		Resource: func(s *rule.Subject) {
			if s.Type() == types.ServiceAccount {
				if name, ok := s.Get("metadata", "name").Text(""); ok && name == "default" {
					s.Get("automountServiceAccountToken").RequireFalse(true, "pods get a token of the default account")
				}
				return
			}
			for _, subject := range s.Get("subjects").Items() {
				var read rule.Reader
				kind, name := read.Text(subject.Get("kind"), ""), read.Text(subject.Get("name"), "")
				if read.OK() && kind == "ServiceAccount" && name == "default" {
					subject.Get("name").Fail("is the default account")
				}
			}
		},
	}}
}

// escalations are the rights with which a user can gain others.
var escalations = []struct {
	group     string
	resources []string
	verbs     []string
	effect    string
}{
	{"", []string{"users", "groups", "serviceaccounts"}, []string{"impersonate"}, "acts as others"},
	{"authentication.k8s.io", []string{"uids", "userextras"}, []string{"impersonate"}, "acts as others"},
	{
		"rbac.authorization.k8s.io",
		[]string{"roles", "clusterroles"},
		[]string{"bind", "escalate"},
		"grants rights that its users do not have",
	},
	{
		"rbac.authorization.k8s.io",
		[]string{"rolebindings", "clusterrolebindings"},
		[]string{"bind", "create", "update", "patch"},
		"creates or changes bindings",
	},
	{
		"admissionregistration.k8s.io",
		[]string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"},
		[]string{"create", "update", "patch"},
		"changes the webhooks that process every object",
	},
	{
		"certificates.k8s.io",
		[]string{"certificatesigningrequests/approval", "certificatesigningrequests/status"},
		[]string{"create", "update", "patch"},
		"approves certificates",
	},
	{"certificates.k8s.io", []string{"signers"}, []string{"approve", "sign"}, "approves certificates"},
	{"", []string{"pods/exec", "pods/attach", "nodes/proxy"}, []string{"create", "get"}, "runs commands in pods"},
	{"", []string{"pods/ephemeralcontainers"}, []string{"update", "patch"}, "runs commands in pods"},
	{"", []string{"serviceaccounts/token"}, []string{"create"}, "creates tokens of other accounts"},
	{
		"",
		[]string{"services/status"},
		[]string{"update", "patch"},
		"takes over the traffic of other addresses (CVE-2020-8554)",
	},
}

func escalates(g grant) string {
	for _, e := range escalations {
		for _, resource := range e.resources {
			if verb, gives := g.gives(e.group, resource, e.verbs...); gives {
				return fmt.Sprintf("grants %s on %s, which %s", verb, resource, e.effect)
			}
		}
	}
	return ""
}
