package cluster

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses inside the cluster. The first address of the service range is the API server's, as is usual in Kubernetes.
var (
	nodeAddress    = netip.MustParseAddr("198.18.0.1")
	nodePrefix     = netip.MustParsePrefix("198.18.0.1/24")
	databasePrefix = netip.MustParsePrefix("198.18.1.0/24")
	podPrefix      = netip.MustParsePrefix("198.18.128.0/17")
	servicePrefix  = netip.MustParsePrefix("198.19.0.0/24")
	apiAddress     = netip.MustParseAddr("198.19.0.1")
	dnsAddress     = netip.MustParseAddr("198.19.0.10")
)

const nodeInterface = "eth0"

// setupNetwork sets up the node's address and routes in a new network namespace.
func setupNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bringing up the loopback interface: %w", err)
	}
	// The node's address is on one end of an unconnected veth pair, because not every kernel has the dummy device.
	attrs := netlink.NewLinkAttrs()
	attrs.Name = nodeInterface
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: nodeInterface + "p"}); err != nil {
		return fmt.Errorf("creating the node's interface: %w", err)
	}
	eth0, err := netlink.LinkByName(nodeInterface)
	if err != nil {
		return fmt.Errorf("finding the node's interface: %w", err)
	}
	peer, err := netlink.LinkByName(nodeInterface + "p")
	if err != nil {
		return fmt.Errorf("finding the node's interface: %w", err)
	}
	if err := netlink.AddrAdd(eth0, &netlink.Addr{IPNet: ipNet(nodePrefix)}); err != nil {
		return fmt.Errorf("setting the node's address: %w", err)
	}
	if err := errors.Join(netlink.LinkSetUp(eth0), netlink.LinkSetUp(peer)); err != nil {
		return fmt.Errorf("bringing up the node's interface: %w", err)
	}
	routes := []netlink.Route{
		// This route makes every database address local, without setting each one.
		{
			Dst: ipNet(databasePrefix), LinkIndex: lo.Attrs().Index, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL,
			Scope: netlink.SCOPE_HOST,
		},
		// Connections from the node to Services need a route before kube-proxy's rules apply to them.
		{Dst: ipNet(servicePrefix), LinkIndex: eth0.Attrs().Index, Scope: netlink.SCOPE_LINK},
		// No route leads outside. Failing at once is better than a timeout.
		{Dst: ipNet(netip.MustParsePrefix("0.0.0.0/0")), Type: unix.RTN_UNREACHABLE},
	}
	for _, route := range routes {
		if err := netlink.RouteAdd(&route); err != nil {
			return fmt.Errorf("adding the route to %s: %w", route.Dst, err)
		}
	}
	return errors.Join(
		writeSysctl("net.ipv4.ip_forward", "1"),
		writeSysctl("net.ipv4.conf.all.rp_filter", "0"),
		writeSysctl("net.ipv4.conf.default.rp_filter", "0"),
	)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func sysctlPath(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

func writeSysctl(name, value string) error {
	if err := os.WriteFile(sysctlPath(name), []byte(value), 0o644); err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	return nil
}
