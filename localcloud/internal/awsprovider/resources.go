package awsprovider

import (
	"context"
	"errors"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

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
	got, err := p.control.create(ctx, controlRequest{
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
	got, err := p.control.update(ctx, controlRequest{
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
	err = p.control.remove(ctx, controlRequest{
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
	got, found, err := p.control.read(ctx, controlRequest{
		Type: r.typ, ID: req.GetId(), Region: p.configuration().region,
	})
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
