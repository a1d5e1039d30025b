package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Cloud is where a stack's resources live.
type Cloud string

const (
	// AWS stacks use the installed provider plugins and real credentials.
	AWS Cloud = "aws"
	// Local stacks live on the local cloud of this machine.
	Local Cloud = "local"
)

// ConfigKey is the stack config key that names a stack's cloud.
const ConfigKey = "dbtier:cloud"

const projectFile = "Pulumi.yaml"

// Project is the nearest Pulumi project.
type Project struct {
	// Dir is the absolute folder of Pulumi.yaml.
	Dir string
	// Name is the project's name.
	Name string
	// Backend is the state backend that Pulumi.yaml names, or empty.
	Backend string
}

// cloudSources is what a folder has from which a local cloud can be built.
const cloudSources = "localcloud/go.mod"

// Checkout is the folder of the sources of the local cloud: the nearest of dir and its parents that has them. All
// projects of a checkout, its examples too, share the one local cloud. Elsewhere it is dir itself.
func Checkout(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, filepath.FromSlash(cloudSources))); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// Checkout is the folder of the local cloud's sources, or the project's own where it is in none.
func (p *Project) Checkout() string { return Checkout(p.Dir) }

// Stack is what Pulumi.<stack>.yaml says.
type Stack struct {
	Name string
	// File is the absolute path of Pulumi.<stack>.yaml.
	File string
	// Cloud is the value of dbtier:cloud.
	Cloud Cloud
	// SecretsProvider is the stack's secrets provider, empty for the backend's default.
	SecretsProvider string
	// Config is the stack's whole config, by full key; encrypted values stay encrypted.
	Config map[string]any
}

// Find looks for Pulumi.yaml in dir and its parents.
func Find(dir string) (*Project, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("the path of folder %s: %w", dir, err)
	}
	for at := start; ; at = filepath.Dir(at) {
		file := filepath.Join(at, projectFile)
		switch text, err := os.ReadFile(file); {
		case err == nil:
			return parse(at, file, text)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("reading the project file: %w", err)
		}
		if at == filepath.Dir(at) {
			return nil, fmt.Errorf("no %s in %s or a parent folder: change into the project's folder", projectFile,
				start)
		}
	}
}

func parse(dir, file string, text []byte) (*Project, error) {
	var settings struct {
		Name    string `yaml:"name"`
		Backend struct {
			URL string `yaml:"url"`
		} `yaml:"backend"`
	}
	if err := yaml.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("%s is not valid YAML: %s", file, yamlFault(err))
	}
	if settings.Name == "" {
		return nil, fmt.Errorf("%s: name: is missing: give the project's name", file)
	}
	return &Project{Dir: dir, Name: settings.Name, Backend: settings.Backend.URL}, nil
}

// yamlFault puts the decoder's list of faults on one line.
func yamlFault(err error) string {
	lines := strings.Split(strings.TrimPrefix(err.Error(), "yaml: "), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.ReplaceAll(strings.Join(lines, "; "), "unmarshal errors:; ", "")
}

// Stacks lists the stacks that have a Pulumi.<stack>.yaml, sorted.
func (p *Project) Stacks() []string {
	files, err := filepath.Glob(filepath.Join(p.Dir, "Pulumi.*.yaml"))
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(files))
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Have names the project's stacks, for messages.
func (p *Project) Have() string {
	if stacks := p.Stacks(); len(stacks) > 0 {
		return "this project has " + strings.Join(stacks, ", ")
	}
	return "this project has no stacks"
}

// stackName matches the last part of a stack's name, as Pulumi accepts it.
var stackName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// Stack reads Pulumi.<name>.yaml. A stack without a file, or without a cloud, is an error that says what to do:
// guessing a cloud could send a production stack to the wrong one.
func (p *Project) Stack(name string) (*Stack, error) {
	if name == "" {
		return nil, fmt.Errorf("no stack given: add --stack <name>; %s", p.Have())
	}
	if !stackName.MatchString(name) {
		return nil, fmt.Errorf("--stack %q: not a stack name (letters, digits, _ . -); %s", name, p.Have())
	}
	s := &Stack{Name: name, File: filepath.Join(p.Dir, "Pulumi."+name+".yaml")}
	text, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--stack %s: no file %s; %s", name, filepath.Base(s.File), p.Have())
	}
	if err != nil {
		return nil, fmt.Errorf("reading the config of stack %s: %w", name, err)
	}
	var settings struct {
		SecretsProvider string         `yaml:"secretsprovider"`
		Config          map[string]any `yaml:"config"`
	}
	if err := yaml.Unmarshal(text, &settings); err != nil {
		return nil, fmt.Errorf("%s is not valid YAML: %s", filepath.Base(s.File), yamlFault(err))
	}
	s.SecretsProvider, s.Config = settings.SecretsProvider, settings.Config
	value, ok := settings.Config[ConfigKey]
	if !ok {
		return nil, fmt.Errorf("%s: config.%s: is missing: set it to aws or local", filepath.Base(s.File), ConfigKey)
	}
	switch cloud, _ := value.(string); Cloud(cloud) {
	case AWS, Local:
		s.Cloud = Cloud(cloud)
	default:
		return nil, fmt.Errorf("%s: config.%s: %v: no such cloud: set it to aws or local", filepath.Base(s.File),
			ConfigKey, value)
	}
	return s, nil
}

// Own is the path of a file of the driver's own in the project: locks, state of file backends, PULUMI_HOME.
func (p *Project) Own(parts ...string) string {
	return filepath.Join(append([]string{p.Dir, ".dbtier"}, parts...)...)
}

// LocalCloud is the path of a file of the local cloud.
func (p *Project) LocalCloud(parts ...string) string {
	return filepath.Join(append([]string{p.Checkout(), ".localcloud"}, parts...)...)
}

// LocalStacks names the stacks on the local cloud, sorted.
func (p *Project) LocalStacks() []string {
	return slices.DeleteFunc(p.Stacks(), func(name string) bool {
		s, err := p.Stack(name)
		return err != nil || s.Cloud != Local
	})
}
