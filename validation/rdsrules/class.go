package rdsrules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// family is a family of instance classes. The memory of a size is the memory of xlarge times the factor of the size.
type family struct {
	// xlarge is the memory of the size xlarge in GiB, even if the family does not have that size.
	xlarge float64
	// sizes in ascending order.
	sizes []string
}

func sizes(list string) []string { return strings.Fields(list) }

var (
	burstable = sizes("micro small medium large xlarge 2xlarge")
	to16      = sizes("large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge")
	to24      = append(slices.Clone(to16), "24xlarge")
	to32      = append(slices.Clone(to24), "32xlarge")
	to48      = append(slices.Clone(to24), "48xlarge")
)

// families by the middle part of the class's name. Source: "Hardware specifications for DB instance classes", Amazon
// RDS User Guide.
var families = map[string]family{
	"t2": {16, burstable}, "t3": {16, burstable}, "t4g": {16, burstable},

	"m4": {16, sizes("large xlarge 2xlarge 4xlarge 10xlarge 16xlarge")},
	"m5": {16, to24}, "m5d": {16, to24},
	"m6g": {16, to16}, "m6gd": {16, to16},
	"m6i": {16, to32}, "m6id": {16, to32}, "m6in": {16, to32}, "m6idn": {16, to32},
	"m7g": {16, to16}, "m7gd": {16, to16}, "m7i": {16, to48},
	"m8g": {16, to48}, "m8gd": {16, to48},

	"r4": {30.5, sizes("large xlarge 2xlarge 4xlarge 8xlarge 16xlarge")},
	"r5": {32, to24}, "r5b": {32, to24}, "r5d": {32, to24},
	"r6g": {32, to16}, "r6gd": {32, to16},
	"r6i": {32, to32}, "r6id": {32, to32}, "r6in": {32, to32}, "r6idn": {32, to32},
	"r7g": {32, to16}, "r7gd": {32, to16}, "r7i": {32, to48},
	"r8g": {32, to48}, "r8gd": {32, to48},

	"x1":  {61, sizes("16xlarge 32xlarge")},
	"x1e": {122, sizes("xlarge 2xlarge 4xlarge 8xlarge 16xlarge 32xlarge")},
	"x2g": {64, to16}, "x2idn": {64, sizes("16xlarge 24xlarge 32xlarge")},
	"x2iedn": {128, sizes("xlarge 2xlarge 4xlarge 8xlarge 16xlarge 24xlarge 32xlarge")},
	"z1d":    {32, sizes("large xlarge 2xlarge 3xlarge 6xlarge 12xlarge")},
}

// small are the sizes below xlarge, as fractions of it.
var small = map[string]float64{"micro": 1.0 / 16, "small": 1.0 / 8, "medium": 1.0 / 4, "large": 1.0 / 2, "xlarge": 1}

// ClassMemory returns the memory of an instance class such as db.m6g.large in GiB. known is false for a class that this
// package does not know.
func ClassMemory(class string) (gib float64, known bool) {
	line, size, known := lookUpClass(class)
	if !known {
		return 0, false
	}
	factor, below := small[size]
	if !below {
		n, err := strconv.Atoi(strings.TrimSuffix(size, "xlarge"))
		if err != nil {
			return 0, false
		}
		factor = float64(n)
	}
	return families[line].xlarge * factor, true
}

func lookUpClass(class string) (line, size string, known bool) {
	parts := strings.Split(class, ".")
	if len(parts) != 3 || parts[0] != "db" {
		return "", "", false
	}
	return parts[1], parts[2], slices.Contains(families[parts[1]].sizes, parts[2])
}

// LargerClasses returns the larger classes of the same family in ascending order.
func LargerClasses(class string) []string {
	line, size, known := lookUpClass(class)
	if !known {
		return nil
	}
	all := families[line].sizes
	var found []string
	for _, s := range all[slices.Index(all, size)+1:] {
		found = append(found, fmt.Sprintf("db.%s.%s", line, s))
	}
	return found
}

// withoutPostgres are families of classes that RDS does not offer for PostgreSQL 13 and later ("Supported DB engines
// for DB instance classes").
var withoutPostgres = sizes("t2 m4 r4 x1 x1e z1d")

var classForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^db\.[a-z0-9-]+\.[a-z0-9]+$`) })

// CheckClass returns an error if RDS does not create a PostgreSQL instance of the class. A class that this package does
// not know may be a new one, and passes if it has the form of a class and is not of a family that is known.
func CheckClass(class string) error {
	if !classForm().MatchString(class) {
		return errors.New("want a class such as db.m6g.large")
	}
	line, _, known := lookUpClass(class)
	f, knownLine := families[line]
	switch {
	case slices.Contains(withoutPostgres, line):
		return fmt.Errorf("RDS does not offer classes of db.%s for PostgreSQL; want one such as db.m6g.large", line)
	case knownLine && !known:
		return fmt.Errorf("db.%s has no such size; it has %s", line, strings.Join(f.sizes, ", "))
	}
	return nil
}

const (
	// DefaultMaxConnections is the formula of max_connections in the default parameter groups ("Maximum number of
	// database connections").
	DefaultMaxConnections = "LEAST({DBInstanceClassMemory/9531392},5000)"

	// MemoryShare is the part of a class's memory that RDS counts as DBInstanceClassMemory. The operating system and
	// RDS's processes use the rest. AWS publishes no figure; instances show about 8 % less than the nominal memory.
	MemoryShare = 0.92
)

// MaxConnections evaluates a value of max_connections for a class, as RDS does: a number or a formula. An empty value
// is the default.
func MaxConnections(class, value string) (int, error) {
	gib, known := ClassMemory(class)
	if value == "" {
		value = DefaultMaxConnections
	}
	if !known && strings.Contains(value, "DBInstanceClassMemory") {
		return 0, fmt.Errorf("the memory of %s is not known here", class)
	}
	n, err := EvaluateFormula(value, ClassMemoryVariable(gib))
	return int(n), err
}

// ClassMemoryVariable returns the variable DBInstanceClassMemory, in bytes, of a class with so many GiB.
func ClassMemoryVariable(gib float64) int64 { return int64(gib * (1 << 30) * MemoryShare) }
