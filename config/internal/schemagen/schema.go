package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"dbtier/components/fault"
	"dbtier/config"
)

func schemaFile(dir string) string { return filepath.Join(dir, "schema.json") }

// schema holds the keywords of JSON Schema that the generator uses.
type schema struct {
	Schema               string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Enum                 []string           `json:"enum,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	Default              any                `json:"default,omitempty"`
	Examples             []any              `json:"examples,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	PropertyNames        *schema            `json:"propertyNames,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AnyOf                []*schema          `json:"anyOf,omitempty"`
	Not                  *schema            `json:"not,omitempty"`
}

// stackSchema returns the schema of a stack file. Keys, types and descriptions come from the types and their comments;
// bounds and choices from the faults that Validate reports for a value that is out of range; defaults from Defaults;
// examples from the fields' tags.
func stackSchema(dir string) (*schema, error) {
	read, err := readComments(dir)
	if err != nil {
		return nil, err
	}
	g := &generator{sources: read}
	root, err := g.object(reflect.TypeFor[config.Stack](), nil)
	if err != nil {
		return nil, err
	}
	sections := &schema{
		Type: "object",
		Description: "Config of the stack. Each section says what differs from the defaults of the stack's " +
			"profile.",
		Properties: map[string]*schema{}, Required: []string{"dbtier:cloud", "dbtier:environment", "dbtier:profile"},
	}
	var known []string
	for key, section := range root.Properties {
		sections.Properties[config.Namespace+":"+key] = section
		known = append(known, config.Namespace+":"+key)
	}
	slices.Sort(known)
	// Providers and other programs have keys in the same file.
	sections.PropertyNames = &schema{AnyOf: []*schema{
		{Enum: known}, {Not: &schema{Pattern: "^" + config.Namespace + ":"}},
	}}
	return &schema{
		Schema: "https://json-schema.org/draft/2020-12/schema", Title: "Pulumi.<stack>.yaml of dbtier", Type: "object",
		Description: "Generated from the types of package config by `make generate`; do not edit.",
		Properties:  map[string]*schema{"config": sections},
	}, nil
}

// generator makes schemas of types.
type generator struct{ *sources }

// object returns the schema of a struct. path leads to it from the root of the config.
func (g *generator) object(of reflect.Type, path []string) (*schema, error) {
	s := &schema{Type: "object", Properties: map[string]*schema{}, AdditionalProperties: false}
	for i := range of.NumField() {
		field := of.Field(i)
		if field.Anonymous {
			embedded, err := g.object(field.Type, path)
			if err != nil {
				return nil, err
			}
			for key, property := range embedded.Properties {
				s.Properties[key] = property
			}
			continue
		}
		key := field.Tag.Get("json")
		if key == "" || key == "-" {
			continue
		}
		property, err := g.value(field.Type, append(slices.Clone(path), key))
		if err != nil {
			return nil, err
		}
		if text := g.comments[of.PkgPath()+"."+of.Name()].fields[field.Name]; text != "" {
			property.Description = g.withKeys(text, field.Name, key)
		}
		if property.Description == "" {
			property.Description = g.comments[field.Type.PkgPath()+"."+field.Type.Name()].text
		}
		if property.Examples, err = examplesOf(field, property); err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(append(slices.Clone(path), key), "."), err)
		}
		s.Properties[key] = property
	}
	return s, nil
}

func (g *generator) value(of reflect.Type, path []string) (*schema, error) {
	switch of.Kind() {
	case reflect.Struct:
		return g.object(of, path)
	case reflect.Map:
		element, err := g.value(of.Elem(), append(slices.Clone(path), "*"))
		return &schema{Type: "object", AdditionalProperties: element}, err
	case reflect.Slice:
		element, err := g.value(of.Elem(), append(slices.Clone(path), "0"))
		return &schema{Type: "array", Items: element}, err
	case reflect.Interface:
		return &schema{}, nil
	case reflect.Bool:
		return &schema{Type: "boolean", Default: defaultOf(path)}, nil
	case reflect.Int:
		s := &schema{Type: "integer", Default: defaultOf(path)}
		for _, f := range faultsOf(path, -1<<31) {
			if f.Bounds != nil {
				s.Minimum, s.Maximum = &f.Bounds.Low, &f.Bounds.High
			}
		}
		return s, nil
	case reflect.String:
		s := &schema{Type: "string", Default: defaultOf(path)}
		for _, f := range faultsOf(path, "\x01") {
			if f.Choices != nil {
				s.Enum = slices.DeleteFunc(f.Choices, func(choice string) bool { return choice == "" })
			}
		}
		return s, nil
	default:
		return nil, fmt.Errorf("%s is a %s, for which there is no schema", strings.Join(path, "."), of.Kind())
	}
}

// everything is a stack with every optional part, so that Validate looks at all of them.
func everything() *config.Stack {
	s := config.Defaults(config.Production, "prod", config.Service{Name: "myshop", Namespace: "myshop"})
	s.Cloud = config.AWS
	s.Consumer.Name, s.Consumer.Image = "myshop", "registry.example/myshop:1"
	s.Pool.Name, s.Pool.Image = "pgbouncer", "registry.example/pgbouncer:1"
	s.Consumer.Autoscaling.Enabled = true
	s.Pool.Metrics.Enabled = true
	s.Migration.Command = []string{"migrate"}
	s.Drills.Enabled, s.Drills.Image = true, "registry.example/load:1"
	return s
}

// faultsOf returns the faults that Validate reports for a value at a path.
func faultsOf(path []string, value any) []fault.Fault {
	s := everything()
	// These two sections are validated only where they are used.
	switch path[0] {
	case "proxy":
		s.Pool.Kind = config.RDSProxy
	case "iam":
		s.IAM.Enabled = true
	}
	at := set(reflect.ValueOf(s).Elem(), path, reflect.ValueOf(value), "")
	var invalid *fault.Error
	if !errors.As(s.Validate(), &invalid) {
		return nil
	}
	// In a map the key and the value have the same path: a fault of the key has the key as its value.
	return slices.DeleteFunc(invalid.Faults, func(f fault.Fault) bool {
		return f.Path != at || fmt.Sprint(f.Value) != fmt.Sprint(value)
	})
}

// set puts a value at a path and returns the path as faults write it. Lists and maps on the way get one element.
func set(at reflect.Value, path []string, value reflect.Value, written string) string {
	if len(path) == 0 {
		at.Set(value.Convert(at.Type()))
		return written
	}
	switch at.Kind() {
	case reflect.Struct:
		return set(fieldOf(at, path[0]), path[1:], value, strings.TrimPrefix(written+"."+path[0], "."))
	case reflect.Slice:
		if at.Len() == 0 {
			at.Set(reflect.MakeSlice(at.Type(), 1, 1))
		}
		return set(at.Index(0), path[1:], value, written+"[0]")
	default:
		element := reflect.New(at.Type().Elem()).Elem()
		written = set(element, path[1:], value, written+".x")
		if at.IsNil() {
			at.Set(reflect.MakeMap(at.Type()))
		}
		at.SetMapIndex(reflect.ValueOf("x"), element)
		return written
	}
}

func fieldOf(structure reflect.Value, key string) reflect.Value {
	for i := range structure.NumField() {
		field := structure.Type().Field(i)
		if field.Anonymous {
			if found := fieldOf(structure.Field(i), key); found.IsValid() {
				return found
			}
		} else if field.Tag.Get("json") == key {
			return structure.Field(i)
		}
	}
	return reflect.Value{}
}

// defaultOf returns the default of a key if both profiles have the same one. Elements of lists and maps have none.
func defaultOf(path []string) any {
	if slices.Contains(path, "0") || slices.Contains(path, "*") || path[0] == "profile" {
		return nil
	}
	var values []any
	for _, profile := range []config.Profile{config.Production, config.Development} {
		at := reflect.ValueOf(config.Defaults(profile, "", config.Service{})).Elem()
		for _, key := range path {
			at = fieldOf(at, key)
		}
		if at.Kind() == reflect.String && at.Len() == 0 || at.Kind() == reflect.Int && at.Int() == 0 {
			return nil
		}
		values = append(values, at.Interface())
	}
	if values[0] != values[1] {
		return nil
	}
	return values[0]
}
