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

	"dbtier/config"
)

// ConfigKey is the stack config key that names a stack's cloud.
const ConfigKey = config.Namespace + ":cloud"

const projectFile = "Pulumi.yaml"

// Project is a Pulumi project.
type Project struct {
	// Dir is the absolute path of the folder with Pulumi.yaml.
	Dir string
	// Name is the project's name.
	Name string
	// Backend is the state backend of Pulumi.yaml, or empty.
	Backend string
}

// cloudSources marks a folder with the sources of the local cloud.
const cloudSources = "localcloud/go.mod"

// Checkout returns the nearest of dir and its parents that has the sources of the local cloud, or dir if none has. All
// projects of a checkout, also its examples, share one local cloud.
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

// Checkout returns the folder with the local cloud's sources, or the project's folder outside of a checkout.
func (p *Project) Checkout() string { return Checkout(p.Dir) }

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
		return nil, fmt.Errorf("%s is not valid YAML: %s", file, config.YAMLFault(text, err))
	}
	if settings.Name == "" {
		return nil, fmt.Errorf("%s: name: is missing: give the project's name", file)
	}
	return &Project{Dir: dir, Name: settings.Name, Backend: settings.Backend.URL}, nil
}

// Stacks lists the stacks that have a Pulumi.<stack>.yaml, sorted.
func (p *Project) Stacks() []string {
	files, err := filepath.Glob(filepath.Join(p.Dir, "Pulumi.*.yaml"))
	if err != nil {
		return nil
	}
	names := make([]string, 0, len(files))
	for _, file := range files {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml"))
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

// Stack is a stack with its Pulumi.<stack>.yaml.
type Stack struct {
	Name string
	// File is the absolute path of Pulumi.<stack>.yaml.
	File string
	// Cloud is the value of dbtier:cloud.
	Cloud config.Cloud
	// Values are the config values of the file. Encrypted values stay encrypted.
	Values config.Values
}

// Config parses the stack's config. It does not read the stacks that the config refers to. If the error is a
// [config.InvalidError], the result holds the values that could be decoded.
func (s *Stack) Config() (*config.Stack, error) {
	return config.Parse(s.Values, func(string) (config.Outputs, error) { return config.Outputs{}, config.ErrUnread })
}

// References returns the full names of the stacks that the config refers to.
func (s *Stack) References() []string {
	c, _ := s.Config()
	names := []string{c.Cluster.StackReference.Stack, c.Network.StackReference.Stack}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// stackName matches the last part of a stack's name, as Pulumi accepts it.
var stackName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,100}$`)

// Stack reads Pulumi.<name>.yaml. A stack without a file, or without a cloud, is an error that says what to do: a
// guessed cloud could send a production stack to the wrong one.
func (p *Project) Stack(name string) (*Stack, error) {
	if name == "" {
		return nil, fmt.Errorf("no stack given: add --stack <name>; %s", p.Have())
	}
	if !stackName.MatchString(name) {
		return nil, fmt.Errorf("--stack %q: not a stack name (letters, digits, _ . -); %s", name, p.Have())
	}
	s := &Stack{Name: name, File: filepath.Join(p.Dir, "Pulumi."+name+".yaml")}
	if _, err := os.Stat(s.File); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--stack %s: no file %s; %s", name, filepath.Base(s.File), p.Have())
	}
	var err error
	if s.Values, err = config.ReadFile(s.File); err != nil {
		return nil, err
	}
	cloud, given := s.Values.Keys["cloud"]
	switch s.Cloud = config.Cloud(cloud.Text); {
	case !given:
		// A key in the wrong place may be the reason.
		missing := fmt.Sprintf("%s: config.%s: is missing: set it to aws or local", s.Values.File, ConfigKey)
		return nil, errors.New(strings.Join(append(s.Values.Strays, missing), "\n"))
	case s.Cloud != config.AWS && s.Cloud != config.Local:
		return nil, fmt.Errorf("%s: config.%s: %s: no such cloud: set it to aws or local", s.Values.File, ConfigKey,
			cloud.Text)
	}
	return s, nil
}

// Own returns the path of one of the driver's files in the project: locks, state of file backends, PULUMI_HOME.
func (p *Project) Own(parts ...string) string {
	return filepath.Join(append([]string{p.Dir, ".dbtier"}, parts...)...)
}

// LocalCloud returns the path of one of the local cloud's files.
func (p *Project) LocalCloud(parts ...string) string {
	return filepath.Join(append([]string{p.Checkout(), ".localcloud"}, parts...)...)
}

// LocalStacks lists the stacks on the local cloud, sorted.
func (p *Project) LocalStacks() []string {
	return slices.DeleteFunc(p.Stacks(), func(name string) bool {
		s, err := p.Stack(name)
		return err != nil || s.Cloud != config.Local
	})
}
