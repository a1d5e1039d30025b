// Package suggest finds the name that a person probably meant.
package suggest

import (
	"strings"

	"github.com/agext/levenshtein"
)

// Nearest returns the known name with the fewest letters that differ from name, regardless of case. It returns "" when
// every known name differs in more than half of the letters of name.
func Nearest(name string, known []string) string {
	best, least := "", len(name)/2+1
	for _, candidate := range known {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(candidate), nil); d < least {
			best, least = candidate, d
		}
	}
	return best
}
