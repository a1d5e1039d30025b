package awsprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Version is the version of pulumi-aws whose behaviour this server imitates.
const Version = "6.83.0"

// Options configure a server.
type Options struct {
	// Offline servers only preview. They accept any provider configuration and need no local cloud.
	Offline bool
	// Endpoint is the URL of the stand-in on the host (awsEndpoint in cloud.json). It marks a local stack.
	Endpoint string
	// ControlSocket is the path of the local cloud's control socket.
	ControlSocket string
}

// provider is the gRPC server. Each server serves one run of the engine and accepts one configuration.
type provider struct {
	pulumirpc.UnimplementedResourceProviderServer

	opts Options
	door *door

	mu     sync.Mutex
	config *config
	// cancelled ends at Cancel, which stops all calls in progress.
	cancelled context.Context
	cancel    context.CancelFunc
}

// New returns the provider server "aws". An online server needs the stand-in's endpoint and control socket. New does
// not check that the local cloud is running; the first call to it does.
func New(opts Options) (pulumirpc.ResourceProviderServer, error) {
	var missing []error
	if !opts.Offline && opts.Endpoint == "" {
		missing = append(missing,
			errors.New("aws provider: Endpoint: missing: set it to the URL of the stand-in, or set Offline"))
	}
	if !opts.Offline && opts.ControlSocket == "" {
		missing = append(missing,
			errors.New("aws provider: ControlSocket: missing: set it to the path of the control socket, or set Offline"))
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing...)
	}
	p := &provider{opts: opts, door: newDoor(opts.ControlSocket)}
	p.cancelled, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

func (p *provider) Handshake(
	context.Context, *pulumirpc.ProviderHandshakeRequest,
) (*pulumirpc.ProviderHandshakeResponse, error) {
	return &pulumirpc.ProviderHandshakeResponse{AcceptSecrets: true, SupportsAutonamingConfiguration: true}, nil
}

func (p *provider) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (p *provider) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: Version}, nil
}

// Cancel stops the calls in progress. It is safe to create the same resource again, because the stand-in then adopts
// the first one. An engine may also call Cancel when it ends, and another engine may follow, so later calls are not
// affected.
func (p *provider) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel()
	p.cancelled, p.cancel = context.WithCancel(context.Background())
	return &emptypb.Empty{}, nil
}

func (p *provider) GetSchema(context.Context, *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	return nil, status.Error(codes.Unimplemented,
		"the local cloud's aws provider has no schema: use the schema of the installed plugin (pulumi plugin install "+
			"resource aws)")
}

func (p *provider) GetMapping(context.Context, *pulumirpc.GetMappingRequest) (*pulumirpc.GetMappingResponse, error) {
	return &pulumirpc.GetMappingResponse{}, nil
}

func (p *provider) GetMappings(context.Context, *pulumirpc.GetMappingsRequest) (*pulumirpc.GetMappingsResponse, error) {
	return &pulumirpc.GetMappingsResponse{}, nil
}

func (p *provider) Parameterize(
	context.Context, *pulumirpc.ParameterizeRequest,
) (*pulumirpc.ParameterizeResponse, error) {
	return nil, status.Error(codes.Unimplemented, "the aws provider takes no parameters")
}

func (p *provider) Invoke(_ context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	return nil, status.Errorf(codes.Unimplemented,
		"%s: the local cloud does not serve functions of the aws provider: "+
			"read values such as the account and the region from the stack's config", req.GetTok())
}

func (p *provider) Call(_ context.Context, req *pulumirpc.CallRequest) (*pulumirpc.CallResponse, error) {
	return nil, status.Errorf(codes.Unimplemented, "%s: the aws resources of the local cloud have no methods",
		req.GetTok())
}

func (p *provider) Construct(_ context.Context, req *pulumirpc.ConstructRequest) (*pulumirpc.ConstructResponse, error) {
	return nil, status.Errorf(codes.Unimplemented, "%s: the aws provider of the local cloud has no components",
		req.GetType())
}

func (p *provider) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	args, err := unmarshal("provider inputs", req.GetNews())
	if err != nil {
		return nil, err
	}
	resp := &pulumirpc.CheckResponse{Inputs: req.GetNews()}
	if !args.ContainsUnknowns() {
		_, faults := parseConfig(decodeConfig(args), p.opts.Offline, p.opts.Endpoint)
		for _, f := range faults {
			resp.Failures = append(resp.Failures, &pulumirpc.CheckFailure{Property: f.property, Reason: f.reason})
		}
	}
	return resp, nil
}

func (p *provider) DiffConfig(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	before := req.GetOldInputs()
	if before == nil {
		before = req.GetOlds()
	}
	olds, err := unmarshal("old provider inputs", before)
	if err != nil {
		return nil, err
	}
	news, err := unmarshal("provider inputs", req.GetNews())
	if err != nil {
		return nil, err
	}
	resp := &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}
	a, _ := parseConfig(decodeConfig(olds), true, "")
	b, _ := parseConfig(decodeConfig(news), true, "")
	if names := a.differences(&b); len(names) > 0 || news.ContainsUnknowns() {
		resp.Changes = pulumirpc.DiffResponse_DIFF_SOME
		resp.Diffs = names
	}
	// Resources cannot move between regions.
	if a.region != b.region && a.region != "" && b.region != "" {
		resp.Replaces = []string{"region"}
	}
	return resp, nil
}

func (p *provider) Configure(_ context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	args, err := unmarshal("provider inputs", req.GetArgs())
	if err != nil {
		return nil, err
	}
	if req.GetArgs() == nil {
		args = resource.PropertyMap{}
		for k, v := range req.GetVariables() {
			args[resource.PropertyKey(k[strings.LastIndex(k, ":")+1:])] = resource.NewProperty(v)
		}
	}
	c, faults := parseConfig(decodeConfig(args), p.opts.Offline, p.opts.Endpoint)
	if len(faults) > 0 {
		reasons := make([]string, 0, len(faults))
		for _, f := range faults {
			reasons = append(reasons, f.reason)
		}
		return nil, status.Error(codes.FailedPrecondition, strings.Join(reasons, "\n"))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config != nil {
		// A create request does not say which of the program's providers it belongs to. With two configurations,
		// resources would get the wrong one.
		if names := p.config.differences(&c); len(names) > 0 {
			return nil, status.Errorf(codes.FailedPrecondition,
				"the aws provider was already configured in this run, with other values of %s: "+
					"the local cloud supports one aws provider per program. Give every aws resource the same "+
					"explicit provider, "+
					"and destroy the stack before you change its region", strings.Join(names, ", "))
		}
	}
	p.config = &c
	return &pulumirpc.ConfigureResponse{
		AcceptSecrets: true, SupportsPreview: true,
		SupportsAutonamingConfiguration: true,
	}, nil
}

func (p *provider) Check(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	r := requestOf(req)
	typ, ok := p.typeOf(r.typ)
	if !ok {
		// Return a failure instead of an error, so that the engine shows it together with the faults of other
		// resources.
		return &pulumirpc.CheckResponse{
			Inputs:   req.GetNews(),
			Failures: []*pulumirpc.CheckFailure{{Reason: r.unmodelled()}},
		}, nil
	}
	news, err := unmarshal("inputs", req.GetNews())
	if err != nil {
		return nil, r.fail("checking", err, nil)
	}
	olds, err := unmarshal("old inputs", req.GetOlds())
	if err != nil {
		return nil, r.fail("checking", err, nil)
	}
	c := &checker{offline: p.opts.Offline, typ: typ, typeName: r.typ}
	inputs := c.check(olds, news, p.configuration().defaultTags, naming{
		name: r.name, seed: req.GetRandomSeed(), options: req.GetAutonaming(),
	})
	encoded, err := marshal("inputs", inputs)
	if err != nil {
		return nil, r.fail("checking", err, nil)
	}
	return &pulumirpc.CheckResponse{Inputs: encoded, Failures: c.failures}, nil
}

func (p *provider) Diff(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	r, typ, err := p.lookup(req)
	if err != nil {
		return nil, err
	}
	olds, oldInputs, news, err := triple(req.GetOlds(), req.GetOldInputs(), req.GetNews())
	if err != nil {
		return nil, r.fail("comparing", err, nil)
	}
	return typ.diff(olds, oldInputs, news), nil
}

func (p *provider) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	r, typ, err := p.lookup(req)
	if err != nil {
		return nil, err
	}
	inputs, err := unmarshal("inputs", req.GetProperties())
	if err != nil {
		return nil, r.fail("creating", err, nil)
	}
	if req.GetPreview() {
		encoded, err := marshal("outputs", typ.previewCreate(inputs))
		return &pulumirpc.CreateResponse{Properties: encoded}, err
	}
	if err := p.refuseOffline(); err != nil {
		return nil, r.fail("creating", err, nil)
	}
	ctx, stop := p.bound(ctx, req.GetTimeout())
	defer stop()
	got, err := p.door.create(ctx, doorRequest{
		Type: r.typ, Name: r.name, Region: p.configuration().region, Inputs: typ.request(inputs),
	})
	if err != nil {
		return nil, r.fail("creating", err, inputs)
	}
	encoded, err := marshal("outputs", typ.state(inputs, got.Outputs))
	if err != nil {
		return nil, r.fail("creating", err, inputs)
	}
	return &pulumirpc.CreateResponse{Id: got.ID, Properties: encoded}, nil
}

func (p *provider) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	r, typ, err := p.lookup(req)
	if err != nil {
		return nil, err
	}
	olds, oldInputs, news, err := triple(req.GetOlds(), req.GetOldInputs(), req.GetNews())
	if err != nil {
		return nil, r.fail("updating", err, nil)
	}
	if req.GetPreview() {
		encoded, err := marshal("outputs", typ.previewUpdate(olds, oldInputs, news))
		return &pulumirpc.UpdateResponse{Properties: encoded}, err
	}
	if err := p.refuseOffline(); err != nil {
		return nil, r.fail("updating", err, nil)
	}
	ctx, stop := p.bound(ctx, req.GetTimeout())
	defer stop()
	got, err := p.door.update(ctx, doorRequest{
		Type: r.typ, ID: req.GetId(), Region: p.configuration().region, Olds: typ.request(olds),
		Inputs: typ.request(news),
	})
	if err != nil {
		return nil, r.fail("updating", err, olds, news)
	}
	encoded, err := marshal("outputs", typ.state(news, got.Outputs))
	if err != nil {
		return nil, r.fail("updating", err, olds, news)
	}
	return &pulumirpc.UpdateResponse{Properties: encoded}, nil
}

func (p *provider) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	r, typ, err := p.lookup(req)
	if err != nil {
		return nil, err
	}
	olds, err := unmarshal("state", req.GetProperties())
	if err != nil {
		return nil, r.fail("deleting", err, nil)
	}
	if err := p.refuseOffline(); err != nil {
		return nil, r.fail("deleting", err, nil)
	}
	ctx, stop := p.bound(ctx, req.GetTimeout())
	defer stop()
	err = p.door.remove(ctx, doorRequest{
		Type: r.typ, ID: req.GetId(), Region: p.configuration().region, Olds: typ.request(olds),
	})
	if err != nil {
		return nil, r.fail("deleting", err, olds)
	}
	return &emptypb.Empty{}, nil
}

// Read serves refreshes, imports and lookups by id.
func (p *provider) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	r, typ, err := p.lookup(req)
	if err != nil {
		return nil, err
	}
	oldInputs, err := unmarshal("inputs", req.GetInputs())
	if err != nil {
		return nil, r.fail("reading", err, nil)
	}
	if p.opts.Offline {
		return nil, r.fail("reading", errors.New(
			"an offline preview cannot read resources: do not use refresh or import with it",
		), nil)
	}
	ctx, stop := p.bound(ctx, req.GetTimeout())
	defer stop()
	got, found, err := p.door.read(ctx, doorRequest{Type: r.typ, ID: req.GetId(), Region: p.configuration().region})
	if err != nil {
		return nil, r.fail("reading", err, oldInputs)
	}
	if !found {
		// To the engine, an empty id means that the resource does not exist.
		return &pulumirpc.ReadResponse{}, nil
	}
	inputs := typ.refreshed(oldInputs, got.Inputs, got.Outputs)
	encodedInputs, err := marshal("inputs", inputs)
	if err != nil {
		return nil, r.fail("reading", err, oldInputs)
	}
	encoded, err := marshal("outputs", typ.state(inputs, got.Outputs))
	if err != nil {
		return nil, r.fail("reading", err, oldInputs)
	}
	id := got.ID
	if id == "" {
		id = req.GetId()
	}
	return &pulumirpc.ReadResponse{Id: id, Inputs: encodedInputs, Properties: encoded}, nil
}

// configuration returns the configuration, or an empty one before Configure.
func (p *provider) configuration() config {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config == nil {
		return config{}
	}
	return *p.config
}

func (p *provider) refuseOffline() error {
	if !p.opts.Offline {
		return nil
	}
	return errors.New("an offline server only previews: run the command without --offline")
}

// bound limits a call to the resource's timeout (in seconds, 0 for none) and ends it at Cancel.
func (p *provider) bound(ctx context.Context, timeout float64) (context.Context, func()) {
	p.mu.Lock()
	cancelled := p.cancelled
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(cancelled, cancel)
	done := func() {
		stop()
		cancel()
	}
	if timeout <= 0 {
		return ctx, done
	}
	ctx, expire := context.WithTimeout(ctx, time.Duration(timeout*float64(time.Second)))
	return ctx, func() {
		expire()
		done()
	}
}

// request names the resource that a call is about.
type request struct{ typ, name string }

// named is a request of the engine about one resource.
type named interface {
	GetUrn() string
	GetType() string
	GetName() string
}

func requestOf(req named) request {
	if u := resource.URN(req.GetUrn()); u.IsValid() {
		return request{typ: string(u.Type()), name: u.Name()}
	}
	return request{typ: req.GetType(), name: req.GetName()}
}

// lookup returns the resource that a call is about, and its type. It fails if this server does not serve the type.
func (p *provider) lookup(req named) (request, *resourceType, error) {
	r := requestOf(req)
	if t, ok := p.typeOf(r.typ); ok {
		return r, t, nil
	}
	return r, nil, status.Error(codes.Unimplemented, r.unmodelled())
}

func (r request) unmodelled() string {
	return fmt.Sprintf("%s is not modelled by the local cloud: leave it out of local stacks. The modelled types are %s", r.typ,
		strings.Join(typeNames(), ", "))
}

// fail returns an error that names the operation and the resource. Secrets that the stand-in repeats in its answer are
// removed.
func (r request) fail(doing string, err error, known ...resource.PropertyMap) error {
	reason := err.Error()
	if refused := (*doorError)(nil); errors.As(err, &refused) {
		// Remove the resource's name from the stand-in's message, because it is already in the text.
		short := *refused
		short.Message = strings.TrimPrefix(strings.TrimPrefix(short.Message, r.typ+" "), r.name+": ")
		reason = short.Error()
	}
	text := fmt.Sprintf("%s %s %q: %s", doing, r.typ, r.name, reason)
	var secrets []string
	for _, m := range known {
		secrets = append(secrets, secretStrings(resource.NewProperty(m), false)...)
	}
	// Replace the longest secrets first, in case one secret contains another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, "[secret]")
	}
	return status.Error(codes.Unknown, text)
}

// secretStrings returns the secret strings of a value. Strings of fewer than four characters are left out, because they
// occur in ordinary text.
func secretStrings(v resource.PropertyValue, secret bool) []string {
	secret = secret || v.IsSecret()
	v = unwrap(v)
	var found []string
	switch {
	case v.IsString() && secret && len(v.StringValue()) >= 4:
		found = append(found, v.StringValue())
	case v.IsArray():
		for _, e := range v.ArrayValue() {
			found = append(found, secretStrings(e, secret)...)
		}
	case v.IsObject():
		for _, e := range v.ObjectValue() {
			found = append(found, secretStrings(e, secret)...)
		}
	}
	return found
}

func marshalOptions(label string) plugin.MarshalOptions {
	return plugin.MarshalOptions{
		Label: "aws " + label, KeepUnknowns: true, KeepSecrets: true, SkipNulls: true,
		RejectAssets: true,
	}
}

func unmarshal(label string, s *structpb.Struct) (resource.PropertyMap, error) {
	if s == nil {
		return resource.PropertyMap{}, nil
	}
	m, err := plugin.UnmarshalProperties(s, marshalOptions(label))
	if err != nil {
		return nil, fmt.Errorf("decoding the %s: %w", label, err)
	}
	return m, nil
}

func marshal(label string, m resource.PropertyMap) (*structpb.Struct, error) {
	s, err := plugin.MarshalProperties(m, marshalOptions(label))
	if err != nil {
		return nil, fmt.Errorf("encoding the %s: %w", label, err)
	}
	return s, nil
}

// triple decodes the state, the inputs that led to it, and the new inputs.
func triple(olds, oldInputs, news *structpb.Struct) (state, before, after resource.PropertyMap, err error) {
	if state, err = unmarshal("state", olds); err != nil {
		return nil, nil, nil, err
	}
	before = state
	if oldInputs != nil {
		if before, err = unmarshal("old inputs", oldInputs); err != nil {
			return nil, nil, nil, err
		}
	}
	after, err = unmarshal("inputs", news)
	return state, before, after, err
}
