// Package component is the constructor that every component of the tier shares.
//
//	// NewThing creates a thing.
//	func NewThing(ctx *pulumi.Context, name string, args *ThingArgs, opts ...pulumi.ResourceOption) (*Thing, error) {
//		return component.New(ctx, Type, name, args, build, opts...)
//	}
//
//	func build(s component.Scope, args *ThingArgs, thing *Thing) error {
//		…
//	}
//
// A component's arguments have SetDefaults, which fills what the caller left out, and Validate, which returns every
// fault at once. Its outputs are the fields with a `pulumi:"…"` tag.
//
// Other resources must depend on a field such as Ready and not on the component itself: the SDK adds children to a
// component in its own goroutines, so a dependency on the component may miss some of them.
package component
