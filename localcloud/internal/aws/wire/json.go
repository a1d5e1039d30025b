package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"sort"
	"strings"
	"time"
)

// DecodeJSON reads the input of a JSON 1.1 action. It fails, and names the members, if the input has members that T
// does not have.
func DecodeJSON[T any](action string, body []byte) (T, error) {
	var in T
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return in, Errorf("SerializationException", "the request body of %s is not a JSON object", action)
	}
	var unknown []string
	known := memberNames(reflect.TypeFor[T]())
	for name := range members {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return in, NotModelled("the parameter %s of %s", strings.Join(unknown, ", "), action)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			// wrong.Value is left out: it may quote the input, which may be a secret.
			return in, Errorf("SerializationException", "the parameter %s of %s has the wrong type",
				wrong.Field, action)
		}
		return in, Errorf("SerializationException",
			"the request body of %s has a member that this action does not accept", action)
	}
	return in, nil
}

func memberNames(t reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		out[name] = true
	}
	return out
}

// Time is a point in time as JSON 1.1 writes it: seconds since 1970, with a fraction. Use omitzero to leave out the
// zero Time.
type Time struct{ time.Time }

// MarshalJSON writes the time in milliseconds precision, as AWS does.
func (t Time) MarshalJSON() ([]byte, error) {
	return json.Marshal(math.Round(float64(t.UnixMilli())) / 1000)
}
