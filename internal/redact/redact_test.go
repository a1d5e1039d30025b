package redact_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/redact"
)

// These passwords contain every character that RDS may use.
var passwords = []string{"4k]-%hA|RI*[?j(-(l]{(`", `:%#?*[](){}<>&$!~^+,;=_.-"'\`, "plain-enough-1234", "ünïcödé pass wörd"}

func carriers(secret string) map[string]string {
	encoded, _ := json.Marshal(map[string]string{"dsn": "postgres://u:" + secret + "@h/d"})
	twice, _ := json.Marshal(string(encoded))
	out := map[string]string{
		"plain": "it is " + secret + ".", "a query": "https://x/?p=" + url.QueryEscape(secret), "a path": "https://x/" + url.PathEscape(secret),
		"JSON": string(encoded), "JSON in JSON": string(twice),
		"a DSN": "postgres://myshop:" + url.QueryEscape(secret) + "@database:5432/myshop",
	}
	for shift := range 4 {
		whole := strings.Repeat("x", shift) + secret + " and more"
		out[fmt.Sprintf("base64 at %d", shift)] = base64.StdEncoding.EncodeToString([]byte(whole))
		out[fmt.Sprintf("base64 for URLs at %d", shift)] = base64.RawURLEncoding.EncodeToString([]byte(whole))
	}
	return out
}

// holds looks for the secret in a text, however it is spelt.
func holds(text, secret string) bool {
	if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) || strings.Contains(text, url.PathEscape(secret)) {
		return true
	}
	quoted, _ := json.Marshal(secret)
	if strings.Contains(text, strings.Trim(string(quoted), `"`)) {
		return true
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		if decoded, err := encoding.DecodeString(text); err == nil && strings.Contains(string(decoded), secret) {
			return true
		}
	}
	return false
}

func TestASecretIsTakenOutHoweverItIsSpelt(t *testing.T) {
	for _, secret := range passwords {
		var r redact.Redactor
		r.Add(secret)
		for name, text := range carriers(secret) {
			require.True(t, holds(text, secret) || strings.Contains(name, "JSON"), "%s carries it", name)
			assert.False(t, holds(r.Clean(text), secret), "%s of %q: %s", name, secret, r.Clean(text))
			assert.NotEqual(t, text, r.Clean(text), name)
		}
	}
}

func TestDSNsLoseTheirPasswordsThoughNobodyToldOfThem(t *testing.T) {
	var r redact.Redactor
	for text, want := range map[string]string{
		"postgres://u:p:w@x@db:5432/d?sslmode=verify-full": "postgres://u:[secret]@db:5432/d?sslmode=verify-full",
		"postgresql://u:pw@db/d and amqp://a:b@c":          "postgresql://u:[secret]@db/d and amqp://a:[secret]@c",
		"https://example.com:8443/path":                    "https://example.com:8443/path",
		"mail kim@example.com":                             "mail kim@example.com",
		"arn:aws:rds:eu-west-1:123456789012:db:x":          "arn:aws:rds:eu-west-1:123456789012:db:x",
	} {
		assert.Equal(t, want, r.Clean(text))
	}
}

func TestWhatIsFoundInASettingIsRemovedEverywhere(t *testing.T) {
	var r redact.Redactor
	r.Learn(map[string]any{
		"env":   []any{map[string]any{"name": "DB_PASSWORD", "value": "hunter22"}, map[string]any{"name": "A", "value": "shown-1"}},
		"url":   "postgres://app:p%40ss-w0rd@db/x",
		"token": "postgres", "secret": "reports-database",
	})
	assert.Equal(t, "postgres of reports-database said [secret], [secret], [secret], shown-1",
		r.Clean("postgres of reports-database said hunter22, p%40ss-w0rd, p@ss-w0rd, shown-1"))
	var none *redact.Redactor
	none.Learn("x")
	assert.Equal(t, "a://b:[secret]@c", none.Clean("a://b:hunter22@c"))
}

func TestAJSONDocumentStaysOne(t *testing.T) {
	var r redact.Redactor
	r.Add(`a"b<c`)
	text := `{"a": "x a\"b<c y", "postgres://a:hunter22@b": ["DB_PASSWORD=hunter22", 1, "<&>"], "password": "kept"}`
	assert.JSONEq(t,
		`{"a": "x [secret] y", "postgres://a:[secret]@b": ["DB_PASSWORD=[secret]", 1, "<&>"], "password": "kept"}`,
		string(r.JSON([]byte(text))))
}

func TestTheEnvironmentsSecretsAreKnownByTheirNames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passphrase")
	require.NoError(t, os.WriteFile(file, []byte("from-the-file\n"), 0o600))
	r := redact.Environment([]string{
		"PULUMI_CONFIG_PASSPHRASE=correct horse", "PULUMI_CONFIG_PASSPHRASE_FILE=" + file, "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI", "GITHUB_TOKEN=ghs_abcdef",
		"AWS_REGION=ap-northeast-2", "USE_TOKEN=true", "OTHER_TOKEN_FILE=/nowhere", "HOME=/home/kim", "EMPTY_SECRET=",
	})
	for _, secret := range []string{"correct horse", "from-the-file", "wJalrXUtnFEMI", "ghs_abcdef"} {
		assert.NotContains(t, r.Clean("x "+secret+" y"), secret)
	}
	for _, public := range []string{"ap-northeast-2", "true", "/home/kim", "x"} {
		assert.Equal(t, public, r.Clean(public))
	}
}

func FuzzNothingOfASecretIsLeft(f *testing.F) {
	for _, secret := range passwords {
		f.Add(secret, "before ", " after")
	}
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(secret) < 4 || strings.ContainsAny(secret, "\r\n") {
			return
		}
		if mark := redact.Mark; strings.Contains(mark, secret) {
			return
		}
		var r redact.Redactor
		r.Add(secret)
		// What is cut from a text may leave letters that only together with their neighbours make the secret again.
		cleaned := r.Clean(before + "\x00" + secret + "\x00" + after)
		assert.NotContains(t, cleaned, "\x00"+secret+"\x00")
	})
}
