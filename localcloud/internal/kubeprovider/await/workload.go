package await

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	watchtools "k8s.io/client-go/tools/watch"
)

// workload waits for the rollout of a Deployment, StatefulSet or DaemonSet, and meanwhile reports what its pods wait
// for.
func (a *Awaiter) workload(ctx context.Context, target Target) (*unstructured.Unstructured, error) {
	watching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if selector, ok := podSelector(target.Object); ok && !kstatusVerdict(target.Object).done {
		go func() { stop(a.reportPods(watching, target.Object, selector)) }()
	}
	return a.until(watching, target, kstatusVerdict, a.explainWorkload)
}

func (a *Awaiter) explainWorkload(ctx context.Context, obj *unstructured.Unstructured) []string {
	selector, ok := podSelector(obj)
	if !ok {
		return nil
	}
	return a.explainPods(ctx, obj.GetNamespace(), selector, func(*corev1.Pod) bool { return true })
}

// job waits until a Job is complete.
func (a *Awaiter) job(ctx context.Context, target Target) (*unstructured.Unstructured, error) {
	watching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if found := jobVerdict(target.Object); !found.done && !found.failed {
		go func() { stop(a.reportPods(watching, target.Object, jobPods(target.Object))) }()
	}
	return a.until(watching, target, jobVerdict, a.explainJob)
}

// jobVerdict is stricter than kstatus, which treats a running Job as current.
func jobVerdict(job *unstructured.Unstructured) verdict {
	if condition, ok := statusCondition(job, "Failed"); ok && asString(condition["status"]) == "True" {
		return verdict{failed: true, message: reasonAndMessage(asString(condition["reason"]),
			asString(condition["message"]))}
	}
	if condition, ok := statusCondition(job, "Complete"); ok && asString(condition["status"]) == "True" {
		return verdict{done: true, message: "complete"}
	}
	count := func(field string) int64 {
		number, _, _ := unstructured.NestedInt64(job.Object, "status", field)
		return number
	}
	return verdict{message: fmt.Sprintf("%d running, %d failed, %d succeeded", count("active"), count("failed"),
		count("succeeded"))}
}

func (a *Awaiter) explainJob(ctx context.Context, job *unstructured.Unstructured) []string {
	return a.explainPods(ctx, job.GetNamespace(), jobPods(job), func(pod *corev1.Pod) bool {
		// Pods of a deleted Job with the same name can still exist.
		for _, owner := range pod.OwnerReferences {
			if owner.UID == job.GetUID() {
				return true
			}
		}
		return false
	})
}

func jobPods(job *unstructured.Unstructured) string { return "job-name=" + job.GetName() }

func podSelector(obj *unstructured.Unstructured) (string, bool) {
	content, found, err := unstructured.NestedMap(obj.Object, "spec", "selector")
	if !found || err != nil {
		return "", false
	}
	var labels metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &labels); err != nil {
		return "", false
	}
	selector, err := metav1.LabelSelectorAsSelector(&labels)
	if err != nil {
		return "", false
	}
	return selector.String(), true
}

// reportPods reports why pods are not ready while their owner is awaited, until ctx ends. It returns a
// MissingImageError as soon as a pod of the owner's current template lacks its image.
func (a *Awaiter) reportPods(ctx context.Context, owner *unstructured.Unstructured, selector string) error {
	pods := a.Kube.CoreV1().Pods(owner.GetNamespace())
	said := ""
	_, err := watchtools.UntilWithSync(ctx, listWatch(selector, pods.List, pods.Watch), &corev1.Pod{}, nil,
		func(event watch.Event) (bool, error) {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok || event.Type == watch.Deleted {
				return false, nil
			}
			if missing := missingImage(pod, owner); missing != nil {
				return false, missing
			}
			if text := podTrouble(pod); text != "" && text != said {
				said = text
				a.Report(text)
			}
			return false, nil
		})
	var missing *MissingImageError
	if errors.As(err, &missing) {
		return missing
	}
	// Another error is ignored: the wait itself reports how it ends.
	<-ctx.Done()
	return nil
}

// MissingImageError is an image that the node does not have. The local cloud has no registry, so waiting does not help.
type MissingImageError struct{ Container, Image string }

func (e *MissingImageError) Error() string {
	return fmt.Sprintf("container %s needs the image %s, which the local cloud does not have, and it has no registry "+
		"to pull it from: load it from an archive of docker save or podman save with `dbtier local load <archive>`, "+
		"and run the same command again", e.Container, e.Image)
}

// missingImage returns an error if a pod waits for an image that its owner's template asks for. A pod of an earlier
// template does not matter: the rollout removes it.
func missingImage(pod *corev1.Pod, owner *unstructured.Unstructured) *MissingImageError {
	for _, status := range containerStatuses(pod) {
		waiting := status.State.Waiting
		if waiting == nil || waiting.Reason != "ImagePullBackOff" && waiting.Reason != "ErrImageNeverPull" {
			continue
		}
		image := imageOf(pod, status.Name)
		if slices.ContainsFunc(templateContainers(owner), func(container map[string]any) bool {
			return asString(container["name"]) == status.Name && asString(container["image"]) == image
		}) {
			return &MissingImageError{Container: status.Name, Image: image}
		}
	}
	return nil
}

func templateContainers(owner *unstructured.Unstructured) []map[string]any {
	var found []map[string]any
	for _, list := range []string{"initContainers", "containers"} {
		containers, _, _ := unstructured.NestedSlice(owner.Object, "spec", "template", "spec", list)
		for _, item := range containers {
			container, _ := item.(map[string]any)
			found = append(found, container)
		}
	}
	return found
}

func imageOf(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == container {
			return c.Image
		}
	}
	return ""
}
