package component

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Args are the arguments of a component, by pointer.
type Args[A any] interface {
	*A
	// SetDefaults fills the fields that were left out.
	SetDefaults()
	// Validate returns every fault of the arguments, as a [fault.Error].
	Validate() error
}

// Resource is a component, by pointer.
type Resource[C any] interface {
	*C
	pulumi.ComponentResource
}

// Scope is where a component makes its children.
type Scope struct {
	Ctx *pulumi.Context
	// Name of the component. Its children are called <name>-<part>.
	Name string
	// Parent is the option that puts a child below the component.
	Parent pulumi.ResourceOption
}

// Child is the name of a child in Pulumi's state.
func (s Scope) Child(part string) string { return s.Name + "-" + part }

// New makes a component of a type, which is the type in its URN (dbtier:components:RdsPostgres). It copies the
// arguments, fills their defaults and validates them before it registers anything, then calls build, and registers the
// fields of the component with a `pulumi:"…"` tag as its outputs. A string output that build leaves unset is the empty
// string.
func New[C, A any, PC Resource[C], PA Args[A]](
	ctx *pulumi.Context, typ, name string, args PA, build func(s Scope, args PA, component PC) error,
	opts ...pulumi.ResourceOption,
) (PC, error) {
	kind := typ[strings.LastIndex(typ, ":")+1:]
	if args == nil {
		return nil, fmt.Errorf("%s %s: %w", kind, name, errors.New("no arguments given"))
	}
	// Copy the arguments, so that defaults do not change the caller's value.
	own := *args
	PA(&own).SetDefaults()
	if err := PA(&own).Validate(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	component := PC(new(C))
	if err := ctx.RegisterComponentResource(typ, name, component, opts...); err != nil {
		return nil, fmt.Errorf("%s %s: registering it: %w", kind, name, err)
	}
	if err := build(Scope{Ctx: ctx, Name: name, Parent: pulumi.Parent(component)}, &own, component); err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	return component, ctx.RegisterResourceOutputs(component, outputs(reflect.ValueOf(component).Elem()))
}

// outputs are the tagged fields by their tags.
func outputs(component reflect.Value) pulumi.Map {
	found := pulumi.Map{}
	for i := range component.NumField() {
		tag, tagged := component.Type().Field(i).Tag.Lookup("pulumi")
		if !tagged {
			continue
		}
		field := component.Field(i)
		if text, ok := field.Interface().(pulumi.StringOutput); ok && text.OutputState == nil {
			field.Set(reflect.ValueOf(pulumi.String("").ToStringOutput()))
		}
		found[tag] = field.Interface().(pulumi.Input)
	}
	return found
}
