package awsrules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Limits of tags, in characters and in tags of one resource.
const (
	TagKeyLimit   = 128
	TagValueLimit = 256
	TagLimit      = 50
)

// tagCharacters are the characters that IAM, RDS, Secrets Manager and CloudWatch Logs accept in keys and values of tags
// (their API references give the same pattern). EC2 alone accepts others.
var tagCharacters = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`) })

// TagFault is what is wrong with one tag.
type TagFault struct{ Key, Reason string }

// CheckTags checks tags by the rules of all services that the tier tags. Sources: "Tag" in the RDS and IAM API
// references, and "Tagging IAM resources", which says that the keys are not case-sensitive. builtIn are tags that the
// same resources also have.
func CheckTags(tags, builtIn map[string]string) []TagFault {
	var faults []TagFault
	add := func(key, format string, args ...any) {
		faults = append(faults, TagFault{key, fmt.Sprintf(format, args...)})
	}
	type taken struct {
		key     string
		builtIn bool
	}
	known := map[string]taken{}
	for key := range builtIn {
		known[strings.ToLower(key)] = taken{key, true}
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		value, lower := tags[key], strings.ToLower(key)
		other, twice := known[lower]
		switch {
		case key == "":
			add(key, "has no key: want a key of 1 to %d characters", TagKeyLimit)
		case utf8.RuneCountInString(key) > TagKeyLimit:
			add(key, "has a key of %d characters: AWS accepts %d", utf8.RuneCountInString(key), TagKeyLimit)
		case !tagCharacters().MatchString(key):
			add(key, "has a key that RDS and IAM refuse: want letters, digits, spaces and characters of _.:/=+-@")
		case reserved(lower):
			add(key, "has a key that begins with %s:, which AWS reserves; use another key", prefix(lower))
		case twice && other.builtIn:
			add(key, "is the key of a tag that every resource has (%s, compared without case); use another "+
				"key", other.key)
		case twice:
			add(key, "differs from %s by case only, and IAM compares keys without case; keep one of them", other.key)
		default:
			known[lower] = taken{key, false}
		}
		switch {
		case utf8.RuneCountInString(value) > TagValueLimit:
			add(key, "has a value of %d characters: AWS accepts %d", utf8.RuneCountInString(value), TagValueLimit)
		case !tagCharacters().MatchString(value):
			add(key, "has a value that RDS and IAM refuse: want letters, digits, spaces and characters of _.:/=+-@")
		case reserved(strings.ToLower(value)):
			add(key, "has a value that begins with %s:, which AWS reserves; use another value",
				prefix(strings.ToLower(value)))
		}
	}
	if all := len(tags) + len(builtIn); all > TagLimit {
		with := ""
		if len(builtIn) > 0 {
			with = fmt.Sprintf(" with those of the tier (%s)",
				strings.Join(slices.Sorted(maps.Keys(builtIn)), ", "))
		}
		add("", "are %d%s: AWS accepts at most %d on a resource", all, with, TagLimit)
	}
	return faults
}

// reserved reports whether a text in lower case begins with a prefix that RDS keeps for AWS.
func reserved(lower string) bool { return prefix(lower) != "" }

func prefix(lower string) string {
	for _, p := range []string{"aws", "rds"} {
		if strings.HasPrefix(lower, p+":") {
			return p
		}
	}
	return ""
}
