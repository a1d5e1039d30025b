package verify

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// redactor takes secrets out of texts: those it was told of, in every spelling, and whatever looks like a DSN's password.
type redactor struct {
	mu     sync.Mutex
	values []string
}

const redacted = "[secret]"

// dsnPassword is the part between a URL's user and its host. Passwords hold anything, so the last @ before a blank counts.
var dsnPassword = regexp.MustCompile(`(postgres(?:ql)?://[^:/\s]*:)\S*@`)

func (r *redactor) add(value string) {
	if value == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	spellings := []string{value, url.QueryEscape(value), url.PathEscape(value)}
	for _, spelling := range spellings {
		if !slices.Contains(r.values, spelling) {
			r.values = append(r.values, spelling)
		}
	}
	// The longest first: a DSN before the password within it.
	slices.SortFunc(r.values, func(a, b string) int { return len(b) - len(a) })
}

func (r *redactor) clean(text string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range r.values {
		text = strings.ReplaceAll(text, value, redacted)
	}
	return dsnPassword.ReplaceAllString(text, "${1}"+redacted+"@")
}
