package kubeprovider

import (
	"context"
	"fmt"
	"maps"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dbtier/localcloud/internal/kubeprovider/await"
)

// Read returns the state of an object in the cluster, for a refresh, an import or a .get. If the object or its kind
// does not exist, the response has no ID, and the engine removes the object from the state.
func (s *Server) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	urn := resource.URN(req.GetUrn())
	olds, err := unmarshal("old state", req.GetProperties())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal("old inputs", req.GetInputs())
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bound(about(ctx, urn))
	defer cancel()
	if given := s.settled(); !s.options.Offline && s.reachable() == nil {
		switch {
		case given.DeleteUnreachable:
			s.log(ctx, diag.Warning, urn,
				"the cluster cannot be reached, and deleteUnreachable drops the object from the state", false)
			return &pulumirpc.ReadResponse{}, nil
		case given.SkipUpdateUnreachable:
			s.log(ctx, diag.Warning, urn,
				"the cluster cannot be reached, and skipUpdateUnreachable leaves the object in the state as it was",
				false)
			return &pulumirpc.ReadResponse{Id: req.GetId(), Properties: req.GetProperties(), Inputs: req.GetInputs()},
				nil
		}
	}
	recorded := readState(olds)
	o, err := s.begin(ctx, "read", urn, inputs, recorded.fieldManager)
	if err != nil {
		return nil, err
	}
	namespace, name, err := parseIdentifier(req.GetId())
	if err != nil {
		return nil, err
	}
	var live *unstructured.Unstructured
	client, err := o.client(namespace)
	if err == nil {
		live, err = client.Get(ctx, name, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return &pulumirpc.ReadResponse{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", o.gvk.Kind, req.GetId(), err)
	}
	s.remember(live.GetUID())

	imported := len(inputs) == 0
	if imported {
		o.inputs = importable(o.gvk, live)
	} else {
		o.inputs = drifted(inputs, recorded.live.Object, live.Object)
	}
	state := o.recorded(live, recorded.initialAPIVersion)
	if !imported {
		awaiter := &await.Awaiter{Kube: o.cluster.kube, Report: o.report}
		target := await.Target{Object: live, Resource: client, Annotations: annotations(inputs)}
		if err := awaiter.ReadyNow(ctx, target); err != nil {
			return nil, initFailed(live, state, o.inputs, err)
		}
	}
	response := &pulumirpc.ReadResponse{Id: identifier(live)}
	if response.Properties, err = marshal("outputs", state); err != nil {
		return nil, err
	}
	response.Inputs, err = marshal("inputs", o.inputs)
	return response, err
}

// importable returns inputs for an object that no program has declared yet.
func importable(gvk schema.GroupVersionKind, live *unstructured.Unstructured) resource.PropertyMap {
	content := live.DeepCopy()
	delete(content.Object, "status")
	for _, field := range []string{
		"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid",
		"selfLink",
	} {
		unstructured.RemoveNestedField(content.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(content.Object, "metadata", "annotations", annotationLastApplied)
	if len(content.GetAnnotations()) == 0 {
		unstructured.RemoveNestedField(content.Object, "metadata", "annotations")
	}
	content.SetGroupVersionKind(gvk)
	inputs := properties(content.Object)
	markSecrets(inputs, nil)
	return inputs
}

// drifted applies changes in the cluster since the last read to the inputs. An unchanged field keeps the program's
// spelling. Fields that the program does not set are ignored.
func drifted(inputs resource.PropertyMap, before, now map[string]any) resource.PropertyMap {
	result := maps.Clone(inputs)
	for key, input := range inputs {
		name := string(key)
		if spelling, ok := dashed[name]; ok {
			name = spelling
		}
		old, had := before[name]
		value, has := now[name]
		switch {
		case !had && !has:
			// The cluster never returns fields such as a Secret's stringData.
		case !has:
			delete(result, key)
		default:
			result[key] = driftedValue(input, old, value)
		}
	}
	return result
}

func driftedValue(input resource.PropertyValue, before, now any) resource.PropertyValue {
	if len(compareValues(nil, before, now)) == 0 {
		return input
	}
	if input.IsSecret() {
		return resource.MakeSecret(driftedValue(input.SecretValue().Element, before, now))
	}
	old, was := before.(map[string]any)
	current, is := now.(map[string]any)
	if input.IsObject() && was && is {
		return resource.NewObjectProperty(drifted(input.ObjectValue(), old, current))
	}
	oldItems, _ := before.([]any)
	if items, isList := now.([]any); input.IsArray() && isList {
		values := make([]resource.PropertyValue, 0, len(items))
		for i, item := range items {
			if i < len(input.ArrayValue()) && i < len(oldItems) {
				values = append(values, driftedValue(input.ArrayValue()[i], oldItems[i], item))
				continue
			}
			values = append(values, asProperty(item))
		}
		return resource.NewArrayProperty(values)
	}
	return asProperty(now)
}

// asProperty converts a value of the cluster to a property with the field names of the SDKs.
func asProperty(value any) resource.PropertyValue {
	return resource.NewPropertyValueRepl(value, func(key string) (resource.PropertyKey, bool) {
		return resource.PropertyKey(underscored(key)), true
	}, nil)
}
