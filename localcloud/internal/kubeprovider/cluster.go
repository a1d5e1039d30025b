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

// answerWithin limits the first request to an API server. A running one answers in milliseconds.
const answerWithin = 10 * time.Second

// cluster is the connection to one cluster, with its known kinds.
type cluster struct {
	connection
	dynamic   dynamic.Interface
	kube      kubernetes.Interface
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.ResettableRESTMapper
	version   *version.Info

	*kinds
}

// open connects to the cluster and reads its version, which shows whether the cluster is reachable.
func open(ctx context.Context, found connection, warn rest.WarningHandlerWithContext, known *kinds) (*cluster, error) {
	config := rest.CopyConfig(found.config)
	// The API server limits requests itself. A client-side limit would only slow down a run.
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

// serverVersion reads the version like kube.Discovery().ServerVersion, which takes no context.
func serverVersion(ctx context.Context, server discovery.DiscoveryInterface) (*version.Info, error) {
	body, err := server.RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names the request
	}
	var info version.Info
	if err := json.Unmarshal(body, &info); err != nil {
		return nil, fmt.Errorf("cannot parse its version: %w", err)
	}
	return &info, nil
}

// rootCause drops the URL and the layers that net/http adds, because a user cannot act on them.
func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// client returns the API for objects of a kind in a namespace. The namespace is ignored for cluster-scoped kinds.
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

// resource maps a kind to its API resource. Built-in kinds, and those of CustomResourceDefinitions that this run has
// seen, need no request. All others use discovery.
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

// forget makes the next lookup of an unknown kind query the server.
func (c *cluster) forget() { c.mapper.Reset() }

// kinds are the custom kinds that the CustomResourceDefinitions of this run define. A preview uses them to decide which
// custom resources have a namespace before the definitions are in the cluster.
type kinds struct {
	mutex sync.RWMutex
	known map[schema.GroupVersionKind]customKind
}

type customKind struct {
	plural     string
	namespaced bool
}

func newKinds() *kinds { return &kinds{known: map[schema.GroupVersionKind]customKind{}} }

// learn adds the kinds that a CustomResourceDefinition serves. It does not read the schemas, which are most of a
// definition.
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

// custom finds a kind among the learnt ones.
func (k *kinds) custom(gvk schema.GroupVersionKind) (schema.GroupVersionResource, bool, bool) {
	k.mutex.RLock()
	defer k.mutex.RUnlock()
	found, ok := k.known[gvk]
	return gvk.GroupVersion().WithResource(found.plural), found.namespaced, ok
}

// scope reports whether a kind has a namespace. known is false if the scope cannot be determined yet.
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
