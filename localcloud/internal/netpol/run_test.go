package netpol_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"dbtier/localcloud/internal/netpol"
)

// until receives tables until one meets the condition.
func until(t *testing.T, tables <-chan string, wanted func(string) bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case table := <-tables:
			if wanted(table) {
				return
			}
		case <-deadline:
			t.Fatal("no table met the condition")
		}
	}
}

func TestTheTableFollowsTheCluster(t *testing.T) {
	world := cluster()
	var objects []runtime.Object
	for _, ns := range world.Namespaces {
		objects = append(objects, ns)
	}
	for _, p := range world.Pods {
		objects = append(objects, p)
	}
	client := fake.NewClientset(objects...)
	tables := make(chan string, 100)
	refused := false
	apply := func(_ context.Context, text string) error {
		// The first attempt fails as if the kernel were out of memory. The table must be tried again.
		if strings.Contains(text, "dport 6432") && !refused {
			refused = true
			return errors.New("no memory")
		}
		tables <- text
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	synced, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- netpol.RunWith(ctx, client, world.External, slog.New(slog.DiscardHandler), synced, apply)
	}()
	until(t, tables, func(table string) bool { return !strings.Contains(table, "jump") })
	<-synced

	p := policy(t,
		"podSelector: {matchLabels: {role: pool}}\ningress: [{from: [{podSelector: {matchLabels: {role: api}}}], "+
			"ports: [{port: 6432}]}]")
	_, err := client.NetworkingV1().NetworkPolicies("shop").Create(ctx, p, metav1.CreateOptions{})
	require.NoError(t, err)
	until(t, tables, func(table string) bool {
		return strings.Contains(table, "ip saddr { 198.18.128.2 } tcp dport 6432")
	})

	require.NoError(t, client.CoreV1().Pods("shop").Delete(ctx, "api", metav1.DeleteOptions{}))
	until(t, tables, func(table string) bool {
		_, isolated := allows(table, "ingress", pool)
		return isolated && !strings.Contains(table, "198.18.128.2")
	})

	require.NoError(t, client.NetworkingV1().NetworkPolicies("shop").Delete(ctx, "p", metav1.DeleteOptions{}))
	until(t, tables, func(table string) bool { return !strings.Contains(table, "jump") })
	cancel()
	require.NoError(t, <-ended)
}
