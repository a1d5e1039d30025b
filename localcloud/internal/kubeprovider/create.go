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

	"dbtier/localcloud/internal/kubeprovider/await"
)

// Create makes an object and waits until it is ready. In a preview it is a dry run, where the cluster is there and its
// kind is known.
func (s *Server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	urn := resource.URN(req.GetUrn())
	inputs, err := unmarshal("inputs", req.GetProperties())
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bound(about(ctx, urn))
	defer cancel()
	if req.GetPreview() {
		// What the inputs do not say stays unknown: a dry run would answer with a uid and a clusterIP that never come.
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

// previewCreate asks the API server whether it would take the object. Reasons that only the order of a preview has (the
// namespace or the definition does not exist yet, the object that is to be replaced does) are none.
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
		return nil //nolint:nilerr // A kind that the cluster does not know yet cannot be tried.
	}
	_, err = client.Create(ctx, content, metav1.CreateOptions{
		FieldManager: o.manager, DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationWarn,
	})
	if err == nil || !refused(err) {
		return nil
	}
	return o.failed("the API server would refuse", content, err)
}

// refused tells whether the API server said no to an object itself, and would again.
func refused(err error) bool {
	return apierrors.IsInvalid(err) ||
		(apierrors.IsBadRequest(err) && !webhookDown(err) && !strings.Contains(err.Error(), "does not support dry run"))
}

// create posts the object, and takes over one that an interrupted run left.
func (o *operation) create(ctx context.Context) (*unstructured.Unstructured, error) {
	content := o.wire()
	if o.settings.UpsertExistingObjects {
		return o.apply(ctx, content, true)
	}
	var live *unstructured.Unstructured
	err := patient.retry(ctx, o.report, func() error {
		client, err := o.client(content.GetNamespace())
		if err != nil {
			return err
		}
		live, err = client.Create(ctx, content, metav1.CreateOptions{
			FieldManager: o.manager, FieldValidation: metav1.FieldValidationWarn,
		})
		return err
	})
	switch {
	case apierrors.IsAlreadyExists(err):
		return o.adopt(ctx, content)
	case err != nil:
		return nil, err
	}
	o.learn()
	return live, nil
}

// learn takes up the kinds of a definition that was just applied.
func (o *operation) learn() {
	if o.gvk.Kind == "CustomResourceDefinition" {
		o.server.kinds.learn(o.inputs)
		o.cluster.forget()
	}
}

// adopt takes over an object that exists already if it is the left-over of a creation of this very resource, which was
// interrupted before the engine recorded it.
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
		o.report("waiting until the object of this name that is being deleted is gone")
		return o.recreate(ctx, content, existing)
	}
	if !managedBy(existing, o.manager) || o.server.remembers(existing.GetUID()) {
		return nil, fmt.Errorf(
			"it exists already and is not of this stack: if the resource was renamed in the program, give it an "+
				"alias; "+
				"if somebody else made the object, delete it (kubectl delete %s), bring it into the stack with pulumi "+
				"import, or set the provider's "+
				"upsertExistingObjects to take such objects over", kubectlName(o, existing))
	}
	if !o.failedJob(existing) {
		live, err := o.apply(ctx, content, true)
		if err == nil || !apierrors.IsInvalid(err) {
			return live, err
		}
		// Its immutable fields are those of an older program.
	}
	o.report("deleting what an interrupted run left of it")
	return o.recreate(ctx, content, existing)
}

// recreate makes an object in place of one that has to go.
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

// createdBy tells whether a field manager made an object by a plain POST, which leaves it as the manager of an Update.
func createdBy(obj *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == manager && entry.Operation == metav1.ManagedFieldsOperationUpdate &&
			entry.Subresource == ""
	})
}

// managedBy tells whether a field manager made or applied an object.
func managedBy(obj *unstructured.Unstructured, manager string) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == manager && entry.Subresource == ""
	})
}

func kubectlName(o *operation, obj *unstructured.Unstructured) string {
	name := fmt.Sprintf("%s %s", o.gvk.Kind, obj.GetName())
	if obj.GetNamespace() != "" {
		name += " -n " + obj.GetNamespace()
	}
	return name
}

// encodeStringData turns a Secret's stringData into data, as the API server does on reading it: only so does
// server-side apply know which entries it owns, and removes the one that the program dropped.
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
