package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
)

// NetworkReference takes what a [Network] does not say from another stack's outputs.
type NetworkReference struct {
	// Stack is the full name of the stack that knows: <organization>/<project>/<stack>; in a backend of files or
	// buckets the organization is the word organization.
	Stack string `json:"stack"`
	// VpcID is the output with the VPC's id. Default: vpcId.
	VpcID string `json:"vpcId"`
	// SubnetIDs is the output with the list of subnets. Default: subnetIds.
	SubnetIDs string `json:"subnetIds"`
	// DatabaseCIDRs is the output with the list of the subnets' address ranges. Default: databaseCidrs.
	DatabaseCIDRs string `json:"databaseCidrs"`
}

// ClusterReference takes what a [Cluster] does not say from another stack's outputs.
type ClusterReference struct {
	// Stack is the full name of the stack that knows: <organization>/<project>/<stack>; in a backend of files or
	// buckets the organization is the word organization.
	Stack string `json:"stack"`
	// OIDCProviderArn is the output with the ARN of the identity provider. Default: oidcProviderArn.
	OIDCProviderArn string `json:"oidcProviderArn"`
	// NodeSecurityGroupID is the output with the id of the nodes' security group. Default: nodeSecurityGroupId.
	NodeSecurityGroupID string `json:"nodeSecurityGroupId"`
}

// stackOutputs are what another stack exported; secret says which of them are secret.
type stackOutputs struct {
	values map[string]any
	secret []string
}

// otherStacks reads another stack's outputs.
type otherStacks func(stack string) (stackOutputs, error)

// readStackOutputs is the engine's own function for stack references. Unlike the resource StackReference it answers at
// once, and a stack that cannot be read is an error here instead of the end of the run.
const readStackOutputs = "pulumi:pulumi:readStackOutputs"

// referTo reads stacks of the backend that the run's own state is in, each once.
func referTo(ctx *pulumi.Context) otherStacks {
	known := map[string]stackOutputs{}
	return func(stack string) (stackOutputs, error) {
		if outputs, ok := known[stack]; ok {
			return outputs, nil
		}
		var answer struct {
			Outputs           map[string]any `pulumi:"outputs"`
			SecretOutputNames []string       `pulumi:"secretOutputNames"`
		}
		if _, err := ctx.InvokePackageRaw(readStackOutputs, map[string]any{"name": stack}, &answer, ""); err != nil {
			return stackOutputs{}, err
		}
		known[stack] = stackOutputs{answer.Outputs, answer.SecretOutputNames}
		return known[stack], nil
	}
}

// resolve fills the fields of a section that have no value from the outputs that its reference names. Both are structs
// with the same keys; the reference has Stack besides. It returns the keys that it found no value for.
func resolve(
	faults *fault.List, path string, section, reference reflect.Value, read otherStacks,
) (unresolved []string) {
	at := join(path, "stackReference")
	names, fields := fieldsOf(reference), fieldsOf(section)
	stack := names["stack"].String()
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(key string) bool { return key == "stack" })
	if stack == "" {
		for _, key := range keys {
			faults.Check(names[key].String() == "", join(at, key), names[key].String(),
				"names an output, but %s is missing: whose?", join(at, "stack"))
		}
		return nil
	}
	var wanted []string
	for _, key := range keys {
		switch given := !fields[key].IsZero(); {
		case !given:
			wanted = append(wanted, key)
		default:
			faults.Check(names[key].String() == "", join(at, key), names[key].String(),
				"is given as %s, too; keep one of them", join(path, key))
		}
	}
	if len(wanted) == 0 {
		faults.Add(at, nil, "has nothing left to say: the section gives every key itself; leave it out")
		return nil
	}
	outputs, err := read(stack)
	if err != nil {
		for _, key := range wanted {
			unresolved = append(unresolved, join(path, key))
		}
		faults.Add(join(at, "stack"), stack,
			"cannot be read (%s); bring that stack up, or give %s instead of the reference, as an offline preview "+
				"needs it",
			oneLine(err), strings.Join(unresolved, ", "))
		return unresolved
	}
	for _, key := range wanted {
		output := names[key].String()
		if output == "" {
			output = key
		}
		field := join(at, key)
		value, found := outputs.values[output]
		switch {
		case !found:
			unresolved = append(unresolved, join(path, key))
			faults.Add(field, output, "is no output of stack %s; it has %s", stack,
				strings.Join(slices.Sorted(maps.Keys(outputs.values)), ", "))
		case slices.Contains(outputs.secret, output):
			unresolved = append(unresolved, join(path, key))
			faults.Add(field, output, "is a secret output of stack %s, and the tier takes no secret from its config",
				stack)
		default:
			decode(faults, field, plain(value), fields[key])
		}
	}
	return unresolved
}

// plain is a value as the decoder has it: numbers as they are written.
func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		return value
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var out any
	if decoder.Decode(&out) != nil {
		return value
	}
	return out
}

// oneLine is the engine's own reason, without the frames around it and without line breaks.
func oneLine(err error) string {
	text := err.Error()
	for _, frame := range []string{"desc = ", "returned an error: "} {
		if _, said, ok := strings.Cut(text, frame); ok {
			text = said
		}
	}
	return strings.Join(strings.Fields(text), " ")
}

// resolveReferences fills network and cluster. It returns the keys that a reference should have filled and did not:
// that they are missing is said already.
func (s *Stack) resolveReferences(faults *fault.List, read otherStacks) (unresolved []string) {
	for _, part := range []struct {
		path               string
		section, reference any
	}{
		{"network", &s.Network, &s.Network.StackReference},
		{"cluster", &s.Cluster, &s.Cluster.StackReference},
	} {
		found := resolve(faults, part.path, reflect.ValueOf(part.section).Elem(),
			reflect.ValueOf(part.reference).Elem(), read)
		unresolved = append(unresolved, found...)
	}
	return unresolved
}
