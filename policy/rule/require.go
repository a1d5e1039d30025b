package rule

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// RequireTrue fails if the value is false. The default is used if the value is missing.
func (v Value) RequireTrue(byDefault bool, reason string) {
	if is, ok := v.Bool(byDefault); ok && !is {
		v.Fail("%s", reason)
	}
}

// RequireFalse fails if the value is true. The default is used if the value is missing.
func (v Value) RequireFalse(byDefault bool, reason string) {
	if is, ok := v.Bool(byDefault); ok && is {
		v.Fail("%s", reason)
	}
}

// RequireFilled fails if the value is [Value.Empty].
func (v Value) RequireFilled(reason string) {
	if v.Empty() {
		v.Fail("%s", reason)
	}
}

// RequireAtLeast fails if the number is below least. The default is used if the value is missing. The unit is " days",
// for example, or "".
func (v Value) RequireAtLeast(least, byDefault float64, unit string) {
	if number, ok := v.Number(byDefault); ok && number < least {
		v.Fail("want at least %v"+unit, least)
	}
}

// RequireAtMost fails if the number is above most. The default is used if the value is missing.
func (v Value) RequireAtMost(most, byDefault float64) {
	if number, ok := v.Number(byDefault); ok && number > most {
		v.Fail("want at most %v", most)
	}
}

// RequireText fails if the text is not among allowed. The text of a missing value is "".
func (v Value) RequireText(reason string, allowed ...string) {
	if text, ok := v.Text(""); ok && !slices.Contains(allowed, text) {
		v.Fail("%s", reason)
	}
}

// RequireDescription fails if the text is blank, or one of the texts that tools write by default.
func (v Value) RequireDescription(defaults ...string) {
	if text, ok := v.Text(""); ok && (strings.TrimSpace(text) == "" || slices.Contains(defaults, text)) {
		v.Fail("is missing")
	}
}

// Describe is a [Rule.Remedy] that sets description to a prefix and the resource's name.
func Describe(prefix string) func(*Subject, property.Map) (property.Map, bool) {
	return func(s *Subject, inputs property.Map) (property.Map, bool) {
		return inputs.Set("description", property.New(prefix+s.Name())), true
	}
}
