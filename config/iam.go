package config

import (
	"fmt"
	"strings"

	"dbtier/components/fault"
	"dbtier/components/irsarole"
	"dbtier/components/rdsproxy"
	"dbtier/validation"
)

// IAM lets the service log in to its database with tokens of an IAM role instead of a password. With PgBouncer, which
// cannot renew tokens, the service connects to the instance and bypasses the pool. With RDS Proxy it connects to the
// proxy.
type IAM struct {
	// Enabled creates the role, and gives the service's pods DATABASE_IAM_URL and the credentials of the role. Default
	// false.
	Enabled bool `json:"enabled"`
	// Connections that each replica opens to the instance at most. They count in the budget. With RDS Proxy they have
	// no effect. Default 10.
	Connections int `json:"connections" example:"5"`
	// Binding is how the service's ServiceAccount assumes the role: irsa (default), or podIdentity, which needs the
	// add-on eks-pod-identity-agent in the cluster.
	Binding irsarole.Binding `json:"binding"`
	// ClusterName is the name of the EKS cluster, for podIdentity.
	ClusterName string `json:"clusterName" example:"production"`
}

func defaultIAM() IAM { return IAM{Connections: 10, Binding: irsarole.WebIdentity} }

// validateIAM validates the section iam, and the settings of other sections that it depends on.
func (s *Stack) validateIAM() error {
	var faults fault.List
	i, throughProxy := &s.IAM, s.Pool.Kind == RDSProxy
	if !i.Enabled {
		faults.Check(!throughProxy || s.Proxy.IAMAuth != rdsproxy.IAMRequired, "iam.enabled", i.Enabled,
			"leaves the service without a login: proxy.iamAuth is %s, so the proxy takes tokens only; set "+
				"iam.enabled to true", rdsproxy.IAMRequired)
		return faults.Err()
	}
	fault.OneOf(&faults, "iam.binding", i.Binding, irsarole.WebIdentity, irsarole.PodIdentity)
	if i.Binding == irsarole.PodIdentity {
		faults.Check(s.Cloud != Local, "iam.binding", i.Binding, "the local cloud is not EKS; use %s there",
			irsarole.WebIdentity)
		faults.Form("iam.clusterName", i.ClusterName, validation.ClusterName)
	} else {
		faults.Check(i.ClusterName == "", "iam.clusterName", i.ClusterName, "is for the binding %s; leave it out",
			irsarole.PodIdentity)
	}
	if throughProxy {
		faults.Check(s.Proxy.IAMAuth == rdsproxy.IAMRequired, "proxy.iamAuth", s.Proxy.IAMAuth,
			"makes the proxy refuse tokens, but iam.enabled is true; want %s", rdsproxy.IAMRequired)
		return faults.Err()
	}
	faults.Between("iam.connections", i.Connections, 1, 1000, "of each replica")
	faults.Check(s.Database.IamDatabaseAuthentication, "database.iamDatabaseAuthentication", false,
		"makes the instance refuse tokens, but iam.enabled is true")
	faults.Check(s.Role.PoolUser == RoleUser, "role.poolUser", s.Role.PoolUser,
		"does not create the user that logs in with tokens, which the bootstrap of the role creates; want %s", RoleUser)
	return faults.Err()
}

// IAMUsers are the database users that the service may log in as with a token. It uses the first.
func (s *Stack) IAMUsers() []string {
	if s.Pool.Kind == RDSProxy {
		return s.ProxyUsers()
	}
	return []string{s.Role.IAMUser}
}

// ClusterArn is the ARN of the EKS cluster if the service's role is bound by Pod Identity. Otherwise it is empty.
func (s *Stack) ClusterArn() string {
	if s.IAM.Binding != irsarole.PodIdentity {
		return ""
	}
	return fmt.Sprintf("arn:%s:eks:%s:%s:cluster/%s", s.AWS.Partition, s.AWS.Region, s.AWS.AccountID, s.IAM.ClusterName)
}

// settleIAM names the user that logs in with tokens, if the config does not.
func (s *Stack) settleIAM() {
	if s.IAM.Enabled && s.Pool.Kind != RDSProxy && s.Role.IAMUser == "" {
		s.Role.IAMUser = strings.TrimSuffix(s.Role.Name, "_app") + "_iam"
	}
}
