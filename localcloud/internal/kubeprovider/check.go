package kubeprovider

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"dbtier/localcloud/internal/kubeprovider/await"
)

// Annotations of pulumi-kubernetes in addition to those in package await.
const (
	annotationAutonamed      = "pulumi.com/autonamed"
	annotationTimeoutSeconds = "pulumi.com/timeoutSeconds"
	annotationReplaceUnready = "pulumi.com/replaceUnready"
	annotationPatchForce     = "pulumi.com/patchForce"
	annotationFieldManager   = "pulumi.com/patchFieldManager"
	annotationPropagation    = "pulumi.com/deletionPropagationPolicy"
	annotationLastApplied    = "kubectl.kubernetes.io/last-applied-configuration"
)

// Field managers. Ours have the same prefix as those of pulumi-kubernetes. The second name is the one that
// pulumi-kubernetes uses for creations.
const (
	fieldManagerPrefix  = "pulumi-kubernetes-"
	pluginCreateManager = "pulumi-kubernetes"
)

// Check completes the inputs of an object: it generates a missing name, sets the default namespace and marks secrets.
// It reports all faults of the inputs together.
func (s *Server) Check(ctx context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	urn := resource.URN(req.GetUrn())
	gvk, err := kindOf(urn)
	if err != nil {
		return nil, err
	}
	if s.settled().SkipUpdateUnreachable && !s.options.Offline && s.reachable() == nil {
		s.log(ctx, diag.Warning, urn,
			"the cluster cannot be reached, and skipUpdateUnreachable leaves the object as it is", false)
		return &pulumirpc.CheckResponse{Inputs: req.GetOlds()}, nil
	}
	news, err := unmarshal("inputs", req.GetNews())
	if err != nil {
		return nil, err
	}
	failures := checkIdentity(gvk, news)
	failures = append(failures, checkAnnotations(news)...)
	for _, path := range notObjects(nil, resource.NewObjectProperty(news)) {
		failures = append(failures, &pulumirpc.CheckFailure{
			Property: path,
			Reason: "is an asset, an archive or a resource, and a Kubernetes object can contain only data: use its " +
				"content or one of its outputs",
		})
	}
	if gvk.Kind == "CustomResourceDefinition" {
		s.kinds.learn(news)
	}
	inputs, changed := news, false
	if !isUnknown(news, "metadata", "name") && text(news, "metadata", "name") == "" {
		changed = true
		chosen, failure, err := chooseName(urn, req)
		switch {
		case err != nil:
			return nil, err
		case failure != nil:
			failures = append(failures, failure)
		default:
			inputs = named(inputs, chosen)
		}
	}
	if len(failures) > 0 {
		return &pulumirpc.CheckResponse{Inputs: req.GetNews(), Failures: failures}, nil
	}
	if namespace := s.namespaceFor(gvk, inputs); namespace != "" {
		changed = true
		inputs = withMetadata(inputs, func(metadata resource.PropertyMap) {
			metadata["namespace"] = resource.NewStringProperty(namespace)
		})
	}
	if isSecretObject(inputs) {
		changed = true
		inputs = maps.Clone(inputs)
		markSecrets(inputs, nil)
	}
	if !changed {
		return &pulumirpc.CheckResponse{Inputs: req.GetNews()}, nil
	}
	checked, err := marshal("checked inputs", inputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.CheckResponse{Inputs: checked}, nil
}

// checkIdentity compares apiVersion and kind with the type of the resource.
func checkIdentity(gvk schema.GroupVersionKind, inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	fail := func(property, format string, values ...any) {
		failures = append(failures, &pulumirpc.CheckFailure{Property: property, Reason: fmt.Sprintf(format, values...)})
	}
	want := map[string]string{"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind}
	for _, key := range []string{"apiVersion", "kind"} {
		given, ok := field(inputs, key)
		switch {
		case isUnknown(inputs, key):
			fail(key, "must be known and be %q, to match the type of the resource", want[key])
		case !ok || !given.IsString() || given.StringValue() != want[key]:
			fail(key, "is %q and must be %q, to match the type of the resource", text(inputs, key), want[key])
		}
	}
	if metadata, ok := field(inputs, "metadata"); ok && !metadata.IsObject() && !metadata.IsNull() &&
		!isUnknown(inputs, "metadata") {
		failures = append(failures, &pulumirpc.CheckFailure{
			Property: "metadata", Reason: "must be an object and is a " + metadata.TypeString(),
		})
	}
	if text(inputs, "metadata", "generateName") != "" && text(inputs, "metadata", "name") == "" {
		failures = append(failures, &pulumirpc.CheckFailure{
			Property: "metadata.generateName",
			Reason: "is not supported with server-side apply: leave it out, and a name is generated from the " +
				"resource's " +
				"name and a random suffix",
		})
	}
	return failures
}

// checkAnnotations checks the annotations that control this provider. Otherwise they would fail in the middle of an
// update or be ignored.
func checkAnnotations(inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	fail := func(annotation, reason string) {
		path := resource.PropertyPath{"metadata", "annotations", annotation}
		failures = append(failures, &pulumirpc.CheckFailure{Property: path.String(), Reason: reason})
	}
	given := annotations(inputs)
	if value, ok := given[await.AnnotationWaitFor]; ok {
		if _, err := await.ParseWaitFor(value); err != nil {
			fail(await.AnnotationWaitFor, err.Error())
		}
	}
	if value, ok := given[annotationTimeoutSeconds]; ok {
		if seconds, err := strconv.Atoi(value); err != nil || seconds <= 0 {
			fail(annotationTimeoutSeconds, fmt.Sprintf("is %q and must be a number of seconds above 0", value))
		}
	}
	for _, annotation := range []string{await.AnnotationSkipAwait, annotationReplaceUnready, annotationPatchForce} {
		if value, ok := given[annotation]; ok && value != "true" && value != "false" {
			fail(annotation, fmt.Sprintf("is %q and must be \"true\" or \"false\"", value))
		}
	}
	if value, ok := given[annotationReplaceUnready]; ok && value == "true" && text(inputs, "kind") != "Job" {
		fail(annotationReplaceUnready, "applies only to Jobs: leave it out")
	}
	if value, ok := given[annotationPropagation]; ok {
		if _, err := propagation(schema.GroupKind{}, value); err != nil {
			fail(annotationPropagation, err.Error())
		}
	}
	return failures
}

// chooseName returns the current name of an object without a name in its inputs, or generates one from the resource's
// name and a random suffix.
func chooseName(urn resource.URN, req *pulumirpc.CheckRequest) (string, *pulumirpc.CheckFailure, error) {
	olds, err := unmarshal("old inputs", req.GetOlds())
	if err != nil {
		return "", nil, err
	}
	if before := text(olds, "metadata", "name"); before != "" && annotations(olds)[annotationAutonamed] == "true" {
		return before, nil, nil
	}
	switch autonaming := req.GetAutonaming(); autonaming.GetMode() {
	case pulumirpc.CheckRequest_AutonamingOptions_DISABLE:
		return "", &pulumirpc.CheckFailure{
			Property: "metadata.name",
			Reason:   "is missing, and autonaming is disabled for this stack: set it",
		}, nil
	case pulumirpc.CheckRequest_AutonamingOptions_PROPOSE, pulumirpc.CheckRequest_AutonamingOptions_ENFORCE:
		if proposed := autonaming.GetProposedName(); proposed != "" {
			return proposed, nil, nil
		}
	}
	chosen, err := resource.NewUniqueName(req.GetRandomSeed(), strings.ToLower(urn.Name())+"-", 0, 0, nil)
	return chosen, nil, err
}

// named sets the generated name and marks it. Only objects with a generated name can be replaced before the old one is
// deleted.
func named(inputs resource.PropertyMap, chosen string) resource.PropertyMap {
	return withMetadata(inputs, func(metadata resource.PropertyMap) {
		metadata["name"] = resource.NewStringProperty(chosen)
		marks := resource.PropertyMap{}
		if value, ok := field(metadata, "annotations"); ok {
			if value.ContainsUnknowns() && !value.IsObject() {
				return
			}
			if value.IsObject() {
				marks = maps.Clone(value.ObjectValue())
			}
		}
		marks[annotationAutonamed] = resource.NewStringProperty("true")
		metadata["annotations"] = resource.NewObjectProperty(marks)
	})
}

// namespaceFor returns the provider's namespace for objects that need a namespace and do not set one. If the scope of a
// kind is not known yet, because its definition is not in the cluster, the creation decides.
func (s *Server) namespaceFor(gvk schema.GroupVersionKind, inputs resource.PropertyMap) string {
	if text(inputs, "metadata", "namespace") != "" || isUnknown(inputs, "metadata", "namespace") {
		return ""
	}
	if has, known := s.scope(gvk); !has || !known {
		return ""
	}
	namespace := s.settled().Namespace
	if found := s.reachable(); found != nil {
		namespace = found.namespace
	}
	if namespace == "" {
		namespace = "default"
	}
	return namespace
}
