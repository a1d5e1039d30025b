package iampolicy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Version is the current version of the policy language. Older versions do not expand variables.
const Version = "2012-10-17"

// Document is a policy document.
type Document struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows actions. It has no Effect, because everything that is not allowed is denied.
type Statement struct {
	// Sid names the statement: letters and digits.
	Sid string
	// Principal of trust and key policies. Nil in identity policies.
	Principal *Principal
	Actions   []string
	// Resources are ARNs. A trust policy has none, because it applies to its role.
	Resources []string
	Condition Condition
}

// Principal is the principal of a trust or key policy.
type Principal struct {
	Service   string `json:"Service,omitempty"`
	Federated string `json:"Federated,omitempty"`
	AWS       string `json:"AWS,omitempty"`
}

// Condition maps operator and key to values. The request must have one of the values.
type Condition map[string]map[string]Values

// Values of a condition key.
type Values []string

// MarshalJSON writes a single value without a list, as IAM returns it.
func (v Values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}

// MarshalJSON writes the statement in IAM's format.
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

// JSON returns the document of the statements. The same statements give the same text, so an unchanged policy shows no
// difference.
func JSON(statements ...Statement) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	// AWS stores the text unchanged, so an escaped < would always show as a difference.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(Document{Version: Version, Statement: statements}); err != nil {
		return "", fmt.Errorf("writing a policy document: %w", err)
	}
	return strings.TrimSpace(out.String()), nil
}

// Domain returns the DNS suffix of services in a partition. Service principals and kms:ViaService contain it.
func Domain(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}
