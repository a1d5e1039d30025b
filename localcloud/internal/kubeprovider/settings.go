package kubeprovider

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// settings are the inputs of the provider resource, with the names of pulumi-kubernetes.
type settings struct {
	Kubeconfig             string
	Context                string
	Cluster                string
	Namespace              string
	EnableConfigMapMutable bool
	EnableSecretMutable    bool
	EnablePatchForce       bool
	UpsertExistingObjects  bool
	DeleteUnreachable      bool
	SkipUpdateUnreachable  bool
}

// fault is an error in one provider input.
type fault struct {
	property string
	reason   string
}

// ignored are inputs of the real provider that have no meaning here.
var ignored = []string{
	"kubeClientSettings", "helmReleaseSettings", "suppressDeprecationWarnings", "suppressHelmHookWarnings",
	"rejectUnknownResources", "strictMode", "version", "pluginDownloadURL", "alwaysRender",
}

// readSettings reads the provider's inputs and returns all faults together. Unknown inputs are left out.
func readSettings(inputs resource.PropertyMap) (settings, []fault) {
	var read settings
	var faults []fault
	texts := map[string]*string{
		"kubeconfig": &read.Kubeconfig, "context": &read.Context, "cluster": &read.Cluster,
		"namespace": &read.Namespace,
	}
	switches := map[string]*bool{
		"enableConfigMapMutable": &read.EnableConfigMapMutable, "enableSecretMutable": &read.EnableSecretMutable,
		"enablePatchForce": &read.EnablePatchForce, "upsertExistingObjects": &read.UpsertExistingObjects,
		"deleteUnreachable": &read.DeleteUnreachable, "skipUpdateUnreachable": &read.SkipUpdateUnreachable,
	}
	for name, value := range switches {
		*value, _ = strconv.ParseBool(os.Getenv(environment(name)))
	}
	for _, key := range inputs.StableKeys() {
		name := string(key)
		value, _ := field(inputs, name)
		if value.IsNull() || value.ContainsUnknowns() || strings.HasPrefix(name, "__") {
			continue
		}
		switch {
		case texts[name] != nil:
			// A program can pass a kubeconfig as an object.
			if value.IsObject() && name == "kubeconfig" {
				content, err := json.Marshal(plainValue(value))
				if err == nil {
					*texts[name] = string(content)
					continue
				}
			}
			if !value.IsString() {
				faults = append(faults, fault{name, "must be a string and is a " + value.TypeString()})
				continue
			}
			*texts[name] = value.StringValue()
		case switches[name] != nil:
			on, err := boolean(value)
			if err != nil {
				faults = append(faults, fault{name, err.Error()})
				continue
			}
			*switches[name] = on
		case name == "enableServerSideApply":
			on, err := boolean(value)
			switch {
			case err != nil:
				faults = append(faults, fault{name, err.Error()})
			case !on:
				faults = append(faults,
					fault{name, "client-side apply is not supported here: leave it out or set it to true"})
			}
		case name == "renderYamlToDirectory":
			if !value.IsString() || value.StringValue() != "" {
				faults = append(faults, fault{name, "rendering to files is not supported here: leave it out, or " +
					installed})
			}
		case slices.Contains(ignored, name):
		default:
			faults = append(faults, fault{name, "is not an input of the kubernetes provider: leave it out"})
		}
	}
	return read, faults
}

// environment returns the variable that sets a switch unless the provider's inputs do, for example
// PULUMI_K8S_ENABLE_SECRET_MUTABLE.
func environment(name string) string {
	var text strings.Builder
	text.WriteString("PULUMI_K8S_")
	for i, letter := range strings.ReplaceAll(name, "ConfigMap", "Configmap") {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			text.WriteByte('_')
		}
		text.WriteString(strings.ToUpper(string(letter)))
	}
	return text.String()
}

func boolean(value resource.PropertyValue) (bool, error) {
	if value.IsBool() {
		return value.BoolValue(), nil
	}
	if value.IsString() {
		// The engine passes JSON text if a program set a string.
		if on, err := strconv.ParseBool(value.StringValue()); err == nil {
			return on, nil
		}
		return false, fmt.Errorf("must be true or false and is %q", value.StringValue())
	}
	return false, fmt.Errorf("must be true or false and is a %s", value.TypeString())
}

// connection describes how to reach a cluster, from a kubeconfig.
type connection struct {
	config *rest.Config
	// source names the kubeconfig in messages. Content that is given inline is never shown.
	source    string
	context   string
	namespace string
}

// connect reads the kubeconfig: a path (relative to dir), the content itself, or by default the file that kubectl uses.
func connect(dir string, given settings) (connection, error) {
	overrides := &clientcmd.ConfigOverrides{
		CurrentContext: given.Context,
		Context:        api.Context{Cluster: given.Cluster, Namespace: given.Namespace},
	}
	found := connection{source: "the default kubeconfig of kubectl (KUBECONFIG or ~/.kube/config)"}
	var loader clientcmd.ClientConfig
	switch {
	case given.Kubeconfig == "":
		loader = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(clientcmd.NewDefaultClientConfigLoadingRules(),
			overrides)
	case looksLikeContent(given.Kubeconfig):
		found.source = "the kubeconfig passed to the provider as text"
		config, err := clientcmd.Load([]byte(given.Kubeconfig))
		if err != nil {
			// The parser quotes its input, which can be a key.
			return found, fmt.Errorf("%s cannot be read as YAML or JSON of kind Config", found.source)
		}
		loader = clientcmd.NewDefaultClientConfig(*config, overrides)
	default:
		path, err := expand(dir, given.Kubeconfig)
		if err != nil {
			return found, err
		}
		found.source = "kubeconfig " + path
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return found, fmt.Errorf("%s does not exist: start the cluster that writes it, or set another file",
				found.source)
		}
		loader = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, overrides,
		)
	}
	raw, err := loader.RawConfig()
	if err != nil {
		return found, fmt.Errorf("%s: %w", found.source, err)
	}
	found.context = given.Context
	if found.context == "" {
		found.context = raw.CurrentContext
	}
	if _, ok := raw.Contexts[found.context]; !ok && found.context != "" {
		return found, fmt.Errorf("%s has no context %q: set the provider's context to one of %s", found.source,
			found.context, contexts(raw))
	}
	if found.config, err = loader.ClientConfig(); err != nil {
		return found, fmt.Errorf("%s: %w", found.source, err)
	}
	if found.namespace, _, err = loader.Namespace(); err != nil {
		return found, fmt.Errorf("%s: %w", found.source, err)
	}
	return found, nil
}

func looksLikeContent(kubeconfig string) bool {
	return strings.ContainsAny(kubeconfig, "\n{")
}

func expand(dir, path string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("kubeconfig %s: %w", path, err)
		}
		path = filepath.Join(home, strings.TrimPrefix(path, "~"))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Abs(path)
}

func contexts(config api.Config) string {
	names := make([]string, 0, len(config.Contexts))
	for name := range config.Contexts {
		names = append(names, strconv.Quote(name))
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none (the file has no contexts)"
	}
	return strings.Join(names, ", ")
}
