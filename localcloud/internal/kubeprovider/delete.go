package kubeprovider

import (
	"context"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"dbtier/localcloud/internal/kubeprovider/await"
)

// Delete deletes an object and waits until it is gone. It succeeds if the object or its kind no longer exists.
func (s *Server) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	urn := resource.URN(req.GetUrn())
	olds, err := unmarshal("old state", req.GetProperties())
	if err != nil {
		return nil, err
	}
	recorded := readState(olds)
	ctx, cancel := s.bound(about(ctx, urn))
	defer cancel()
	if s.settled().DeleteUnreachable && !s.options.Offline && s.reachable() == nil {
		s.log(ctx, diag.Warning, urn,
			"the cluster cannot be reached, and deleteUnreachable drops the object from the state without deleting it",
			false)
		return &emptypb.Empty{}, nil
	}
	o, err := s.begin(ctx, "delete", urn, recorded.inputs, recorded.fieldManager)
	if err != nil {
		return nil, err
	}
	if recorded.live.GetName() == "" {
		namespace, name, err := parseIdentifier(req.GetId())
		if err != nil {
			return nil, err
		}
		recorded.live = &unstructured.Unstructured{Object: map[string]any{}}
		recorded.live.SetName(name)
		recorded.live.SetNamespace(namespace)
	}
	recorded.live.SetGroupVersionKind(o.gvk)
	s.remember(recorded.live.GetUID())
	policy, err := propagation(o.gvk.GroupKind(), annotations(recorded.inputs)[annotationPropagation])
	if err != nil {
		return nil, fmt.Errorf("delete %s: annotation %s %w", title(o.gvk, recorded.live), annotationPropagation, err)
	}
	linger := annotations(recorded.inputs)[await.AnnotationSkipAwait] == "true" && mayLinger(o.gvk.Kind)
	if err := o.remove(ctx, recorded.live, policy, linger, req.GetTimeout()); err != nil {
		return nil, o.failed("delete", recorded.live, err)
	}
	if o.gvk.Kind == "CustomResourceDefinition" {
		o.cluster.forget()
	}
	return &emptypb.Empty{}, nil
}

// remove deletes an object and waits until it is gone, unless its kind may linger. It keeps an object of the same name
// that another client has created since. It deletes one that an interrupted run of this resource created.
func (o *operation) remove(
	ctx context.Context, obj *unstructured.Unstructured, policy metav1.DeletionPropagation, linger bool,
	seconds float64,
) error {
	client, err := o.cluster.client(o.gvk, obj.GetNamespace())
	if meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return err
	}
	target := obj
	options := metav1.DeleteOptions{PropagationPolicy: &policy}
	if uid := obj.GetUID(); uid != "" {
		options.Preconditions = metav1.NewUIDPreconditions(string(uid))
	}
	gone := func(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }
	err = patient.retry(ctx, o.report, func() error {
		err := client.Delete(ctx, obj.GetName(), options)
		if gone(err) {
			target = nil
			return nil
		}
		if !apierrors.IsConflict(err) || options.Preconditions == nil {
			return err
		}
		other, err := client.Get(ctx, obj.GetName(), metav1.GetOptions{})
		switch {
		case gone(err):
			target = nil
			return nil
		case err != nil:
			return err
		case !managedBy(other, o.manager):
			o.server.log(ctx, diag.Warning, o.urn, fmt.Sprintf(
				"%s was created again by another client and is not deleted",
				title(o.gvk, other)), false)
			target = nil
			return nil
		}
		target = other
		options.Preconditions = metav1.NewUIDPreconditions(string(other.GetUID()))
		return client.Delete(ctx, obj.GetName(), options)
	})
	if err != nil || target == nil || linger {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout(seconds))
	defer cancel()
	awaiter := &await.Awaiter{Kube: o.cluster.kube, Report: o.report}
	return awaiter.Gone(ctx, await.Target{Object: target, Resource: client})
}

// mayLinger reports whether pulumi.com/skipAwait also skips the wait for a deletion of this kind, as in
// pulumi-kubernetes.
func mayLinger(kind string) bool {
	switch kind {
	case "Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job":
		return true
	}
	return false
}
