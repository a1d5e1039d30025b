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

// PolicyLimit is how long all inline policies of a role may be together, characters ("IAM and AWS STS quotas").
const PolicyLimit = 10240

// Place is where the resources of a policy are.
type Place struct{ Partition, Region, AccountID string }

// Permission is something that an identity may do.
type Permission interface {
	// Validate reports every fault of what is known before the resources are.
	Validate() error
	statement(at Place) statement
}

// statement is a permission whose resources are not known yet.
type statement struct {
	iampolicy.Statement
	resources []pulumi.StringInput
	// arn makes the resource's ARN of what was given, or says what is wrong with it.
	arn func(given string) (string, error)
}

// ReadSecrets lets the values of Secrets Manager secrets be read. Give [UseKeys] for the keys that encrypt them.
type ReadSecrets struct {
	// Arns of the secrets, with their six-character suffix.
	Arns []pulumi.StringInput
}

// PushSecrets lets the External Secrets Operator write the values of secrets that exist, and read what it compares them
// with. The secrets must be tagged managed-by: external-secrets. It deletes the resource policy of what it pushes where
// its PushSecret names none, and asks for that right whether there is a policy or not.
type PushSecrets struct {
	// Arns of the secrets, with their six-character suffix.
	Arns []pulumi.StringInput
}

// UseKeys lets KMS keys be used on behalf of the identity by one service of AWS, and in no other way: a key that also
// encrypts the database's storage opens no storage.
type UseKeys struct {
	// Arns of the keys, no aliases.
	Arns []pulumi.StringInput
	// Via is the service (the condition kms:ViaService), for example secretsmanager.
	Via string
	// Encrypt also lets new values be encrypted. Default false.
	Encrypt bool
}

// ConnectAsDatabaseUser lets the identity log in with a token in place of a password (rds-db:connect). The database
// users must have the role rds_iam, unless a proxy stands in between that logs in for them.
type ConnectAsDatabaseUser struct {
	// ResourceID of the instance (db-…), or of the RDS Proxy (prx-…) through which the identity connects. Not the
	// instance's name: a later instance of the same name is another database.
	ResourceID pulumi.StringInput
	// Users of the database, as they are written there.
	Users []string
}

// Statement is what the other permissions do not say.
type Statement struct {
	// Sid names the statement: letters and digits.
	Sid string
	// Actions such as s3:GetObject.
	Actions []string
	// Resources are ARNs.
	Resources []pulumi.StringInput
	Condition iampolicy.Condition
	// WildcardActions says that * in an action is meant. Default: it is a fault.
	WildcardActions bool
	// WildcardResources says that * or ? in a resource is meant. Default: it is a fault.
	WildcardResources bool
}

var (
	serviceForm = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	sidForm     = regexp.MustCompile(`^[a-zA-Z0-9]{1,100}$`)
	actionForm  = regexp.MustCompile(`^([a-z0-9-]+:[a-zA-Z0-9*]+|\*)$`)
	arnForm     = regexp.MustCompile(`^(arn:[^:]*:[^:]*:[^:]*:[^:]*:.+|\*)$`)
)

// given notes a fault for each input that is missing.
func given(faults *fault.List, path string, inputs []pulumi.StringInput) {
	faults.Check(len(inputs) > 0, path, nil, "is missing")
	for i, input := range inputs {
		faults.Check(input != nil, fmt.Sprintf("%s[%d]", path, i), nil, "is missing")
	}
}

// form takes what is given where it has the form of an exact ARN.
func form(exact func(string) bool, what string) func(string) (string, error) {
	return func(given string) (string, error) {
		if !exact(given) {
			return "", fmt.Errorf("%q: want the exact ARN of %s", given, what)
		}
		return given, nil
	}
}

// Validate reports every fault.
func (p ReadSecrets) Validate() error {
	var faults fault.List
	given(&faults, "arns", p.Arns)
	return faults.Err()
}

func (p ReadSecrets) statement(Place) statement {
	return statement{
		Statement: iampolicy.Statement{
			Sid:     "ReadSecrets",
			Actions: []string{"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"},
		},
		resources: p.Arns, arn: form(validation.SecretArn.Matches, "a secret"),
	}
}

// Validate reports every fault.
func (p PushSecrets) Validate() error {
	var faults fault.List
	given(&faults, "arns", p.Arns)
	return faults.Err()
}

func (p PushSecrets) statement(Place) statement {
	return statement{
		Statement: iampolicy.Statement{Sid: "PushSecrets", Actions: []string{
			"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue",
			"secretsmanager:DeleteResourcePolicy",
		}},
		resources: p.Arns, arn: form(validation.SecretArn.Matches, "a secret"),
	}
}

// Validate reports every fault.
func (p UseKeys) Validate() error {
	var faults fault.List
	given(&faults, "arns", p.Arns)
	faults.Check(serviceForm.MatchString(p.Via), "via", p.Via,
		"want the service that uses the keys, as in its endpoint: secretsmanager")
	return faults.Err()
}

// serviceNames are AWS's spellings, for the names of statements.
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
		resources: p.Arns, arn: form(validation.KeyArn.Matches, "a key"),
	}
}

// Validate reports every fault.
func (p ConnectAsDatabaseUser) Validate() error {
	var faults fault.List
	faults.Check(p.ResourceID != nil, "resourceId", nil, "is missing")
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
			// A user's name has no slash, so what is before the last one is the id, whatever it holds.
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
				"has a wildcard, which also allows what AWS adds later; name the actions, or set wildcardActions")
		}
	}
	given(&faults, "resources", p.Resources)
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
				return "", fmt.Errorf("%q: has a wildcard; name the resources, or set wildcardResources", given)
			}
			return given, nil
		},
	}
}

// Validate reports every fault of the permissions, each under its index.
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

// Policy is the document that allows all of it. It waits for the resources, since RDS puts random names into them. A
// resource that is not what its permission wants, or a document above [PolicyLimit], is an error.
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
				"a policy of %d characters is longer than the %d that IAM takes of a role: give it fewer resources",
				len(text), PolicyLimit,
			)
		}
		return text, err
	}).(pulumi.StringOutput)
}

// distinct numbers a name that the document has already.
func distinct(document []iampolicy.Statement, sid string) string {
	name := sid
	for n := 2; slices.ContainsFunc(document, func(s iampolicy.Statement) bool { return s.Sid == name }); n++ {
		name = sid + strconv.Itoa(n)
	}
	return name
}
