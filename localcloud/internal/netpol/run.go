package netpol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const (
	// burst is how long changes are collected before one table is written for all of them.
	burst = 50 * time.Millisecond
	// retry is the pause before the same table is tried again after an error.
	retry = time.Second
)

// Run enforces the cluster's policies until the context ends. It closes synced once the first table is in force.
func Run(
	ctx context.Context, client kubernetes.Interface, external netip.Prefix, log *slog.Logger, synced chan<- struct{},
) error {
	return run(ctx, client, external, log, synced, Apply)
}

func run(ctx context.Context, client kubernetes.Interface, external netip.Prefix, log *slog.Logger,
	synced chan<- struct{},
	apply func(context.Context, string) error,
) error {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(withoutManagedFields))
	policies := factory.Networking().V1().NetworkPolicies()
	pods := factory.Core().V1().Pods()
	namespaces := factory.Core().V1().Namespaces()
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range []cache.SharedIndexInformer{policies.Informer(), pods.Informer(), namespaces.Informer()} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { notify() }, UpdateFunc: func(_, _ any) { notify() },
			DeleteFunc: func(any) { notify() },
		})
		if err != nil {
			return fmt.Errorf("watching for network policies: %w", err)
		}
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return errors.Join(ctx.Err(), fmt.Errorf("listing %s for network policies", kind))
		}
	}
	snapshot := func() (Cluster, error) {
		c := Cluster{External: external}
		var errPolicies, errPods, errNamespaces error
		c.Policies, errPolicies = policies.Lister().List(labels.Everything())
		c.Pods, errPods = pods.Lister().List(labels.Everything())
		c.Namespaces, errNamespaces = namespaces.Lister().List(labels.Everything())
		return c, errors.Join(errPolicies, errPods, errNamespaces)
	}
	notify()
	var inForce string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		c, err := snapshot()
		if err != nil {
			return fmt.Errorf("reading the objects of network policies: %w", err)
		}
		text, faults := Ruleset(c)
		for _, fault := range faults {
			log.Warn("network policy allows nothing, because it cannot be translated", "error", fault)
		}
		pause := burst
		if text != inForce {
			if err := apply(ctx, text); err == nil {
				inForce = text
			} else if ctx.Err() == nil {
				log.Error("network policies are not in force", "error", err)
				pause = retry
				notify()
			}
		}
		if synced != nil && inForce != "" {
			close(synced)
			synced = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// withoutManagedFields drops a field that takes half of an object's memory and does not matter for policies.
func withoutManagedFields(kept any) (any, error) {
	if object, err := meta.Accessor(kept); err == nil {
		object.SetManagedFields(nil)
	}
	return kept, nil
}

// Apply gives the rules to the kernel, in the network namespace of this process.
func Apply(ctx context.Context, text string) error {
	cmd := exec.CommandContext(ctx, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}
