package await

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// errNoPods ends the wait for a Service whose selector matches no pod.
var errNoPods = errors.New("the selector matches no pod")

// service waits until a Service has a ready endpoint and, if it is a load balancer, an address. A Service that is
// headless, has no selector or is of type ExternalName has no endpoints to wait for.
func (a *Awaiter) service(ctx context.Context, target Target) (*unstructured.Unstructured, error) {
	if awaitsEndpoints(target.Object) {
		if err := a.endpoints(ctx, target); err != nil {
			return target.Object, err
		}
	}
	return a.until(ctx, target, func(service *unstructured.Unstructured) verdict {
		if kind, _, _ := unstructured.NestedString(service.Object, "spec", "type"); kind != "LoadBalancer" {
			return verdict{done: true}
		}
		addresses, _, _ := unstructured.NestedSlice(service.Object, "status", "loadBalancer", "ingress")
		return verdict{done: len(addresses) > 0, message: "the load balancer has no address yet"}
	}, nil)
}

func awaitsEndpoints(service *unstructured.Unstructured) bool {
	selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
	address, _, _ := unstructured.NestedString(service.Object, "spec", "clusterIP")
	kind, _, _ := unstructured.NestedString(service.Object, "spec", "type")
	return len(selector) > 0 && address != corev1.ClusterIPNone && kind != "ExternalName"
}

func (a *Awaiter) endpoints(ctx context.Context, target Target) error {
	name, namespace := target.Object.GetName(), target.Object.GetNamespace()
	a.Report("waiting: no endpoint is ready")
	watching, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	settle := time.AfterFunc(endpointSettle, func() { cancel(errNoPods) })
	defer settle.Stop()

	ready := map[string]int{}
	pending := map[string]int{}
	look := func(slice *discoveryv1.EndpointSlice) {
		ready[slice.Name], pending[slice.Name] = 0, 0
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready[slice.Name]++
			} else {
				pending[slice.Name]++
			}
		}
	}
	judge := func() bool {
		if sum(ready) > 0 {
			return true
		}
		if sum(pending) > 0 {
			// There are pods to wait for, so the wait does not end early.
			settle.Stop()
			a.Report(fmt.Sprintf("waiting: none of %d endpoints is ready", sum(pending)))
		}
		return false
	}
	slices := a.Kube.DiscoveryV1().EndpointSlices(namespace)
	selector := discoveryv1.LabelServiceName + "=" + name
	_, err := watchtools.UntilWithSync(watching, listWatch(selector, slices.List, slices.Watch),
		&discoveryv1.EndpointSlice{},
		func(store cache.Store) (bool, error) {
			for _, item := range store.List() {
				if slice, ok := item.(*discoveryv1.EndpointSlice); ok {
					look(slice)
				}
			}
			return judge(), nil
		},
		func(event watch.Event) (bool, error) {
			slice, ok := event.Object.(*discoveryv1.EndpointSlice)
			if !ok {
				return false, nil
			}
			if event.Type == watch.Deleted {
				delete(ready, slice.Name)
				delete(pending, slice.Name)
			} else {
				look(slice)
			}
			return judge(), nil
		})
	if err == nil {
		return nil
	}
	if errors.Is(context.Cause(watching), errNoPods) {
		a.Report("its selector matches no pod yet")
		return nil
	}
	failure := &Error{
		Object:  target.Object,
		Summary: fmt.Sprintf("%s has no ready endpoint%s", describe(target.Object), ending(ctx, err)),
	}
	failure.Details = a.explanation(ctx, target.Object,
		func(ctx context.Context, service *unstructured.Unstructured) []string {
			wanted, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
			return a.explainPods(ctx, namespace, labels.SelectorFromSet(wanted).String(),
				func(*corev1.Pod) bool { return true })
		})
	return failure
}

func sum(counts map[string]int) int {
	total := 0
	for _, count := range counts {
		total += count
	}
	return total
}
