package cidr_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/policy/internal/cidr"
)

func TestTheInternetIsRecognizedInEveryForm(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"0.0.0.0/0", "::/0", "0::0/0", "0:0:0:0:0:0:0:0/0", "10.1.2.3/0", "0.0.0.0/1", "128.0.0.0/1", "64.0.0.0/2",
		"2000::/3", " 0.0.0.0/0 ", "::ffff:0.0.0.0/96", "2600::/11", "::/1",
	} {
		assert.True(t, cidr.Internet(text), text)
	}
	for _, text := range []string{
		"10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "fd00::/64", "2600::/12", "", "everywhere", "0.0.0.0",
		"::ffff:10.0.0.0/104",
	} {
		assert.False(t, cidr.Internet(text), text)
	}
	// Private ranges of IPv6 are wider than public ones.
	assert.False(t, cidr.Internet("fc00::/7"))
	assert.False(t, cidr.Internet("fe80::/10"))
}

func TestBitsOfARange(t *testing.T) {
	t.Parallel()
	bits, ipv6, ok := cidr.Bits("10.0.0.0/20")
	assert.Equal(t, []any{20, false, true}, []any{bits, ipv6, ok})
	bits, ipv6, ok = cidr.Bits("2001:db8::/48")
	assert.Equal(t, []any{48, true, true}, []any{bits, ipv6, ok})
	_, _, ok = cidr.Bits("10.0.0.0")
	assert.False(t, ok)
}
