package netpol_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"dbtier/localcloud/internal/netpol"
)

// cluster returns the cluster of every case: an API and a job in shop, a pool in shop, and an unrelated API in other.
func cluster() netpol.Cluster {
	pod := func(namespace, name, ip, role string, ports ...corev1.ContainerPort) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"role": role}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}},
			Status:     corev1.PodStatus{PodIP: ip, Phase: corev1.PodRunning},
		}
	}
	done := pod("shop", "done", "198.18.128.9", "api")
	done.Status.Phase = corev1.PodSucceeded
	onNode := pod("shop", "agent", "198.18.0.1", "api")
	onNode.Spec.HostNetwork = true
	return netpol.Cluster{
		Pods: []*corev1.Pod{
			pod("shop", "pool", "198.18.128.4", "pool",
				corev1.ContainerPort{Name: "db", ContainerPort: 6432},
				corev1.ContainerPort{Name: "db", ContainerPort: 6433, Protocol: corev1.ProtocolUDP}),
			pod("shop", "api", "198.18.128.2", "api"),
			pod("shop", "job", "198.18.128.3", "job"),
			pod("other", "api", "198.18.128.5", "api"),
			pod("shop", "starting", "", "api"),
			done, onNode,
		},
		Namespaces: []*corev1.Namespace{
			{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "shop"}}},
			{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: map[string]string{"team": "other"}}},
		},
		External: netip.MustParsePrefix("198.18.1.0/24"),
	}
}

const (
	pool = "198.18.128.4"
	api  = "198.18.128.2"
)

func policy(t *testing.T, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}}
	require.NoError(t, yaml.UnmarshalStrict([]byte(spec), &p.Spec))
	return p
}

// allows returns the rules of an address's chain from a ruleset. isolated is false if the address has no chain.
func allows(ruleset, direction, address string) (rules []string, isolated bool) {
	_, rest, found := strings.Cut(ruleset, "map "+direction+"-pods {")
	if !found {
		return nil, false
	}
	elements, _, _ := strings.Cut(rest, "\t}\n\tmap")
	elements, _, _ = strings.Cut(elements, "\tchain")
	_, chain, found := strings.Cut(elements, address+" : jump ")
	if !found {
		return nil, false
	}
	chain = strings.FieldsFunc(chain, func(r rune) bool { return r == ',' || r == '\n' })[0]
	_, body, _ := strings.Cut(ruleset, "\tchain "+chain+" {\n")
	body, _, _ = strings.Cut(body, "\t}\n")
	for line := range strings.Lines(body) {
		if rule, ok := strings.CutSuffix(strings.TrimSpace(line), "return"); ok {
			rules = append(rules, strings.TrimSpace(rule))
		}
	}
	return rules, true
}

func TestAPolicyAllowsWhatItSays(t *testing.T) {
	cases := map[string]struct {
		spec string
		// direction and pod select the chain to look at.
		direction, pod string
		want           []string
		open           bool
	}{
		"nothing": {
			spec: "podSelector: {}\npolicyTypes: [Ingress]", direction: "ingress", pod: pool,
		},
		"the other direction stays open": {
			spec: "podSelector: {}\npolicyTypes: [Ingress]", direction: "egress", pod: pool, open: true,
		},
		"pods that are not selected stay open": {
			spec: "podSelector: {matchLabels: {role: pool}}\npolicyTypes: [Ingress]", direction: "ingress", pod: api,
			open: true,
		},
		"types left out mean ingress": {
			spec: "podSelector: {}", direction: "ingress", pod: pool,
		},
		"types left out with egress rules mean both": {
			spec: "podSelector: {}\negress: [{}]", direction: "egress", pod: pool, want: []string{""},
		},
		"an empty rule allows all": {
			spec: "podSelector: {}\ningress: [{}]", direction: "ingress", pod: pool, want: []string{""},
		},
		"pods of the same namespace": {
			spec: "podSelector: {matchLabels: {role: pool}}\ningress: [{from: [{podSelector: {matchLabels: " +
				"{role: api}}}], ports: [{port: 6432}]}]",
			direction: "ingress", pod: pool, want: []string{"ip saddr { 198.18.128.2 } tcp dport 6432"},
		},
		"all pods of selected namespaces": {
			spec:      "podSelector: {}\ningress: [{from: [{namespaceSelector: {matchLabels: {team: other}}}]}]",
			direction: "ingress", pod: pool, want: []string{"ip saddr { 198.18.128.5 }"},
		},
		"selected pods of all namespaces": {
			spec: "podSelector: {}\ningress: [{from: [{namespaceSelector: {}, podSelector: {matchExpressions: " +
				"[{key: role, operator: In, values: [api]}]}}]}]",
			direction: "ingress", pod: pool, want: []string{"ip saddr { 198.18.128.2, 198.18.128.5 }"},
		},
		"peers that match no pod allow nothing": {
			spec:      "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {role: ghost}}}]}]",
			direction: "ingress", pod: pool,
		},
		"a block with exceptions, on egress": {
			spec: "podSelector: {}\npolicyTypes: [Egress]\negress: [{to: [{ipBlock: {cidr: 198.18.1.0/24, " +
				"except: [198.18.1.8/29]}}], ports: [{protocol: TCP, port: 5432}]}]",
			direction: "egress", pod: pool, want: []string{
				"ip daddr 198.18.1.0/24 ip daddr != 198.18.1.8/29 tcp dport 5432",
			},
		},
		"the block of everything is not an empty match": {
			spec:      "podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]",
			direction: "ingress", pod: pool, want: []string{"meta nfproto ipv4"},
		},
		"a block of IPv6 matches nothing": {
			spec:      "podSelector: {}\ningress: [{from: [{ipBlock: {cidr: '::/0'}}]}]",
			direction: "ingress", pod: pool,
		},
		"peers of several kinds, several ports": {
			spec: "podSelector: {}\ningress: [{from: [{podSelector: {matchLabels: {role: job}}}, {ipBlock: {cidr: " +
				"10.1.2.3/8}}], ports: [{port: 80}, {protocol: UDP, port: 53}]}]",
			want: []string{
				"ip saddr 10.0.0.0/8 tcp dport 80", "ip saddr 10.0.0.0/8 udp dport 53",
				"ip saddr { 198.18.128.3 } tcp dport 80", "ip saddr { 198.18.128.3 } udp dport 53",
			},
			direction: "ingress", pod: pool,
		},
		"a range of ports, and a whole protocol": {
			spec:      "podSelector: {}\ningress: [{ports: [{port: 8000, endPort: 8010}, {protocol: SCTP}]}]",
			direction: "ingress", pod: pool, want: []string{"meta l4proto sctp", "tcp dport 8000-8010"},
		},
		"a named port is the selected pod's": {
			spec:      "podSelector: {matchLabels: {role: pool}}\ningress: [{ports: [{port: db}]}]",
			direction: "ingress", pod: pool, want: []string{"tcp dport { 6432 }"},
		},
		"a named port that the selected pod does not have": {
			spec:      "podSelector: {matchLabels: {role: api}}\ningress: [{ports: [{port: db}]}]",
			direction: "ingress", pod: api,
		},
		"a named port on egress is the destination's": {
			spec: "podSelector: {}\npolicyTypes: [Egress]\negress: [{to: [{podSelector: {matchLabels: {role: " +
				"pool}}}], ports: [{port: db, protocol: UDP}]}]",
			direction: "egress", pod: api, want: []string{
				"ip daddr { 198.18.128.4 } ip daddr . udp dport { 198.18.128.4 . 6433 }",
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			world := cluster()
			world.Policies = []*networkingv1.NetworkPolicy{policy(t, c.spec)}
			ruleset, faults := netpol.Ruleset(world)
			require.Empty(t, faults)
			got, isolated := allows(ruleset, c.direction, c.pod)
			assert.Equal(t, !c.open, isolated, ruleset)
			assert.Equal(t, c.want, got, ruleset)
			kernelTakes(t, ruleset)
		})
	}
}

// kernelTakes is replaced by nft's check in tests that may use system programs (build tag e2e).
var kernelTakes = func(*testing.T, string) {}

func TestPoliciesAddUp(t *testing.T) {
	world := cluster()
	first := policy(t, "podSelector: {}\ningress: [{ports: [{port: 1}]}]")
	second := policy(t,
		"podSelector: {matchLabels: {role: pool}}\ningress: [{ports: [{port: 2}]}, {ports: [{port: 1}]}]")
	second.Name = "q"
	world.Policies = []*networkingv1.NetworkPolicy{first, second}
	ruleset, faults := netpol.Ruleset(world)
	require.Empty(t, faults)
	ofPool, _ := allows(ruleset, "ingress", pool)
	assert.Equal(t, []string{"tcp dport 1", "tcp dport 2"}, ofPool)
	ofAPI, _ := allows(ruleset, "ingress", api)
	assert.Equal(t, []string{"tcp dport 1"}, ofAPI)
}

func TestAPolicyIsForItsOwnNamespace(t *testing.T) {
	world := cluster()
	world.Policies = []*networkingv1.NetworkPolicy{policy(t, "podSelector: {}")}
	ruleset, _ := netpol.Ruleset(world)
	_, isolated := allows(ruleset, "ingress", "198.18.128.5")
	assert.False(t, isolated)
}

func TestOnlyRunningPodsWithAddressesOfTheirOwnCount(t *testing.T) {
	world := cluster()
	world.Policies = []*networkingv1.NetworkPolicy{policy(t, "podSelector: {}\ningress: [{from: [{podSelector: {}}]}]")}
	ruleset, _ := netpol.Ruleset(world)
	assert.NotContains(t, ruleset, "198.18.128.9", "a pod that has ended")
	assert.NotContains(t, ruleset, "198.18.0.1", "a pod on the node's network")
}

func TestAPodReachesItselfWhateverThePolicies(t *testing.T) {
	world := cluster()
	world.Policies = []*networkingv1.NetworkPolicy{policy(t, "podSelector: {matchLabels: {role: pool}}")}
	ruleset, _ := netpol.Ruleset(world)
	assert.Contains(t, ruleset, "ip saddr . ip daddr { 198.18.128.4 . 198.18.128.4 } accept")
}

func TestAPolicyThatCannotBeTranslatedAllowsNothingAndSaysSo(t *testing.T) {
	cases := map[string]struct{ spec, fault string }{
		"block": {
			"podSelector: {}\ningress: [{from: [{ipBlock: {cidr: nonsense}}]}, {}]",
			`network policy shop/p: ipBlock.cidr "nonsense"`,
		},
		"exception": {
			"podSelector: {}\ningress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [x]}}]}]",
			`ipBlock.except "x"`,
		},
		"protocol": {"podSelector: {}\ningress: [{ports: [{protocol: ICMP, port: 1}]}]", `protocol "ICMP"`},
		"selector": {
			"podSelector: {}\ningress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: Near}]}}]}]",
			"podSelector",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			world := cluster()
			world.Policies = []*networkingv1.NetworkPolicy{policy(t, c.spec)}
			ruleset, faults := netpol.Ruleset(world)
			require.Len(t, faults, 1, "one error for each policy, not for each pod")
			require.ErrorContains(t, faults[0], c.fault)
			rules, isolated := allows(ruleset, "ingress", pool)
			assert.True(t, isolated)
			assert.Empty(t, rules)
			kernelTakes(t, ruleset)
		})
	}
}

func TestEqualClustersMakeEqualTexts(t *testing.T) {
	world := cluster()
	world.Policies = []*networkingv1.NetworkPolicy{policy(t, "podSelector: {}\negress: [{}]")}
	first, _ := netpol.Ruleset(world)
	for i, j := 0, len(world.Pods)-1; i < j; i, j = i+1, j-1 {
		world.Pods[i], world.Pods[j] = world.Pods[j], world.Pods[i]
	}
	second, _ := netpol.Ruleset(world)
	assert.Equal(t, first, second)
}
