// Package redact removes secrets from texts that people and pull requests see: the secrets that it is given, in every
// spelling, and passwords in URLs. It is a second line of defence: the engine masks what it knows to be secret.
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

// Mark replaces a secret.
const Mark = "[secret]"

// Redactor removes the secrets that were added to it. The zero value has none. It is safe for concurrent use.
type Redactor struct {
	mu     sync.Mutex
	values []string
}

// dsnPassword matches the part between a URL's user and its host. A password can contain any character, so it ends at
// the last @ before a blank.
var dsnPassword = regexp.MustCompile(`([a-z][a-z0-9+]*://[^:/@\s"']*:)[^\s"'/][^\s"']*@`)

// Add adds a secret. It ignores secrets of fewer than four characters, which occur by chance in every text.
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
	// The longest come first: a URL before the password in it.
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
}

// spellings returns the forms in which a text can contain a value.
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
	// Most other programs do not escape the characters of HTML in JSON.
	var plain strings.Builder
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(value) == nil {
		forms = append(forms, strings.Trim(strings.TrimSpace(plain.String()), `"`))
	}
	// In base64 the form of a value depends on its offset in the encoded text. The letters at its ends, which also
	// encode its neighbours, are cut off.
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for shift := range 3 {
			text := encoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + value))
			text = strings.TrimRight(text, "=")
			begin := (shift*8 + 5) / 6
			if cut := (shift + len(value)) % 3; cut != 0 && len(text) > begin {
				text = text[:len(text)-1]
			}
			// Fewer letters may occur by chance.
			if len(text)-begin >= 6 {
				forms = append(forms, text[begin:])
			}
		}
	}
	return forms
}

// Clean returns the text without the secrets.
func (r *Redactor) Clean(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range r.values {
		text = strings.ReplaceAll(text, value, Mark)
	}
	return dsnPassword.ReplaceAllString(text, "${1}"+Mark+"@")
}

// secretName matches the names of environment variables that contain secrets.
var secretName = regexp.MustCompile(
	`(?i)(PASSPHRASE|PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_?KEY|CREDENTIAL|DATABASE_URL|_DSN$)`,
)

// Environment returns a redactor of the secrets in an environment: the values of variables with such names, and the
// content of files that variables such as PULUMI_CONFIG_PASSPHRASE_FILE name.
func Environment(env []string) *Redactor {
	r := &Redactor{}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if !secretName.MatchString(name) || value == "" {
			continue
		}
		if !strings.HasSuffix(name, "_FILE") {
			// Shorter values are switches, such as true, and passphrases of tests.
			if len(value) >= 6 {
				r.Add(value)
			}
			continue
		}
		// A larger file is not a key or a password.
		const maxSize = 1 << 16
		if info, err := os.Stat(value); err == nil && info.Mode().IsRegular() && info.Size() <= maxSize {
			if text, err := os.ReadFile(value); err == nil {
				r.Add(string(text))
			}
		}
	}
	return r
}
