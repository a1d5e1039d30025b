package kuberules

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// quantityForm is the grammar of k8s.io/apimachinery/pkg/api/resource: a decimal number, and a binary suffix, a decimal
// suffix or an exponent.
var quantityForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([+-]?)(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,3})?$`)
})

// suffixes are the powers of ten of the decimal suffixes, and those of 1024 of the binary ones.
var (
	decimal = map[string]int{"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
	binary  = map[string]uint{"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
)

// ParseQuantity reads a resource quantity such as 250m, 64Mi or 1e3. ok is false for a text that is not one.
func ParseQuantity(text string) (value *big.Rat, ok bool) {
	parts := quantityForm().FindStringSubmatch(text)
	if parts == nil {
		return nil, false
	}
	value, ok = new(big.Rat).SetString(parts[2])
	if !ok {
		return nil, false
	}
	suffix := parts[3]
	power, isDecimal := decimal[suffix]
	switch shift, isBinary := binary[suffix]; {
	case isBinary:
		value.Mul(value, new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), shift)))
	case !isDecimal:
		power, _ = strconv.Atoi(strings.TrimPrefix(suffix[1:], "+"))
		fallthrough
	default:
		factor := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(power, -power))), nil))
		if power < 0 {
			factor.Inv(factor)
		}
		value.Mul(value, factor)
	}
	if parts[1] == "-" {
		value.Neg(value)
	}
	return value, true
}

const (
	// leastMemory is far below what any process needs, and far above what a forgotten unit gives. runc needs some MiB
	// to start a container.
	leastMemory = 4 << 20
	// mostCPU is more processors than any EC2 instance has.
	mostCPU = 2000
)

// CheckCPU reads a request or limit of processors. Kubernetes wants it to be at least 0 and in steps of 1m ("Resource
// units in Kubernetes").
func CheckCPU(text string) (*big.Rat, error) {
	value, ok := ParseQuantity(text)
	milli := new(big.Rat)
	if ok {
		milli.Mul(value, big.NewRat(1000, 1))
	}
	switch {
	case !ok || value.Sign() < 0:
		return nil, errors.New("want a number of processors such as 250m or 2")
	case !milli.IsInt():
		return nil, errors.New("is finer than 1m, a thousandth of a processor, which is the finest for Kubernetes")
	case value.Cmp(big.NewRat(mostCPU, 1)) > 0:
		return nil, errors.New("is more processors than any node has; want a number such as 250m or 2")
	}
	return value, nil
}

// CheckMemory reads a request or limit of memory. Kubernetes warns of parts of bytes (512m is half a byte), and a
// container cannot start with a few bytes. 0 is a request for nothing.
func CheckMemory(text string) (*big.Rat, error) {
	value, ok := ParseQuantity(text)
	switch {
	case !ok || value.Sign() < 0:
		return nil, errors.New("want an amount of memory such as 64Mi or 1Gi")
	case !value.IsInt():
		return nil, fmt.Errorf("is a part of a byte: m is a thousandth; want %sMi", strings.TrimRight(text, "num"))
	case value.Sign() > 0 && value.Cmp(big.NewRat(leastMemory, 1)) < 0:
		return nil, fmt.Errorf("is %s bytes, with which no container starts; want a unit, for example 512Mi",
			value.RatString())
	}
	return value, nil
}
