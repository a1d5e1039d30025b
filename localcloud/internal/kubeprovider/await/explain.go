package await

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
)

const (
	// logLines is the number of lines of a failed container's log in an explanation.
	logLines = 20
	// maxPods limits the number of pods in an explanation: the pods of one workload usually fail alike.
	maxPods = 3
	// maxEvents limits the number of Warning events for each pod.
	maxEvents = 3
	// maxLog limits a log with very long lines, in bytes.
	maxLog = 16 << 10
)

func (a *Awaiter) explainPod(ctx context.Context, obj *unstructured.Unstructured) []string {
	pod, err := a.Kube.CoreV1().Pods(obj.GetNamespace()).Get(ctx, obj.GetName(), metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return a.podDetails(ctx, pod)
}

// explainPods explains the problems of the selected pods. The newest pod comes first.
func (a *Awaiter) explainPods(
	ctx context.Context, namespace, selector string, belongs func(*corev1.Pod) bool,
) []string {
	list, err := a.Kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return []string{fmt.Sprintf("its pods could not be listed: %v", err)}
	}
	var troubled []*corev1.Pod
	for i := range list.Items {
		if pod := &list.Items[i]; belongs(pod) && podTrouble(pod) != "" {
			troubled = append(troubled, pod)
		}
	}
	if len(troubled) == 0 && len(list.Items) == 0 {
		return []string{"it has no pods"}
	}
	slices.SortStableFunc(troubled, func(x, y *corev1.Pod) int {
		return y.CreationTimestamp.Compare(x.CreationTimestamp.Time)
	})
	var details []string
	for i, pod := range troubled {
		if i == maxPods {
			details = append(details, fmt.Sprintf("and %d more pods", len(troubled)-maxPods))
			break
		}
		details = append(details, a.podDetails(ctx, pod)...)
	}
	return details
}

// podDetails explains one pod by the states of its containers, its Warning events and the logs of failed containers.
func (a *Awaiter) podDetails(ctx context.Context, pod *corev1.Pod) []string {
	mask := a.maskFor(ctx, pod)
	var details []string
	if text := podTrouble(pod); text != "" {
		details = append(details, mask(text))
	}
	for _, text := range a.warnings(ctx, pod) {
		details = append(details, mask(fmt.Sprintf("pod %s: %s", pod.Name, text)))
	}
	for _, container := range containerStatuses(pod) {
		previous := container.State.Terminated == nil
		ended := container.State.Terminated
		if ended == nil {
			ended = container.LastTerminationState.Terminated
		}
		if ended == nil || ended.ExitCode == 0 {
			continue
		}
		log, err := a.tail(ctx, pod, container.Name, previous)
		switch {
		case err != nil:
			details = append(details, mask(fmt.Sprintf("the log of pod %s, container %s could not be read: %v",
				pod.Name, container.Name, err)))
		case strings.TrimSpace(log) == "":
			details = append(details, fmt.Sprintf("pod %s, container %s logged nothing", pod.Name, container.Name))
		default:
			details = append(details,
				mask(fmt.Sprintf("last lines of the log of pod %s, container %s (exit code %d):\n%s",
					pod.Name, container.Name, ended.ExitCode, indent(log))))
		}
	}
	return details
}

// podTrouble describes in one line why a pod is not ready or has failed. It returns "" for a healthy pod.
func podTrouble(pod *corev1.Pod) string {
	var parts []string
	for _, container := range containerStatuses(pod) {
		switch {
		case container.State.Waiting != nil && container.State.Waiting.Reason != "" &&
			container.State.Waiting.Reason != "ContainerCreating" &&
			container.State.Waiting.Reason != "PodInitializing":
			text := fmt.Sprintf("container %s is waiting: %s", container.Name,
				reasonAndMessage(container.State.Waiting.Reason, container.State.Waiting.Message))
			if container.RestartCount > 0 {
				text += fmt.Sprintf(" (restarted %d times)", container.RestartCount)
			}
			parts = append(parts, text)
		case container.State.Terminated != nil && container.State.Terminated.ExitCode != 0:
			parts = append(parts, fmt.Sprintf("container %s ended with exit code %d: %s", container.Name,
				container.State.Terminated.ExitCode,
				reasonAndMessage(container.State.Terminated.Reason, container.State.Terminated.Message)))
		case container.State.Running != nil && !container.Ready && pod.Status.Phase == corev1.PodRunning:
			parts = append(parts, fmt.Sprintf("container %s runs and is not ready", container.Name))
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse {
			parts = append(parts, "it is not scheduled: "+reasonAndMessage(condition.Reason, condition.Message))
		}
	}
	if len(parts) == 0 && pod.Status.Phase == corev1.PodFailed {
		parts = append(parts, "it failed: "+reasonAndMessage(pod.Status.Reason, pod.Status.Message))
	}
	if len(parts) == 0 && pod.Status.Phase == corev1.PodPending {
		parts = append(parts, "it is pending")
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("pod %s: %s", pod.Name, strings.Join(parts, "; "))
}

func containerStatuses(pod *corev1.Pod) []corev1.ContainerStatus {
	return slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses)
}

// warnings returns the newest distinct Warning events of a pod.
func (a *Awaiter) warnings(ctx context.Context, pod *corev1.Pod) []string {
	selector := fields.Set{"involvedObject.uid": string(pod.UID), "type": corev1.EventTypeWarning}.AsSelector().String()
	list, err := a.Kube.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		return nil
	}
	when := func(event corev1.Event) metav1.Time {
		if !event.LastTimestamp.IsZero() {
			return event.LastTimestamp
		}
		return event.CreationTimestamp
	}
	slices.SortStableFunc(list.Items, func(x, y corev1.Event) int { return when(y).Compare(when(x).Time) })
	var texts []string
	for _, event := range list.Items {
		text := reasonAndMessage(event.Reason, event.Message)
		// A back-off event only repeats the state of the container.
		if event.Reason != "BackOff" && !slices.Contains(texts, text) && len(texts) < maxEvents {
			texts = append(texts, text)
		}
	}
	return texts
}

func (a *Awaiter) tail(ctx context.Context, pod *corev1.Pod, container string, previous bool) (string, error) {
	lines, limit := int64(logLines), int64(maxLog)
	stream, err := a.Kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, TailLines: &lines, LimitBytes: &limit,
	}).Stream(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	var text bytes.Buffer
	if _, err := io.Copy(&text, stream); err != nil {
		return "", err
	}
	return strings.TrimRight(text.String(), "\n"), nil
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(text, "\n", "\n    ")
}

func reasonAndMessage(reason, message string) string {
	switch {
	case reason == "":
		return message
	case message == "" || message == reason:
		return reason
	default:
		return reason + ": " + message
	}
}
