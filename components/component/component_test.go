package component_test

import (
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/component"
	"dbtier/components/componenttest"
	"dbtier/components/fault"
)

const thingType = "dbtier:components:Thing"

type thing struct {
	pulumi.ResourceState

	Host  pulumi.StringOutput `pulumi:"host"`
	Port  pulumi.IntOutput    `pulumi:"port"`
	Extra pulumi.StringOutput `pulumi:"extra"`
	Ready []pulumi.Resource
}

type thingArgs struct {
	Name string
	Port int
}

func (a *thingArgs) SetDefaults() {
	if a.Port == 0 {
		a.Port = 5432
	}
}

func (a *thingArgs) Validate() error {
	var faults fault.List
	faults.Check(a.Name != "", "name", nil, "is missing")
	faults.Between("port", a.Port, 1, 65535, "")
	return faults.Err()
}

func newThing(
	ctx *pulumi.Context, args *thingArgs, build func(component.Scope, *thingArgs, *thing) error,
) (*thing, error) {
	return component.New(ctx, thingType, "thing", args, build)
}

func build(s component.Scope, args *thingArgs, t *thing) error {
	t.Host = pulumi.String(s.Child(args.Name)).ToStringOutput()
	t.Port = pulumi.Int(args.Port).ToIntOutput()
	return nil
}

func TestAComponentHasItsTaggedFieldsAsOutputs(t *testing.T) {
	t.Parallel()
	args := &thingArgs{Name: "a"}
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		created, err := newThing(ctx, args, build)
		require.NoError(t, err)
		ctx.Export("host", created.Host)
		ctx.Export("extra", created.Extra)
		return nil
	})
	assert.Equal(t, map[string]any{"host": "thing-a", "extra": ""}, recorded.Outputs)
	assert.Equal(t, &thingArgs{Name: "a"}, args, "defaults must not show up in the caller's value")
	require.NotNil(t, recorded.One(t, thingType))
}

func TestNothingIsRegisteredBeforeTheArgumentsAreValid(t *testing.T) {
	t.Parallel()
	for want, args := range map[string]*thingArgs{
		"Thing thing: no arguments given":                             nil,
		"Thing thing: name: is missing\nport: 70000: want 1 to 65535": {Port: 70000},
	} {
		recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
			_, err := newThing(ctx, args, build)
			return err
		})
		require.ErrorContains(t, err, want)
		assert.Empty(t, recorded.Each())
	}
}

func TestAnErrorOfAChildNamesTheComponent(t *testing.T) {
	t.Parallel()
	_, err := componenttest.Try(func(ctx *pulumi.Context) error {
		_, err := newThing(ctx, &thingArgs{Name: "a"}, func(component.Scope, *thingArgs, *thing) error {
			return errors.New("the key: refused")
		})
		return err
	})
	require.ErrorContains(t, err, "Thing thing: the key: refused")
}
