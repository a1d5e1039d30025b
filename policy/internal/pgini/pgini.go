// Package pgini reads pgbouncer.ini in the Kubernetes objects that can contain it.
package pgini

import (
	"strconv"
	"strings"

	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Types returns the types of objects that can contain a configuration.
func Types() []string { return append(types.ExternalSecrets(), types.ConfigMap, types.Secret) }

// Config is a configuration of PgBouncer.
type Config struct {
	// Value is the text. Object is the name of the Secret or ConfigMap that pods mount.
	Value  rule.Value
	Object string
	// Settings are those of the section pgbouncer. Databases are the connection strings of the section databases, by
	// name.
	Settings, Databases map[string]string
	// Files are all files of the object.
	Files rule.Value
}

// Find returns every configuration in an object.
func Find(s *rule.Subject) []Config {
	object, _ := s.Get("metadata", "name").Text("")
	places := []rule.Value{s.Get("data"), s.Get("stringData")}
	if strings.HasSuffix(s.Type(), ":ExternalSecret") {
		places = []rule.Value{s.Get("spec", "target", "template", "data")}
		if target := s.Get("spec", "target", "name"); !target.Missing() {
			object, _ = target.Text(object)
		}
	}
	var found []Config
	for _, files := range places {
		for _, file := range files.Members() {
			// The name comes first, because the text may be unknown.
			if !strings.HasSuffix(file.Key, ".ini") {
				continue
			}
			text, ok := file.Value.Text("")
			if !ok || !strings.Contains(text, "[pgbouncer]") {
				continue
			}
			config := Config{Value: file.Value, Object: object, Files: files}
			config.Settings, config.Databases = Parse(text)
			found = append(found, config)
		}
	}
	return found
}

// Parse returns the settings of the section pgbouncer, and the connection strings of the section databases.
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

// Number returns a setting, or otherwise if it is missing or not a number.
func (c Config) Number(key string, otherwise int) int {
	if number, err := strconv.Atoi(c.Settings[key]); err == nil {
		return number
	}
	return otherwise
}

// Parameter returns a parameter of a connection string, without quotes.
func Parameter(connection, key string) (value string, found bool) {
	_, rest, found := strings.Cut(" "+connection, " "+key+"=")
	if !found {
		return "", false
	}
	if quoted, found := strings.CutPrefix(rest, "'"); found {
		value, _, _ = strings.Cut(quoted, "'")
		return value, true
	}
	value, _, _ = strings.Cut(rest, " ")
	return value, true
}
