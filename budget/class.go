package budget

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
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

// Memory returns the memory of an instance class such as db.m6g.large in GiB. known is false for a class that this
// package does not know.
func Memory(class string) (gib float64, known bool) {
	line, size, known := lookUp(class)
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

func lookUp(class string) (line, size string, known bool) {
	parts := strings.Split(class, ".")
	if len(parts) != 3 || parts[0] != "db" {
		return "", "", false
	}
	return parts[1], parts[2], slices.Contains(families[parts[1]].sizes, parts[2])
}

// larger returns the larger classes of the same family in ascending order.
func larger(class string) []string {
	line, size, known := lookUp(class)
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

const (
	// RDS sets max_connections to LEAST({DBInstanceClassMemory/9531392},5000) ("Maximum number of database
	// connections").
	bytesPerConnection = 9531392
	mostByFormula      = 5000

	// DBInstanceClassMemory is less than the memory of the class, by the share of the operating system and of RDS's
	// processes. AWS publishes no figure. A twelfth is more than what was observed.
	memoryShare = 0.92

	// ReservedConnections are not available to ordinary users: superuser_reserved_connections (3) and
	// rds.rds_superuser_reserved_connections (2).
	ReservedConnections = 5

	// Share is the part of the remaining connections that the tier may plan with. The rest is for people, monitoring
	// and the next replica.
	Share = 0.8
)

// MaxConnections returns the max_connections that RDS's formula gives for the whole memory of the class. The real
// number is somewhat lower. known is false for a class that this package does not know.
func MaxConnections(class string) (n int, known bool) {
	gib, known := Memory(class)
	if !known {
		return 0, false
	}
	return min(int(math.Floor(gib*(1<<30)/bytesPerConnection)), mostByFormula), true
}
