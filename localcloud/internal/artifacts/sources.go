package artifacts

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"
)

// sourceDirs are the folders of a checkout with everything that artefacts are built from.
var sourceDirs = []string{"examples/myshop-api", "images", "localcloud/build"}

// embedded holds the files of sourceDirs, so that a project needs no checkout. They are in one text, because a program
// cannot embed the files of other Go modules. `go generate` writes it.
//
//go:generate env UPDATE_SOURCES=1 go test -vet=off -count=1 -run ^TestTheEmbeddedSourcesAreThoseOfTheCheckout$ .
//go:embed sources.txtar
var embedded []byte

// isSource reports whether artefacts depend on the file. They do not depend on tests, their data, and documents.
func isSource(path string) bool {
	return !strings.HasSuffix(path, "_test.go") && filepath.Ext(path) != ".md" &&
		filepath.Base(filepath.Dir(path)) != "testdata"
}

// sourcesFor returns the folder below which sourceDirs are: a checkout of dbtier has its own. Other projects use the
// embedded ones, which [Builder.unpack] writes into the cache.
func sourcesFor(project, cache string) string {
	if info, err := os.Stat(filepath.Join(project, "localcloud", "build")); err == nil && info.IsDir() {
		return project
	}
	digest := sha256.Sum256(embedded)
	return filepath.Join(cache, "sources", hex.EncodeToString(digest[:6]))
}

// unpack writes the embedded sources, if the project is not a checkout and they are not there yet.
func (b *Builder) unpack() error {
	if _, err := os.Stat(b.sources); err == nil {
		return nil
	}
	parent := filepath.Dir(b.sources)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("unpacking the sources: %w", err)
	}
	partial, err := os.MkdirTemp(parent, ".partial-")
	if err != nil {
		return fmt.Errorf("unpacking the sources: %w", err)
	}
	defer os.RemoveAll(partial)
	for _, file := range txtar.Parse(embedded).Files {
		path := filepath.Join(partial, filepath.FromSlash(file.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("unpacking the sources: %w", err)
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			return fmt.Errorf("unpacking the sources: %w", err)
		}
	}
	// Another run can have been faster. Its files are the same.
	if err := os.Rename(partial, b.sources); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("unpacking the sources: %w", err)
	}
	return nil
}
