// Package dsn reads connection URLs with credentials, which can be templates of the External Secrets Operator.
package dsn

import (
	"regexp"
	"strings"
	"sync"
)

// A template action such as {{ .password | urlquery }} can contain any characters.
var (
	hostForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\bpostgres(?:ql)?(?:\+[a-z0-9]+)?://(?:\{\{[^}]*\}\}|[^@/{])*@([^:/?]+)`)
	})
	userForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(
			`[a-z][a-z0-9+.-]*://((?:\{\{[^}]*\}\}|[^@/:{])*)(?::((?:\{\{[^}]*\}\}|[^@/{])*))?@`,
		)
	})
)

// A JDBC URL has its credentials in the query.
var (
	queryHost = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`jdbc:[a-z0-9:]+://([^/:?\s]+)[^?\s]*\?\S*?\b(?:user|password)=`)
	})
	queryPart = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`[?&](user|password)=((?:\{\{[^}]*\}\}|[^&\s"'{;])*)`)
	})
)

// Host returns the host of the first URL of PostgreSQL with credentials in a text. It is not ok if there is none: a URL
// of another scheme does not lead to the database.
func Host(text string) (host string, ok bool) {
	found := hostForm().FindStringSubmatch(text)
	if found == nil && strings.Contains(text, "jdbc:") {
		found = queryHost().FindStringSubmatch(text)
	}
	if found == nil {
		return "", false
	}
	return found[1], true
}

// Credentials returns the user, and the password if there is one, of the first URL with credentials in a text. It
// returns nil if there is no such URL.
func Credentials(text string) []string {
	if !strings.Contains(text, "://") {
		return nil
	}
	switch found := userForm().FindStringSubmatch(text); {
	case found == nil:
		return inQuery(text)
	case found[2] == "":
		return found[1:2]
	default:
		return found[1:3]
	}
}

// inQuery returns the user and the password of a JDBC URL.
func inQuery(text string) []string {
	at := queryHost().FindStringIndex(text)
	if at == nil {
		return nil
	}
	values := map[string]string{}
	for _, part := range queryPart().FindAllStringSubmatch(text[at[0]:], -1) {
		values[part[1]] = part[2]
	}
	if values["password"] == "" {
		return []string{values["user"]}
	}
	return []string{values["user"], values["password"]}
}

// Password returns the offsets of the password in the first URL with credentials in a text. It is not ok if there is no
// such URL, or no password in it.
func Password(text string) (begin, end int, ok bool) {
	if !strings.Contains(text, "://") {
		return 0, 0, false
	}
	if found := userForm().FindStringSubmatchIndex(text); found != nil {
		return found[4], found[5], found[5] > found[4]
	}
	at := queryHost().FindStringIndex(text)
	if at == nil {
		return 0, 0, false
	}
	for _, part := range queryPart().FindAllStringSubmatchIndex(text[at[0]:], -1) {
		if text[at[0]+part[2]:at[0]+part[3]] == "password" {
			begin, end = at[0]+part[4], at[0]+part[5]
		}
	}
	return begin, end, end > begin
}

// InCluster reports whether a host name resolves in a Kubernetes cluster only.
func InCluster(host string) bool {
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.Contains(host, ".svc.") ||
		strings.HasSuffix(host, ".local")
}
