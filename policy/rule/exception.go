package rule

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Exception allows one resource to violate one rule until a date.
type Exception struct {
	// Resource is a URN, a logical name, or <type>::<name>.
	Resource string
	// Owner is responsible for the exception. Reason says why it is needed.
	Owner, Reason string
	// Expires is the last day on which the exception holds, UTC.
	Expires time.Time
}

const exceptionsKey = "exceptions"

// The fields of an exception in the policy config.
var exceptionFields = []string{"resource", "owner", "reason", "expires"}

func exceptionsSchema() map[string]any {
	text := func(description string) map[string]any {
		return map[string]any{"type": "string", "minLength": 1.0, "description": description}
	}
	day := text("The last day on which the exception holds, UTC.")
	day["pattern"] = `^\d{4}-\d{2}-\d{2}$`
	return map[string]any{
		"type":        "array",
		"description": "Resources that may violate this rule until a date.",
		"items": map[string]any{
			"type":                 "object",
			"required":             []any{"resource", "owner", "reason", "expires"},
			"additionalProperties": false,
			"properties": map[string]any{
				"resource": text("URN of the resource, its logical name, or <type>::<name>."),
				"owner":    text("The person or team that is responsible for the exception."),
				"reason":   text("Why the exception is needed."),
				"expires":  day,
			},
		},
	}
}

// ExceptionsOf returns the well-formed exceptions among a rule's properties in the policy config.
func ExceptionsOf(properties map[string]any) []Exception {
	exceptions, _ := parseExceptions(properties[exceptionsKey])
	return exceptions
}

// ExceptionFaults returns every fault of the exceptions among the properties of a name that is no rule: a person who
// corrects the name should not meet them afterwards.
func ExceptionFaults(name string, properties map[string]any) []string {
	_, faults := parseExceptions(properties[exceptionsKey])
	for i := range faults {
		faults[i] = name + "." + faults[i]
	}
	return faults
}

// parseExceptions returns the well-formed exceptions of the policy config, and every fault of the others.
func parseExceptions(value any) (exceptions []Exception, faults []string) {
	list, ok := value.([]any)
	if !ok && value != nil {
		return nil, []string{exceptionsKey + ": want a list"}
	}
	for i, item := range list {
		path := fmt.Sprintf("%s[%d]", exceptionsKey, i)
		object, ok := item.(map[string]any)
		if !ok {
			faults = append(faults, path+": want an object with resource, owner, reason and expires")
			continue
		}
		before := len(faults)
		field := func(name string) string {
			text, _ := object[name].(string)
			if strings.TrimSpace(text) == "" {
				faults = append(faults, fmt.Sprintf("%s.%s: is required", path, name))
			}
			return text
		}
		exception := Exception{Resource: field("resource"), Owner: field("owner"), Reason: field("reason")}
		if day := field("expires"); day != "" {
			var err error
			// YAML reads a date without quotes as a time, and Pulumi passes it on in one of these forms.
			date := strings.TrimSuffix(strings.TrimSuffix(day, "T00:00:00Z"), " 00:00:00 +0000 UTC")
			if exception.Expires, err = time.Parse(time.DateOnly, date); err != nil {
				faults = append(faults, fmt.Sprintf("%s.expires: %q: want a date such as 2027-03-31", path, day))
			}
		}
		for key := range object {
			if !slices.Contains(exceptionFields, key) {
				faults = append(faults, fmt.Sprintf("%s.%s: is not a field of an exception: want resource, owner, "+
					"reason and expires", path, key))
			}
		}
		if len(faults) == before {
			exceptions = append(exceptions, exception)
		}
	}
	return exceptions, faults
}

// covers reports whether the exception is for this resource.
func (e Exception) covers(r *Resource) bool {
	return e.Resource == r.URN || e.Resource == r.Name || e.Resource == r.Type+"::"+r.Name
}

// Expired reports whether the last day is over.
func (e Exception) Expired(now time.Time) bool { return !now.UTC().Before(e.Expires.AddDate(0, 0, 1)) }
