// Package component is the constructor that every component of the tier shares.
//
//	// NewThing makes a thing.
//	func NewThing(ctx *pulumi.Context, name string, args *ThingArgs, opts ...pulumi.ResourceOption) (*Thing, error) {
//		return component.New(ctx, Type, name, args, func(s component.Scope, own *ThingArgs, thing *Thing) error {
//			…
//		}, opts...)
//	}
//
// A component's arguments have SetDefaults, which fills what the caller left out, and Validate, which returns every fault
// at once. Its outputs are the fields with a `pulumi:"…"` tag.
package component
