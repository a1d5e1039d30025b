package rdsrules

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed parameters16.tsv
var parametersTSV string

// Parameter is one parameter of a family, as RDS describes it.
type Parameter struct {
	Name      string
	ApplyType string // static (needs a reboot) or dynamic
	Locked    bool   // users cannot change it
	Type      string // boolean, integer, real, string, enum
	Min, Max  string
}

var parameters = func() map[string]Parameter {
	out := map[string]Parameter{}
	for line := range strings.Lines(parametersTSV) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line+"\t\t", "\t")
		p := Parameter{Name: f[0], ApplyType: f[1], Type: f[2], Min: f[3], Max: f[4]}
		if p.ApplyType == "locked" {
			p.ApplyType, p.Locked = "static", true
		}
		out[p.Name] = p
	}
	return out
}()

// LookupParameter finds a parameter by name.
func LookupParameter(name string) (Parameter, bool) {
	p, ok := parameters[strings.ToLower(name)]
	return p, ok
}

// The apply methods of a parameter in a group.
const (
	Immediate     = "immediate"
	PendingReboot = "pending-reboot"
)

var unitForm = regexp.MustCompile(`^(-?\d+)[A-Za-z]*$`)

// CheckParameter checks one parameter of a group by RDS's rules. An empty method means immediate.
func CheckParameter(name, value, method string) error {
	p, ok := LookupParameter(name)
	switch {
	case !ok:
		return fmt.Errorf("could not find parameter with name: %s", name)
	case p.Locked:
		return fmt.Errorf("the parameter %s cannot be modified", name)
	case method != "" && method != Immediate && method != PendingReboot:
		return fmt.Errorf("apply method %q: want %s or %s", method, Immediate, PendingReboot)
	case p.ApplyType == "static" && method != PendingReboot:
		return fmt.Errorf("cannot use immediate apply method for static parameter: set applyMethod to %s",
			PendingReboot)
	}
	invalid := func(why string) error { return fmt.Errorf("invalid parameter value %q for %s: %s", value, name, why) }
	switch p.Type {
	case "boolean":
		switch strings.ToLower(value) {
		case "0", "1", "on", "off", "true", "false", "yes", "no":
		default:
			return invalid("want 0 or 1")
		}
	case "integer", "real":
		if strings.Contains(value, "{") || strings.Contains(value, "(") {
			if _, err := EvaluateFormula(value, gib); err != nil {
				return invalid(err.Error())
			}
			return nil
		}
		text := value
		if p.Type == "integer" {
			m := unitForm.FindStringSubmatch(value)
			if m == nil {
				return invalid("want a whole number")
			}
			if m[1] != value {
				return invalid("RDS accepts numbers in the parameter's base unit, without a unit")
			}
			text = m[1]
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return invalid("want a number")
		}
		low, errLow := strconv.ParseFloat(p.Min, 64)
		high, errHigh := strconv.ParseFloat(p.Max, 64)
		if errLow == nil && n < low || errHigh == nil && n > high {
			return invalid(fmt.Sprintf("allowed values are %s-%s", p.Min, p.Max))
		}
	}
	return nil
}

// DefaultMaxConnections is the formula of max_connections in the default parameter groups.
const DefaultMaxConnections = "LEAST({DBInstanceClassMemory/9531392},5000)"

// MaxConnections returns max_connections for a class. value is the group's value, or "" for the default.
func MaxConnections(class, value string) (int, error) {
	memory, ok := DBInstanceClassMemory(class)
	if !ok {
		return 0, fmt.Errorf("DB instance class %q: the local AWS stand-in does not know its memory", class)
	}
	if value == "" {
		value = DefaultMaxConnections
	}
	n, err := EvaluateFormula(value, memory)
	return int(n), err
}

// localMemory are the parameters that RDS sizes by the class's memory. They are recorded and described but not passed
// to PostgreSQL, because the machine under the stand-in has another size.
var localMemory = map[string]bool{
	"shared_buffers": true, "effective_cache_size": true, "huge_pages": true, "wal_buffers": true,
	"maintenance_work_mem": true, "autovacuum_work_mem": true, "min_dynamic_shared_memory": true,
}

// ForEngine turns a group's parameters into those that PostgreSQL gets, with formulas evaluated for the class. It
// leaves out max_connections, which MaxConnections returns.
func ForEngine(class string, group map[string]string) (map[string]string, error) {
	memory, _ := DBInstanceClassMemory(class)
	// The default group of PostgreSQL 15 and later requires TLS.
	out := map[string]string{"rds.force_ssl": "1"}
	for name, value := range group {
		name = strings.ToLower(name)
		if name == "max_connections" || localMemory[name] {
			continue
		}
		if p, ok := LookupParameter(name); ok && (p.Type == "integer" || p.Type == "real") &&
			strings.Contains(value, "{") {
			n, err := EvaluateFormula(value, memory)
			if err != nil {
				return nil, fmt.Errorf("parameter %s: %w", name, err)
			}
			value = strconv.FormatInt(n, 10)
		}
		out[name] = value
	}
	return out, nil
}

// ParameterNames returns the names of all parameters of the family, sorted.
func ParameterNames() []string { return slices.Sorted(maps.Keys(parameters)) }
