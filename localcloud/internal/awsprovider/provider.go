package awsprovider

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
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

	opts    Options
	control *control

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
			errors.New("aws provider: ControlSocket: missing: set it to the path of the control socket, or set "+
				"Offline"))
	}
	if len(missing) > 0 {
		return nil, errors.Join(missing...)
	}
	p := &provider{opts: opts, control: newControl(opts.ControlSocket)}
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
	return nil, status.Error(codes.Unimplemented, "the aws provider does not support parameters")
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

// configuration returns the configuration, or an empty one before Configure.
func (p *provider) configuration() config {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config == nil {
		return config{}
	}
	return *p.config
}
