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

// defaultTimeout limits the wait until an object is ready or gone, as in pulumi-kubernetes.
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

// client returns the API for the object's kind. Another resource can define an unknown kind at the same time, so
// discovery is read again.
func (o *operation) client(namespace string) (dynamic.ResourceInterface, error) {
	client, err := o.cluster.client(o.gvk, namespace)
	if err != nil {
		o.cluster.forget()
	}
	return client, err
}

// write calls do with the client for a namespace until it succeeds or fails permanently. It then learns the kinds of a
// definition that was written.
func (o *operation) write(
	ctx context.Context, namespace string,
	do func(client dynamic.ResourceInterface) (*unstructured.Unstructured, error),
) (*unstructured.Unstructured, error) {
	var live *unstructured.Unstructured
	err := patient.retry(ctx, o.report, func() error {
		client, err := o.client(namespace)
		if err != nil {
			return err
		}
		live, err = do(client)
		return err
	})
	if err != nil {
		return nil, err
	}
	if o.gvk.Kind == "CustomResourceDefinition" {
		o.server.kinds.learn(o.inputs)
		o.cluster.forget()
	}
	return live, nil
}

// wire returns the object as it is sent, without fields that only the server sets.
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

// timeout returns the time limit for the object: the resource's customTimeouts, otherwise its annotation, otherwise ten
// minutes.
func (o *operation) timeout(seconds float64) time.Duration {
	if seconds > 0 {
		return time.Duration(seconds * float64(time.Second))
	}
	if seconds, err := strconv.Atoi(annotations(o.inputs)[annotationTimeoutSeconds]); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return defaultTimeout
}

// ready waits until the object is ready.
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
			fmt.Sprintf("the next update creates a new Job only if the Job changes: "+
				"delete it, or set the annotation %s: \"true\" to retry an unchanged Job",
				annotationReplaceUnready))
	}
	return live, err
}

func (o *operation) isJob() bool { return o.gvk.Kind == "Job" && o.gvk.Group == "batch" }

// failed adds the action to an error and hides secrets of the program in it, because an API server quotes the values
// that it refuses.
func (o *operation) failed(doing string, obj *unstructured.Unstructured, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(await.Mask(secrets(resource.NewObjectProperty(o.inputs)),
		fmt.Sprintf("%s %s: %v", doing, title(o.gvk, obj), err)))
}

// secrets returns the secret texts in properties.
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

// recorded returns the outputs of the operation.
func (o *operation) recorded(live *unstructured.Unstructured, initialAPIVersion string) resource.PropertyMap {
	if initialAPIVersion == "" {
		initialAPIVersion = live.GetAPIVersion()
	}
	return outputs(live, o.inputs, initialAPIVersion, o.manager)
}

// initFailed returns the error for an object that exists and is not ready. The engine records the object and continues
// with it in the next update.
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

// title names an object in messages.
func title(gvk schema.GroupVersionKind, obj *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s", gvk.Kind, identifier(obj))
}

// childless are kinds that own no other objects. A foreground deletion, the default, would only make them wait for the
// garbage collector.
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

// propagation parses a pulumi.com/deletionPropagationPolicy annotation. By default, dependent objects are deleted
// first.
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
