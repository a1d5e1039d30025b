package kubeprovider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// answerWithin bounds the first question to an API server: one that is up answers in milliseconds.
const answerWithin = 10 * time.Second

// cluster is the connection to one cluster, and what is known of its kinds.
type cluster struct {
	connection
	dynamic   dynamic.Interface
	kube      kubernetes.Interface
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.ResettableRESTMapper
	version   *version.Info

	*kinds
}

// open connects to the cluster and asks for its version, which tells whether it can be reached at all.
func open(ctx context.Context, found connection, warn rest.WarningHandlerWithContext, known *kinds) (*cluster, error) {
	config := rest.CopyConfig(found.config)
	// The API server's own fairness decides how fast is too fast; waiting here would only make a run slower.
	config.QPS, config.Burst = 200, 400
	config.UserAgent = "pulumi-kubernetes (dbtier localcloud)"
	config.WarningHandlerWithContext = warn
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found.source, err)
	}
	opened := &cluster{connection: found, kinds: known}
	if opened.dynamic, err = dynamic.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("%s: %w", found.source, err)
	}
	kube, err := kubernetes.NewForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", found.source, err)
	}
	opened.kube = kube
	opened.discovery = memory.NewMemCacheClient(kube.Discovery())
	opened.mapper = restmapper.NewDeferredDiscoveryRESTMapper(opened.discovery)

	asking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	opened.version, err = serverVersion(asking, kube.Discovery())
	if err != nil {
		return nil, fmt.Errorf(
			"the Kubernetes API server %s of %s (context %q) cannot be reached: %w: start the cluster, or correct "+
				"the kubeconfig",
			config.Host, found.source, found.context, rootCause(err))
	}
	return opened, nil
}

// serverVersion asks for the version as kube.Discovery().ServerVersion does, which takes no context.
func serverVersion(ctx context.Context, server discovery.DiscoveryInterface) (*version.Info, error) {
	body, err := server.RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller says what was asked
	}
	var info version.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return nil, fmt.Errorf("its version is not understood: %w", err)
	}
	return &info, nil
}

// rootCause drops the URL and the layers that http adds, which say nothing a user could act on.
func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// client is the API for objects of a kind in a namespace; the namespace is ignored where the kind has none.
func (c *cluster) client(gvk schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	plural, namespaced, err := c.resource(gvk)
	if err != nil {
		return nil, err
	}
	if !namespaced {
		return c.dynamic.Resource(plural), nil
	}
	if namespace == "" {
		namespace = c.namespace
	}
	return c.dynamic.Resource(plural).Namespace(namespace), nil
}

// resource maps a kind to its API resource: built-in kinds and those of CustomResourceDefinitions that this run has
// seen without asking the server, all others by discovery.
func (c *cluster) resource(gvk schema.GroupVersionKind) (schema.GroupVersionResource, bool, error) {
	if builtIn(gvk) {
		plural, _ := meta.UnsafeGuessKindToResource(gvk)
		return plural, !clusterScoped[gvk.GroupKind()], nil
	}
	if plural, namespaced, ok := c.custom(gvk); ok {
		return plural, namespaced, nil
	}
	mapping, err := c.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	return mapping.Resource, mapping.Scope.Name() == meta.RESTScopeNameNamespace, nil
}

// forget makes the next question about an unknown kind go to the server.
func (c *cluster) forget() { c.mapper.Reset() }

// kinds are the custom kinds that the CustomResourceDefinitions of this run define. A preview needs them to know which
// custom resources have a namespace before the cluster does.
type kinds struct {
	mutex sync.RWMutex
	known map[schema.GroupVersionKind]customKind
}

type customKind struct {
	plural     string
	namespaced bool
}

func newKinds() *kinds { return &kinds{known: map[schema.GroupVersionKind]customKind{}} }

// learn takes up the kinds that a CustomResourceDefinition serves. It leaves the schemas alone, which are most of one.
func (k *kinds) learn(definition resource.PropertyMap) {
	group, scope := text(definition, "spec", "group"), text(definition, "spec", "scope")
	kind, plural := text(definition, "spec", "names", "kind"), text(definition, "spec", "names", "plural")
	versions, ok := field(definition, "spec", "versions")
	if group == "" || kind == "" || plural == "" || scope == "" || !ok || !versions.IsArray() {
		return
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for _, version := range versions.ArrayValue() {
		if !version.IsObject() {
			continue
		}
		name := text(version.ObjectValue(), "name")
		if served, ok := field(version.ObjectValue(), "served"); !ok || !served.IsBool() || !served.BoolValue() ||
			name == "" {
			continue
		}
		k.known[schema.GroupVersionKind{Group: group, Version: name, Kind: kind}] = customKind{
			plural: plural, namespaced: scope == "Namespaced",
		}
	}
}

// custom finds a kind among those learnt.
func (k *kinds) custom(gvk schema.GroupVersionKind) (schema.GroupVersionResource, bool, bool) {
	k.mutex.RLock()
	defer k.mutex.RUnlock()
	found, ok := k.known[gvk]
	return gvk.GroupVersion().WithResource(found.plural), found.namespaced, ok
}

// scope tells whether a kind has a namespace; known is false where nobody can say yet.
func (s *Server) scope(gvk schema.GroupVersionKind) (namespaced, known bool) {
	if builtIn(gvk) {
		return !clusterScoped[gvk.GroupKind()], true
	}
	if _, namespaced, ok := s.kinds.custom(gvk); ok {
		return namespaced, true
	}
	found := s.reachable()
	if found == nil {
		return false, false
	}
	_, namespaced, err := found.resource(gvk)
	return namespaced, err == nil
}
