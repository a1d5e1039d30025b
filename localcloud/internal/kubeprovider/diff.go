package kubeprovider

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"

	"dbtier/localcloud/internal/kubeprovider/await"
)

// Diff compares the new inputs with those of the last update, without a request to the cluster: a refresh finds changes
// there. The exception is a Job with pulumi.com/replaceUnready that was not complete when it was last read.
func (s *Server) Diff(ctx context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	urn := resource.URN(req.GetUrn())
	gvk, err := kindOf(urn)
	if err != nil {
		return nil, err
	}
	if unchanged(req) {
		s.remember(types.UID(stringAt(req.GetOlds(), "metadata", "uid")))
		return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE, HasDetailedDiff: true}, nil
	}
	olds, err := unmarshal("old state", req.GetOlds())
	if err != nil {
		return nil, err
	}
	news, err := unmarshal("inputs", req.GetNews())
	if err != nil {
		return nil, err
	}
	recorded := readState(olds)
	s.remember(recorded.live.GetUID())

	old, updated := plainMap(recorded.inputs), plainMap(news)
	sameNamespace(recorded.live, old, updated)
	changes := compare(old, updated)
	if len(changes) > 0 && !news.ContainsUnknowns() {
		changes = withoutSpelling(gvk, changes, old, updated)
	}
	if changes, err = withoutIgnored(changes, req.GetIgnoreChanges()); err != nil {
		return nil, err
	}

	response := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_NONE,
		HasDetailedDiff: true,
		DetailedDiff:    map[string]*pulumirpc.PropertyDiff{},
	}
	replacing := replacingFields(gvk, news, s.settled())
	for _, change := range changes {
		kind := change.kind
		path := change.path.String()
		if change.touches(replacing) {
			kind = replacingKind(kind)
			response.Replaces = append(response.Replaces, path)
		}
		response.Changes = pulumirpc.DiffResponse_DIFF_SOME
		response.Diffs = append(response.Diffs, path)
		response.DetailedDiff[path] = &pulumirpc.PropertyDiff{Kind: kind, InputDiff: true}
	}
	if s.unready(ctx, urn, news, recorded.live) {
		path := resource.PropertyPath{"metadata", "annotations", annotationReplaceUnready}.String()
		response.Changes = pulumirpc.DiffResponse_DIFF_SOME
		response.Replaces = append(response.Replaces, path)
		response.Diffs = append(response.Diffs, path)
		response.DetailedDiff[path] = &pulumirpc.PropertyDiff{
			Kind: pulumirpc.PropertyDiff_UPDATE_REPLACE, InputDiff: true,
		}
	}
	response.DeleteBeforeReplace = len(response.Replaces) > 0 && keepsName(news, recorded.live)
	return response, nil
}

// unchanged reports whether the inputs are those of the last update, so that no further comparison is needed. Parsing
// the operator's definitions would be most of the work of a run without changes.
func unchanged(req *pulumirpc.DiffRequest) bool {
	before := req.GetOlds().GetFields()[inputsKey].GetStructValue()
	return before != nil && stringAt(before, "metadata", "annotations", annotationReplaceUnready) != "true" &&
		proto.Equal(before, req.GetNews())
}

// stringAt follows keys into a struct to a string. It returns "" if there is none.
func stringAt(content *structpb.Struct, keys ...string) string {
	for _, key := range keys[:len(keys)-1] {
		content = content.GetFields()[key].GetStructValue()
	}
	return content.GetFields()[keys[len(keys)-1]].GetStringValue()
}

func replacingKind(kind pulumirpc.PropertyDiff_Kind) pulumirpc.PropertyDiff_Kind {
	switch kind {
	case pulumirpc.PropertyDiff_ADD:
		return pulumirpc.PropertyDiff_ADD_REPLACE
	case pulumirpc.PropertyDiff_DELETE:
		return pulumirpc.PropertyDiff_DELETE_REPLACE
	default:
		return pulumirpc.PropertyDiff_UPDATE_REPLACE
	}
}

// keepsName reports whether the replacement must have the name of the replaced object, which then must be deleted
// first.
func keepsName(news resource.PropertyMap, live *unstructured.Unstructured) bool {
	if isUnknown(news, "metadata", "name") || annotations(news)[annotationAutonamed] == "true" {
		return false
	}
	namespace := text(news, "metadata", "namespace")
	return text(news, "metadata", "name") == live.GetName() && (namespace == "" || namespace == live.GetNamespace())
}

// sameNamespace fills in the object's namespace where inputs do not set one. A namespace that became known only at the
// creation is then not a change.
func sameNamespace(live *unstructured.Unstructured, contents ...map[string]any) {
	for _, content := range contents {
		metadata, ok := content["metadata"].(map[string]any)
		if !ok {
			continue
		}
		if live.GetNamespace() == "" {
			delete(metadata, "namespace")
			continue
		}
		if namespace := metadata["namespace"]; namespace == nil || namespace == "" {
			metadata["namespace"] = live.GetNamespace()
		}
	}
}

// withoutSpelling drops changes that mean the same to the API server, such as "1000m" and "1" or 1 of a CPU, or an
// empty field and an absent one.
func withoutSpelling(gvk schema.GroupVersionKind, changes []change, old, updated map[string]any) []change {
	was, ok := canonical(gvk, old)
	is, okay := canonical(gvk, updated)
	if !ok || !okay {
		return changes
	}
	return slices.DeleteFunc(changes, func(c change) bool {
		before, had := at(was, c.path)
		after, has := at(is, c.path)
		if !had && !has {
			// The typed object drops empty fields, and also fields that this client does not know. Only the former are
			// not a change.
			return empty(c.old) && empty(c.new)
		}
		return had == has && reflect.DeepEqual(before, after)
	})
}

// canonical converts an object of a built-in kind to the spelling of its Go type.
func canonical(gvk schema.GroupVersionKind, content map[string]any) (map[string]any, bool) {
	if !scheme.Scheme.Recognizes(gvk) {
		return nil, false
	}
	typed, err := scheme.Scheme.New(gvk)
	if err != nil {
		return nil, false
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, typed); err != nil {
		return nil, false
	}
	converted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	return converted, err == nil
}

func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case map[string]any:
		for _, item := range value {
			if !empty(item) {
				return false
			}
		}
		return true
	case []any:
		return len(value) == 0
	case string:
		return value == ""
	}
	return false
}

// withoutIgnored drops changes that the program ignores.
func withoutIgnored(changes []change, ignored []string) ([]change, error) {
	for _, text := range ignored {
		pattern, err := resource.ParsePropertyPath(text)
		if err != nil {
			return nil, fmt.Errorf("ignoreChanges: %q is not a property path: %w", text, err)
		}
		changes = slices.DeleteFunc(changes, func(c change) bool { return pattern.Contains(c.path) })
	}
	return changes, nil
}

// unready reports whether an object asks to be replaced when it is not ready, and is not ready.
func (s *Server) unready(
	ctx context.Context, urn resource.URN, news resource.PropertyMap, live *unstructured.Unstructured,
) bool {
	if annotations(news)[annotationReplaceUnready] != "true" || live.GetKind() != "Job" || await.JobComplete(live) {
		return false
	}
	found := s.reachable()
	if found == nil {
		s.log(ctx, diag.Warning, urn,
			"the Job is not replaced as unready, because its state cannot be read without the cluster",
			false)
		return false
	}
	client, err := found.client(live.GroupVersionKind(), live.GetNamespace())
	if err != nil {
		return false
	}
	// A refresh handles a Job that no longer exists. Creating it again here would run a migration without a request.
	now, err := client.Get(ctx, live.GetName(), metav1.GetOptions{})
	return err == nil && !await.JobComplete(now)
}
