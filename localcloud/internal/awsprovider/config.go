package awsprovider

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// account is the only account of the local cloud. The provider's allowedAccountIds and forbiddenAccountIds are checked
// against it.
const account = "111122223333"

// marked are the services whose endpoints mark a stack as local: programs, the operator and AWS clients talk to them.
var marked = []string{"sts", "rds", "secretsmanager"}

// knownConfig are the provider inputs that a local stack may set. Credentials are accepted and not used: the
// permissions of the control socket decide who can change the local account.
var knownConfig = []string{
	"accessKey", "allowedAccountIds", "defaultTags", "endpoints", "forbiddenAccountIds", "maxRetries", "region",
	"retryMode",
	"s3UsePathStyle", "secretKey", "skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation",
	"skipRequestingAccountId", "token", "version",
}

// config is the provider's configuration.
type config struct {
	region      string
	defaultTags map[string]string
	// values holds all inputs as JSON. Configure compares them with those of a second configuration. They are never
	// shown.
	values map[string]string
}

// configFault is a provider input that the server does not accept.
type configFault struct{ property, reason string }

// decodeConfig turns provider inputs into plain values. SDKs send nested inputs as JSON text; the engine sends them as
// objects too.
func decodeConfig(args resource.PropertyMap) map[string]any {
	out := map[string]any{}
	for k, v := range args {
		name := string(k)
		if strings.HasPrefix(name, "__") || name == "version" || unwrap(v).IsNull() || v.ContainsUnknowns() {
			continue
		}
		value := plain(v)
		if text, ok := value.(string); ok && (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) {
			var nested any
			if json.Unmarshal([]byte(text), &nested) == nil {
				value = nested
			}
		}
		out[name] = value
	}
	return out
}

// parseConfig reads the plain provider inputs. It returns a fault for each input that a local stack must not have.
func parseConfig(values map[string]any, offline bool, endpoint string) (config, []configFault) {
	c := config{values: map[string]string{}, defaultTags: map[string]string{}}
	for k, v := range values {
		c.values[k] = encode(v)
	}
	c.region, _ = values["region"].(string)
	if tags, ok := values["defaultTags"].(map[string]any); ok {
		if inner, ok := tags["tags"].(map[string]any); ok {
			for k, v := range inner {
				c.defaultTags[k] = fmt.Sprint(v)
			}
		}
	}
	if offline {
		return c, nil
	}
	var faults []configFault
	if reason := unmarked(values["endpoints"], endpoint); reason != "" {
		// The stack is not local, so other faults would only distract.
		return c, []configFault{{"endpoints", reason}}
	}
	for name := range values {
		if !slices.Contains(knownConfig, name) {
			faults = append(faults, configFault{name, fmt.Sprintf(
				"%s: the local cloud does not model this provider input: leave it out on local stacks", name)})
		}
	}
	if c.region == "" {
		faults = append(faults, configFault{
			"region",
			"region: missing: set it on the provider, for example ap-northeast-2",
		})
	}
	if allowed, ok := values["allowedAccountIds"].([]any); ok && len(allowed) > 0 &&
		!slices.Contains(allowed, any(account)) {
		faults = append(faults, configFault{"allowedAccountIds", fmt.Sprintf(
			"allowedAccountIds: %s: must contain the local cloud's account %s", encode(allowed), account)})
	}
	if forbidden, ok := values["forbiddenAccountIds"].([]any); ok && slices.Contains(forbidden, any(account)) {
		faults = append(faults, configFault{"forbiddenAccountIds", fmt.Sprintf(
			"forbiddenAccountIds: %s: must not contain the local cloud's account %s", encode(forbidden), account)})
	}
	slices.SortFunc(faults, func(a, b configFault) int { return strings.Compare(a.property, b.property) })
	return c, faults
}

// unmarked returns why a stack does not belong to this local cloud, or "".
func unmarked(endpoints any, endpoint string) string {
	named := map[string]string{}
	collect := func(v any) {
		if m, ok := v.(map[string]any); ok {
			for k, e := range m {
				if s, ok := e.(string); ok {
					named[k] = s
				}
			}
		}
	}
	switch v := endpoints.(type) {
	case []any:
		for _, e := range v {
			collect(e)
		}
	default:
		collect(v)
	}
	var wrong []string
	for _, service := range marked {
		switch at, ok := named[service]; {
		case !ok:
			wrong = append(wrong, service+" is missing")
		case strings.TrimSuffix(at, "/") != strings.TrimSuffix(endpoint, "/"):
			wrong = append(wrong, fmt.Sprintf("%s is %q", service, at))
		}
	}
	if len(wrong) == 0 {
		return ""
	}
	return fmt.Sprintf(
		"this stack is not marked local: the aws provider's endpoints must name the local cloud's stand-in, %s, for "+
			"%s, but %s. Choose a stack whose config says `dbtier:cloud: local`, or run this stack against AWS "+
			"without the local provider servers",
		endpoint, strings.Join(marked, ", "), strings.Join(wrong, ", "))
}

// differences returns the names of the inputs in which two configurations differ. It leaves out values, because some of
// them are credentials.
func (c *config) differences(other *config) []string {
	var names []string
	for k, v := range c.values {
		if o, ok := other.values[k]; !ok || o != v {
			names = append(names, k)
		}
	}
	for k := range other.values {
		if _, ok := c.values[k]; !ok {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	return names
}
