package main

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// exampleTag is the key of a field's tag with the example of its setting. Text and numbers are as they are; a list or a
// map of text is YAML; for a map of objects it is the key of one. A setting that has choices needs none.
const exampleTag = "example"

// parts are what examples of AWS have in common. They stand in tags by name, so that a tag fits into a line.
var parts = strings.NewReplacer(
	"<region>", "ap-northeast-2",
	"<account>", "123456789012",
	"<uuid>", "5f2d1c3e-0b1c-4d2e-8f3a-1234567890ab",
	"<issuer>", "oidc.eks.ap-northeast-2.amazonaws.com/id/0A1B2C3D4E5F60718293A4B5C6D7E8F9",
)

// examplesOf returns an example of a setting, which differs from its default if it has choices. Objects and lists of
// objects have none: their keys have.
func examplesOf(field reflect.StructField, of *schema) ([]any, error) {
	tag, given := field.Tag.Lookup(exampleTag)
	tag = parts.Replace(tag)
	kind := field.Type.Kind()
	switch {
	case kind == reflect.Struct, kind == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct:
		return nil, nil
	case kind == reflect.Bool:
		return []any{of.Default != true}, nil
	case of.Enum != nil && !given:
		for _, choice := range of.Enum {
			if choice != of.Default {
				return []any{choice}, nil
			}
		}
	case !given:
		return nil, errors.New("the field has no example: add the tag example")
	case kind == reflect.String:
		return []any{tag}, nil
	case kind == reflect.Int:
		number, err := strconv.Atoi(tag)
		return []any{number}, err
	case kind == reflect.Map && field.Type.Elem().Kind() == reflect.Struct:
		element := map[string]any{}
		for key, property := range of.AdditionalProperties.(*schema).Properties {
			element[key] = property.Examples[0]
		}
		return []any{map[string]any{tag: element}}, nil
	}
	example := reflect.New(field.Type)
	if err := yaml.Unmarshal([]byte(tag), example.Interface()); err != nil {
		return nil, fmt.Errorf("the tag example: %w", err)
	}
	return []any{example.Elem().Interface()}, nil
}
