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

// release is the version that the server reports: the release of pulumi-kubernetes whose behaviour it follows.
const release = "4.30.0"

// Options configure a provider server.
type Options struct {
	// Offline serves previews without a cluster: inputs are checked and returned. Requests that would change or read a
	// cluster are refused.
	Offline bool
	// Chart is the folder of a chart. Offline previews render it instead of downloading a chart of the same name, so
	// that they need no network and give the same result everywhere. If the folder does not exist, they download.
	Chart string
	// Dir is the start of relative paths of kubeconfigs, charts and values files. The default is the working directory.
	// The engine runs plugins in the project's folder, but does not tell an attached server which folder that is.
	Dir string
}

// Server is the provider server. Create it with [New].
type Server struct {
	pulumirpc.UnimplementedResourceProviderServer

	options Options
	kinds   *kinds

	// configuring serializes Configure calls.
	configuring sync.Mutex

	mutex sync.RWMutex
	// cancelled is the context of all waits. Cancel ends it.
	cancelled context.Context
	cancel    context.CancelFunc
	// engine is the address of the engine that attached last. A new engine is a new run, to which the settings of the
	// previous run do not apply. A server can outlive its engine, for example in a shell for plain pulumi commands.
	engine  string
	settle  bool // the run has not configured yet
	host    *provider.HostClient
	checked map[string]settings // by URN of the provider resource
	// configured is the result of the last Configure.
	configured *configuration
	cluster    *cluster
	// seen contains the UIDs of objects that the engine has recorded. Such an object does not come from an interrupted
	// creation.
	seen map[types.UID]bool
}

// configuration is the result of the first Configure of a run.
type configuration struct {
	urn string
	// id is the random ID of the provider resource, stored in the state of the stack.
	id string
	settings
}

// New returns a provider server. Serve it with pulumirpc.RegisterResourceProviderServer.
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

// Handshake tells the engine the provider's capabilities. Attach sends the engine's address again.
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
	// The previous connection stays open, because it can still carry messages of running requests.
	s.engine, s.host, s.settle = address, host, true
	clear(s.checked)
	clear(s.seen)
	return nil
}

// log sends the user a message about a resource. A status message replaces the previous one and is not kept.
func (s *Server) log(ctx context.Context, severity diag.Severity, urn resource.URN, message string, ephemeral bool) {
	s.mutex.RLock()
	host := s.host
	s.mutex.RUnlock()
	if host == nil {
		return
	}
	// A message that cannot be sent must not fail the operation.
	if ephemeral {
		_ = host.LogStatus(ctx, severity, urn, message)
		return
	}
	_ = host.Log(ctx, severity, urn, message)
}

// reporter returns a function that shows what is being waited for in the engine's progress display.
func (s *Server) reporter(ctx context.Context, urn resource.URN) func(string) {
	return func(message string) { s.log(ctx, diag.Info, urn, firstLine(message), true) }
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

type urnKey struct{}

// about adds the resource to a context, so that warnings of the API server are shown at that resource.
func about(ctx context.Context, urn resource.URN) context.Context {
	return context.WithValue(ctx, urnKey{}, urn)
}

// warnings forwards warnings of the API server, each text once for each resource.
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

// GetPluginInfo returns the version.
func (s *Server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: release}, nil
}

// Cancel ends all running waits. Each fails with its last observed state.
func (s *Server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.cancel()
	// The new context is for the next run. This run sends no more requests.
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

// DiffConfig compares the inputs of a provider resource. A change never replaces the provider and its objects: a
// kubeconfig that moved to another file still describes the same cluster.
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

// Configure selects the cluster of this process. The engine configures the provider again for the update after a
// preview. A configuration for another provider resource is refused.
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

// keeps reports whether a run continues with its current configuration. It refuses one for another provider.
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
				"provider server serves only one: use one explicit kubernetes provider for the whole program, or %s",
				name(urn), name(before.urn), installed)
	default:
		// These are older inputs of a provider that this run has already checked with newer inputs. The newer inputs
		// apply.
		checked, ok := s.checked[urn]
		return ok && checked != given, nil
	}
}

// name returns the last part of a provider's URN.
func name(urn string) string {
	if urn == "" {
		return "default"
	}
	return fmt.Sprintf("%q", resource.URN(urn).Name())
}

// connected returns the cluster, or an error that explains why there is none.
func (s *Server) connected(doing string) (*cluster, settings, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	switch {
	case s.options.Offline:
		return nil, settings{},
			fmt.Errorf("%s: this kubernetes provider is offline and serves only previews: run without --offline, "+
				"with a cluster", doing)
	case s.configured == nil:
		return nil, settings{}, fmt.Errorf("%s: the kubernetes provider is not configured", doing)
	case s.cluster == nil:
		return nil, s.configured.settings, fmt.Errorf("%s: the cluster of the kubernetes provider cannot be reached",
			doing)
	}
	return s.cluster, s.configured.settings, nil
}

// reachable is connected for previews, which also work without a cluster.
func (s *Server) reachable() *cluster {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	if s.options.Offline {
		return nil
	}
	return s.cluster
}

// manager returns the field manager for the object of a URN. It is the same for the life of a stack, so that an object
// from a killed run can be recognized. It depends on the ID of the provider resource, so that a stack of the same name
// in another backend does not claim the object. Objects that are kept when their stack is destroyed must be recognized
// by the next stack, which has another provider resource: their manager depends on the URN alone.
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

// remember records that the engine knows an object.
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

// Invoke refuses all functions by name.
func (s *Server) Invoke(_ context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	return nil, status.Errorf(codes.Unimplemented, "function %s is not supported by this kubernetes provider: %s",
		req.GetTok(), installed)
}

// Call refuses all methods by name.
func (s *Server) Call(_ context.Context, req *pulumirpc.CallRequest) (*pulumirpc.CallResponse, error) {
	return nil, status.Errorf(codes.Unimplemented, "method %s is not supported by this kubernetes provider: %s",
		req.GetTok(), installed)
}
