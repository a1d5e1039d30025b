package rdsrules

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed parameters.tsv
var parametersTSV string

// Parameter is a parameter of a family, as RDS describes it.
type Parameter struct {
	Name string
	// ApplyType is [Static] or [Dynamic].
	ApplyType string
	// Locked is true if users cannot change it.
	Locked bool
	// Type is boolean, integer, real, string or enum.
	Type     string
	Min, Max string
	// Values of an enum.
	Values []string
}

// When the value of a parameter takes effect.
const (
	// Static parameters take effect at a restart of the instance.
	Static = "static"
	// Dynamic parameters take effect at once.
	Dynamic = "dynamic"
)

// The apply methods of a parameter in a group.
const (
	Immediate     = "immediate"
	PendingReboot = "pending-reboot"
)

// parameters are the parameters by major version and name.
var parameters = sync.OnceValue(func() map[int]map[string]Parameter {
	all := map[int]map[string]Parameter{}
	for _, m := range majors {
		all[m.number] = map[string]Parameter{}
	}
	for line := range strings.Lines(parametersTSV) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimRight(line, "\n")+"\t\t\t", "\t")
		first, errFirst := strconv.Atoi(f[1])
		last, errLast := strconv.Atoi(f[2])
		if errFirst != nil || errLast != nil {
			panic("parameters.tsv: " + line)
		}
		p := Parameter{Name: f[0], ApplyType: f[3], Type: f[4], Min: f[5], Max: f[6]}
		if p.ApplyType == "locked" {
			p.ApplyType, p.Locked = Static, true
		}
		if f[7] != "" {
			p.Values = strings.Split(f[7], ",")
		}
		for number := first; number <= last; number++ {
			all[number][p.Name] = p
		}
	}
	return all
})

// LookUpParameter finds a parameter of a family by name, whatever its case.
func LookUpParameter(family, name string) (Parameter, bool) {
	p, ok := parameters()[familyMajor(family)][strings.ToLower(name)]
	return p, ok
}

// ParameterNames returns the names of all parameters of the family that this package knows, sorted.
func ParameterNames(family string) []string {
	return slices.Sorted(maps.Keys(parameters()[familyMajor(family)]))
}

// systemDefaults are values that RDS itself sets in the default group of every family, by name.
var systemDefaults = map[string]string{
	"autovacuum_max_workers":   "GREATEST({DBInstanceClassMemory/64371566592},3)",
	"effective_cache_size":     "{DBInstanceClassMemory/16384}",
	"maintenance_work_mem":     "GREATEST({DBInstanceClassMemory*1024/63963136},65536)",
	"max_connections":          DefaultMaxConnections,
	"shared_buffers":           "{DBInstanceClassMemory/32768}",
	"shared_preload_libraries": "pg_stat_statements",
}

// SystemDefault returns the value that RDS itself sets in the groups of a family. RDS describes a parameter with this
// value as its own (source system) and with the method pending-reboot, also if a user has set it.
func SystemDefault(family, name string) (value string, ok bool) {
	name = strings.ToLower(name)
	if _, known := LookUpParameter(family, name); !known {
		return "", false
	}
	if name == "rds.force_ssl" {
		// "Requiring an SSL connection to a PostgreSQL DB instance": 1 is the default from version 15.
		if familyMajor(family) >= 15 {
			return "1", true
		}
		return "0", true
	}
	value, ok = systemDefaults[name]
	return value, ok
}

// ReportedMethod returns the apply method with which DescribeDBParameters reports a parameter that was set with method.
func ReportedMethod(family, name, value, method string) string {
	if p, _ := LookUpParameter(family, name); p.ApplyType == Static {
		return PendingReboot
	}
	if system, ok := SystemDefault(family, name); ok && system == value {
		return PendingReboot
	}
	return method
}

// DefaultMethod returns the apply method that RDS accepts for a parameter and reports unchanged: immediate, where that
// is possible.
func DefaultMethod(family, name, value string) string {
	return ReportedMethod(family, name, value, Immediate)
}

// What of a parameter is wrong.
const (
	InName   = ""
	InValue  = "value"
	InMethod = "applyMethod"
)

// ParameterFault is what is wrong with a parameter of a group.
type ParameterFault struct {
	// In is [InName], [InValue] or [InMethod].
	In     string
	Reason string
	// Unknown is true if the family has no such parameter, as far as this package knows: the list of the parameters of
	// extensions, whose names have a dot, is not complete.
	Unknown bool
}

// CheckParameter checks one parameter of a group by RDS's rules. An empty method means immediate, as for RDS.
func CheckParameter(family, name, value, method string) []ParameterFault {
	p, known := LookUpParameter(family, name)
	switch {
	case !known:
		return []ParameterFault{{InName, "is not a parameter of the family " + family, true}}
	case p.Locked:
		return []ParameterFault{{InName, "is a parameter that RDS does not let users change; leave it out", false}}
	}
	var faults []ParameterFault
	if reason := p.checkValue(value); reason != "" {
		faults = append(faults, ParameterFault{InValue, reason, false})
	}
	switch {
	case method != "" && method != Immediate && method != PendingReboot:
		faults = append(faults, ParameterFault{InMethod, fmt.Sprintf("want %s or %s", Immediate, PendingReboot), false})
	case p.ApplyType == Static && method != PendingReboot:
		faults = append(faults, ParameterFault{InMethod, fmt.Sprintf(
			"cannot be used for a static parameter, which takes effect at a restart only; want "+
				"%s", PendingReboot), false})
	}
	return faults
}

var (
	wholeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^-?\d+$`) })
	unitForm  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^-?\d+(\.\d+)? *[A-Za-z]+$`) })
)

// checkValue returns what is wrong with a value, or "".
func (p *Parameter) checkValue(value string) string {
	switch p.Type {
	case "boolean":
		if value != "0" && value != "1" {
			return "want 0 or 1, which are RDS's booleans"
		}
	case "enum":
		if !slices.Contains(p.Values, value) {
			return "want one of " + strings.Join(p.Values, ", ")
		}
	case "integer", "real":
		return p.checkNumber(value)
	default:
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "want a single line"
		}
	}
	return ""
}

func (p *Parameter) checkNumber(value string) string {
	if strings.ContainsAny(value, "{(") {
		var variable *VariableError
		// Formulas of other classes than this example's have other results, which only RDS can compare with the bounds.
		if _, err := EvaluateFormula(value, 1<<32); err != nil && !errors.As(err, &variable) {
			return err.Error()
		}
		return ""
	}
	if unitForm().MatchString(value) {
		return "RDS takes numbers in the parameter's own unit; want the number without a unit"
	}
	if p.Type == "integer" && !wholeForm().MatchString(value) {
		return "want a whole number, or a formula such as " + DefaultMaxConnections
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || strings.ContainsAny(value, "xXpP_nNiI") {
		return "want a number"
	}
	low, errLow := strconv.ParseFloat(p.Min, 64)
	high, errHigh := strconv.ParseFloat(p.Max, 64)
	if errLow == nil && n < low || errHigh == nil && n > high {
		return fmt.Sprintf("want %s to %s", p.Min, p.Max)
	}
	return ""
}
