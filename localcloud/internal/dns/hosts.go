package dns

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"dbtier/localcloud/internal/safefile"
)

// Hosts is a hosts file.
type Hosts struct {
	path string
	mu   sync.Mutex
	// addresses maps lower-case names to addresses.
	addresses map[string]netip.Addr
}

// New creates an empty hosts file in dir. Callers of [Hosts.Set] register their names again at every start.
func New(dir string) (*Hosts, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the folder of the hosts file: %w", err)
	}
	h := &Hosts{path: filepath.Join(dir, "hosts"), addresses: map[string]netip.Addr{}}
	if err := h.write(); err != nil {
		return nil, err
	}
	return h, nil
}

// Set makes the name resolve to the address.
func (h *Hosts) Set(name string, address netip.Addr) error {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || strings.ContainsAny(name, " \t\n#") {
		return fmt.Errorf("DNS name %q: is not a host name", name)
	}
	if !address.IsValid() {
		return fmt.Errorf("DNS name %s: the address is not valid", name)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.addresses[name] == address {
		return nil
	}
	h.addresses[name] = address
	return h.write()
}

// Remove deletes the name. It does nothing if the name is not set.
func (h *Hosts) Remove(name string) error {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.addresses[name]; !ok {
		return nil
	}
	delete(h.addresses, name)
	return h.write()
}

// write replaces the whole file by a rename, so that a reader never sees a partial file.
func (h *Hosts) write() error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.addresses)) {
		fmt.Fprintf(&text, "%s %s\n", h.addresses[name], name)
	}
	return safefile.Replace(h.path, []byte(text.String()), 0o644)
}
