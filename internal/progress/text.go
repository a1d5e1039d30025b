package progress

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
)

// ShortType drops the part of a type token that only says in which file the type is generated:
// aws:rds/instance:Instance becomes aws:rds:Instance.
//
// A Kubernetes kind needs no group: kubernetes:apps/v1:Deployment becomes kubernetes:Deployment.
func ShortType(token string) string {
	parts := strings.SplitN(token, ":", 3)
	if len(parts) != 3 {
		return token
	}
	if parts[0] == "kubernetes" {
		return parts[0] + ":" + parts[2]
	}
	module, file, ok := strings.Cut(parts[1], "/")
	if ok && strings.EqualFold(file, parts[2]) {
		return parts[0] + ":" + module + ":" + parts[2]
	}
	return token
}

// urnName is the last part of a URN: the resource's name.
func urnName(urn string) string {
	if i := strings.LastIndex(urn, "::"); i >= 0 {
		return urn[i+2:]
	}
	return urn
}

// urnType is the resource's own type in a URN, without its parents'.
func urnType(urn string) string {
	parts := strings.SplitN(urn, "::", 4)
	if len(parts) < 3 {
		return ""
	}
	return parts[2][strings.LastIndex(parts[2], "$")+1:]
}

// Subject names a resource for people.
func Subject(urn string) string {
	return ShortType(urnType(urn)) + " " + urnName(urn)
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

// planned are the words for what a preview would do.
var planned = map[apitype.OpType]string{
	apitype.OpCreate: "to create", apitype.OpUpdate: "to update", apitype.OpDelete: "to delete",
	apitype.OpReplace: "to replace",
	apitype.OpRead:    "to read", apitype.OpImport: "to import",
}

// Verb is the word for an operation: what a preview plans, or what was done.
func Verb(op apitype.OpType, planning bool) string {
	if word, ok := planned[op]; ok && planning {
		return strings.TrimPrefix(word, "to ")
	}
	return verbs[op].done
}

// clean strips the engine's colours and the wrapping that says nothing to a person.
func clean(message string) string {
	message = colors.Never.Colorize(message)
	message = wrapping.ReplaceAllString(message, "")
	message = strings.TrimSpace(message)
	if one := soleFault.FindStringSubmatch(message); one != nil {
		message = strings.TrimSpace(one[1])
	}
	return message
}

var (
	wrapping = regexp.MustCompile(
		`(?m)^(error: |an unhandled error occurred: |program failed:? ?|waiting for RPCs: |go inline source runtime error, )+\n*`,
	)
	// soleFault is go-multierror's list of one.
	soleFault = regexp.MustCompile(`(?s)^1 error occurred:\s*\* (.*)$`)
)

// saysNothing are messages that only repeat that the run failed.
func saysNothing(message string) bool {
	switch message {
	case "", "update failed", "preview failed", "destroy failed", "refresh failed",
		"update canceled", "preview canceled", "destroy canceled", "refresh canceled":
		return true
	}
	return strings.HasPrefix(message, "resource registration failed") || message == "update cancelled"
}

// seconds writes a duration as people say it: 0.4s, 12s, 3m04s.
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

func indent(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}
