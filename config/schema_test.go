package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"dbtier/components/fault"
	"dbtier/config"
)

const (
	// updateGolden is the variable that writes what tests compare with.
	updateGolden = "UPDATE_GOLDEN"
	schemaFile   = "schema.json"
	// modelineForm is what tells an editor's YAML language server the schema of a file.
	modelineForm = `(?m)^# yaml-language-server: \$schema=(\S+)$`
)

// schema is the part of JSON Schema that is needed here.
type schema struct {
	Schema               string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Enum                 []string           `json:"enum,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	Default              any                `json:"default,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	PropertyNames        *schema            `json:"propertyNames,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AnyOf                []*schema          `json:"anyOf,omitempty"`
	Not                  *schema            `json:"not,omitempty"`
}

// The schema says what the types, their comments and their validation say: keys, types, descriptions, and the bounds
// and choices that Validate names when it is given something else.
func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(stackSchema(t)))
	if os.Getenv(updateGolden) != "" {
		require.NoError(t, os.WriteFile(schemaFile, text.Bytes(), 0o600))
	}
	want, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	assert.Equal(t, string(want), text.String(), "the types have changed: %s=1 go test ./config -run TestTheSchema",
		updateGolden)
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.Compile(schemaFile)
	require.NoError(t, err)
	return s
}

// valid checks a stack's file as an editor does.
func valid(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var file any
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	plain, err := json.Marshal(file)
	require.NoError(t, err)
	var value any
	require.NoError(t, json.Unmarshal(plain, &value))
	return s.Validate(value)
}

func TestEveryStackFileOfTheProjectHasTheSchemaAndFollowsIt(t *testing.T) {
	t.Parallel()
	var files []string
	for _, pattern := range []string{"../Pulumi.*.yaml", "../examples/*/Pulumi.*.yaml"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	require.GreaterOrEqual(t, len(files), 6)
	s := compiled(t)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, valid(t, s, string(text)), file)
		line := regexp.MustCompile(modelineForm).FindStringSubmatch(string(text))
		if assert.NotNil(t, line, "%s does not tell editors its schema", file) {
			at, err := filepath.Rel("..", filepath.Join(filepath.Dir(file), line[1]))
			require.NoError(t, err)
			assert.Equal(t, filepath.Join("config", schemaFile), at, file)
		}
	}
}

func TestTheSchemaRefusesWhatTheProgramRefuses(t *testing.T) {
	t.Parallel()
	s := compiled(t)
	require.NoError(t, valid(t, s, least))
	require.NoError(t, valid(t, s, least+"  aws:region: eu-west-1\n"), "keys of other namespaces are not its business")
	for name, line := range map[string]string{
		"a section that is none":  "  dbtier:operatr: {install: true}\n",
		"a key that is none":      "  dbtier:pool: {poolSize: 20}\n",
		"a number in quotes":      "  dbtier:pool: {replicas: \"2\"}\n",
		"too many":                "  dbtier:pool: {replicas: 51}\n",
		"none of the choices":     "  dbtier:pool: {poolMode: statement}\n",
		"a choice of a text type": "  dbtier:role: {poolUser: admin}\n",
		"text for a flag":         "  dbtier:operator: {install: \"yes\"}\n",
		"a list for an object":    "  dbtier:secrets: [x]\n",
		"deep in a list":          "  dbtier:secrets: {further: [{nam: x}]}\n",
		"deep in a map":           "  dbtier:secrets: {further: [{name: x, urls: {A: {port: 70000}}}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, least+line)
			require.Error(t, err)
			assert.Error(t, valid(t, s, least+line))
		})
	}
	assert.Error(t, valid(t, s, strings.Replace(least, "  dbtier:profile: production\n", "", 1)))
}

func TestTheSchemaKnowsBoundsChoicesAndDefaults(t *testing.T) {
	t.Parallel()
	sections := stackSchema(t).Properties["config"].Properties
	pool := sections["dbtier:pool"].Properties
	assert.Equal(t, []string{"transaction", "session"}, pool["poolMode"].Enum)
	assert.Equal(t, "transaction", pool["poolMode"].Default)
	assert.Equal(t, 1, *pool["maxClientConn"].Minimum)
	assert.Equal(t, 50000, *pool["maxClientConn"].Maximum)
	assert.EqualValues(t, 1000, pool["maxClientConn"].Default)
	assert.Contains(t, pool["maxClientConn"].Description, "maximum number of clients of a replica")
	assert.Equal(t, 5, *pool["metrics"].Properties["intervalSeconds"].Minimum,
		"what is off by default is checked as if it were on")
	assert.Equal(t, []string{"aws", "local"}, sections["dbtier:cloud"].Enum)
	assert.Equal(t, 1,
		*sections["dbtier:network"].Properties["directClients"].Items.Properties["connectionsPerPod"].Minimum)
	assert.Nil(t, sections["dbtier:consumer"].Properties["replicas"].Default, "the profiles differ")

	var bare []string
	var visit func(path string, s *schema)
	visit = func(path string, s *schema) {
		if s.Description == "" && s.Type != "" {
			bare = append(bare, path)
		}
		for key, property := range s.Properties {
			visit(path+"."+key, property)
		}
		if s.Items != nil {
			for key, property := range s.Items.Properties {
				visit(path+"[]."+key, property)
			}
		}
	}
	for key, section := range sections {
		visit(key, section)
	}
	assert.Empty(t, bare, "keys without a comment in the code")
}

func stackSchema(t *testing.T) *schema {
	t.Helper()
	t.Helper()
	g := &generator{t: t, comments: readComments(t)}
	root := g.object(reflect.TypeFor[config.Stack](), nil)
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
	// Providers and other programs have keys of their own.
	sections.PropertyNames = &schema{AnyOf: []*schema{
		{Enum: known}, {Not: &schema{Pattern: "^" + config.Namespace + ":"}},
	}}
	return &schema{
		Schema: "https://json-schema.org/draft/2020-12/schema", Title: "Pulumi.<stack>.yaml of dbtier", Type: "object",
		Description: "Made from the types of package config by its tests; do not edit.",
		Properties:  map[string]*schema{"config": sections},
	}
}

// generator makes a schema of a type.
type generator struct {
	t        *testing.T
	comments map[string]comment
}

func (g *generator) object(of reflect.Type, path []string) *schema {
	s := &schema{Type: "object", Properties: map[string]*schema{}, AdditionalProperties: false}
	for i := range of.NumField() {
		field := of.Field(i)
		if field.Anonymous {
			for key, property := range g.object(field.Type, path).Properties {
				s.Properties[key] = property
			}
			continue
		}
		key := field.Tag.Get("json")
		if key == "" || key == "-" {
			continue
		}
		property := g.value(field.Type, append(slices.Clone(path), key))
		if said := g.comments[of.PkgPath()+"."+of.Name()].fields[field.Name]; said != "" {
			property.Description = said
		}
		if property.Description == "" {
			property.Description = g.comments[field.Type.PkgPath()+"."+field.Type.Name()].text
		}
		s.Properties[key] = property
	}
	return s
}

func (g *generator) value(of reflect.Type, path []string) *schema {
	switch of.Kind() {
	case reflect.Struct:
		return g.object(of, path)
	case reflect.Map:
		return &schema{Type: "object", AdditionalProperties: g.value(of.Elem(), append(slices.Clone(path), "*"))}
	case reflect.Slice:
		return &schema{Type: "array", Items: g.value(of.Elem(), append(slices.Clone(path), "0"))}
	case reflect.Bool:
		return &schema{Type: "boolean", Default: g.byDefault(path)}
	case reflect.Int:
		s := &schema{Type: "integer", Default: g.byDefault(path)}
		for _, reason := range g.refusals(path, -1<<31) {
			if bounds := regexp.MustCompile(`^want (-?\d+) to (-?\d+)\b`).FindStringSubmatch(reason); bounds != nil {
				low, _ := strconv.Atoi(bounds[1])
				high, _ := strconv.Atoi(bounds[2])
				s.Minimum, s.Maximum = &low, &high
			}
		}
		return s
	case reflect.String:
		s := &schema{Type: "string", Default: g.byDefault(path)}
		for _, reason := range g.refusals(path, "\x01") {
			if choices, ok := strings.CutPrefix(reason, "want one of "); ok {
				s.Enum = slices.DeleteFunc(strings.Split(choices, ", "),
					func(choice string) bool { return choice == "" })
			}
		}
		return s
	default:
		require.Failf(g.t, "no schema", "%s is a %s", strings.Join(path, "."), of.Kind())
		return nil
	}
}

// everything is a stack in which what is optional is there, so that its validation looks at it.
func everything() *config.Stack {
	s := config.Defaults(config.Production, "prod", config.Service{Name: "myshop", Namespace: "myshop"})
	s.Cloud = config.AWS
	s.Consumer.Name, s.Consumer.Image = "myshop", "registry.example/myshop:1"
	s.Consumer.Autoscaling.Enabled = true
	s.Pool.Metrics.Enabled = true
	s.Migration.Command = []string{"migrate"}
	return s
}

// refusals are the reasons for which validation refuses a value at a path.
func (g *generator) refusals(path []string, value any) []string {
	s := everything()
	// These two are looked at only where they are used.
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
	var reasons []string
	for _, f := range invalid.Faults {
		if f.Path == at {
			reasons = append(reasons, f.Reason)
		}
	}
	return reasons
}

// set puts a value at a path, whose lists and maps get an element for it, and returns the path as faults write it.
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

// byDefault is what a key has without the file, where both profiles agree and there is no element of a list or map in
// its path.
func (g *generator) byDefault(path []string) any {
	if slices.Contains(path, "0") || slices.Contains(path, "*") {
		return nil
	}
	var values []any
	for _, profile := range []config.Profile{config.Production, config.Development} {
		at := reflect.ValueOf(config.Defaults(profile, "", config.Service{})).Elem()
		for _, key := range path {
			at = fieldOf(at, key)
		}
		if at.Kind() == reflect.String && at.Len() == 0 || at.Kind() == reflect.Int && at.Int() == 0 ||
			path[0] == "profile" {
			return nil
		}
		values = append(values, at.Interface())
	}
	if values[0] != values[1] {
		return nil
	}
	return values[0]
}

// comment is what the code says of a type and its fields.
type comment struct {
	text   string
	fields map[string]string
}

var links = regexp.MustCompile(`\[(\w+(?:\.\w+)*)\]`)

func plainText(group *ast.CommentGroup) string {
	return links.ReplaceAllString(strings.Join(strings.Fields(group.Text()), " "), "$1")
}

// readComments reads the comments of all types in this package and the components.
func readComments(t *testing.T) map[string]comment {
	t.Helper()
	t.Helper()
	folders, err := filepath.Glob("../components/*")
	require.NoError(t, err)
	comments := map[string]comment{}
	for _, folder := range append(folders, ".") {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		require.NoError(t, err)
		absolute, err := filepath.Abs(folder)
		require.NoError(t, err)
		root, err := filepath.Abs("..")
		require.NoError(t, err)
		below, err := filepath.Rel(root, absolute)
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			require.NoError(t, err)
			for _, declaration := range tree.Decls {
				general, ok := declaration.(*ast.GenDecl)
				if !ok || general.Tok != token.TYPE {
					continue
				}
				for _, spec := range general.Specs {
					named := spec.(*ast.TypeSpec)
					doc := named.Doc
					if doc == nil {
						doc = general.Doc
					}
					comments[fmt.Sprintf("dbtier/%s.%s", filepath.ToSlash(below), named.Name.Name)] = comment{
						plainText(doc), fieldComments(named),
					}
				}
			}
		}
	}
	return comments
}

// fieldComments gives a field without a comment the one before it, if that is about it, too.
func fieldComments(named *ast.TypeSpec) map[string]string {
	structure, ok := named.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	fields := map[string]string{}
	last := ""
	for _, field := range structure.Fields.List {
		if field.Doc != nil {
			last = plainText(field.Doc)
		}
		for _, name := range field.Names {
			if field.Doc != nil || regexp.MustCompile(`\b`+name.Name+`\b`).MatchString(last) {
				fields[name.Name] = last
			}
		}
	}
	return fields
}

// A document that names a key which is none sends its reader into a fault.
func TestEveryKeyInTheDocumentsIsOne(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(text, &schema))
	keyForm := regexp.MustCompile(`dbtier:([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)*)`)
	checked := 0
	for _, pattern := range []string{
		"../README.md", "../docs/*.md", "../docs/operations/*.md",
		"../examples/*/README.md",
	} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			document, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, found := range keyForm.FindAllStringSubmatch(string(document), -1) {
				if found[1] == "components" { // dbtier:components:… are types of resources.
					continue
				}
				checked++
				at := schema["properties"].(map[string]any)["config"].(map[string]any)
				for i, step := range strings.Split(found[1], ".") {
					if i == 0 {
						step = "dbtier:" + step
					}
					properties, _ := at["properties"].(map[string]any)
					if at, _ = properties[step].(map[string]any); at == nil {
						t.Errorf("%s: %s: there is no such key", file, found[0])
						break
					}
				}
			}
		}
	}
	assert.Greater(t, checked, 10)
}
