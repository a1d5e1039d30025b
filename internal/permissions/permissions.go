package permissions

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"dbtier/components/iampolicy"
	"dbtier/internal/progress"
)

// Limit is the number of characters, without white space, that a managed policy of IAM can have. Source: IAM's user
// guide, "IAM and AWS STS quotas".
const Limit = 6144

// Stack is what the policy is for.
type Stack struct {
	Partition, Region, Account string
	// Resources are those that an update from nothing creates.
	Resources []progress.Step
	// Backend is the URL of the state, SecretsProvider that of the key of its secrets. Only buckets of S3 and keys of
	// KMS need permissions.
	Backend, SecretsProvider string
}

// For returns the statements that an update, a refresh and a destroy of the stack need, and the types of AWS resources
// that the table does not have.
func For(s Stack) (statements []iampolicy.Statement, unknown []string) {
	m := &merger{
		stack: s, paths: map[string]string{}, actions: map[scope]map[string]bool{},
		conditions: map[string]iampolicy.Condition{}, named: map[string][]string{}, namedActions: map[string]string{},
	}
	for _, r := range s.Resources {
		if r.Type == "aws:iam/role:Role" {
			name, _ := known(r, "name")
			m.paths[name] = rolePath(r)
		}
	}
	m.take(provider, progress.Step{})
	for _, r := range s.Resources {
		switch kind, ok := kinds[r.Type]; {
		case ok:
			m.take(kind, r)
		case strings.HasPrefix(r.Type, "aws:") && !slices.Contains(unknown, r.Type):
			unknown = append(unknown, r.Type)
		}
	}
	for service, on := range m.named {
		m.add(service, m.namedActions[service], on, nil)
	}
	m.takeBackend()
	slices.Sort(unknown)
	return m.statements(), unknown
}

// merger joins the grants of all resources into few statements.
type merger struct {
	stack Stack
	// paths are the paths of the stack's roles by name.
	paths map[string]string
	// actions are those of each condition and list of resources.
	actions map[scope]map[string]bool
	// conditions are those of their texts.
	conditions map[string]iampolicy.Condition
	// named and namedActions are the resources and actions of the named grants of each service.
	named        map[string][]string
	namedActions map[string]string
}

// scope is a condition and a list of resources, each as text.
type scope struct{ condition, resources string }

func (m *merger) add(service, actions string, on []string, condition iampolicy.Condition) {
	if len(on) == 0 {
		return
	}
	slices.Sort(on)
	at := scope{fmt.Sprint(condition), strings.Join(slices.Compact(on), "\n")}
	m.conditions[at.condition] = condition
	if m.actions[at] == nil {
		m.actions[at] = map[string]bool{}
	}
	for action := range strings.FieldsSeq(actions) {
		m.actions[at][service+":"+action] = true
	}
}

// take adds the grants of one resource.
func (m *merger) take(k kind, r progress.Step) {
	for _, g := range k.grants {
		condition, on, needed := m.limit(g, r)
		switch {
		case !needed:
		case g.where == named:
			m.named[g.service] = append(m.named[g.service], on...)
			m.namedActions[g.service] += " " + g.actions
		default:
			m.add(g.service, g.actions, on, condition)
		}
	}
}

// limit returns the condition and the resources of a grant, and whether the resource needs it.
func (m *merger) limit(g grant, r progress.Step) (condition iampolicy.Condition, on []string, needed bool) {
	equals := func(key string, values ...string) iampolicy.Condition {
		return iampolicy.Condition{"StringEquals": {key: values}}
	}
	on, needed = m.resolve(g.on, r), true
	switch g.where {
	case always, named:
	case tagged:
		condition = tagsOf(r, "aws:ResourceTag/")
	case tagging:
		condition = tagsOf(r, "aws:RequestTag/")
	case attached:
		if arn, ok := known(r, "policyArn"); ok {
			condition = iampolicy.Condition{"ArnEquals": {"iam:PolicyARN": {arn}}}
		}
	case bounded:
		if arn, ok := known(r, "permissionsBoundary"); ok {
			condition = equals("iam:PermissionsBoundary", arn)
		}
	case trusted:
		services := trustedServices(r)
		condition, needed = equals("iam:PassedToService", services...), len(services) > 0
	case toRDS:
		condition = equals("iam:PassedToService", "rds.amazonaws.com")
	case linkedToRDS:
		condition = equals("iam:AWSServiceName", "rds.amazonaws.com")
	case withKey:
		switch arn, ok := known(r, "kmsKeyId"); {
		case ok:
			on = []string{arn}
		case input(r, "kmsKeyId") == nil:
			needed = false
		default: // The stack's own key, whose ARN is not known yet.
			condition = tagsOf(r, "aws:ResourceTag/")
		}
	}
	return condition, on, needed
}

// tagKeys are the tags that tell the resources of a stack from those of others. Resources can have more tags, which may
// change.
var tagKeys = []string{"environment", "managed-by", "service"}

func tagsOf(r progress.Step, prefix string) iampolicy.Condition {
	equals := map[string]iampolicy.Values{}
	tags, _ := input(r, "tags").(map[string]any)
	for _, key := range tagKeys {
		if value, ok := tags[key].(string); ok && value != progress.Computed {
			equals[prefix+key] = iampolicy.Values{value}
		}
	}
	if len(equals) == 0 {
		return nil
	}
	return iampolicy.Condition{"StringEquals": equals}
}

// trustedServices returns the services that may assume the role.
func trustedServices(r progress.Step) []string {
	text, _ := known(r, "assumeRolePolicy")
	var trust struct {
		Statement []struct {
			Principal struct{ Service any }
		}
	}
	if json.Unmarshal([]byte(text), &trust) != nil {
		return nil
	}
	var services []string
	for _, statement := range trust.Statement {
		switch service := statement.Principal.Service.(type) {
		case string:
			services = append(services, service)
		case []any:
			for _, each := range service {
				services = append(services, fmt.Sprint(each))
			}
		}
	}
	slices.Sort(services)
	return slices.Compact(services)
}

func rolePath(r progress.Step) string {
	if path, ok := known(r, "path"); ok && path != "" {
		return path
	}
	return "/"
}

var placeholder = regexp.MustCompile(`\{([A-Za-z.]+)\}`)

// resolve fills the placeholders of ARNs. An input that is not known yet becomes *.
func (m *merger) resolve(patterns []string, r progress.Step) []string {
	var arns []string
	for _, pattern := range patterns {
		missing, whole := false, ""
		arn := placeholder.ReplaceAllStringFunc(pattern, func(found string) string {
			key := strings.Trim(found, "{}")
			switch key {
			case "partition":
				return m.stack.Partition
			case "region":
				return m.stack.Region
			case "account":
				return m.stack.Account
			case "path":
				return rolePath(r)
			}
			value, ok := known(r, key)
			switch {
			case ok && strings.HasPrefix(value, "arn:"):
				whole = value
			case !ok && input(r, key) == nil || value == "" && ok:
				missing = true
			case !ok:
				value = "*"
			}
			if key == "role" && ok {
				path := m.paths[value]
				if path == "" {
					path = "/"
				}
				return path + value
			}
			return value
		})
		switch {
		case missing:
		case whole != "":
			arns = append(arns, whole)
		default:
			arns = append(arns, arn)
		}
	}
	return arns
}

// input returns an input of the resource, nil if it has none. Dots select nested inputs.
func input(r progress.Step, path string) any {
	var value any = r.Inputs
	for key := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

// known returns an input whose value the preview knows.
func known(r progress.Step, path string) (string, bool) {
	text, ok := input(r, path).(string)
	return text, ok && text != progress.Computed && text != progress.Secret && !progress.IsUnknown(text)
}

// takeBackend adds what the state and the key of its secrets need. The same key can encrypt the bucket, as that of
// examples/bootstrap does. Sources: Pulumi's documentation of self-managed backends and of the awskms secrets provider,
// and "Using server-side encryption with AWS KMS keys" in the user guide of S3.
func (m *merger) takeBackend() {
	if at, err := url.Parse(m.stack.Backend); err == nil && at.Scheme == "s3" {
		bucket := "arn:" + m.stack.Partition + ":s3:::" + at.Host
		objects := bucket + "/" + strings.TrimPrefix(strings.TrimSuffix(at.Path, "/")+"/.pulumi/*", "/")
		m.add("s3", "ListBucket", []string{bucket}, nil)
		m.add("s3", "GetObject PutObject DeleteObject", []string{objects}, nil)
	}
	at, err := url.Parse(m.stack.SecretsProvider)
	if err != nil || at.Scheme != "awskms" {
		return
	}
	key := strings.TrimPrefix(at.Host+at.Path, "/")
	const actions = "Encrypt Decrypt GenerateDataKey"
	in := "arn:" + m.stack.Partition + ":kms:" + m.stack.Region + ":" + m.stack.Account + ":key/"
	switch {
	case strings.HasPrefix(key, "alias/"):
		m.add("kms", actions, []string{in + "*"},
			iampolicy.Condition{"ForAnyValue:StringEquals": {"kms:ResourceAliases": {key}}})
	case strings.HasPrefix(key, "arn:"):
		m.add("kms", actions, []string{key}, nil)
	default:
		m.add("kms", actions, []string{in + key}, nil)
	}
}

// statements returns the merged statements in a fixed order.
func (m *merger) statements() []iampolicy.Statement {
	// Resources with the same actions and condition share a statement.
	type like struct{ condition, actions string }
	resources := map[like][]string{}
	for at, actions := range m.actions {
		key := like{at.condition, strings.Join(slices.Sorted(maps.Keys(actions)), "\n")}
		resources[key] = append(resources[key], strings.Split(at.resources, "\n")...)
	}
	var all []iampolicy.Statement
	for key, on := range resources {
		slices.Sort(on)
		statement := iampolicy.Statement{
			Actions: strings.Split(key.actions, "\n"), Resources: covering(slices.Compact(on)),
			Condition: m.conditions[key.condition],
		}
		all = append(all, statement)
	}
	slices.SortFunc(all, func(a, b iampolicy.Statement) int {
		return strings.Compare(order(a), order(b))
	})
	return all
}

func order(s iampolicy.Statement) string {
	return strings.Join(s.Actions, " ") + " " + strings.Join(s.Resources, " ")
}

// covering drops the resources that another one covers.
func covering(resources []string) []string {
	return slices.DeleteFunc(slices.Clone(resources), func(r string) bool {
		return slices.ContainsFunc(resources, func(other string) bool {
			prefix, wild := strings.CutSuffix(other, "*")
			return wild && other != r && strings.HasPrefix(r, prefix)
		})
	})
}
