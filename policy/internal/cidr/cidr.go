// Package cidr compares address ranges as networks, because the same range can be written in many ways.
package cidr

import (
	"net/netip"
	"strings"
)

// The widest ranges that registries assign are 8 bits of IPv4 and 12 of IPv6. A wider range contains the addresses of
// strangers: it is the internet, or one part of a list that is.
const (
	widest4 = 8
	widest6 = 12
)

// Internet reports whether a text is a range of the internet, and not of an organization: 0.0.0.0/0, 0::0/0, or half of
// it such as 128.0.0.0/1.
func Internet(text string) bool {
	prefix, ok := parse(text)
	switch {
	case !ok:
		return false
	case prefix.Addr().Is4():
		return prefix.Bits() < widest4
	default:
		return prefix.Bits() < widest6 && !prefix.Addr().IsPrivate() && !prefix.Addr().IsLinkLocalUnicast()
	}
}

// Bits returns the number of bits that a range fixes. It is not ok if the text is not a range.
func Bits(text string) (bits int, ipv6, ok bool) {
	prefix, ok := parse(text)
	return prefix.Bits(), ok && !prefix.Addr().Is4(), ok
}

func parse(text string) (netip.Prefix, bool) {
	prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
	if err != nil {
		return netip.Prefix{}, false
	}
	// ParsePrefix keeps the bits after the prefix, as in 10.1.2.3/0.
	if mapped := prefix.Addr(); mapped.Is4In6() && prefix.Bits() >= 96 {
		return netip.PrefixFrom(mapped.Unmap(), prefix.Bits()-96), true
	}
	return prefix, true
}
