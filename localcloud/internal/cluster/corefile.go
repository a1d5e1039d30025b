package cluster

// corefile lets CoreDNS answer from three sources, in this order: the hosts file (database endpoints, the AWS
// stand-in), the cluster's names, and an empty root zone for everything else. The root zone answers "no such name",
// which ends a lookup at once. A refusal would make clients retry. Names of RDS endpoints live for 5 s on AWS.
const corefile = `.:53 {
    errors
    ready :8181
    hosts /etc/hosts.d/hosts {
        ttl 5
        reload 500ms
        fallthrough
    }
    kubernetes cluster.local in-addr.arpa {
        ttl 2
        fallthrough in-addr.arpa
    }
    file /etc/coredns/root.zone .
}
`

const rootZone = `. 60 IN SOA localcloud.internal. nobody.localcloud.internal. 1 7200 3600 1209600 1
. 60 IN NS localcloud.internal.
`
