package permission_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/iampolicy"
	"dbtier/components/permission"
)

var seoul = permission.Place{Partition: "aws", Region: componenttest.Region, AccountID: componenttest.Account}

func inputs(texts ...string) []pulumi.StringInput {
	var out []pulumi.StringInput
	for _, text := range texts {
		out = append(out, pulumi.String(text))
	}
	return out
}

// policy returns the document of valid permissions.
func policy(at permission.Place, permissions ...permission.Permission) (string, error) {
	if err := permission.Validate(permissions); err != nil {
		return "", err
	}
	recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
		ctx.Export("policy", permission.Policy(at, permissions...))
		return nil
	})
	text, _ := recorded.Outputs["policy"].(string)
	return text, err
}

func TestEachPermissionAllowsWhatItsNameSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		permission permission.Permission
		statement  string
	}{
		"read secrets": {
			permission.ReadSecrets{Arns: inputs(componenttest.SecretArn)},
			`{"Sid": "ReadSecrets", "Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
			  "Resource": ["` + componenttest.SecretArn + `"]}`,
		},
		"push secrets": {
			permission.PushSecrets{Arns: inputs(componenttest.SecretArn)},
			`{"Sid": "PushSecrets", "Effect": "Allow", "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue",
			  "secretsmanager:PutSecretValue", "secretsmanager:DeleteResourcePolicy"], "Resource": ["` + componenttest.SecretArn + `"]}`,
		},
		"decrypt as a service": {
			permission.UseKeys{Arns: inputs(componenttest.KeyArn), Via: "secretsmanager"},
			`{"Sid": "DecryptAsSecretsManager", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["` + componenttest.KeyArn + `"],
			  "Condition": {"StringEquals": {"kms:ViaService": "secretsmanager.ap-northeast-2.amazonaws.com"}}}`,
		},
		"encrypt as another service": {
			permission.UseKeys{Arns: inputs(componenttest.KeyArn), Via: "elastic-beanstalk", Encrypt: true},
			`{"Sid": "EncryptAsElasticbeanstalk", "Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": ["` + componenttest.KeyArn + `"],
			  "Condition": {"StringEquals": {"kms:ViaService": "elastic-beanstalk.ap-northeast-2.amazonaws.com"}}}`,
		},
		"connect to an instance": {
			permission.ConnectAsDatabaseUser{
				ResourceID: pulumi.String("db-ABCDEFGHIJKLMNOPQRSTUVWXY0"),
				Users:      []string{"shop_iam"},
			},
			`{"Sid": "ConnectAsDatabaseUser", "Effect": "Allow", "Action": ["rds-db:connect"],
			  "Resource": ["arn:aws:rds-db:ap-northeast-2:111122223333:dbuser:db-ABCDEFGHIJKLMNOPQRSTUVWXY0/shop_iam"]}`,
		},
		"connect to a proxy": {
			permission.ConnectAsDatabaseUser{
				ResourceID: pulumi.String(componenttest.ProxyID),
				Users:      []string{"shop_app_b", "shop_app_a"},
			},
			`{"Sid": "ConnectAsDatabaseUser", "Effect": "Allow", "Action": ["rds-db:connect"],
			  "Resource": ["arn:aws:rds-db:ap-northeast-2:111122223333:dbuser:` + componenttest.ProxyID + `/shop_app_a",
			               "arn:aws:rds-db:ap-northeast-2:111122223333:dbuser:` + componenttest.ProxyID + `/shop_app_b"]}`,
		},
		"a statement": {
			permission.Statement{
				Sid: "ReadReports", Actions: []string{"s3:GetObject"},
				Resources: inputs("arn:aws:s3:::reports/2026.csv"),
				Condition: iampolicy.Condition{"StringEquals": {"aws:PrincipalTag/team": {"shop"}}},
			},
			`{"Sid": "ReadReports", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::reports/2026.csv"],
			  "Condition": {"StringEquals": {"aws:PrincipalTag/team": "shop"}}}`,
		},
		"a statement with wildcards that are asked for": {
			permission.Statement{
				Sid: "Buckets", Actions: []string{"s3:Get*", "s3:*"}, Resources: inputs("arn:aws:s3:::reports/*", "*"),
				WildcardActions: true, WildcardResources: true,
			},
			`{"Sid": "Buckets", "Effect": "Allow", "Action": ["s3:Get*", "s3:*"], "Resource": ["*", "arn:aws:s3:::reports/*"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := policy(seoul, c.permission)
			require.NoError(t, err)
			assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [`+c.statement+`]}`, text)
		})
	}
}

func TestAPolicyIsOfItsPartition(t *testing.T) {
	t.Parallel()
	text, err := policy(permission.Place{Partition: "aws-cn", Region: "cn-north-1", AccountID: "111122223333"},
		permission.UseKeys{Arns: inputs("arn:aws-cn:kms:cn-north-1:111122223333:key/1"), Via: "secretsmanager"},
		permission.ConnectAsDatabaseUser{ResourceID: pulumi.String("db-A"), Users: []string{"u"}})
	require.NoError(t, err)
	assert.Contains(t, text, `"secretsmanager.cn-north-1.amazonaws.com.cn"`)
	assert.Contains(t, text, `"arn:aws-cn:rds-db:cn-north-1:111122223333:dbuser:db-A/u"`)
}

func TestStatementsOfOneKindHaveDifferentSidsAndResourcesAreListedOnce(t *testing.T) {
	t.Parallel()
	text, err := policy(seoul,
		permission.UseKeys{Arns: inputs(componenttest.KeyArn, componenttest.KeyArn), Via: "secretsmanager"},
		permission.UseKeys{Arns: inputs(componenttest.KeyArn), Via: "secretsmanager"},
		permission.UseKeys{Arns: inputs(componenttest.KeyArn), Via: "secretsmanager"})
	require.NoError(t, err)
	var document struct {
		Statement []struct {
			Sid      string
			Resource []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &document))
	var names []string
	for _, s := range document.Statement {
		names = append(names, s.Sid)
		assert.Equal(t, []string{componenttest.KeyArn}, s.Resource)
	}
	assert.Equal(t, []string{"DecryptAsSecretsManager", "DecryptAsSecretsManager2", "DecryptAsSecretsManager3"}, names)
}

func TestEveryFaultIsReportedUnderItsIndex(t *testing.T) {
	t.Parallel()
	err := permission.Validate([]permission.Permission{
		nil,
		permission.ReadSecrets{},
		permission.PushSecrets{Arns: []pulumi.StringInput{nil}},
		permission.UseKeys{Arns: inputs(componenttest.KeyArn)},
		permission.ConnectAsDatabaseUser{Users: []string{"*"}},
		permission.ConnectAsDatabaseUser{ResourceID: pulumi.String("db-A")},
		permission.Statement{Sid: "a b", Actions: []string{"s3:*", "GetObject"}},
		permission.Statement{Sid: "Any", Actions: []string{"*"}, Resources: inputs("*")},
		permission.Statement{Sid: "None", Resources: inputs("*")},
	})
	require.EqualError(t, err, `[0]: is missing
[1].arns: is missing
[2].arns[0]: is missing
[3].via: "": want the service that uses the keys, as in its endpoint: secretsmanager
[4].resourceId: is missing
[4].users[0]: "*": want the name of a database user, without wildcards: 1 to 63 letters, digits and underscores
[5].users: is missing
[6].sid: "a b": want 1 to 100 letters and digits
[6].actions[0]: "s3:*": has a wildcard, which also allows actions that AWS adds later; list the actions, or set wildcardActions
[6].actions[1]: "GetObject": want an action such as s3:GetObject
[6].resources: is missing
[7].actions[0]: "*": has a wildcard, which also allows actions that AWS adds later; list the actions, or set wildcardActions
[8].actions: is missing`)
}

// Resources are known only after AWS has created them, so invalid ones are found then.
func TestInvalidResourcesFailTheUpdate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		permission permission.Permission
		fault      string
	}{
		"every secret": {permission.ReadSecrets{
			Arns: inputs("arn:aws:secretsmanager:eu-west-1:111122223333:secret:rds!db-*"),
		}, `the permission ReadSecrets: "arn`},
		"any secret": {
			permission.PushSecrets{Arns: inputs("*")},
			`the permission PushSecrets: "*": want the exact ARN of a secret`,
		},
		"a secret's name": {
			permission.ReadSecrets{Arns: inputs("myshop/db")},
			`"myshop/db": want the exact ARN of a secret`,
		},
		"every key": {
			permission.UseKeys{Arns: inputs("arn:aws:kms:eu-west-1:111122223333:key/*"), Via: "s3"},
			`want the exact ARN of a key`,
		},
		"an alias": {permission.UseKeys{
			Arns: inputs("arn:aws:kms:eu-west-1:111122223333:alias/a"), Via: "s3",
		}, `want the exact ARN of a key`},
		"an instance's name": {permission.ConnectAsDatabaseUser{
			ResourceID: pulumi.String("myshop"), Users: []string{"u"},
		}, `"myshop": want the resource id of an instance`},
		"every instance": {permission.ConnectAsDatabaseUser{
			ResourceID: pulumi.String("db-*"), Users: []string{"u"},
		}, `"db-*": want the resource id of an instance`},
		"every object": {permission.Statement{
			Sid: "S", Actions: []string{"s3:GetObject"}, Resources: inputs("arn:aws:s3:::b/*"),
		}, `"arn:aws:s3:::b/*": has a wildcard`},
		"everything": {permission.Statement{
			Sid: "S", Actions: []string{"s3:GetObject"}, Resources: inputs("*"),
		}, `"*": has a wildcard`},
		"no ARN": {permission.Statement{
			Sid: "S", Actions: []string{"s3:GetObject"}, Resources: inputs("bucket"), WildcardResources: true,
		}, `"bucket": want an ARN`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := policy(seoul, c.permission)
			require.ErrorContains(t, err, c.fault)
			assert.Empty(t, text)
		})
	}
}

func TestAPolicyThatIAMWouldRefuseForItsLengthIsAnError(t *testing.T) {
	t.Parallel()
	var arns []string
	for i := range 100 {
		arns = append(arns, fmt.Sprintf("arn:aws:secretsmanager:eu-west-1:111122223333:secret:%s-%04d-AbCdEf",
			strings.Repeat("x", 60), i))
	}
	_, err := policy(seoul, permission.ReadSecrets{Arns: inputs(arns...)})
	require.ErrorContains(t, err, "but IAM accepts 10240 for a role")
}

// No input makes a permission type return a wildcard.
func FuzzNoHelperEverWritesAWildcard(f *testing.F) {
	for _, seed := range []string{
		"*", componenttest.SecretArn, componenttest.KeyArn, "db-A*", "prx-?", "prx-0/*",
		"a/../*", "u$ser", "arn:aws:kms:eu-west-1:111122223333:key/${aws:userid}",
	} {
		f.Add(seed, "user")
	}
	f.Fuzz(func(t *testing.T, resource, user string) {
		for _, p := range []permission.Permission{
			permission.ReadSecrets{Arns: inputs(resource)},
			permission.PushSecrets{Arns: inputs(resource)},
			permission.UseKeys{Arns: inputs(resource), Via: "secretsmanager"},
			permission.ConnectAsDatabaseUser{ResourceID: pulumi.String(resource), Users: []string{user}},
			permission.Statement{Sid: "S", Actions: []string{"s3:GetObject"}, Resources: inputs(resource)},
		} {
			text, err := policy(seoul, p)
			if err == nil {
				assert.NotRegexp(t, `"Resource":\[[^\]]*[*?]`, text)
			}
		}
	})
}
