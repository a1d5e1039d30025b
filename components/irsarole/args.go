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

// DefaultAudience is the audience of tokens that are meant for STS.
const DefaultAudience = "sts.amazonaws.com"

// Binding is the way from a ServiceAccount to the role.
type Binding string

const (
	// WebIdentity is IAM roles for service accounts (IRSA): a token of the ServiceAccount is exchanged at STS.
	WebIdentity Binding = "irsa"
	// PodIdentity is EKS Pod Identity: its agent on each node, an add-on of the cluster, gives pods their credentials.
	PodIdentity Binding = "podIdentity"
)

// ServiceAccount may take the role.
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
	// ServiceAccounts may take the role, at least one.
	ServiceAccounts []ServiceAccount
	// Audience of the token, for WebIdentity. Default [DefaultAudience].
	Audience string
	// Permissions of the role, at least one.
	Permissions []permission.Permission
	// PolicyName names the policy with the permissions. Default permissions.
	PolicyName string
	// PermissionsBoundaryArn is the policy that bounds the role, where an account demands one. Default none.
	PermissionsBoundaryArn string
	// MaxSessionDuration in seconds, 3600 (default) to 43200.
	MaxSessionDuration int
	// Tags of the role and of its associations.
	Tags map[string]string
}

func (a *IrsaRoleArgs) setDefaults() {
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

// CheckProviderArn says what is wrong with the ARN of an identity provider, or nothing.
func CheckProviderArn(arn string) string {
	switch {
	case providerForm.MatchString(arn):
		return ""
	case strings.HasPrefix(arn, "https://"):
		return "is the issuer's URL; want the ARN of the IAM identity provider, " +
			"arn:aws:iam::<account>:oidc-provider/<issuer without https://>"
	default:
		return "want the ARN of the cluster's IAM identity provider, arn:aws:iam::<account>:oidc-provider/<issuer " +
			"without https://>"
	}
}

// Validate reports every fault of the arguments.
func (a *IrsaRoleArgs) Validate() error {
	var faults fault.List
	faults.Form("name", a.Name, validation.RoleName)
	faults.Check(len(a.Description) <= 1000, "description", a.Description, "want at most 1000 characters")
	faults.Check(validation.RolePath.Matches(a.Path), "path", a.Path,
		"want a path that begins and ends with a slash, such as /services/")
	a.validateBinding(&faults)
	faults.Form("region", a.Region, validation.Region)
	faults.Check(len(a.ServiceAccounts) > 0, "serviceAccounts", nil, "is missing: nobody could take the role")
	for i, account := range a.ServiceAccounts {
		path := fmt.Sprintf("serviceAccounts[%d]", i)
		faults.Form(path+".namespace", account.Namespace, validation.Label)
		faults.Form(path+".name", account.Name, validation.Label)
		faults.Check(slices.Index(a.ServiceAccounts, account) == i, path, account.Namespace+"/"+account.Name,
			"is named twice")
	}
	faults.Check(len(a.Permissions) > 0, "permissions", nil, "is missing: a role that may do nothing")
	faults.Within("permissions", permission.Validate(a.Permissions))
	faults.Form("policyName", a.PolicyName, validation.PolicyName)
	faults.OptionalForm("permissionsBoundaryArn", a.PermissionsBoundaryArn, validation.PolicyArn)
	faults.Between("maxSessionDuration", a.MaxSessionDuration, 3600, 43200, "seconds")
	if err := faults.Err(); err != nil {
		return err
	}
	trust, err := a.trustPolicy()
	faults.Check(err == nil && len(trust) <= trustLimit, "serviceAccounts", len(a.ServiceAccounts),
		"make a trust policy of %d characters, and IAM takes %d; make several roles of them", len(trust), trustLimit)
	return faults.Err()
}

// trustLimit is how long a trust policy may be without asking AWS for more, characters ("IAM and AWS STS quotas").
const trustLimit = 2048

func (a *IrsaRoleArgs) validateBinding(faults *fault.List) {
	fault.OneOf(faults, "binding", a.Binding, WebIdentity, PodIdentity)
	if a.Binding == PodIdentity {
		faults.Check(clusterForm.MatchString(a.ClusterArn), "clusterArn", a.ClusterArn,
			"want the ARN of the cluster, arn:aws:eks:<region>:<account>:cluster/<name>")
		faults.Check(a.OIDCProviderArn == "", "oidcProviderArn", a.OIDCProviderArn,
			"is not what Pod Identity trusts; leave it out")
		return
	}
	if reason := CheckProviderArn(a.OIDCProviderArn); reason != "" {
		faults.Add("oidcProviderArn", a.OIDCProviderArn, "%s", reason)
	}
	faults.Check(a.ClusterArn == "", "clusterArn", a.ClusterArn, "is for the binding %s; leave it out", PodIdentity)
	faults.Check(a.Audience != "" && !strings.ContainsAny(a.Audience, "*?$"), "audience", a.Audience,
		"want one audience without wildcards, by default %s", DefaultAudience)
}

// issuer is the provider's issuer without its scheme: the prefix of the condition keys that IAM knows for its tokens.
func (a *IrsaRoleArgs) issuer() string { return providerForm.FindStringSubmatch(a.OIDCProviderArn)[3] }

// place is where the role is, as the ARN says that it trusts.
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
