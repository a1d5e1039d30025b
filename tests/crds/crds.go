// Package crds checks objects against the schemas of the External Secrets Operator's versions that the tier supports.
// The schemas are data of the tests, because only one version runs on the local cloud.
package crds

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

//go:embed testdata/*.json
var data embed.FS

// Schemas has the schemas of one version of the operator.
type Schemas struct {
	// Version of the operator, such as 2.9.0.
	Version string
	kinds   map[string]*jsonschema.Schema
}

// Load returns the schemas of every version.
func Load() ([]Schemas, error) {
	files, err := data.ReadDir("testdata")
	if err != nil {
		return nil, fmt.Errorf("reading the schemas: %w", err)
	}
	var all []Schemas
	for _, file := range files {
		text, err := data.ReadFile(path.Join("testdata", file.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading the schemas: %w", err)
		}
		var kinds map[string]any
		if err := json.Unmarshal(text, &kinds); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		s := Schemas{
			Version: strings.TrimSuffix(file.Name(), ".json"), kinds: map[string]*jsonschema.Schema{},
		}
		for kind, schema := range kinds {
			seal(schema)
			plain, err := json.Marshal(schema)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file.Name(), kind, err)
			}
			compiler := jsonschema.NewCompiler()
			if err := compiler.AddResource("crd.json", bytes.NewReader(plain)); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file.Name(), kind, err)
			}
			if s.kinds[kind], err = compiler.Compile("crd.json"); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file.Name(), kind, err)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// seal makes a CRD's schema refuse fields that it does not know. Kubernetes drops such fields, so that an object would
// lose what it says.
func seal(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		_, closed := schema["properties"]
		_, known := schema["additionalProperties"]
		if closed && !known && schema["x-kubernetes-preserve-unknown-fields"] != true {
			schema["additionalProperties"] = false
		}
		if schema["nullable"] == true {
			schema["type"] = []any{schema["type"], "null"}
		}
		for key, inner := range schema {
			// Values of these keys are not schemas.
			if key != "enum" && key != "default" {
				seal(inner)
			}
		}
	case []any:
		for _, inner := range schema {
			seal(inner)
		}
	}
}

// Check returns why the operator's version would not accept an object, or would lose a part of it. The rules that CRDs
// write in CEL are not evaluated.
func (s *Schemas) Check(object map[string]any) error {
	kind := fmt.Sprintf("%v:%v", object["apiVersion"], object["kind"])
	schema := s.kinds[kind]
	if schema == nil {
		return fmt.Errorf("version %s of the operator has no %s", s.Version, kind)
	}
	plain, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encoding the object: %w", err)
	}
	var value any
	if err := json.Unmarshal(plain, &value); err != nil {
		return fmt.Errorf("encoding the object: %w", err)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("version %s of the operator: %w", s.Version, err)
	}
	return nil
}
