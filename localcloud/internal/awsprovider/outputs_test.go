package awsprovider_test

import (
	"net/http"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPreviewOfACreationKnowsTheInputsAndNothingElse(t *testing.T) {
	server, control := local(t, echo)
	inputs, failures := check(t, server, instanceType, nil, with(least[instanceType], props{
		"identifier": "db", "tags": props{"a": "b"}, "manageMasterUserPassword": true,
	}))
	require.Empty(t, failures)
	encoded, err := plugin.MarshalProperties(inputs, plugin.MarshalOptions{KeepSecrets: true})
	require.NoError(t, err)
	resp, err := server.Create(t.Context(), &pulumirpc.CreateRequest{
		Urn: urn(instanceType, "Db"), Properties: encoded, Preview: true,
	})
	require.NoError(t, err)
	outputs := unmarshal(t, resp.GetProperties())
	assert.Empty(t, resp.GetId(), "an id is not known before the resource exists")
	assert.NotContains(t, outputs, resource.PropertyKey("__defaults"))
	for _, name := range []resource.PropertyKey{
		"address", "arn", "endpoint", "engineVersionActual", "hostedZoneId", "masterUserSecrets", "resourceId",
		"status",
		"port", "kmsKeyId", "availabilityZone", "backupWindow",
	} {
		assert.True(t, outputs[name].IsComputed(), name)
	}
	assert.Equal(t, "db", outputs["identifier"].StringValue())
	assert.Equal(t, "db.t4g.micro", outputs["instanceClass"].StringValue())
	assert.Equal(t, outputs["tags"], outputs["tagsAll"])
	assert.NotContains(t, outputs, resource.PropertyKey("password"))
	assert.Empty(t, control.seen())
}

func TestAPreviewOfAnUpdateKeepsWhatItDoesNotTouch(t *testing.T) {
	server, control := local(t, echo)
	olds := props{"identifier": "db", "engineVersion": "16", "deletionProtection": true, "tags": props{"a": "b"}}
	state := with(olds, props{
		"address": "db.x", "endpoint": "db.x:5432", "arn": "arn", "engineVersionActual": "16.11", "resourceId": "db-1",
		"masterUserSecrets": []any{props{"secretArn": "arn:s"}}, "port": 5432, "tagsAll": props{"a": "b"},
	})
	update := func(news props) resource.PropertyMap {
		resp, err := server.Update(t.Context(), &pulumirpc.UpdateRequest{
			Id: "db-1", Urn: urn(instanceType, "Db"), Olds: marshal(t, state), OldInputs: marshal(t, olds),
			News: marshal(t, news), Preview: true,
		})
		require.NoError(t, err)
		return unmarshal(t, resp.GetProperties())
	}
	outputs := update(props{"identifier": "db", "engineVersion": "16", "tags": props{"a": "c"}})
	assert.Equal(t, propertyMap(props{
		"identifier": "db", "engineVersion": "16", "tags": props{"a": "c"}, "tagsAll": props{"a": "c"},
		"address": "db.x", "endpoint": "db.x:5432", "arn": "arn", "engineVersionActual": "16.11", "resourceId": "db-1",
		"masterUserSecrets": []any{props{"secretArn": "arn:s"}}, "port": 5432,
	}), outputs)

	outputs = update(props{"identifier": "renamed", "engineVersion": "17", "manageMasterUserPassword": true})
	for _, name := range []resource.PropertyKey{
		"address", "endpoint", "arn", "engineVersionActual",
		"masterUserSecrets",
	} {
		assert.True(t, outputs[name].IsComputed(), name)
	}
	assert.Equal(t, "db-1", outputs["resourceId"].StringValue())
	assert.Empty(t, control.seen())
}

func TestReadFindsDriftAndKeepsTheProgramsWords(t *testing.T) {
	server, control := local(t, func(call) (int, any) {
		return http.StatusOK, props{
			"id": "db-1",
			"outputs": props{
				"identifier": "db", "engineVersion": "16.11", "engineVersionActual": "16.11",
				"deletionProtection": true, "multiAz": true,
				"vpcSecurityGroupIds": []any{"sg-2", "sg-1"}, "instanceClass": "db.t4g.large",
				"backupWindow": "03:00-04:00", "port": 5432,
				"skipFinalSnapshot": false, "password": "leaked", "autoMinorVersionUpgrade": true,
			},
		}
	})
	olds := props{
		"identifier": "db", "engineVersion": "16", "vpcSecurityGroupIds": []any{"sg-1", "sg-2"},
		"instanceClass":     "db.t4g.micro",
		"skipFinalSnapshot": true, "password": secretValue("pa:ss%word"), "autoMinorVersionUpgrade": true,
		"copyTagsToSnapshot": false,
		"__defaults":         []any{"autoMinorVersionUpgrade", "copyTagsToSnapshot"},
	}
	resp, err := server.Read(t.Context(), &pulumirpc.ReadRequest{
		Id: "db-1", Urn: urn(instanceType, "Db"), Inputs: marshal(t, olds), Properties: marshal(t, olds),
	})
	require.NoError(t, err)
	assert.Equal(t, "db-1", resp.GetId())
	want := propertyMap(with(olds, props{"instanceClass": "db.t4g.large", "deletionProtection": true}))
	assert.Equal(t, want, unmarshal(t, resp.GetInputs()))
	state := unmarshal(t, resp.GetProperties())
	assert.Equal(t, secretValue("pa:ss%word"), state["password"])
	assert.Equal(t, "16", state["engineVersion"].StringValue())
	assert.Equal(t, "16.11", state["engineVersionActual"].StringValue())
	assert.InEpsilon(t, 5432, state["port"].NumberValue(), 0)
	assert.Equal(t, map[string]string{"type": instanceType, "id": "db-1", "region": "ap-northeast-2"},
		control.seen()[0].Query)

	back := diff(t, server, instanceType, nil,
		with(olds, props{"instanceClass": "db.t4g.large", "deletionProtection": true}), olds)
	assert.Equal(t, []string{"deletionProtection", "instanceClass"}, back.GetDiffs(),
		"the next update undoes what was done by hand")
}

func TestADiskThatRDSHasGrownIsNoDrift(t *testing.T) {
	for name, c := range map[string]struct {
		inputs props
		want   float64
	}{
		"within the limit": {props{"allocatedStorage": 50, "maxAllocatedStorage": 100}, 50},
		"without a limit":  {props{"allocatedStorage": 50}, 60},
		"smaller":          {props{"allocatedStorage": 70, "maxAllocatedStorage": 100}, 60},
	} {
		server, _ := local(t, func(call) (int, any) {
			return http.StatusOK, props{"id": "db-1", "outputs": with(c.inputs, props{"allocatedStorage": 60})}
		})
		resp, err := server.Read(t.Context(), &pulumirpc.ReadRequest{
			Id: "db-1", Urn: urn(instanceType, "Db"), Inputs: marshal(t, c.inputs), Properties: marshal(t, c.inputs),
		})
		require.NoError(t, err)
		assert.InEpsilon(t, c.want, unmarshal(t, resp.GetInputs())["allocatedStorage"].NumberValue(), 0, name)
		assert.InEpsilon(t, 60, unmarshal(t, resp.GetProperties())["allocatedStorage"].NumberValue(), 0,
			"%s: the state has the real size", name)
	}
}

func TestReadImports(t *testing.T) {
	server, _ := local(t, func(call) (int, any) {
		return http.StatusOK, props{
			"id": "k-1", "inputs": props{"description": "found", "enableKeyRotation": true, "strange": 1},
			"outputs": props{"arn": "arn:k", "keyId": "k-1", "description": "found", "enableKeyRotation": true},
		}
	})
	resp, err := server.Read(t.Context(), &pulumirpc.ReadRequest{Id: "k-1", Urn: urn(keyType, "Db")})
	require.NoError(t, err)
	inputs := unmarshal(t, resp.GetInputs())
	assert.Equal(t, "found", inputs["description"].StringValue())
	assert.True(t, inputs["enableKeyRotation"].BoolValue())
	assert.Equal(t, "SYMMETRIC_DEFAULT", inputs["customerMasterKeySpec"].StringValue())
	assert.NotContains(t, inputs, resource.PropertyKey("strange"))
	assert.Equal(t, "arn:k", unmarshal(t, resp.GetProperties())["arn"].StringValue())
}
