package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/validation"
	"dbtier/validation/credential"
)

// Fault is one error in one value.
type Fault struct {
	// Path of the value, for example backup.window or clients[0].securityGroupId.
	Path string
	// Value that was found, or nil if the value is missing.
	Value any
	// Reason says what is wrong and how to fix it.
	Reason string
	// Bounds are the numbers that are accepted, if the fault is a number outside of them.
	Bounds *Bounds
	// Choices are the values that are accepted, if the fault is a value that is not one of them.
	Choices []string
}

// Bounds are the lowest and the highest number that are accepted.
type Bounds struct{ Low, High int }

// String returns the fault as one line. It masks what looks like a credential: a value in the wrong place is often one.
func (f Fault) String() string {
	var parts []string
	if f.Path != "" {
		parts = append(parts, credential.Mask("", f.Path))
	}
	if f.Value != nil {
		parts = append(parts, render(f.Path, f.Value))
	}
	return credential.Text(strings.Join(append(parts, credential.Text(f.Reason)), ": "))
}

// render returns the value at a path, whose parts are masked by their names. The name of a text itself is judged in the
// line of the fault.
func render(path string, value any) string {
	encoded, err := json.Marshal(value)
	var tree any
	if err == nil {
		err = json.Unmarshal(encoded, &tree)
	}
	switch tree := tree.(type) {
	case string:
		return strconv.Quote(credential.Mask("", tree))
	case []any, map[string]any:
		setting, _, _ := strings.Cut(path[strings.LastIndex(path, ".")+1:], "[")
		if masked := credential.Tree(setting, tree); !reflect.DeepEqual(masked, tree) {
			encoded, err = json.Marshal(masked)
		}
	}
	if err != nil {
		return credential.Text(fmt.Sprint(value))
	}
	return string(encoded)
}

// Error holds every fault that was found.
type Error struct{ Faults []Fault }

// Error returns one line for each fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// List collects faults. The zero value is ready for use.
type List struct{ faults []Fault }

// Add adds a fault. A nil value means that the value is missing.
func (l *List) Add(path string, value any, format string, args ...any) {
	l.faults = append(l.faults, Fault{Path: path, Value: value, Reason: fmt.Sprintf(format, args...)})
}

// Check adds a fault unless ok is true, and returns ok.
func (l *List) Check(ok bool, path string, value any, format string, args ...any) bool {
	if !ok {
		l.Add(path, value, format, args...)
	}
	return ok
}

// Form adds a fault unless text has the form, and reports whether it has. The form says what is wanted.
func (l *List) Form(path, text string, form *validation.Form) bool {
	return l.Check(form.Matches(text), path, text, "%s", form.Rule)
}

// OptionalForm is [List.Form] for a value that may be empty.
func (l *List) OptionalForm(path, text string, form *validation.Form) bool {
	return text == "" || l.Form(path, text, form)
}

// Present adds a fault if value is nil, and reports whether it is present.
func (l *List) Present(path string, value any) bool {
	return l.Check(value != nil, path, nil, "is missing")
}

// Names adds a fault for each value that does not have the form or is in the list twice.
func (l *List) Names(path string, values []string, form *validation.Form) {
	for i, value := range values {
		at := fmt.Sprintf("%s[%d]", path, i)
		l.Form(at, value, form)
		l.Check(slices.Index(values, value) == i, at, value, "is named twice")
	}
}

// CIDRs adds a fault for each value that is not an address range.
func (l *List) CIDRs(path string, ranges []string) {
	for i, text := range ranges {
		_, err := netip.ParsePrefix(text)
		l.Check(err == nil, fmt.Sprintf("%s[%d]", path, i), text, validation.CIDRRule)
	}
}

// Duration adds a fault unless text is a duration between low and high. The rule says what is wanted.
func (l *List) Duration(path, text string, low, high time.Duration, rule string) {
	duration, err := time.ParseDuration(text)
	l.Check(err == nil && low <= duration && duration <= high, path, text, "%s", rule)
}

// OneOf adds a fault unless value is one of the allowed values.
func OneOf[T comparable](l *List, path string, value T, allowed ...T) bool {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = fmt.Sprint(a)
	}
	if l.Check(slices.Contains(allowed, value), path, value, "want one of %s", strings.Join(names, ", ")) {
		return true
	}
	l.faults[len(l.faults)-1].Choices = names
	return false
}

// Between adds a fault unless low ≤ value ≤ high.
func (l *List) Between(path string, value, low, high int, unit string) bool {
	if unit != "" {
		unit = " " + unit
	}
	if l.Check(low <= value && value <= high, path, value, "want %d to %d%s", low, high, unit) {
		return true
	}
	l.faults[len(l.faults)-1].Bounds = &Bounds{low, high}
	return false
}

// Within adds the faults of a part under a prefix. Another kind of error becomes a fault of the prefix itself.
func (l *List) Within(prefix string, err error) {
	if err == nil {
		return
	}
	var part *Error
	if !errors.As(err, &part) {
		l.Add(prefix, nil, "%s", err)
		return
	}
	for _, f := range part.Faults {
		f.Path = join(prefix, f.Path)
		l.faults = append(l.faults, f)
	}
}

func join(prefix, path string) string {
	switch {
	case prefix == "":
		return path
	case path == "":
		return prefix
	case strings.HasPrefix(path, "["):
		return prefix + path
	default:
		return prefix + "." + path
	}
}

// Paths returns the paths of the faults so far.
func (l *List) Paths() []string {
	paths := make([]string, len(l.faults))
	for i, f := range l.faults {
		paths[i] = f.Path
	}
	return paths
}

// Err returns nil if the list is empty, and otherwise an [*Error].
func (l *List) Err() error {
	if len(l.faults) == 0 {
		return nil
	}
	return &Error{Faults: slices.Clone(l.faults)}
}
