package cluster

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

func pod(name string, phase corev1.PodPhase, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)},
		Status: corev1.PodStatus{Phase: phase, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: ready},
			{Type: corev1.ContainersReady, Status: ready},
		}},
	}
}

func TestPodsOfTheLastRunAreExpiredAndWaitedFor(t *testing.T) {
	api := &apiClient{fake.NewClientset(
		pod("pool", corev1.PodRunning, corev1.ConditionTrue),
		pod("broken", corev1.PodRunning, corev1.ConditionFalse),
		pod("deleted", corev1.PodRunning, corev1.ConditionTrue),
		pod("migration", corev1.PodSucceeded, corev1.ConditionFalse),
	)}
	before, err := api.expirePods(t.Context())
	require.NoError(t, err)
	var names []string
	for _, p := range before {
		names = append(names, p.Name)
	}
	assert.ElementsMatch(t, []string{"pool", "deleted"}, names,
		"one that was not Ready when the cloud ended is not waited for")
	pool, err := api.CoreV1().Pods("shop").Get(t.Context(), "pool", metav1.GetOptions{})
	require.NoError(t, err)
	assert.False(t, isReady(pool), "its Ready condition is from the run that has ended")

	require.NoError(t, api.CoreV1().Pods("shop").Delete(t.Context(), "deleted", metav1.DeleteOptions{}))
	missing, err := api.waitPods(t.Context(), before, 10*time.Millisecond)
	require.NoError(t, err, "a pod that does not become Ready does not fail the start")
	assert.Equal(t, []string{"shop/pool"}, missing)

	pool.Status = pod("pool", corev1.PodRunning, corev1.ConditionTrue).Status
	_, err = api.CoreV1().Pods("shop").UpdateStatus(t.Context(), pool, metav1.UpdateOptions{})
	require.NoError(t, err)
	missing, err = api.waitPods(t.Context(), before, time.Minute)
	require.NoError(t, err)
	assert.Empty(t, missing)
}
