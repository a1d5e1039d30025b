// Package pki is the public key infrastructure of the local cluster: a certificate authority of its own, the
// certificates that the Kubernetes components show each other, and the key pair that signs service account tokens.
//
// Everything is made at the first start and kept below state/pki, because pods, kubeconfigs and the AWS stand-in trust
// it across restarts. Certificates that run out, or that no longer say what they should, are made anew.
package pki
