package stackwide

import (
	"net/netip"
	"slices"

	"dbtier/policy/internal/pods"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// selects reports whether a label selector matches labels.
func selects(read *rule.Reader, selector rule.Value, labels map[string]string) bool {
	for key, value := range read.TextMap(selector.Get("matchLabels")) {
		if labels[key] != value {
			return false
		}
	}
	for _, expression := range read.Items(selector.Get("matchExpressions")) {
		label, has := labels[read.Text(expression.Get("key"), "")]
		among := slices.Contains(read.Texts(expression.Get("values")), label) && has
		matches := map[string]bool{"In": among, "NotIn": !among, "Exists": has, "DoesNotExist": !has}
		if !matches[read.Text(expression.Get("operator"), "")] {
			return false
		}
	}
	return true
}

// network is the NetworkPolicies by namespace.
type network struct {
	in map[string][]*rule.Subject
	// read is not OK if the namespace of a policy is unknown.
	read rule.Reader
}

func networkOf(s *rule.Stack) *network {
	n := &network{in: map[string][]*rule.Subject{}}
	for _, policy := range s.All(types.NetworkPolicy) {
		namespace := pods.Namespace(&n.read, policy)
		n.in[namespace] = append(n.in[namespace], policy)
	}
	return n
}

// over returns the policies for a direction, Ingress or Egress, that apply to a workload.
func (n *network) over(read *rule.Reader, w *workload, direction string) []*rule.Subject {
	if !n.read.OK() {
		read.Fail()
		return nil
	}
	var found []*rule.Subject
	for _, policy := range n.in[w.namespace] {
		named := read.Texts(policy.Get("spec", "policyTypes"))
		// By default a policy is for ingress, and for egress if it has egress rules.
		implied := len(named) == 0 && (direction == "Ingress" || !policy.Get("spec", "egress").Missing())
		if (implied || slices.Contains(named, direction)) &&
			selects(read, policy.Get("spec", "podSelector"), w.labels) {
			found = append(found, policy)
		}
	}
	return found
}

// egressOf returns the egress rules of policies.
func egressOf(read *rule.Reader, policies []*rule.Subject) []rule.Value {
	var found []rule.Value
	for _, policy := range policies {
		found = append(found, read.Items(policy.Get("spec", "egress"))...)
	}
	return found
}

// allows reports whether a rule of a policy allows a TCP port. A rule without ports allows all.
func allows(read *rule.Reader, egress rule.Value, port float64) bool {
	for _, item := range read.Items(egress.Get("ports")) {
		protocol := read.Text(item.Get("protocol"), "TCP")
		read.Known(item.Get("port"))
		// A name can stand for every port.
		first, isNumber := item.Get("port").Number(0)
		last := read.Number(item.Get("endPort"), first)
		if protocol == "TCP" && (!isNumber || first == 0 || first <= port && port <= last) {
			return true
		}
	}
	return egress.Get("ports").Empty()
}

// rangesOf returns the address ranges to which policies allow a port.
func rangesOf(read *rule.Reader, policies []*rule.Subject, port float64) []netip.Prefix {
	var ranges []netip.Prefix
	for _, egress := range egressOf(read, policies) {
		if !allows(read, egress, port) || egress.Get("ports").Missing() {
			continue
		}
		for _, peer := range egress.Get("to").Items() {
			cidr, _ := peer.Get("ipBlock", "cidr").Text("")
			if prefix, err := netip.ParsePrefix(cidr); err == nil {
				ranges = append(ranges, prefix)
			}
		}
	}
	return ranges
}

// reaches reports whether policies allow a port of one of the ranges, or of any address outside the cluster if there
// are no ranges. Without policies, everything is allowed.
func reaches(read *rule.Reader, policies []*rule.Subject, ranges []netip.Prefix, port float64) bool {
	covered := func(peer rule.Value) bool { return covers(read, peer.Get("ipBlock"), ranges) }
	for _, egress := range egressOf(read, policies) {
		open, peers := allows(read, egress, port), read.Items(egress.Get("to"))
		if open && (egress.Get("to").Empty() || slices.ContainsFunc(peers, covered)) {
			return true
		}
	}
	return len(policies) == 0
}

// covers reports whether an address block contains one of the ranges, or all addresses if there are no ranges.
func covers(read *rule.Reader, block rule.Value, ranges []netip.Prefix) bool {
	prefix, err := netip.ParsePrefix(read.Text(block.Get("cidr"), ""))
	if err != nil {
		return false
	}
	var except []netip.Prefix
	for _, text := range read.Texts(block.Get("except")) {
		if out, err := netip.ParsePrefix(text); err == nil {
			except = append(except, out)
		}
	}
	if len(ranges) == 0 {
		return prefix.Bits() == 0 && len(except) == 0
	}
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool {
		return prefix.Overlaps(r) && !slices.ContainsFunc(except, func(out netip.Prefix) bool {
			return out.Bits() <= r.Bits() && out.Contains(r.Addr())
		})
	})
}
