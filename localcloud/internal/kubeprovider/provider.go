package kubeprovider

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"k8s.io/apimachinery/pkg/types"
)

// release is what the server calls itself: the release of pulumi-kubernetes whose behaviour it follows.
const release = "4.30.0"

// Options of a provider server.
type Options struct {
	// Offline previews without a cluster: inputs are checked and returned, and everything that would change or read a
	// cluster is refused.
	Offline bool
	// Chart is the folder of a chart that offline previews render in place of one of the same name that would have to
	// be fetched, so that they need no network and show the same everywhere. Without the folder they fetch.
	Chart string
	// Dir is where relative paths of kubeconfigs, charts and values files begin; the working directory by default. The
	// engine runs plugins in the project's directory, and does not tell an attached server which that is.
	Dir string
}

// Server is the provider server. Its zero value is of no use: see [New].
type Server struct {
	pulumirpc.UnimplementedResourceProviderServer

	options Options
	kinds   *kinds

	// configuring lets one Configure connect at a time.
	configuring sync.Mutex

	mutex sync.RWMutex
	// cancelled ends every wait that runs when the engine asks for it.
	cancelled context.Context
	cancel    context.CancelFunc
	// engine is the address of the engine that attached last. A new one is a new run, to which nothing applies that was
	// settled for the one before: a server may outlive the engine, as that of a shell for plain pulumi commands does.
	engine  string
	settle  bool // the run has not configured yet
	host    *provider.HostClient
	checked map[string]settings // by URN of the provider resource
	// configured is what the last Configure settled.
	configured *configuration
	cluster    *cluster
	// seen are the objects that the engine has a record of, by UID: an object among them is no left-over of an
	// interrupted creation.
	seen map[types.UID]bool
}

// configuration is what the first Configure of a run settled.
type configuration struct {
	urn string
	// id is the ID of the provider resource: random, and kept in the state of the stack.
	id string
	settings
}

// New makes a provider server; serve it with pulumirpc.RegisterResourceProviderServer.
func New(options Options) (pulumirpc.ResourceProviderServer, error) {
	if options.Dir == "" {
		options.Dir = "."
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		options: options, kinds: newKinds(), cancelled: ctx, cancel: cancel,
		checked: map[string]settings{}, seen: map[types.UID]bool{},
	}, nil
}

// Handshake tells the engine what this provider can do. The engine's address comes again with Attach.
func (s *Server) Handshake(
	_ context.Context, req *pulumirpc.ProviderHandshakeRequest,
) (*pulumirpc.ProviderHandshakeResponse, error) {
	if err := s.attach(req.GetEngineAddress()); err != nil {
		return nil, err
	}
	return &pulumirpc.ProviderHandshakeResponse{AcceptSecrets: true, SupportsAutonamingConfiguration: true}, nil
}

// Attach connects to the engine for messages.
func (s *Server) Attach(_ context.Context, req *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, s.attach(req.GetAddress())
}

func (s *Server) attach(address string) error {
	if address == "" {
		return nil
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.engine == address {
		return nil
	}
	host, err := provider.NewHostClient(address)
	if err != nil {
		return fmt.Errorf("connect to the Pulumi engine at %s: %w", address, err)
	}
	// A connection made before may still carry messages of requests that run, so it is not closed.
	s.engine, s.host, s.settle = address, host, true
	clear(s.checked)
	clear(s.seen)
	return nil
}

// log sends a message about a resource to the user; a status message replaces the one before and is not kept.
func (s *Server) log(ctx context.Context, severity diag.Severity, urn resource.URN, message string, ephemeral bool) {
	s.mutex.RLock()
	host := s.host
	s.mutex.RUnlock()
	if host == nil {
		return
	}
	// A message that does not arrive must not fail the operation that it is about.
	if ephemeral {
		_ = host.LogStatus(ctx, severity, urn, message)
		return
	}
	_ = host.Log(ctx, severity, urn, message)
}

// reporter shows what is waited for in the engine's progress display.
func (s *Server) reporter(ctx context.Context, urn resource.URN) func(string) {
	return func(message string) { s.log(ctx, diag.Info, urn, firstLine(message), true) }
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

type urnKey struct{}

// about marks a context with the resource it is for, so that a warning of the API server reaches the user at the right
// resource.
func about(ctx context.Context, urn resource.URN) context.Context {
	return context.WithValue(ctx, urnKey{}, urn)
}

// warnings passes on what the API server warns of, each text once for a resource.
type warnings struct {
	server *Server
	said   sync.Map
}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _, message string) {
	urn, ok := ctx.Value(urnKey{}).(resource.URN)
	if !ok || code != 299 || message == "" {
		return
	}
	if _, said := w.said.LoadOrStore(string(urn)+message, true); !said {
		w.server.log(ctx, diag.Warning, urn, message, false)
	}
}

// GetPluginInfo answers which version this is.
func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: release}, nil
}

// Cancel ends the waits that run: each fails with what it saw last.
func (s *Server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.cancel()
	// For the next run; this one asks for nothing more.
	s.cancelled, s.cancel = context.WithCancel(context.Background())
	return &emptypb.Empty{}, nil
}

// bound joins a request's context with the cancellation of the provider.
func (s *Server) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mutex.RLock()
	cancelled := s.cancelled
	s.mutex.RUnlock()
	joined, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(cancelled, cancel)
	return joined, func() { stop(); cancel() }
}

// CheckConfig checks the inputs of a provider resource and reports all their faults.
func (s *Server) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	news, err := unmarshal("provider inputs", req.GetNews())
	if err != nil {
		return nil, err
	}
	read, faults := readSettings(news)
	response := &pulumirpc.CheckResponse{Inputs: req.GetNews()}
	for _, fault := range faults {
		response.Failures = append(response.Failures,
			&pulumirpc.CheckFailure{Property: fault.property, Reason: fault.reason})
	}
	if len(faults) == 0 {
		s.mutex.Lock()
		s.checked[req.GetUrn()] = read
		s.mutex.Unlock()
	}
	return response, nil
}

// DiffConfig compares the inputs of a provider resource. A change never replaces the provider, and with it everything
// it made: a kubeconfig that moved to another file still means the same cluster.
func (s *Server) DiffConfig(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	olds, err := unmarshal("old provider inputs", req.GetOlds())
	if err != nil {
		return nil, err
	}
	news, err := unmarshal("new provider inputs", req.GetNews())
	if err != nil {
		return nil, err
	}
	changes := compare(plainMap(olds), plainMap(news))
	response := &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}
	for _, change := range changes {
		response.Changes = pulumirpc.DiffResponse_DIFF_SOME
		response.Diffs = append(response.Diffs, change.path.String())
	}
	return response, nil
}

// Configure settles which cluster this process works on. The engine configures again for the update that follows a
// preview; a configuration for something else is refused.
func (s *Server) Configure(ctx context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	response := &pulumirpc.ConfigureResponse{
		AcceptSecrets: true, SupportsPreview: true, SupportsAutonamingConfiguration: true,
	}
	inputs, err := unmarshal("provider inputs", req.GetArgs())
	if err != nil {
		return nil, err
	}
	given, faults := readSettings(inputs)
	if len(faults) > 0 {
		var all []error
		for _, fault := range faults {
			all = append(all, fmt.Errorf("%s: %s", fault.property, fault.reason))
		}
		return nil, fmt.Errorf("kubernetes provider: %w", errors.Join(all...))
	}
	s.configuring.Lock()
	defer s.configuring.Unlock()
	if keep, err := s.keeps(req.GetUrn(), given); keep || err != nil {
		return response, err
	}
	var opened *cluster
	if !s.options.Offline {
		found, err := connect(s.options.Dir, given)
		if err == nil {
			opened, err = open(ctx, found, &warnings{server: s}, s.kinds)
		}
		if err != nil && !given.DeleteUnreachable && !given.SkipUpdateUnreachable {
			return nil, err
		}
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.configured, s.cluster, s.settle = &configuration{urn: req.GetUrn(), id: req.GetId(), settings: given}, opened,
		false
	return response, nil
}

// keeps tells whether a run goes on with the configuration that it has, and refuses one that is for another provider.
func (s *Server) keeps(urn string, given settings) (bool, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	before := s.configured
	switch {
	case before == nil, s.settle:
		return false, nil
	case before.settings == given:
		return true, nil
	case before.urn != urn:
		return false,
			fmt.Errorf("kubernetes provider %s: another configuration is in use (that of %s), and an attached "+
				"provider server serves one: "+
				"use one explicit kubernetes provider for the whole program, or %s", name(urn), name(before.urn), installed)
	default:
		// Older inputs of the very provider that this run has checked with newer ones: the newer win.
		checked, ok := s.checked[urn]
		return ok && checked != given, nil
	}
}

// name shows a provider by the last part of its URN.
func name(urn string) string {
	if urn == "" {
		return "default"
	}
	return fmt.Sprintf("%q", resource.URN(urn).Name())
}

// connected answers the cluster, or why there is none.
func (s *Server) connected(doing string) (*cluster, settings, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	switch {
	case s.options.Offline:
		return nil, settings{},
			fmt.Errorf("%s: this kubernetes provider runs offline and only previews: run without --offline, with a "+
				"cluster", doing)
	case s.configured == nil:
		return nil, settings{}, fmt.Errorf("%s: the kubernetes provider is not configured", doing)
	case s.cluster == nil:
		return nil, s.configured.settings, fmt.Errorf("%s: the cluster of the kubernetes provider cannot be reached",
			doing)
	}
	return s.cluster, s.configured.settings, nil
}

// reachable is connected for previews, which go on without a cluster.
func (s *Server) reachable() *cluster {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	if s.options.Offline {
		return nil
	}
	return s.cluster
}

// manager is the field manager for the object of a URN. It stays the same for the life of a stack, so that an object
// which a killed run created can be recognised by it; and it holds the ID of the provider resource, so that another
// stack of the same name, in another backend, does not take such objects for its own. Objects that are kept when their
// stack goes must be recognised by its next life, which has another provider: their manager is named by the URN alone.
func (s *Server) manager(urn resource.URN, kept bool) string {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	id := ""
	if s.configured != nil && !kept {
		id = s.configured.id
	}
	sum := sha256.Sum256([]byte(id + " " + string(urn)))
	return fieldManagerPrefix + hex.EncodeToString(sum[:6])
}

func (s *Server) settled() settings {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	if s.configured == nil {
		return settings{}
	}
	return s.configured.settings
}

// remember notes that the engine has a record of an object.
func (s *Server) remember(uid types.UID) {
	if uid == "" {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.seen[uid] = true
}

func (s *Server) remembers(uid types.UID) bool {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	return s.seen[uid]
}

// Invoke refuses functions by name.
func (s *Server) Invoke(_ context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	return nil, status.Errorf(codes.Unimplemented, "function %s is not supported by this kubernetes provider: %s",
		req.GetTok(), installed)
}

// Call refuses methods by name.
func (s *Server) Call(_ context.Context, req *pulumirpc.CallRequest) (*pulumirpc.CallResponse, error) {
	return nil, status.Errorf(codes.Unimplemented, "method %s is not supported by this kubernetes provider: %s",
		req.GetTok(), installed)
}
