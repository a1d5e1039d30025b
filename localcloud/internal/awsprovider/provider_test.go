package awsprovider_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/emptypb"

	"dbtier/localcloud/internal/awsprovider"
)

func TestCreateUpdateDeleteReachTheControlAPI(t *testing.T) {
	server, control := local(t, func(c call) (int, any) {
		if c.Method == http.MethodDelete {
			return http.StatusNoContent, nil
		}
		outputs := with(c.Inputs, props{
			"arn": "arn:aws:rds:x", "subnetIds": []any{"subnet-2", "subnet-1"}, "vpcId": "vpc-1",
			"internalNote": "not of the type",
			"tagsAll":      props{},
		})
		return http.StatusOK, props{"id": "mine", "outputs": outputs}
	})
	inputs, _ := check(t, server, subnetGroupType, nil, with(least[subnetGroupType], props{"name": "mine"}))
	encoded, err := plugin.MarshalProperties(inputs, plugin.MarshalOptions{})
	require.NoError(t, err)
	created, err := server.Create(t.Context(),
		&pulumirpc.CreateRequest{Urn: urn(subnetGroupType, "Db"), Properties: encoded})
	require.NoError(t, err)
	assert.Equal(t, "mine", created.GetId())
	assert.Equal(t, propertyMap(props{
		"name": "mine", "description": "Managed by Pulumi", "subnetIds": []any{"subnet-1", "subnet-2"},
		"arn": "arn:aws:rds:x", "vpcId": "vpc-1",
		"tagsAll": props{},
	}), unmarshal(t, created.GetProperties()), "the program's order is kept, and unknown outputs are dropped")

	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{
		Id: "mine", Urn: urn(subnetGroupType, "Db"), Olds: created.GetProperties(), OldInputs: encoded,
		News: marshal(t, props{"name": "mine", "description": "new", "subnetIds": []any{"subnet-1"}}),
	})
	require.NoError(t, err)
	_, err = server.Delete(t.Context(), &pulumirpc.DeleteRequest{
		Id: "mine", Urn: urn(subnetGroupType, "Db"), Properties: created.GetProperties(),
	})
	require.NoError(t, err)

	calls := control.seen()
	require.Len(t, calls, 3)
	assert.Equal(t, call{
		Method: http.MethodPost, Query: map[string]string{}, Type: subnetGroupType, Name: "Db",
		Region: "ap-northeast-2",
		Inputs: props{"name": "mine", "description": "Managed by Pulumi", "subnetIds": []any{"subnet-1", "subnet-2"}},
	}, calls[0])
	assert.Equal(t, http.MethodPut, calls[1].Method)
	assert.Equal(t, "mine", calls[1].ID)
	assert.Equal(t, "vpc-1", calls[1].Olds["vpcId"])
	assert.Equal(t, "new", calls[1].Inputs["description"])
	assert.Equal(t, http.MethodDelete, calls[2].Method)
	assert.Equal(t, "ap-northeast-2", calls[2].Region)
	assert.Equal(t, "vpc-1", calls[2].Olds["vpcId"])
}

func TestPropertiesThatAreNotModelledMayHaveZeroValues(t *testing.T) {
	server, control := local(t, echo)
	inputs, failures := check(t, server, keyType, nil, props{"multiRegion": false})
	require.Empty(t, failures)
	encoded, err := plugin.MarshalProperties(inputs, plugin.MarshalOptions{})
	require.NoError(t, err)
	resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "Db"), Properties: encoded})
	require.NoError(t, err)
	assert.NotContains(t, control.seen()[0].Inputs, "multiRegion")
	assert.False(t, unmarshal(t, resp.GetProperties())["multiRegion"].BoolValue())
}

func TestSecretsReachTheControlAPIAndStaySecretEverywhereElse(t *testing.T) {
	server, control := local(t, echo)
	inputs, failures := check(t, server, instanceType, nil, with(least[instanceType], props{
		"identifier": "db", "password": "pa:ss%word", "tags": secretValue(props{"a": "hidden"}),
	}))
	require.Empty(t, failures)
	assert.True(t, inputs["password"].IsSecret(), "even if the program does not mark it")
	encoded, err := plugin.MarshalProperties(inputs, plugin.MarshalOptions{KeepSecrets: true})
	require.NoError(t, err)
	for _, preview := range []bool{true, false} {
		resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
			Urn: urn(instanceType, "Db"), Properties: encoded, Preview: preview,
		})
		require.NoError(t, err)
		outputs := unmarshal(t, resp.GetProperties())
		assert.Equal(t, secretValue("pa:ss%word"), outputs["password"])
		assert.True(t, outputs["tags"].IsSecret())
		assert.True(t, outputs["tagsAll"].IsSecret())
	}
	require.Len(t, control.seen(), 1)
	assert.Equal(t, "pa:ss%word", control.seen()[0].Inputs["password"])

	_, failures = check(t, server, logGroupType, nil, props{"name": secretValue("no spaces here")})
	assert.Equal(t, "name: the secret value is not valid", failures["name"])
}

func TestAnErrorOfTheControlAPIIsShownWithWhatWasDone(t *testing.T) {
	server, _ := local(t, func(call) (int, any) {
		return http.StatusBadRequest, props{
			"code":    "InvalidParameterCombination",
			"message": "Cannot find version 16.3 for postgres (pa:ss%word)",
		}
	})
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn(instanceType, "x"), Properties: marshal(t, props{"password": secretValue("pa:ss%word")}),
	})
	require.ErrorContains(t, err,
		`creating aws:rds/instance:Instance "x": InvalidParameterCombination: Cannot find version 16.3 for postgres ([secret])`)
	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{Urn: urn(instanceType, "x"), Id: "a"})
	require.ErrorContains(t, err, `updating aws:rds/instance:Instance "x": InvalidParameterCombination`)
	_, err = server.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(instanceType, "x"), Id: "a"})
	require.ErrorContains(t, err, `deleting aws:rds/instance:Instance "x": InvalidParameterCombination`)
}

func TestAnErrorNamesTheResourceOnce(t *testing.T) {
	server, _ := local(t, func(call) (int, any) {
		return http.StatusBadRequest, props{"code": "ValidationError", "message": keyType + " x: policy: no principal"}
	})
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
	require.ErrorContains(t, err, `creating aws:kms/key:Key "x": ValidationError: policy: no principal`)
}

func TestAnAnswerThatIsNotJSONIsShown(t *testing.T) {
	server, _ := local(t, func(call) (int, any) { return http.StatusBadGateway, "upset" })
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
	require.ErrorContains(t, err, `creating aws:kms/key:Key "x": the stand-in answered 502 Bad Gateway: "upset"`)
}

func TestWithoutALocalCloudTheErrorSaysHowToStartIt(t *testing.T) {
	server := newServer(t, awsprovider.Options{
		Endpoint: endpoint, ControlSocket: filepath.Join(t.TempDir(), "none.sock"),
	})
	require.NoError(t, configure(t, server, marker()))
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
	require.ErrorContains(t, err, "the local cloud is not running")
	require.ErrorContains(t, err, "start it with `dbtier local start`")
}

func TestAMissingResourceReadsAsMissingAndDeletesWithoutAnError(t *testing.T) {
	server, _ := local(t, func(call) (int, any) {
		return http.StatusNotFound, props{"code": "DBInstanceNotFound", "message": "DBInstance db not found"}
	})
	read, err := server.Read(t.Context(), &pulumirpc.ReadRequest{Id: "db-1", Urn: urn(instanceType, "Db")})
	require.NoError(t, err)
	assert.Empty(t, read.GetId())
	_, err = server.Delete(t.Context(), &pulumirpc.DeleteRequest{Id: "db-1", Urn: urn(instanceType, "Db")})
	require.NoError(t, err)
	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{Id: "db-1", Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err, "DBInstanceNotFound: DBInstance db not found")
}

func TestAnOfflineServerPreviewsAndDoesNothingElse(t *testing.T) {
	server := offline(t)
	inputs, failures := check(t, server, instanceType, nil, with(least[instanceType], props{"domain": "d-1"}))
	assert.Empty(t, failures, "a preview for AWS accepts what only AWS models")
	assert.Equal(t, "d-1", inputs["domain"].StringValue())
	_, failures = check(t, server, instanceType, nil, with(least[instanceType], props{"sparkle": 1}))
	assert.Contains(t, failures, "sparkle")

	resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn(instanceType, "Db"), Properties: marshal(t, least[instanceType]), Preview: true,
	})
	require.NoError(t, err)
	assert.True(t, unmarshal(t, resp.GetProperties())["address"].IsComputed())
	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{Urn: urn(instanceType, "Db"), Preview: true})
	require.NoError(t, err)

	_, err = server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err,
		`creating aws:rds/instance:Instance "Db": an offline server only previews: run the command without --offline`)
	_, err = server.Update(t.Context(), &pulumirpc.UpdateRequest{Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err, "only previews")
	_, err = server.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err, "only previews")
	_, err = server.Read(t.Context(), &pulumirpc.ReadRequest{Urn: urn(instanceType, "Db")})
	require.ErrorContains(t, err, "an offline preview cannot read resources")
}

func TestTypesThatAreNotModelledAreRefusedByName(t *testing.T) {
	server, control := local(t, echo)
	const bucket = "aws:s3/bucketV2:BucketV2"
	_, failures := check(t, server, bucket, nil, props{"bucket": "b"})
	assert.Contains(t, failures[""], bucket+" is not modelled by the local cloud")
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(bucket, "b")})
	require.ErrorContains(t, err, bucket)
	_, err = server.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "aws:index/getCallerIdentity:getCallerIdentity"})
	require.ErrorContains(t, err,
		"aws:index/getCallerIdentity:getCallerIdentity: the local cloud does not serve functions")
	_, err = server.Call(t.Context(), &pulumirpc.CallRequest{Tok: "aws:x:y"})
	require.ErrorContains(t, err, "aws:x:y")
	_, err = server.GetSchema(t.Context(), &pulumirpc.GetSchemaRequest{})
	require.ErrorContains(t, err, "has no schema")
	assert.Empty(t, control.seen())
}

func TestCancelStopsCallsInProgress(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	server, _ := local(t, func(c call) (int, any) {
		close(entered)
		<-leave
		return echo(c)
	})
	t.Cleanup(func() { close(leave) })
	failed := make(chan error, 1)
	go func() {
		_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
		failed <- err
	}()
	<-entered
	_, err := server.Cancel(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	require.ErrorContains(t, <-failed, `creating aws:kms/key:Key "x": cancelled`)
}

// An engine may also call Cancel when it ends. A preview and an update use two engines.
func TestCancelDoesNotAffectLaterCalls(t *testing.T) {
	server, _ := local(t, echo)
	_, err := server.Cancel(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	_, err = server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x")})
	require.NoError(t, err)
}

func TestTheTimeoutOfTheResourceIsApplied(t *testing.T) {
	leave := make(chan struct{})
	server, _ := local(t, func(c call) (int, any) {
		<-leave
		return echo(c)
	})
	t.Cleanup(func() { close(leave) })
	_, err := server.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(keyType, "x"), Timeout: 0.01})
	require.ErrorContains(t, err, "the resource's timeout (customTimeouts) ran out")
}

func TestAServerNeedsItsEndpointAndSocketUnlessOffline(t *testing.T) {
	_, err := awsprovider.New(awsprovider.Options{})
	require.ErrorContains(t, err, "Endpoint: missing")
	require.ErrorContains(t, err, "ControlSocket: missing")
	_, err = awsprovider.New(awsprovider.Options{Offline: true})
	require.NoError(t, err)
}

func TestTheServerAnnouncesItself(t *testing.T) {
	server := offline(t)
	info, err := server.GetPluginInfo(t.Context(), &emptypb.Empty{})
	require.NoError(t, err)
	assert.Equal(t, "6.83.0", info.GetVersion())
	hands, err := server.Handshake(t.Context(), &pulumirpc.ProviderHandshakeRequest{})
	require.NoError(t, err)
	assert.True(t, hands.GetAcceptSecrets())
	_, err = server.Attach(t.Context(), &pulumirpc.PluginAttach{})
	require.NoError(t, err)
}
