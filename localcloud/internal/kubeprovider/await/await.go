package await

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// Annotations of an object's inputs that control what to wait for and how long.
const (
	AnnotationSkipAwait = "pulumi.com/skipAwait"
	AnnotationWaitFor   = "pulumi.com/waitFor"
)

// endpointSettle is how long a Service may have a selector that matches no pod before it counts as ready, as in
// pulumi-kubernetes. The selector can be meant for pods that are created later.
const endpointSettle = 10 * time.Second

// Awaiter waits for objects of one cluster.
type Awaiter struct {
	// Kube reads what explains why an object is not ready: its pods, their events and logs.
	Kube kubernetes.Interface
	// Report shows what is being waited for. Each text replaces the previous one.
	Report func(text string)
}

// Target is the object to wait for.
type Target struct {
	// Object is the object as the API server returned it when it was applied.
	Object *unstructured.Unstructured
	// Resource is the client for objects of this kind in this namespace.
	Resource dynamic.ResourceInterface
	// Annotations are those of the inputs, because a mutating webhook can drop them from the object.
	Annotations map[string]string
}

// Error reports an object that exists but is not in the expected state.
type Error struct {
	// Object is the last known state of the object.
	Object *unstructured.Unstructured
	// Summary is one sentence that names the object.
	Summary string
	// Details come from its pods, events and logs. The most useful is first.
	Details []string
}

// Error joins the summary and the details.
func (e *Error) Error() string {
	return strings.Join(append([]string{e.Summary}, e.Details...), "\n")
}

// verdict is the result of one look at an object.
type verdict struct {
	done bool
	// failed ends the wait, because waiting longer cannot help.
	failed  bool
	message string
}

// Ready waits until the target is ready and returns its newest state. If it is not ready in time, the error is an
// [*Error]. The deadline of ctx limits the wait.
func (a *Awaiter) Ready(ctx context.Context, target Target) (*unstructured.Unstructured, error) {
	if target.Annotations[AnnotationSkipAwait] == "true" {
		return target.Object, nil
	}
	if expression := target.Annotations[AnnotationWaitFor]; expression != "" {
		conditions, err := ParseWaitFor(expression)
		if err != nil {
			return target.Object, &Error{
				Object:  target.Object,
				Summary: fmt.Sprintf("%s: annotation %s: %v", describe(target.Object), AnnotationWaitFor, err),
			}
		}
		return a.until(ctx, target, allOf(conditions), nil)
	}
	switch target.Object.GroupVersionKind().GroupKind().String() {
	case "Job.batch":
		return a.job(ctx, target)
	case "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps":
		return a.workload(ctx, target)
	case "Pod":
		return a.until(ctx, target, podVerdict, a.explainPod)
	case "Service":
		return a.service(ctx, target)
	case "Namespace":
		return a.until(ctx, target, namespaceVerdict, nil)
	case "PersistentVolumeClaim":
		return a.until(ctx, target, a.claimVerdict(ctx), nil)
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return a.until(ctx, target, kstatusVerdict, nil)
	default:
		return target.Object, nil
	}
}

// ReadyNow checks once whether the object is ready, without waiting. A refresh uses it. Kinds that are not awaited
// count as ready.
func (a *Awaiter) ReadyNow(ctx context.Context, target Target) error {
	if target.Annotations[AnnotationSkipAwait] == "true" || target.Annotations[AnnotationWaitFor] != "" {
		return nil
	}
	var found verdict
	var explain func(context.Context, *unstructured.Unstructured) []string
	switch target.Object.GroupVersionKind().GroupKind().String() {
	case "Job.batch":
		found, explain = jobVerdict(target.Object), a.explainJob
	case "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps":
		found, explain = kstatusVerdict(target.Object), a.explainWorkload
	case "Pod":
		found, explain = podVerdict(target.Object), a.explainPod
	default:
		return nil
	}
	if found.done {
		return nil
	}
	return &Error{
		Object:  target.Object,
		Summary: fmt.Sprintf("%s is not ready: %s", describe(target.Object), found.message),
		Details: explain(ctx, target.Object),
	}
}

// JobComplete reports whether a Job has completed successfully.
func JobComplete(job *unstructured.Unstructured) bool { return jobVerdict(job).done }

// JobFailed reports whether a Job has failed permanently.
func JobFailed(job *unstructured.Unstructured) bool { return jobVerdict(job).failed }

// Gone waits until the object no longer exists. An object with the same name and another UID counts as gone.
func (a *Awaiter) Gone(ctx context.Context, target Target) error {
	last := target.Object
	uid := target.Object.GetUID()
	a.Report("waiting until it is gone")
	other := func(obj *unstructured.Unstructured) bool {
		return obj.GetName() != target.Object.GetName() || (uid != "" && obj.GetUID() != uid)
	}
	absent := func(store cache.Store) (bool, error) {
		for _, item := range store.List() {
			if obj, ok := item.(*unstructured.Unstructured); ok && !other(obj) {
				last = obj
				return false, nil
			}
		}
		return true, nil
	}
	_, err := watchtools.UntilWithSync(ctx, single(target.Resource, target.Object.GetName()),
		&unstructured.Unstructured{}, absent,
		func(event watch.Event) (bool, error) {
			obj, ok := event.Object.(*unstructured.Unstructured)
			if !ok || other(obj) {
				return false, nil
			}
			last = obj
			if event.Type == watch.Deleted {
				return true, nil
			}
			if text := deletionProgress(obj); text != "" {
				a.Report("waiting until it is gone: " + text)
			}
			return false, nil
		})
	if err == nil {
		return nil
	}
	failure := &Error{Object: last, Summary: fmt.Sprintf("%s is being deleted and still exists%s", describe(last),
		ending(ctx, err))}
	if text := deletionProgress(last); text != "" {
		failure.Details = append(failure.Details, text)
	}
	return failure
}

// deletionProgress describes what delays the deletion of an object.
func deletionProgress(obj *unstructured.Unstructured) string {
	var parts []string
	if finalizers := obj.GetFinalizers(); len(finalizers) > 0 {
		parts = append(parts, "its finalizers are "+strings.Join(finalizers, ", "))
	}
	for _, kind := range []string{
		"NamespaceContentRemaining", "NamespaceFinalizersRemaining",
		"NamespaceDeletionContentFailure",
	} {
		if condition, ok := statusCondition(obj, kind); ok && asString(condition["status"]) == "True" {
			parts = append(parts, asString(condition["message"]))
		}
	}
	return strings.Join(parts, "; ")
}

// until watches the target until look returns done or failed, or ctx ends.
func (a *Awaiter) until(
	ctx context.Context, target Target,
	look func(*unstructured.Unstructured) verdict,
	explain func(context.Context, *unstructured.Unstructured) []string,
) (*unstructured.Unstructured, error) {
	last := target.Object
	found := look(last)
	if !found.done && !found.failed {
		a.Report("waiting: " + found.message)
		_, err := watchtools.UntilWithSync(ctx, single(target.Resource, target.Object.GetName()),
			&unstructured.Unstructured{}, nil,
			func(event watch.Event) (bool, error) {
				obj, ok := event.Object.(*unstructured.Unstructured)
				if !ok || obj.GetName() != target.Object.GetName() {
					return false, nil
				}
				if event.Type == watch.Deleted {
					return false, errDeleted
				}
				// The list that a watch begins with comes from a cache of the API server, which can be behind the
				// write.
				if older(obj, target.Object) {
					return false, nil
				}
				last = obj
				found = look(obj)
				if !found.done && !found.failed {
					a.Report("waiting: " + found.message)
				}
				return found.done || found.failed, nil
			})
		if err != nil {
			failure := &Error{Object: last, Summary: fmt.Sprintf("%s is not ready%s: %s", describe(last),
				ending(ctx, err), found.message)}
			var missing *MissingImageError
			if errors.As(context.Cause(ctx), &missing) {
				failure.Summary = fmt.Sprintf("%s is not ready: %s", describe(last), missing)
				return last, failure
			}
			if explain != nil && !errors.Is(err, errDeleted) {
				failure.Details = a.explanation(ctx, last, explain)
			}
			return last, failure
		}
	}
	if found.failed {
		failure := &Error{Object: last, Summary: fmt.Sprintf("%s failed: %s", describe(last), found.message)}
		if explain != nil {
			failure.Details = a.explanation(ctx, last, explain)
		}
		return last, failure
	}
	return last, nil
}

// older reports whether an object is an earlier state of the other one. Resource versions of one API server are numbers
// that grow with every write.
func older(obj, other *unstructured.Unstructured) bool {
	version, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	otherVersion, otherErr := strconv.ParseUint(other.GetResourceVersion(), 10, 64)
	return err == nil && otherErr == nil && version < otherVersion && obj.GetUID() == other.GetUID()
}

// explanation runs explain even if ctx has ended, because a timeout is explained after the deadline.
func (a *Awaiter) explanation(
	ctx context.Context, obj *unstructured.Unstructured,
	explain func(context.Context, *unstructured.Unstructured) []string,
) []string {
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return explain(late, obj)
}

var errDeleted = errors.New("the object was deleted")

// ending describes in a few words why a wait ended without success.
func ending(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, errDeleted):
		return ": it was deleted during the wait"
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return " (timed out)"
	case ctx.Err() != nil:
		return " (cancelled)"
	default:
		return fmt.Sprintf(" (watching it failed: %v)", err)
	}
}

// single lists and watches one object by name.
func single(resource dynamic.ResourceInterface, name string) cache.ListerWatcher {
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = selector
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = selector
			return resource.Watch(ctx, options)
		},
	}
}

func describe(obj *unstructured.Unstructured) string {
	name := obj.GetName()
	if namespace := obj.GetNamespace(); namespace != "" {
		name = namespace + "/" + name
	}
	return obj.GetKind() + " " + name
}

func allOf(conditions []Condition) func(*unstructured.Unstructured) verdict {
	return func(obj *unstructured.Unstructured) verdict {
		var missing []string
		for _, condition := range conditions {
			if ok, found := condition.test(obj); !ok {
				missing = append(missing, fmt.Sprintf("%s: %s", condition, found))
			}
		}
		return verdict{done: len(missing) == 0, message: strings.Join(missing, "; ")}
	}
}

// kstatusVerdict returns the status of a built-in kind as computed by kstatus, the library of kubectl-like tools.
func kstatusVerdict(obj *unstructured.Unstructured) verdict {
	result, err := status.Compute(obj)
	if err != nil {
		return verdict{message: err.Error()}
	}
	message := result.Message
	for _, condition := range result.Conditions {
		if condition.Message != "" && condition.Message != message {
			message += " (" + condition.Message + ")"
		}
	}
	return verdict{
		done: result.Status == status.CurrentStatus, failed: result.Status == status.FailedStatus,
		message: message,
	}
}

func namespaceVerdict(obj *unstructured.Unstructured) verdict {
	phase, _, _ := unstructured.NestedString(obj.Object, "status", "phase")
	return verdict{done: phase == "Active", message: fmt.Sprintf("phase is %q", phase)}
}

func podVerdict(obj *unstructured.Unstructured) verdict {
	if phase, _, _ := unstructured.NestedString(obj.Object, "status", "phase"); phase == "Failed" {
		return verdict{failed: true, message: "phase is Failed"}
	}
	found := kstatusVerdict(obj)
	// A pod that crashes can recover later. pulumi-kubernetes keeps waiting until the timeout, too.
	found.failed = false
	return found
}

// claimVerdict waits for a claim to be bound, unless its class binds only when a pod uses it.
func (a *Awaiter) claimVerdict(ctx context.Context) func(*unstructured.Unstructured) verdict {
	late := map[string]bool{}
	return func(obj *unstructured.Unstructured) verdict {
		found := kstatusVerdict(obj)
		class, _, _ := unstructured.NestedString(obj.Object, "spec", "storageClassName")
		if found.done || class == "" {
			return found
		}
		if _, asked := late[class]; !asked {
			storage, err := a.Kube.StorageV1().StorageClasses().Get(ctx, class, metav1.GetOptions{})
			late[class] = err == nil && storage.VolumeBindingMode != nil &&
				*storage.VolumeBindingMode == "WaitForFirstConsumer"
		}
		found.done = late[class]
		return found
	}
}

// listWatch lists and watches the namespaced objects of a typed client by label.
func listWatch[L runtime.Object](
	selector string,
	list func(context.Context, metav1.ListOptions) (L, error),
	follow func(context.Context, metav1.ListOptions) (watch.Interface, error),
) cache.ListerWatcher {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = selector
			return list(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = selector
			return follow(ctx, options)
		},
	}
}
