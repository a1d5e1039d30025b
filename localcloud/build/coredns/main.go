// Command coredns is CoreDNS with the plugins that the local cloud's Corefile names and no others: the rest bring the
// SDKs of several clouds, which take longer to build than CoreDNS itself. This is CoreDNS's own way to choose plugins
// at build time.
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
	// The order in which a query passes them.
	dnsserver.Directives = []string{"ready", "errors", "hosts", "kubernetes", "file"}
	coremain.Run()
}
