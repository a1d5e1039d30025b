package dsn_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/policy/internal/dsn"
)

func TestAURLCanBeATemplate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"postgresql://a:b@db.example.com:5432/x":                                  {"db.example.com", "a", "b"},
		"postgresql://{{ .user | urlquery }}:{{ .password }}@pool.shop.svc/x?a=b": {"pool.shop.svc", "{{ .user | urlquery }}", "{{ .password }}"},
		"jdbc:postgresql://db.example.com:5432/x?ssl=true&user=a&password=b":      {"db.example.com", "a", "b"},
		"jdbc:postgresql://db/x?user={{ .u | urlquery }}&password={{ .p }}":       {"db", "{{ .u | urlquery }}", "{{ .p }}"},
		"postgresql+psycopg://a@db/x":                                             {"db", "a"},
	} {
		host, ok := dsn.Host(text)
		assert.True(t, ok, text)
		assert.Equal(t, want, append([]string{host}, dsn.Credentials(text)...), text)
	}
	_, ok := dsn.Host("https://example.com/x")
	assert.False(t, ok, "a URL without credentials")
	assert.Nil(t, dsn.Credentials("https://example.com/x"))
	assert.Nil(t, dsn.Credentials("jdbc:postgresql://db/x?ssl=true"))
	_, ok = dsn.Host("rediss://a:b@cache.example.com:6379/0")
	assert.False(t, ok, "not a database's URL")
	assert.Equal(t, []string{"a", "b"}, dsn.Credentials("rediss://a:b@cache.example.com:6379/0"))
}

func TestNamesOfTheCluster(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"pgbouncer", "pgbouncer.shop.svc", "pgbouncer.shop.svc.cluster.local"} {
		assert.True(t, dsn.InCluster(host), host)
	}
	assert.False(t, dsn.InCluster("db.abc.eu-central-1.rds.amazonaws.com"))
}
