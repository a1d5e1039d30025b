package awsprovider

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// request names the resource that a call is about.
type request struct{ typ, name string }

// named is a request of the engine about one resource.
type named interface {
	GetUrn() string
	GetType() string
	GetName() string
}

func requestOf(req named) request {
	if u := resource.URN(req.GetUrn()); u.IsValid() {
		return request{typ: string(u.Type()), name: u.Name()}
	}
	return request{typ: req.GetType(), name: req.GetName()}
}

// lookup returns the resource that a call is about, and its type. It fails if this server does not serve the type.
func (p *provider) lookup(req named) (request, *resourceType, error) {
	r := requestOf(req)
	if t, ok := p.typeOf(r.typ); ok {
		return r, t, nil
	}
	return r, nil, status.Error(codes.Unimplemented, r.unmodelled())
}

func (r request) unmodelled() string {
	return fmt.Sprintf("%s is not modelled by the local cloud: leave it out of local stacks. The modelled types are %s",
		r.typ,
		strings.Join(typeNames(), ", "))
}

// fail returns an error that names the operation and the resource. Secrets that the stand-in repeats in its answer are
// removed.
func (r request) fail(doing string, err error, known ...resource.PropertyMap) error {
	reason := err.Error()
	if refused := (*controlError)(nil); errors.As(err, &refused) {
		// Remove the resource's name from the stand-in's message, because it is already in the text.
		short := *refused
		short.Message = strings.TrimPrefix(strings.TrimPrefix(short.Message, r.typ+" "), r.name+": ")
		reason = short.Error()
	}
	text := fmt.Sprintf("%s %s %q: %s", doing, r.typ, r.name, reason)
	var secrets []string
	for _, m := range known {
		secrets = append(secrets, secretStrings(resource.NewProperty(m), false)...)
	}
	// Replace the longest secrets first, in case one secret contains another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, "[secret]")
	}
	return status.Error(codes.Unknown, text)
}

// secretStrings returns the secret strings of a value. Strings of fewer than four characters are left out, because they
// occur in ordinary text.
func secretStrings(v resource.PropertyValue, secret bool) []string {
	secret = secret || v.IsSecret()
	v = unwrap(v)
	var found []string
	switch {
	case v.IsString() && secret && len(v.StringValue()) >= 4:
		found = append(found, v.StringValue())
	case v.IsArray():
		for _, e := range v.ArrayValue() {
			found = append(found, secretStrings(e, secret)...)
		}
	case v.IsObject():
		for _, e := range v.ObjectValue() {
			found = append(found, secretStrings(e, secret)...)
		}
	}
	return found
}

func marshalOptions(label string) plugin.MarshalOptions {
	return plugin.MarshalOptions{
		Label: "aws " + label, KeepUnknowns: true, KeepSecrets: true, SkipNulls: true,
		RejectAssets: true,
	}
}

func unmarshal(label string, s *structpb.Struct) (resource.PropertyMap, error) {
	if s == nil {
		return resource.PropertyMap{}, nil
	}
	m, err := plugin.UnmarshalProperties(s, marshalOptions(label))
	if err != nil {
		return nil, fmt.Errorf("decoding the %s: %w", label, err)
	}
	return m, nil
}

func marshal(label string, m resource.PropertyMap) (*structpb.Struct, error) {
	s, err := plugin.MarshalProperties(m, marshalOptions(label))
	if err != nil {
		return nil, fmt.Errorf("encoding the %s: %w", label, err)
	}
	return s, nil
}
