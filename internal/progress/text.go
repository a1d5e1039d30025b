package progress

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"dbtier/internal/text"
	"dbtier/policy/rule"
)

// ShortType drops the part of a type token that only names the file in which the type is generated:
// aws:rds/instance:Instance becomes aws:rds:Instance. It drops the group of Kubernetes kinds and of the tier's
// components: kubernetes:apps/v1:Deployment becomes kubernetes:Deployment.
func ShortType(token string) string {
	parts := strings.SplitN(token, ":", 3)
	if len(parts) != 3 {
		return token
	}
	if parts[0] == "kubernetes" || parts[0] == "dbtier" {
		return parts[0] + ":" + parts[2]
	}
	module, file, ok := strings.Cut(parts[1], "/")
	if ok && strings.EqualFold(file, parts[2]) {
		return parts[0] + ":" + module + ":" + parts[2]
	}
	return token
}

// split returns the resource's own type, without its parents', and its name.
func split(urn string) (resourceType, name string) {
	if u := resource.URN(urn); u.IsValid() {
		return string(u.Type()), u.Name()
	}
	return "", urn
}

// Subject names a resource for people: its short type and its name.
func Subject(urn string) string {
	resourceType, name := split(urn)
	return ShortType(resourceType) + " " + name
}

// stackOf returns the name of the stack in a URN.
func stackOf(urn string) string {
	parts := strings.SplitN(strings.TrimPrefix(urn, "urn:pulumi:"), "::", 2)
	return parts[0]
}

// Matches reports whether name, which a person gave, is the resource's URN or its name.
func Matches(urn, name string) bool { return urn == name || strings.HasSuffix(urn, "::"+name) }

// Name is the name of a resource in its URN.
func Name(urn string) string { return urn[strings.LastIndex(urn, "::")+len("::"):] }

func isStack(urn string) bool {
	resourceType, _ := split(urn)
	return resourceType == stackType
}

type verb struct{ sign, doing, done string }

var verbs = map[apitype.OpType]verb{
	apitype.OpCreate:            {"+", "creating", "created"},
	apitype.OpCreateReplacement: {"+", "creating the replacement", "created"},
	apitype.OpUpdate:            {"~", "updating", "updated"},
	apitype.OpDelete:            {"-", "deleting", "deleted"},
	apitype.OpDeleteReplaced:    {"-", "deleting the replaced", "deleted"},
	apitype.OpReplace:           {"±", "replacing", "replaced"},
	apitype.OpRead:              {">", "reading", "read"},
	apitype.OpReadReplacement:   {">", "reading", "read"},
	apitype.OpReadDiscard:       {"<", "discarding", "discarded"},
	apitype.OpDiscardReplaced:   {"<", "discarding", "discarded"},
	apitype.OpRefresh:           {"~", "refreshing", "refreshed"},
	apitype.OpImport:            {"=", "importing", "imported"},
	apitype.OpImportReplacement: {"=", "importing", "imported"},
}

// kept is a deletion that removes the resource from the state only. The sign is Terraform's for the same.
var kept = verb{".", "removing from the state", "kept"}

// verbOf returns the words for an operation on a resource, which the stack may retain.
func verbOf(op apitype.OpType, retained bool) verb {
	if retained && (op == apitype.OpDelete || op == apitype.OpDeleteReplaced) {
		return kept
	}
	return verbs[op]
}

// planned are the words for what a preview would do.
var planned = map[apitype.OpType]string{
	apitype.OpCreate: "create", apitype.OpUpdate: "update", apitype.OpDelete: "delete", apitype.OpReplace: "replace",
	apitype.OpRead: "read", apitype.OpImport: "import",
}

// Verb is the word for an operation: what a preview plans, or what a run did.
func Verb(op apitype.OpType, planning bool) string {
	if word, ok := planned[op]; ok && planning {
		return word
	}
	return verbs[op].done
}

// clean removes the engine's colours, and the prefixes that mean nothing to a person.
func clean(message string) string {
	message = colors.Never.Colorize(message)
	message = strings.TrimSpace(prefixes.ReplaceAllString(message, ""))
	if one := soleFault.FindStringSubmatch(message); one != nil {
		message = strings.TrimSpace(one[1])
	}
	if severalFaults.MatchString(message) {
		message = briefly(strings.Split(message, "\n\t* ")[1:])
	}
	if reasons, found := strings.CutPrefix(message, unhealthy); found {
		message = "exists, but is not ready: " + briefly(strings.Split(reasons, "\n* "))
	}
	return message
}

// unhealthy is the beginning of the engine's warning of a refresh that found a resource which its provider does not
// call ready, such as a Deployment whose pods do not start. The reasons follow.
const unhealthy = "Refreshed resource is in an unhealthy state:\n* "

// outsidePlan says in short what the engine says of a resource that is not as in the plan: which inputs differ. The
// engine prints their values in Go's form, and one may be a secret's.
func outsidePlan(urn, message string) string {
	violation := planViolation.FindStringSubmatch(message)
	if violation == nil {
		return message
	}
	reason := violation[2]
	if list, differ := strings.CutPrefix(reason, "properties changed: "); differ {
		var names []string
		for _, name := range planProperty.FindAllStringSubmatch(list, -1) {
			names = append(names, name[1])
		}
		reason = "the inputs " + strings.Join(names, ", ") + " differ"
	}
	said := "is not as in the plan: " + reason + ": make a new plan with preview --plan, and have it reviewed"
	if urn == "" && violation[1] != "" {
		said = Subject(violation[1]) + " " + said
	}
	return said
}

// briefly joins the reasons of an error. Pods of one workload usually fail alike, so a reason that is told of one pod
// is not told of the next: the other pods are counted.
func briefly(reasons []string) string {
	var kept []string
	told, others, more := map[string]bool{}, map[string]bool{}, 0
	for _, reason := range reasons {
		reason = strings.TrimSpace(reason)
		if counted := morePods.FindStringSubmatch(reason); counted != nil {
			n, _ := strconv.Atoi(counted[1])
			more += n
			continue
		}
		pod := podName.FindStringSubmatch(reason)
		same := podName.ReplaceAllString(reason, "pod")
		if head, log, found := strings.Cut(same, "\n"); found {
			same = head + "\n" + number.ReplaceAllString(log, "0") // Times.
		}
		switch {
		case !told[same]:
			told[same] = true
			kept = append(kept, reason)
		case pod != nil:
			others[pod[1]] = true
		}
	}
	if more += len(others); more > 0 {
		kept = append(kept, "and "+text.Count(more, "more pod", "more pods"))
	}
	return strings.Join(kept, "\n")
}

// withoutValues shortens the policy pack's list of the rules that wait for values to one line.
func withoutValues(message string) string {
	head, values, found := strings.Cut(message, rule.Waiting+":\n")
	if !found {
		return message
	}
	return fmt.Sprintf("%spolicies wait for %s that the update knows (--inputs lists them)", head,
		text.Count(len(strings.Split(values, "\n")), "value", "values"))
}

var (
	prefixes = regexp.MustCompile(
		`(?m)^(error: |an unhandled error occurred: |program failed:? ?|waiting for RPCs: |` +
			`go inline source runtime error, )+\n*`,
	)
	planViolation = regexp.MustCompile(`(?s)^resource (?:(urn:.*) )?violates plan: (.*)$`)
	// planProperty is an input in the engine's list: what the plan wants to do and what was done, the name, the values.
	planProperty = regexp.MustCompile(`(?:^|, )[-+~=]{2}([A-Za-z_][A-Za-z0-9_-]*)(?:\[|,|$)`)
	// soleFault is go-multierror's list of one error.
	soleFault = regexp.MustCompile(`(?s)^1 error occurred:\s*\* (.*)$`)
	// severalFaults begins its list of several.
	severalFaults = regexp.MustCompile(`^\d+ errors occurred:\n\t\* `)
	podName       = regexp.MustCompile(`\bpod ([a-z0-9.-]+)`)
	morePods      = regexp.MustCompile(`^and (\d+) more pods$`)
	number        = regexp.MustCompile(`\d+`)
	// cancelledCall is the end of an error of gRPC or of a context.
	cancelledCall = regexp.MustCompile(
		`(^|: |= )(context canceled|(the client connection|grpc: the client connection|transport) is closing)\W*$`,
	)
)

// isNoise reports whether a message says only that the run failed or was cancelled.
func isNoise(message string) bool {
	switch message {
	case "", "update failed", "preview failed", "destroy failed", "refresh failed",
		"update canceled", "preview canceled", "destroy canceled", "refresh canceled":
		return true
	}
	return strings.HasPrefix(message, "resource registration failed") || message == "update cancelled"
}

// isConsequence reports whether an error ends with that of a call that was cancelled. Its beginning only says which
// call of which plugin it was.
func isConsequence(message string) bool { return cancelledCall.MatchString(message) }

// seconds formats a duration: 0.4s, 12s, 3m04s.
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	default:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
}

func indent(lines, by string) string {
	return by + strings.ReplaceAll(lines, "\n", "\n"+by)
}
