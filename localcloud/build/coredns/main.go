// Command coredns is CoreDNS with only the plugins that the local cloud's Corefile uses. The other plugins bring the
// SDKs of several clouds, which take longer to build than CoreDNS itself. CoreDNS documents this way of choosing
// plugins at build time.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	// Directives set the order in which plugins handle a query.
	dnsserver.Directives = []string{"ready", "errors", "hosts", "kubernetes", "file"}
	coremain.Run()
}
