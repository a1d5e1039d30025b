// Package network has the rules for security groups.
package network

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/internal/cidr"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// Rules returns all rules of the family.
func Rules() []*rule.Rule {
	return rule.Family("network", []string{types.SecurityGroup}, []*rule.Rule{{
		Name: "network-no-public-ingress", Severity: rule.Critical, Levels: rule.Always,
		Summary: "A security group does not allow traffic from the whole internet.",
		Why:     "Every open port on the internet is probed within minutes.",
		Fix:     "name a security group or your own address ranges",
		IDs: []string{
			"AVD-AWS-0107", "CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_260", "CKV_AWS_277",
			"pulumi:ec2.SecurityGroup.disallowPublicInternetIngress",
			"pulumi:ec2.SecurityGroup.disallowInboundHttpTraffic",
		},
		Types:    []string{types.SecurityGroup, types.DefaultSecurityGroup, types.SecurityGroupRule, types.IngressRule},
		Resource: notInternet("ingress", "is open to the whole internet"),
	}, {
		Name: "network-no-public-egress", Severity: rule.Medium, Levels: rule.InProduction,
		Summary:  "A security group does not allow traffic to the whole internet.",
		Why:      "Stolen data leaves through an open egress rule.",
		Fix:      "name a security group, address ranges or ports; a database does not need egress",
		IDs:      []string{"CKV_AWS_382", "AVD-AWS-0104"},
		Types:    []string{types.SecurityGroup, types.DefaultSecurityGroup, types.SecurityGroupRule, types.EgressRule},
		Resource: notInternet("egress", "allows traffic to the whole internet"),
	}, {
		Name: "network-group-description", Severity: rule.Low, Levels: rule.InProduction,
		Summary:  "A security group has a description.",
		Why:      "Groups outlive the people who create them, and a group of unknown use stays open.",
		Fix:      "set description; this replaces the group, so there is no remediation",
		IDs:      []string{"CKV_AWS_23", "AVD-AWS-0099", "pulumi:ec2.SecurityGroup.missingDescription"},
		Resource: func(s *rule.Subject) { requireDescription(s.Get("description")) },
	}, {
		Name: "network-rule-description", Severity: rule.Low, Levels: rule.InProduction,
		Summary: "Every rule of a security group has a description.",
		Why:     "A rule of unknown use is never removed.",
		Fix:     "set the description of the security group's rule, or set this rule's level to remediate",
		IDs: []string{
			"CKV_AWS_23", "AVD-AWS-0124", "pulumi:ec2.SecurityGroup.missingIngressRuleDescription",
			"pulumi:ec2.SecurityGroup.missingEgressRuleDescription",
		},
		Types: []string{types.SecurityGroup, types.SecurityGroupRule, types.IngressRule, types.EgressRule},
		Resource: func(s *rule.Subject) {
			if s.Type() != types.SecurityGroup {
				requireDescription(s.Get("description"))
				return
			}
			for _, item := range append(s.Get("ingress").Items(), s.Get("egress").Items()...) {
				requireDescription(item.Get("description"))
			}
		},
		Remedy: describeRules,
	}, {
		Name: "network-default-group-closed", Severity: rule.Medium, Levels: rule.Always,
		Summary: "The default security group of a VPC has no rules.",
		Why:     "A resource without a security group gets the default one.",
		Fix:     "add a DefaultSecurityGroup without ingress and egress, and no separate rules for it",
		IDs:     []string{"CKV2_AWS_12", "AVD-AWS-0173"},
		Types: []string{
			types.VPC, types.DefaultVPC, types.DefaultSecurityGroup, types.SecurityGroup, types.SecurityGroupRule,
			types.IngressRule, types.EgressRule,
		},
		Inputs: []string{types.DefaultSecurityGroup},
		Stack:  defaultGroups,
	}, {
		Name: "network-database-port", Severity: rule.High, Levels: rule.Always,
		Summary: "A database's port is open to security groups and narrow address ranges only.",
		Why:     "With a wide range, every machine in it can try passwords.",
		Fix:     "name the clients' security group instead of the range",
		Knobs: []rule.Knob{
			{Name: "ports", Description: "The ports of databases.", Default: []string{"5432", "6432"}},
			{Name: "minimumPrefix", Description: "Minimum prefix of an IPv4 range, in bits.", Default: 20.0},
			{Name: "minimumPrefix6", Description: "Minimum prefix of an IPv6 range, in bits.", Default: 64.0},
		},
		IDs:   []string{"tier:database-port-to-groups"},
		Types: []string{types.SecurityGroup, types.SecurityGroupRule, types.IngressRule},
		Resource: func(s *rule.Subject) {
			for _, value := range rulesOf(s, "ingress") {
				if opensDatabase(s, value) {
					narrow(s, value)
				}
			}
		},
	}}...)
}

// defaultGroups judges the default group of each VPC: whether the stack manages it, and its rules.
func defaultGroups(s *rule.Stack) {
	managed := s.Companions("vpcId", types.DefaultSecurityGroup)
	rules := s.Companions("securityGroupId", types.SecurityGroupRule, types.IngressRule, types.EgressRule)
	closed := func(of *rule.Subject, keys ...string) {
		for _, r := range rules.Of(of, keys...) {
			// The id of a group that is created in the VPC can depend on the VPC too.
			if len(s.FindAll(types.SecurityGroup, r.DependenciesOf("securityGroupId"))) == 0 {
				r.Fail("is a rule of the default group")
			}
		}
	}
	for _, vpc := range s.All(types.VPC, types.DefaultVPC) {
		if len(managed.Of(vpc, "id")) == 0 {
			vpc.Fail("has a default group that nobody manages: it allows all traffic among its members")
		}
		closed(vpc, "defaultSecurityGroupId")
	}
	for _, group := range s.All(types.DefaultSecurityGroup) {
		for _, direction := range []string{"ingress", "egress"} {
			if inline := group.Input(direction); len(inline.Items()) > 0 {
				inline.Fail("the default group has rules")
			}
		}
		closed(group, "id")
	}
}

// rulesOf returns the rules of one direction: those of a group, or the resource itself if it is a rule.
func rulesOf(s *rule.Subject, direction string) []rule.Value {
	switch s.Type() {
	case types.SecurityGroupRule:
		if kind, ok := s.Get("type").Text(""); !ok || kind != direction {
			return nil
		}
		return []rule.Value{s.Get()}
	case types.IngressRule, types.EgressRule:
		return []rule.Value{s.Get()}
	default:
		return s.Get(direction).Items()
	}
}

// ranges returns the address ranges of a rule.
func ranges(value rule.Value) []rule.Value {
	all := append(value.Get("cidrBlocks").Items(), value.Get("ipv6CidrBlocks").Items()...)
	for _, key := range []string{"cidrIpv4", "cidrIpv6"} {
		if one := value.Get(key); !one.Missing() {
			all = append(all, one)
		}
	}
	return all
}

// notInternet requires that no rule of a direction is for all addresses.
func notInternet(direction, reason string) func(*rule.Subject) {
	return func(s *rule.Subject) {
		for _, value := range rulesOf(s, direction) {
			for _, from := range ranges(value) {
				if text, ok := from.Text(""); ok && cidr.Internet(text) {
					from.Fail("%s", reason)
				}
			}
		}
	}
}

func requireDescription(value rule.Value) {
	value.RequireDescription("Managed by Pulumi", "Managed by Terraform")
}

// opensDatabase reports whether an ingress rule opens the port of a database.
func opensDatabase(s *rule.Subject, value rule.Value) bool {
	var read rule.Reader
	protocol := value.Get("protocol")
	if protocol.Missing() {
		protocol = value.Get("ipProtocol")
	}
	from, to := read.Number(value.Get("fromPort"), 0), read.Number(value.Get("toPort"), 65535)
	called := read.Text(protocol, "tcp")
	return read.OK() && (called == "-1" || called == "all" ||
		slices.ContainsFunc(s.Texts("ports"), func(port string) bool {
			number := parse(port)
			return from <= number && number <= to
		}))
}

// narrow requires that the address ranges of a rule are narrow.
func narrow(s *rule.Subject, value rule.Value) {
	for _, from := range ranges(value) {
		text, ok := from.Text("")
		bits, ipv6, isRange := cidr.Bits(text)
		shortest := s.Number("minimumPrefix")
		if ipv6 {
			shortest = s.Number("minimumPrefix6")
		}
		if ok && isRange && float64(bits) < shortest {
			from.Fail("opens a database's port to a range wider than /%v", shortest)
		}
	}
}

// parse returns a natural number, or -1.
func parse(text string) float64 {
	number, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return -1
	}
	return float64(number)
}

// describeRules sets the missing descriptions of rules. AWS can change the description of a rule in place.
func describeRules(s *rule.Subject, inputs property.Map) (property.Map, bool) {
	changed := false
	describe := func(object property.Map) property.Map {
		if is := object.Get("description"); !is.IsNull() && (!is.IsString() || strings.TrimSpace(is.AsString()) != "") {
			return object
		}
		changed = true
		return object.Set("description", property.New("Rule of "+s.Name()))
	}
	if s.Type() != types.SecurityGroup {
		return describe(inputs), changed
	}
	for _, direction := range []string{"ingress", "egress"} {
		rules := inputs.Get(direction)
		if !rules.IsArray() {
			continue
		}
		list := rules.AsArray().AsSlice()
		for i, item := range list {
			if item.IsMap() {
				list[i] = property.WithGoValue(item, describe(item.AsMap()))
			}
		}
		inputs = inputs.Set(direction, property.WithGoValue(rules, property.NewArray(list)))
	}
	return inputs, changed
}
