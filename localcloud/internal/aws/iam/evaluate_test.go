package iam_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws/iam"
)

const (
	account   = "111122223333"
	roleARN   = "arn:aws:iam::111122223333:role/reader"
	session   = "arn:aws:sts::111122223333:assumed-role/reader/one"
	secretARN = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:rds!db-1-abcdef"
	otherARN  = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:team-b/db-ghijkl"
	keyARN    = "arn:aws:kms:ap-northeast-2:111122223333:key/1"
)

func parse(t *testing.T, kind iam.Kind, statements ...string) *iam.Policy {
	t.Helper()
	p, err := iam.Parse(`{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`, kind)
	require.NoError(t, err)
	return p
}

func reader(policies ...*iam.Policy) iam.Principal {
	return iam.Principal{
		Kind: iam.RoleSession, ARN: session, RoleARN: roleARN, RoleID: "AROAX", ID: "AROAX:one",
		Account: account, Identity: policies,
	}
}

func get(resource string) iam.Request {
	return iam.Request{Action: "secretsmanager:GetSecretValue", Resource: resource, Context: iam.NewContext()}
}

func TestIdentityPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		statements []string
		request    iam.Request
		want       iam.Reason
	}{
		"nothing is allowed by default": {nil, get(secretARN), iam.MissingIdentity},
		"an allow": {[]string{
			`{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"` + secretARN + `"}`,
		}, get(secretARN), iam.Granted},
		"action names have no case": {[]string{
			`{"Effect":"Allow","Action":"SecretsManager:getsecretvalue","Resource":"*"}`,
		}, get(secretARN), iam.Granted},
		"another team's secret": {[]string{
			`{"Effect":"Allow","Action":"secretsmanager:*","Resource":"arn:aws:secretsmanager:*:*:secret:rds!db-*"}`,
		}, get(otherARN), iam.MissingIdentity},
		"another action": {[]string{
			`{"Effect":"Allow","Action":"secretsmanager:Describe*","Resource":"*"}`,
		}, get(secretARN), iam.MissingIdentity},
		"a deny wins over an allow": {[]string{
			`{"Effect":"Allow","Action":"*","Resource":"*"}`,
			`{"Effect":"Deny","Action":"secretsmanager:Get*","Resource":"*:secret:team-b/*"}`,
		}, get(otherARN), "bad"},
		"not-action leaves out what it names": {
			[]string{`{"Effect":"Allow","NotAction":"secretsmanager:*","Resource":"*"}`},
			get(secretARN),
			iam.MissingIdentity,
		},
		"not-action covers the rest": {
			[]string{`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`}, get(secretARN), iam.Granted,
		},
		"not-resource in a deny": {
			[]string{
				`{"Effect":"Allow","Action":"*","Resource":"*"}`,
				`{"Effect":"Deny","Action":"*","NotResource":"` + secretARN + `"}`,
			}, get(otherARN), iam.DeniedIdentity,
		},
		"not-resource spares what it names": {
			[]string{
				`{"Effect":"Allow","Action":"*","Resource":"*"}`,
				`{"Effect":"Deny","Action":"*","NotResource":"` + secretARN + `"}`,
			}, get(secretARN), iam.Granted,
		},
		"an action on everything needs *": {
			[]string{`{"Effect":"Allow","Action":"*","Resource":"arn:aws:secretsmanager:*:*:*"}`},
			iam.Request{Action: "secretsmanager:ListSecrets", Resource: "*", Context: iam.NewContext()},
			iam.MissingIdentity,
		},
		"an action on everything by *": {
			[]string{`{"Effect":"Allow","Action":"secretsmanager:ListSecrets","Resource":"*"}`},
			iam.Request{Action: "secretsmanager:ListSecrets", Resource: "*", Context: iam.NewContext()},
			iam.Granted,
		},
		"resources have case": {
			[]string{`{"Effect":"Allow","Action":"*","Resource":"` + strings.ToUpper(secretARN[:3]) + secretARN[3:] +
				`"}`}, get(secretARN), "bad",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := iam.Parse(`{"Version":"2012-10-17","Statement":[`+strings.Join(
				append(c.statements, `{"Effect":"Allow","Action":"none:None","Resource":"*"}`), ",",
			)+`]}`, iam.Identity)
			if c.want == "bad" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, iam.Evaluate(reader(p), c.request, nil).Reason)
		})
	}
}

func TestBoundaryAndSessionPolicyLimitWhatTheIdentityMay(t *testing.T) {
	all := parse(t, iam.Identity, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	gets := parse(t, iam.Identity, `{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*"}`)
	lists := parse(t, iam.Identity, `{"Effect":"Allow","Action":"secretsmanager:ListSecrets","Resource":"*"}`)
	denies := parse(t, iam.Identity, `{"Effect":"Allow","Action":"*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"secretsmanager:*","Resource":"*"}`)
	direct := parse(t, iam.Key, `{"Effect":"Allow","Principal":{"AWS":"`+session+`"},"Action":"*","Resource":"*"}`)
	everyone := parse(t, iam.Key, `{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`)
	anyOfAWS := parse(t, iam.Key, `{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*","Resource":"*",
		"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}}`)
	byRole := parse(t, iam.Key, `{"Effect":"Allow","Principal":{"AWS":"`+roleARN+`"},"Action":"*","Resource":"*"}`)
	for name, c := range map[string]struct {
		identity, boundary, session, resource *iam.Policy
		want                                  iam.Reason
	}{
		"both allow":                                {all, gets, gets, nil, iam.Granted},
		"boundary does not":                         {all, lists, nil, nil, iam.MissingBoundary},
		"session does not":                          {all, nil, lists, nil, iam.MissingSession},
		"boundary grants nothing by itself":         {lists, all, nil, nil, iam.MissingIdentity},
		"boundary denies":                           {all, denies, nil, nil, iam.DeniedBoundary},
		"session denies":                            {all, nil, denies, nil, iam.DeniedSession},
		"a grant to the role is limited":            {nil, lists, nil, byRole, iam.MissingBoundary},
		"a grant to the session itself is not":      {nil, lists, lists, direct, iam.Granted},
		"a grant to everyone is not":                {nil, lists, lists, everyone, iam.Granted},
		"a grant to everyone with a condition too":  {nil, lists, lists, anyOfAWS, iam.Granted},
		"a session's deny beats a grant to all":     {nil, nil, denies, everyone, iam.DeniedSession},
		"a boundary's deny beats a grant to all":    {nil, denies, nil, everyone, iam.DeniedBoundary},
		"a grant to the role needs no identity":     {nil, nil, nil, byRole, iam.Granted},
		"an identity's deny beats the resource's":   {denies, nil, nil, direct, iam.DeniedIdentity},
		"a boundary's deny beats a grant to itself": {nil, denies, nil, direct, iam.DeniedBoundary},
	} {
		t.Run(name, func(t *testing.T) {
			p := reader()
			if c.identity != nil {
				p.Identity = []*iam.Policy{c.identity}
			}
			p.Boundary, p.Session = c.boundary, c.session
			var rp *iam.ResourcePolicy
			if c.resource != nil {
				rp = &iam.ResourcePolicy{Policy: c.resource, Account: account}
			}
			request := get(secretARN)
			request.Context.Set("aws:PrincipalArn", roleARN)
			assert.Equal(t, c.want, iam.Evaluate(p, request, rp).Reason)
		})
	}
}

func TestAPrincipalOfAnotherAccountNeedsAnAllowOfBothSides(t *testing.T) {
	const other = "999999999999"
	all := parse(t, iam.Identity, `{"Effect":"Allow","Action":"*","Resource":"*"}`)
	lists := parse(t, iam.Identity, `{"Effect":"Allow","Action":"secretsmanager:ListSecrets","Resource":"*"}`)
	grant := func(principal string) *iam.Policy {
		return parse(t, iam.Key, `{"Effect":"Allow","Principal":{"AWS":"`+principal+`"},"Action":"*","Resource":"*"}`)
	}
	foreign := iam.Principal{
		Kind: iam.RoleSession, ARN: "arn:aws:sts::999999999999:assumed-role/reader/one", ID: "AROAY:one",
		RoleARN: "arn:aws:iam::999999999999:role/reader", RoleID: "AROAY", Account: other,
	}
	for name, c := range map[string]struct {
		identity, resource *iam.Policy
		want               iam.Reason
	}{
		"both":                           {all, grant(foreign.RoleARN), iam.Granted},
		"both, by the account":           {all, grant(other), iam.Granted},
		"the resource alone":             {lists, grant(foreign.ARN), iam.MissingIdentity},
		"everyone, without the identity": {lists, grant("*"), iam.MissingIdentity},
		"the identity alone":             {all, grant(account), iam.MissingResource},
		"another principal":              {all, grant(roleARN), iam.MissingResource},
	} {
		who := foreign
		who.Identity = []*iam.Policy{c.identity}
		d := iam.Evaluate(who, get(secretARN), &iam.ResourcePolicy{Policy: c.resource, Account: account})
		assert.Equal(t, c.want, d.Reason, name)
	}
}

func TestKeyPolicies(t *testing.T) {
	decrypt := iam.Request{Action: "kms:Decrypt", Resource: keyARN, Context: iam.NewContext()}
	may := parse(t, iam.Identity, `{"Effect":"Allow","Action":"kms:Decrypt","Resource":"`+keyARN+`"}`)
	mayNot := parse(t, iam.Identity, `{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}`)
	for name, c := range map[string]struct {
		statement string
		identity  *iam.Policy
		want      iam.Reason
	}{
		"root delegates to identity policies": {
			`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*"`, may, iam.Granted,
		},
		"the account ID delegates too": {
			`"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*"`, may, iam.Granted,
		},
		"delegation alone grants nothing": {
			`"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*"`, mayNot, iam.MissingIdentity,
		},
		"without delegation identity is useless": {
			`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/other"},"Action":"kms:*"`, may,
			iam.MissingResource,
		},
		"another account's root": {
			`"Effect":"Allow","Principal":{"AWS":"999999999999"},"Action":"kms:*"`, may, iam.MissingResource,
		},
		"the role named": {
			`"Effect":"Allow","Principal":{"AWS":"` + roleARN + `"},"Action":"kms:Decrypt"`, mayNot, iam.Granted,
		},
		"the role's unique ID named": {
			`"Effect":"Allow","Principal":{"AWS":"AROAXXXXXXXXXX"},"Action":"kms:Decrypt"`, mayNot, iam.MissingResource,
		},
		"a deny for the account covers all": {
			`"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"kms:Decrypt"`, may, iam.DeniedResource,
		},
		"delegation of another action": {
			`"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:Describe*"`, may, iam.MissingResource,
		},
		"delegation on a condition that fails": {
			`"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kms:*","Condition":{"StringEquals":{"kms:ViaService":"rds.x.amazonaws.com"}}`, may, iam.MissingResource,
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy := parse(t, iam.Key, `{"Resource":"*",`+c.statement+`}`)
			d := iam.Evaluate(reader(c.identity), decrypt,
				&iam.ResourcePolicy{Policy: policy, Account: account, Required: true})
			assert.Equal(t, c.want, d.Reason)
			assert.Equal(t, c.want == iam.Granted, d.Allowed)
		})
	}
}

func TestTrustPolicies(t *testing.T) {
	web := func(sub string, aud ...string) iam.Request {
		ctx := iam.NewContext()
		ctx.Set("oidc.example.org/id/1:sub", sub)
		ctx.Set("oidc.example.org/id/1:aud", aud...)
		return iam.Request{Action: "sts:AssumeRoleWithWebIdentity", Resource: roleARN, Context: ctx}
	}
	federated := iam.Principal{Kind: iam.Federated, ARN: provider, Account: account}
	statement := func(op, sub string) string {
		return fmt.Sprintf(`{"Effect":"Allow","Principal":{"Federated":%q},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{%q:{"oidc.example.org/id/1:sub":%q},
			"StringEquals":{"oidc.example.org/id/1:aud":"sts.amazonaws.com"}}}`, provider, op, sub)
	}
	for name, c := range map[string]struct {
		trust   string
		who     iam.Principal
		request iam.Request
		want    bool
	}{
		"its ServiceAccount": {
			statement("StringEqualsIgnoreCase", "system:serviceaccount:a:b"), federated,
			web("system:serviceaccount:a:b", "sts.amazonaws.com"), true,
		},
		"another ServiceAccount": {
			statement("StringEqualsIgnoreCase", "system:serviceaccount:a:b"), federated,
			web("system:serviceaccount:a:c", "sts.amazonaws.com"), false,
		},
		"another audience": {
			statement("StringLike", "system:serviceaccount:a:*"), federated,
			web("system:serviceaccount:a:b", "other"), false,
		},
		"a wildcard by StringLike": {
			statement("StringLike", "system:serviceaccount:a:*"), federated,
			web("system:serviceaccount:a:b", "sts.amazonaws.com"), true,
		},
		"no wildcard by equality": {
			statement("StringEqualsIgnoreCase", "system:serviceaccount:a:*"), federated,
			web("system:serviceaccount:a:b", "sts.amazonaws.com"), false,
		},
		"another provider": {
			statement("StringLike", "*"),
			iam.Principal{Kind: iam.Federated, ARN: provider + "2", Account: account},
			web("x", "sts.amazonaws.com"),
			false,
		},
		"no web identity at all": {statement("StringLike", "*"), reader(), web("x", "sts.amazonaws.com"), false},
		"a service is not a web identity": {
			statement("StringLike", "*"),
			iam.Principal{Kind: iam.Service, ARN: provider},
			web("x", "sts.amazonaws.com"), false,
		},
		"everyone is not every web one": {
			`{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRoleWithWebIdentity"}`, federated,
			web("x", "sts.amazonaws.com"), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy := parse(t, iam.Trust, c.trust)
			assert.Equal(t, c.want, iam.Evaluate(c.who, c.request,
				&iam.ResourcePolicy{Policy: policy, Account: account, Required: true}).Allowed)
		})
	}
}

func TestConditions(t *testing.T) {
	full := iam.NewContext()
	full.Set("aws:userid", "AROAX:one")
	full.Set("aws:PrincipalArn", roleARN)
	full.Set("aws:TagKeys", "team", "env")
	full.Set("aws:ResourceTag/team", "a")
	full.Set("aws:PrincipalTag/team", "a")
	full.Set("aws:PrincipalTag/star", "*")
	full.Set("aws:SecureTransport", "true")
	full.Set("aws:SourceIp", "198.18.128.7")
	full.Set("aws:CurrentTime", "2026-11-23T10:00:00Z")
	full.Set("aws:EpochTime", "1795428000")
	full.Set("secretsmanager:RecoveryWindowInDays", "7")
	empty := iam.NewContext()
	for _, c := range []struct {
		condition   string
		full, empty bool
	}{
		{`"StringEquals":{"aws:userid":"AROAX:one"}`, true, false},
		{`"StringEquals":{"AWS:UserId":["x","AROAX:one"]}`, true, false},
		{`"StringEquals":{"aws:userid":"aroax:ONE"}`, false, false},
		{`"StringEquals":{"aws:userid":"AROAX:*"}`, false, false},
		{`"StringEqualsIfExists":{"aws:userid":"x"}`, false, true},
		{`"StringNotEquals":{"aws:userid":"x"}`, true, true},
		{`"StringNotEquals":{"aws:userid":["x","AROAX:one"]}`, false, true},
		{`"StringEqualsIgnoreCase":{"aws:userid":"aroax:ONE"}`, true, false},
		{`"StringNotEqualsIgnoreCase":{"aws:userid":"aroax:ONE"}`, false, true},
		{`"StringLike":{"aws:userid":"AROA?:*"}`, true, false},
		{`"StringNotLike":{"aws:userid":"AROA?:*"}`, false, true},
		{`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/rea*"}`, true, false},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:*:role/reader"}`, false, false},
		{`"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/rea*"}`, false, true},
		{`"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/x"}`, true, true},
		{`"Bool":{"aws:SecureTransport":"true"}`, true, false},
		{`"Bool":{"aws:SecureTransport":false}`, false, false},
		{`"BoolIfExists":{"aws:SecureTransport":"true"}`, true, true},
		{`"Null":{"aws:userid":"true"}`, false, true},
		{`"Null":{"aws:userid":false}`, true, false},
		{`"IpAddress":{"aws:SourceIp":"198.18.128.0/17"}`, true, false},
		{`"IpAddress":{"aws:SourceIp":["10.0.0.0/8","198.18.128.7"]}`, true, false},
		{`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`, false, false},
		{`"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}`, true, true},
		{`"NumericEquals":{"secretsmanager:RecoveryWindowInDays":"7.0"}`, true, false},
		{`"NumericNotEquals":{"secretsmanager:RecoveryWindowInDays":7}`, false, true},
		{`"NumericLessThan":{"secretsmanager:RecoveryWindowInDays":8}`, true, false},
		{`"NumericLessThanEquals":{"secretsmanager:RecoveryWindowInDays":6}`, false, false},
		{`"NumericGreaterThan":{"secretsmanager:RecoveryWindowInDays":7}`, false, false},
		{`"NumericGreaterThanEquals":{"secretsmanager:RecoveryWindowInDays":7}`, true, false},
		{`"NumericEquals":{"aws:userid":7}`, false, false},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-11-23T09:00:00Z"}`, true, false},
		{`"DateLessThan":{"aws:CurrentTime":"2026-11-23"}`, false, false},
		{`"DateGreaterThanEquals":{"aws:EpochTime":"1795428000"}`, true, false},
		{`"DateNotEquals":{"aws:CurrentTime":"2026-11-23T10:00:00Z"}`, false, true},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":["env","x"]}`, true, false},
		{`"ForAnyValue:StringEquals":{"aws:TagKeys":"x"}`, false, false},
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["env","team","x"]}`, true, true},
		{`"ForAllValues:StringEquals":{"aws:TagKeys":["env"]}`, false, true},
		{`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["env"]}`, true, false},
		{`"ForAllValues:StringNotEquals":{"aws:TagKeys":["env"]}`, false, true},
		{`"ForAllValues:StringNotEquals":{"aws:TagKeys":["x"]}`, true, true},
		{`"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":"t*"}`, true, true},
		{`"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/team}"}`, true, false},
		{`"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/none}"}`, false, false},
		{`"StringEquals":{"aws:ResourceTag/team":"${aws:PrincipalTag/none, 'a'}"}`, true, false},
		{`"StringLike":{"aws:ResourceTag/team":"${aws:PrincipalTag/star}"}`, false, false},
		{`"StringLike":{"aws:ResourceTag/team":"${*}"}`, false, false},
		{`"StringEquals":{"aws:userid":"AROAX:one"},"Bool":{"aws:SecureTransport":"false"}`, false, false},
		{`"StringEquals":{"aws:userid":"AROAX:one","aws:ResourceTag/team":"a"}`, true, false},
	} {
		p := parse(t, iam.Identity, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+c.condition+`}}`)
		for ctx, want := range map[*iam.Context]bool{&full: c.full, &empty: c.empty} {
			got := iam.Evaluate(reader(p), iam.Request{Action: "a:B", Resource: secretARN, Context: *ctx}, nil).Allowed
			assert.Equal(t, want, got, "%s with context %v", c.condition, ctx == &full)
		}
	}
}

func TestVariablesInResources(t *testing.T) {
	ctx := iam.NewContext()
	ctx.Set("aws:PrincipalTag/team", "a*")
	request := func(name string) iam.Request {
		return iam.Request{Action: "a:B", Resource: "arn:aws:s3:::" + name, Context: ctx}
	}
	mine := parse(t, iam.Identity,
		`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team}/*"}`)
	assert.True(t, iam.Evaluate(reader(mine), request("a*/x"), nil).Allowed)
	assert.False(t, iam.Evaluate(reader(mine), request("abc/x"), nil).Allowed,
		"a wildcard from a tag stands for itself")
	none := parse(t, iam.Identity,
		`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/none}*"}`)
	assert.False(t, iam.Evaluate(reader(none), request("x"), nil).Allowed,
		"a pattern with a variable that has no value matches nothing")
	old, err := iam.Parse(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:userid}"}}`,
		iam.Identity)
	require.NoError(t, err)
	assert.True(t, iam.Evaluate(reader(old), request("${aws:userid}"), nil).Allowed,
		"the older language has no variables")
}

func TestAPatternWhoseVariableHasNoValueMatchesNothingInNotResourceToo(t *testing.T) {
	const none = `"arn:aws:s3:::${aws:PrincipalTag/none}/*"`
	request := func(name string) iam.Request {
		return iam.Request{Action: "a:B", Resource: "arn:aws:s3:::" + name, Context: iam.NewContext()}
	}
	all := `{"Effect":"Allow","Action":"*","Resource":"*"}`
	denyRest := parse(t, iam.Identity, all,
		`{"Effect":"Deny","Action":"*","NotResource":[`+none+`,"arn:aws:s3:::mine/*"]}`)
	assert.Equal(t, iam.DeniedIdentity, iam.Evaluate(reader(denyRest), request("other/x"), nil).Reason)
	assert.Equal(t, iam.Granted, iam.Evaluate(reader(denyRest), request("mine/x"), nil).Reason)
	denyAll := parse(t, iam.Identity, all, `{"Effect":"Deny","Action":"*","NotResource":`+none+`}`)
	assert.Equal(t, iam.DeniedIdentity, iam.Evaluate(reader(denyAll), request("x"), nil).Reason)
	allowRest := parse(t, iam.Identity, `{"Effect":"Allow","Action":"*","NotResource":[`+none+`,"arn:aws:s3:::mine/*"]}`)
	assert.Equal(t, iam.Granted, iam.Evaluate(reader(allowRest), request("other/x"), nil).Reason)
	assert.Equal(t, iam.MissingIdentity, iam.Evaluate(reader(allowRest), request("mine/x"), nil).Reason)
}

func TestIncompleteARNsStandForAllThatFollows(t *testing.T) {
	for _, c := range []struct {
		resource string
		want     iam.Reason
	}{
		{"arn:aws:secretsmanager", iam.Granted},
		{"arn:aws:secretsmanager:ap-northeast-2", iam.Granted},
		{"arn:aws:secretsmanager:ap-*:111122223333", iam.Granted},
		{"arn:aws:secretsmanager:*", iam.Granted},
		{"arn:aws:secretsmanager:eu-west-1", iam.MissingIdentity},
		{"arn:aws:secretsmanager:ap-northeast-2:999999999999", iam.MissingIdentity},
		{"arn:aws:secretsmanager::111122223333", iam.MissingIdentity},
		{"arn:aws:kms", iam.MissingIdentity},
		{"arn:aws:secretsmanager:${aws:RequestedRegion, 'ap-northeast-2'}", iam.Granted},
	} {
		p := parse(t, iam.Identity, `{"Effect":"Allow","Action":"*","Resource":"`+c.resource+`"}`)
		assert.Equal(t, c.want, iam.Evaluate(reader(p), get(secretARN), nil).Reason, c.resource)
		not := parse(t, iam.Identity, `{"Effect":"Allow","Action":"*","NotResource":"`+c.resource+`"}`)
		assert.Equal(t, c.want != iam.Granted, iam.Evaluate(reader(not), get(secretARN), nil).Allowed, c.resource)
	}
}

func TestDenialsAreExplainedInAWSsWords(t *testing.T) {
	d := iam.Evaluate(reader(), get(secretARN), nil)
	assert.Equal(t,
		"User: "+session+" is not authorized to perform: secretsmanager:GetSecretValue on resource: "+secretARN+
			" because no identity-based policy allows the secretsmanager:GetSecretValue action",
		d.Explain(reader(), get(secretARN)))
}
