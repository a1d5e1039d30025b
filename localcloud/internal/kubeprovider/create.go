package kubeprovider

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"dbtier/localcloud/internal/kubeprovider/await"
)

// Create creates an object and waits until it is ready. A preview is a dry run if the cluster is reachable and knows
// the kind.
func (s *Server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	urn := resource.URN(req.GetUrn())
	inputs, err := unmarshal("inputs", req.GetProperties())
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bound(about(ctx, urn))
	defer cancel()
	if req.GetPreview() {
		// Values that are not in the inputs stay unknown: a dry run would return a uid and a clusterIP that are never
		// used.
		return &pulumirpc.CreateResponse{Properties: req.GetProperties()}, s.previewCreate(ctx, urn, inputs)
	}
	o, err := s.begin(ctx, "create", urn, inputs, "")
	if err != nil {
		return nil, err
	}
	live, err := o.create(ctx)
	if err != nil {
		return nil, o.failed("create", o.wire(), err)
	}
	s.remember(live.GetUID())
	live, err = o.ready(ctx, live, req.GetTimeout())
	state := o.recorded(live, "")
	if err != nil {
		return nil, initFailed(live, state, nil, err)
	}
	recorded, err := marshal("outputs", state)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CreateResponse{Id: identifier(live), Properties: recorded}, nil
}

// previewCreate checks whether the API server would accept the object. It ignores errors that only occur in a preview:
// a namespace or definition does not exist yet, or the object to be replaced still exists.
func (s *Server) previewCreate(ctx context.Context, urn resource.URN, inputs resource.PropertyMap) error {
	if _, err := kindOf(urn); err != nil {
		return err
	}
	if s.reachable() == nil || inputs.ContainsUnknowns() {
		return nil
	}
	o, err := s.begin(ctx, "preview", urn, inputs, "")
	if err != nil {
		return err
	}
	content := o.wire()
	if _, known := s.scope(o.gvk); !known {
		return nil
	}
	client, err := o.client(content.GetNamespace())
	if err != nil {
		return nil //nolint:nilerr // A kind that the cluster does not know yet cannot be checked.
	}
	_, err = client.Create(ctx, content, metav1.CreateOptions{
		FieldManager: o.manager, DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationWarn,
	})
	if err == nil || !refused(err) {
		return nil
	}
	return o.failed("the API server would refuse", content, err)
}

// refused reports whether the API server rejected the object itself and would do so again.
func refused(err error) bool {
	return apierrors.IsInvalid(err) ||
		(apierrors.IsBadRequest(err) && !webhookDown(err) && !strings.Contains(err.Error(), "does not support dry run"))
}

// create posts the object, or takes over one that an interrupted run left.
func (o *operation) create(ctx context.Context) (*unstructured.Unstructured, error) {
	content := o.wire()
	if o.settings.UpsertExistingObjects {
		return o.apply(ctx, content, true)
	}
	live, err := o.write(ctx, content.GetNamespace(),
		func(client dynamic.ResourceInterface) (*unstructured.Unstructured, error) {
			return client.Create(ctx, content, metav1.CreateOptions{
				FieldManager: o.manager, FieldValidation: metav1.FieldValidationWarn,
			})
		})
	if apierrors.IsAlreadyExists(err) {
		return o.adopt(ctx, content)
	}
	return live, err
}

// adopt takes over an existing object if it comes from an interrupted creation of this resource that the engine has not
// recorded.
func (o *operation) adopt(ctx context.Context, content *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	client, err := o.client(content.GetNamespace())
	if err != nil {
		return nil, err
	}
	existing, err := client.Get(ctx, content.GetName(), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if existing.GetDeletionTimestamp() != nil {
		o.report("waiting for the deletion of an object with this name")
		return o.recreate(ctx, content, existing)
	}
	if !managedBy(existing, o.manager) || o.server.remembers(existing.GetUID()) {
		return nil, foreign(existing)
	}
	if !o.failedJob(existing) {
		live, err := o.apply(ctx, content, true)
		if err == nil || !apierrors.IsInvalid(err) {
			return live, err
		}
		// Its immutable fields are those of an earlier version of the program.
	}
	o.report("deleting the object that an interrupted run left")
	return o.recreate(ctx, content, existing)
}

// recreate deletes an object and creates it again.
func (o *operation) recreate(
	ctx context.Context, content, existing *unstructured.Unstructured,
) (*unstructured.Unstructured, error) {
	if err := o.remove(ctx, existing, metav1.DeletePropagationForeground, false, 0); err != nil {
		return nil, err
	}
	client, err := o.client(content.GetNamespace())
	if err != nil {
		return nil, err
	}
	return client.Create(ctx, content, metav1.CreateOptions{
		FieldManager: o.manager, FieldValidation: metav1.FieldValidationWarn,
	})
}

func (o *operation) failedJob(existing *unstructured.Unstructured) bool {
	return o.isJob() && await.JobFailed(existing)
}

// createdBy reports whether a field manager created an object by a plain POST, which records an Update by that manager.
func createdBy(obj *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationUpdate &&
			entry.Subresource == ""
	})
}

// managedBy reports whether a field manager created or applied an object.
func managedBy(obj *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == manager && entry.Subresource == ""
	})
}

// foreign is the error for an object of another owner. It does not advise to delete the object, because its owner uses
// it.
func foreign(existing *unstructured.Unstructured) error {
	return fmt.Errorf("it already exists and does not belong to this stack (%s): if the resource was renamed in the "+
		"program, give it an alias; if it shall belong to this stack, import it with pulumi import, or set the "+
		"provider's upsertExistingObjects to take over such objects; otherwise give the resource another name",
		writers(existing))
}

// writers names the clients that have written an object.
func writers(obj *unstructured.Unstructured) string {
	var names []string
	for _, entry := range obj.GetManagedFields() {
		if entry.Subresource == "" && !slices.Contains(names, entry.Manager) {
			names = append(names, entry.Manager)
		}
	}
	if len(names) == 0 {
		return "nothing says who wrote it"
	}
	return "written by " + strings.Join(names, " and ")
}

// encodeStringData converts a Secret's stringData to data, as the API server does when it receives it. Only then does
// server-side apply know which entries it owns, and remove entries that the program dropped.
func encodeStringData(secret map[string]any) {
	plain, ok := secret["stringData"].(map[string]any)
	if !ok {
		return
	}
	data, ok := secret["data"].(map[string]any)
	if !ok {
		data = map[string]any{}
	}
	for key, value := range plain {
		if text, ok := value.(string); ok {
			data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		}
	}
	secret["data"] = data
	delete(secret, "stringData")
}
