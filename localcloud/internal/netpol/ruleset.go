package netpol

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Table is the name of the nftables table (family inet).
const Table = "localcloud-policies"

// Cluster is the input of [Ruleset].
type Cluster struct {
	Policies   []*networkingv1.NetworkPolicy
	Pods       []*corev1.Pod
	Namespaces []*corev1.Namespace
	// External contains the addresses of the node that represent hosts outside the cluster. Policies apply to egress to
	// them.
	External netip.Prefix
}

// Ruleset returns the text for `nft -f` that replaces the table by one that enforces the policies. Equal clusters give
// equal texts. A policy that cannot be translated isolates its pods and allows nothing. The errors explain why.
func Ruleset(c Cluster) (text string, faults []error) {
	t := translator{namespaces: map[string]labels.Set{}, chains: map[string]string{}}
	for _, ns := range c.Namespaces {
		t.namespaces[ns.Name] = ns.Labels
	}
	for _, p := range c.Pods {
		if pod, ok := podOf(p); ok {
			t.pods = append(t.pods, pod)
		}
	}
	slices.SortFunc(t.pods, func(a, b pod) int { return a.address.Compare(b.address) })
	policies := slices.Clone(c.Policies)
	slices.SortFunc(policies, func(a, b *networkingv1.NetworkPolicy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	verdicts := map[direction][]string{}
	var selves []string
	for _, subject := range t.pods {
		isolatedAtAll := false
		for _, d := range []direction{ingress, egress} {
			if chain, isolated := t.isolate(subject, d, policies); isolated {
				verdicts[d] = append(verdicts[d], fmt.Sprintf("%s : jump %s", subject.address, chain))
				isolatedAtAll = true
			}
		}
		if isolatedAtAll {
			selves = append(selves, fmt.Sprintf("%[1]s . %[1]s", subject.address))
		}
	}
	return t.write(verdicts, selves, c.External), t.faults
}

type direction string

const (
	ingress direction = "ingress"
	egress  direction = "egress"
)

// peerField returns the field of the packet that holds the address of the other side.
func (d direction) peerField() string {
	if d == ingress {
		return "ip saddr"
	}
	return "ip daddr"
}

// pod is a running pod with its own address.
type pod struct {
	address   netip.Addr
	namespace string
	labels    labels.Set
	// ports maps names to ports.
	ports map[string][]port
}

type port struct {
	protocol corev1.Protocol
	number   int32
}

func podOf(p *corev1.Pod) (pod, bool) {
	if p.Spec.HostNetwork || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return pod{}, false
	}
	address, err := netip.ParseAddr(p.Status.PodIP)
	if err != nil || !address.Is4() {
		return pod{}, false
	}
	named := map[string][]port{}
	add := func(containers []corev1.Container) {
		for _, c := range containers {
			for _, cp := range c.Ports {
				if cp.Name != "" {
					named[cp.Name] = append(named[cp.Name], port{
						cmp.Or(cp.Protocol, corev1.ProtocolTCP), cp.ContainerPort,
					})
				}
			}
		}
	}
	add(p.Spec.InitContainers)
	add(p.Spec.Containers)
	return pod{address: address, namespace: p.Namespace, labels: p.Labels, ports: named}, true
}

type translator struct {
	pods       []pod
	namespaces map[string]labels.Set
	// chains maps names to chains. Pods with the same rules share one.
	chains map[string]string
	faults []error
}

// isolate finds the policies that select the pod, and returns the chain of everything they allow together.
func (t *translator) isolate(
	subject pod, d direction, policies []*networkingv1.NetworkPolicy,
) (chain string, isolated bool) {
	var rules []string
	for _, policy := range policies {
		if policy.Namespace != subject.namespace || !slices.Contains(types(policy), d) {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err != nil {
			t.fault(policy, err)
			continue
		}
		if !selector.Matches(subject.labels) {
			continue
		}
		isolated = true
		allowed, err := t.rules(policy, subject, d)
		if err != nil {
			t.fault(policy, err)
			continue
		}
		rules = append(rules, allowed...)
	}
	if !isolated {
		return "", false
	}
	slices.Sort(rules)
	body := strings.Join(slices.Compact(rules), "")
	sum := sha256.Sum256([]byte(string(d) + "\n" + body))
	chain = string(d) + "-" + hex.EncodeToString(sum[:6])
	t.chains[chain] = body
	return chain, true
}

func (t *translator) fault(policy *networkingv1.NetworkPolicy, err error) {
	fault := fmt.Errorf("network policy %s/%s: %w", policy.Namespace, policy.Name, err)
	if !slices.ContainsFunc(t.faults, func(e error) bool { return e.Error() == fault.Error() }) {
		t.faults = append(t.faults, fault)
	}
}

// types returns the directions that a policy isolates. The API server sets policyTypes by the same rule.
func types(policy *networkingv1.NetworkPolicy) []direction {
	if len(policy.Spec.PolicyTypes) == 0 {
		if len(policy.Spec.Egress) > 0 {
			return []direction{ingress, egress}
		}
		return []direction{ingress}
	}
	var found []direction
	for _, t := range policy.Spec.PolicyTypes {
		switch t {
		case networkingv1.PolicyTypeIngress:
			found = append(found, ingress)
		case networkingv1.PolicyTypeEgress:
			found = append(found, egress)
		}
	}
	return found
}

// rules returns the lines of a chain that accept what a policy allows the pod.
func (t *translator) rules(policy *networkingv1.NetworkPolicy, subject pod, d direction) ([]string, error) {
	var lines []string
	add := func(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) error {
		froms, err := t.peers(policy.Namespace, peers, d)
		if err != nil {
			return err
		}
		tos, err := t.ports(ports, subject, d)
		if err != nil {
			return err
		}
		for _, from := range froms {
			for _, to := range tos {
				lines = append(lines, "\t\t"+from+to+"return\n")
			}
		}
		return nil
	}
	if d == ingress {
		for _, rule := range policy.Spec.Ingress {
			if err := add(rule.From, rule.Ports); err != nil {
				return nil, err
			}
		}
		return lines, nil
	}
	for _, rule := range policy.Spec.Egress {
		if err := add(rule.To, rule.Ports); err != nil {
			return nil, err
		}
	}
	return lines, nil
}

// peers returns matches for the other side. Each is the start of a rule. An empty result matches no peer.
func (t *translator) peers(namespace string, peers []networkingv1.NetworkPolicyPeer, d direction) ([]string, error) {
	if len(peers) == 0 {
		return []string{""}, nil
	}
	pods := map[netip.Addr]bool{}
	var matches []string
	for _, peer := range peers {
		if peer.IPBlock != nil {
			match, err := blockMatch(peer.IPBlock, d)
			if err != nil {
				return nil, err
			}
			if match != "" {
				matches = append(matches, match)
			}
			continue
		}
		inNamespace := func(name string) bool { return name == namespace }
		if peer.NamespaceSelector != nil {
			selector, err := metav1.LabelSelectorAsSelector(peer.NamespaceSelector)
			if err != nil {
				return nil, fmt.Errorf("namespaceSelector: %w", err)
			}
			inNamespace = func(name string) bool {
				set, known := t.namespaces[name]
				return known && selector.Matches(set)
			}
		}
		selector := labels.Everything()
		if peer.PodSelector != nil {
			var err error
			if selector, err = metav1.LabelSelectorAsSelector(peer.PodSelector); err != nil {
				return nil, fmt.Errorf("podSelector: %w", err)
			}
		}
		for _, p := range t.pods {
			if inNamespace(p.namespace) && selector.Matches(p.labels) {
				pods[p.address] = true
			}
		}
	}
	if len(pods) > 0 {
		addresses := slices.SortedFunc(maps.Keys(pods), netip.Addr.Compare)
		matches = append(matches, d.peerField()+" "+set(addresses)+" ")
	}
	return matches, nil
}

func blockMatch(block *networkingv1.IPBlock, d direction) (string, error) {
	cidr, err := netip.ParsePrefix(block.CIDR)
	if err != nil {
		return "", fmt.Errorf("ipBlock.cidr %q: %w", block.CIDR, err)
	}
	// The cluster has only IPv4, so a block of IPv6 matches no peer.
	if !cidr.Addr().Is4() {
		return "", nil
	}
	var match strings.Builder
	if cidr.Bits() > 0 {
		fmt.Fprintf(&match, "%s %s ", d.peerField(), cidr.Masked())
	}
	for _, text := range block.Except {
		except, err := netip.ParsePrefix(text)
		if err != nil {
			return "", fmt.Errorf("ipBlock.except %q: %w", text, err)
		}
		if except.Addr().Is4() {
			fmt.Fprintf(&match, "%s != %s ", d.peerField(), except.Masked())
		}
	}
	if match.Len() == 0 {
		// Match every IPv4 address. An empty match would mean every packet.
		return "meta nfproto ipv4 ", nil
	}
	return match.String(), nil
}

// ports returns matches for protocol and destination port. Each continues a rule that starts with a peer.
func (t *translator) ports(ports []networkingv1.NetworkPolicyPort, subject pod, d direction) ([]string, error) {
	if len(ports) == 0 {
		return []string{""}, nil
	}
	var matches []string
	for _, p := range ports {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		name, known := map[corev1.Protocol]string{
			corev1.ProtocolTCP: "tcp", corev1.ProtocolUDP: "udp", corev1.ProtocolSCTP: "sctp",
		}[protocol]
		switch {
		case !known:
			return nil, fmt.Errorf("protocol %q is not TCP, UDP or SCTP", protocol)
		case p.Port == nil:
			matches = append(matches, "meta l4proto "+name+" ")
		case p.Port.Type == intstr.Int && p.EndPort != nil:
			matches = append(matches, fmt.Sprintf("%s dport %d-%d ", name, p.Port.IntVal, *p.EndPort))
		case p.Port.Type == intstr.Int:
			matches = append(matches, fmt.Sprintf("%s dport %d ", name, p.Port.IntVal))
		default:
			if match := t.namedPort(p.Port.StrVal, protocol, name, subject, d); match != "" {
				matches = append(matches, match)
			}
		}
	}
	return matches, nil
}

// namedPort returns the match for a named port. For ingress the isolated pod's containers define it, for egress the
// containers of any destination pod. An unknown name matches nothing.
func (t *translator) namedPort(named string, protocol corev1.Protocol, name string, subject pod, d direction) string {
	destinations := []pod{subject}
	if d == egress {
		destinations = t.pods
	}
	var numbers []string
	var pairs []string
	for _, p := range destinations {
		for _, candidate := range p.ports[named] {
			if candidate.protocol == protocol {
				numbers = append(numbers, strconv.Itoa(int(candidate.number)))
				pairs = append(pairs, fmt.Sprintf("%s . %d", p.address, candidate.number))
			}
		}
	}
	if len(numbers) == 0 {
		return ""
	}
	if d == ingress {
		slices.Sort(numbers)
		return fmt.Sprintf("%s dport %s ", name, set(slices.Compact(numbers)))
	}
	slices.Sort(pairs)
	return fmt.Sprintf("ip daddr . %s dport %s ", name, set(slices.Compact(pairs)))
}

// set returns an anonymous nftables set.
func set[T any](elements []T) string {
	texts := make([]string, 0, len(elements))
	for _, e := range elements {
		texts = append(texts, fmt.Sprint(e))
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}

// write composes the table. It adds the table before deleting it, so that the deletion is valid when no table exists.
// The kernel applies the whole text or nothing.
func (t *translator) write(verdicts map[direction][]string, selves []string, external netip.Prefix) string {
	var b strings.Builder
	fmt.Fprintf(&b, "add table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {\n", Table)
	for _, d := range []direction{ingress, egress} {
		fmt.Fprintf(&b, "\tmap %s-pods {\n\t\ttype ipv4_addr : verdict\n", d)
		if len(verdicts[d]) > 0 {
			fmt.Fprintf(&b, "\t\telements = {\n\t\t\t%s\n\t\t}\n", strings.Join(verdicts[d], ",\n\t\t\t"))
		}
		b.WriteString("\t}\n")
	}
	for _, name := range slices.Sorted(maps.Keys(t.chains)) {
		fmt.Fprintf(&b, "\tchain %s {\n%s\t\tdrop\n\t}\n", name, t.chains[name])
	}
	self := ""
	if len(selves) > 0 {
		// Policies do not apply to a pod that reaches itself through a Service.
		self = "\n\t\tip saddr . ip daddr " + set(selves) + " accept"
	}
	// A chain returns for allowed packets, so that the policies of both sides of a connection are evaluated.
	fmt.Fprintf(&b, `	chain forward {
		type filter hook forward priority filter; policy accept;
		ct state established,related accept%s
		ip saddr vmap @egress-pods
		ip daddr vmap @ingress-pods
	}
	chain input {
		type filter hook input priority filter; policy accept;
		ct state established,related accept
		ip daddr %s ip saddr vmap @egress-pods
	}
}
`, self, external)
	return b.String()
}
