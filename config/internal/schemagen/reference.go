package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"dbtier/config"
)

func referenceFile(dir string) string {
	return filepath.Join(dir, "..", "docs", "reference", "configuration.md")
}

// introduction has an exclamation mark for each backquote.
const introduction = `# Configuration

Every key of !Pulumi.<stack>.yaml!, by section. This page is made from [config/schema.json](../../config/schema.json) by
!make generate!; do not edit it. A key that a stack leaves out has its default. Defaults that differ between the
profiles are in the description. !dbtier preview! refuses keys that do not exist, and values out of range, all at once.

A dot leads to a key of a section, ![]! to one of an element of a list, and !<name>! stands for a key of your choice:

!!!yaml
config:
  dbtier:cloud: aws
  dbtier:database:
    multiAz: true             # database.multiAz
    events: {topicArn: arn:…} # database.events.topicArn
  dbtier:pool:
    logins:
      - name: reports         # pool.logins[].name
!!!
`

// reference returns the schema as a page for people: a table for each section.
func reference(root *schema) string {
	var page strings.Builder
	page.WriteString(strings.ReplaceAll(introduction, "!", "`"))
	sections := root.Properties["config"].Properties
	row := func(key string, s *schema) {
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", key, form(s), value(s.Default), exampleOf(s),
			cell(s.Description))
	}
	const head = "\n| key | value | default | example | meaning |\n|---|---|---|---|---|\n"
	page.WriteString("\n## The stack\n" + head)
	var whole []string
	for _, key := range slices.Sorted(maps.Keys(sections)) {
		if sections[key].Properties == nil {
			row(key, sections[key])
		} else {
			whole = append(whole, key)
		}
	}
	for _, key := range whole {
		name := strings.TrimPrefix(key, config.Namespace+":")
		fmt.Fprintf(&page, "\n## %s\n\n%s\n%s", key, wrap(sections[key].Description), head)
		leaves(sections[key], name, row)
	}
	return page.String()
}

// leaves calls row for each key below a section, in the order of the alphabet.
func leaves(of *schema, path string, row func(string, *schema)) {
	for _, key := range slices.Sorted(maps.Keys(of.Properties)) {
		at, s := path+"."+key, of.Properties[key]
		element, isMap := s.AdditionalProperties.(*schema)
		switch {
		case s.Properties != nil:
			leaves(s, at, row)
		case s.Items != nil && s.Items.Properties != nil:
			row(at, s)
			leaves(s.Items, at+"[]", row)
		case isMap && element.Properties != nil:
			row(at, s)
			leaves(element, at+".<name>", row)
		default:
			row(at, s)
		}
	}
}

// form describes the values of a key: its type, its choices or its bounds.
func form(s *schema) string {
	element, isMap := s.AdditionalProperties.(*schema)
	switch {
	case len(s.Enum) > 0:
		return "`" + strings.Join(s.Enum, "`, `") + "`"
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf("%d to %d", *s.Minimum, *s.Maximum)
	case s.Items != nil && s.Items.Properties != nil:
		return "list of objects"
	case s.Items != nil:
		return "list of " + form(s.Items)
	case isMap && element.Properties != nil:
		return "map of objects"
	case isMap:
		return "map of " + form(element)
	}
	switch s.Type {
	case "string":
		return "text"
	case "integer":
		return "number"
	case "boolean":
		return "`true`, `false`"
	}
	return "any"
}

func exampleOf(s *schema) string {
	// The choices are in the column before.
	if len(s.Examples) == 0 || len(s.Enum) > 0 || s.Type == "boolean" {
		return ""
	}
	return value(s.Examples[0])
}

// value returns a value as YAML on one line.
func value(of any) string {
	if of == nil {
		return ""
	}
	var node yaml.Node
	if err := node.Encode(of); err != nil {
		return ""
	}
	node.Style = yaml.FlowStyle
	text, err := yaml.Marshal(&node)
	if err != nil {
		return ""
	}
	return "`" + strings.ReplaceAll(strings.Join(strings.Fields(string(text)), " "), "|", "\\|") + "`"
}

// command matches a command in a comment.
var command = regexp.MustCompile(`"(dbtier [^"]+)"`)

// cell returns a text for a cell of a table.
func cell(text string) string {
	text = command.ReplaceAllString(text, "`$1`")
	return strings.NewReplacer("|", "\\|", "<", "\\<", "*", "\\*").Replace(text)
}

// wrap breaks a text into lines of at most 120 columns.
func wrap(text string) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > 120 {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, line), "\n")
}
