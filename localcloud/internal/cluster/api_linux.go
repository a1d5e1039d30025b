package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// apiClient is a Kubernetes client with administrator rights.
type apiClient struct {
	kubernetes.Interface
}

func newAPIClient(kubeconfig string) (*apiClient, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config.QPS, config.Burst = 200, 400
	config.UserAgent = "localcloud"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating a client of the API server: %w", err)
	}
	return &apiClient{client}, nil
}

func (a *apiClient) waitReady(ctx context.Context, limit time.Duration) error {
	var last error
	err := poll(ctx, limit, 50*time.Millisecond, func() (bool, error) {
		ask, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		_, last = a.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ask)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the API server is not ready (%w): %w; see `localcloud logs kube-apiserver`", err, last)
	}
	return nil
}

// expirePods sets Ready to False on the pods of the previous run. They ended with it, and until the kubelet starts them
// again, Services must not route to them. It returns the pods that it changed.
func (a *apiClient) expirePods(ctx context.Context) ([]corev1.Pod, error) {
	pods, err := a.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of the previous run: %w", err)
	}
	var were []corev1.Pod
	var faults []error
	for i := range pods.Items {
		pod := &pods.Items[i]
		var conditions []corev1.PodCondition
		for _, c := range pod.Status.Conditions {
			if c.Status == corev1.ConditionTrue && (c.Type == corev1.PodReady || c.Type == corev1.ContainersReady) {
				conditions = append(conditions, corev1.PodCondition{
					Type: c.Type, Status: corev1.ConditionFalse, Reason: "NodeRestarted",
					Message:            "the local cloud was started again",
					LastTransitionTime: metav1.Now(),
				})
			}
		}
		if len(conditions) == 0 {
			continue
		}
		were = append(were, *pod)
		patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": conditions}})
		if err == nil {
			_, err = a.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch,
				metav1.PatchOptions{}, "status")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("pod %s/%s of the previous run: %w", pod.Namespace, pod.Name, err))
		}
	}
	return were, errors.Join(faults...)
}

// waitPods waits until the pods are Ready and returns the names of those that are not when the limit is reached. It
// does not wait for pods that were deleted or replaced or have completed.
func (a *apiClient) waitPods(
	ctx context.Context, pods []corev1.Pod, limit time.Duration,
) (missing []string, err error) {
	err = poll(ctx, limit, 200*time.Millisecond, func() (bool, error) {
		list, err := a.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, nil //nolint:nilerr // poll tries again until the limit is reached.
		}
		unready := map[types.UID]bool{}
		for i := range list.Items {
			pod := &list.Items[i]
			ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
			unready[pod.UID] = !ended && pod.DeletionTimestamp == nil && !isReady(pod)
		}
		missing = nil
		for i := range pods {
			if unready[pods[i].UID] {
				missing = append(missing, pods[i].Namespace+"/"+pods[i].Name)
			}
		}
		return len(missing) == 0, nil
	})
	if errors.Is(err, errTimeout) {
		return missing, nil
	}
	return nil, err
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// waitNode waits until the kubelet of this run reports the node as Ready. A status from the previous run does not
// count.
func (a *apiClient) waitNode(ctx context.Context, began time.Time, limit time.Duration) error {
	why := "the kubelet has not registered it"
	err := poll(ctx, limit, 50*time.Millisecond, func() (bool, error) {
		node, err := a.CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
		if err != nil {
			return false, nil //nolint:nilerr // Not registered yet.
		}
		for _, c := range node.Status.Conditions {
			if c.Type != corev1.NodeReady {
				continue
			}
			why = c.Message
			// The API stores times in whole seconds.
			return c.Status == corev1.ConditionTrue && !c.LastHeartbeatTime.Time.Before(began.Truncate(time.Second)),
				nil
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("the node is not ready (%w): %s; see `localcloud logs kubelet`", err, why)
	}
	return nil
}

// waitDNS queries the cluster's DNS through its Service, as a pod would. An answer shows that kube-proxy's rules,
// CoreDNS and its connection to the API server all work.
func waitDNS(ctx context.Context, limit time.Duration) error {
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "udp", net.JoinHostPort(dnsAddress.String(), "53"))
		},
	}
	var last error
	err := poll(ctx, limit, 50*time.Millisecond, func() (bool, error) {
		ask, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		_, last = resolver.LookupNetIP(ask, "ip4", "kubernetes.default.svc."+clusterDomain+".")
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the cluster's DNS does not answer (%w): %w; see `kubectl -n kube-system get pods`", err,
			last)
	}
	return nil
}
