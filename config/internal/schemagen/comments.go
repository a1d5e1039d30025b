package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// comment is the doc comment of a type and those of its fields, by field name.
type comment struct {
	text   string
	fields map[string]string
}

var links = regexp.MustCompile(`\[(\w+(?:\.\w+)*)\]`)

// plainText is a doc comment on one line, without the brackets of links.
func plainText(group *ast.CommentGroup) string {
	return links.ReplaceAllString(strings.Join(strings.Fields(group.Text()), " "), "$1")
}

// joined matches names of fields that are no English word: MultiAZ, CredentialArn.
var joined = regexp.MustCompile(`\b[A-Z][A-Za-z]*[a-z][A-Z][A-Za-z]*\b|\b[A-Z]{2,}[a-z][A-Za-z]*\b`)

// sources are what the generator reads from the code: the comments of types, by their path and name, and the keys of
// fields, by the fields' names. A name that has several keys has none here.
type sources struct {
	comments map[string]comment
	keys     map[string]string
}

// kinds are names of fields that are also kinds of Kubernetes. In a text they are the kind.
var kinds = []string{"ServiceMonitor", "ServiceAccount"}

// withKeys replaces the names of fields in a field's comment by their keys: people write multiAz, not MultiAZ. The
// comment can begin with the field's own name.
func (s *sources) withKeys(text, field, key string) string {
	own := ""
	if rest, ok := strings.CutPrefix(text, field+" "); ok && joined.MatchString(field) {
		own, text = key+" ", rest
	}
	return own + joined.ReplaceAllStringFunc(text, func(name string) string {
		if key := s.keys[name]; key != "" && !slices.Contains(kinds, name) {
			return key
		}
		return name
	})
}

// readComments reads the comments of all types of package config, in dir, and of the components beside it. The keys are
// the package path and name of each type.
func readComments(dir string) (*sources, error) {
	folders, err := filepath.Glob(filepath.Join(dir, "..", "components", "*"))
	if err != nil {
		return nil, fmt.Errorf("finding the components: %w", err)
	}
	s := &sources{comments: map[string]comment{}, keys: map[string]string{}}
	for _, folder := range folders {
		if err := s.readFolder(folder, "dbtier/components/"+filepath.Base(folder)); err != nil {
			return nil, err
		}
	}
	err = s.readFolder(dir, "dbtier/config")
	return s, err
}

func (s *sources) readFolder(folder, pkg string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return fmt.Errorf("finding the sources: %w", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return fmt.Errorf("reading the comments: %w", err)
		}
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
				s.comments[pkg+"."+named.Name.Name] = comment{plainText(doc), fieldComments(named)}
				s.readKeys(named)
			}
		}
	}
	return nil
}

// readKeys reads the keys of a struct's fields.
func (s *sources) readKeys(named *ast.TypeSpec) {
	structure, ok := named.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range structure.Fields.List {
		if field.Tag == nil || len(field.Names) != 1 {
			continue
		}
		key := reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json")
		if before, known := s.keys[field.Names[0].Name]; known && before != key {
			key = ""
		}
		s.keys[field.Names[0].Name] = key
	}
}

// fieldComments returns the comments of a struct's fields. A field without a comment shares the one before it, if that
// names it.
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
