package artifacts

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

const operatorModule = "github.com/external-secrets/external-secrets"

// chart builds the operator's chart as its project releases it. The chart in the Go module lacks two parts of a
// release: the CRD templates, which are generated from the bundle, and the archive of an optional dependency that this
// project never enables. After this step, the same program and values work with the released chart and with this one.
func (b *Builder) chart() step {
	build := filepath.Join(b.sources, "localcloud", "build", "external-secrets")
	return step{
		name:   "external-secrets chart",
		target: b.Chart,
		key: func(context.Context) (string, error) {
			return hash([]string{"chart 1"}, filepath.Join(build, "go.mod"))
		},
		make: func(ctx context.Context, to string) error {
			out, err := b.output(ctx, build, "go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}} {{.Version}}",
				operatorModule)
			if err != nil {
				return err
			}
			dir, version, _ := strings.Cut(strings.TrimSpace(out), " ")
			return releaseChart(dir, version, to)
		},
	}
}

func releaseChart(module, version, to string) error {
	from := filepath.Join(module, "deploy", "charts", "external-secrets")
	if err := copyTree(from, to); err != nil {
		return err
	}
	meta := filepath.Join(to, "Chart.yaml")
	text, err := os.ReadFile(meta)
	if err != nil {
		return err
	}
	var chart map[string]any
	if err := yaml.Unmarshal(text, &chart); err != nil {
		return fmt.Errorf("the operator's Chart.yaml: %w", err)
	}
	delete(chart, "dependencies")
	chart["version"] = strings.TrimPrefix(version, "v")
	chart["appVersion"] = version
	if text, err = yaml.Marshal(chart); err != nil {
		return err
	}
	if err := os.WriteFile(meta, text, 0o644); err != nil {
		return err
	}
	for _, drop := range []string{"Chart.lock", "tests", "ci", filepath.Join("templates", "crds", "README.md")} {
		if err := os.RemoveAll(filepath.Join(to, drop)); err != nil {
			return err
		}
	}
	bundle, err := os.ReadFile(filepath.Join(module, "deploy", "crds", "bundle.yaml"))
	if err != nil {
		return err
	}
	for doc := range bytes.SplitSeq(bundle, []byte("\n---\n")) {
		name, template, err := crdTemplate(doc)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, "templates", "crds", name+".yaml"), template, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var annotations = regexp.MustCompile(`(?m)^ {2}annotations:\n`)

// crdTemplate turns one CRD of the bundle into a template that respects installCRDs, crds.create<Kind> and
// crds.annotations.
func crdTemplate(doc []byte) (name string, template []byte, err error) {
	var crd struct {
		Kind     string
		Metadata struct{ Annotations map[string]string }
		Spec     struct {
			Names struct{ Kind, Singular string }
		}
	}
	if err := yaml.Unmarshal(doc, &crd); err != nil {
		return "", nil, fmt.Errorf("the operator's CRD bundle: %w", err)
	}
	kind := crd.Spec.Names.Kind
	if crd.Kind != "CustomResourceDefinition" || kind == "" || len(crd.Metadata.Annotations) == 0 {
		return "", nil,
			fmt.Errorf("the operator's CRD bundle contains a %q named %q instead of an annotated "+
				"CustomResourceDefinition", crd.Kind, kind)
	}
	condition := ".Values.installCRDs"
	// Only these kinds have their own switch in the values. The others are installed with installCRDs.
	switch kind {
	case "ClusterExternalSecret", "ClusterSecretStore", "ClusterGenerator", "ClusterPushSecret", "PushSecret":
		condition = "and .Values.installCRDs .Values.crds.create" + kind
	}
	body := strings.NewReplacer("{{", `{{ "{{" }}`, "}}", `{{ "}}" }}`).Replace(strings.TrimSpace(string(doc)))
	at := annotations.FindStringIndex(body)
	if at == nil {
		return "", nil, fmt.Errorf("the operator's CRD for %s has no block of annotations", kind)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out,
		"{{- if %s }}\n%s    {{- with .Values.crds.annotations }}\n    {{- toYaml . | nindent 4 }}\n    {{- end "+
			"}}\n%s\n{{- end }}\n",
		condition, body[:at[1]], body[at[1]:])
	return crd.Spec.Names.Singular, out.Bytes(), nil
}

// copyTree copies regular files. It makes the copy writable, because the module cache is read-only.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}
