package chart

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/downloader"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// Repository is the source of a chart that is not a local path or an OCI reference.
type Repository struct {
	URL      string
	Username string
	Password string
	CAFile   string
	CertFile string
	KeyFile  string
}

// Options select the chart and how to render it.
type Options struct {
	// Chart is a path (a folder or a .tgz file, relative to Dir), an oci:// reference, or a name in Repository.
	Chart      string
	Dir        string
	Version    string
	Devel      bool
	Repository Repository
	PlainHTTP  bool
	// Instead is a folder with a chart of the same name, which is rendered instead of downloading one. If it is empty
	// or the folder does not exist, the chart is downloaded.
	Instead string
	// Verify checks the chart's provenance against Keyring.
	Verify  bool
	Keyring string
	// DependencyUpdate downloads dependencies that the chart's folder lacks.
	DependencyUpdate bool

	// ReleaseName and Namespace are .Release.Name and .Release.Namespace in templates.
	ReleaseName string
	Namespace   string
	// ValueFiles are the contents of values files. Later files override earlier ones, and Values overrides all.
	ValueFiles [][]byte
	Values     map[string]any
	SkipCRDs   bool

	// Cluster tells templates what the cluster supports and serves their lookups. If it is nil, Helm's defaults apply.
	Cluster *Cluster
}

// Cluster is the cluster for which a chart is rendered.
type Cluster struct {
	Config    *rest.Config
	Discovery discovery.CachedDiscoveryInterface
	Mapper    meta.RESTMapper
}

// Rendered is a rendered chart.
type Rendered struct {
	// Objects are in Helm's install order: definitions of custom kinds come first.
	Objects []*unstructured.Unstructured
	// Hooks are the hooks that were left out, for example "Job/migrate (pre-install)".
	Hooks []string
	// Deprecated reports that the chart is marked as deprecated.
	Deprecated bool
	// Instead is the version that was rendered instead of the requested one. It is empty if the requested one was
	// rendered.
	Instead string
}

// Render renders a chart.
func Render(ctx context.Context, options Options) (*Rendered, error) {
	asked := options.Version
	instead, err := standIn(&options)
	if err != nil {
		return nil, err
	}
	settings := cli.New()
	configuration := &action.Configuration{Log: func(string, ...any) {}}
	install := action.NewInstall(configuration)
	if err := describe(install, configuration, options); err != nil {
		return nil, err
	}
	loaded, err := load(install, settings, options)
	if err != nil {
		return nil, err
	}
	values, err := merge(options)
	if err != nil {
		return nil, err
	}
	helmRelease, err := install.RunWithContext(ctx, loaded, values)
	if err != nil {
		return nil, fmt.Errorf("render chart %s: %w", options.Chart, err)
	}
	objects, err := parse(helmRelease.Manifest)
	if err != nil {
		return nil, fmt.Errorf("chart %s rendered something that is not a Kubernetes object: %w", options.Chart, err)
	}
	rendered := &Rendered{Objects: objects, Hooks: hooks(helmRelease), Deprecated: loaded.Metadata.Deprecated}
	if instead && loaded.Metadata.Version != asked {
		rendered.Instead = loaded.Metadata.Version
	}
	return rendered, nil
}

// standIn replaces a chart that would be downloaded by the one in options.Instead, if it exists.
func standIn(options *Options) (bool, error) {
	fetched := registry.IsOCI(options.Chart) || options.Repository.URL != "" || strings.Contains(options.Chart, "://")
	if options.Instead == "" || !fetched {
		return false, nil
	}
	found, err := chartutil.LoadChartfile(filepath.Join(options.Instead, chartutil.ChartfileName))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the chart to preview with: %w", err)
	case path.Base(options.Chart) != found.Name && !strings.HasPrefix(path.Base(options.Chart), found.Name+"-"):
		// The chart on this machine is a different one, so it must be downloaded.
		return false, nil
	}
	options.Chart, options.Version, options.Repository, options.Verify = options.Instead, "", Repository{}, false
	return true, nil
}

func describe(install *action.Install, configuration *action.Configuration, options Options) error {
	install.ClientOnly = true
	install.DryRun = true
	install.DryRunOption = "client"
	install.DisableHooks = true
	install.Replace = true
	install.IncludeCRDs = !options.SkipCRDs
	install.ReleaseName = options.ReleaseName
	install.Namespace = options.Namespace
	install.Version = options.Version
	install.Devel = options.Devel
	if install.Version == "" && options.Devel {
		install.Version = ">0.0.0-0"
	}
	install.DependencyUpdate = options.DependencyUpdate
	install.Verify = options.Verify
	install.Keyring = options.Keyring
	install.PlainHTTP = options.PlainHTTP
	install.RepoURL = options.Repository.URL
	install.Username = options.Repository.Username
	install.Password = options.Repository.Password
	install.CaFile = options.Repository.CAFile
	install.CertFile = options.Repository.CertFile
	install.KeyFile = options.Repository.KeyFile
	if options.Cluster == nil {
		return nil
	}
	// The value "server" lets the templates' lookup function query the cluster.
	install.DryRunOption = "server"
	configuration.RESTClientGetter = clientGetter{options.Cluster}
	found, err := options.Cluster.Discovery.ServerVersion()
	if err != nil {
		return fmt.Errorf("ask the cluster for its version: %w", err)
	}
	install.KubeVersion = &chartutil.KubeVersion{Version: found.GitVersion, Major: found.Major, Minor: found.Minor}
	install.APIVersions, err = action.GetVersionSet(options.Cluster.Discovery)
	if err != nil {
		return fmt.Errorf("ask the cluster for its API versions: %w", err)
	}
	return nil
}

// load finds and reads the chart.
func load(install *action.Install, settings *cli.EnvSettings, options Options) (*chart.Chart, error) {
	name := options.Chart
	if registry.IsOCI(name) {
		client, err := registryClient(settings, options)
		if err != nil {
			return nil, err
		}
		install.SetRegistryClient(client)
	} else if below := filepath.Join(options.Dir, name); !filepath.IsAbs(name) && options.Repository.URL == "" {
		if _, err := os.Stat(below); err == nil {
			name = below
		}
	}
	found, err := install.LocateChart(name, settings)
	if err != nil {
		return nil, fmt.Errorf("find chart %s: %w", options.Chart, err)
	}
	loaded, err := loader.Load(found)
	if err != nil {
		return nil, fmt.Errorf("read chart %s: %w", options.Chart, err)
	}
	if kind := loaded.Metadata.Type; kind != "" && kind != "application" {
		return nil, fmt.Errorf("chart %s is a %s chart, which renders to nothing: name an application chart",
			options.Chart, kind)
	}
	if err := action.CheckDependencies(loaded, loaded.Metadata.Dependencies); err != nil {
		if !options.DependencyUpdate {
			return nil, fmt.Errorf("chart %s: %w: add them to its charts folder, or set dependencyUpdate",
				options.Chart, err)
		}
		manager := &downloader.Manager{
			Out: io.Discard, ChartPath: found, Keyring: options.Keyring, Getters: getter.All(settings),
			RepositoryConfig: settings.RepositoryConfig, RepositoryCache: settings.RepositoryCache,
		}
		if err := manager.Update(); err != nil {
			return nil, fmt.Errorf("fetch the dependencies of chart %s: %w", options.Chart, err)
		}
		if loaded, err = loader.Load(found); err != nil {
			return nil, fmt.Errorf("read chart %s: %w", options.Chart, err)
		}
	}
	return loaded, nil
}

func registryClient(settings *cli.EnvSettings, options Options) (*registry.Client, error) {
	settingsOf := []registry.ClientOption{
		registry.ClientOptEnableCache(true), registry.ClientOptWriter(io.Discard),
		registry.ClientOptCredentialsFile(settings.RegistryConfig),
	}
	if options.PlainHTTP {
		settingsOf = append(settingsOf, registry.ClientOptPlainHTTP())
	}
	if options.Repository.Username != "" {
		settingsOf = append(settingsOf, registry.ClientOptBasicAuth(options.Repository.Username,
			options.Repository.Password))
	}
	client, err := registry.NewClient(settingsOf...)
	if err != nil {
		return nil, fmt.Errorf("prepare the registry of chart %s: %w", options.Chart, err)
	}
	return client, nil
}

// merge overlays the values on those of the files.
func merge(options Options) (map[string]any, error) {
	values := map[string]any{}
	for i, content := range options.ValueFiles {
		var file map[string]any
		if err := yaml.Unmarshal(content, &file); err != nil {
			return nil, fmt.Errorf("values file %d of chart %s is not a YAML map: %w", i+1, options.Chart, err)
		}
		values = overlay(values, file)
	}
	return overlay(values, options.Values), nil
}

// overlay merges maps as Helm merges values files: maps key by key, everything else is replaced. It keeps a null, which
// tells Helm to drop the chart's default.
func overlay(base, over map[string]any) map[string]any {
	merged := maps.Clone(base)
	if merged == nil {
		merged = map[string]any{}
	}
	for key, value := range over {
		below, isMap := merged[key].(map[string]any)
		above, areMaps := value.(map[string]any)
		if isMap && areMaps {
			merged[key] = overlay(below, above)
			continue
		}
		merged[key] = value
	}
	return merged
}

// parse splits a manifest into objects and lists into their items.
func parse(manifest string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifest)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		encoded, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, fmt.Errorf("%w in:\n%s", err, excerpt(document))
		}
		if bytes.Equal(bytes.TrimSpace(encoded), []byte("null")) {
			continue
		}
		content := map[string]any{}
		if err := json.Unmarshal(encoded, &content); err != nil {
			return nil, fmt.Errorf("%w in:\n%s", err, excerpt(document))
		}
		if len(content) == 0 {
			continue
		}
		flat, err := flatten(&unstructured.Unstructured{Object: content}, document)
		if err != nil {
			return nil, err
		}
		objects = append(objects, flat...)
	}
}

func flatten(obj *unstructured.Unstructured, document []byte) ([]*unstructured.Unstructured, error) {
	if obj.GetKind() == "" || obj.GetAPIVersion() == "" {
		return nil, fmt.Errorf("kind or apiVersion is missing in:\n%s", excerpt(document))
	}
	if obj.IsList() {
		list, err := obj.ToList()
		if err != nil {
			return nil, fmt.Errorf("%w in:\n%s", err, excerpt(document))
		}
		var objects []*unstructured.Unstructured
		for i := range list.Items {
			flat, err := flatten(&list.Items[i], document)
			if err != nil {
				return nil, err
			}
			objects = append(objects, flat...)
		}
		return objects, nil
	}
	if obj.GetName() == "" {
		return nil, fmt.Errorf("metadata.name is missing in:\n%s", excerpt(document))
	}
	return []*unstructured.Unstructured{obj}, nil
}

// excerpt shows where in a manifest an error is. It leaves out the contents, which can be secret.
func excerpt(document []byte) string {
	var lines []string
	for line := range strings.Lines(string(document)) {
		line = strings.TrimRight(line, "\n")
		for _, shown := range []string{"# Source:", "apiVersion:", "kind:", "  name:"} {
			if strings.HasPrefix(line, shown) {
				lines = append(lines, line)
			}
		}
		if len(lines) == 4 {
			break
		}
	}
	return strings.Join(lines, "\n")
}

func hooks(helmRelease *release.Release) []string {
	var names []string
	for _, hook := range helmRelease.Hooks {
		if slices.Contains(hook.Events, release.HookTest) {
			continue
		}
		events := make([]string, 0, len(hook.Events))
		for _, event := range hook.Events {
			events = append(events, event.String())
		}
		names = append(names, fmt.Sprintf("%s/%s (%s)", hook.Kind, hook.Name, strings.Join(events, ", ")))
	}
	return names
}

// clientGetter gives Helm the provider's connection.
type clientGetter struct{ cluster *Cluster }

func (g clientGetter) ToRESTConfig() (*rest.Config, error) { return g.cluster.Config, nil }

func (g clientGetter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.cluster.Discovery, nil
}

func (g clientGetter) ToRESTMapper() (meta.RESTMapper, error) { return g.cluster.Mapper, nil }
