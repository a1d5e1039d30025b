package rdsrules

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxFormula is the longest formula in characters. It limits the parser's recursion.
const maxFormula = 512

// EvaluateFormula computes a parameter value from a formula of RDS ("Specifying DB parameters"): numbers, {expression}
// with DBInstanceClassMemory, the operators + - * /, the functions GREATEST, LEAST and SUM with comma-separated
// arguments, and log, the logarithm to the base 2. memory is the value of DBInstanceClassMemory in bytes. The variables
// AllocatedStorage, DBInstanceVCPU and EndPointPort are refused, because their values are not known here. The result is
// rounded down.
func EvaluateFormula(text string, memory int64) (int64, error) {
	if len(text) > maxFormula {
		return 0, fmt.Errorf("formula longer than %d characters", maxFormula)
	}
	f := &formula{rest: text, memory: float64(memory)}
	v, err := f.sum()
	if err != nil {
		return 0, err
	}
	f.skip()
	if f.rest != "" {
		return 0, fmt.Errorf("formula %q: unexpected %q", text, f.rest)
	}
	if math.IsNaN(v) || math.Abs(v) > math.MaxInt32*1024 {
		return 0, fmt.Errorf("formula %q: result out of range", text)
	}
	return int64(math.Floor(v)), nil
}

type formula struct {
	rest   string
	memory float64
}

func (f *formula) skip() { f.rest = strings.TrimLeft(f.rest, " ") }

func (f *formula) take(s string) bool {
	f.skip()
	if strings.HasPrefix(f.rest, s) {
		f.rest = f.rest[len(s):]
		return true
	}
	return false
}

func (f *formula) sum() (float64, error) {
	v, err := f.product()
	for err == nil {
		var n float64
		switch {
		case f.take("+"):
			n, err = f.product()
			v += n
		case f.take("-"):
			n, err = f.product()
			v -= n
		default:
			return v, nil
		}
	}
	return 0, err
}

func (f *formula) product() (float64, error) {
	v, err := f.value()
	for err == nil {
		var n float64
		switch {
		case f.take("*"):
			n, err = f.value()
			v *= n
		case f.take("/"):
			n, err = f.value()
			if err == nil && n == 0 {
				err = errors.New("division by zero")
			}
			v /= n
		default:
			return v, nil
		}
	}
	return 0, err
}

func (f *formula) value() (float64, error) {
	for _, bracket := range []string{"{}", "()"} {
		if f.take(bracket[:1]) {
			v, err := f.sum()
			if err == nil && !f.take(bracket[1:]) {
				err = fmt.Errorf("missing %q", bracket[1:])
			}
			return v, err
		}
	}
	f.skip()
	end := strings.IndexFunc(f.rest, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '.'
	})
	if end < 0 {
		end = len(f.rest)
	}
	word := f.rest[:end]
	f.rest = f.rest[end:]
	switch strings.ToUpper(word) {
	case "DBINSTANCECLASSMEMORY":
		return f.memory, nil
	case "GREATEST", "LEAST", "SUM", "LOG":
		return f.call(strings.ToUpper(word))
	case "ALLOCATEDSTORAGE", "DBINSTANCEVCPU", "ENDPOINTPORT":
		return 0, &VariableError{word}
	}
	v, err := strconv.ParseFloat(word, 64)
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, fmt.Errorf("%q is neither a number nor DBInstanceClassMemory, GREATEST, LEAST, SUM or log", word)
	}
	return v, nil
}

func (f *formula) call(name string) (float64, error) {
	if !f.take("(") {
		return 0, fmt.Errorf("%s: missing \"(\"", name)
	}
	result, err := f.sum()
	if err == nil && name == "LOG" {
		if result <= 0 {
			return 0, errors.New("log of a number that is not positive")
		}
		result = math.Log2(result)
		if !f.take(")") {
			err = errors.New("log: missing \")\"")
		}
		return result, err
	}
	for err == nil && f.take(",") {
		var v float64
		v, err = f.sum()
		switch name {
		case "GREATEST":
			result = max(result, v)
		case "LEAST":
			result = min(result, v)
		default:
			result += v
		}
	}
	if err == nil && !f.take(")") {
		err = fmt.Errorf("%s: missing \")\"", name)
	}
	return result, err
}

// VariableError is returned for a formula with a variable of RDS whose value is not known here.
type VariableError struct{ Variable string }

func (e *VariableError) Error() string {
	return fmt.Sprintf("the value of %s is not known here; want a number or a formula with "+
		"DBInstanceClassMemory", e.Variable)
}
