package dns_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/dns"
)

func TestTheFileHoldsWhatWasSetAndNotRemoved(t *testing.T) {
	dir := t.TempDir()
	hosts, err := dns.New(dir)
	require.NoError(t, err)
	require.NoError(t, hosts.Set("Shop.rds.amazonaws.com.", netip.MustParseAddr("198.18.1.2")))
	require.NoError(t, hosts.Set("aws.localcloud.internal", netip.MustParseAddr("198.18.0.1")))
	require.NoError(t, hosts.Set("gone.example", netip.MustParseAddr("198.18.1.3")))
	require.NoError(t, hosts.Remove("gone.example"))
	require.NoError(t, hosts.Remove("never.example"))
	text, err := os.ReadFile(filepath.Join(dir, "hosts"))
	require.NoError(t, err)
	assert.Equal(t, "198.18.0.1 aws.localcloud.internal\n198.18.1.2 shop.rds.amazonaws.com\n", string(text))
}

func TestOnlyNamesWithAddressesAreTaken(t *testing.T) {
	hosts, err := dns.New(t.TempDir())
	require.NoError(t, err)
	for _, name := range []string{"", "two words", "line\nbreak", "a#comment"} {
		require.Error(t, hosts.Set(name, netip.MustParseAddr("198.18.1.2")), "%q", name)
	}
	assert.Error(t, hosts.Set("name.example", netip.Addr{}))
}
