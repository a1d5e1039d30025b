package await

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMaskHidesEverySpellingOfASecret(t *testing.T) {
	const password = `4k]-%hA|RI*[?j(-(l]{(`
	escaped, _ := json.Marshal(password)
	mask := maskValues(spellings("postgres://admin:" + url.QueryEscape(password) +
		"@db.local:5432/shop?sslmode=verify-full"))
	for _, spelling := range []string{
		password, url.QueryEscape(password), url.PathEscape(password),
		base64.StdEncoding.EncodeToString([]byte(password)), strings.Trim(string(escaped), `"`),
	} {
		masked := mask("error: cannot log in with <" + spelling + "> to db.local")
		assert.NotContains(t, masked, spelling)
		assert.Contains(t, masked, "to db.local", "text that is not secret stays")
	}
}

func TestMaskHidesTheSecretsInsideAFile(t *testing.T) {
	mask := maskValues(spellings("\"myshop_api\" \"pass\"\"word-1\"\n\"other\" \"secret-two-2\"\n"))
	assert.Equal(t, "login with *** and *** failed", mask(`login with pass"word-1 and secret-two-2 failed`))
}

func TestMaskHidesWhatLooksLikeAPassword(t *testing.T) {
	mask := maskValues(nil)
	for text, want := range map[string]string{
		"dial postgres://admin:abc@db:5432/shop failed": "dial postgres://admin:***@db:5432/shop failed",
		"PGPASSWORD=abc psql -h db":                     "PGPASSWORD=*** psql -h db",
		`{"password": "a b c", "user": "x"}`:            `{"password": ***, "user": "x"}`,
		"relation \"orders\" does not exist":            "relation \"orders\" does not exist",
		"connected to db:5432":                          "connected to db:5432",
	} {
		assert.Equal(t, want, mask(text))
	}
}

func TestShortValuesAreNotMasked(t *testing.T) {
	assert.Equal(t, "port 5432 of db", maskValues(append(spellings("5432"), spellings("db")...))("port 5432 of db"))
}
