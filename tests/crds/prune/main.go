// Command prune writes what the tests of package crds need of the operator's CRDs to standard output: for each kind the
// schema of its newest served version, without descriptions, and of the stores' many providers only those of the tier.
//
//	go run ./tests/crds/prune FOLDER > tests/crds/testdata/VERSION.json
//
// The folder is config/crds/bases of the operator's source at a version.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gopkg.in/yaml.v3"
)

// kinds are those that the tier creates.
var kinds = []string{"ClusterSecretStore", "ExternalSecret", "Password", "PushSecret", "SecretStore"}

// providers are those of the tier's stores.
var providers = []string{"aws", "kubernetes"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "prune:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("want one argument: the folder with the operator's CRDs")
	}
	files, err := filepath.Glob(filepath.Join(os.Args[1], "*.yaml"))
	if err != nil {
		return fmt.Errorf("listing the CRDs: %w", err)
	}
	schemas := map[string]any{}
	for _, file := range files {
		if err := read(file, schemas); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if len(schemas) != len(kinds) {
		return fmt.Errorf("%s has %d of the kinds %v: want all of them", os.Args[1], len(schemas), kinds)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	out.SetEscapeHTML(false)
	return out.Encode(schemas)
}

func read(file string, schemas map[string]any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Served bool
				Schema struct {
					OpenAPIV3Schema map[string]any `yaml:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return err
	}
	for _, kind := range kinds {
		for _, version := range crd.Spec.Versions {
			if kind != crd.Spec.Names.Kind || !version.Served {
				continue
			}
			schema := version.Schema.OpenAPIV3Schema
			properties := schema["properties"].(map[string]any)
			delete(properties, "status")
			if provider, ok := within(properties, "spec", "properties", "provider", "properties"); ok {
				for name := range provider {
					if !slices.Contains(providers, name) {
						delete(provider, name)
					}
				}
			}
			strip(schema)
			schemas[crd.Spec.Group+"/"+version.Name+":"+kind] = schema
		}
	}
	return nil
}

func within(value map[string]any, path ...string) (map[string]any, bool) {
	for _, key := range path {
		inner, ok := value[key].(map[string]any)
		if !ok {
			return nil, false
		}
		value = inner
	}
	return value, true
}

// strip removes the descriptions of a schema. A property can have the name description.
func strip(value any) {
	switch value := value.(type) {
	case map[string]any:
		if _, isText := value["description"].(string); isText {
			delete(value, "description")
		}
		for _, inner := range value {
			strip(inner)
		}
	case []any:
		for _, inner := range value {
			strip(inner)
		}
	}
}
