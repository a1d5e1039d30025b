package validation

import (
	"net"
	"path"
)

var (
	// Hostname is a DNS name, or an IPv4 address, which has the same form.
	Hostname = form(`[a-zA-Z0-9]([a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?`, "want the name of a host")
	// Scheme is the scheme of a URL.
	Scheme = form(`[a-z][a-z0-9+.-]*`, "want the scheme of a URL, such as rediss")
	// Endpoint is a URL without a path.
	Endpoint = form(`https?://[^\s/\x00-\x1f]+`, "want a URL without a path")
)

// HostRule is what an error says where [IsHost] is false.
const HostRule = "want the name or the address of a host"

// IsHost reports whether text is the name of a host or an IP address of either family.
func IsHost(text string) bool { return Hostname.Matches(text) || net.ParseIP(text) != nil }

// MountedFileRule is what an error says where [IsMountedFile] is false.
const MountedFileRule = "want an absolute path of a file in a folder of its own"

// IsMountedFile reports whether a volume can be mounted so that file is in it: an absolute path in a folder other than
// /.
func IsMountedFile(file string) bool {
	return path.IsAbs(file) && path.Clean(file) == file && path.Dir(file) != "/"
}

// CIDRRule is what an error says where [netip.ParsePrefix] fails.
const CIDRRule = "want an address range such as 10.0.64.0/20"
