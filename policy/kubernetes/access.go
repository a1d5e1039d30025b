package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"dbtier/policy/rule"
)

// operatorKnob lets the roles of operators that need what others must not have.
func operatorKnob(what string) []rule.Knob {
	return []rule.Knob{{
		Name: "operators",
		Description: "Roles that may, by the beginning of their name: those of operators whose work is " + what +
			".",
		Default: []string{"external-secrets-"},
	}}
}

// roleRule is a rule on each rule of a Role or ClusterRole, but for those of operators.
func roleRule(name, summary, why, fix, work string, severity rule.Severity,
	ids []string, judge func(at rule.Value, groups, resources, verbs []string) (reason string),
) *rule.Rule {
	return &rule.Rule{
		Name: name, Family: family, Summary: summary, Why: why, Fix: fix, Severity: severity, Levels: rule.Always,
		IDs: ids, Knobs: operatorKnob(work),
		Types: []string{role, clusterRole}, Needs: []string{"metadata", "rules"},
		Resource: func(s *rule.Subject) {
			called, ok := s.Get("metadata", "name").Text("")
			if !ok || slices.ContainsFunc(s.Texts("operators"),
				func(prefix string) bool { return prefix != "" && strings.HasPrefix(called, prefix) }) {
				return
			}
			for _, item := range s.Get("rules").Items() {
				groups, resources, verbs := item.Get("apiGroups").Texts(), item.Get("resources").Texts(),
					item.Get("verbs").Texts()
				// The core group is written as nothing.
				if list := item.Get("apiGroups"); list.IsList() && len(groups) < len(list.Items()) {
					groups = append(groups, "")
				}
				if reason := judge(item, groups, resources, verbs); reason != "" {
					item.Fail("%s", reason)
				}
			}
		},
	}
}

func anyOf(list []string, wanted ...string) bool {
	return slices.Contains(list, "*") || slices.ContainsFunc(wanted,
		func(one string) bool { return slices.Contains(list, one) })
}

func access() []*rule.Rule {
	return []*rule.Rule{
		roleRule("k8s-rbac-wildcards", "A role names API groups, resources and verbs.",
			"With * it gives rights on what does not exist yet, too.", "name them", "everything", rule.High,
			[]string{"CKV_K8S_49", "KSV-0044", "KSV-0045", "KSV-0046"},
			func(_ rule.Value, groups, resources, verbs []string) string {
				for what, list := range map[string][]string{
					"API groups": groups, "resources": resources,
					"verbs": verbs,
				} {
					if slices.Contains(list, "*") {
						return "gives every one of the " + what
					}
				}
				return ""
			}),
		roleRule("k8s-rbac-escalation", "A role gives no way to more rights than its own.",
			"Who may bind, escalate or impersonate, approve certificates, or change webhooks has every right in the "+
				"end.",
			"leave the verb out", "webhooks and certificates", rule.Critical,
			[]string{
				"CKV_K8S_155", "CKV_K8S_156", "CKV_K8S_157", "CKV_K8S_158", "CKV2_K8S_1", "CKV2_K8S_2", "CKV2_K8S_3",
				"CKV2_K8S_4",
			},
			func(_ rule.Value, groups, resources, verbs []string) string {
				writes := anyOf(verbs, "create", "update", "patch")
				switch {
				case anyOf(verbs, "impersonate") && anyOf(resources, "users", "groups", "serviceaccounts"):
					return "gives impersonate"
				case anyOf(verbs, "bind", "escalate") && anyOf(groups, "rbac.authorization.k8s.io"):
					return "gives bind or escalate"
				case writes && anyOf(resources, "rolebindings", "clusterrolebindings") &&
					anyOf(groups, "rbac.authorization.k8s.io"):
					return "gives bindings"
				case writes && anyOf(resources, "mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
					return "changes the webhooks that every object passes"
				case writes && anyOf(resources, "certificatesigningrequests/approval",
					"certificatesigningrequests/status"):
					return "approves certificates"
				default:
					return ""
				}
			}),
		roleRule("k8s-rbac-secrets", "A role reads named Secrets only.",
			"Who may list Secrets, or get any, has every login of the namespace.",
			"name the Secrets in resourceNames, and give get alone: list and watch go past names", "Secrets",
			rule.Critical,
			[]string{"CKV2_K8S_5", "KSV-0041", "KSV-0113", "kyverno:restrict-secret-role-verbs"},
			func(at rule.Value, groups, resources, verbs []string) string {
				if !anyOf(groups, "") || !anyOf(resources, "secrets") {
					return ""
				}
				for _, verb := range []string{"list", "watch"} {
					if anyOf(verbs, verb) {
						return fmt.Sprintf("gives %s on Secrets", verb)
					}
				}
				names := at.Get("resourceNames")
				if anyOf(verbs, "get", "update", "patch") && names.Empty() {
					return "gives every Secret of the namespace"
				}
				return ""
			}),
	}
}
