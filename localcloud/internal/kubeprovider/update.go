package kubeprovider

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/csaupgrade"
)

// Update applies new inputs to an object by server-side apply and waits until it is ready again. In a preview it is a
// dry run.
func (s *Server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	urn := resource.URN(req.GetUrn())
	olds, err := unmarshal("old state", req.GetOlds())
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal("inputs", req.GetNews())
	if err != nil {
		return nil, err
	}
	if _, err := kindOf(urn); err != nil {
		return nil, err
	}
	recorded := readState(olds)
	ctx, cancel := s.bound(about(ctx, urn))
	defer cancel()
	if req.GetPreview() && (s.reachable() == nil || inputs.ContainsUnknowns()) {
		return &pulumirpc.UpdateResponse{Properties: req.GetNews()}, nil
	}
	o, err := s.begin(ctx, "update", urn, inputs, recorded.fieldManager)
	if err != nil {
		return nil, err
	}
	content := o.wire()
	if content.GetNamespace() == "" {
		content.SetNamespace(recorded.live.GetNamespace())
	}
	if req.GetPreview() {
		live, err := o.preview(ctx, content, req.GetIgnoreChanges())
		switch {
		case err == nil:
		case refused(err) || fieldConflict(err):
			return nil, o.failed("the API server would refuse the change of", content, o.explained(err))
		default:
			return &pulumirpc.UpdateResponse{Properties: req.GetNews()}, nil
		}
		// Every write creates a new resource version, which only the real write knows.
		unstructured.RemoveNestedField(live.Object, "metadata", "resourceVersion")
		state, err := marshal("outputs", o.recorded(live, recorded.initialAPIVersion))
		return &pulumirpc.UpdateResponse{Properties: state}, err
	}
	s.remember(recorded.live.GetUID())
	live, err := o.update(ctx, content, req.GetIgnoreChanges())
	if err != nil {
		return nil, o.failed("update", content, o.explained(err))
	}
	s.remember(live.GetUID())
	live, err = o.ready(ctx, live, req.GetTimeout())
	state := o.recorded(live, recorded.initialAPIVersion)
	if err != nil {
		return nil, initFailed(live, state, nil, err)
	}
	marshalled, err := marshal("outputs", state)
	return &pulumirpc.UpdateResponse{Properties: marshalled}, err
}

// preview is an update as a dry run, without retries: a temporary error cannot be previewed.
func (o *operation) preview(
	ctx context.Context, content *unstructured.Unstructured, ignored []string,
) (*unstructured.Unstructured, error) {
	client, err := o.client(content.GetNamespace())
	if err != nil {
		return nil, err
	}
	existing, err := client.Get(ctx, content.GetName(), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if o.gvk.Kind == "CustomResourceDefinition" {
		content = content.DeepCopy()
		content.SetResourceVersion(existing.GetResourceVersion())
		return client.Update(ctx, content, metav1.UpdateOptions{
			FieldManager: o.manager, DryRun: []string{metav1.DryRunAll},
		})
	}
	content = respecting(content, existing, o.manager, ignored)
	// The creation owns these fields until the real update transfers them. Here they would cause a conflict.
	force := o.force(existing) || createdBy(existing, o.manager) || createdBy(existing, pluginCreateManager)
	return client.Patch(ctx, content.GetName(), types.ApplyPatchType, encode(content), metav1.PatchOptions{
		FieldManager: o.manager, DryRun: []string{metav1.DryRunAll}, Force: &force,
	})
}

// update changes the object in the cluster.
func (o *operation) update(
	ctx context.Context, content *unstructured.Unstructured, ignored []string,
) (*unstructured.Unstructured, error) {
	return o.write(ctx, content.GetNamespace(),
		func(client dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
			existing, err := client.Get(ctx, content.GetName(), metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				o.report("it no longer exists in the cluster and is created again")
				return client.Create(ctx, content, metav1.CreateOptions{FieldManager: o.manager})
			}
			if err != nil {
				return nil, err
			}
			if o.gvk.Kind == "CustomResourceDefinition" {
				// A definition is replaced as a whole, because merging lists of versions is unreliable.
				content := content.DeepCopy()
				content.SetResourceVersion(existing.GetResourceVersion())
				return client.Update(ctx, content, metav1.UpdateOptions{FieldManager: o.manager})
			}
			if existing, err = o.takeOver(ctx, existing); err != nil {
				return nil, err
			}
			return client.Patch(ctx, content.GetName(), types.ApplyPatchType,
				encode(respecting(content, existing, o.manager, ignored)),
				metav1.PatchOptions{
					FieldManager: o.manager, Force: new(o.force(existing)),
					FieldValidation: metav1.FieldValidationWarn,
				})
		})
}

// apply runs a server-side apply without reading the object first.
func (o *operation) apply(
	ctx context.Context, content *unstructured.Unstructured, force bool,
) (*unstructured.Unstructured, error) {
	return o.write(ctx, content.GetNamespace(),
		func(client dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
			return client.Patch(ctx, content.GetName(), types.ApplyPatchType, encode(content), metav1.PatchOptions{
				FieldManager: o.manager, Force: &force, FieldValidation: metav1.FieldValidationWarn,
			})
		})
}

// takeOver transfers fields that the creation or kubectl apply wrote to the manager of the apply. Otherwise an apply
// could not remove a field that the program dropped, because its creator would still own it.
func (o *operation) takeOver(
	ctx context.Context, existing *unstructured.Unstructured,
) (*unstructured.Unstructured, error) {
	creators := sets.New(o.manager, pluginCreateManager, "pulumi-resource-kubernetes", "kubectl-client-side-apply",
		"kubectl", "before-first-apply")
	owned := slices.ContainsFunc(existing.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return creators.Has(entry.Manager) && entry.Operation == metav1.ManagedFieldsOperationUpdate &&
			entry.Subresource == ""
	})
	if !owned {
		return existing, nil
	}
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(existing, creators, o.manager)
	if err != nil || patch == nil {
		return existing, err
	}
	client, err := o.client(existing.GetNamespace())
	if err != nil {
		return nil, err
	}
	return client.Patch(ctx, existing.GetName(), types.JSONPatchType, patch,
		metav1.PatchOptions{FieldManager: o.manager})
}

// force reports whether fields that another manager owns are taken from it.
func (o *operation) force(existing *unstructured.Unstructured) bool {
	return o.settings.EnablePatchForce || annotations(o.inputs)[annotationPatchForce] == "true" ||
		len(existing.GetManagedFields()) == 0
}

// explained adds the possible solutions to a conflict between field managers.
func (o *operation) explained(err error) error {
	if !fieldConflict(err) {
		return err
	}
	return fmt.Errorf(
		"%w: another controller owns these fields: leave them out of the program, name them in ignoreChanges, "+
			"or take them with the annotation %s: \"true\"", err, annotationPatchForce)
}

// respecting removes from an apply the ignored fields that other managers own, so that for example the replicas that an
// autoscaler set stay. Ignored fields that this manager owns keep their value in the cluster.
func respecting(
	content, existing *unstructured.Unstructured, manager string, ignored []string,
) *unstructured.Unstructured {
	if len(ignored) == 0 {
		return content
	}
	content = content.DeepCopy()
	for _, text := range ignored {
		path, err := resource.ParsePropertyPath(text)
		if err != nil {
			continue
		}
		keys := make([]string, 0, len(path))
		for _, step := range path {
			key, ok := step.(string)
			if !ok {
				// Items of lists have no stable position in the cluster.
				keys = nil
				break
			}
			keys = append(keys, key)
		}
		if len(keys) == 0 {
			continue
		}
		value, found, err := unstructured.NestedFieldCopy(existing.Object, keys...)
		switch {
		case err != nil || !found:
		case owns(existing, manager, keys):
			_ = unstructured.SetNestedField(content.Object, value, keys...)
		default:
			unstructured.RemoveNestedField(content.Object, keys...)
		}
	}
	return content
}

// owns reports whether a manager applied a field.
func owns(obj *unstructured.Unstructured, manager string, keys []string) bool {
	for _, entry := range obj.GetManagedFields() {
		if entry.Manager != manager || entry.FieldsV1 == nil {
			continue
		}
		var fields map[string]any
		if json.Unmarshal(entry.FieldsV1.Raw, &fields) != nil {
			continue
		}
		inside := true
		for _, key := range keys {
			next, ok := fields["f:"+key].(map[string]any)
			if !ok {
				inside = false
				break
			}
			fields = next
		}
		if inside {
			return true
		}
	}
	return false
}

func encode(content *unstructured.Unstructured) []byte {
	// The content comes from JSON-like properties, so it can always be encoded.
	data, _ := json.Marshal(content.Object)
	return data
}
