package config

import (
	"fmt"
	"strings"

	"dbtier/components/fault"
	"dbtier/components/irsarole"
	"dbtier/components/rdsproxy"
	"dbtier/validation"
)

// IAM lets the service log in to its database with tokens of an IAM role of its own, in place of a password. With
// PgBouncer, which cannot renew tokens, that is a way past the pool, to the instance; with RDS Proxy it is the way
// through the proxy.
type IAM struct {
	// Enabled makes the role, and gives the service's pods DATABASE_IAM_URL and what they need to take the role.
	// Default false.
	Enabled bool `json:"enabled"`
	// Connections that each replica opens at most past the pool. They enter the budget; with RDS Proxy they are the
	// proxy's. Default 10.
	Connections int `json:"connections"`
	// Binding is the way from the service's ServiceAccount to the role: irsa (default), or podIdentity, for which the
	// cluster needs the add-on eks-pod-identity-agent.
	Binding irsarole.Binding `json:"binding"`
	// ClusterName is the EKS cluster, for podIdentity.
	ClusterName string `json:"clusterName"`
}

func defaultIAM() IAM { return IAM{Connections: 10, Binding: irsarole.WebIdentity} }

// validateIAM checks the section, and that the rest of the stack goes with it.
func (s *Stack) validateIAM(faults *fault.List) {
	i, throughProxy := &s.IAM, s.Pool.Kind == RDSProxy
	if !i.Enabled {
		faults.Check(!throughProxy || s.Proxy.IAMAuth != rdsproxy.IAMRequired, "iam.enabled", i.Enabled,
			"leaves the service without a login: proxy.iamAuth is %s, so the proxy takes tokens only; set "+
				"iam.enabled to true", rdsproxy.IAMRequired)
		return
	}
	fault.OneOf(faults, "iam.binding", i.Binding, irsarole.WebIdentity, irsarole.PodIdentity)
	if i.Binding == irsarole.PodIdentity {
		faults.Check(s.Cloud != Local, "iam.binding", i.Binding, "the local cloud is no EKS; use %s there",
			irsarole.WebIdentity)
		faults.Form("iam.clusterName", i.ClusterName, validation.ClusterName)
	} else {
		faults.Check(i.ClusterName == "", "iam.clusterName", i.ClusterName, "is for the binding %s; leave it out",
			irsarole.PodIdentity)
	}
	if throughProxy {
		faults.Check(s.Proxy.IAMAuth == rdsproxy.IAMRequired, "proxy.iamAuth", s.Proxy.IAMAuth,
			"makes the proxy refuse tokens, and iam.enabled is true; want %s", rdsproxy.IAMRequired)
		return
	}
	faults.Between("iam.connections", i.Connections, 1, 1000, "of each replica")
	faults.Check(s.Database.IamDatabaseAuthentication, "database.iamDatabaseAuthentication", false,
		"makes the instance refuse tokens, and iam.enabled is true")
	faults.Check(s.Role.PoolUser == RoleUser, "role.poolUser", s.Role.PoolUser,
		"leaves nobody to make the user who logs in with tokens: the bootstrap of the role does; want %s", RoleUser)
}

// IAMUsers are the database users that the service may log in as with a token, the one that it uses first.
func (s *Stack) IAMUsers() []string {
	if s.Pool.Kind == RDSProxy {
		return s.ProxyUsers()
	}
	return []string{s.Role.IAMUser}
}

// ClusterArn is the EKS cluster, where the service's role is bound by Pod Identity, and else empty.
func (s *Stack) ClusterArn() string {
	if s.IAM.Binding != irsarole.PodIdentity {
		return ""
	}
	return fmt.Sprintf("arn:%s:eks:%s:%s:cluster/%s", s.AWS.Partition, s.AWS.Region, s.AWS.AccountID, s.IAM.ClusterName)
}

// settleIAM names the user who logs in with tokens, where there is one and nobody did.
func (s *Stack) settleIAM() {
	if s.IAM.Enabled && s.Pool.Kind != RDSProxy && s.Role.IAMUser == "" {
		s.Role.IAMUser = strings.TrimSuffix(s.Role.Name, "_app") + "_iam"
	}
}
