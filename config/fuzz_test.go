package config_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"gopkg.in/yaml.v3"
)

// FuzzConfig requires that every stack file gives either a stack or a list of faults with file and key. It must never
// panic.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		"{}0", "0: {{}}", withImage(least), withImage(least + logins), "config: {dbtier:pool: {replicas: [1, {a: null}]}}",
		"config: {dbtier:network: {directClients: {}}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var file struct{ Config map[string]any }
		if yaml.Unmarshal([]byte(text), &file) != nil {
			return
		}
		var whole map[string]any
		decoder := yaml.NewDecoder(strings.NewReader(text))
		if err := decoder.Decode(&whole); err != nil && !errors.Is(err, io.EOF) {
			return
		}
		// What follows the first document is a fault of the file.
		if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
			return
		}
		for key := range file.Config {
			// Pulumi itself refuses such keys.
			if strings.Count(key, ":") != 1 || strings.ContainsAny(key, " \n") {
				return
			}
		}
		if !marshals(file.Config) {
			return
		}
		stack, err := loadAsIs(t, text)
		if err == nil {
			assert.NoError(t, stack.Validate())
			return
		}
		lines := strings.Split(err.Error(), "\n")
		assert.Contains(t, lines[0]+lines[min(1, len(lines)-1)], "the stack's config has faults")
	})
}

// marshals reports whether JSON can hold the value, because Pulumi passes lists and maps to the program as JSON: keys
// must be text and numbers finite.
func marshals(value any) bool {
	_, err := json.Marshal(value)
	return err == nil
}
