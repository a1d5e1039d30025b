package dsn_test

import (
	"slices"
	"testing"

	"dbtier/validation/dsn"
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
		if got := append([]string{host}, dsn.Credentials(text)...); !ok || !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		begin, end, ok := dsn.Password(text)
		if ok != (len(want) == 3) || ok && text[begin:end] != want[2] {
			t.Errorf("%s: the password is %q", text, text[begin:end])
		}
	}
	for _, text := range []string{"https://example.com/x", "jdbc:postgresql://db/x?ssl=true"} {
		if host, ok := dsn.Host(text); ok || dsn.Credentials(text) != nil {
			t.Errorf("%s has no credentials: %s, %q", text, host, dsn.Credentials(text))
		}
	}
	cache := "rediss://a:b@cache.example.com:6379/0"
	if host, ok := dsn.Host(cache); ok || !slices.Equal(dsn.Credentials(cache), []string{"a", "b"}) {
		t.Errorf("%s is not a database's URL: %s, %q", cache, host, dsn.Credentials(cache))
	}
}

func TestNamesOfTheCluster(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"pgbouncer", "pgbouncer.shop.svc", "pgbouncer.shop.svc.cluster.local"} {
		if !dsn.InCluster(host) {
			t.Error(host)
		}
	}
	if dsn.InCluster("db.abc.eu-central-1.rds.amazonaws.com") {
		t.Error("a host of AWS")
	}
}
