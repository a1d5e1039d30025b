// Package irsarole creates an IAM role that only pods of the listed Kubernetes ServiceAccounts can take. The example of
// [NewIrsaRole] shows a role.
//
// # Bindings
//
// With [WebIdentity] (IAM roles for service accounts, IRSA) a pod exchanges a token of its ServiceAccount at STS. The
// trust policy requires both the subject (namespace and ServiceAccount, no wildcard) and the audience
// sts.amazonaws.com. With only one of them, any pod of the cluster, or a token made for another purpose, could take the
// role.
//
// With [PodIdentity] an EKS agent on the pod's node gives it the credentials, and the association of role and
// ServiceAccount is an object of EKS. The trust policy requires the cluster, namespace and ServiceAccount, which EKS
// puts into the tags of the session.
//
// Pod Identity does not suit the role with which the External Secrets Operator reads a service's secrets. The operator
// requests a token of the service's ServiceAccount (auth.jwt) and takes the role with it. Pod Identity gives
// credentials to pods, so the operator's own pods would need one role that reads the secrets of every service.
package irsarole
