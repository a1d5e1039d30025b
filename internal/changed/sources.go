package changed

import (
	"errors"
	"fmt"
	"go/build"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Sources are the files that a Go program is built of: the packages of its own module and of the modules in folders
// that go.mod names, what they embed, go.mod and go.sum. Other modules are those of go.mod.
type Sources struct {
	// packages are those of the program by their folder.
	packages map[string]*build.Package
	// modules are the folders of modules by their path.
	modules map[string]string
}

// ErrNoSources means that no folder has the sources of the program.
var ErrNoSources = errors.New("no sources")

// SourcesOf finds the sources of a program by the import path of its main package. It looks for the module in the
// folder from and its parents up to the folder root, and returns [ErrNoSources] if none has it.
func SourcesOf(program, from, root string) (*Sources, error) {
	s := &Sources{packages: map[string]*build.Package{}, modules: map[string]string{}}
	if err := s.findModule(program, from, root); err != nil {
		return nil, err
	}
	if err := s.add(program); err != nil {
		return nil, err
	}
	return s, nil
}

// Add adds the sources of another program of the same module, if there is one.
func (s *Sources) Add(program string) error {
	dir := s.dirOf(program)
	if _, err := os.Stat(dir); dir == "" || err != nil {
		return nil //nolint:nilerr // There is none.
	}
	return s.add(program)
}

func (s *Sources) findModule(program, from, root string) error {
	for at := from; ; at = filepath.Dir(at) {
		text, err := os.ReadFile(filepath.Join(at, "go.mod"))
		if err == nil {
			name, replaced := parseModule(string(text))
			if program == name || strings.HasPrefix(program, name+"/") {
				s.modules[name] = at
				for name, dir := range replaced {
					s.modules[name] = filepath.Join(at, dir)
				}
				return nil
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading the module's file: %w", err)
		}
		if at == root || at == filepath.Dir(at) {
			return ErrNoSources
		}
	}
}

// parseModule returns the name of a module, and the folders of the modules that it replaces by folders.
func parseModule(text string) (name string, replaced map[string]string) {
	replaced = map[string]string{}
	block := ""
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "//")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
			continue
		case words[0] == ")":
			block = ""
			continue
		case len(words) == 2 && words[1] == "(":
			block = words[0]
			continue
		case block != "":
			words = append([]string{block}, words...)
		}
		if words[0] == "module" && len(words) > 1 {
			name = strings.Trim(words[1], `"`)
		}
		if at := slices.Index(words, "=>"); words[0] == "replace" && at > 1 && at+1 < len(words) {
			if to := strings.Trim(words[at+1], `"`); strings.HasPrefix(to, "./") || strings.HasPrefix(to, "../") {
				replaced[strings.Trim(words[1], `"`)] = filepath.FromSlash(to)
			}
		}
	}
	return name, replaced
}

// dirOf returns the folder of a package, "" for one of another module.
func (s *Sources) dirOf(importPath string) string {
	longest, dir := -1, ""
	for name, root := range s.modules {
		if rest, ours := strings.CutPrefix(importPath, name); ours && (rest == "" || rest[0] == '/') &&
			len(name) > longest {
			longest, dir = len(name), filepath.Join(root, filepath.FromSlash(rest))
		}
	}
	return dir
}

// add adds a package and those that it imports.
func (s *Sources) add(importPath string) error {
	dir := s.dirOf(importPath)
	if dir == "" || s.packages[dir] != nil {
		return nil
	}
	// It reads the folder as the compiler does, with the constraints of files, and does not call the go command.
	found, err := build.Default.ImportDir(dir, 0)
	if err != nil {
		return fmt.Errorf("the sources of package %s: %w", importPath, err)
	}
	s.packages[dir] = found
	for _, imported := range found.Imports {
		if err := s.add(imported); err != nil {
			return err
		}
	}
	return nil
}

// foreign are the endings of files that are not Go and that the compiler reads in a package's folder.
var foreign = []string{".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".s", ".S", ".syso"}

// Has reports whether the program is built of a file, whose path is absolute. A file that does not exist any more
// counts if the program could have been built of it.
func (s *Sources) Has(file string) bool {
	name := filepath.Base(file)
	for _, root := range s.modules {
		if within := filepath.Dir(file); within == root && (name == "go.mod" || name == "go.sum") ||
			file == filepath.Join(root, "vendor", "modules.txt") {
			return true
		}
	}
	if in := s.packages[filepath.Dir(file)]; in != nil && compiles(in, file, name) {
		return true
	}
	for dir, embedding := range s.packages {
		within, err := filepath.Rel(dir, file)
		if err != nil || within == ".." || strings.HasPrefix(within, ".."+string(filepath.Separator)) {
			continue
		}
		if slices.ContainsFunc(embedding.EmbedPatterns, func(pattern string) bool {
			return embeds(pattern, filepath.ToSlash(within))
		}) {
			return true
		}
	}
	return false
}

// compiles reports whether a file of a package's folder is compiled.
func compiles(in *build.Package, file, name string) bool {
	if strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_test.go") {
		return false
	}
	if filepath.Ext(name) != ".go" {
		return slices.Contains(foreign, filepath.Ext(name))
	}
	if _, err := os.Lstat(file); err != nil {
		return true
	}
	return slices.Contains(in.GoFiles, name) || slices.Contains(in.CgoFiles, name)
}

// embeds reports whether a pattern of go:embed includes a file of the package's folder.
func embeds(pattern, file string) bool {
	pattern, all := strings.CutPrefix(pattern, "all:")
	parts := strings.Split(file, "/")
	for i := range parts {
		if matches, _ := path.Match(pattern, strings.Join(parts[:i+1], "/")); !matches && pattern != "." {
			continue
		}
		// A folder includes what is below it, except for hidden files.
		below := parts[i+1:]
		if pattern == "." {
			below = parts
		}
		return all || !slices.ContainsFunc(below, func(part string) bool {
			return strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_")
		})
	}
	return false
}
