//go:build peer

package peer_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/iam"
)

// disagreement is an error of the other evaluator. In each of them the documentation of AWS sides with the stand-in.
type disagreement struct {
	what          string
	documentation string // where AWS describes it, and its words
	// without returns the request written in another way, which means the same and does not meet the error.
	without func(request) request
}

var disagreements = []disagreement{
	{
		what: "policies of version 2008-10-17 have variables",
		documentation: "IAM user guide, IAM JSON policy elements: Version: with 2008-10-17, variables such as " +
			"${aws:username} are not recognized as variables and are instead treated as literal strings.",
		without: func(r request) request {
			return r.policies(func(policy object) {
				if policy["Version"] != iam.Version2008 {
					return
				}
				text := strings.ReplaceAll(marshal(policy), "${", "${$}{")
				clear(policy)
				unmarshal(text, &policy)
				policy["Version"] = iam.Version2012
			})
		},
	},
	{
		what: "an incomplete ARN in NotResource excludes what it does not match",
		documentation: "IAM user guide, IAM JSON policy elements: Resource: If you specify an incomplete ARN, AWS " +
			"automatically completes the ARN by adding wildcard characters (*) to all missing fields.",
		without: func(r request) request {
			return r.rewritten(func(s object) {
				each(s, "NotResource", func(pattern string) string {
					if pattern == "*" {
						return pattern
					}
					return pattern + strings.Repeat(":*", max(0, 5-strings.Count(pattern, ":")))
				})
			})
		},
	},
	{
		what: "a variable without a value in NotResource excludes the whole service",
		documentation: "IAM user guide, IAM policy elements: Variables and tags, Policy variables with no value: the " +
			"value is effectively null. There is no equal or like value.",
		without: func(r request) request {
			return r.rewritten(func(s object) {
				each(s, "NotResource", func(pattern string) string {
					if r.lacksVariable(pattern) {
						return "arn:aws:s3:::nothing"
					}
					return pattern
				})
			})
		},
	},
	{
		what: "a * at the end of a segment of a resource's ARN does not match beyond its colon",
		documentation: "IAM user guide, IAM JSON policy elements: Resource: If the * wildcard is the last character " +
			"of a resource ARN segment, it can expand to match beyond the colon boundaries.",
		without: func(r request) request {
			return r.rewritten(func(s object) {
				for _, element := range []string{"Resource", "NotResource"} {
					each(s, element, func(pattern string) string {
						if iam.MatchResource(pattern, r.Resource) && !iam.MatchARN(pattern, r.Resource) &&
							strings.Count(pattern, ":") >= 5 {
							return r.Resource
						}
						return pattern
					})
				}
			})
		},
	},
	{
		what: "a session policy limits what a resource policy grants to the session or to everyone",
		documentation: "IAM user guide, Policies and permissions, Session policies: a resource-based policy can " +
			"specify the ARN of the session as a principal; the permissions are added after the session is created " +
			"and are not limited by the session policy. AWS JSON policy elements: Principal, IAM role principals: " +
			"Permissions boundaries and session policies do not limit permissions granted using the " +
			"aws:PrincipalArn condition key with a wildcard(*) in the Principal element.",
		without: func(r request) request {
			if r.Session == nil || !r.grantsTo("*", r.Principal) {
				return r
			}
			out := r.rewritten(func(object) {})
			out.Session["Statement"] = append(out.Session["Statement"].([]any),
				object{"Effect": iam.Allow, "Action": "*", "Resource": "*"})
			if out.verdict() != r.verdict() {
				return r // the resource's policy does not grant this request
			}
			return out
		},
	},
	{
		what: "a negated operator does not hold if a variable among its values has no value",
		documentation: "IAM user guide, IAM policy elements: Variables and tags, Policy variables with no value: the " +
			"value is effectively null. There is no equal or like value.",
		without: func(r request) request {
			return r.conditions(func(operator, _ string, values []any) []any {
				for i, v := range values {
					if text, ok := v.(string); ok && strings.Contains(operator, "Not") && r.lacksVariable(text) {
						values[i] = "arn:aws:none:::none"
					}
				}
				return values
			})
		},
	},
	{
		what: "ForAnyValue with IfExists does not hold for a missing key",
		documentation: "IAM user guide, IAM JSON policy elements: Condition operators, ...IfExists: If the key is " +
			"not present, evaluate the condition element as true.",
		without: func(r request) request {
			return r.conditions(func(operator, key string, values []any) []any {
				if strings.HasPrefix(operator, "ForAnyValue:") && strings.HasSuffix(operator, "IfExists") &&
					!r.carries(key) {
					return nil
				}
				return values
			})
		},
	},
	{
		what: "the range 0.0.0.0/0 contains no address",
		documentation: "IAM user guide, IAM JSON policy elements: Condition operators, IP address condition " +
			"operators: The value must be in the standard CIDR format (RFC 4632).",
		without: func(r request) request {
			return r.conditions(func(_, _ string, values []any) []any {
				if i := slices.Index(values, any("0.0.0.0/0")); i >= 0 {
					return slices.Replace(values, i, i+1, any("0.0.0.0/1"), any("128.0.0.0/1"))
				}
				return values
			})
		},
	},
	{
		what: "NotIpAddress with several values does not hold for an address of the other family",
		documentation: "IAM user guide, IAM JSON policy elements: Condition operators, IP address condition " +
			"operators: NotIpAddress: All IP addresses except the specified IP addresses or ranges.",
		without: func(r request) request {
			address, _ := r.Context["aws:SourceIp"].(string)
			return r.conditions(func(operator, _ string, values []any) []any {
				if !strings.HasPrefix(operator, "NotIpAddress") || !strings.Contains(address, ":") {
					return values
				}
				same := slices.DeleteFunc(slices.Clone(values), func(v any) bool {
					return !strings.Contains(v.(string), ":")
				})
				if len(same) == 0 {
					return []any{"198.51.100.0/24"}
				}
				return same
			})
		},
	},
	{
		what: "seconds since 1970 in a request are not compared with dates",
		documentation: "IAM user guide, AWS global condition context keys, aws:EpochTime: This key works with date " +
			"operators; and Condition operators: dates are in an ISO 8601 format or in epoch (UNIX) time.",
		without: func(r request) request {
			dates := map[any]any{
				"1795428000": "2026-11-23T10:00:00Z", "1795428001": "2026-11-23T10:00:01Z",
			}
			out := r.conditions(func(_, _ string, values []any) []any {
				for i, v := range values {
					if date, ok := dates[v]; ok {
						values[i] = date
					}
				}
				return values
			})
			if date, ok := dates[r.Context["aws:EpochTime"]]; ok {
				out.Context["aws:EpochTime"] = date
			}
			return out
		},
	},
}

// grantsTo reports whether the resource's policy allows something to one of the principals.
func (r request) grantsTo(principals ...string) bool {
	found := false
	r.rewritten(func(s object) {
		named, _ := s["Principal"].(object)
		short := s["Principal"] == "*"
		if s["Effect"] != iam.Allow || named == nil && !short {
			return
		}
		found = found || short && slices.Contains(principals, "*")
		each(named, "AWS", func(name string) string {
			found = found || slices.Contains(principals, name)
			return name
		})
	})
	return found
}

// carries reports whether the request has a condition key.
func (r request) carries(key string) bool {
	for name := range r.Context {
		if strings.EqualFold(name, key) {
			return true
		}
	}
	return false
}

// conditions returns a copy of the request in which change was applied to the values of every condition. A condition
// without values is left out.
func (r request) conditions(change func(operator, key string, values []any) []any) request {
	return r.rewritten(func(s object) {
		operators, _ := s["Condition"].(object)
		for operator, of := range operators {
			keys := of.(object)
			for key, value := range keys {
				list, isList := value.([]any)
				if !isList {
					list = []any{value}
				}
				list = change(operator, key, list)
				switch {
				case len(list) == 0:
					delete(keys, key)
				case !isList && len(list) == 1:
					keys[key] = list[0]
				default:
					keys[key] = list
				}
			}
			if len(keys) == 0 {
				delete(operators, operator)
			}
		}
		if operators != nil && len(operators) == 0 {
			delete(s, "Condition")
		}
	})
}

// variableForm is a policy variable without a default.
var variableForm = regexp.MustCompile(`\$\{([^},]+:[^},]+)\}`)

// lacksVariable reports whether the text has a variable for which the request has no value.
func (r request) lacksVariable(text string) bool {
	return slices.ContainsFunc(variableForm.FindAllStringSubmatch(text, -1), func(m []string) bool {
		return !r.carries(m[1])
	})
}

// rewritten returns a copy of the request in which change was applied to every statement.
func (r request) rewritten(change func(statement object)) request {
	return r.policies(func(policy object) {
		statements, _ := policy["Statement"].([]any)
		for _, s := range statements {
			change(s.(object))
		}
	})
}

// policies returns a copy of the request in which change was applied to every policy.
func (r request) policies(change func(policy object)) request {
	out := request{}
	unmarshal(marshal(r), &out)
	for _, policy := range slices.Concat(out.Identity, []object{out.Boundary, out.Session, out.ResourcePolicy}) {
		if policy != nil {
			change(policy)
		}
	}
	return out
}

func marshal(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func unmarshal(text string, into any) {
	if err := json.Unmarshal([]byte(text), into); err != nil {
		panic(err)
	}
}

// each replaces the texts of an element, which is one or a list.
func each(of object, element string, replace func(string) string) {
	switch v := of[element].(type) {
	case string:
		of[element] = replace(v)
	case []any:
		for i := range v {
			if text, ok := v[i].(string); ok {
				v[i] = replace(text)
			}
		}
	}
}
