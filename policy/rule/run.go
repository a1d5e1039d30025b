package rule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/policyx"
)

// Manager is what a server of this project offers to rules beyond policyx's manager: policyx gives stack policies
// neither config nor dry-run, and has no word for a rule that cannot judge yet.
type Manager interface {
	policyx.PolicyManager
	// Pending says that a value of a resource is not known yet, so the rule judges at the update.
	Pending(path, urn string)
	// Excepted says what an exception lets pass.
	Excepted(message, urn string)
	// Config is the rule's config, and DryRun tells previews.
	Config() map[string]any
	DryRun() bool
	// Now is the time by which exceptions expire, and Exceptions are those of every rule.
	Now() time.Time
	Exceptions() map[string][]Exception
}

// run is one rule at work.
type run struct {
	rule       *Rule
	manager    policyx.PolicyManager
	extended   Manager
	config     map[string]any
	dryRun     bool
	exceptions []Exception
	now        time.Time
}

func newRun(r *Rule, manager policyx.PolicyManager, config map[string]any, dryRun bool) *run {
	run := &run{rule: r, manager: manager, config: config, dryRun: dryRun, now: time.Now()}
	if extended, ok := manager.(Manager); ok {
		run.extended, run.dryRun, run.now = extended, extended.DryRun(), extended.Now()
		if config == nil {
			run.config = extended.Config()
		}
	}
	// What is wrong with them was said when they were configured.
	run.exceptions, _ = parseExceptions(run.config[exceptionsKey])
	return run
}

func (r *run) pending(path, urn string) {
	if r.extended != nil {
		r.extended.Pending(path, urn)
	}
}

func (r *run) report(message string, subject *policyx.AnalyzerResource) {
	urn := ""
	if subject != nil {
		urn = subject.URN
		for _, exception := range r.exceptions {
			if !exception.Covers(subject) {
				continue
			}
			if exception.Expired(r.now) {
				message += fmt.Sprintf("\nthe exception of %s for it expired on %s (%s)", exception.Owner,
					exception.Expires.Format(time.DateOnly), exception.Reason)
				continue
			}
			if r.extended != nil {
				r.extended.Excepted(fmt.Sprintf("%s\nlet pass until %s by %s: %s", message,
					exception.Expires.Format(time.DateOnly), exception.Owner,
					exception.Reason), urn)
			}
			return
		}
	}
	r.manager.ReportViolation(message+"\nfix: "+r.rule.Fix, urn)
}

// knob finds the value that is set, or the default.
func (r *run) knob(name string) any {
	if value, ok := r.config[name]; ok {
		return value
	}
	for _, knob := range r.rule.Knobs {
		if knob.Name == name {
			return knob.Default
		}
	}
	panic(fmt.Sprintf("rule %s has no knob %s", r.rule.Name, name))
}

func (r *run) number(name string) float64 {
	number, _ := r.knob(name).(float64)
	return number
}

func (r *run) text(name string) string {
	text, _ := r.knob(name).(string)
	return text
}

func (r *run) texts(name string) []string {
	switch list := r.knob(name).(type) {
	case []string:
		return list
	case []any:
		texts := make([]string, 0, len(list))
		for _, item := range list {
			if text, ok := item.(string); ok {
				texts = append(texts, text)
			}
		}
		return texts
	}
	return nil
}

// Exception lets one resource break one rule for a while.
type Exception struct {
	// Resource is its URN, its logical name, or <type>::<name>.
	Resource string
	// Owner answers for it, and Reason says why.
	Owner, Reason string
	// Expires is the last day, UTC, on which it holds.
	Expires time.Time
}

const exceptionsKey = "exceptions"

func exceptionsSchema() map[string]any {
	text := func(description string) map[string]any {
		return map[string]any{"type": "string", "minLength": 1.0, "description": description}
	}
	return map[string]any{
		"type":        "array",
		"description": "Resources that may break this rule for a while.",
		"items": map[string]any{
			"type":                 "object",
			"required":             []any{"resource", "owner", "reason", "expires"},
			"additionalProperties": false,
			"properties": map[string]any{
				"resource": text("URN of the resource, its logical name, or <type>::<name>."),
				"owner":    text("Who answers for it."),
				"reason":   text("Why it may."),
				"expires": map[string]any{
					"type": "string", "pattern": `^\d{4}-\d{2}-\d{2}$`,
					"description": "The last day on which it holds, UTC.",
				},
			},
		},
	}
}

// parseExceptions reads what the policy config holds, and says everything that is wrong with it.
func parseExceptions(value any) (exceptions []Exception, faults []string) {
	if value == nil {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
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
				faults = append(faults,
					fmt.Sprintf("%s.%s: is missing: an exception has a resource, an owner, a reason and a last day",
						path, name))
			}
			return text
		}
		exception := Exception{Resource: field("resource"), Owner: field("owner"), Reason: field("reason")}
		day := field("expires")
		if day != "" {
			expires, err := time.Parse(time.DateOnly, day)
			if err != nil {
				faults = append(faults, fmt.Sprintf("%s.expires: %q: want a day such as 2027-03-31", path, day))
			}
			exception.Expires = expires
		}
		for key := range object {
			if !slices.Contains([]string{"resource", "owner", "reason", "expires"}, key) {
				faults = append(faults, fmt.Sprintf("%s.%s: is unknown: want resource, owner, reason and expires", path,
					key))
			}
		}
		if len(faults) == before {
			exceptions = append(exceptions, exception)
		}
	}
	return exceptions, faults
}

// ExceptionsOf are those of a rule's properties in the policy config that are well formed.
func ExceptionsOf(properties map[string]any) []Exception {
	exceptions, _ := parseExceptions(properties[exceptionsKey])
	return exceptions
}

// Covers tells whether the exception is for this resource.
func (e Exception) Covers(resource *policyx.AnalyzerResource) bool {
	return e.Resource == resource.URN || e.Resource == resource.Name || e.Resource == resource.Type+"::"+resource.Name
}

// Expired tells whether the last day is over.
func (e Exception) Expired(now time.Time) bool { return !now.UTC().Before(e.Expires.AddDate(0, 0, 1)) }
