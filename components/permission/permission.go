package permission

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/iampolicy"
	"dbtier/validation"
)

// PolicyLimit is the quota of all inline policies of a role together, in characters ("IAM and AWS STS quotas").
const PolicyLimit = 10240

// Place is the partition, region and account of a policy's resources.
type Place struct{ Partition, Region, AccountID string }

// Permission allows an identity to do something.
type Permission interface {
	// Validate reports every fault that can be found before the resources are known.
	Validate() error
	statement(at Place) statement
}

// statement is a statement whose resources are not known yet.
type statement struct {
	iampolicy.Statement
	resources []pulumi.StringInput
	// arn returns the ARN of a resource, or an error if the resource is invalid.
	arn func(given string) (string, error)
}

// ReadSecrets allows reading the values of Secrets Manager secrets. Add [UseKeys] for the keys that encrypt them.
type ReadSecrets struct {
	// Arns of the secrets, with their six-character suffix.
	Arns []pulumi.StringInput
}

// PushSecrets allows the External Secrets Operator to write the values of existing secrets, and to read them for a
// comparison. The secrets must have the tag managed-by: external-secrets. If the PushSecret has no resource policy, the
// operator deletes the secret's, and it needs that right even if there is no policy.
type PushSecrets struct {
	// Arns of the secrets, with their six-character suffix.
	Arns []pulumi.StringInput
}

// UseKeys allows one AWS service to use KMS keys on behalf of the identity. The identity cannot use the keys in another
// way: a key that also encrypts the database's storage does not give access to the storage.
type UseKeys struct {
	// Arns of the keys. Aliases are refused.
	Arns []pulumi.StringInput
	// Via is the service (the condition kms:ViaService), for example secretsmanager.
	Via string
	// Encrypt also allows encrypting new values. Default false.
	Encrypt bool
}

// ConnectAsDatabaseUser allows the identity to log in with a token instead of a password (rds-db:connect). The database
// users must have the role rds_iam, unless they log in through a proxy.
type ConnectAsDatabaseUser struct {
	// ResourceID of the instance (db-…), or of the RDS Proxy (prx-…) through which the identity connects. It is not the
	// instance's name, because a later instance with the same name is another database.
	ResourceID pulumi.StringInput
	// Users of the database, as the database spells them.
	Users []string
}

// Statement is for everything that has no permission type.
type Statement struct {
	// Sid names the statement: letters and digits.
	Sid string
	// Actions such as s3:GetObject.
	Actions []string
	// Resources are ARNs.
	Resources []pulumi.StringInput
	Condition iampolicy.Condition
	// WildcardActions allows * in actions. Default false.
	WildcardActions bool
	// WildcardResources allows * and ? in resources. Default false.
	WildcardResources bool
}

var (
	serviceForm = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	sidForm     = regexp.MustCompile(`^[a-zA-Z0-9]{1,100}$`)
	actionForm  = regexp.MustCompile(`^([a-z0-9-]+:[a-zA-Z0-9*]+|\*)$`)
	arnForm     = regexp.MustCompile(`^(arn:[^:]*:[^:]*:[^:]*:[^:]*:.+|\*)$`)
)

// present adds a fault for each input that is missing.
func present(faults *fault.List, path string, inputs []pulumi.StringInput) {
	faults.Check(len(inputs) > 0, path, nil, "is missing")
	for i, input := range inputs {
		faults.Present(fmt.Sprintf("%s[%d]", path, i), input)
	}
}

// exactly accepts ARNs of a form.
func exactly(form *validation.Form, what string) func(string) (string, error) {
	return func(arn string) (string, error) {
		if !form.Matches(arn) {
			return "", fmt.Errorf("%q: want the exact ARN of %s", arn, what)
		}
		return arn, nil
	}
}

// Validate reports every fault.
func (p ReadSecrets) Validate() error {
	var faults fault.List
	present(&faults, "arns", p.Arns)
	return faults.Err()
}

func (p ReadSecrets) statement(Place) statement {
	return statement{
		Statement: iampolicy.Statement{
			Sid:     "ReadSecrets",
			Actions: []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"},
		},
		resources: p.Arns, arn: exactly(validation.SecretArn, "a secret"),
	}
}

// Validate reports every fault.
func (p PushSecrets) Validate() error {
	var faults fault.List
	present(&faults, "arns", p.Arns)
	return faults.Err()
}

func (p PushSecrets) statement(Place) statement {
	return statement{
		Statement: iampolicy.Statement{Sid: "PushSecrets", Actions: []string{
			"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue",
			"secretsmanager:DeleteResourcePolicy",
		}},
		resources: p.Arns, arn: exactly(validation.SecretArn, "a secret"),
	}
}

// Validate reports every fault.
func (p UseKeys) Validate() error {
	var faults fault.List
	present(&faults, "arns", p.Arns)
	faults.Check(serviceForm.MatchString(p.Via), "via", p.Via,
		"want the service that uses the keys, as in its endpoint: secretsmanager")
	return faults.Err()
}

// serviceNames are AWS's spellings, for the Sids of statements.
var serviceNames = map[string]string{"secretsmanager": "SecretsManager", "rds": "RDS", "ssm": "SSM", "s3": "S3"}

func (p UseKeys) statement(at Place) statement {
	service, known := serviceNames[p.Via]
	if !known {
		service = strings.ToUpper(p.Via[:1]) + strings.ReplaceAll(p.Via[1:], "-", "")
	}
	sid, actions := "DecryptAs"+service, []string{"kms:Decrypt"}
	if p.Encrypt {
		sid, actions = "EncryptAs"+service, []string{"kms:Decrypt", "kms:GenerateDataKey"}
	}
	return statement{
		Statement: iampolicy.Statement{
			Sid: sid, Actions: actions,
			Condition: iampolicy.Condition{"StringEquals": {
				"kms:ViaService": {fmt.Sprintf("%s.%s.%s", p.Via, at.Region, iampolicy.Domain(at.Partition))},
			}},
		},
		resources: p.Arns, arn: exactly(validation.KeyArn, "a key"),
	}
}

// Validate reports every fault.
func (p ConnectAsDatabaseUser) Validate() error {
	var faults fault.List
	faults.Present("resourceId", p.ResourceID)
	faults.Check(len(p.Users) > 0, "users", nil, "is missing")
	for i, user := range p.Users {
		faults.Check(validation.DatabaseUser.Matches(user), fmt.Sprintf("users[%d]", i), user,
			"want the name of a database user, without wildcards: 1 to 63 letters, digits and underscores")
	}
	return faults.Err()
}

func (p ConnectAsDatabaseUser) statement(at Place) statement {
	var resources []pulumi.StringInput
	for _, user := range p.Users {
		resources = append(resources, pulumi.Sprintf("%s/%s", p.ResourceID, user))
	}
	return statement{
		Statement: iampolicy.Statement{Sid: "ConnectAsDatabaseUser", Actions: []string{"rds-db:connect"}},
		resources: resources,
		arn: func(given string) (string, error) {
			// A user's name has no slash, so everything before the last slash is the id.
			if id := given[:strings.LastIndex(given, "/")]; !validation.DBResourceID.Matches(id) {
				return "", fmt.Errorf("%q: want the resource id of an instance (db-…) or a proxy (prx-…)", id)
			}
			return fmt.Sprintf("arn:%s:rds-db:%s:%s:dbuser:%s", at.Partition, at.Region, at.AccountID, given), nil
		},
	}
}

// Validate reports every fault.
func (p Statement) Validate() error {
	var faults fault.List
	faults.Check(sidForm.MatchString(p.Sid), "sid", p.Sid, "want 1 to 100 letters and digits")
	faults.Check(len(p.Actions) > 0, "actions", nil, "is missing")
	for i, action := range p.Actions {
		path := fmt.Sprintf("actions[%d]", i)
		if faults.Check(actionForm.MatchString(action), path, action, "want an action such as s3:GetObject") {
			faults.Check(p.WildcardActions || !strings.Contains(action, "*"), path, action,
				"has a wildcard, which also allows actions that AWS adds later; list the actions, or set "+
					"wildcardActions")
		}
	}
	present(&faults, "resources", p.Resources)
	return faults.Err()
}

func (p Statement) statement(Place) statement {
	return statement{
		Statement: iampolicy.Statement{Sid: p.Sid, Actions: p.Actions, Condition: p.Condition},
		resources: p.Resources,
		arn: func(given string) (string, error) {
			switch {
			case !arnForm.MatchString(given):
				return "", fmt.Errorf("%q: want an ARN", given)
			case !p.WildcardResources && strings.ContainsAny(given, "*?"):
				return "", fmt.Errorf("%q: has a wildcard; list the resources, or set wildcardResources", given)
			}
			return given, nil
		},
	}
}

// Validate reports every fault of the permissions, under their indexes.
func Validate(permissions []Permission) error {
	var faults fault.List
	for i, p := range permissions {
		path := fmt.Sprintf("[%d]", i)
		if faults.Check(p != nil, path, nil, "is missing") {
			faults.Within(path, p.Validate())
		}
	}
	return faults.Err()
}

// Policy returns the document of the permissions. It resolves when the resources are known, because RDS puts random
// names into ARNs. An invalid resource, or a document longer than [PolicyLimit], is an error.
func Policy(at Place, permissions ...Permission) pulumi.StringOutput {
	var statements []statement
	var resources []any
	for _, p := range permissions {
		s := p.statement(at)
		statements = append(statements, s)
		for _, resource := range s.resources {
			resources = append(resources, resource)
		}
	}
	return pulumi.All(resources...).ApplyT(func(known []any) (string, error) {
		var document []iampolicy.Statement
		var wrong []error
		for _, s := range statements {
			out := s.Statement
			for _, given := range known[:len(s.resources)] {
				arn, err := s.arn(given.(string))
				if err != nil {
					wrong = append(wrong, fmt.Errorf("the permission %s: %w", s.Sid, err))
				}
				out.Resources = append(out.Resources, arn)
			}
			known = known[len(s.resources):]
			slices.Sort(out.Resources)
			out.Resources = slices.Compact(out.Resources)
			out.Sid = distinct(document, out.Sid)
			document = append(document, out)
		}
		if err := errors.Join(wrong...); err != nil {
			return "", err
		}
		text, err := iampolicy.JSON(document...)
		if err == nil && len(text) > PolicyLimit {
			return "", fmt.Errorf(
				"the policy has %d characters, but IAM accepts %d for a role: use fewer resources",
				len(text), PolicyLimit,
			)
		}
		return text, err
	}).(pulumi.StringOutput)
}

// distinct adds a number to a Sid that the document already has.
func distinct(document []iampolicy.Statement, sid string) string {
	name := sid
	for n := 2; slices.ContainsFunc(document, func(s iampolicy.Statement) bool { return s.Sid == name }); n++ {
		name = sid + strconv.Itoa(n)
	}
	return name
}
