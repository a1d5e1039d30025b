package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
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

// readComments reads the comments of all types of package config, in dir, and of the components beside it. The keys are
// the package path and name of each type.
func readComments(dir string) (map[string]comment, error) {
	folders, err := filepath.Glob(filepath.Join(dir, "..", "components", "*"))
	if err != nil {
		return nil, fmt.Errorf("finding the components: %w", err)
	}
	comments := map[string]comment{}
	for _, folder := range folders {
		if err := readFolder(folder, "dbtier/components/"+filepath.Base(folder), comments); err != nil {
			return nil, err
		}
	}
	return comments, readFolder(dir, "dbtier/config", comments)
}

func readFolder(folder, pkg string, comments map[string]comment) error {
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
				comments[pkg+"."+named.Name.Name] = comment{plainText(doc), fieldComments(named)}
			}
		}
	}
	return nil
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
