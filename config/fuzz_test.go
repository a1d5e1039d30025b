package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"gopkg.in/yaml.v3"
)

// FuzzConfig wants that whatever a stack's file holds, it is a stack or a list of faults with file and key, and never a
// panic.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		least, least + logins, "config: {dbtier:pool: {replicas: [1, {a: null}]}}",
		"config: {dbtier:network: {directClients: {}}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var file struct{ Config map[string]any }
		if yaml.Unmarshal([]byte(text), &file) != nil {
			return
		}
		for key := range file.Config {
			// What Pulumi itself refuses.
			if strings.Count(key, ":") != 1 || strings.ContainsAny(key, " \n") {
				return
			}
		}
		if !marshals(file.Config) {
			return
		}
		stack, err := load(t, text)
		if err == nil {
			assert.NoError(t, stack.Validate())
			return
		}
		lines := strings.Split(err.Error(), "\n")
		assert.Contains(t, lines[0]+lines[min(1, len(lines)-1)], "the stack's config has faults")
	})
}

// marshals tells what JSON can hold, which is how Pulumi hands a value with parts to the program: no keys but text, no
// infinity.
func marshals(value any) bool {
	_, err := json.Marshal(value)
	return err == nil
}
