package network

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"dbtier/policy/rule"
)

const (
	family       = "network"
	group        = "aws:ec2/securityGroup:SecurityGroup"
	defaultGroup = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
	groupRule    = "aws:ec2/securityGroupRule:SecurityGroupRule"
	ingressRule  = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	egressRule   = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
)

// Everybody's addresses.
var internet = []string{"0.0.0.0/0", "::/0"}

// Rules are all rules of the family.
func Rules() []*rule.Rule {
	ruleKeys := []string{
		"type", "cidrBlocks", "ipv6CidrBlocks", "cidrIpv4", "cidrIpv6", "fromPort", "toPort",
		"protocol", "ipProtocol", "description",
	}
	return []*rule.Rule{
		{
			Name: "network-no-public-ingress", Family: family,
			Summary: "A security group lets nobody in from the whole internet.",
			Why:     "Every open port of the internet is tried within minutes.",
			Fix:     "name a security group, or address ranges of your own", Severity: rule.Critical,
			Levels: rule.Always,
			IDs: []string{
				"AVD-AWS-0107", "CKV_AWS_24", "CKV_AWS_25", "CKV_AWS_260", "CKV_AWS_277",
				"pulumi:ec2.SecurityGroup.disallowPublicInternetIngress",
				"pulumi:ec2.SecurityGroup.disallowInboundHttpTraffic",
			},
			Types:    []string{group, defaultGroup, groupRule, ingressRule},
			Needs:    append([]string{"ingress"}, ruleKeys...),
			Resource: func(s *rule.Subject) { open(s, "ingress", "is open to the whole internet") },
		},
		{
			Name: "network-no-public-egress", Family: family,
			Summary:  "A security group lets its members out to named places only.",
			Why:      "An open way out is how data leaves.",
			Fix:      "name a security group, address ranges or ports; a database needs no way out",
			Severity: rule.Medium, Levels: rule.InProduction,
			IDs: []string{"CKV_AWS_382", "AVD-AWS-0104"}, Types: []string{group, defaultGroup, groupRule, egressRule},
			Needs:    append([]string{"egress"}, ruleKeys...),
			Resource: func(s *rule.Subject) { open(s, "egress", "lets out to the whole internet") },
		},
		{
			Name: "network-group-description", Family: family,
			Summary:  "A security group says what it is for.",
			Why:      "Groups outlive those who made them; a group of unknown use stays open.",
			Fix:      "set description; AWS cannot change it later, so this is no matter for a remediation",
			Severity: rule.Low, Levels: rule.InProduction,
			IDs:   []string{"CKV_AWS_23", "AVD-AWS-0099", "pulumi:ec2.SecurityGroup.missingDescription"},
			Types: []string{group}, Needs: []string{"description"},
			Resource: func(s *rule.Subject) { described(s.Get("description")) },
		},
		{
			Name: "network-rule-description", Family: family,
			Summary: "Every rule of a security group says whom it lets through.",
			Why:     "A rule without a reason is never removed.",
			Fix:     "set the rule's description, or this rule's level to remediate", Severity: rule.Low,
			Levels: rule.InProduction,
			IDs: []string{
				"CKV_AWS_23", "AVD-AWS-0124", "pulumi:ec2.SecurityGroup.missingIngressRuleDescription",
				"pulumi:ec2.SecurityGroup.missingEgressRuleDescription",
			},
			Types: []string{group, groupRule, ingressRule, egressRule},
			Needs: []string{"ingress", "egress", "description"},
			Resource: func(s *rule.Subject) {
				if s.Type() != group {
					described(s.Get("description"))
					return
				}
				for _, direction := range []string{"ingress", "egress"} {
					for _, item := range s.Get(direction).Items() {
						described(item.Get("description"))
					}
				}
			},
			Remedy: describeRules,
		},
		{
			Name: "network-default-group-closed", Family: family,
			Summary: "The default security group of a VPC has no rules.",
			Why:     "It is what everything gets that names no group.",
			Fix:     "leave ingress and egress empty", Severity: rule.Medium, Levels: rule.Always,
			IDs: []string{"CKV2_AWS_12", "AVD-AWS-0173"}, Types: []string{defaultGroup},
			Needs: []string{"ingress", "egress"},
			Resource: func(s *rule.Subject) {
				for _, direction := range []string{"ingress", "egress"} {
					if rules := s.Get(direction); rules.Known() && len(rules.Items()) > 0 {
						rules.Fail("the default group has rules")
					}
				}
			},
		},
		{
			Name: "network-database-port", Family: family,
			Summary: "A database's port opens to security groups and to narrow address ranges.",
			Why:     "A range as wide as a network lets every machine try passwords that has any business there.",
			Fix:     "name the clients' security group in place of the range", Severity: rule.High, Levels: rule.Always,
			Knobs: []rule.Knob{
				{Name: "ports", Description: "The ports of databases.", Default: []string{"5432", "6432"}},
				{Name: "minimumPrefix", Description: "The shortest prefix of an IPv4 range, bits.", Default: 20.0},
				{Name: "minimumPrefix6", Description: "The shortest prefix of an IPv6 range, bits.", Default: 64.0},
			},
			IDs: []string{"tier:database-port-to-groups"}, Types: []string{group, groupRule, ingressRule},
			Needs:    append([]string{"ingress"}, ruleKeys...),
			Resource: databasePort,
		},
	}
}

// each goes over the rules of one direction, inline or on their own.
func each(s *rule.Subject, direction string, judge func(rule.Value)) {
	switch s.Type() {
	case groupRule:
		if kind, ok := s.Get("type").Text(""); ok && kind == direction {
			judge(s.Get())
		}
	case ingressRule, egressRule:
		judge(s.Get())
	default:
		for _, item := range s.Get(direction).Items() {
			judge(item)
		}
	}
}

// ranges are the address ranges of a rule.
func ranges(value rule.Value) []rule.Value {
	var all []rule.Value
	for _, key := range []string{"cidrBlocks", "ipv6CidrBlocks"} {
		all = append(all, value.Get(key).Items()...)
	}
	for _, key := range []string{"cidrIpv4", "cidrIpv6"} {
		if one := value.Get(key); !one.Missing() {
			all = append(all, one)
		}
	}
	return all
}

func open(s *rule.Subject, direction, reason string) {
	each(s, direction, func(value rule.Value) {
		for _, cidr := range ranges(value) {
			if text, ok := cidr.Text(""); ok && slices.Contains(internet, text) {
				cidr.Fail("%s", reason)
			}
		}
	})
}

func described(value rule.Value) {
	if text, ok := value.Text(""); ok && (strings.TrimSpace(text) == "" || text == "Managed by Pulumi" ||
		text == "Managed by Terraform") {
		value.Fail("is missing")
	}
}

// databasePort compares the ranges of rules that open a database's port.
func databasePort(s *rule.Subject) {
	each(s, "ingress", func(value rule.Value) {
		from, ok := value.Get("fromPort").Number(0)
		to, also := value.Get("toPort").Number(65535)
		protocol, too := firstOf(value, "protocol", "ipProtocol")
		if !ok || !also || !too {
			return
		}
		covers := protocol == "-1" || protocol == "all" ||
			slices.ContainsFunc(s.Texts("ports"), func(port string) bool {
				number := parse(port)
				return from <= number && number <= to
			})
		if !covers {
			return
		}
		for _, cidr := range ranges(value) {
			text, ok := cidr.Text("")
			_, bits, found := strings.Cut(text, "/")
			shortest := s.Number("minimumPrefix")
			if strings.Contains(text, ":") {
				shortest = s.Number("minimumPrefix6")
			}
			if ok && found && parse(bits) < shortest {
				cidr.Fail("opens a database's port to a range wider than /%v", shortest)
			}
		}
	})
}

func firstOf(value rule.Value, keys ...string) (string, bool) {
	for _, key := range keys {
		if member := value.Get(key); !member.Missing() {
			return member.Text("")
		}
	}
	return "tcp", true
}

func parse(text string) float64 {
	number := 0.0
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			return -1
		}
		number = number*10 + float64(digit-'0')
	}
	return number
}

// describeRules says of each rule without a description whose it is. The description of a rule can be changed in place.
func describeRules(s *rule.Subject) (property.Map, bool) {
	properties, changed := s.Properties(), false
	text := property.New("Rule of " + s.Name())
	missing := func(value property.Value) bool {
		return value.IsNull() || value.IsString() && strings.TrimSpace(value.AsString()) == ""
	}
	if s.Type() != group {
		if !missing(properties.Get("description")) {
			return properties, false
		}
		return properties.Set("description", text), true
	}
	for _, direction := range []string{"ingress", "egress"} {
		rules := properties.Get(direction)
		if !rules.IsArray() {
			continue
		}
		list := rules.AsArray().AsSlice()
		for i, item := range list {
			if item.IsMap() && missing(item.AsMap().Get("description")) {
				list[i] = property.WithGoValue(item, item.AsMap().Set("description", text))
				changed = true
			}
		}
		properties = properties.Set(direction, property.WithGoValue(rules, property.NewArray(list)))
	}
	return properties, changed
}
