package podsecurity

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// holder is a kind of object that contains a pod, or a template of pods.
type holder struct {
	// token is the type in Pulumi.
	token string
	// path leads to the template. It is empty for the pod itself.
	path []string
}

// holders returns all kinds of Kubernetes that contain pods, of every version of their API.
func holders() []holder {
	var all []holder
	for kind, object := range scheme.Scheme.AllKnownTypes() {
		path, ok := pathTo(object, nil)
		if !ok || strings.HasSuffix(kind.Kind, "List") {
			continue
		}
		version := cmp.Or(kind.Group, "core") + "/" + kind.Version
		all = append(all, holder{"kubernetes:" + version + ":" + kind.Kind, path})
	}
	slices.SortFunc(all, func(a, b holder) int { return cmp.Compare(a.token, b.token) })
	return all
}

// pathTo returns the path of fields to a pod or template in a type.
func pathTo(object reflect.Type, above []string) (path []string, ok bool) {
	if object.Kind() == reflect.Pointer {
		object = object.Elem()
	}
	switch {
	case object == reflect.TypeFor[corev1.Pod](), object == reflect.TypeFor[corev1.PodTemplateSpec]():
		return above, true
	case object.Kind() != reflect.Struct, len(above) > 5:
		return nil, false
	}
	for i := range object.NumField() {
		field := object.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "status" {
			continue
		}
		if path, ok := pathTo(field.Type, append(slices.Clone(above), name)); ok {
			return path, true
		}
	}
	return nil, false
}

// inputs returns the inputs of a resource of the kind that contains the pod.
func (h holder) inputs(t *testing.T, pod *corev1.Pod) map[string]any {
	t.Helper()
	text, err := json.Marshal(pod)
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	for _, key := range []string{"kind", "apiVersion", "status"} {
		delete(object, key)
	}
	for _, key := range slices.Backward(h.path) {
		object = map[string]any{key: object}
	}
	return object
}
