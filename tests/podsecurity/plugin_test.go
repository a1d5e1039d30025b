// Package podsecurity compares the policy pack with the admission plugin of Kubernetes for the Pod Security Standards.
//
// It is a module of its own, because the plugin needs the newest Kubernetes, and the program none. The rules run in
// another process (tests/policy/judge).
package podsecurity

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

const plugin = "k8s.io/pod-security-admission"

// claimed are the ids of rules for each check of the plugin.
var claimed = map[policy.CheckID]string{
	"allowPrivilegeEscalation":   "PSS:privilege-escalation",
	"appArmorProfile":            "PSS:apparmor",
	"capabilities_baseline":      "PSS:capabilities",
	"capabilities_restricted":    "PSS:capabilities",
	"hostNamespaces":             "PSS:host-namespaces",
	"hostPathVolumes":            "PSS:volume-types",
	"hostPorts":                  "PSS:host-ports",
	"hostProbesAndHostLifecycle": "PSS:host-probes",
	"privileged":                 "PSS:privileged",
	"procMount":                  "PSS:proc-mount",
	"procMount_restricted":       "PSS:proc-mount",
	"restrictedVolumes":          "PSS:volume-types",
	"runAsNonRoot":               "PSS:run-as-non-root",
	"runAsUser":                  "PSS:run-as-non-root",
	"seLinuxOptions":             "PSS:selinux",
	"seccompProfile_baseline":    "PSS:seccomp",
	"seccompProfile_restricted":  "PSS:seccomp",
	"sysctls":                    "PSS:sysctls",
	"windowsHostProcess":         "PSS:host-process",
}

// ids returns the ids that are claimed.
func ids() []string { return slices.Compact(slices.Sorted(maps.Values(claimed))) }

// verdicts are the ids whose checks refuse a pod.
type verdicts map[string]bool

// refusedBy asks every check of the plugin, in its newest version.
func refusedBy(pod *corev1.Pod) verdicts {
	pod = pod.DeepCopy()
	for i := range pod.Spec.Volumes {
		// The API server does this before it asks the plugin.
		if source := &pod.Spec.Volumes[i].VolumeSource; *source == (corev1.VolumeSource{}) {
			source.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	}
	refused := verdicts{}
	for _, check := range policy.DefaultChecks() {
		newest := check.Versions[len(check.Versions)-1]
		if !newest.CheckPod(&pod.ObjectMeta, &pod.Spec).Allowed {
			refused[claimed[check.ID]] = true
		}
	}
	return refused
}

// newest returns the newest version of a check.
func newest() api.Version {
	version := api.MajorMinorVersion(1, 0)
	for _, check := range policy.DefaultChecks() {
		if last := check.Versions[len(check.Versions)-1].MinimumVersion; version.Older(last) {
			version = last
		}
	}
	return version
}

// folder returns the folder of the plugin's module.
func folder(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", plugin).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// fixture is a pod that the plugin's own tests send to an API server.
type fixture struct {
	name string
	// check is the check that refuses the pod, in lower case. Empty if none does.
	check string
	pod   *corev1.Pod
}

// fixtures returns those of the newest version, of both levels.
func fixtures(t *testing.T) []fixture {
	t.Helper()
	var all []fixture
	for _, level := range []string{"baseline", "restricted"} {
		version := filepath.Join(folder(t), "test", "testdata", level, newest().String())
		for _, result := range []string{"pass", "fail"} {
			files, err := filepath.Glob(filepath.Join(version, result, "*.yaml"))
			require.NoError(t, err)
			require.NotEmpty(t, files, "%s: %s", version, result)
			for _, file := range files {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				name := strings.TrimSuffix(filepath.Base(file), ".yaml")
				f := fixture{name: level + "/" + result + "/" + name, pod: &corev1.Pod{}}
				require.NoError(t, yaml.UnmarshalStrict(text, f.pod), file)
				if result == "fail" {
					f.check = strings.TrimRight(name, "0123456789")
				}
				all = append(all, f)
			}
		}
	}
	return all
}

// parameters returns the kernel parameters that the source of the plugin names.
func parameters(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder(t), "policy", "check_sysctls.go"))
	require.NoError(t, err)
	found := regexp.MustCompile(`"((?:net|kernel|fs|vm|user)\.[a-z0-9_.]+)"`).FindAllStringSubmatch(string(text), -1)
	names := make([]string, len(found))
	for i, match := range found {
		names[i] = match[1]
	}
	require.Greater(t, len(names), 10)
	return names
}

// placed is a pod in a resource of Pulumi.
type placed struct {
	pod  *corev1.Pod
	kind holder
	// type is the resource's type: that of the kind, or of its patch.
	token string
}

// judged is the answer of tests/policy/judge.
type judged struct {
	PodSecurityVersion string
	Rules              []struct {
		Name  string
		IDs   []string
		Types []string
	}
	Report struct {
		Resources int
		Findings  []struct{ Rule, Level, URN, Message string }
	}
}

// judge runs the rules on resources. It returns the answer, and the ids of the standards that each resource violates.
func judge(t *testing.T, resources []placed) (judged, []verdicts) {
	t.Helper()
	entries := make([]map[string]any, len(resources))
	for i, r := range resources {
		entries[i] = map[string]any{
			"urn": fmt.Sprintf("urn:pulumi:a::a::%s::%d", r.token, i), "type": r.token,
			"inputs": r.kind.inputs(t, r.pod), "outputs": map[string]any{},
		}
	}
	state, err := json.Marshal(map[string]any{"deployment": map[string]any{"resources": entries}})
	require.NoError(t, err)
	run := exec.CommandContext(t.Context(), "go", "run", "./tests/policy/judge")
	run.Dir, run.Stdin, run.Stderr = "../..", strings.NewReader(string(state)), os.Stderr
	out, err := run.Output()
	require.NoError(t, err)
	var answer judged
	require.NoError(t, json.Unmarshal(out, &answer))
	require.Equal(t, len(resources), answer.Report.Resources)

	claims := map[string][]string{}
	for _, rule := range answer.Rules {
		claims[rule.Name] = slices.DeleteFunc(rule.IDs, func(id string) bool { return !strings.HasPrefix(id, "PSS:") })
	}
	refused := make([]verdicts, len(resources))
	for i := range refused {
		refused[i] = verdicts{}
	}
	for _, finding := range answer.Report.Findings {
		if finding.Level != "mandatory" || finding.URN == "" {
			continue
		}
		var at int
		_, err := fmt.Sscanf(finding.URN[strings.LastIndex(finding.URN, "::"):], "::%d", &at)
		require.NoError(t, err, finding.URN)
		for _, id := range claims[finding.Rule] {
			refused[at][id] = true
		}
	}
	return answer, refused
}
