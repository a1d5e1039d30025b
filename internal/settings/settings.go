// Package settings knows which setting of Pulumi.<stack>.yaml determines which property of which resource.
//
// The policy pack judges the resources of any program, so its messages name properties. The driver names the setting
// beside them. The map is recorded by the test that tries every setting of the schema, and `make generate` writes it.
package settings

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed map.json
var recorded []byte

// Map is what each setting changed when it was tried.
type Map struct {
	// Rules are the settings that made a policy find or no longer find something, by "<policy> <resource>".
	Rules map[string][]string `json:"rules"`
	// Properties are what a setting changed: "<resource> <path>", or "<resource>" for one that exists only with it.
	Properties map[string][]string `json:"properties"`
}

// Recorded returns the map of this program.
var Recorded = sync.OnceValue(func() Map {
	var m Map
	if err := json.Unmarshal(recorded, &m); err != nil {
		panic(fmt.Sprintf("settings: map.json: %v", err))
	}
	return m
})

// few is the highest number of settings that a message can name, and broad how many times as many properties a setting
// changes that is left out beside a narrower one.
const (
	few   = 3
	broad = 10
)

// Cause returns the settings that a finding of a policy comes from: on a resource, by its logical name, and on a
// property of it, by its path, which can be empty. The setting that is most about the property comes first. Cause
// returns nil if the map does not know it, or if too many settings have a part in it.
func (m Map) Cause(policy, resource, path string) []string {
	if found := m.Rules[policy+" "+resource]; len(found) > 0 {
		return atMost(found)
	}
	for _, fits := range []func(string) bool{
		func(property string) bool { return path != "" && property == resource+" "+path },
		func(property string) bool { return about(property, resource, path) },
	} {
		if found := m.narrowest(fits); len(found) > 0 {
			return atMost(found)
		}
	}
	return nil
}

// narrowest returns the settings that change a property, without those that change far more properties than another:
// the fewer a setting changes, the more it is about each of them.
func (m Map) narrowest(fits func(property string) bool) []string {
	var found []string
	for setting, changed := range m.Properties {
		if slices.ContainsFunc(changed, fits) {
			found = append(found, setting)
		}
	}
	slices.SortFunc(found, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(m.Properties[a]), len(m.Properties[b])), cmp.Compare(a, b))
	})
	within := func(times int) []string {
		return slices.DeleteFunc(slices.Clone(found), func(setting string) bool {
			return len(m.Properties[setting]) > times*len(m.Properties[found[0]])
		})
	}
	if near := within(broad); len(near) <= few {
		return near
	}
	return within(1)
}

func atMost(found []string) []string {
	if len(found) > few {
		return nil
	}
	return found
}

// about reports whether a changed property is the one at a path, above it or below it.
func about(changed, resource, path string) bool {
	name, at, whole := strings.Cut(changed, " ")
	if name != resource {
		return false
	}
	return !whole || path != "" && (below(at, path) || below(path, at))
}

func below(path, parent string) bool {
	rest, ok := strings.CutPrefix(path, parent)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
