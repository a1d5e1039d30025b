package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"dbtier/internal/suggest"
	"dbtier/validation/credential"
)

// projectFile is the file whose config every stack of the project inherits.
const projectFile = "Pulumi.yaml"

// topLevel are the keys that Pulumi reads in a stack's file.
var topLevel = []string{"config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider"}

// policyNamespace is the namespace of the policy pack's own keys.
const policyNamespace = "dbtier-policy"

// exceptionsKey is the pack's key with exceptions from rules.
const exceptionsKey = policyNamespace + ":exceptions"

// configured are the packages whose providers the program configures. Pulumi passes their config to default providers
// only, and the program uses none.
var configured = map[string]string{
	"aws":        Namespace + ":aws",
	"kubernetes": Namespace + ":cluster",
}

// sections are the settable fields of [Stack] by their key.
func sections() map[string]reflect.Value { return fieldsOf(reflect.ValueOf(&Stack{}).Elem()) }

// ReadFile reads the config values of a stack's file without an engine, and those that it inherits from Pulumi.yaml
// beside it. A file that does not exist has none. Keys that nothing reads become [Values.Strays] or [Values.Unused].
func ReadFile(file string) (Values, error) {
	values := Values{File: filepath.Base(file), Keys: map[string]Value{}}
	project, err := readYAML(filepath.Join(filepath.Dir(file), projectFile))
	if err != nil {
		return values, err
	}
	inherited, _ := project["config"].(map[string]any)
	for key, value := range inherited {
		inherited[key] = defaultOf(value)
	}
	if err := values.add(projectFile, inherited); err != nil {
		return values, err
	}
	settings, err := readYAML(file)
	if err != nil {
		return values, err
	}
	values.SecretsProvider, _ = settings["secretsprovider"].(string)
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if !slices.Contains(topLevel, key) {
			values.stray(values.File, key, "is not a key of a stack's file; "+misplaced(key))
		}
	}
	own, isMap := settings["config"].(map[string]any)
	if !isMap && settings["config"] != nil {
		return values, fmt.Errorf("reading the stack's config %s: config: want keys and values", values.File)
	}
	err = values.add(values.File, own)
	return values, err
}

// readYAML reads a project file, which may be missing.
func readYAML(file string) (map[string]any, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the stack's config: %w", err)
	}
	name := filepath.Base(file)
	var settings map[string]any
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&settings); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the stack's config %s: not valid YAML: %s", name, YAMLFault(text, err))
	}
	// Pulumi reads the first document only.
	switch err := decoder.Decode(&map[string]any{}); {
	case err == nil:
		return nil, fmt.Errorf("reading the stack's config %s: it has a second YAML document, which Pulumi does not "+
			"read: move its keys into the first, and remove the line ---", name)
	case !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("reading the stack's config %s: not valid YAML: %s", name, YAMLFault(text, err))
	}
	return settings, nil
}

// YAMLFault is the parser's error on one line. If a tab is the reason it says so: the parser names no character.
func YAMLFault(text []byte, err error) string {
	said := oneLine(err)
	if !strings.Contains(said, "cannot start any token") {
		return said
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		blanks := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if bytes.ContainsRune(blanks, '\t') && len(bytes.TrimSpace(line)) > 0 {
			return fmt.Sprintf("line %d begins with a tab: YAML is indented with spaces", number)
		}
	}
	return said
}

// defaultOf returns the value that Pulumi.yaml gives to a key: the entry itself, or its value or default.
func defaultOf(entry any) any {
	declared, _ := entry.(map[string]any)
	for _, key := range []string{"value", "default"} {
		if value, given := declared[key]; given {
			return value
		}
	}
	return entry
}

// add takes the values of the section config of a file.
func (v *Values) add(file string, config map[string]any) error {
	for _, full := range slices.Sorted(maps.Keys(config)) {
		key, ours := strings.CutPrefix(full, Namespace+":")
		if ours || full == exceptionsKey {
			value, err := valueOf(config[full])
			switch {
			case err != nil:
				return fmt.Errorf("reading the stack's config %s: %s: %w", file, full, err)
			case ours:
				v.Keys[key] = value
				v.addDates(key, config[full])
			default:
				v.Exceptions = value.Text
			}
			continue
		}
		switch reason, known := strayReason(full); {
		case reason != "":
			v.stray(file, "config."+full, reason)
		case !known:
			v.Unused = append(v.Unused, full)
		}
	}
	return nil
}

func (v *Values) stray(file, path, reason string) {
	v.Strays = append(v.Strays, credential.Text(fmt.Sprintf("%s: %s: %s", file, path, reason)))
}

// strayReason says why a key outside of our namespace is a mistake. Known are the keys that the engine reads.
func strayReason(full string) (reason string, known bool) {
	namespace, key, namespaced := strings.Cut(full, ":")
	section, _, _ := strings.Cut(key, ".")
	_, isSection := sections()[section]
	setting, configures := configured[namespace]
	switch {
	case !namespaced:
		return "has no namespace; " + misplaced(full), false
	case namespace == "pulumi", namespace == policyNamespace:
		return "", true
	case configures:
		return fmt.Sprintf("is not read: the program configures its %s provider from %s; set it there and remove "+
			"this key", namespace, setting), false
	case isSection || suggest.Nearest(namespace, []string{Namespace}) != "":
		return "is not in the namespace of the tier; " + misplaced(key), false
	}
	return "", false
}

// misplaced suggests the config key that a person probably meant.
func misplaced(key string) string {
	known := slices.Sorted(maps.Keys(sections()))
	name := strings.TrimLeft(strings.TrimPrefix(key, Namespace), ":./")
	section, _, _ := strings.Cut(name, ".")
	if key == Namespace {
		return fmt.Sprintf("write a key for each section below config: %s:service, %s:database, …", Namespace,
			Namespace)
	}
	if nearest := suggest.Nearest(section, known); nearest != "" {
		return fmt.Sprintf("did you mean %s:%s, below config?", Namespace, nearest)
	}
	return fmt.Sprintf("the keys below config are %s:%s", Namespace, strings.Join(known, ", "+Namespace+":"))
}

// unusedKey warns of a key of the file that neither the program nor the engine reads.
func (v *Values) unusedKey(key string) string {
	return credential.Text(fmt.Sprintf("%s: config.%s: the tier does not read this key", v.File, key))
}

// CheckKey returns an error for a full config key, or a path below one such as dbtier:pool.replicas, that the tier does
// not have.
func CheckKey(path string) error {
	key, ours := strings.CutPrefix(path, Namespace+":")
	first, rest, _ := strings.Cut(key, ".")
	if !ours {
		return fmt.Errorf("want a key of the tier: %s", misplaced(path))
	}
	at, known := sections()[first]
	if !known {
		if paths := settingsNamed(first); len(paths) > 0 {
			return fmt.Errorf("there is no such key; did you mean %s?", strings.Join(paths, " or "))
		}
		return fmt.Errorf("there is no such key; %s", misplaced(first))
	}
	for done := first; rest != "" && at.Kind() == reflect.Struct; {
		fields := fieldsOf(at)
		var name string
		name, rest, _ = strings.Cut(rest, ".")
		if at, known = fields[name]; !known {
			return fmt.Errorf("%s has no key %s; %s", done, name, suggestion(name, slices.Sorted(maps.Keys(fields))))
		}
		done += "." + name
	}
	return nil
}

// IsMeantAsText reports whether a value that YAML has read as a number, a date, true or false is that of a text. The
// path is a full config key, or one below it.
func IsMeantAsText(path string, value any) bool {
	switch value.(type) {
	case nil, string, []any, map[string]any:
		return false
	default:
		return isText(path)
	}
}

func isText(path string) bool {
	key, _ := strings.CutPrefix(path, Namespace+":")
	at := reflect.TypeFor[Stack]()
	for part := range strings.SplitSeq(key, ".") {
		for at.Kind() == reflect.Pointer {
			at = at.Elem()
		}
		switch at.Kind() {
		case reflect.Struct:
			field, known := fieldsOf(reflect.New(at).Elem())[part]
			if !known {
				return false
			}
			at = field.Type()
		case reflect.Map:
			at = at.Elem()
		default:
			return false
		}
	}
	return at.Kind() == reflect.String
}

// settingsNamed are the paths of the settings whose last part is name.
func settingsNamed(name string) []string {
	var paths []string
	var visit func(path string, at reflect.Value)
	visit = func(path string, at reflect.Value) {
		fields := fieldsOf(at)
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			if key == name {
				paths = append(paths, join(path, key))
			}
			if fields[key].Kind() == reflect.Struct {
				visit(join(path, key), fields[key])
			}
		}
	}
	visit("", reflect.ValueOf(&Stack{}).Elem())
	return paths
}

// addDates adds the parts of a value that YAML reads as dates.
func (v *Values) addDates(path string, value any) {
	switch value := value.(type) {
	case time.Time:
		if v.Dates == nil {
			v.Dates = map[string]string{}
		}
		layout := time.RFC3339Nano
		if value.Equal(value.Truncate(24 * time.Hour)) {
			layout = time.DateOnly
		}
		v.Dates[path] = value.Format(layout)
	case map[string]any:
		for key, part := range value {
			v.addDates(join(path, key), part)
		}
	case []any:
		for i, part := range value {
			v.addDates(fmt.Sprintf("%s[%d]", path, i), part)
		}
	}
}
