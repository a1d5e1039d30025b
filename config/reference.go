package config

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"dbtier/components/fault"
)

// NetworkReference takes the keys that a [Network] does not give from the outputs of another stack.
type NetworkReference struct {
	// Stack is the full name of the other stack: <organization>/<project>/<stack>. In a backend of files or buckets
	// the organization is the word organization.
	Stack string `json:"stack" example:"organization/network/production"`
	// VpcID is the output with the VPC's id. Default: vpcId.
	VpcID string `json:"vpcId" example:"vpc"`
	// SubnetIDs is the output with the list of subnets. Default: subnetIds.
	SubnetIDs string `json:"subnetIds" example:"databaseSubnets"`
	// DatabaseCIDRs is the output with the list of the subnets' address ranges. Default: databaseCidrs.
	DatabaseCIDRs string `json:"databaseCidrs" example:"databaseRanges"`
}

// ClusterReference takes the keys that a [Cluster] does not give from the outputs of another stack.
type ClusterReference struct {
	// Stack is the full name of the other stack: <organization>/<project>/<stack>. In a backend of files or buckets
	// the organization is the word organization.
	Stack string `json:"stack" example:"organization/eks/production"`
	// OIDCProviderArn is the output with the ARN of the identity provider. Default: oidcProviderArn.
	OIDCProviderArn string `json:"oidcProviderArn" example:"oidcProvider"`
	// NodeSecurityGroupID is the output with the id of the nodes' security group. Default: nodeSecurityGroupId.
	NodeSecurityGroupID string `json:"nodeSecurityGroupId" example:"nodeGroup"`
}

// Outputs are the outputs of a stack.
type Outputs struct {
	Values map[string]any
	// Secret are the names of the outputs that are secret.
	Secret []string
}

// OutputsOf reads the outputs of a stack by its full name, <organization>/<project>/<stack>. It returns [ErrUnread] if
// it cannot read stacks at all.
type OutputsOf func(stack string) (Outputs, error)

// ErrUnread is returned by an [OutputsOf] that cannot read stacks. [Parse] then lists the keys in [Stack].Unread and
// reports no faults of them.
var ErrUnread = errors.New("stacks cannot be read here")

// resolver fills sections from the outputs that their references name.
type resolver struct {
	faults    *fault.List
	outputsOf OutputsOf
	// outputs of the stacks that were read: each is read once.
	outputs map[string]Outputs
	// missing are the keys that have no value because of a fault of a reference, and unread those of an [ErrUnread].
	missing, unread []string
}

// resolveReferences fills network and cluster. It returns the keys that have no value because of a fault that it
// reports.
func (s *Stack) resolveReferences(faults *fault.List, outputsOf OutputsOf) (missing []string) {
	r := &resolver{faults: faults, outputsOf: outputsOf, outputs: map[string]Outputs{}}
	r.resolve("network", &s.Network, &s.Network.StackReference)
	r.resolve("cluster", &s.Cluster, &s.Cluster.StackReference)
	s.Unread = r.unread
	return r.missing
}

// resolve fills the fields of a section that have no value. The section and its reference are pointers to structs with
// the same keys; the reference also has stack.
func (r *resolver) resolve(path string, section, reference any) {
	at := join(path, "stackReference")
	names, fields := fieldsOf(reflect.ValueOf(reference).Elem()), fieldsOf(reflect.ValueOf(section).Elem())
	stack := names["stack"].String()
	delete(names, "stack")
	keys := slices.Sorted(maps.Keys(names))
	if stack == "" {
		for _, key := range keys {
			r.faults.Check(names[key].String() == "", join(at, key), names[key].String(),
				"names an output, but %s, the stack that has it, is missing", join(at, "stack"))
		}
		return
	}
	var wanted []string
	for _, key := range keys {
		if fields[key].IsZero() {
			wanted = append(wanted, key)
			continue
		}
		r.faults.Check(names[key].String() == "", join(at, key), names[key].String(),
			"is also given as %s; keep one of them", join(path, key))
	}
	if len(wanted) == 0 {
		r.faults.Add(join(at, "stack"), stack, "is not used: the section gives every key itself; leave it out")
		return
	}
	outputs, err := r.read(stack)
	if err != nil {
		for i, key := range wanted {
			wanted[i] = join(path, key)
		}
		if errors.Is(err, ErrUnread) {
			r.unread = append(r.unread, wanted...)
			return
		}
		r.missing = append(r.missing, wanted...)
		r.faults.Add(join(at, "stack"), stack, "cannot be read (%s); bring that stack up, or give %s instead of the "+
			"reference, as an offline preview needs it", oneLine(err), strings.Join(wanted, ", "))
		return
	}
	for _, key := range wanted {
		output := names[key].String()
		if output == "" {
			output = key
		}
		field := join(at, key)
		value, found := outputs.Values[output]
		switch {
		case !found:
			r.missing = append(r.missing, join(path, key))
			r.faults.Add(field, output, "is not an output of stack %s, which has %s", stack,
				strings.Join(slices.Sorted(maps.Keys(outputs.Values)), ", "))
		case slices.Contains(outputs.Secret, output):
			r.missing = append(r.missing, join(path, key))
			r.faults.Add(field, output, "is a secret output of stack %s, and the tier takes no secret from its config",
				stack)
		default:
			decode(r.faults, field, plain(value), fields[key])
		}
	}
}

func (r *resolver) read(stack string) (Outputs, error) {
	if outputs, read := r.outputs[stack]; read {
		return outputs, nil
	}
	outputs, err := r.outputsOf(stack)
	if err == nil {
		r.outputs[stack] = outputs
	}
	return outputs, err
}

// plain is a value as decode takes it: numbers as they are written.
func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return value
	}
	return parseText(string(text))
}

// oneLine is the engine's own reason, without the frames around it and without line breaks.
func oneLine(err error) string {
	text := err.Error()
	for _, frame := range []string{"desc = ", "returned an error: "} {
		if _, reason, found := strings.Cut(text, frame); found {
			text = reason
		}
	}
	return strings.Join(strings.Fields(text), " ")
}
