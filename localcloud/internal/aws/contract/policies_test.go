package contract_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPolicyDocumentsThatIAMRefuses(t *testing.T) {
	g := newTarget(t)
	name, _ := g.role(t, policy(m{
		"Effect": "Allow", "Principal": m{"AWS": g.accountID(t)},
		"Action": "sts:AssumeRole",
	}))
	statement := func(members string) string {
		return `{"Version":"2012-10-17","Statement":[{` + members + `}]}`
	}
	const allow = `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`
	for what, document := range map[string]string{
		"no JSON":                 `{`,
		"an unknown version":      `{"Version":"2012-10-18","Statement":[{` + allow + `}]}`,
		"an effect in lower case": statement(`"Effect":"allow","Action":"s3:GetObject","Resource":"*"`),
		"no action":               statement(`"Effect":"Allow","Resource":"*"`),
		"no resource":             statement(`"Effect":"Allow","Action":"s3:GetObject"`),
		"both actions":            statement(allow + `,"NotAction":"s3:PutObject"`),
		"an action of no service": statement(`"Effect":"Allow","Action":"GetObject","Resource":"*"`),
		"an invalid resource":     statement(`"Effect":"Allow","Action":"s3:GetObject","Resource":"myshop"`),
		"a principal":             statement(allow + `,"Principal":"*"`),
		"an unknown operator":     statement(allow + `,"Condition":{"StringIs":{"aws:userid":"x"}}`),
		"an unknown element":      statement(allow + `,"Ressource":"*"`),
		"a sid with a space":      statement(`"Sid":"a b",` + allow),
		"the same sid twice": `{"Version":"2012-10-17","Statement":[{"Sid":"A",` + allow + `},{"Sid":"A",` +
			allow + `}]}`,
		"an invalid boolean": statement(allow + `,"Condition":{"Bool":{"aws:SecureTransport":"maybe"}}`),
	} {
		answer := g.iam(t, "PutRolePolicy", map[string]string{
			"RoleName": name, "PolicyName": "inline", "PolicyDocument": document,
		})
		assert.Equal(t, "MalformedPolicyDocument", answer.Code, "%s: %s", what, answer.body)
		assert.Equal(t, http.StatusBadRequest, answer.status, what)
	}
	for what, document := range map[string]string{
		"no principal":    statement(`"Effect":"Allow","Action":"sts:AssumeRole"`),
		"a resource":      statement(`"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"`),
		"another service": statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`),
		"a wildcard in it": statement(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + g.accountID(t) +
			`:role/*"},"Action":"sts:AssumeRole"`),
		"a role that does not exist": statement(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + g.accountID(t) +
			`:role/` + unique() + `"},"Action":"sts:AssumeRole"`),
		"a principal's name": statement(`"Effect":"Allow","Principal":"myshop","Action":"sts:AssumeRole"`),
	} {
		answer := g.iam(t, "UpdateAssumeRolePolicy", map[string]string{"RoleName": name, "PolicyDocument": document})
		assert.Equal(t, "MalformedPolicyDocument", answer.Code, "%s: %s", what, answer.body)
	}
	answer := g.iam(t, "CreateRole", map[string]string{
		"RoleName": name, "AssumeRolePolicyDocument": policy(
			m{"Effect": "Allow", "Principal": m{"AWS": g.accountID(t)}, "Action": "sts:AssumeRole"},
		),
	})
	assert.Equal(t, "EntityAlreadyExists", answer.Code)
	assert.Equal(t, http.StatusConflict, answer.status)
	g.put(t, name, policy(m{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}))
	answer = g.iam(t, "DeleteRole", map[string]string{"RoleName": name})
	assert.Equal(t, "DeleteConflict", answer.Code)
	answer = g.iam(t, "GetRole", map[string]string{"RoleName": unique()})
	assert.Equal(t, "NoSuchEntity", answer.Code)
	assert.Equal(t, http.StatusNotFound, answer.status)
}

// AWS answers the same questions with its policy simulator.
func TestPoliciesDecideAsOnAWS(t *testing.T) {
	g := newTarget(t)
	const (
		secret = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:rds!db-1-abcdef"
		other  = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:team-b/db-ghijkl"
		get    = "secretsmanager:GetSecretValue"
	)
	condition := func(c m) string {
		return policy(m{"Effect": "Allow", "Action": get, "Resource": "*", "Condition": c})
	}
	team := map[string][]string{"aws:PrincipalTag/team": {"a"}}
	keys := map[string][]string{"aws:TagKeys": {"team", "env"}}
	for _, c := range []struct {
		name     string
		policies []string
		resource string
		context  map[string][]string
		want     string
	}{
		{"nothing is allowed by default", []string{
			policy(m{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}),
		}, secret, nil, "implicitDeny"},
		{
			"an exact resource",
			[]string{policy(m{"Effect": "Allow", "Action": get, "Resource": secret})},
			secret, nil,
			"allowed",
		},
		{
			"another resource",
			[]string{policy(m{"Effect": "Allow", "Action": get, "Resource": secret})},
			other, nil,
			"implicitDeny",
		},
		{
			"an action in another case",
			[]string{policy(m{"Effect": "Allow", "Action": strings.ToLower(get), "Resource": secret})},
			secret, nil,
			"allowed",
		},
		{
			"wildcards of an action",
			[]string{policy(m{"Effect": "Allow", "Action": "secretsmanager:Get*Val?e", "Resource": secret})},
			secret,
			nil, "allowed",
		},
		{
			"wildcards of a resource",
			[]string{policy(m{
				"Effect": "Allow", "Action": get,
				"Resource": "arn:aws:secretsmanager:*:*:secret:rds!db-*-??????",
			})},
			secret, nil, "allowed",
		},
		{"a deny wins", []string{
			policy(m{"Effect": "Allow", "Action": "*", "Resource": "*"}),
			policy(m{"Effect": "Deny", "Action": get, "Resource": other}),
		}, other, nil, "explicitDeny"},
		{"a deny of something else", []string{
			policy(m{"Effect": "Allow", "Action": "*", "Resource": "*"}),
			policy(m{"Effect": "Deny", "Action": get, "Resource": other}),
		}, secret, nil, "allowed"},
		{
			"not-action",
			[]string{policy(m{"Effect": "Allow", "NotAction": "secretsmanager:*", "Resource": "*"})},
			secret,
			nil, "implicitDeny",
		},
		{
			"not-resource",
			[]string{policy(m{"Effect": "Allow", "Action": get, "NotResource": other})},
			secret, nil,
			"allowed",
		},
		{
			"a condition that holds",
			[]string{condition(m{"StringEquals": m{"aws:PrincipalTag/team": "a"}})},
			secret,
			team, "allowed",
		},
		{
			"a condition that does not",
			[]string{condition(m{"StringEquals": m{"aws:PrincipalTag/team": "b"}})},
			secret,
			team, "implicitDeny",
		},
		{
			"a key that is missing",
			[]string{condition(m{"StringEquals": m{"aws:PrincipalTag/team": "a"}})},
			secret, nil,
			"implicitDeny",
		},
		{
			"a missing key, if it exists",
			[]string{condition(m{"StringEqualsIfExists": m{"aws:PrincipalTag/team": "a"}})},
			secret, nil, "allowed",
		},
		{
			"a missing key, negated",
			[]string{condition(m{"StringNotEquals": m{"aws:PrincipalTag/team": "a"}})},
			secret,
			nil, "allowed",
		},
		{
			"equality knows no wildcards",
			[]string{condition(m{"StringEquals": m{"aws:PrincipalTag/team": "*"}})},
			secret,
			team, "implicitDeny",
		},
		{
			"likeness does",
			[]string{condition(m{"StringLike": m{"aws:PrincipalTag/team": "*"}})},
			secret, team,
			"allowed",
		},
		{
			"null of a missing key",
			[]string{condition(m{"Null": m{"aws:PrincipalTag/team": "true"}})},
			secret, nil,
			"allowed",
		},
		{
			"null of a key that is there",
			[]string{condition(m{"Null": m{"aws:PrincipalTag/team": "true"}})},
			secret,
			team, "implicitDeny",
		},
		{
			"any of the values",
			[]string{condition(m{"ForAnyValue:StringEquals": m{"aws:TagKeys": []string{"env"}}})},
			secret, keys, "allowed",
		},
		{
			"all of the values",
			[]string{condition(m{"ForAllValues:StringEquals": m{"aws:TagKeys": []string{"env"}}})},
			secret, keys, "implicitDeny",
		},
		{
			"all of the values, listed",
			[]string{condition(m{"ForAllValues:StringEquals": m{"aws:TagKeys": []string{"env", "team"}}})},
			secret,
			keys, "allowed",
		},
		{
			"two keys must both hold",
			[]string{condition(m{"StringEquals": m{"aws:PrincipalTag/team": "a"}, "Null": m{"aws:TagKeys": "false"}})},
			secret, team, "implicitDeny",
		},
		{
			"a number",
			[]string{condition(m{"NumericLessThan": m{"secretsmanager:RecoveryWindowInDays": "8"}})},
			secret,
			map[string][]string{"secretsmanager:RecoveryWindowInDays": {"7"}},
			"allowed",
		},
		{
			"a variable",
			[]string{policy(m{
				"Effect": "Allow", "Action": get,
				"Resource": "arn:aws:secretsmanager:*:*:secret:team-${aws:PrincipalTag/team}/*",
			})},
			strings.Replace(other, "team-b", "team-a", 1), team, "allowed",
		},
		{"a variable of another value", []string{
			policy(m{
				"Effect": "Allow", "Action": get,
				"Resource": "arn:aws:secretsmanager:*:*:secret:team-${aws:PrincipalTag/team}/*",
			}),
		}, other, team, "implicitDeny"},
	} {
		t.Run(c.name, func(t *testing.T) {
			params := map[string]string{"ActionNames.member.1": get, "ResourceArns.member.1": c.resource}
			for i, p := range c.policies {
				params[fmt.Sprintf("PolicyInputList.member.%d", i+1)] = p
			}
			n := 0
			for key, values := range c.context {
				n++
				at := fmt.Sprintf("ContextEntries.member.%d.", n)
				params[at+"ContextKeyName"] = key
				params[at+"ContextKeyType"] = "string"
				if strings.HasPrefix(key, "aws:TagKeys") {
					params[at+"ContextKeyType"] = "stringList"
				}
				if strings.HasSuffix(key, "InDays") {
					params[at+"ContextKeyType"] = "numeric"
				}
				for i, v := range values {
					params[fmt.Sprintf("%sContextKeyValues.member.%d", at, i+1)] = v
				}
			}
			answer := g.iam(t, "SimulateCustomPolicy", params)
			require.Equal(t, http.StatusOK, answer.status, answer.body)
			var out struct {
				SimulateCustomPolicyResult struct {
					EvaluationResults []struct{ EvalDecision string } `xml:"EvaluationResults>member"`
				}
			}
			require.NoError(t, xml.Unmarshal([]byte(answer.body), &out))
			require.Len(t, out.SimulateCustomPolicyResult.EvaluationResults, 1)
			assert.Equal(t, c.want, out.SimulateCustomPolicyResult.EvaluationResults[0].EvalDecision)
		})
	}
}
