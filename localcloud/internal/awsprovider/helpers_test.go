package awsprovider_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/structpb"

	"dbtier/localcloud/internal/awsprovider"
)

const (
	endpoint = "http://127.0.0.1:14566"

	keyType            = "aws:kms/key:Key"
	aliasType          = "aws:kms/alias:Alias"
	subnetGroupType    = "aws:rds/subnetGroup:SubnetGroup"
	parameterGroupType = "aws:rds/parameterGroup:ParameterGroup"
	instanceType       = "aws:rds/instance:Instance"
	securityGroupType  = "aws:ec2/securityGroup:SecurityGroup"
	logGroupType       = "aws:cloudwatch/logGroup:LogGroup"
	roleType           = "aws:iam/role:Role"
	rolePolicyType     = "aws:iam/rolePolicy:RolePolicy"
	attachmentType     = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
)

type props = map[string]any

var unknownValue = resource.MakeComputed(resource.NewProperty(""))

func secretValue(v any) resource.PropertyValue {
	return resource.MakeSecret(resource.NewPropertyValue(v))
}

// propertyMap accepts plain values, property values, and a mixture of both.
func propertyMap(m props) resource.PropertyMap {
	return resource.NewPropertyMapFromMap(m)
}

func marshal(t *testing.T, m props) *structpb.Struct {
	t.Helper()
	if m == nil {
		return nil
	}
	s, err := plugin.MarshalProperties(propertyMap(m), plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(t, err)
	return s
}

func unmarshal(t *testing.T, s *structpb.Struct) resource.PropertyMap {
	t.Helper()
	m, err := plugin.UnmarshalProperties(s, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true})
	require.NoError(t, err)
	return m
}

func urn(typ, name string) string {
	return "urn:pulumi:local::dbtier::" + typ + "::" + name
}

func marker() props {
	return props{
		"region":    "ap-northeast-2",
		"endpoints": []any{props{"sts": endpoint, "rds": endpoint, "secretsmanager": endpoint + "/"}},
	}
}

func configure(t *testing.T, server pulumirpc.ResourceProviderServer, args props) error {
	t.Helper()
	_, err := server.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: marshal(t, args), AcceptSecrets: true})
	return err
}

func newServer(t *testing.T, opts awsprovider.Options) pulumirpc.ResourceProviderServer {
	t.Helper()
	server, err := awsprovider.New(opts)
	require.NoError(t, err)
	return server
}

// local returns a configured server with a recording control API.
func local(t *testing.T, answer func(call) (int, any)) (pulumirpc.ResourceProviderServer, *recordingControl) {
	t.Helper()
	control := newControl(t, answer)
	server := newServer(t, awsprovider.Options{Endpoint: endpoint, ControlSocket: control.socket})
	require.NoError(t, configure(t, server, marker()))
	return server, control
}

func offline(t *testing.T) pulumirpc.ResourceProviderServer {
	t.Helper()
	server := newServer(t, awsprovider.Options{Offline: true})
	require.NoError(t, configure(t, server, props{"region": "eu-west-1", "profile": "prod"}))
	return server
}

func check(
	t *testing.T, server pulumirpc.ResourceProviderServer, typ string, olds, news props,
) (resource.PropertyMap, map[string]string) {
	t.Helper()
	resp, err := server.Check(t.Context(), &pulumirpc.CheckRequest{
		Urn: urn(typ, "db"), Type: typ, Name: "db", Olds: marshal(t, olds), News: marshal(t, news),
		RandomSeed: []byte("seed"),
	})
	require.NoError(t, err)
	failures := map[string]string{}
	for _, f := range resp.GetFailures() {
		failures[f.GetProperty()] = f.GetReason()
	}
	return unmarshal(t, resp.GetInputs()), failures
}

func diff(
	t *testing.T, server pulumirpc.ResourceProviderServer, typ string, state, olds, news props,
) *pulumirpc.DiffResponse {
	t.Helper()
	resp, err := server.Diff(t.Context(), &pulumirpc.DiffRequest{
		Id: "id-1", Urn: urn(typ, "Db"), Type: typ, Name: "Db",
		Olds: marshal(t, state), OldInputs: marshal(t, olds), News: marshal(t, news),
	})
	require.NoError(t, err)
	return resp
}

// least has the minimum inputs of each type.
var least = map[string]props{
	keyType:            {},
	aliasType:          {"targetKeyId": "k-1"},
	subnetGroupType:    {"subnetIds": []any{"subnet-1", "subnet-2"}},
	parameterGroupType: {"family": "postgres16"},
	instanceType:       {"instanceClass": "db.t4g.micro", "engine": "postgres"},
	securityGroupType:  {"vpcId": "vpc-1"},
	logGroupType:       {},
	roleType:           {"assumeRolePolicy": `{"Version":"2012-10-17"}`},
	rolePolicyType:     {"role": "r", "policy": `{"Version":"2012-10-17"}`},
	attachmentType: {
		"role": "r", "policyArn": "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
	},
}

func with(base, more props) props {
	out := props{}
	for k, v := range base {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}
