// Package pki is the public key infrastructure of the local cluster: a certificate authority, the certificates of the
// Kubernetes components, and the key pair that signs service account tokens.
//
// The files are created at the first start and kept below state/pki, because pods, kubeconfigs and the AWS stand-in
// trust them across restarts. A certificate that expires soon, or whose content is out of date, is issued again.
package pki
