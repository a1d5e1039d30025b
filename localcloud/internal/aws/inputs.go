package aws

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
)

// faults collects all faults of a request, to report them at once. The error has the code of the first fault.
type faults struct {
	what string // type and name of the resource
	code string
	list []string
}

func (f *faults) add(code, property, format string, args ...any) {
	if f.code == "" {
		f.code = code
	}
	f.list = append(f.list, property+": "+fmt.Sprintf(format, args...))
}

// notModelled adds a fault for something that AWS can do and the stand-in cannot.
func (f *faults) notModelled(property, format string, args ...any) {
	f.add(wire.CodeNotModelled, property, "the local AWS stand-in does not model "+format, args...)
}

// faultStatus has the HTTP statuses of the faults that AWS does not answer with 400.
var faultStatus = map[string]int{
	wire.CodeNotModelled:         http.StatusNotImplemented,
	codeLimit:                    http.StatusConflict,
	codeExists:                   http.StatusConflict,
	"DBParameterGroupNotFound":   http.StatusNotFound,
	"DBSubnetGroupNotFoundFault": http.StatusNotFound,
}

func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	status, ok := faultStatus[f.code]
	if !ok {
		status = http.StatusBadRequest
	}
	return wire.Status(status, f.code, "%s: %s", f.what, strings.Join(f.list, "; "))
}

const codeValidation = "ValidationError"

// quiet reports whether a property is internal to the provider.
func quiet(name string) bool { return strings.HasPrefix(name, "__") }

// decodeInputs fills a T from a resource's inputs. The fields of T are tagged with Pulumi's property names. Properties
// that T does not have are faults, and so are those in refused unless their value is empty.
func decodeInputs[T any](inputs map[string]any, refused map[string]string, f *faults) T {
	var out T
	v := reflect.ValueOf(&out).Elem()
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		fields[v.Type().Field(i).Tag.Get("json")] = v.Field(i)
	}
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		value := inputs[name]
		if quiet(name) || value == nil {
			continue
		}
		if why, ok := refused[name]; ok {
			if !saysNothing(value) {
				f.notModelled(name, "%s", why)
			}
			continue
		}
		field, ok := fields[name]
		if !ok {
			f.notModelled(name, "this property")
			continue
		}
		text, err := json.Marshal(value)
		if err == nil {
			err = json.Unmarshal(text, field.Addr().Interface())
		}
		if err != nil {
			f.add(codeValidation, name, "want %s", kindName(field.Type()))
		}
	}
	return out
}

func saysNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, e := range v {
			if !saysNothing(e) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

func kindName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.String:
		return "a string"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

// sameInputs compares recorded inputs with those of a new request. Properties that are internal to the provider do not
// count.
func sameInputs(a, b map[string]any) bool {
	strip := func(in map[string]any) map[string]any {
		out := map[string]any{}
		for k, v := range in {
			if !quiet(k) && v != nil {
				out[k] = v
			}
		}
		return out
	}
	return canonicalJSON(strip(a)) == canonicalJSON(strip(b))
}

// adoptable reports whether a resource was created by an earlier create of the same Pulumi resource, which the engine
// did not record.
func (o *origin) adoptable(name string, inputs map[string]any) bool {
	return o != nil && o.Name == name && sameInputs(o.Inputs, inputs)
}

// echo returns a resource's inputs, overlaid by outputs.
func echo(inputs, outputs map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range inputs {
		if !quiet(k) && v != nil {
			out[k] = v
		}
	}
	maps.Copy(out, outputs)
	return out
}

// or returns the pointer's value, or def if the pointer is nil.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// anyMap and anyList turn typed values into outputs.
func anyMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func anyList[T any](l []T) []any {
	out := make([]any, len(l))
	for i, v := range l {
		out[i] = v
	}
	return out
}

func reinput(o *origin, inputs map[string]any) *origin {
	if o == nil {
		return &origin{Inputs: inputs}
	}
	return &origin{o.Name, inputs}
}

var namePrefixRefused = map[string]string{"namePrefix": "names generated from a prefix: set name"}

func inputsOf(o *origin) map[string]any {
	if o == nil {
		return nil
	}
	return o.Inputs
}
