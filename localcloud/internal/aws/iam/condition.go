package iam

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Condition is one operator applied to one key.
type Condition struct {
	Operator string // as written, for example ForAnyValue:StringLikeIfExists
	Key      string
	Values   []string

	base     *operator
	ifExists bool
	set      setMode
}

type setMode uint8

const (
	single setMode = iota
	forAll
	forAny
)

// operator compares one value of the request with one of the policy.
type operator struct {
	name    string
	negated bool
	// variables allows policy variables and the wildcards * and ?.
	variables bool
	compare   func(pattern []element, policy, request string) bool
	check     func(policy string) error
}

var operators = map[string]*operator{}

func register(
	name string, negated, variables bool, compare func([]element, string, string) bool, check func(string) error,
) {
	operators[strings.ToLower(name)] = &operator{
		name: name, negated: negated, variables: variables, compare: compare, check: check,
	}
}

func init() {
	equals := func(p []element, _, request string) bool {
		return slices.Equal(asLiterals(p), literalElements(request))
	}
	fold := func(p []element, _, request string) bool {
		return strings.EqualFold(stringOf(p), request)
	}
	like := func(p []element, _, request string) bool { return matchElements(p, []rune(request)) }
	arn := func(p []element, _, request string) bool { return matchARNElements(p, request) }
	register("StringEquals", false, true, equals, nil)
	register("StringNotEquals", true, true, equals, nil)
	register("StringEqualsIgnoreCase", false, true, fold, nil)
	register("StringNotEqualsIgnoreCase", true, true, fold, nil)
	register("StringLike", false, true, like, nil)
	register("StringNotLike", true, true, like, nil)
	register("ArnEquals", false, true, arn, nil)
	register("ArnLike", false, true, arn, nil)
	register("ArnNotEquals", true, true, arn, nil)
	register("ArnNotLike", true, true, arn, nil)
	register("Bool", false, false, func(_ []element, policy, request string) bool {
		return strings.EqualFold(policy, request)
	}, checkBool)
	register("Null", false, false, nil, checkBool)
	address := func(_ []element, policy, request string) bool {
		prefix, err := parsePrefix(policy)
		addr, err2 := netip.ParseAddr(request)
		return err == nil && err2 == nil && prefix.Contains(addr.Unmap())
	}
	checkAddress := func(s string) error { _, err := parsePrefix(s); return err }
	register("IpAddress", false, false, address, checkAddress)
	register("NotIpAddress", true, false, address, checkAddress)
	for name, holds := range map[string]func(order int) bool{
		"Equals":            func(o int) bool { return o == 0 },
		"LessThan":          func(o int) bool { return o < 0 },
		"LessThanEquals":    func(o int) bool { return o <= 0 },
		"GreaterThan":       func(o int) bool { return o > 0 },
		"GreaterThanEquals": func(o int) bool { return o >= 0 },
	} {
		number := func(_ []element, policy, request string) bool {
			p, okP := new(big.Rat).SetString(policy)
			r, okR := new(big.Rat).SetString(request)
			return okP && okR && holds(r.Cmp(p))
		}
		date := func(_ []element, policy, request string) bool {
			p, errP := parseDate(policy)
			r, errR := parseDate(request)
			return errP == nil && errR == nil && holds(r.Compare(p))
		}
		register("Numeric"+name, false, false, number, checkNumber)
		register("Date"+name, false, false, date, checkDate)
		if name == "Equals" {
			register("NumericNotEquals", true, false, number, checkNumber)
			register("DateNotEquals", true, false, date, checkDate)
		}
	}
}

// asLiterals turns wildcards into ordinary characters, because StringEquals compares exactly.
func asLiterals(p []element) []element {
	out := make([]element, len(p))
	for i, e := range p {
		switch e.kind {
		case anyRun:
			e = element{r: '*'}
		case anyOne:
			e = element{r: '?'}
		case literal:
		}
		out[i] = e
	}
	return out
}

func stringOf(p []element) string {
	var b strings.Builder
	for _, e := range asLiterals(p) {
		b.WriteRune(e.r)
	}
	return b.String()
}

func checkBool(s string) error {
	if !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") {
		return errors.New("want true or false")
	}
	return nil
}

// numberPattern limits what reaches big.Rat, which would also accept fractions and huge exponents.
var numberPattern = regexp.MustCompile(`^[+-]?\d{1,40}(\.\d{1,40})?$`)

func checkNumber(s string) error {
	if !numberPattern.MatchString(s) {
		return errors.New("want a number")
	}
	return nil
}

func checkDate(s string) error {
	_, err := parseDate(s)
	return err
}

func parseDate(s string) (time.Time, error) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15Z07:00", "2006-01-02",
		"2006-01", "2006",
	} {
		if layout == "2006" && len(s) != len(layout) {
			break
		}
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	return time.Time{}, errors.New("want an ISO 8601 date or seconds since 1970")
}

func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, errors.New("want an address or CIDR block")
		}
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, errors.New("want an address or CIDR block")
	}
	return prefix, nil
}

// parseOperator reads ForAllValues:/ForAnyValue:, the operator and IfExists.
func parseOperator(written string) (op *operator, ifExists bool, set setMode, err error) {
	name := written
	if prefix, rest, ok := strings.Cut(name, ":"); ok {
		switch strings.ToLower(prefix) {
		case "forallvalues":
			set = forAll
		case "foranyvalue":
			set = forAny
		default:
			return nil, false, 0, fmt.Errorf("set operator %q: want ForAllValues or ForAnyValue", prefix)
		}
		name = rest
	}
	if len(name) > len("IfExists") && strings.EqualFold(name[len(name)-len("IfExists"):], "IfExists") {
		ifExists = true
		name = name[:len(name)-len("IfExists")]
	}
	op, ok := operators[strings.ToLower(name)]
	if !ok {
		return nil, false, 0, fmt.Errorf("condition operator %q: the local AWS stand-in models only %s",
			written,
			strings.Join(operatorNames(), ", "))
	}
	if op.name == "Null" && (ifExists || set != single) {
		return nil, false, 0, fmt.Errorf("condition operator %q: Null accepts neither IfExists nor a set operator",
			written)
	}
	return op, ifExists, set, nil
}

func operatorNames() []string {
	names := make([]string, 0, len(operators))
	for _, o := range operators {
		names = append(names, o.name)
	}
	sort.Strings(names)
	return names
}

// holds evaluates the condition. A negated operator holds when no value of the policy matches.
func (c Condition) holds(ctx Context, version string) bool {
	values, present := ctx.Get(c.Key)
	if c.base.name == "Null" {
		return slices.ContainsFunc(c.Values, func(v string) bool {
			return strings.EqualFold(v, strconv.FormatBool(!present))
		})
	}
	if len(values) == 0 {
		switch c.set {
		case forAll: // true without any value, as the IAM guide warns
			return true
		case forAny:
			return c.ifExists && !present
		default:
			return c.ifExists || c.base.negated
		}
	}
	one := func(request string) bool {
		matched := slices.ContainsFunc(c.Values, func(policy string) bool {
			var pattern []element
			if c.base.variables {
				var ok bool
				if pattern, ok = ctx.expand(policy, version); !ok {
					return false
				}
			}
			return c.base.compare(pattern, policy, request)
		})
		return matched != c.base.negated
	}
	switch {
	case c.set == forAny:
		return slices.ContainsFunc(values, one)
	case c.set == forAll, c.base.negated:
		return !slices.ContainsFunc(values, func(v string) bool { return !one(v) })
	default:
		return slices.ContainsFunc(values, one)
	}
}
