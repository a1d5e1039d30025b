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

func anyOf(list []string, wanted ...string) bool {
	return slices.Contains(list, "*") ||
		slices.ContainsFunc(wanted, func(one string) bool { return slices.Contains(list, one) })
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
			if !anyOf(g.groups, "") || !anyOf(g.resources, "secrets") {
				return ""
			}
			for _, verb := range []string{"list", "watch"} {
				if anyOf(g.verbs, verb) {
					return fmt.Sprintf("grants %s on Secrets", verb)
				}
			}
			if anyOf(g.verbs, "get", "update", "patch") && g.value.Get("resourceNames").Empty() {
				return "grants access to every Secret of the namespace"
			}
			return ""
		}),
	}}
}

func escalates(g grant) string {
	writes, rbac := anyOf(g.verbs, "create", "update", "patch"), anyOf(g.groups, "rbac.authorization.k8s.io")
	switch {
	case anyOf(g.verbs, "impersonate") && anyOf(g.resources, "users", "groups", "serviceaccounts"):
		return "grants impersonate"
	case rbac && anyOf(g.verbs, "bind", "escalate"):
		return "grants bind or escalate"
	case rbac && writes && anyOf(g.resources, "rolebindings", "clusterrolebindings"):
		return "creates or changes bindings"
	case writes && anyOf(g.resources, "mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
		return "creates or changes the webhooks that process every object"
	case writes && anyOf(g.resources, "certificatesigningrequests/approval", "certificatesigningrequests/status"):
		return "approves certificates"
	}
	return ""
}
