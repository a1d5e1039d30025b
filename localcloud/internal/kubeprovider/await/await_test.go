package await

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"
)

func parse(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	content := map[string]any{}
	encoded, err := yaml.YAMLToJSON([]byte(manifest))
	require.NoError(t, err)
	obj := &unstructured.Unstructured{Object: content}
	require.NoError(t, obj.UnmarshalJSON(encoded))
	return obj
}

// world is a cluster of fakes that contains one dynamic object.
type world struct {
	awaiter *Awaiter
	kube    *fake.Clientset
	target  Target
	reports chan string
	// watched is closed when the object is watched. A fake does not report changes between the list and the watch.
	watched chan struct{}
}

// listed tells informers that the fake cannot stream a list. Otherwise they wait for it.
type listed struct{ dynamic.ResourceInterface }

func (listed) IsWatchListSemanticsUnSupported() bool { return true }

func newWorld(t *testing.T, obj *unstructured.Unstructured, resource string, others ...runtime.Object) *world {
	t.Helper()
	gvr := obj.GroupVersionKind().GroupVersion().WithResource(resource)
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(),
		map[schema.GroupVersionResource]string{gvr: obj.GetKind() + "List"}, obj)
	w := &world{kube: fake.NewClientset(others...), reports: make(chan string, 1000), watched: make(chan struct{})}
	var once sync.Once
	client.PrependWatchReactor("*", func(action k8stesting.Action) (bool, watch.Interface, error) {
		defer once.Do(func() { close(w.watched) })
		watching, err := client.Tracker().Watch(gvr, action.GetNamespace())
		return true, watching, err
	})
	w.awaiter = &Awaiter{Kube: w.kube, Report: func(text string) { w.reports <- text }}
	w.target = Target{
		Object: obj, Annotations: obj.GetAnnotations(),
		Resource: client.Resource(gvr).Namespace(obj.GetNamespace()),
	}
	w.target.Resource = listed{w.target.Resource}
	return w
}

// change writes a new state of the object once it is watched.
func (w *world) change(t *testing.T, manifest string) {
	t.Helper()
	obj := parse(t, manifest)
	<-w.watched
	_, err := w.target.Resource.Update(t.Context(), obj, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// ready starts a wait for the target and returns its result. It passes the object to check if the wait succeeds.
func (w *world) ready(t *testing.T, check func(live *unstructured.Unstructured)) <-chan error {
	t.Helper()
	ctx, cancel := waiting(t)
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() {
		live, err := w.awaiter.Ready(ctx, w.target)
		if err == nil && check != nil {
			check(live)
		}
		done <- err
	}()
	return done
}

func waiting(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 20*time.Second)
}

func TestCustomResourcesAreReadyAtOnce(t *testing.T) {
	w := newWorld(t, parse(t, "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a, namespace: shop}"), "things")
	ctx, cancel := waiting(t)
	defer cancel()
	_, err := w.awaiter.Ready(ctx, w.target)
	require.NoError(t, err)
	assert.Empty(t, w.reports)
}

func TestWaitForCondition(t *testing.T) {
	const head = "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a, namespace: shop, annotations: " +
		"{pulumi.com/waitFor: condition=Ready}}\n"
	w := newWorld(t,
		parse(t, head+"status: {conditions: [{type: Ready, status: 'False', reason: NoStore, message: no such "+
			"store}]}"), "things")
	done := w.ready(t, func(live *unstructured.Unstructured) {
		found, _ := statusCondition(live, "Ready")
		assert.Equal(t, "True", found["status"])
	})
	w.change(t, head+"status: {conditions: [{type: Ready, status: 'True'}]}")
	require.NoError(t, <-done)
}

func TestWaitThatRunsOutOfTimeSaysWhatWasFound(t *testing.T) {
	w := newWorld(t, parse(t, `
apiVersion: x.io/v1
kind: Thing
metadata: {name: a, namespace: shop, annotations: {pulumi.com/waitFor: '["condition=Ready", "jsonpath={.status.phase}=Up"]'}}
status: {phase: Down, conditions: [{type: Ready, status: 'False', reason: NoStore, message: no such store}]}`), "things")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := w.awaiter.Ready(ctx, w.target)
	require.EqualError(t, err,
		"Thing shop/a is not ready (timed out): condition=Ready: condition Ready is False (NoStore): "+
			"no such store; "+
			`jsonpath={.status.phase}=Up: {.status.phase} is "Down"`)
}

func TestWaitEndsWhenTheObjectIsDeleted(t *testing.T) {
	w := newWorld(t,
		parse(t, "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a, namespace: shop, annotations: "+
			"{pulumi.com/waitFor: condition=Ready}}"), "things")
	done := w.ready(t, nil)
	<-w.watched
	require.NoError(t, w.target.Resource.Delete(t.Context(), "a", metav1.DeleteOptions{}))
	require.ErrorContains(t, <-done, "Thing shop/a is not ready: it was deleted during the wait")
}

func TestSkipAwait(t *testing.T) {
	w := newWorld(t,
		parse(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: m, namespace: shop, annotations: "+
			"{pulumi.com/skipAwait: 'true'}}"), "jobs")
	_, err := w.awaiter.Ready(t.Context(), w.target)
	require.NoError(t, err)
}

func TestDeploymentIsReadyWhenItsRolloutIsComplete(t *testing.T) {
	const head = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: shop, generation: 2}\n" +
		"spec: {replicas: 2, selector: {matchLabels: {app: api}}, progressDeadlineSeconds: 600}\n"
	w := newWorld(t,
		parse(t, head+"status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2, readyReplicas: 2, "+
			"availableReplicas: 2}"), "deployments")
	done := w.ready(t, nil)
	w.change(t, head+"status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, "+
		"availableReplicas: 2, conditions: ["+
		"{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}")
	require.NoError(t, <-done)
}

// A watch begins with a list from a cache of the API server. An old state in it is not the result of the write.
func TestAnObjectFromBeforeTheWriteIsNotItsResult(t *testing.T) {
	const deployment = "apiVersion: apps/v1\nkind: Deployment\n" +
		"metadata: {name: api, namespace: shop, uid: u, generation: %d, resourceVersion: %q}\n" +
		"spec: {replicas: 1, selector: {matchLabels: {app: api}}}\n" +
		"status: {observedGeneration: %d, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1,\n" +
		"  conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True', reason: NewReplicaSetAvailable}]}\n"
	before := parse(t, fmt.Sprintf(deployment, 2, "2135", 2))
	require.True(t, kstatusVerdict(before).done)
	w := newWorld(t, before, "deployments")
	w.target.Object = parse(t, fmt.Sprintf(deployment, 3, "2140", 2))
	done := w.ready(t, func(live *unstructured.Unstructured) {
		assert.EqualValues(t, 3, live.GetGeneration())
		assert.Equal(t, "2151", live.GetResourceVersion())
	})
	w.change(t, fmt.Sprintf(deployment, 3, "2151", 3))
	require.NoError(t, <-done)
}

func TestFailedDeploymentTellsWhatItsPodsSuffer(t *testing.T) {
	obj := parse(t, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: shop, generation: 1}\n"+
		"spec: {replicas: 1, selector: {matchLabels: {app: api}}, progressDeadlineSeconds: 600}\n"+
		"status: {observedGeneration: 1, conditions: [{type: Progressing, status: 'False', reason: "+
		"ProgressDeadlineExceeded, message: timed out}]}")
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "api-1", Namespace: "shop", UID: "p1",
			Labels: map[string]string{"app": "api"},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "api", State: corev1.ContainerState{
				Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such image"},
			},
		}}},
	}
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "shop"}, InvolvedObject: corev1.ObjectReference{UID: "p1"},
		Type: corev1.EventTypeWarning, Reason: "FailedMount", Message: `secret "db" not found`,
	}
	w := newWorld(t, obj, "deployments", pod, event)
	_, err := w.awaiter.Ready(t.Context(), w.target)
	var failure *Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, "Deployment shop/api failed: Progress deadline exceeded (timed out)", failure.Summary)
	assert.Equal(t, []string{
		"pod api-1: container api is waiting: ImagePullBackOff: no such image",
		`pod api-1: FailedMount: secret "db" not found`,
	}, failure.Details)
}

func TestFailedJobShowsItsLogWithoutSecrets(t *testing.T) {
	obj := parse(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: m, namespace: shop, uid: j1}\n"+
		"status: {failed: 1, conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: Job "+
		"has reached the specified backoff limit}]}")
	pod := func(name string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Namespace: "shop", UID: "u", Labels: map[string]string{"job-name": "m"},
				OwnerReferences: []metav1.OwnerReference{{UID: "j1", Kind: "Job", Name: "m"}},
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{
				Name: "migrate", EnvFrom: []corev1.EnvFromSource{
					{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}},
				},
			}}},
			Status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{
				Name: "migrate", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: 3, Reason: "Error",
					Message: "cannot connect to postgres://admin:s3cr%25t%20word@db:5432/shop",
				}},
			}}},
		}
	}
	other := pod("m-of-another-run")
	other.OwnerReferences[0].UID = "j0"
	// The fake's log is always the text "fake logs".
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: "shop"}, Data: map[string][]byte{
		"DATABASE_URL": []byte("postgres://admin:s3cr%25t%20word@db:5432/shop"), "word": []byte("fake logs"),
	}}
	w := newWorld(t, obj, "jobs", pod("m-1"), other, secret)
	_, err := w.awaiter.Ready(t.Context(), w.target)
	var failure *Error
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, "Job shop/m failed: BackoffLimitExceeded: Job has reached the specified backoff limit",
		failure.Summary)
	assert.Equal(t, []string{
		"pod m-1: container migrate ended with exit code 3: Error: cannot connect to ***",
		"last lines of the log of pod m-1, container migrate (exit code 3):\n    ***",
	}, failure.Details)
}

func TestJobIsReadyWhenItIsComplete(t *testing.T) {
	const head = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: m, namespace: shop}\n"
	w := newWorld(t, parse(t, head+"status: {active: 1, startTime: '2026-01-01T00:00:00Z'}"), "jobs")
	done := w.ready(t, nil)
	w.change(t, head+"status: {succeeded: 1, conditions: [{type: Complete, status: 'True'}]}")
	require.NoError(t, <-done)
}

func TestServiceIsReadyWithItsFirstEndpoint(t *testing.T) {
	obj := parse(t,
		"apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {type: ClusterIP, clusterIP: "+
			"198.19.0.5, selector: {app: db}}")
	slice := func(ready bool) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Name: "db-1", Namespace: "shop",
				Labels: map[string]string{discoveryv1.LabelServiceName: "db"},
			},
			Endpoints: []discoveryv1.Endpoint{{Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
		}
	}
	w := newWorld(t, obj, "services", slice(false))
	watched := make(chan struct{})
	var once sync.Once
	w.kube.PrependWatchReactor("endpointslices", func(action k8stesting.Action) (bool, watch.Interface, error) {
		defer once.Do(func() { close(watched) })
		watching, err := w.kube.Tracker().Watch(action.GetResource(), action.GetNamespace())
		return true, watching, err
	})
	done := w.ready(t, nil)
	<-watched
	_, err := w.kube.DiscoveryV1().EndpointSlices("shop").Update(t.Context(), slice(true), metav1.UpdateOptions{})
	require.NoError(t, err)
	require.NoError(t, <-done)
}

func TestServicesWithoutEndpointsOfTheirOwnAreReady(t *testing.T) {
	for name, spec := range map[string]string{
		"headless":         "{clusterIP: None, selector: {app: db}}",
		"without selector": "{clusterIP: 198.19.0.5}",
		"external name":    "{type: ExternalName, externalName: db.example.com, selector: {app: db}}",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t,
				parse(t, "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: "+spec),
				"services")
			_, err := w.awaiter.Ready(t.Context(), w.target)
			require.NoError(t, err)
		})
	}
}

func TestGone(t *testing.T) {
	const manifest = "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a, namespace: shop, uid: one, finalizers: " +
		"[x.io/keep]}"
	w := newWorld(t, parse(t, manifest), "things")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := w.awaiter.Gone(ctx, w.target)
	require.EqualError(t, err,
		"Thing shop/a is being deleted and still exists (timed out)\nits finalizers are x.io/keep")

	require.NoError(t, w.target.Resource.Delete(t.Context(), "a", metav1.DeleteOptions{}))
	require.NoError(t, w.awaiter.Gone(t.Context(), w.target), "an object that no longer exists needs no wait")
}

func TestGoneWhenAnotherObjectHasTheName(t *testing.T) {
	w := newWorld(t, parse(t, "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a, namespace: shop, uid: two}"),
		"things")
	w.target.Object = parse(t, "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a, namespace: shop, uid: one}")
	require.NoError(t, w.awaiter.Gone(t.Context(), w.target))
}

func TestReadyNow(t *testing.T) {
	w := newWorld(t,
		parse(t, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: m, namespace: shop}\nstatus: {active: 1}"), "jobs")
	require.ErrorContains(t, w.awaiter.ReadyNow(t.Context(), w.target),
		"Job shop/m is not ready: 1 running, 0 failed, 0 succeeded")
	w.target.Object = parse(t, "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: a}")
	require.NoError(t, w.awaiter.ReadyNow(t.Context(), w.target))
}

// The local cloud has no registry, so a pod that cannot pull its image never gets it by waiting.
func TestAnImageThatTheNodeLacksEndsTheWait(t *testing.T) {
	pod := func(image, reason string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Name: "pod-" + strings.ToLower(reason), Namespace: "shop", UID: "u",
				Labels: map[string]string{"app": "api", "job-name": "m"},
			},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "api", Image: image}}},
			Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
				Name: "api", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
			}}},
		}
	}
	template := "template: {spec: {containers: [{name: api, image: 'shop:2'}]}}"
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: shop, generation: 1}\n" +
		"spec: {replicas: 1, selector: {matchLabels: {app: api}}, " + template + "}\nstatus: {observedGeneration: 0}"
	job := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: m, namespace: shop, uid: j1}\nspec: {" + template + "}"
	for plural, manifest := range map[string]string{"deployments": deployment, "jobs": job} {
		w := newWorld(t, parse(t, manifest), plural, pod("shop:2", "ImagePullBackOff"))
		_, err := w.awaiter.Ready(t.Context(), w.target)
		require.ErrorContains(t, err, "container api needs the image shop:2, which the local cloud does not have", plural)
		require.ErrorContains(t, err, "`dbtier local load <archive>`")

		// Neither a pod of an earlier template nor a first attempt ends it.
		w = newWorld(t, parse(t, manifest), plural, pod("shop:1", "ImagePullBackOff"), pod("shop:2", "ErrImagePull"))
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err = w.awaiter.Ready(ctx, w.target)
		cancel()
		require.ErrorContains(t, err, "(timed out)", plural)
	}
}
