// Package redact removes secrets from texts that people and pull requests see: the secrets that it is given or has
// found in settings, in every spelling, and whatever else looks like a credential. It is a second line of defence: the
// engine masks what it knows to be secret.
package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"dbtier/validation/credential"
)

// Mark replaces a secret.
const Mark = credential.Mark

// Redactor removes the secrets that were added to it, and credentials that it recognises. The zero value knows no
// secrets, and a nil Redactor only recognises. It is safe for concurrent use.
type Redactor struct {
	mu     sync.Mutex
	values []string
}

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

// Learn adds the credentials in a value of maps, lists and texts, so that they are also removed where nothing around
// them tells what they are. It leaves out words that a text can contain by chance; they are masked at their place only.
func (r *Redactor) Learn(value any) {
	if r == nil {
		return
	}
	credential.Walk(value, func(name, text string) string {
		for _, found := range credential.In(name, text) {
			if decoded, err := url.PathUnescape(found); err == nil && decoded != found && distinctive(decoded) {
				r.Add(decoded)
			}
			if distinctive(found) {
				r.Add(found)
			}
		}
		return text
	})
}

// words are texts such as postgres and reports-database, which are also the names of other things.
var words = regexp.MustCompile(`^[A-Za-z]?[a-z]*([-_. /]?[a-z]+)*$`)

// distinctive reports whether a text is unlikely to occur without being the secret.
func distinctive(text string) bool {
	const shortest, longestWords = 6, 20
	return len(text) >= shortest && (len(text) >= longestWords || !words.MatchString(text))
}

// Clean returns the text without the secrets.
func (r *Redactor) Clean(text string) string {
	if r != nil {
		r.mu.Lock()
		for _, value := range r.values {
			text = strings.ReplaceAll(text, value, Mark)
		}
		r.mu.Unlock()
	}
	return credential.Text(text)
}

// JSON returns a JSON document whose texts are clean.
func (r *Redactor) JSON(document []byte) []byte {
	return literals.ReplaceAllFunc(document, func(literal []byte) []byte {
		var text string
		if json.Unmarshal(literal, &text) != nil {
			return literal
		}
		clean := r.Clean(text)
		if clean == text {
			return literal
		}
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if encoder.Encode(clean) != nil {
			return []byte(`"` + Mark + `"`)
		}
		return bytes.TrimSpace(out.Bytes())
	})
}

// literals matches the texts in a JSON document.
var literals = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// secretName matches the names of environment variables that contain secrets.
var secretName = regexp.MustCompile(
	`(?i)(PASSPHRASE|PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_?KEY|CREDENTIAL|DATABASE_URL|_DSN$)`,
)

// Environment returns a redactor of the secrets in an environment: the values of variables with such names, passwords
// in URLs such as PULUMI_BACKEND_URL, and the content of files that variables such as PULUMI_CONFIG_PASSPHRASE_FILE
// name.
func Environment(env []string) *Redactor {
	r := &Redactor{}
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if strings.Contains(value, "://") {
			r.Learn(value)
		}
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
