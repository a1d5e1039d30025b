package aws

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation"
)

type securityGroupInputs struct {
	Name        *string           `json:"name"`
	Description *string           `json:"description"`
	VPC         *string           `json:"vpcId"`
	Ingress     []ruleInputs      `json:"ingress"`
	Egress      []ruleInputs      `json:"egress"`
	Revoke      *bool             `json:"revokeRulesOnDelete"`
	Tags        map[string]string `json:"tags"`
	TagsAll     map[string]string `json:"tagsAll"`
}

type ruleInputs struct {
	Protocol       string   `json:"protocol"`
	FromPort       int      `json:"fromPort"`
	ToPort         int      `json:"toPort"`
	CIDRBlocks     []string `json:"cidrBlocks"`
	IPv6CIDRBlocks []string `json:"ipv6CidrBlocks"`
	PrefixListIDs  []string `json:"prefixListIds"`
	SecurityGroups []string `json:"securityGroups"`
	Self           bool     `json:"self"`
	Description    string   `json:"description"`
}

var protocolNumbers = map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "all": "-1"}

// rule checks one inline rule as EC2 does.
func (in ruleInputs) rule(st *state, region, where string, f *faults) securityRule {
	r := securityRule{
		Protocol: strings.ToLower(in.Protocol), FromPort: in.FromPort, ToPort: in.ToPort, CIDRBlocks: in.CIDRBlocks,
		IPv6CIDRBlocks: in.IPv6CIDRBlocks,
		SecurityGroups: in.SecurityGroups, Self: in.Self, Description: in.Description,
	}
	if name, ok := protocolNumbers[r.Protocol]; ok {
		r.Protocol = name
	}
	const invalid = "InvalidParameterValue"
	switch r.Protocol {
	case "-1":
		if in.FromPort != 0 && in.FromPort != -1 || in.ToPort != 0 && in.ToPort != -1 {
			f.add(invalid, where, "protocol -1 covers all ports: fromPort and toPort must be 0")
		}
	case "tcp", "udp":
		if in.FromPort < 0 || in.ToPort > 65535 || in.FromPort > in.ToPort {
			f.add("InvalidPermission.Malformed", where,
				"port range %d-%d: must lie within 0-65535, the lower port first", in.FromPort, in.ToPort)
		}
	case "icmp":
	default:
		f.add(invalid, where+".protocol", "%q: want tcp, udp, icmp or -1", in.Protocol)
	}
	if len(in.PrefixListIDs) > 0 {
		f.notModelled(where+".prefixListIds", "prefix lists")
	}
	for _, block := range slices.Concat(in.CIDRBlocks, in.IPv6CIDRBlocks) {
		p, err := netip.ParsePrefix(block)
		switch {
		case err != nil:
			f.add("InvalidParameterValue", where, "CIDR block %q is malformed", clip(block))
		case p != p.Masked():
			f.add("InvalidParameterValue", where, "CIDR block %s is not in its canonical form: want %s", block,
				p.Masked())
		case p.Addr().Is4() != slices.Contains(in.CIDRBlocks, block):
			f.add("InvalidParameterValue", where, "CIDR block %s has the wrong address family", block)
		}
	}
	for _, id := range in.SecurityGroups {
		switch {
		case !validation.SecurityGroupID.Matches(id):
			f.add("InvalidGroupId.Malformed", where+".securityGroups", "%q: want the ID of a security group, sg-…",
				clip(id))
		case id != NodeSecurityGroupID && (st.SecurityGroups[id] == nil || st.SecurityGroups[id].Region != region):
			f.add("InvalidGroup.NotFound", where+".securityGroups", "The security group '%s' does not exist", id)
		}
	}
	if len(in.CIDRBlocks)+len(in.IPv6CIDRBlocks)+len(in.SecurityGroups)+len(in.PrefixListIDs) == 0 && !in.Self {
		f.add("InvalidParameterValue", where,
			"no source: want cidrBlocks, ipv6CidrBlocks, securityGroups or self")
	}
	if !validation.SecurityGroupText.Matches(in.Description) {
		f.add("InvalidParameterValue", where+".description",
			"must have at most 255 characters of a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
	}
	return r
}

func (in securityGroupInputs) merge(st *state, g *securityGroup, f *faults) {
	g.Tags = in.Tags
	if err := checkTags(in.Tags); err != nil {
		f.add("InvalidParameterValue", "tags", "%v", err)
	}
	g.Ingress, g.Egress = nil, nil
	for i, r := range in.Ingress {
		g.Ingress = append(g.Ingress, r.rule(st, g.Region, fmt.Sprintf("ingress[%d]", i), f))
	}
	for i, r := range in.Egress {
		g.Egress = append(g.Egress, r.rule(st, g.Region, fmt.Sprintf("egress[%d]", i), f))
	}
	if n := len(in.Ingress); n > 60 {
		f.add("RulesPerSecurityGroupLimitExceeded", "ingress", "%d rules: at most 60", n)
	}
}

func createSecurityGroup(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[securityGroupInputs](r.Inputs, namePrefixRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		name, vpc := or(in.Name, ""), or(in.VPC, VPCID)
		for _, old := range st.SecurityGroups {
			if old.Region == r.Region && old.VPC == vpc && old.Name == name {
				if old.Origin.adoptable(r.Name, r.Inputs) {
					return old.resource(), nil
				}
				f.add("InvalidGroup.Duplicate", "name", "The security group '%s' already exists for VPC '%s'", name,
					vpc)
			}
		}
		g := &securityGroup{
			ID: "sg-0" + randomHex(16), Region: r.Region, Name: name,
			Description: or(in.Description, "Managed by Pulumi"),
			VPC:         vpc, Origin: &origin{r.Name, r.Inputs},
		}
		switch {
		case name == "" || !validation.SecurityGroupText.Matches(name):
			f.add("InvalidParameterValue", "name", "%q: must be 1 to 255 characters of a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
				clip(name))
		case strings.HasPrefix(strings.ToLower(name), "sg-") || name == "default":
			f.add("InvalidParameterValue", "name", "%q: is reserved", name)
		}
		if g.Description == "" || !validation.SecurityGroupText.Matches(g.Description) {
			f.add("InvalidParameterValue", "description",
				"must be 1 to 255 characters of a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
		}
		if vpc != VPCID {
			f.add("InvalidVpcID.NotFound", "vpcId", "The vpc ID '%s' does not exist (the local account has %s)",
				clip(vpc), VPCID)
		}
		in.merge(st, g, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		st.SecurityGroups[g.ID] = g
		return g.resource(), nil
	})
}

func (g *securityGroup) resource() *resource {
	inputs := inputsOf(g.Origin)
	return &resource{ID: g.ID, Inputs: echo(inputs, nil), Outputs: echo(inputs, map[string]any{
		"arn": g.arn(), "name": g.Name, "description": g.Description, "vpcId": g.VPC, "ownerId": AccountID,
		"tags": anyMap(g.Tags), "tagsAll": anyMap(g.Tags),
		"ingress": ruleOutputs(g.Ingress), "egress": ruleOutputs(g.Egress),
	})}
}

func ruleOutputs(rules []securityRule) []any {
	out := []any{}
	for _, r := range rules {
		m := map[string]any{"protocol": r.Protocol, "fromPort": r.FromPort, "toPort": r.ToPort}
		for name, list := range map[string][]string{
			"cidrBlocks": r.CIDRBlocks, "ipv6CidrBlocks": r.IPv6CIDRBlocks,
			"securityGroups": r.SecurityGroups,
		} {
			if len(list) > 0 {
				m[name] = anyList(list)
			}
		}
		if r.Self {
			m["self"] = true
		}
		if r.Description != "" {
			m["description"] = r.Description
		}
		out = append(out, m)
	}
	return out
}

func readSecurityGroup(c *Cloud, r resourceRequest) (*resource, error) {
	if g := c.store.Read().SecurityGroups[r.ID]; g != nil && g.Region == r.Region {
		return g.resource(), nil
	}
	return nil, nil
}

func updateSecurityGroup(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[securityGroupInputs](r.Inputs, namePrefixRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		g := st.SecurityGroups[r.ID]
		if g == nil || g.Region != r.Region {
			return nil, wire.Status(http.StatusNotFound, "InvalidGroup.NotFound",
				"The security group '%s' does not exist",
				clip(r.ID))
		}
		if or(in.Name, g.Name) != g.Name || or(in.VPC, g.VPC) != g.VPC ||
			or(in.Description, g.Description) != g.Description {
			f.add("InvalidParameterValue", "name", "name, description and VPC of a security group cannot be changed")
		}
		in.merge(st, g, f)
		g.Origin = reinput(g.Origin, r.Inputs)
		return g.resource(), f.err()
	})
}

// removeSecurityGroup fails if anything refers to the group, as on EC2.
func removeSecurityGroup(_ context.Context, c *Cloud, r resourceRequest) error {
	return c.store.Update(func(st *state) error {
		g := st.SecurityGroups[r.ID]
		if g == nil || g.Region != r.Region {
			return nil
		}
		for _, i := range st.Instances {
			if slices.Contains(i.SecurityGroups, g.ID) {
				return wire.Errorf("DependencyViolation", "resource %s has a dependent object: DB instance %s", g.ID,
					i.Identifier)
			}
		}
		for _, other := range st.SecurityGroups {
			names := func(rule securityRule) bool { return slices.Contains(rule.SecurityGroups, g.ID) }
			if other.ID != g.ID && (slices.ContainsFunc(other.Ingress, names) ||
				slices.ContainsFunc(other.Egress, names)) {
				return wire.Errorf("DependencyViolation", "resource %s has a dependent object: a rule of %s", g.ID,
					other.ID)
			}
		}
		delete(st.SecurityGroups, g.ID)
		return nil
	})
}

// mayConnect returns an error if no security group lets the source connect to the port. The node and the pods are
// members of the node security group and of no other group. Egress rules do not matter, because security groups are
// stateful: answers to an allowed connection always pass.
func (st *state) mayConnect(groups []string, source netip.Addr, port int) error {
	source = source.Unmap()
	member := slices.ContainsFunc(nodeSecurityGroupMembers, func(p netip.Prefix) bool { return p.Contains(source) })
	for _, id := range groups {
		g := st.SecurityGroups[id]
		if g == nil {
			continue
		}
		for _, r := range g.Ingress {
			if r.covers(port) && (r.fromAddress(source) || member &&
				slices.Contains(r.SecurityGroups, NodeSecurityGroupID)) {
				return nil
			}
		}
	}
	return fmt.Errorf("no ingress rule of %s allows %s to connect to port %d", strings.Join(groups, ", "), source, port)
}

func (r securityRule) covers(port int) bool {
	return r.Protocol == "-1" || r.Protocol == "tcp" && r.FromPort <= port && port <= r.ToPort
}

func (r securityRule) fromAddress(source netip.Addr) bool {
	return slices.ContainsFunc(slices.Concat(r.CIDRBlocks, r.IPv6CIDRBlocks), func(block string) bool {
		p, err := netip.ParsePrefix(block)
		return err == nil && p.Contains(source)
	})
}
