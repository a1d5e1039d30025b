package credential_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"dbtier/validation/credential"
)

func TestACredentialIsMaskedAndTheRestIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"url", "postgres://app:hunter22@db.example.com/shop", "postgres://app:[secret]@db.example.com/shop"},
		{"url", "postgres://app:p/w@x:1@db:5432/d?sslmode=require", "postgres://app:[secret]@db:5432/d?sslmode=require"},
		{"url", "jdbc:postgresql://db/x?user=a&password=hunter22&ssl=true", "jdbc:postgresql://db/x?user=a&password=[secret]&ssl=true"},
		{"url", "https://x/?token=hunter22&page=2", "https://x/?token=[secret]&page=2"},
		{"host", "app:hunter22@db.example.com", "app:[secret]@db.example.com"},
		{"database", "host=db user=app password=hunter22 dbname=x", "host=db user=app password=[secret] dbname=x"},
		{"database", "host=db password='hunter 22' dbname=x", "host=db password='[secret]' dbname=x"},
		{"env", "DATABASE_PASSWORD=hunter22", "DATABASE_PASSWORD=[secret]"},
		{"env", `DATABASE_PASSWORD="hunter"22`, `DATABASE_PASSWORD="[secret]`},
		{"env", "DATABASE_PASSWORD: hunter22", "DATABASE_PASSWORD: [secret]"},
		{"env", "DATABASE_PASSWORD: correct horse", "DATABASE_PASSWORD: [secret]"},
		{"config", `{"db":{"password":"hunter22"},"a":1}`, `{"db":{"password":"[secret]"},"a":1}`},
		{"config", "host: db\npassword: hunter22\n", "host: db\npassword: [secret]\n"},
		{"DB_PASS", "hunter22", "[secret]"},
		{"DB_PASS", "hunter22\nhunter33\n", "[secret]"},
		{"key", "a -----BEGIN PRIVATE" + " KEY-----\nabc\n-----END PRIVATE KEY----- b", "a [secret] b"},
		{"key", "x AKIA" + "ABCDEFGHIJKLMNOP y", "x [secret] y"},
		{"users", "\"a\" \"hunter22\"\n\"b\" \"hunter33\"\n", "\"a\" \"[secret]\"\n\"b\" \"[secret]\"\n"},
		{"image", "registry.example.com:5000/a/b:1.2@sha256:0b5f3c9e", "registry.example.com:5000/a/b:1.2@sha256:0b5f3c9e"},
		{"topic", "mailto:kim@example.com", "mailto:kim@example.com"},
		{"contact", "kim@example.com", "kim@example.com"},
		{"text", "the token: it is long", "the token: it is long"},
	} {
		if got := credential.Mask(c[0], c[1]); got != c[2] {
			t.Errorf("%s=%s\n is shown as %s\n       want %s", c[0], c[1], got, c[2])
		}
		if again := credential.Mask(c[0], c[2]); again != c[2] {
			t.Errorf("%s is masked again: %s", c[2], again)
		}
	}
}

func TestATextIsMaskedInItsSentences(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`consumer.env.DB_PASSWORD: "hunter22": want text`:                    `consumer.env.DB_PASSWORD: "[secret]": want text`,
		`database: "host=db password=hunter22": want keys and values`:        `database: "host=db password=[secret]": want keys and values`,
		`env: ["DB_PASSWORD=hunter22","A=b"]: want keys`:                     `env: ["DB_PASSWORD=[secret]","A=b"]: want keys`,
		`read postgres://app:a"b@db: refused`:                                `read postgres://app:[secret]@db: refused`,
		`cannot open "postgres://a:b/c@db/x": no such host`:                  `cannot open "postgres://a:[secret]@db/x": no such host`,
		"data.PASSWORD: has the name of a credential":                        "data.PASSWORD: has the name of a credential",
		`pool.clientTlsSecret: "Pool-1": want a name`:                        `pool.clientTlsSecret: "Pool-1": want a name`,
		`CLIENT_SECRET: "hunter22": no`:                                      `CLIENT_SECRET: "[secret]": no`,
		"token: expired":                                                     "token: expired",
		"set PULUMI_CONFIG_PASSPHRASE or give --secrets-provider awskms://…": "set PULUMI_CONFIG_PASSPHRASE or give --secrets-provider awskms://…",
	} {
		if got := credential.Text(text); got != want {
			t.Errorf("%s\n is shown as %s\n       want %s", text, got, want)
		}
	}
}

func TestATreeIsMaskedByItsNames(t *testing.T) {
	t.Parallel()
	tree := decoded(t, `{
		"env": [{"name": "DB_PASSWORD", "value": "hunter22"}, {"name": "LEVEL", "value": "debug"}],
		"data": {"DB_PASSWORD": "hunter22", "LEVEL": "debug"},
		"password": {"value": "hunter22", "secretKeyRef": {"name": "db", "key": "password"}},
		"passwords": [{"DB_PASSWORD": ["hunter22"]}],
		"secrets": [{"secretKey": "DATABASE_URL", "remoteRef": {"key": "shop"}}],
		"postgres://a:hunter22@db": 1, "size": 20, "none": null, "on": true
	}`)
	want := decoded(t, `{
		"env": [{"name": "DB_PASSWORD", "value": "[secret]"}, {"name": "LEVEL", "value": "debug"}],
		"data": {"DB_PASSWORD": "[secret]", "LEVEL": "debug"},
		"password": {"value": "[secret]", "secretKeyRef": {"name": "db", "key": "password"}},
		"passwords": [{"DB_PASSWORD": ["[secret]"]}],
		"secrets": [{"secretKey": "DATABASE_URL", "remoteRef": {"key": "shop"}}],
		"postgres://a:[secret]@db": 1, "size": 20, "none": null, "on": true
	}`)
	if got := credential.Tree("", tree); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func decoded(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// FuzzWhatIsRefusedIsMasked requires that a value for which a policy refuses a setting is shown without what is
// refused.
func FuzzWhatIsRefusedIsMasked(f *testing.F) {
	for _, value := range []string{
		"hunter22", "postgres://a:hunter22@db/x", "postgres://a:{{ .p }}@b,c://d:e@f", "a\npassword: x\n", `"a" "b"`,
		"jdbc:postgresql://db/x?user=a&password=hunter22", "password='a", `{"password":"a\"b"}`, "a:b@c:d@e",
	} {
		f.Add("DB_PASSWORD", value)
		f.Add("URL", value)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		masked, _ := credential.Mask(name, value), credential.Text(value)
		if credential.Reason(name, value) == "" {
			return
		}
		if reason := credential.Reason(name, masked); reason != "" || masked == value {
			t.Errorf("%q=%q is shown as %q: %s", name, value, masked, reason)
		}
	})
}

// FuzzAPlantedPasswordIsNotShown plants a password wherever a person may write one.
func FuzzAPlantedPasswordIsNotShown(f *testing.F) {
	for _, password := range []string{"hunter22", "p@ss:w0rd", `a"b\c`, "x/y?z#", "ünïcödé", "4k]-%hA|RI*[?j(-(l]{(`"} {
		f.Add(password)
	}
	f.Fuzz(func(t *testing.T, password string) {
		// What the rules take for a template, a switch or a path is shown, and a leading quote is not part of the value.
		const around = "postgres://app:[secret]@db/shop host=db password= sslmode=require"
		if strings.HasPrefix(strings.TrimLeft(password, `\`), `"`) || credential.Reason("PASSWORD", password) == "" ||
			len(password) < 4 || strings.ContainsAny(password, " \t\r\n\v\f\u0085\u00a0'{$") ||
			strings.Contains(around, password) {
			return
		}
		for _, value := range []string{
			"postgres://app:" + password + "@db/shop", "host=db password='" + strings.ReplaceAll(password, `\`, `\\`) + "'",
			"DB_PASSWORD=" + password, `{"password":` + quoted(password) + `}`,
		} {
			if masked := credential.Mask("", value); strings.Contains(masked, password) {
				t.Errorf("%q is shown as %q", value, masked)
			}
			if tree := credential.Tree("", map[string]any{"a": []any{value}}); strings.Contains(quoted(tree), strings.Trim(quoted(password), `"`)) {
				t.Errorf("%q is shown in %v", value, tree)
			}
		}
	})
}

func quoted(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}
