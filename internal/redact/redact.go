// Package redact takes secrets out of texts that people and pull requests see: those it was told of, in every spelling
// in which a text may carry them, and whatever looks like a DSN's password. It is the second line: the engine masks
// what it knows to be secret.
package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Mark stands where a secret was.
const Mark = "[secret]"

// Redactor takes out the secrets it was told of; the zero value knows none. It may be used by several goroutines.
type Redactor struct {
	mu     sync.Mutex
	values []string
}

// dsnPassword is the part between a URL's user and its host. Passwords hold anything, so the last @ before a blank
// counts.
var dsnPassword = regexp.MustCompile(`([a-z][a-z0-9+]*://[^:/@\s"']*:)[^\s"'/][^\s"']*@`)

// Add tells of a secret. Short ones, of fewer than four characters, would take half of every text with them and are
// left.
func (r *Redactor) Add(value string) {
	value = strings.TrimRight(value, "\r\n")
	if len(value) < 4 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, spelling := range spellings(value) {
		if len(spelling) >= 4 && !slices.Contains(r.values, spelling) {
			r.values = append(r.values, spelling)
		}
	}
	// The longest first: a DSN before the password within it.
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
}

// spellings are the forms in which a text may carry a value.
func spellings(value string) []string {
	escaped, err := json.Marshal(value)
	forms := []string{
		value, url.QueryEscape(value), url.PathEscape(value),
		strings.ReplaceAll(url.QueryEscape(value), "+", "%20"),
	}
	if err == nil {
		inner := strings.Trim(string(escaped), `"`)
		twice, _ := json.Marshal(inner)
		forms = append(forms, inner, strings.Trim(string(twice), `"`))
	}
	// Without HTML's letters escaped, as most JSON of other programs is.
	var plain strings.Builder
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) == nil {
		forms = append(forms, strings.Trim(strings.TrimSpace(plain.String()), `"`))
	}
	// In base64 a value looks different by where in the encoded text it begins. What its neighbours have a part in is
	// cut off.
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for shift := range 3 {
			text := encoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + value))
			text = strings.TrimRight(text, "=")
			begin := (shift*8 + 5) / 6
			if cut := (shift + len(value)) % 3; cut != 0 && len(text) > begin {
				text = text[:len(text)-1]
			}
			// Less than this many letters may stand anywhere by chance.
			if len(text)-begin >= 6 {
				forms = append(forms, text[begin:])
			}
		}
	}
	return forms
}

// Clean is the text without the secrets.
func (r *Redactor) Clean(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range r.values {
		text = strings.ReplaceAll(text, value, Mark)
	}
	return dsnPassword.ReplaceAllString(text, "${1}"+Mark+"@")
}

// secretName tells variables of the environment that hold secrets by their names.
var secretName = regexp.MustCompile(
	`(?i)(PASSPHRASE|PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_?KEY|CREDENTIAL|DATABASE_URL|_DSN$)`,
)

// Environment knows the secrets that a process was started with: the values of variables with such names, and what is
// in the files that variables such as PULUMI_CONFIG_PASSPHRASE_FILE name.
func Environment(env []string) *Redactor {
	r := &Redactor{}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if !secretName.MatchString(name) || value == "" {
			continue
		}
		if !strings.HasSuffix(name, "_FILE") {
			// Shorter ones are switches, such as true, and passphrases of tests.
			if len(value) >= 6 {
				r.Add(value)
			}
			continue
		}
		// A key is a line or a few; a file that is larger is something else.
		const most = 1 << 16
		if info, err := os.Stat(value); err == nil && info.Mode().IsRegular() && info.Size() <= most {
			if text, err := os.ReadFile(value); err == nil {
				r.Add(string(text))
			}
		}
	}
	return r
}
