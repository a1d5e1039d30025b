// Package rdsproxy is RDS Proxy between a service and its database: the managed alternative to a pool of one's own,
// with the same outputs for the service.
//
//	secrets, err := rdsproxy.NewProxySecrets(ctx, "proxy-secrets", &rdsproxy.ProxySecretsArgs{
//		Prefix: "myshop-prod", Users: []string{"myshop_app_a"}, KmsKeyArn: database.KmsKeyArn,
//	})
//	proxy, err := rdsproxy.NewRdsProxy(ctx, "proxy", &rdsproxy.RdsProxyArgs{
//		Settings: settings, Service: "myshop-api", Namespace: "myshop",
//		Region: "ap-northeast-2", AccountID: "111122223333",
//		VpcID: vpc.ID(), SubnetIDs: vpc.IsolatedSubnetIDs,
//		Clients: []rdsproxy.Client{{Name: "EKS nodes", SecurityGroupID: cluster.NodeSecurityGroupID}},
//		DatabaseIdentifier: database.Identifier, DatabaseName: "myshop", DatabasePort: 5432,
//		DatabaseSecurityGroupID: database.SecurityGroupID, DatabaseClientGroupID: database.ClientSecurityGroupID,
//		Users: secrets.Users, CredentialSecret: role.CredentialSecret, Store: store,
//	})
//
// # Credentials
//
// The proxy logs in to the database with secrets of Secrets Manager, which its role reads, and its clients log in to it
// with the same users and passwords (SCRAM), or with IAM tokens in their place. The password of an application's role
// is made in the cluster; the operator pushes it into a secret that exists empty, so it passes through no program and
// no state. With two users that alternate, the proxy knows both.
//
// From the proxy to the database it is a password in either case: that the proxy itself logs in with IAM (end-to-end
// IAM, the default authentication scheme IAM_AUTH) is not among the types of pulumi-aws 6.
//
// # TLS
//
// The proxy takes connections by TLS only. Its certificate is from AWS Certificate Manager, so clients verify it with
// the roots of Amazon Trust Services (package amazontrust) and not with those of RDS.
//
// # What a service may not do
//
// RDS Proxy multiplexes at transactions, and pins a client to a server connection for the rest of its session when it
// sees state: SET, temporary objects, LISTEN, advisory locks of the session, SQL-level PREPARE, and the extended query
// protocol with named statements. A pinned connection is no longer shared. The metric is
// DatabaseConnectionsCurrentlySessionPinned.
package rdsproxy
