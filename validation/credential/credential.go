// Package credential tells credentials in configuration from other settings, by their value and by their name, and
// masks them. The policies refuse what [Reason] finds, and everything that prints a value shows [Mask] of it: what is
// refused is not shown.
package credential

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"dbtier/validation/dsn"
)

// expression compiles a regular expression on first use, because the pack must start fast.
func expression(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// forms are values that are credentials whatever their name is. The group of an expression is the secret part.
var forms = []struct {
	form func() *regexp.Regexp
	// part is a text that every value of the form contains. It makes most values cheap to judge.
	part, reason string
}{
	{expression(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@{}$]*:([^\s/@{}$]+)@`), "://", inURL},
	{expression(`(-{5}BEGIN [A-Z ]*PRIVATE KEY-{5})`), "PRIVATE KEY", "is a private key"},
	{expression(`\b((?:AKIA|ASIA)[A-Z0-9]{16})\b`), "A", "contains an access key of AWS"},
	{expression(`\b(eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})`), "eyJ", "contains a signed token"},
	{
		expression(`\b(gh[pousr]_\w{30,}|github_pat_\w{30,}|npm_\w{30,}|[rs]k_live_\w{16,})`), "_",
		"contains a token of a public service",
	},
	{expression(`\b(glpat-[\w-]{20,}|xox[abeprs]-[\w-]{10,})`), "-", "contains a token of a public service"},
	{expression(`(?m)^"[^"\n]+" "([^"\n]+)"\s*$`), `" "`, "contains users and passwords of PgBouncer"},
}

const inURL = "contains a password in a URL"

// span is the place of a credential in a text.
type span struct {
	begin, end int
	reason     string
}

// Reason returns why a setting looks like a credential, or "". A value that a template fills in is none.
func Reason(name, value string) string {
	if found := find(name, value); len(found) > 0 {
		return found[0].reason
	}
	return ""
}

// find returns the credentials in a setting for which a policy refuses it.
func find(name, value string) []span {
	if strings.TrimSpace(value) == "" {
		return nil
	}
	found := byForm(value)
	if begin, end, ok := dsn.Password(value); ok && !template(value[begin:end]) {
		found = append(found, span{begin, end, inURL})
	}
	if strings.Contains(strings.TrimSpace(value), "\n") {
		return append(found, inLines(value)...)
	}
	if reason := byName(name, value); reason != "" {
		found = append(found, span{0, len(value), reason})
	}
	return found
}

// byForm finds values that are credentials whatever their name is.
func byForm(value string) (found []span) {
	for _, f := range forms {
		if !strings.Contains(value, f.part) {
			continue
		}
		for _, at := range f.form().FindAllStringSubmatchIndex(value, -1) {
			if literal(value[at[0]:at[1]]) && value[at[2]:at[3]] != Mark {
				found = append(found, span{at[2], at[3], f.reason})
			}
		}
	}
	return found
}

// literal reports whether a text contains no part that a template fills in.
func literal(text string) bool { return !strings.Contains(text, "{{") }

// assignment is a line of a properties, ini, env, YAML or JSON file.
var assignment = expression(`^\s*(?:export\s+)?"?([A-Za-z_][\w.-]*)"?\s*[:=]\s*"?([^"]*?)"?,?\s*$`)

// inLines judges the lines of a file. The name of a setting in a file must be a credential's, and the value one word.
func inLines(text string) (found []span) {
	begin := 0
	for line := range strings.Lines(text) {
		at := assignment().FindStringSubmatchIndex(line)
		if len(at) > 0 && !strings.ContainsAny(line[at[4]:at[5]], " ()|<>") &&
			byName(line[at[2]:at[3]], line[at[4]:at[5]]) != "" {
			reason := "has a line with the name of a credential (" + line[at[2]:at[3]] + ")"
			found = append(found, span{begin + at[4], begin + at[5], reason})
		}
		begin += len(line)
	}
	return found
}

// byName judges a value by the words of its name.
func byName(name, value string) string {
	value = strings.Trim(strings.TrimSpace(value), `"'`)
	switch called := nameOf(name); {
	case called == other || value == "" || template(value) || plain(value):
		return ""
	case called == credential:
		return "has the name of a credential"
	case random(value):
		return "is random, and its name is about a credential"
	default:
		return ""
	}
}

// kind is what a name says about a value.
type kind int

const (
	other kind = iota
	// about is the name of something about a credential, or of a credential with a word after it.
	about
	credential
)

// words are names of credentials. Two words are one name.
var words = []string{
	"password", "passwd", "passphrase", "pwd", "pass", "pw", "secret", "token", "credential", "credentials", "apikey",
	"api key", "access key", "private key", "secret key", "encryption key", "signing key", "master key", "auth key",
	"license key", "key base", "pgpassword", "passcode", "pat", "hmac", "pepper",
}

// properties are words after which a name is about a property of a credential, whose value is not secret.
var properties = []string{
	"name", "file", "path", "dir", "url", "uri", "arn", "length", "ttl", "expiry", "expires", "expiration", "policy",
	"header", "type", "algorithm", "field", "param", "parameter", "endpoint", "issuer", "audience", "region", "version",
	"age", "lifetime", "interval", "timeout", "days", "seconds", "minutes", "hours", "enabled", "required", "ref",
	"store", "format", "prefix", "mode", "method", "host", "port", "encryption", "count", "limit", "id",
}

// nameOf returns what a name says: db.password, DB_PASS, apiKey and SECRET_KEY_BASE are credentials, PASSWORD_FILE is
// not.
func nameOf(name string) kind {
	parts := split(name)
	if len(parts) == 0 || slices.Contains(properties, parts[len(parts)-1]) {
		return other
	}
	last := parts[len(parts)-1]
	isSuffix := func(word string) bool { return strings.HasSuffix(last, word) }
	if slices.Contains(words, last) || slices.ContainsFunc([]string{"password", "passwd", "passphrase"}, isSuffix) ||
		len(parts) > 1 && slices.Contains(words, parts[len(parts)-2]+" "+last) {
		return credential
	}
	for i, part := range parts {
		if slices.Contains(words, part) || i > 0 && slices.Contains(words, parts[i-1]+" "+part) {
			return about
		}
	}
	return other
}

// split returns the words of a name in lower case.
func split(name string) []string {
	var spaced strings.Builder
	var before rune
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			spaced.WriteByte(' ')
		case unicode.IsUpper(r) && unicode.IsLower(before):
			spaced.WriteByte(' ')
			fallthrough
		default:
			spaced.WriteRune(unicode.ToLower(r))
		}
		before = r
	}
	return strings.Fields(spaced.String())
}

// template reports whether something else fills in the value: a template, a variable or a command. A masked value is
// none any more.
func template(value string) bool {
	return value == Mark || strings.Contains(value, "{{") || strings.HasPrefix(value, "$") ||
		strings.HasPrefix(value, "<") || strings.HasPrefix(value, "vault:") || strings.HasPrefix(value, "ref+") ||
		strings.HasPrefix(value, "arn:")
}

// switches are values that choose something.
var switches = []string{
	"true", "false", "yes", "no", "on", "off", "enabled", "disabled", "enable", "disable", "none", "null", "nil",
	"required", "require", "optional", "always", "never", "auto", "default", "allow", "deny", "prefer", "strict", "lax",
	"basic", "bearer", "jwt", "scram-sha-256", "md5", "plain", "sha256", "changed",
}

// quantity is a number, a duration or a size.
var quantity = expression(`^[+-]?\d+([.,:]\d+)*\s*(ns|us|µs|ms|s|m|h|d|w|y|min|sec|seconds?|minutes?|hours?|days?|` +
	`weeks?|[kmgt]i?b?|%)?(\d+(ms|s|m|h))*$`)

// plain reports whether a value is a switch, a quantity, a path, or a URL without a login.
func plain(value string) bool {
	lower := strings.ToLower(value)
	return slices.Contains(switches, lower) || len(value) < 20 && quantity().MatchString(lower) ||
		strings.HasPrefix(value, "/") || strings.HasPrefix(value, "./") || strings.HasPrefix(value, "../") ||
		strings.Contains(value, "://")
}

// random reports whether a value looks generated: long, one word, and of several kinds of characters.
func random(value string) bool {
	const shortest = 12
	if len(value) < shortest || strings.ContainsAny(value, " /\\") {
		return false
	}
	counts, kinds := map[rune]int{}, map[string]bool{}
	for _, r := range value {
		counts[r]++
		switch {
		case unicode.IsDigit(r):
			kinds["digit"] = true
		case unicode.IsUpper(r):
			kinds["upper"] = true
		case unicode.IsLower(r):
			kinds["lower"] = true
		}
	}
	// Words joined by hyphens or dots, such as the name of an object, have few digits.
	digits := 0
	for _, r := range value {
		if unicode.IsDigit(r) {
			digits++
		}
	}
	return len(kinds) > 1 && len(counts) >= 8 && (digits*12 >= len(value) || kinds["upper"] && kinds["lower"])
}
