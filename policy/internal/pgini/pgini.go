package pgini

import (
	"strconv"
	"strings"

	"dbtier/policy/rule"
)

// Types of the objects that may hold a configuration.
var Types = []string{
	"kubernetes:external-secrets.io/v1:ExternalSecret", "kubernetes:external-secrets.io/v1beta1:ExternalSecret",
	"kubernetes:core/v1:ConfigMap",
	"kubernetes:core/v1:Secret",
}

// Needs are the properties that hold it.
var Needs = []string{"spec", "data", "stringData", "metadata"}

// Config is a configuration of PgBouncer.
type Config struct {
	// Value holds the text, and Object is the name of the Secret or ConfigMap that pods mount.
	Value  rule.Value
	Object string
	// Settings of the section pgbouncer, and connection strings of the section databases, by name.
	Settings, Databases map[string]string
	// Beside are the files of the same object.
	Beside rule.Value
}

// Find is every configuration in an object.
func Find(s *rule.Subject) []Config {
	object, _ := s.Get("metadata", "name").Text("")
	var holders []rule.Value
	if strings.HasSuffix(s.Type(), ":ExternalSecret") {
		holders = append(holders, s.Get("spec", "target", "template", "data"))
		if target := s.Get("spec", "target", "name"); !target.Missing() {
			object, _ = target.Text(object)
		}
	} else {
		holders = append(holders, s.Get("data"), s.Get("stringData"))
	}
	var found []Config
	for _, holder := range holders {
		for _, member := range holder.Members() {
			// By its name first: what is not known yet may be one, too.
			if !strings.HasSuffix(member.Key, ".ini") {
				continue
			}
			text, ok := member.Value.Text("")
			if !ok || !strings.Contains(text, "[pgbouncer]") {
				continue
			}
			config := Config{Value: member.Value, Object: object, Beside: holder}
			config.Settings, config.Databases = Parse(text)
			found = append(found, config)
		}
	}
	return found
}

// Parse reads the text of a configuration.
func Parse(text string) (settings, databases map[string]string) {
	settings, databases = map[string]string{}, map[string]string{}
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line[0] == ';', line[0] == '#':
			continue
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			continue
		}
		switch key, value = strings.TrimSpace(key), strings.TrimSpace(value); section {
		case "pgbouncer":
			settings[key] = value
		case "databases":
			databases[key] = value
		}
	}
	return settings, databases
}

// Number is a setting, or what PgBouncer takes when it is missing.
func (c Config) Number(key string, otherwise int) int {
	if number, err := strconv.Atoi(c.Settings[key]); err == nil {
		return number
	}
	return otherwise
}

// Host is the host in a connection string of the section databases, without quotes.
func Host(connection string) string {
	_, rest, found := strings.Cut(connection, "host=")
	if !found {
		return ""
	}
	if quoted, found := strings.CutPrefix(rest, "'"); found {
		host, _, _ := strings.Cut(quoted, "'")
		return host
	}
	host, _, _ := strings.Cut(rest, " ")
	return host
}
