package irsarole

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/naming"
)

// DefaultAudience is the audience of tokens that are meant for STS.
const DefaultAudience = "sts.amazonaws.com"

// Secret is a Secrets Manager secret that the role may read.
type Secret struct {
	// Arn of the secret, with its six-character suffix.
	Arn pulumi.StringInput
	// KmsKeyArn is the key that encrypts it.
	KmsKeyArn pulumi.StringInput
}

// IrsaRoleArgs is what [NewIrsaRole] needs.
type IrsaRoleArgs struct {
	// Name of the role, unique in the account.
	Name string
	// Description of the role.
	Description string
	// OIDCProviderArn is the cluster's identity provider in IAM: arn:<partition>:iam::<account>:oidc-provider/<issuer
	// without scheme>.
	OIDCProviderArn string
	// Region of the secrets.
	Region string
	// Namespace and ServiceAccount may take the role.
	Namespace, ServiceAccount string
	// Audience of the token. Default [DefaultAudience].
	Audience string
	// Secrets that the role may read.
	Secrets []Secret
	// PermissionsBoundary is the ARN of a policy that limits the role; empty (default) for none.
	PermissionsBoundary string
	// MaxSessionDuration in seconds, 3600 (default) to 43200.
	MaxSessionDuration int
	// Tags of the role.
	Tags map[string]string
}

func (a *IrsaRoleArgs) setDefaults() {
	if a.Audience == "" {
		a.Audience = DefaultAudience
	}
	if a.MaxSessionDuration == 0 {
		a.MaxSessionDuration = 3600
	}
}

var (
	roleNameForm = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	providerForm = regexp.MustCompile(`^arn:([a-z-]+):iam::[0-9]{12}:oidc-provider/([a-zA-Z0-9.-]+(?:/[a-zA-Z0-9._-]+)*)$`)
	boundaryForm = regexp.MustCompile(`^arn:[a-z-]+:iam::(\d{12}|aws):policy/\S+$`)
	regionForm   = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
)

// CheckProviderArn says what is wrong with the ARN of an identity provider, or nothing.
func CheckProviderArn(arn string) string {
	switch {
	case providerForm.MatchString(arn):
		return ""
	case strings.HasPrefix(arn, "https://"):
		return "is the issuer's URL; want the ARN of the IAM identity provider, arn:aws:iam::<account>:oidc-provider/<issuer without https://>"
	default:
		return "want the ARN of the cluster's IAM identity provider, arn:aws:iam::<account>:oidc-provider/<issuer without https://>"
	}
}

// Validate reports every fault of the arguments.
func (a *IrsaRoleArgs) Validate() error {
	var faults fault.List
	faults.Check(roleNameForm.MatchString(a.Name), "name", a.Name, "want 1 to 64 letters, digits and +=,.@_-")
	if reason := CheckProviderArn(a.OIDCProviderArn); reason != "" {
		faults.Add("oidcProviderArn", a.OIDCProviderArn, "%s", reason)
	}
	faults.Check(regionForm.MatchString(a.Region), "region", a.Region, "want an AWS region such as ap-northeast-2")
	faults.Check(naming.IsLabel(a.Namespace), "namespace", a.Namespace, naming.LabelRule)
	faults.Check(naming.IsLabel(a.ServiceAccount), "serviceAccount", a.ServiceAccount, naming.LabelRule)
	faults.Check(a.Audience != "" && !strings.ContainsAny(a.Audience, "*?$"), "audience", a.Audience,
		"want one audience without wildcards, by default %s", DefaultAudience)
	faults.Check(len(a.Secrets) > 0, "secrets", nil, "is missing: a role that may do nothing")
	for i, secret := range a.Secrets {
		path := fmt.Sprintf("secrets[%d]", i)
		faults.Check(secret.Arn != nil, path+".arn", nil, "is missing")
		faults.Check(secret.KmsKeyArn != nil, path+".kmsKeyArn", nil, "is missing")
	}
	if a.PermissionsBoundary != "" {
		faults.Check(boundaryForm.MatchString(a.PermissionsBoundary), "permissionsBoundary", a.PermissionsBoundary, "want the ARN of a managed policy")
	}
	faults.Between("maxSessionDuration", a.MaxSessionDuration, 3600, 43200, "seconds")
	return faults.Err()
}

// issuer is the provider's issuer without its scheme: the prefix of the condition keys that IAM knows for its tokens.
func (a *IrsaRoleArgs) issuer() string { return providerForm.FindStringSubmatch(a.OIDCProviderArn)[2] }

func (a *IrsaRoleArgs) partition() string {
	return providerForm.FindStringSubmatch(a.OIDCProviderArn)[1]
}

func (a *IrsaRoleArgs) subject() string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", a.Namespace, a.ServiceAccount)
}
