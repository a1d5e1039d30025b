// Package credential tells credentials in configuration from other settings, by their value and by their name.
package credential

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"dbtier/policy/internal/dsn"
)

// expression compiles a regular expression on first use, because the pack must start fast.
func expression(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}

// forms are values that are credentials whatever their name is.
var forms = []struct {
	form func() *regexp.Regexp
	// part is a text that every value of the form contains. It makes most values cheap to judge.
	part, reason string
}{
	{expression(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@{}$]*:[^\s/@{}$]+@`), "://", "contains a password in a URL"},
	{expression(`-{5}BEGIN [A-Z ]*PRIVATE KEY-{5}`), "PRIVATE KEY", "is a private key"},
	{expression(`\b(AKIA|ASIA)[A-Z0-9]{16}\b`), "A", "contains an access key of AWS"},
	{expression(`\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}`), "eyJ", "contains a signed token"},
	{
		expression(`\b(gh[pousr]_\w{30,}|github_pat_\w{30,}|npm_\w{30,}|[rs]k_live_\w{16,})`), "_",
		"contains a token of a public service",
	},
	{expression(`\b(glpat-[\w-]{20,}|xox[abeprs]-[\w-]{10,})`), "-", "contains a token of a public service"},
	{expression(`(?m)^"[^"\n]+" "[^"\n]+"\s*$`), `" "`, "contains users and passwords of PgBouncer"},
}

// Reason returns why a setting looks like a credential, or "". A value that a template fills in is none.
func Reason(name, value string) string {
	if strings.TrimSpace(value) == "" {
		return ""
	}
	for _, f := range forms {
		if strings.Contains(value, f.part) && slices.ContainsFunc(f.form().FindAllString(value, -1), literal) {
			return f.reason
		}
	}
	if parts := dsn.Credentials(value); len(parts) == 2 && !template(parts[1]) {
		return "contains a password in a URL"
	}
	if strings.Contains(value, "\n") {
		return inLines(value)
	}
	return byName(name, value)
}

// literal reports whether a text contains no part that a template fills in.
func literal(text string) bool { return !strings.Contains(text, "{{") }

// assignment is a line of a properties, ini, env, YAML or JSON file.
var assignment = expression(`^\s*(?:export\s+)?"?([A-Za-z_][\w.-]*)"?\s*[:=]\s*"?([^"]*?)"?,?\s*$`)

// inLines returns the reason for a line of a file. The name of a setting in a file must be a credential's, and the
// value one word.
func inLines(text string) string {
	for line := range strings.Lines(text) {
		found := assignment().FindStringSubmatch(line)
		if len(found) > 2 && !strings.ContainsAny(found[2], " ()|<>") && byName(found[1], found[2]) != "" {
			return "has a line with the name of a credential (" + found[1] + ")"
		}
	}
	return ""
}

// byName judges a value by the words of its name.
func byName(name, value string) string {
	value = strings.Trim(strings.TrimSpace(value), `"'`)
	switch called := nameOf(name); {
	case called == other || template(value) || plain(value):
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

// template reports whether something else fills in the value: a template, a variable or a command.
func template(value string) bool {
	return strings.Contains(value, "{{") || strings.HasPrefix(value, "$") || strings.HasPrefix(value, "<") ||
		strings.HasPrefix(value, "vault:") || strings.HasPrefix(value, "ref+") || strings.HasPrefix(value, "arn:")
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
