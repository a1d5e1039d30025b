package irsarole

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"dbtier/components/fault"
	"dbtier/components/iampolicy"
	"dbtier/components/permission"
	"dbtier/validation"
)

// DefaultAudience is the audience of tokens for STS.
const DefaultAudience = "sts.amazonaws.com"

// Binding is how pods of a ServiceAccount get the role.
type Binding string

const (
	// WebIdentity is IAM roles for service accounts (IRSA): a pod exchanges a token of its ServiceAccount at STS.
	WebIdentity Binding = "irsa"
	// PodIdentity is EKS Pod Identity: an agent on each node, an add-on of the cluster, gives pods their credentials.
	PodIdentity Binding = "podIdentity"
)

// ServiceAccount is a ServiceAccount that may take the role.
type ServiceAccount struct{ Namespace, Name string }

func (s ServiceAccount) subject() string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", s.Namespace, s.Name)
}

// IrsaRoleArgs is what [NewIrsaRole] needs.
type IrsaRoleArgs struct {
	// Name of the role, unique in the account.
	Name string
	// Description of the role.
	Description string
	// Path of the role, which begins and ends with a slash. Default /.
	Path string
	// Binding is [WebIdentity] (default) or [PodIdentity].
	Binding Binding
	// OIDCProviderArn is the cluster's identity provider in IAM, for WebIdentity:
	// arn:<partition>:iam::<account>:oidc-provider/<issuer without scheme>.
	OIDCProviderArn string
	// ClusterArn is the EKS cluster, for PodIdentity: arn:<partition>:eks:<region>:<account>:cluster/<name>.
	ClusterArn string
	// Region of what the role may use.
	Region string
	// ServiceAccounts that may take the role, at least one.
	ServiceAccounts []ServiceAccount
	// Audience of the token, for WebIdentity. Default [DefaultAudience].
	Audience string
	// Permissions of the role, at least one.
	Permissions []permission.Permission
	// PolicyName is the name of the policy with the permissions. Default permissions.
	PolicyName string
	// PermissionsBoundaryArn is the permissions boundary of the role, for accounts that require one. Default none.
	PermissionsBoundaryArn string
	// MaxSessionDuration in seconds, 3600 (default) to 43200.
	MaxSessionDuration int
	// Tags of the role and of its associations.
	Tags map[string]string
}

// SetDefaults fills the fields that were left out.
func (a *IrsaRoleArgs) SetDefaults() {
	if a.Binding == "" {
		a.Binding = WebIdentity
	}
	if a.Path == "" {
		a.Path = "/"
	}
	if a.Audience == "" {
		a.Audience = DefaultAudience
	}
	if a.PolicyName == "" {
		a.PolicyName = "permissions"
	}
	if a.MaxSessionDuration == 0 {
		a.MaxSessionDuration = 3600
	}
}

var (
	providerForm = regexp.MustCompile(
		`^arn:([a-z-]+):iam::([0-9]{12}):oidc-provider/([a-zA-Z0-9.-]+(?:/[a-zA-Z0-9._-]+)*)$`,
	)
	clusterForm = regexp.MustCompile(
		`^arn:([a-z-]+):eks:[a-z0-9-]+:([0-9]{12}):cluster/([0-9A-Za-z][A-Za-z0-9_-]{0,99})$`,
	)
)

const providerRule = "want the ARN of the cluster's IAM identity provider, " +
	"arn:aws:iam::<account>:oidc-provider/<issuer without https://>"

// CheckProviderArn returns what is wrong with the ARN of an identity provider, or an empty string.
func CheckProviderArn(arn string) string {
	switch {
	case providerForm.MatchString(arn):
		return ""
	case strings.HasPrefix(arn, "https://"):
		return "is the issuer's URL; " + providerRule
	default:
		return providerRule
	}
}

// Validate reports every fault of the arguments.
func (a *IrsaRoleArgs) Validate() error {
	var faults fault.List
	faults.Form("name", a.Name, validation.RoleName)
	faults.Check(len(a.Description) <= 1000, "description", a.Description, "want at most 1000 characters")
	faults.Form("path", a.Path, validation.RolePath)
	a.validateBinding(&faults)
	faults.Form("region", a.Region, validation.Region)
	faults.Check(len(a.ServiceAccounts) > 0, "serviceAccounts", nil, "is missing: without one no pod can take the role")
	for i, account := range a.ServiceAccounts {
		path := fmt.Sprintf("serviceAccounts[%d]", i)
		faults.Form(path+".namespace", account.Namespace, validation.Label)
		faults.Form(path+".name", account.Name, validation.Label)
		faults.Check(slices.Index(a.ServiceAccounts, account) == i, path, account.Namespace+"/"+account.Name,
			"is named twice")
	}
	faults.Check(len(a.Permissions) > 0, "permissions", nil, "is missing: the role would allow nothing")
	faults.Within("permissions", permission.Validate(a.Permissions))
	faults.Form("policyName", a.PolicyName, validation.PolicyName)
	faults.OptionalForm("permissionsBoundaryArn", a.PermissionsBoundaryArn, validation.PolicyArn)
	faults.Between("maxSessionDuration", a.MaxSessionDuration, 3600, 43200, "seconds")
	if err := faults.Err(); err != nil {
		return err
	}
	trust, err := a.trustPolicy()
	faults.Check(err == nil && len(trust) <= trustLimit, "serviceAccounts", len(a.ServiceAccounts),
		"need a trust policy of %d characters, but IAM accepts %d; create several roles", len(trust), trustLimit)
	return faults.Err()
}

// trustLimit is the default quota of a trust policy, in characters ("IAM and AWS STS quotas").
const trustLimit = 2048

func (a *IrsaRoleArgs) validateBinding(faults *fault.List) {
	fault.OneOf(faults, "binding", a.Binding, WebIdentity, PodIdentity)
	if a.Binding == PodIdentity {
		faults.Check(clusterForm.MatchString(a.ClusterArn), "clusterArn", a.ClusterArn,
			"want the ARN of the cluster, arn:aws:eks:<region>:<account>:cluster/<name>")
		faults.Check(a.OIDCProviderArn == "", "oidcProviderArn", a.OIDCProviderArn,
			"is for the binding irsa; leave it out")
		return
	}
	if reason := CheckProviderArn(a.OIDCProviderArn); reason != "" {
		faults.Add("oidcProviderArn", a.OIDCProviderArn, "%s", reason)
	}
	faults.Check(a.ClusterArn == "", "clusterArn", a.ClusterArn, "is for the binding %s; leave it out", PodIdentity)
	faults.Check(a.Audience != "" && !strings.ContainsAny(a.Audience, "*?$"), "audience", a.Audience,
		"want one audience without wildcards; the default is %s", DefaultAudience)
}

// issuer returns the provider's issuer without its scheme. IAM's condition keys of its tokens begin with it.
func (a *IrsaRoleArgs) issuer() string { return providerForm.FindStringSubmatch(a.OIDCProviderArn)[3] }

// place returns the role's partition, account and region, from the ARN that it trusts.
func (a *IrsaRoleArgs) place() permission.Place {
	parts := providerForm.FindStringSubmatch(a.OIDCProviderArn)
	if a.Binding == PodIdentity {
		parts = clusterForm.FindStringSubmatch(a.ClusterArn)
	}
	return permission.Place{Partition: parts[1], AccountID: parts[2], Region: a.Region}
}

func (a *IrsaRoleArgs) trustPolicy() (string, error) {
	if a.Binding == PodIdentity {
		return iampolicy.JSON(a.podIdentityTrust()...)
	}
	var subjects iampolicy.Values
	for _, account := range a.ServiceAccounts {
		subjects = append(subjects, account.subject())
	}
	return iampolicy.JSON(iampolicy.Statement{
		Principal: &iampolicy.Principal{Federated: a.OIDCProviderArn},
		Actions:   []string{"sts:AssumeRoleWithWebIdentity"},
		Condition: iampolicy.Condition{"StringEquals": {
			a.issuer() + ":sub": subjects,
			a.issuer() + ":aud": {a.Audience},
		}},
	})
}
