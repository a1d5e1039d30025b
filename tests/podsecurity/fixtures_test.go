package podsecurity

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/policy"
)

// stricter are the pods that the pack refuses although the plugin admits them, with the reason.
var stricter = []struct {
	id, why string
	is      func(pod *corev1.Pod) bool
}{
	{
		id: "PSS:run-as-non-root",
		why: "A cluster without user namespaces drops hostUsers, and root in the pod is then root on the node. " +
			"The other catalogues that the rule covers do not know this exception.",
		is: func(pod *corev1.Pod) bool { return pod.Spec.HostUsers != nil && !*pod.Spec.HostUsers },
	},
	{
		id: "PSS:capabilities",
		why: "The standard does not look at the capabilities of pods on Windows, because the API server refuses " +
			"them. The rule refuses them before the API server does.",
		is: func(pod *corev1.Pod) bool { return pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows },
	},
}

// explained reports whether the pack may refuse a pod that the plugin admits.
func explained(id string, pod *corev1.Pod) bool {
	for _, s := range stricter {
		if s.id == id && s.is(pod) {
			return true
		}
	}
	return false
}

// everywhere returns a pod in every kind, and in the patch of every kind.
func everywhere(pod *corev1.Pod) []placed {
	var all []placed
	for _, kind := range holders() {
		all = append(all, placed{pod, kind, kind.token}, placed{pod, kind, kind.token + "Patch"})
	}
	return all
}

// TestThePackFollowsTheNewestPlugin fails if the plugin has a check or a version that the rules do not follow yet.
func TestThePackFollowsTheNewestPlugin(t *testing.T) {
	t.Parallel()
	answer, _ := judge(t, nil)
	assert.Equal(t, newest().String(), answer.PodSecurityVersion,
		"compare the new checks with policy/kubernetes/standard.go, then raise PodSecurityVersion")
	rules := map[string][]string{}
	for _, rule := range answer.Rules {
		for _, id := range rule.IDs {
			rules[id] = append(rules[id], rule.Types...)
		}
	}
	wanted := map[string]bool{}
	for _, check := range policy.DefaultChecks() {
		id := claimed[check.ID]
		wanted[id] = true
		assert.NotEmpty(t, rules[id], "no rule claims the check %s", check.ID)
	}
	for id := range rules {
		assert.True(t, wanted[id] || !strings.HasPrefix(id, "PSS:"), "the plugin has no check for %s", id)
	}
}

// TestThePackAgreesOnEveryFixture puts the pods of the plugin's own tests into every kind.
func TestThePackAgreesOnEveryFixture(t *testing.T) {
	t.Parallel()
	all := fixtures(t)
	var resources []placed
	var names []string
	for _, f := range all {
		refused := refusedBy(f.pod)
		if f.check != "" {
			expected := false
			for check, id := range claimed {
				expected = expected || strings.EqualFold(string(check), f.check) && refused[id]
			}
			require.True(t, expected, "the plugin admits its own fixture %s", f.name)
		}
		in := everywhere(f.pod)
		resources = append(resources, in...)
		for range in {
			names = append(names, f.name)
		}
	}
	t.Logf("%d fixtures in %d kinds and their patches", len(all), len(holders()))
	agree(t, resources, func(i int) string { return names[i] + " in " + resources[i].token })
}

// agree compares the verdicts of the plugin and of the pack for each check.
func agree(t *testing.T, resources []placed, name func(i int) string) {
	t.Helper()
	_, found := judge(t, resources)
	compared, differ := 0, 0
	for i, r := range resources {
		refused := refusedBy(r.pod)
		for _, id := range ids() {
			compared++
			switch {
			case refused[id] && !found[i][id]:
				t.Errorf("%s: the plugin refuses it (%s), and the pack passes it", name(i), id)
			case found[i][id] && !refused[id] && !explained(id, r.pod):
				t.Errorf("%s: the pack refuses it (%s), and the plugin admits it", name(i), id)
			case found[i][id] != refused[id]:
				differ++
			}
		}
	}
	t.Logf("%d resources, %d verdicts, %d of them stricter for a listed reason", len(resources), compared, differ)
}

// TestThePackAgreesOnEveryListedValue asks for each value of the standards' lists alone: kernel parameters, types of
// volumes, capabilities.
func TestThePackAgreesOnEveryListedValue(t *testing.T) {
	t.Parallel()
	var resources []placed
	var names []string
	pod := holders()[slicesIndex(holders(), "kubernetes:core/v1:Pod")]
	add := func(name string, change func(pod *corev1.Pod)) {
		changed := valid()
		change(changed)
		resources, names = append(resources, placed{changed, pod, pod.token}), append(names, name)
	}
	for _, parameter := range append(parameters(t), "kernel.msgmax", "net.core.somaxconn") {
		add(parameter, func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.Sysctls = []corev1.Sysctl{{Name: parameter, Value: "1"}}
		})
	}
	source := reflect.TypeFor[corev1.VolumeSource]()
	for i := range source.NumField() {
		add("a volume of type "+source.Field(i).Name, func(pod *corev1.Pod) {
			volume := corev1.Volume{Name: "a"}
			field := reflect.ValueOf(&volume.VolumeSource).Elem().Field(i)
			field.Set(reflect.New(field.Type().Elem()))
			pod.Spec.Volumes = []corev1.Volume{volume}
		})
	}
	for _, kind := range seLinuxTypes {
		add("SELinux type "+kind, func(pod *corev1.Pod) {
			pod.Spec.SecurityContext.SELinuxOptions = &corev1.SELinuxOptions{Type: kind}
		})
	}
	for _, capability := range capabilities {
		add(fmt.Sprintf("capability %s", capability), func(pod *corev1.Pod) {
			pod.Spec.Containers[0].SecurityContext.Capabilities.Add = []corev1.Capability{capability}
		})
	}
	agree(t, resources, func(i int) string { return names[i] })
}
