package awsprovider

import (
	"fmt"
	"regexp"
	"strings"

	"dbtier/validation"
)

func all(checks ...func(any) string) func(any) string {
	return func(v any) string {
		for _, check := range checks {
			if reason := check(v); reason != "" {
				return reason
			}
		}
		return ""
	}
}

func between(low, high float64) func(any) string {
	return func(v any) string {
		if n, _ := v.(float64); n < low || n > high {
			return fmt.Sprintf("must be between %v and %v", low, high)
		}
		return ""
	}
}

func atMost(length int) func(any) string {
	return func(v any) string {
		if s, _ := v.(string); len(s) > length {
			return fmt.Sprintf("must have at most %d characters, not %d", length, len(s))
		}
		return ""
	}
}

func pattern(expression string) func(string) bool { return regexp.MustCompile(expression).MatchString }

func matching(matches func(string) bool, must string) func(any) string {
	return func(v any) string {
		if s, _ := v.(string); !matches(s) {
			return "must " + must
		}
		return ""
	}
}

func oneOf[T string | int](allowed ...T) func(any) string {
	return func(v any) string {
		for _, a := range allowed {
			if fmt.Sprint(v) == fmt.Sprint(a) {
				return ""
			}
		}
		return "must be one of " + listing(allowed)
	}
}

func eachOneOf(allowed ...string) func(any) string {
	check := oneOf(allowed...)
	return func(v any) string {
		list, _ := v.([]any)
		for _, e := range list {
			if reason := check(e); reason != "" {
				return fmt.Sprintf("contains %q; each %s", e, reason)
			}
		}
		return ""
	}
}

func listing[T string | int](values []T) string {
	words := make([]string, 0, len(values))
	for _, v := range values {
		words = append(words, fmt.Sprint(v))
	}
	return strings.Join(words, ", ")
}

// rdsIdentifier checks names of instances and parameter groups. extra are characters allowed besides letters, digits
// and hyphens.
func rdsIdentifier(length int, extra string) func(any) string {
	must := "begin with a letter, contain only lower-case letters, digits and single hyphens, and not end with a hyphen"
	if extra != "" {
		must = "begin with a letter, contain only lower-case letters, digits, periods and single hyphens, and not " +
			"end " +
			"with a hyphen"
	}
	set := "[0-9a-z" + regexp.QuoteMeta(extra) + "]"
	return all(atMost(length), matching(pattern(`^[a-z]`+set+`*(-`+set+`+)*$`), must), notDefault)
}

func notDefault(v any) string {
	if v == "default" {
		return `must not be "default", which AWS reserves`
	}
	return ""
}

func notReserved(prefix string) func(any) string {
	return func(v any) string {
		if s, _ := v.(string); strings.HasPrefix(s, prefix) {
			return fmt.Sprintf("must not begin with %q, which AWS reserves", prefix)
		}
		return ""
	}
}

func iamName(length int, form *validation.Form) func(any) string {
	return all(atMost(length), matching(form.Matches, `contain only letters, digits and "_+=,.@-"`))
}

func iamPath(v any) string {
	return all(atMost(512), matching(validation.RolePath.Matches, `begin and end with "/"`))(v)
}

func lowerCase(v any) any {
	if s, ok := v.(string); ok {
		return strings.ToLower(s)
	}
	return v
}

// protocol converts names and numbers of IP protocols to one form.
func protocol(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	switch s = strings.ToLower(s); s {
	case "all":
		return "-1"
	case "6":
		return "tcp"
	case "17":
		return "udp"
	case "1":
		return "icmp"
	default:
		return s
	}
}

// keyID returns the key's id from its ARN.
func keyID(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	if _, id, found := strings.Cut(s, ":key/"); found {
		return id
	}
	return s
}

// isVersionPrefix reports whether the actual version belongs to the version that the program asked for, such as "16".
func isVersionPrefix(asked, actual any) bool {
	a, _ := asked.(string)
	b, _ := actual.(string)
	return a != "" && strings.HasPrefix(b, strings.TrimSuffix(a, ".")+".")
}
