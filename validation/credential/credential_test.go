package credential_test

import (
	"testing"

	"dbtier/validation/credential"
)

func TestCredentialsAreFound(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"SECRET_KEY_BASE", "0b5f3c9e8d7a61524f3e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e"},
		{"SECRET_KEY_BASE", "hunter22"},
		{"DJANGO_SECRET_KEY", "django-insecure-x7!k2@m"},
		{"DB_PASS", "kR9vTq2LmX"},
		{"DB_PASS", "hunter22"},
		{"db.password", "hunter22"},
		{"apiKey", "hunter22"},
		{"dbpassword", "hunter22"},
		{"clientSecret", "hunter22"},
		{"JWT_SECRET_CURRENT", "Zm9vYmFyYmF6cXV4MTIz"},
		{"PGPASSWORD", "hunter22"},
		{"PASSWORD_1", "kR9vTq2LmXa81"},
		{"anything", "postgresql://myshop:hunter22@db/x"},
		{"anything", "jdbc:postgresql://db.example.com:5432/x?user=myshop&password=hunter22"},
		{"anything", "jdbc:postgresql://db.example.com/x?ssl=true&password=hunter22&user=myshop"},
		{"anything", "-----BEGIN RSA PRIVATE" + " KEY-----\nabc"},
		{"anything", "AKIA" + "ABCDEFGHIJKLMNOP"},
		{"anything", "ghp" + "_0123456789abcdefghijABCDEFGHIJ012345"},
		{"anything", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"},
		{"PASSWORD", "hunter22\n"},
		{"users", "\"myshop\" \"hunter22\"\n"},
		{"application.properties", "spring.datasource.url=jdbc:postgresql://db/x\nspring.datasource.password=hunter22\n"},
		{"config.yaml", "db:\n  host: db\n  password: \"hunter22\"\n"},
		{"config.json", "{\n  \"host\": \"db\",\n  \"password\": \"hunter22\"\n}\n"},
	} {
		if credential.Reason(c[0], c[1]) == "" {
			t.Errorf("%s=%s is not found", c[0], c[1])
		}
		masked := credential.Mask(c[0], c[1])
		if reason := credential.Reason(c[0], masked); reason != "" || masked == c[1] {
			t.Errorf("%s=%s: %s", c[0], masked, reason)
		}
	}
}

func TestSettingsAreNotCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"FORGOT_PASSWORD", "true"},
		{"PASSWORD", ""},
		{"PASSWORD", "{{ .password }}"},
		{"PASSWORD", "$(DB_PASSWORD)"},
		{"PASSWORD", "${DB_PASSWORD}"},
		{"TOKEN", "/var/run/token"},
		{"TOKEN", "3600"},
		{"TOKEN", "15m"},
		{"TOKEN", "1h30m"},
		{"PASSWORD_RESET", "https://example.com/reset"},
		{"RESET_TOKEN", "https://example.com/reset"},
		{"PASSWORD_MIN_LENGTH", "12"},
		{"PASSWORD_FILE", "secrets.txt"},
		{"SECRET_NAME", "myshop-db-0a1b2c3d4e5f"},
		{"SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:a-AbCdEf"},
		{"TOKEN_URL", "https://login.example.com/0a1b2c3d"},
		{"PASSWORD_HINT", "ask the team"},
		{"CACHE_KEY", "products"},
		{"PRIMARY_KEY", "id"},
		{"COMMIT", "0b5f3c9e8d7a61524f3e2d1c0b9a8f7e6d5c4b3a"},
		{"IMAGE", "myshop@sha256:0b5f3c9e8d7a61524f3e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e"},
		{"DATABASE_URL", "postgresql://db.example.com:5432/x"},
		{"DATABASE_URL", "postgresql://myshop:{{ .password | urlquery }}@db/x"},
		{"DATABASE_URL", "jdbc:postgresql://db/x?user=myshop&password={{ .password | urlquery }}"},
		{"LOG_LEVEL", "info"},
		{"userlist.txt", "\"{{ .user }}\" \"{{ .password }}\"\n"},
		{"COMPASS", "hunter22"},
		{"pgbouncer.ini", "[pgbouncer]\nauth_type = scram-sha-256\nauth_file = /etc/userlist.txt\n"},
		{"run.sh", "export PGPASSWORD=\"$(cat /run/password)\"\npassword=$1\n"},
		{"config.yaml", "db:\n  password:\n    from: x\n"},
		{"dsn", "host=db password= user=app"},
		{"password.sql", "\\password :\"user\"\n"},
		{"postgresql.conf", "password_encryption = scram-sha-256\n"},
	} {
		if reason := credential.Reason(c[0], c[1]); reason != "" {
			t.Errorf("%s=%s %s", c[0], c[1], reason)
		}
		if masked := credential.Mask(c[0], c[1]); masked != c[1] {
			t.Errorf("%s=%s is shown as %s", c[0], c[1], masked)
		}
	}
}
