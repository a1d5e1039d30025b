package kubeprovider

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"dbtier/localcloud/internal/kubeprovider/await"
)

// defaultTimeout is how long an object may take to become ready or to go, as in pulumi-kubernetes.
const defaultTimeout = 10 * time.Minute

// operation is one change of one object.
type operation struct {
	server   *Server
	cluster  *cluster
	settings settings

	urn     resource.URN
	gvk     schema.GroupVersionKind
	inputs  resource.PropertyMap
	manager string
	report  func(string)
}

// begin prepares an operation on a cluster.
func (s *Server) begin(
	ctx context.Context, doing string, urn resource.URN, inputs resource.PropertyMap, manager string,
) (*operation, error) {
	gvk, err := kindOf(urn)
	if err != nil {
		return nil, err
	}
	found, given, err := s.connected(doing + " " + urn.Name())
	if err != nil {
		return nil, err
	}
	if chosen := annotations(inputs)[annotationFieldManager]; chosen != "" {
		manager = chosen
	}
	if manager == "" {
		manager = s.manager(urn, annotations(inputs)[resourcePolicy] == "keep")
	}
	return &operation{
		server: s, cluster: found, settings: given, urn: urn, gvk: gvk, inputs: inputs, manager: manager,
		report: s.reporter(context.WithoutCancel(ctx), urn),
	}, nil
}

// client is the API for the object's kind; a kind that is not known yet may be defined at this moment by another
// resource, so discovery is asked afresh.
func (o *operation) client(namespace string) (dynamic.ResourceInterface, error) {
	client, err := o.cluster.client(o.gvk, namespace)
	if err != nil {
		o.cluster.forget()
	}
	return client, err
}

// wire is the object as it is sent: without the fields that only the server sets.
func (o *operation) wire() *unstructured.Unstructured {
	content := asObject(o.inputs)
	for _, name := range []string{
		"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
		"resourceVersion", "uid",
	} {
		unstructured.RemoveNestedField(content.Object, "metadata", name)
	}
	if o.gvk.Group == "" && o.gvk.Kind == "Secret" {
		encodeStringData(content.Object)
	}
	return content
}

// timeout is how long the object may take: the resource's customTimeouts, else its annotation, else ten minutes.
func (o *operation) timeout(seconds float64) time.Duration {
	if seconds > 0 {
		return time.Duration(seconds * float64(time.Second))
	}
	if seconds, err := strconv.Atoi(annotations(o.inputs)[annotationTimeoutSeconds]); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return defaultTimeout
}

// ready waits until the object is what it is for.
func (o *operation) ready(
	ctx context.Context, live *unstructured.Unstructured, seconds float64,
) (*unstructured.Unstructured, error) {
	client, err := o.client(live.GetNamespace())
	if err != nil {
		return live, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout(seconds))
	defer cancel()
	awaiter := &await.Awaiter{Kube: o.cluster.kube, Report: o.report}
	live, err = awaiter.Ready(ctx, await.Target{Object: live, Resource: client, Annotations: annotations(o.inputs)})
	var failure *await.Error
	if errors.As(err, &failure) && o.isJob() && annotations(o.inputs)[annotationReplaceUnready] != "true" {
		failure.Details = append(failure.Details,
			fmt.Sprintf("the next update makes a new Job only when the Job changes: "+
				"delete it, or give it the annotation %s: \"true\" to try an unchanged Job again",
				annotationReplaceUnready))
	}
	return live, err
}

func (o *operation) isJob() bool { return o.gvk.Kind == "Job" && o.gvk.Group == "batch" }

// failed puts what was being done before an error, and hides in it what the program holds secret: an API server quotes
// the values that it refuses.
func (o *operation) failed(doing string, obj *unstructured.Unstructured, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(await.Mask(secrets(resource.NewObjectProperty(o.inputs)),
		fmt.Sprintf("%s %s: %v", doing, title(o.gvk, obj), err)))
}

// secrets are the secret texts in properties.
func secrets(value resource.PropertyValue) []string {
	var found []string
	var collect func(value resource.PropertyValue, hidden bool)
	collect = func(value resource.PropertyValue, hidden bool) {
		switch {
		case value.IsSecret():
			collect(value.SecretValue().Element, true)
		case value.IsObject():
			for _, item := range value.ObjectValue() {
				collect(item, hidden)
			}
		case value.IsArray():
			for _, item := range value.ArrayValue() {
				collect(item, hidden)
			}
		case value.IsString() && hidden:
			found = append(found, value.StringValue())
		}
	}
	collect(value, false)
	return found
}

// recorded are the outputs of the operation.
func (o *operation) recorded(live *unstructured.Unstructured, initialAPIVersion string) resource.PropertyMap {
	if initialAPIVersion == "" {
		initialAPIVersion = live.GetAPIVersion()
	}
	return outputs(live, o.inputs, initialAPIVersion, o.manager)
}

// initFailed is the error for an object that exists and is not ready: the engine records the object, and goes on with
// it at the next update.
func initFailed(live *unstructured.Unstructured, state, inputs resource.PropertyMap, cause error) error {
	reasons := []string{cause.Error()}
	var failure *await.Error
	if errors.As(cause, &failure) {
		reasons = append([]string{failure.Summary}, failure.Details...)
	}
	detail := &pulumirpc.ErrorResourceInitFailed{Id: identifier(live), Reasons: reasons}
	var err error
	if detail.Properties, err = marshal("outputs", state); err != nil {
		return err
	}
	if inputs != nil {
		if detail.Inputs, err = marshal("inputs", inputs); err != nil {
			return err
		}
	}
	return rpcerror.WithDetails(rpcerror.New(codes.Unknown, cause.Error()), detail)
}

// title names an object for messages.
func title(gvk schema.GroupVersionKind, obj *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s", gvk.Kind, identifier(obj))
}

// childless are the kinds that own no other objects. Deleting one in the foreground, as is the default, would only make
// it wait for the garbage collector to find that out.
var childless = map[schema.GroupKind]bool{
	{Kind: "ConfigMap"}:      true,
	{Kind: "LimitRange"}:     true,
	{Kind: "ResourceQuota"}:  true,
	{Kind: "Secret"}:         true,
	{Kind: "ServiceAccount"}: true,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:   true,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: true,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:               true,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:                             true,
	{Group: "policy", Kind: "PodDisruptionBudget"}:                                  true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                       true,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:                true,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                              true,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:                       true,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                             true,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                 true,
}

// propagation reads a pulumi.com/deletionPropagationPolicy annotation; what depends on an object goes first by default.
func propagation(kind schema.GroupKind, value string) (metav1.DeletionPropagation, error) {
	switch strings.ToLower(value) {
	case "":
		if childless[kind] {
			return metav1.DeletePropagationBackground, nil
		}
		return metav1.DeletePropagationForeground, nil
	case "foreground":
		return metav1.DeletePropagationForeground, nil
	case "background":
		return metav1.DeletePropagationBackground, nil
	case "orphan":
		return metav1.DeletePropagationOrphan, nil
	default:
		return "", fmt.Errorf("is %q and must be \"foreground\", \"background\" or \"orphan\"", value)
	}
}
