package iampolicy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Version is the current version of the policy language; older ones do not expand variables.
const Version = "2012-10-17"

// Document is a policy.
type Document struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows actions. There is no Effect to choose: what is not allowed is denied.
type Statement struct {
	// Sid names the statement: letters and digits.
	Sid string
	// Principal is who may, in trust and key policies; nil in identity policies.
	Principal *Principal
	Actions   []string
	// Resources are ARNs; none in trust policies, where the role itself is meant.
	Resources []string
	Condition Condition
}

// Principal names who a trust or key policy is about.
type Principal struct {
	Service   string `json:"Service,omitempty"`
	Federated string `json:"Federated,omitempty"`
	AWS       string `json:"AWS,omitempty"`
}

// Condition maps operator and key to the values of which the request must have one.
type Condition map[string]map[string]Values

// Values of a condition key.
type Values []string

// MarshalJSON writes a single value as IAM answers with it: without a list.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}

// MarshalJSON writes the statement in IAM's form.
func (s Statement) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Sid       string     `json:"Sid,omitempty"`
		Effect    string     `json:"Effect"`
		Principal *Principal `json:"Principal,omitempty"`
		Action    []string   `json:"Action"`
		Resource  []string   `json:"Resource,omitempty"`
		Condition Condition  `json:"Condition,omitempty"`
	}{s.Sid, "Allow", s.Principal, s.Actions, s.Resources, s.Condition})
}

// JSON is a document of these statements. The same statements give the same text, so an unchanged policy shows no
// difference.
func JSON(statements ...Statement) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	// AWS keeps the text as it is given; an escaped < would show as a difference for ever.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(Document{Version: Version, Statement: statements}); err != nil {
		return "", fmt.Errorf("writing a policy document: %w", err)
	}
	return strings.TrimSpace(out.String()), nil
}

// Domain is the DNS suffix of services in a partition, which service principals and kms:ViaService carry.
func Domain(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
