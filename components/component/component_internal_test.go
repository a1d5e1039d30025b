package component

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
)

func TestOutputsAreTheTaggedFields(t *testing.T) {
	t.Parallel()
	type thing struct {
		pulumi.ResourceState

		Host  pulumi.StringOutput `pulumi:"host"`
		Port  pulumi.IntOutput    `pulumi:"port"`
		Ready []pulumi.Resource
	}
	created := &thing{Port: pulumi.Int(5432).ToIntOutput()}
	found := outputs(reflect.ValueOf(created).Elem())
	assert.Equal(t, []string{"host", "port"}, slices.Sorted(maps.Keys(found)))
	assert.Equal(t, created.Port, found["port"])
	assert.NotNil(t, created.Host.OutputState, "a string that was left unset is empty, not nil")
}
