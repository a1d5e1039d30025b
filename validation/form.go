package validation

import (
	"regexp"
	"sync"
)

// Form is the form of a text value: which texts have it, and what an error says that it wants.
type Form struct {
	// Rule completes the sentence of an error: "want the 12 digits of an AWS account, in quotes".
	Rule string

	compiled func() *regexp.Regexp
}

// form compiles its pattern at the first use: the policy pack starts in milliseconds and needs few of them.
func form(pattern, rule string) *Form {
	return &Form{
		Rule:     rule,
		compiled: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }),
	}
}

// Matches reports whether text has the form.
func (f *Form) Matches(text string) bool { return f.compiled().MatchString(text) }

// Submatches returns the groups of the form's pattern, the whole text first. It returns nil if text has another form.
func (f *Form) Submatches(text string) []string { return f.compiled().FindStringSubmatch(text) }
