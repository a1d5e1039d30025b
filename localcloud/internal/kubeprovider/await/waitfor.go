package await

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/theory/jsonpath"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Condition is a requirement that an object must meet to count as ready.
type Condition struct {
	text string
	// test reports whether the object meets the condition, and otherwise what it found.
	test func(obj *unstructured.Unstructured) (bool, string)
}

// String returns the condition as the user wrote it.
func (c Condition) String() string { return c.text }

// ParseWaitFor parses the value of a pulumi.com/waitFor annotation: "condition=Type", "condition=Type=Status" (the
// default status is True), "jsonpath={.path}" (the path must exist), "jsonpath={.path}=value", or a JSON array of
// these, which must all hold. JSONPath follows RFC 9535 in braces, as in pulumi-kubernetes. All faults are returned
// together.
func ParseWaitFor(value string) ([]Condition, error) {
	expressions := []string{value}
	if strings.HasPrefix(strings.TrimSpace(value), "[") {
		expressions = nil
		if err := json.Unmarshal([]byte(value), &expressions); err != nil {
			return nil, fmt.Errorf("%q is not a JSON array of strings: %w", value, err)
		}
		if len(expressions) == 0 {
			return nil, errors.New("the array is empty: name at least one condition, for example \"condition=Ready\"")
		}
	}
	var conditions []Condition
	var faults []error
	for _, expression := range expressions {
		condition, err := parseCondition(expression)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		conditions = append(conditions, condition)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return conditions, nil
}

func parseCondition(expression string) (Condition, error) {
	switch {
	case strings.HasPrefix(expression, "condition="):
		return parseStatusCondition(expression)
	case strings.HasPrefix(expression, "jsonpath="):
		return parsePath(expression)
	default:
		return Condition{}, fmt.Errorf("%q: must begin with \"condition=\" or \"jsonpath=\"", expression)
	}
}

func parseStatusCondition(expression string) (Condition, error) {
	kind, status, given := strings.Cut(strings.TrimPrefix(expression, "condition="), "=")
	if kind == "" {
		return Condition{}, fmt.Errorf("%q: names no condition type, for example \"condition=Ready\"", expression)
	}
	if !given {
		status = "True"
	}
	return Condition{
		text: expression,
		test: func(obj *unstructured.Unstructured) (bool, string) {
			found, ok := statusCondition(obj, kind)
			if !ok {
				return false, fmt.Sprintf("it has no condition %s yet", kind)
			}
			// A condition with observedGeneration must be about the newest spec.
			if observed, has := asInt(found["observedGeneration"]); has && observed < obj.GetGeneration() {
				return false, fmt.Sprintf("its condition %s is about an older generation", kind)
			}
			if strings.EqualFold(asString(found["status"]), status) {
				return true, ""
			}
			return false, describeCondition(kind, found)
		},
	}, nil
}

func describeCondition(kind string, condition map[string]any) string {
	text := fmt.Sprintf("condition %s is %s", kind, asString(condition["status"]))
	if reason := asString(condition["reason"]); reason != "" {
		text += " (" + reason + ")"
	}
	if message := asString(condition["message"]); message != "" {
		text += ": " + message
	}
	return text
}

// braces matches a path in "{ .path }".
var braces = regexp.MustCompile(`^\{\s*(.*?)\s*\}$`)

func parsePath(expression string) (Condition, error) {
	path, want := splitPath(strings.TrimPrefix(expression, "jsonpath="))
	if strings.HasPrefix(path, "'") || strings.HasPrefix(path, `"`) {
		return Condition{}, fmt.Errorf("%q: remove the quotes, which only a shell needs", expression)
	}
	inner := braces.FindStringSubmatch(path)
	if inner == nil {
		return Condition{},
			fmt.Errorf("%q: the path must be in braces, for example \"jsonpath={.status.phase}=Ready\"", expression)
	}
	if strings.HasSuffix(expression, "=") {
		return Condition{}, fmt.Errorf("%q: a value is missing after the last =", expression)
	}
	query := inner[1]
	if !strings.HasPrefix(query, "$") {
		query = "$" + query
	}
	parsed, err := jsonpath.Parse(query)
	if err != nil {
		return Condition{}, fmt.Errorf("%q: %w", expression, err)
	}
	return Condition{
		text: expression,
		test: func(obj *unstructured.Unstructured) (bool, string) {
			if observed, has, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration"); has &&
				observed < obj.GetGeneration() {
				return false, "its status is about an older generation"
			}
			nodes := parsed.Select(obj.Object)
			if len(nodes) == 0 {
				return false, path + " selects nothing yet"
			}
			if want == "" {
				return true, ""
			}
			if found := fmt.Sprint(nodes[0]); found != want {
				return false, fmt.Sprintf("%s is %q", path, found)
			}
			return true, ""
		},
	}, nil
}

// splitPath splits "{path}=value". An "=" or "==" inside the braces belongs to the path.
func splitPath(text string) (path, value string) {
	end := strings.LastIndex(text, "}")
	if end < 0 {
		return text, ""
	}
	return text[:end+1], strings.TrimPrefix(text[end+1:], "=")
}

func statusCondition(obj *unstructured.Unstructured, kind string) (map[string]any, bool) {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range conditions {
		if condition, ok := item.(map[string]any); ok && asString(condition["type"]) == kind {
			return condition, true
		}
	}
	return nil, false
}

func asString(value any) string {
	text, _ := value.(string)
	return text
}

func asInt(value any) (int64, bool) {
	switch number := value.(type) {
	case int64:
		return number, true
	case float64:
		return int64(number), true
	}
	return 0, false
}
