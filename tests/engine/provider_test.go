package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// folder is the environment variable with the provider's folder. The folder has a file for each resource, and the file
// log with a line for each operation.
const folder = "TEST_WORLD"

// provider keeps resources of any type as files. The property id, identifier or name is the resource's id. A change of it
// or of the property engine replaces the resource. The property delay is the duration of a creation in milliseconds. The
// property fails is the error of a creation.
// With the property defers, an update leaves the property instanceClass as it is, and a difference is one between the
// answer to the last update and the program, as in the plugin for AWS.
type provider struct {
	pulumirpc.UnimplementedResourceProviderServer
	dir string
}

func (p *provider) Handshake(
	context.Context, *pulumirpc.ProviderHandshakeRequest,
) (*pulumirpc.ProviderHandshakeResponse, error) {
	return &pulumirpc.ProviderHandshakeResponse{AcceptSecrets: true}, nil
}

func (p *provider) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (p *provider) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.0.0"}, nil
}

func (p *provider) CheckConfig(_ context.Context, r *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: r.GetNews()}, nil
}

func (p *provider) DiffConfig(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{}, nil
}

func (p *provider) Configure(context.Context, *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	return &pulumirpc.ConfigureResponse{AcceptSecrets: true, SupportsPreview: true}, nil
}

func (p *provider) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (p *provider) Check(_ context.Context, r *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: r.GetNews()}, nil
}

var naming = []string{"id", "identifier", "name", "engine"}

func (p *provider) Diff(_ context.Context, r *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	olds, news := r.GetOldInputs().AsMap(), r.GetNews().AsMap()
	if news["defers"] == true {
		olds = r.GetOlds().AsMap()
	}
	answer := &pulumirpc.DiffResponse{
		Changes: pulumirpc.DiffResponse_DIFF_NONE, HasDetailedDiff: true,
		DetailedDiff: map[string]*pulumirpc.PropertyDiff{},
	}
	for _, key := range keys(olds, news) {
		if reflect.DeepEqual(olds[key], news[key]) {
			continue
		}
		kind := pulumirpc.PropertyDiff_UPDATE
		if slices.Contains(naming, key) {
			kind = pulumirpc.PropertyDiff_UPDATE_REPLACE
			answer.Replaces = append(answer.Replaces, key)
		}
		answer.Changes = pulumirpc.DiffResponse_DIFF_SOME
		answer.Diffs = append(answer.Diffs, key)
		answer.DetailedDiff[key] = &pulumirpc.PropertyDiff{Kind: kind, InputDiff: true}
	}
	return answer, nil
}

func keys(of ...map[string]any) []string {
	var all []string
	for _, m := range of {
		for key := range m {
			if !slices.Contains(all, key) {
				all = append(all, key)
			}
		}
	}
	slices.Sort(all)
	return all
}

func (p *provider) Create(ctx context.Context, r *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	if r.GetPreview() {
		return &pulumirpc.CreateResponse{Properties: r.GetProperties()}, nil
	}
	if reason, fails := r.GetProperties().AsMap()["fails"].(string); fails {
		return nil, errors.New(reason)
	}
	id := idOf(r.GetUrn(), r.GetProperties().AsMap())
	// A resource that a killed run has created is adopted, as by the local cloud's providers.
	what := "create"
	if _, err := os.Stat(p.file(id)); err == nil {
		what = "adopt"
	}
	if err := p.write(id, r.GetProperties(), what); err != nil {
		return nil, err
	}
	return &pulumirpc.CreateResponse{Id: id, Properties: r.GetProperties()}, takeTime(ctx, r.GetProperties())
}

func takeTime(ctx context.Context, properties *structpb.Struct) error {
	delay, _ := properties.AsMap()["delay"].(float64)
	select {
	case <-time.After(time.Duration(delay) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func idOf(urn string, properties map[string]any) string {
	for _, key := range naming[:3] {
		if id, ok := properties[key].(string); ok {
			return id
		}
	}
	return urn[strings.LastIndex(urn, "::")+2:]
}

func (p *provider) Read(_ context.Context, r *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	text, err := os.ReadFile(p.file(r.GetId()))
	if errors.Is(err, fs.ErrNotExist) {
		return &pulumirpc.ReadResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	var content map[string]any
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, err
	}
	properties, err := structpb.NewStruct(content)
	if err != nil {
		return nil, err
	}
	inputs := r.GetInputs().AsMap()
	if len(inputs) == 0 {
		// In an import the real resource gives the inputs.
		inputs = maps.Clone(content)
	}
	for key := range inputs {
		if value, ok := content[key]; ok {
			inputs[key] = value
		}
	}
	own, err := structpb.NewStruct(inputs)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.ReadResponse{Id: r.GetId(), Properties: properties, Inputs: own}, nil
}

func (p *provider) Update(ctx context.Context, r *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	if r.GetPreview() {
		return &pulumirpc.UpdateResponse{Properties: r.GetNews()}, nil
	}
	answer := r.GetNews()
	if answer.AsMap()["defers"] == true {
		answer = proto.CloneOf(answer)
		answer.Fields["instanceClass"] = r.GetOlds().GetFields()["instanceClass"]
	}
	if err := p.write(r.GetId(), answer, "update"); err != nil {
		return nil, err
	}
	return &pulumirpc.UpdateResponse{Properties: answer}, takeTime(ctx, r.GetNews())
}

func (p *provider) Delete(_ context.Context, r *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	if err := os.Remove(p.file(r.GetId())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &emptypb.Empty{}, p.log("delete", r.GetId())
}

func (p *provider) file(id string) string {
	return filepath.Join(p.dir, strings.ReplaceAll(id, "/", "_")+".json")
}

func (p *provider) write(id string, properties *structpb.Struct, what string) error {
	text, err := json.Marshal(properties.AsMap())
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.file(id), text, 0o600); err != nil {
		return err
	}
	return p.log(what, id)
}

func (p *provider) log(what, id string) error {
	file, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = fmt.Fprintf(file, "%s %s\n", what, id)
	return err
}

// serve serves the provider and returns its port.
func serve() (port int, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	server := grpc.NewServer()
	pulumirpc.RegisterResourceProviderServer(server, &provider{dir: os.Getenv(folder)})
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().(*net.TCPAddr).Port, server.Stop, nil //nolint:forcetypeassert // a TCP listener
}

// playLocalCloud serves the provider for one run of the engine, as localcloud does: it prints its ports and ends when its
// stdin closes.
func playLocalCloud(args []string) int {
	if len(args) == 0 || args[0] != "providers" {
		return 0
	}
	port, stop, err := serve()
	if err != nil {
		return 1
	}
	fmt.Printf("{\"aws\":%d,\"kubernetes\":%d}\n", port, port)
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	return 0
}

// playPlugin serves the provider as a plugin that the engine starts and ends.
func playPlugin() int {
	port, _, err := serve()
	if err != nil {
		return 1
	}
	fmt.Println(port)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	return 0
}
