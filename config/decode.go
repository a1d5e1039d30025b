package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"dbtier/components/fault"
	"dbtier/internal/suggest"
)

// decode writes a value of a JSON tree (with json.Number) over dst, which holds the defaults. Unlike encoding/json it
// reports every fault.
func decode(faults *fault.List, path string, value any, dst reflect.Value) {
	if value == nil {
		faults.Add(path, nil, "is empty; give it a value, or leave the key out to keep the default")
		return
	}
	switch dst.Kind() {
	case reflect.Struct:
		decodeStruct(faults, path, value, dst)
	case reflect.Map:
		decodeMap(faults, path, value, dst)
	case reflect.Slice:
		list, ok := value.([]any)
		if !faults.Check(ok, path, value, "want a list") {
			return
		}
		out := reflect.MakeSlice(dst.Type(), len(list), len(list))
		for i, element := range list {
			decode(faults, fmt.Sprintf("%s[%d]", path, i), element, out.Index(i))
		}
		dst.Set(out)
	case reflect.String:
		text, ok := value.(string)
		if !ok {
			faults.Add(path, value, "%s", wantText(value))
			return
		}
		dst.SetString(text)
	case reflect.Bool:
		flag, ok := value.(bool)
		if faults.Check(ok, path, value, "want true or false, without quotes") {
			dst.SetBool(flag)
		}
	case reflect.Int:
		number, ok := value.(json.Number)
		whole, err := int64(0), error(nil)
		if ok {
			whole, err = number.Int64()
		}
		if faults.Check(ok && err == nil && whole >= math.MinInt32 && whole <= math.MaxInt32, path, value,
			"want a whole number, without quotes") {
			dst.SetInt(whole)
		}
	case reflect.Interface:
		dst.Set(reflect.ValueOf(literal(value)))
	default:
		panic(fmt.Sprintf("config: %s: a field of kind %s cannot be read", path, dst.Kind()))
	}
}

// literal returns a value whose form another program defines, such as one for a Helm chart. Whole numbers are int.
func literal(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil && whole >= math.MinInt32 && whole <= math.MaxInt32 {
			return int(whole)
		}
		number, err := value.Float64()
		if err != nil {
			return value.String()
		}
		return number
	case map[string]any:
		inner := map[string]any{}
		for key, element := range value {
			inner[key] = literal(element)
		}
		return inner
	case []any:
		inner := make([]any, len(value))
		for i, element := range value {
			inner[i] = literal(element)
		}
		return inner
	}
	return value
}

func decodeStruct(faults *fault.List, path string, value any, dst reflect.Value) {
	object, ok := value.(map[string]any)
	if !faults.Check(ok, path, value, "want keys and values") {
		return
	}
	fields := fieldsOf(dst)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		at := join(path, key)
		if field, known := fields[key]; known {
			decode(faults, at, object[key], field)
		} else {
			faults.Add(at, nil, "is not a setting; %s", suggestion(key, slices.Sorted(maps.Keys(fields))))
		}
	}
}

func decodeMap(faults *fault.List, path string, value any, dst reflect.Value) {
	object, ok := value.(map[string]any)
	if !faults.Check(ok, path, value, "want keys and values") {
		return
	}
	if dst.IsNil() {
		dst.Set(reflect.MakeMap(dst.Type()))
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		element := reflect.New(dst.Type().Elem()).Elem()
		decode(faults, join(path, key), object[key], element)
		dst.SetMapIndex(reflect.ValueOf(key), element)
	}
}

// fieldsOf are the settable fields by their key, including those of embedded structs.
func fieldsOf(structure reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for i := range structure.NumField() {
		field := structure.Type().Field(i)
		if field.Anonymous {
			maps.Copy(fields, fieldsOf(structure.Field(i)))
			continue
		}
		if key := field.Tag.Get("json"); key != "" && key != "-" {
			fields[key] = structure.Field(i)
		}
	}
	return fields
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// wantText says what to do about a value that YAML has not read as text. It may have changed a number already: 16.10 is
// 16.1, and 012 is 10.
func wantText(value any) string {
	if _, number := value.(json.Number); number {
		return "want text; put it in quotes as the file has it: YAML may have changed the number"
	}
	return "want text; put it in quotes"
}

// opposites are keys of other tools whose value would mean the opposite under the nearest key of ours.
var opposites = map[string]string{
	"skip_final_snapshot": "finalSnapshot", "skipFinalSnapshot": "finalSnapshot",
}

// made says what the tier makes itself, so that it has no setting.
var made = map[string]string{ //nolint:gosec // These are sentences.
	"password":            "RDS makes the master password and the cluster makes the others",
	"publicly_accessible": "the instance is never reachable from the internet",
	"publiclyAccessible":  "the instance is never reachable from the internet",
}

// suggestion names the key that was probably meant, or all of them.
func suggestion(key string, known []string) string {
	if why := made[key]; why != "" {
		return "leave it out: " + why
	}
	if opposite := opposites[key]; opposite != "" && slices.Contains(known, opposite) {
		return fmt.Sprintf("its opposite is %s", opposite)
	}
	if nearest := suggest.Nearest(key, known); nearest != "" {
		return fmt.Sprintf("did you mean %s?", nearest)
	}
	return "known are " + strings.Join(known, ", ")
}
