package validation

import (
	"regexp"
	"sync"
)

// Form is the form of a text value: which texts have it, and what an error says that it wants.
type Form struct {
	// Rule completes the sentence of an error: "want the 12 digits of an AWS account, in quotes".
	Rule string

	// limit is the highest number of characters. 0 means that the pattern limits them.
	limit    int
	compiled func() *regexp.Regexp
}

// form compiles its pattern at the first use: the policy pack starts in milliseconds and needs few of them.
func form(pattern, rule string) *Form {
	return &Form{
		Rule:     rule,
		compiled: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }),
	}
}

// atMost limits the number of characters, for a pattern that cannot.
func (f *Form) atMost(characters int) *Form {
	f.limit = characters
	return f
}

// Matches reports whether text has the form.
func (f *Form) Matches(text string) bool {
	return (f.limit == 0 || len(text) <= f.limit) && f.compiled().MatchString(text)
}

// Submatches returns the groups of the form's pattern, the whole text first. It returns nil if text has another form.
func (f *Form) Submatches(text string) []string { return f.compiled().FindStringSubmatch(text) }
