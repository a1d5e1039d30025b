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
	anyTrust = `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}`
	provider = "arn:aws:iam::111122223333:oidc-provider/oidc.example.org/id/1"
)

func TestDocumentsThatIAMTakes(t *testing.T) {
	for name, c := range map[string]struct {
		kind     iam.Kind
		document string
	}{
		"one statement without a list": {
			iam.Identity,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}`,
		},
		"lists": {
			iam.Identity,
			`{"Version":"2012-10-17","Statement":[{"Sid":"A1","Effect":"Deny","NotAction":["a:B","c:*"],"NotResource":["arn:aws:s3:::x"]}]}`,
		},
		"no version": {
			iam.Identity,
			`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
		},
		"a condition with a bare boolean": {
			iam.Identity,
			`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":true}}}]}`,
		},
		"a condition with a bare number": {
			iam.Identity,
			`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericLessThan":{"secretsmanager:RecoveryWindowInDays":7}}}]}`,
		},
		"a variable with a default": {
			iam.Identity,
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team, 'none'}/*"}]}`,
		},
		"web identity trust": {iam.Trust, fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":%q},"Action":"sts:AssumeRoleWithWebIdentity",
			"Condition":{"StringEquals":{"oidc.example.org/id/1:sub":"system:serviceaccount:a:b","oidc.example.org/id/1:aud":"sts.amazonaws.com"}}}]}`, provider)},
		"service trust": {
			iam.Trust, `{"Statement":[{"Effect":"Allow","Principal":{"Service":["monitoring.rds.amazonaws.com"]},"Action":"sts:AssumeRole"}]}`,
		},
		"everyone in a trust": {
			iam.Trust, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]}`,
		},
		"account trust": {iam.Trust, anyTrust},
		"trust in a session with tags": {
			iam.Trust, `{"Statement":[{"Sid":"A","Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]},
			{"Sid":"B","Effect":"Deny","Principal":"*","Action":"sts:*"}]}`,
		},
		"incomplete ARNs": {
			iam.Identity,
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"a:B","Resource":["arn:aws:sqs","arn:aws:sqs:*","arn:aws:s3::","arn:aws:s3:${aws:RequestedRegion}"]}]}`,
		},
		"several values with a set operator": {
			iam.Identity,
			`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":["a*"]},"Null":{"aws:TagKeys":"false"}}}]}`,
		},
		"key policy": {
			iam.Key, `{"Id":"x","Statement":[{"Sid":"with spaces, as in key policies","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := iam.Parse(c.document, c.kind)
			require.NoError(t, err)
		})
	}
}

func TestDocumentsThatIAMRefusesAreRefusedWithTheReason(t *testing.T) {
	statement := func(members string) string { return `{"Version":"2012-10-17","Statement":[{` + members + `}]}` }
	const allow = `"Effect":"Allow","Action":"s3:GetObject","Resource":"*"`
	for name, c := range map[string]struct {
		kind     iam.Kind
		document string
		says     string
	}{
		"no JSON":              {iam.Identity, `{`, "invalid JSON"},
		"a list":               {iam.Identity, `[]`, "JSON object"},
		"no statement":         {iam.Identity, `{"Version":"2012-10-17"}`, "Statement: missing"},
		"empty statement list": {iam.Identity, `{"Statement":[]}`, "must not be empty"},
		"unknown element":      {iam.Identity, `{"Statement":[],"Satement":[]}`, "Satement: no such element"},
		"unknown statement element": {
			iam.Identity, statement(allow + `,"Resources":"*"`),
			"Resources: no such element",
		},
		"an element twice": {iam.Identity, statement(allow + `,"Effect":"Deny"`), "Effect: occurs twice"},
		"wrong version":    {iam.Identity, `{"Version":"2012-10-18","Statement":[]}`, `"2012-10-18"`},
		"wrong effect": {
			iam.Identity, statement(`"Effect":"allow","Action":"a:B","Resource":"*"`),
			`"allow": want Allow or Deny`,
		},
		"no effect": {iam.Identity, statement(`"Action":"a:B","Resource":"*"`), "Effect: missing"},
		"no action": {
			iam.Identity, statement(`"Effect":"Allow","Resource":"*"`),
			"must contain actions",
		},
		"both actions": {
			iam.Identity, statement(allow + `,"NotAction":"a:B"`),
			"both Action and NotAction",
		},
		"empty action list": {
			iam.Identity, statement(`"Effect":"Allow","Action":[],"Resource":"*"`),
			"must not be empty",
		},
		"action without service": {
			iam.Identity,
			statement(`"Effect":"Allow","Action":"GetObject","Resource":"*"`), `"GetObject"`,
		},
		"wildcard service of an action": {
			iam.Identity,
			statement(`"Effect":"Allow","Action":"s*:GetObject","Resource":"*"`), `"s*:GetObject"`,
		},
		"no resource": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B"`),
			"must contain resources",
		},
		"both resources": {
			iam.Identity, statement(allow + `,"NotResource":"*"`),
			"both Resource and NotResource",
		},
		"resource that is not an ARN": {
			iam.Identity,
			statement(`"Effect":"Allow","Action":"a:B","Resource":"myshop"`), `"myshop" must be in ARN format`,
		},
		"ARN without service": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:aws"`), "ARN format",
		},
		"ARN with an empty resource": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:aws:s3:::"`), "ARN format",
		},
		"wildcard partition": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:*:s3:::x"`),
			`partition "*" is not valid for resource "arn:*:s3:::x"`,
		},
		"wildcard in a partition": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B","NotResource":"arn:aw?:s3:::x"`), `partition "aw?"`,
		},
		"another partition": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:aws-cn:s3:::x"`),
			`partition "aws-cn" is not valid`,
		},
		"wildcard service": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:aws:*:::x"`), `vendor "*" is not valid`,
		},
		"wildcard in a service": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B","NotResource":"arn:aws:s?"`), `vendor "s?" is not valid`,
		},
		"variable as a service": {
			iam.Identity, statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:aws:${aws:userid}:::x"`),
			`vendor "${aws:userid}"`,
		},
		"incomplete ARN in a key policy": {
			iam.Key, statement(`"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"arn:aws:kms:*"`),
			"only identity policies",
		},
		"wildcard service in a key policy": {
			iam.Key, statement(`"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"arn:aws:*:*:*:*"`), `vendor "*"`,
		},
		"sid with a space in a trust policy": {
			iam.Trust, statement(`"Sid":"a b","Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"`),
			"alpha-numeric",
		},
		"the same sid twice in a trust policy": {
			iam.Trust, `{"Statement":[{"Sid":"A","Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},
				{"Sid":"A","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]}`, "must be unique",
		},
		"the same sid twice in a key policy": {
			iam.Key, `{"Statement":[{"Sid":"a b","Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"},
				{"Sid":"a b","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"}]}`, "must be unique",
		},
		"an action of STS that is not on roles": {
			iam.Trust, statement(`"Effect":"Allow","Principal":"*","Action":["sts:AssumeRole","sts:GetCallerIdentity"]`),
			`"sts:GetCallerIdentity": AssumeRole policy may only specify STS AssumeRole actions`,
		},
		"actions of STS that are not on roles": {
			iam.Trust, statement(`"Effect":"Deny","Principal":"*","Action":"sts:Get*"`), `"sts:Get*"`,
		},
		"the same key twice in different case": {
			iam.Identity,
			statement(allow + `,"Condition":{"StringEquals":{"aws:userid":"a","AWS:UserId":"b"}}`),
			"occurs twice, the other time as AWS:UserId",
		},
		"the same tag twice in different case": {
			iam.Identity,
			statement(allow + `,"Condition":{"StringEquals":{"aws:ResourceTag/team":"a","aws:ResourceTag/Team":"b"}}`),
			"occurs twice",
		},
		"the same operator twice in different case": {
			iam.Identity,
			statement(allow + `,"Condition":{"StringEquals":{"aws:userid":"a"},"stringequals":{"aws:userid":"b"}}`),
			"occurs twice",
		},
		"several values without a set operator": {
			iam.Identity,
			statement(allow + `,"Condition":{"StringEqualsIfExists":{"aws:tagkeys":"a"}}`),
			"aws:tagkeys: the key has several values: want ForAnyValue:StringEqualsIfExists",
		},
		"several values of an encryption context without a set operator": {
			iam.Key, statement(`"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*",` +
				`"Condition":{"StringEquals":{"kms:EncryptionContextKeys":"a"}}`),
			"kms:EncryptionContextKeys: the key has several values",
		},
		"several values as a variable": {
			iam.Identity,
			statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:aws:s3:::${aws:TagKeys}"`),
			"${aws:TagKeys}: the key has several values",
		},
		"a claim that no token of a cluster has": {
			iam.Identity,
			statement(allow + `,"Condition":{"ForAnyValue:StringEquals":{"oidc.example.org/id/1:amr":"x"}}`),
			"does not model this condition key",
		},
		"a principal in identity": {
			iam.Identity, statement(allow + `,"Principal":"*"`),
			"should not specify a principal",
		},
		"sid with a space": {iam.Identity, statement(allow + `,"Sid":"a b"`), "alpha-numeric"},
		"the same sid twice": {
			iam.Identity,
			`{"Statement":[{"Sid":"A",` + allow + `},{"Sid":"A",` + allow + `}]}`, "must be unique",
		},
		"operator that is not modelled": {
			iam.Identity,
			statement(allow + `,"Condition":{"BinaryEquals":{"aws:userid":"eA=="}}`),
			`"BinaryEquals": the local AWS stand-in models only`,
		},
		"misspelt operator": {
			iam.Identity,
			statement(allow + `,"Condition":{"StringEqual":{"aws:userid":"x"}}`), `"StringEqual"`,
		},
		"misspelt set operator": {
			iam.Identity,
			statement(allow + `,"Condition":{"ForAll:StringEquals":{"aws:userid":"x"}}`), `"ForAll"`,
		},
		"null with if-exists": {
			iam.Identity,
			statement(allow + `,"Condition":{"NullIfExists":{"aws:userid":"true"}}`), "Null accepts neither",
		},
		"key that is not modelled": {
			iam.Identity,
			statement(allow + `,"Condition":{"StringEquals":{"aws:SourceVpc":"vpc-1"}}`),
			"aws:SourceVpc: the local AWS stand-in does not model",
		},
		"empty condition values": {
			iam.Identity,
			statement(allow + `,"Condition":{"StringEquals":{"aws:userid":[]}}`), "must not be empty",
		},
		"invalid boolean": {
			iam.Identity,
			statement(allow + `,"Condition":{"Bool":{"aws:SecureTransport":"yes"}}`), `"yes": want true or false`,
		},
		"invalid number": {
			iam.Identity,
			statement(allow + `,"Condition":{"NumericEquals":{"secretsmanager:RecoveryWindowInDays":"seven"}}`),
			"want a number",
		},
		"invalid date": {
			iam.Identity,
			statement(allow + `,"Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`), "ISO 8601",
		},
		"invalid address": {
			iam.Identity,
			statement(allow + `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`), "CIDR",
		},
		"variable that is not modelled": {
			iam.Identity,
			statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:aws:s3:::${cognito:sub}"`), "${cognito:sub}",
		},
		"variable without end": {
			iam.Identity,
			statement(`"Effect":"Allow","Action":"a:B","Resource":"arn:aws:s3:::${aws:userid"`), "closing brace",
		},
		"trust without principal": {
			iam.Trust, statement(`"Effect":"Allow","Action":"sts:AssumeRole"`),
			"missing required field Principal",
		},
		"trust with a resource": {
			iam.Trust,
			statement(`"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Resource":"*"`),
			"prohibited field Resource",
		},
		"trust for another service": {
			iam.Trust,
			statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`), "STS AssumeRole actions",
		},
		"trust for everything": {iam.Trust, statement(`"Effect":"Allow","Principal":"*","Action":"*"`), `"*"`},
		"not-principal": {
			iam.Trust,
			statement(`"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"`),
			"does not model NotPrincipal",
		},
		"wildcard in a principal": {
			iam.Trust,
			statement(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/*"},"Action":"sts:AssumeRole"`), "invalid principal",
		},
		"canonical user": {
			iam.Trust,
			statement(`"Effect":"Allow","Principal":{"CanonicalUser":"abc"},"Action":"sts:AssumeRole"`),
			"principal types AWS, Federated and Service",
		},
		"federation by SAML": {
			iam.Trust,
			statement(`"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111122223333:saml-provider/x"},"Action":"sts:AssumeRoleWithSAML"`), "OIDC providers",
		},
		"principal that is a name": {
			iam.Trust,
			statement(`"Effect":"Allow","Principal":"myshop","Action":"sts:AssumeRole"`), "invalid principal",
		},
		"no principals": {
			iam.Trust,
			statement(`"Effect":"Allow","Principal":{},"Action":"sts:AssumeRole"`), "must not be empty",
		},
		"key policy without resource": {
			iam.Key, statement(`"Effect":"Allow","Principal":"*","Action":"kms:*"`),
			"must contain resources",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := iam.Parse(c.document, c.kind)
			var malformed *iam.MalformedError
			require.ErrorAs(t, err, &malformed, "want a fault, got %v", err)
			assert.Contains(t, err.Error(), c.says)
		})
	}
}

func TestAllFaultsOfADocumentAreReportedTogether(t *testing.T) {
	_, err := iam.Parse(
		`{"Version":"x","Statement":[{"Effect":"Maybe","Action":"Nothing","Resource":"nowhere","Condition":{"Near":{"a":"b"}}}]}`, iam.Identity,
	)
	for _, says := range []string{"Version", "Maybe", "Nothing", "nowhere", "Near"} {
		assert.ErrorContains(t, err, says)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(anyTrust, 1)
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::${aws:userid}"],"Condition":{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a*"]}}}]}`, 0)
	f.Add(`{"Statement":{"Effect":"Deny","Principal":{"AWS":"*"},"NotAction":"kms:*","Resource":"*","Condition":{"Null":{"aws:PrincipalTag/x":true}}}}`, 2)
	f.Add(`{"Statement":[null,1,"x",{}]}`, 0)
	f.Fuzz(func(t *testing.T, document string, kind int) {
		policy, err := iam.Parse(document, iam.Kind(((kind%3)+3)%3))
		if err != nil {
			require.Nil(t, policy)
			require.NotEmpty(t, strings.TrimSpace(err.Error()))
			return
		}
		require.NotEmpty(t, policy.Statements)
		ctx := iam.NewContext()
		ctx.Set("aws:TagKeys", "a", "b")
		ctx.Set("aws:userid", "${aws:userid}*")
		// Every accepted policy can be evaluated, and a deny never allows anything.
		for _, s := range policy.Statements {
			only := &iam.Policy{Version: policy.Version, Statements: []iam.Statement{s}}
			d := iam.Evaluate(iam.Principal{Kind: iam.User, Account: "111122223333", Identity: []*iam.Policy{only}},
				iam.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::x", Context: ctx}, nil)
			if s.Effect == iam.Deny {
				require.False(t, d.Allowed)
			}
		}
	})
}
