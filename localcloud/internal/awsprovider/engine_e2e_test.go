//go:build e2e

package awsprovider_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"dbtier/localcloud/internal/awsprovider"
)

// world is the AWS behind the control API: the created resources by id.
type world struct {
	mu        sync.Mutex
	made      int
	resources map[string]call
	// refuse is a resource type. Its creations fail with an error of AWS.
	refuse string
}

func (w *world) answer(c call) (int, any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	outputs := func(id string, c call) map[string]any {
		return with(c.Inputs, props{
			"arn": "arn:aws:local:" + id, "keyId": id, "resourceId": id,
			"address": fmt.Sprint(c.Inputs["identifier"], ".local"), "port": 5432,
			"masterUserSecrets": []any{props{"secretArn": "arn:of:secret", "secretStatus": "active"}}, "uniqueId": id,
		})
	}
	switch c.Method {
	case http.MethodPost:
		if c.Type == w.refuse {
			return http.StatusBadRequest, props{
				"code":    "InvalidParameterCombination",
				"message": "Cannot find version 16.3 for postgres",
			}
		}
		w.made++
		id := fmt.Sprintf("id-%d", w.made)
		w.resources[id] = c
		return http.StatusOK, props{"id": id, "outputs": outputs(id, c)}
	case http.MethodPut:
		w.resources[c.ID] = c
		return http.StatusOK, props{"outputs": outputs(c.ID, c)}
	case http.MethodGet:
		id := c.Query["id"]
		found, ok := w.resources[id]
		if !ok {
			return http.StatusNotFound, props{"code": "NotFound", "message": id}
		}
		return http.StatusOK, props{"id": id, "inputs": found.Inputs, "outputs": outputs(id, found)}
	default:
		delete(w.resources, c.ID)
		return http.StatusNoContent, nil
	}
}

// byHand changes the resource of a type outside Pulumi, or deletes it if inputs is nil.
func (w *world) byHand(typ string, inputs props) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, c := range w.resources {
		if c.Type != typ {
			continue
		}
		if inputs == nil {
			delete(w.resources, id)
			continue
		}
		c.Inputs = with(c.Inputs, inputs)
		w.resources[id] = c
	}
}

// steps returns method and type of the calls since it was last called.
func (d *recordingControl) steps() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var steps []string
	for _, c := range d.calls {
		typ := c.Type
		if typ == "" {
			typ = c.Query["type"]
		}
		steps = append(steps, c.Method+" "+typ[strings.LastIndex(typ, ":")+1:])
	}
	d.calls = nil
	return steps
}

// bench is a stack of the real engine with this provider attached.
type bench struct {
	stack   auto.Stack
	control *recordingControl
	world   *world
	// The resources of the program. A nil leaves the resource out.
	config, key, instance props
	password              string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	command, err := auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: root, SkipVersionCheck: true})
	require.NoError(t, err, "bin/pulumi is missing: run make build")
	b := &bench{
		world: &world{resources: map[string]call{}}, password: "pa:ss%w[rd&+",
		config: marker(),
		key:    props{"enableKeyRotation": true, "tags": props{"team": "data"}},
		instance: props{
			"identifier": "db", "instanceClass": "db.t4g.micro", "engine": "postgres",
			"engineVersion": "16", "username": "app",
		},
	}
	b.control = newControl(t, b.world.answer)
	dir := t.TempDir()
	backend := filepath.Join(dir, "backend")
	require.NoError(t, os.MkdirAll(backend, 0o700))
	b.stack, err = auto.UpsertStackInlineSource(t.Context(), "local", "aws-provider", b.program, auto.Pulumi(command),
		auto.PulumiHome(filepath.Join(dir, "home")), auto.EnvVars(map[string]string{
			"PULUMI_BACKEND_URL": "file://" + backend, "PULUMI_CONFIG_PASSPHRASE": "test",
			"PULUMI_SKIP_UPDATE_CHECK":                    "true",
			"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
		}))
	require.NoError(t, err)
	return b
}

func (b *bench) program(ctx *pulumi.Context) error {
	var provider pulumi.ProviderResourceState
	if err := ctx.RegisterResource("pulumi:providers:aws", "aws", pulumi.ToMap(b.config), &provider); err != nil {
		return err
	}
	opts := pulumi.Provider(&provider)
	type made struct {
		pulumi.CustomResourceState
		Arn     pulumi.StringOutput `pulumi:"arn"`
		Address pulumi.StringOutput `pulumi:"address"`
		Name    pulumi.StringOutput `pulumi:"name"`
	}
	var key, alias, instance made
	if b.key != nil {
		if err := ctx.RegisterResource(keyType, "main", pulumi.ToMap(b.key), &key, opts); err != nil {
			return err
		}
		if err := ctx.RegisterResource(aliasType, "main", pulumi.Map{"targetKeyId": key.ID()}, &alias,
			opts); err != nil {
			return err
		}
		ctx.Export("alias", alias.Name)
	}
	if b.instance != nil {
		inputs := pulumi.ToMap(b.instance)
		inputs["password"] = pulumi.ToSecret(pulumi.String(b.password))
		if err := ctx.RegisterResource(instanceType, "main", inputs, &instance, opts); err != nil {
			return err
		}
		ctx.Export("address", instance.Address)
	}
	return nil
}

// attach starts a server for one run of the engine, as the driver does.
func (b *bench) attach(t *testing.T, offline bool) {
	t.Helper()
	server, err := awsprovider.New(awsprovider.Options{
		Offline: offline, Endpoint: endpoint, ControlSocket: b.control.socket,
	})
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer()
	pulumirpc.RegisterResourceProviderServer(g, server)
	go func() { _ = g.Serve(listener) }()
	t.Cleanup(g.Stop)
	b.stack.Workspace().SetEnvVar("PULUMI_DEBUG_PROVIDERS", fmt.Sprintf("aws:%d", listener.Addr().(*net.TCPAddr).Port))
}

func (b *bench) up(t *testing.T) (map[string]int, auto.OutputMap, error) {
	t.Helper()
	b.attach(t, false)
	result, err := b.stack.Up(t.Context())
	changes := map[string]int{}
	if err == nil && result.Summary.ResourceChanges != nil {
		changes = *result.Summary.ResourceChanges
	}
	return changes, result.Outputs, err
}

func (b *bench) mustUp(t *testing.T) map[string]int {
	t.Helper()
	changes, _, err := b.up(t)
	require.NoError(t, err)
	return changes
}

func (b *bench) preview(t *testing.T, offline bool) (map[apitype.OpType]int, error) {
	t.Helper()
	b.attach(t, offline)
	result, err := b.stack.Preview(t.Context(), optpreview.Diff())
	return result.ChangeSummary, err
}

func TestEngineCreatesUpdatesReplacesAndDeletesOnTheLocalCloud(t *testing.T) {
	b := newBench(t)

	changes, err := b.preview(t, false)
	require.NoError(t, err)
	assert.Equal(t, map[apitype.OpType]int{"create": 5}, changes)
	assert.Empty(t, b.control.steps(), "a preview creates nothing")

	made, outputs, err := b.up(t)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"create": 5}, made)
	assert.ElementsMatch(t, []string{"POST Key", "POST Alias", "POST Instance"}, b.control.steps())
	assert.Equal(t, "db.local", outputs["address"].Value)
	assert.Regexp(t, `^alias/main-[0-9a-f]{7}$`, outputs["alias"].Value)

	deployment, err := b.stack.Export(t.Context())
	require.NoError(t, err)
	assert.Contains(t, string(deployment.Deployment), "arn:of:secret", "the search finds a value that exists")
	quoted, err := json.Marshal(b.password)
	require.NoError(t, err)
	for _, form := range []string{b.password, strings.Trim(string(quoted), `"`)} {
		assert.NotContains(t, string(deployment.Deployment), form, "the state holds no password")
	}

	assert.Equal(t, map[string]int{"same": 5}, b.mustUp(t))
	assert.Empty(t, b.control.steps(), "an update without changes calls no service")

	b.key = props{"enableKeyRotation": true, "tags": props{"team": "platform"}}
	assert.Equal(t, map[string]int{"same": 4, "update": 1}, b.mustUp(t))
	assert.Equal(t, []string{"PUT Key"}, b.control.steps())

	b.instance = with(b.instance, props{"username": "other"})
	assert.Equal(t, map[string]int{"same": 4, "replace": 1}, b.mustUp(t))
	assert.Equal(t, []string{"DELETE Instance", "POST Instance"}, b.control.steps(),
		"a name that the program chose is freed first")

	b.world.byHand(instanceType, props{"instanceClass": "db.t4g.large"})
	b.attach(t, false)
	_, err = b.stack.Refresh(t.Context())
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"GET Key", "GET Alias", "GET Instance"}, b.control.steps())
	assert.Equal(t, map[string]int{"same": 4, "update": 1}, b.mustUp(t), "a change by hand is reverted")
	assert.Equal(t, []string{"PUT Instance"}, b.control.steps())

	b.world.byHand(aliasType, nil)
	b.attach(t, false)
	_, err = b.stack.Refresh(t.Context())
	require.NoError(t, err)
	b.control.steps()
	assert.Equal(t, map[string]int{"create": 1, "same": 4}, b.mustUp(t),
		"a resource that was deleted outside Pulumi is created again")
	assert.Equal(t, []string{"POST Alias"}, b.control.steps())

	b.attach(t, false)
	_, err = b.stack.Destroy(t.Context())
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"DELETE Alias", "DELETE Key", "DELETE Instance"}, b.control.steps())
	assert.Empty(t, slices.Collect(maps.Keys(b.world.resources)))
}

func TestEngineShowsErrorsOfAWS(t *testing.T) {
	b := newBench(t)
	b.world.refuse = instanceType
	_, _, err := b.up(t)
	require.ErrorContains(t, err,
		`creating aws:rds/instance:Instance "main": InvalidParameterCombination: Cannot find version 16.3 for postgres`)
	require.NotContains(t, err.Error(), b.password)
}

func TestEngineShowsEveryFaultOfTheProgramBeforeAnythingIsMade(t *testing.T) {
	b := newBench(t)
	b.key = props{"deletionWindowInDays": 3, "sparkle": true}
	_, err := b.preview(t, false)
	require.ErrorContains(t, err, "deletionWindowInDays: 3 must be between 7 and 30")
	require.ErrorContains(t, err, "sparkle: aws:kms/key:Key has no such property")
	assert.Empty(t, b.control.steps())
}

func TestEngineRefusesAStackThatIsNotMarkedLocal(t *testing.T) {
	b := newBench(t)
	b.config = props{"region": "ap-northeast-2"}
	_, _, err := b.up(t)
	require.ErrorContains(t, err, "this stack is not marked local")
	assert.Empty(t, b.control.steps())
}

func TestEngineRefusesAnAWSResourceWithoutTheExplicitProvider(t *testing.T) {
	b := newBench(t)
	program := b.program
	b.stack.Workspace().SetProgram(func(ctx *pulumi.Context) error {
		if err := program(ctx); err != nil {
			return err
		}
		var stray pulumi.CustomResourceState
		return ctx.RegisterResource(logGroupType, "stray", pulumi.Map{}, &stray)
	})
	_, _, err := b.up(t)
	require.ErrorContains(t, err, "this stack is not marked local")
	assert.NotContains(t, b.control.steps(), "POST LogGroup")
}

func TestEnginePreviewsAProductionStackOffline(t *testing.T) {
	b := newBench(t)
	b.config = props{"region": "eu-west-1", "profile": "prod"}
	changes, err := b.preview(t, true)
	require.NoError(t, err)
	assert.Equal(t, map[apitype.OpType]int{"create": 5}, changes)
	b.attach(t, true)
	_, err = b.stack.Up(t.Context())
	require.ErrorContains(t, err, "an offline server only previews")
	assert.Empty(t, b.control.steps())
}

func TestEngineWithoutALocalCloudSaysHowToStartIt(t *testing.T) {
	b := newBench(t)
	b.control.socket += ".none"
	_, _, err := b.up(t)
	require.ErrorContains(t, err, "start it with `dbtier local start`")
}
