//go:build peer

package peer_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/iam"
)

const (
	account      = "111122223333"
	otherAccount = "999999999999"
	region       = "ap-northeast-2"
	roleARN      = "arn:aws:iam::" + account + ":role/reader"
	sessionARN   = "arn:aws:sts::" + account + ":assumed-role/reader/one"
	userARN      = "arn:aws:iam::" + account + ":user/alice"
	foreignRole  = "arn:aws:iam::" + otherAccount + ":role/foreign"
	foreignARN   = "arn:aws:sts::" + otherAccount + ":assumed-role/foreign/two"
)

type object = map[string]any

// request is one generated case, in the form that testdata/evaluate.js reads.
type request struct {
	Principal       string   `json:"principal"`
	Action          string   `json:"action"`
	Resource        string   `json:"resource"`
	ResourceAccount string   `json:"resourceAccount"`
	Context         object   `json:"context"`
	Identity        []object `json:"identity,omitempty"`
	Boundary        object   `json:"boundary,omitempty"`
	Session         object   `json:"session,omitempty"`
	ResourcePolicy  object   `json:"resourcePolicy,omitempty"`
}

func (r request) String() string {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// required reports whether nothing is allowed without the resource's policy.
func (r request) required() bool {
	return strings.HasPrefix(r.Action, "kms:") || strings.HasPrefix(r.Action, "sts:")
}

// verdict is the decision of the stand-in's engine, in the words of the other one.
func (r request) verdict() string {
	parse := func(document object, kind iam.Kind) *iam.Policy {
		text, err := json.Marshal(document)
		if err != nil {
			panic(err)
		}
		policy, err := iam.Parse(string(text), kind)
		if err != nil {
			panic(err.Error() + "\n" + r.String()) // the generator makes valid policies
		}
		return policy
	}
	who := principals[r.Principal]
	for _, document := range r.Identity {
		who.Identity = append(who.Identity, parse(document, iam.Identity))
	}
	if r.Boundary != nil {
		who.Boundary = parse(r.Boundary, iam.Identity)
	}
	if r.Session != nil {
		who.Session = parse(r.Session, iam.Identity)
	}
	var resource *iam.ResourcePolicy
	if r.ResourcePolicy != nil {
		kind := iam.Key
		if strings.HasPrefix(r.Action, "sts:") {
			kind = iam.Trust
		}
		resource = &iam.ResourcePolicy{
			Policy: parse(r.ResourcePolicy, kind), Account: r.ResourceAccount, Required: r.required(),
		}
	}
	keys := iam.NewContext()
	for key, value := range r.Context {
		switch v := value.(type) {
		case string:
			keys.Set(key, v)
		case []string:
			keys.Set(key, v...)
		case []any: // after a round trip through JSON
			list := make([]string, len(v))
			for i := range v {
				list[i] = v[i].(string)
			}
			keys.Set(key, list...)
		}
	}
	d := iam.Evaluate(who, iam.Request{Action: r.Action, Resource: r.Resource, Context: keys}, resource)
	switch {
	case d.Allowed:
		return "Allowed"
	case d.Explicit():
		return "ExplicitlyDenied"
	default:
		return "ImplicitlyDenied"
	}
}

var principals = map[string]iam.Principal{
	sessionARN: {
		Kind: iam.RoleSession, ARN: sessionARN, RoleARN: roleARN, RoleID: "AROAEXAMPLE0000000001",
		ID: "AROAEXAMPLE0000000001:one", Account: account,
	},
	userARN: {Kind: iam.User, ARN: userARN, ID: "AIDAEXAMPLE0000000001", Account: account},
	foreignARN: {
		Kind: iam.RoleSession, ARN: foreignARN, RoleARN: foreignRole, RoleID: "AROAEXAMPLE0000000002",
		ID: "AROAEXAMPLE0000000002:two", Account: otherAccount,
	},
}

// target is an action on a resource, with patterns that match the resource, or nearly.
type target struct {
	action, resource string
	policy           bool // whether resources of this kind have policies
	patterns         []string
	keys             []string // condition keys beside those of all requests
}

var targets = []target{
	{
		action:   "secretsmanager:GetSecretValue",
		resource: "arn:aws:secretsmanager:" + region + ":" + account + ":secret:rds!db-1-abcdef", policy: true,
		patterns: []string{
			"arn:aws:secretsmanager:*:*:secret:rds!db-*", "arn:aws:secretsmanager:*:secret:rds!db-1-??????",
			"arn:aws:secretsmanager:ap-*:" + account + ":secret:*-abcdef",
			"arn:aws:secretsmanager:*:secret:team-b/*", "arn:aws:secretsmanager:ap-*-2:" + account + ":*",
			"arn:aws:secretsmanager:?p-northeast-2:" + account + ":secret:rds*",
			"arn:aws:secretsmanager:" + region + ":" + otherAccount + ":secret:*",
		},
		keys: []string{
			"secretsmanager:SecretId", "secretsmanager:VersionStage",
			"aws:ResourceTag/team",
		},
	},
	{action: "secretsmanager:ListSecrets", resource: "*", patterns: []string{
		"arn:aws:secretsmanager:*:*:*", "arn:aws:secretsmanager:*:*:secret:*",
	}},
	{
		action: "kms:Decrypt", resource: "arn:aws:kms:" + region + ":" + account + ":key/1234abcd", policy: true,
		patterns: []string{
			"arn:aws:kms:*:*:key/*", "arn:aws:kms:" + region + ":*:key/1234*", "arn:aws:kms:*:key/1234abcd",
			"arn:aws:kms:*:*:alias/*",
		},
		keys: []string{
			"kms:ViaService", "kms:CallerAccount", "kms:EncryptionContextKeys",
			"aws:ResourceTag/team",
		},
	},
	{
		action: "rds-db:connect", resource: "arn:aws:rds-db:" + region + ":" + account + ":dbuser:db-ABC/app",
		patterns: []string{
			"arn:aws:rds-db:*:*:dbuser:*/app", "arn:aws:rds-db:*:*:dbuser:db-ABC/${aws:PrincipalTag/team}",
			"arn:aws:rds-db:" + region + ":" + account + ":dbuser:db-???/*", "arn:aws:rds-db:*:dbuser:db-ABC/app",
		},
	},
	{
		action: "rds:RebootDBInstance", resource: "arn:aws:rds:" + region + ":" + account + ":db:myshop",
		patterns: []string{
			"arn:aws:rds:*:*:db:my*", "arn:aws:rds:*:*:db:*shop", "arn:aws:rds:*:*:pg:*",
			"arn:aws:rds:" + region + ":" + account + ":*",
		},
		keys: []string{"rds:DatabaseClass", "rds:MultiAz", "rds:db-tag/team", "aws:ResourceTag/team"},
	},
	{
		action: "sts:AssumeRole", resource: "arn:aws:iam::" + account + ":role/target", policy: true,
		patterns: []string{
			"arn:aws:iam::*:role/*", "arn:aws:iam::" + account + ":role/tar*", "arn:aws:iam::*:target",
			"arn:aws:iam::" + otherAccount + ":role/*",
		},
		keys: []string{"sts:ExternalId", "sts:RoleSessionName", "aws:ResourceTag/team"},
	},
	{
		action: "s3:GetObject", resource: "arn:aws:s3:::reports/alice/2026.csv", policy: true,
		patterns: []string{
			"arn:aws:s3:::reports/*", "arn:aws:s3:::*/2026.csv", "arn:aws:s3:::reports/${aws:username}/*",
			"arn:aws:s3:::reports/${aws:username, 'alice'}/*", "arn:aws:s3:::reports/${*}/*",
			"arn:aws:s3:::reports/?lice/????.csv", "arn:aws:s3:*:reports/*",
		},
	},
	{
		action: "sqs:SendMessage", resource: "arn:aws:sqs:" + region + ":" + account + ":orders", policy: true,
		patterns: []string{
			"arn:aws:sqs:*:*:ord*", "arn:aws:sqs:*:orders", "arn:aws:sqs:" + region + ":*", "arn:aws:sqs:*:*:*-dlq",
		},
		keys: []string{"aws:ResourceTag/team"},
	},
}

// values are what requests carry for a condition key, and what policies compare it with.
type values struct {
	kind    string // of the operators for it
	request []any
	policy  []any
}

var multi = "multi"

var keys = map[string]values{
	"aws:userid":   {"string", nil, []any{"AROAEXAMPLE0000000001:one", "AROA*:one", "AIDA*", "*:ONE"}},
	"aws:username": {"string", nil, []any{"alice", "bob", "al*", "ALICE", "?lice"}},
	"aws:PrincipalArn": {
		"arn", nil,
		[]any{
			roleARN, "arn:aws:iam::*:role/*", "arn:aws:iam::*:reader", userARN, "arn:*:iam::" + account + ":*",
			"arn:aws:iam::" + account + ":role/?eader",
		},
	},
	"aws:PrincipalAccount": {"string", nil, []any{account, otherAccount, "${aws:ResourceAccount}", "1111*"}},
	"aws:PrincipalType":    {"string", nil, []any{"AssumedRole", "User", "assumedrole"}},
	"aws:ResourceAccount":  {"string", []any{account}, []any{account, "${aws:PrincipalAccount}", otherAccount}},
	"aws:PrincipalTag/team": {
		"string", []any{"a", "app", "b*"}, []any{"a", "a*", "?", "", "${aws:ResourceTag/team}", "b*"},
	},
	"aws:RequestTag/team": {"string", []any{"a", "b"}, []any{"a", "b", "${aws:PrincipalTag/team}", "*"}},
	"aws:ResourceTag/team": {
		"string",
		[]any{"a", "b", "A"},
		[]any{"a", "b", "${aws:PrincipalTag/team}", "${aws:PrincipalTag/team, 'b'}", "?"},
	},
	"secretsmanager:SecretId": {
		"arn",
		[]any{"arn:aws:secretsmanager:" + region + ":" + account + ":secret:rds!db-1-abcdef"},
		[]any{
			"arn:aws:secretsmanager:*:*:secret:rds!*", "arn:aws:secretsmanager:*:secret:rds!*",
			"arn:aws:secretsmanager:*:*:secret:team-b/*",
		},
	},
	"secretsmanager:VersionStage": {
		"string",
		[]any{"AWSCURRENT", "AWSPREVIOUS"},
		[]any{"AWSCURRENT", "AWS*", "awscurrent"},
	},
	"kms:ViaService": {
		"string",
		[]any{"secretsmanager." + region + ".amazonaws.com"},
		[]any{"secretsmanager.*.amazonaws.com", "secretsmanager." + region + ".amazonaws.com", "rds.*"},
	},
	"kms:CallerAccount": {"string", []any{account}, []any{account, otherAccount}},
	"kms:EncryptionContextKeys": {
		multi,
		[]any{[]string{"SecretARN"}, []string{"SecretARN", "SecretVersionId"}},
		[]any{"SecretARN", "Secret*", "secretarn", "none"},
	},
	"rds:DatabaseClass": {
		"string",
		[]any{"db.t4g.medium"},
		[]any{"db.t4g.*", "db.m6g.large", "DB.T4G.MEDIUM"},
	},
	"rds:MultiAz":         {"bool", []any{"true", "false"}, []any{"true", "false", true}},
	"rds:db-tag/team":     {"string", []any{"a", "b"}, []any{"a", "b"}},
	"sts:ExternalId":      {"string", []any{"42", "43"}, []any{"42", "4?"}},
	"sts:RoleSessionName": {"string", []any{"one", "alice"}, []any{"one", "${aws:username}", "a*"}},
	"aws:TagKeys": {
		multi,
		[]any{[]string{"team"}, []string{"team", "env"}, []string{"Team"}},
		[]any{"team", "env", "t*", "owner"},
	},
	"aws:SecureTransport": {"bool", []any{"true", "false"}, []any{"true", "false", false}},
	"aws:ViaAWSService":   {"bool", []any{"true", "false"}, []any{"true", "false"}},
	"aws:SourceIp": {
		"address",
		[]any{"10.1.2.3", "192.0.2.7", "2001:db8::1"},
		[]any{"10.0.0.0/8", "192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "10.1.2.4/31"},
	},
	"aws:CurrentTime": {
		"date",
		[]any{"2026-11-23T10:00:00Z", "2026-11-24T00:00:00Z"},
		[]any{"2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z", "2026-11-24T00:00:00Z", "2025-01-01T00:00:00Z"},
	},
	"aws:EpochTime": {
		"date",
		[]any{"1795428000"},
		[]any{"2026-11-23T10:00:00Z", "1795428001", "2025-01-01T00:00:00Z"},
	},
	"aws:RequestedRegion": {"string", []any{region, "us-east-1"}, []any{region, "ap-*", "US-EAST-1"}},
	"aws:UserAgent": {
		"string",
		[]any{"aws-cli/2", "Boto3/1.35 x*y"},
		[]any{"aws-cli/*", "Boto3/?.*", "*${*}y"},
	},
	"aws:FederatedProvider": {
		"arn",
		[]any{"arn:aws:iam::" + account + ":oidc-provider/oidc.example.org/id/1"},
		[]any{"arn:aws:iam::*:oidc-provider/*", "arn:aws:iam::*:saml-provider/*"},
	},
}

// everywhere are the keys that every request can carry.
var everywhere = []string{
	"aws:userid", "aws:username", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalType",
	"aws:ResourceAccount", "aws:PrincipalTag/team", "aws:SecureTransport", "aws:ViaAWSService", "aws:SourceIp",
	"aws:CurrentTime", "aws:EpochTime", "aws:RequestedRegion", "aws:UserAgent", "aws:FederatedProvider",
}

var operators = map[string][]string{
	"string": {
		"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike",
		"StringNotLike",
	},
	"arn":     {"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringLike", "StringEquals"},
	"bool":    {"Bool"},
	"address": {"IpAddress", "NotIpAddress"},
	"date": {
		"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	},
}

// generator makes cases. The same seed makes the same cases.
type generator struct{ *rand.Rand }

func pick[T any](g generator, from []T) T { return from[g.IntN(len(from))] }

// some returns one to three of the values, each once.
func some[T any](g generator, from []T) []T {
	out := slices.Clone(from)
	g.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(len(out), 1+g.IntN(3))]
}

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g generator) request() request {
	on := pick(g, targets)
	r := request{
		Action: on.action, Resource: on.resource, ResourceAccount: account,
		Principal: pick(g, []string{sessionARN, sessionARN, sessionARN, userARN, userARN}), Context: object{},
	}
	if on.policy && g.chance(15) {
		r.Principal = foreignARN
	}
	who := principals[r.Principal]
	own := map[string]string{
		"aws:PrincipalAccount": who.Account, "aws:userid": who.ID, "aws:PrincipalArn": who.ARN,
		"aws:PrincipalType": "User",
	}
	if who.Kind == iam.RoleSession {
		own["aws:PrincipalArn"], own["aws:PrincipalType"] = who.RoleARN, "AssumedRole"
	} else {
		own["aws:username"] = "alice"
	}
	for _, key := range slices.Concat(everywhere, on.keys) {
		v, fixed := own[key]
		switch {
		case fixed:
			r.Context[key] = v
		case keys[key].request == nil || g.chance(30):
		default:
			r.Context[key] = pick(g, keys[key].request)
		}
	}
	for range 1 + g.IntN(2) {
		r.Identity = append(r.Identity, g.policy(on, iam.Identity))
	}
	if g.chance(20) {
		r.Boundary = g.policy(on, iam.Identity)
	}
	if who.Kind == iam.RoleSession && g.chance(20) {
		r.Session = g.policy(on, iam.Identity)
	}
	if on.policy && (r.required() || who.Account != account || g.chance(50)) {
		r.ResourcePolicy = g.policy(on, iam.Key)
	}
	return r
}

func (g generator) policy(on target, kind iam.Kind) object {
	var statements []object
	for range 1 + g.IntN(3) {
		statements = append(statements, g.statement(on, kind))
	}
	out := object{"Version": iam.Version2012, "Statement": statements}
	if g.chance(5) {
		out["Version"] = iam.Version2008
	}
	return out
}

func (g generator) statement(on target, kind iam.Kind) object {
	s := object{"Effect": iam.Allow}
	if g.chance(25) {
		s["Effect"] = iam.Deny
	}
	service, name, _ := strings.Cut(on.action, ":")
	trust := kind == iam.Key && service == "sts"
	actions := []string{
		on.action, on.action, service + ":*", service + ":" + name[:3] + "*", strings.ToLower(on.action),
		service + ":?" + name[1:], service + ":*" + name[len(name)-4:],
	}
	if !trust {
		actions = append(actions, "*", service+":Nothing*", "iam:GetRole")
	}
	if g.chance(10) && !trust {
		s["NotAction"] = some(g, []string{"iam:*", service + ":Nothing", on.action, service + ":*" + name[3:]})
	} else {
		s["Action"] = some(g, actions)
	}
	if kind == iam.Key {
		s["Principal"] = g.principal()
	}
	if !trust {
		resources := append([]string{"*", "*"}, on.patterns...)
		if on.resource != "*" {
			resources = append(resources, on.resource, on.resource, on.resource+"x")
		}
		if kind != iam.Identity {
			resources = slices.DeleteFunc(resources, func(r string) bool {
				return r != "*" && strings.Count(r, ":") < 5
			})
		} else {
			resources = append(resources, "arn:aws:"+service, "arn:aws:"+service+":*",
				"arn:aws:"+service+":"+region, "arn:aws:"+service+":us-*")
		}
		element := "Resource"
		if g.chance(15) {
			element = "NotResource"
			resources = append(resources[2:], "arn:aws:s3:::${aws:PrincipalTag/none}/*")
		}
		s[element] = some(g, resources)
	}
	if g.chance(55) {
		s["Condition"] = g.conditions(on)
	}
	return s
}

func (g generator) principal() any {
	if g.chance(15) {
		return "*"
	}
	return object{"AWS": some(g, []string{
		account, "arn:aws:iam::" + account + ":root", roleARN, sessionARN, userARN, foreignRole, foreignARN,
		otherAccount, "arn:aws:iam::" + account + ":role/somebody", "*",
	})}
}

func (g generator) conditions(on target) object {
	out := object{}
	for range 1 + g.IntN(2) {
		key := pick(g, slices.Concat(everywhere, on.keys, on.keys))
		operator, value := g.condition(key)
		if g.chance(10) {
			key = strings.ToUpper(key[:4]) + key[4:]
		}
		if out[operator] == nil {
			out[operator] = object{}
		}
		byKey := out[operator].(object)
		same := func(other string) bool { return strings.EqualFold(other, key) }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(byKey)), same) {
			byKey[key] = value
		}
	}
	return out
}

func (g generator) condition(key string) (operator string, value any) {
	v := keys[key]
	if g.chance(10) {
		return "Null", pick(g, []any{"true", "false", true})
	}
	kind := v.kind
	if kind == multi {
		kind = "string"
	}
	operator = pick(g, operators[kind])
	if v.kind == multi {
		operator = pick(g, []string{"ForAnyValue:", "ForAllValues:"}) + operator
	}
	if g.chance(25) {
		operator += "IfExists"
	}
	chosen := some(g, v.policy)
	if len(chosen) == 1 && g.chance(50) {
		return operator, chosen[0]
	}
	return operator, chosen
}
