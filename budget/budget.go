package budget

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"dbtier/validation/rdsrules"
)

const (
	// ReservedConnections are not available to ordinary users: superuser_reserved_connections (3) and
	// rds.rds_superuser_reserved_connections (2).
	ReservedConnections = 5

	// Share is the part of the remaining connections that the tier may plan with. The rest is for people, monitoring
	// and the next replica.
	Share = 0.8
)

// MaxConnections returns the max_connections that RDS's own formula gives for the whole memory of the class. The real
// number is somewhat lower. known is false for a class whose memory is not known.
func MaxConnections(class string) (n int, known bool) {
	gib, known := rdsrules.ClassMemory(class)
	if !known {
		return 0, false
	}
	most, err := rdsrules.EvaluateFormula(rdsrules.DefaultMaxConnections, int64(gib*(1<<30)))
	return int(most), err == nil
}

// Holder opens connections to the database.
type Holder struct {
	// Name of the holder in messages, for example pool pgbouncer.
	Name string
	// Instances is the number of replicas.
	Instances int
	// Setting is the config path of the number of connections that an instance opens, and Value is that number.
	Setting string
	Value   int
	// Reserve is how many connections an instance can open in addition to Value. Default 0.
	Reserve int
	// Pairs is the number of pairs of user and database, each of which has this many connections. Default 1.
	Pairs int
	// Rolling is true if an update starts new instances before the old ones close their connections.
	Rolling bool
	// Percent is the share of max_connections of a holder such as RDS Proxy. Setting is then the path of the
	// percentage, and Value, Reserve and Pairs are not used. Default 0: the holder has a number of connections.
	Percent int
}

// factor is how many times Value counts.
func (h *Holder) factor() int {
	n := h.Instances * max(h.Pairs, 1)
	if h.Rolling {
		n *= 2
	}
	return n
}

// Most returns how many connections the holder can have open at any time, of an instance's max_connections.
func (h *Holder) Most(maxConnections int) int {
	if h.Percent > 0 {
		return share(h.Percent, maxConnections)
	}
	return h.factor() * (h.Value + h.Reserve)
}

// share is a percentage, rounded up.
func share(percent, of int) int { return (percent*of + 99) / 100 }

// arithmetic explains Most: 2 replicas × 20 × 2 (old and new pods of an update) = 80.
func (h *Holder) arithmetic(maxConnections int) string {
	if h.Percent > 0 {
		return fmt.Sprintf("%d %% of %d = %d", h.Percent, maxConnections, h.Most(maxConnections))
	}
	each := strconv.Itoa(h.Value)
	if h.Reserve > 0 {
		each = fmt.Sprintf("(%d + %d in reserve)", h.Value, h.Reserve)
	}
	var terms []string
	if h.Instances > 1 {
		terms = append(terms, fmt.Sprintf("%d replicas", h.Instances))
	}
	if h.Pairs > 1 {
		terms = append(terms, fmt.Sprintf("%d pairs of user and database", h.Pairs))
	}
	terms = append(terms, each)
	if h.Rolling {
		terms = append(terms, "2 (old and new pods of an update)")
	}
	return fmt.Sprintf("%s = %d", strings.Join(terms, " × "), h.Most(maxConnections))
}

// Budget is the connections of one instance.
type Budget struct {
	// Class of the instance, for example db.m6g.large.
	Class string
	// MaxConnections is what the parameter max_connections gives for the class, if it is set. 0 means RDS's own
	// formula.
	MaxConnections int
	// Formula is the value of max_connections if it is not a number.
	Formula string
	// Holders of connections.
	Holders []Holder
}

// Most returns how many connections all holders can have open at any time. A share of an unknown number counts as 0.
func (b *Budget) Most() int {
	usable, _, _ := b.usable()
	return b.most(usable)
}

func (b *Budget) most(usable int) int {
	sum := 0
	for i := range b.Holders {
		sum += b.Holders[i].Most(usable)
	}
	return sum
}

// Limit returns how many connections the holders may plan with. known is false if the class is not known and
// max_connections is not set.
func (b *Budget) Limit() (limit int, known bool) {
	usable, _, known := b.usable()
	return limitOf(usable), known
}

func limitOf(usable int) int {
	return max(int(math.Floor(float64(usable-ReservedConnections)*Share)), 0)
}

// usable returns the max_connections to expect, and how the number was found.
func (b *Budget) usable() (n int, source string, known bool) {
	switch {
	case b.MaxConnections > 0 && b.Formula != "":
		return b.MaxConnections, fmt.Sprintf("max_connections is %s, which makes about %d on %s", b.Formula,
			b.MaxConnections, b.Class), true
	case b.MaxConnections > 0:
		return b.MaxConnections, fmt.Sprintf("max_connections is set to %d", b.MaxConnections), true
	}
	nominal, known := MaxConnections(b.Class)
	if !known {
		return 0, "", false
	}
	gib, _ := rdsrules.ClassMemory(b.Class)
	n = int(math.Floor(float64(nominal) * rdsrules.MemoryShare))
	return n, fmt.Sprintf("%s has %g GiB, which makes max_connections %d at most and about %d after the system's share",
		b.Class, gib, nominal, n), true
}

// UnknownClassError is returned for an instance class that this package does not know.
type UnknownClassError struct{ Class string }

func (e *UnknownClassError) Error() string {
	return fmt.Sprintf(
		"how many connections %s takes is not known here: set the parameter max_connections to a number, "+
			"with applyMethod pending-reboot", e.Class)
}

// ExceededError is returned if the holders can open more connections than the limit.
type ExceededError struct {
	// Most is how many connections can be open, and Limit how many may be.
	Most, Limit int
	// Lines explain the arithmetic. Each of the Fixes is enough by itself.
	Lines, Fixes []string
}

func (e *ExceededError) Error() string {
	fixes := "no single change fits: use fewer holders, or an instance for this service alone"
	if len(e.Fixes) > 0 {
		fixes = "it fits with " + strings.Join(e.Fixes, ", or with ")
	}
	return fmt.Sprintf("has room for %d connections, and %d can be open at once\n  %s\n  %s",
		e.Limit, e.Most, strings.Join(e.Lines, "\n  "), fixes)
}

// Check returns nil if the connections fit, and otherwise an [*ExceededError] or an [*UnknownClassError].
func (b *Budget) Check() error {
	usable, source, known := b.usable()
	if !known {
		return &UnknownClassError{b.Class}
	}
	limit, most := limitOf(usable), b.most(usable)
	if most <= limit {
		return nil
	}
	lines := []string{fmt.Sprintf("%s; less %d reserved ones, and %g of the rest for the tier: %d", source,
		ReservedConnections, Share, limit)}
	lines = append(lines, b.Lines()...)
	lines = append(lines, fmt.Sprintf("together %d, which is %d too many", most, most-limit))
	return &ExceededError{Most: most, Limit: limit, Lines: lines, Fixes: b.fixes(usable, limit, most)}
}

// Lines explain how many connections each holder can have open: one line for each.
func (b *Budget) Lines() []string {
	usable, _, _ := b.usable()
	lines := make([]string, 0, len(b.Holders))
	for i := range b.Holders {
		h := &b.Holders[i]
		lines = append(lines, fmt.Sprintf("%s: %s", h.Name, h.arithmetic(usable)))
	}
	return lines
}

// fixes returns the smallest single changes that fit: a lower setting of one holder, or a larger class.
func (b *Budget) fixes(usable, limit, most int) []string {
	var fixes []string
	for i := range b.Holders {
		h := &b.Holders[i]
		if h.Setting == "" {
			continue
		}
		left := limit - (most - h.Most(usable))
		value := 0
		switch {
		case h.Percent > 0:
			value = 100 * max(left, 0) / usable
		case h.factor() > 0:
			value = left/h.factor() - h.Reserve
		}
		if left > 0 && value >= 1 {
			fixes = append(fixes, fmt.Sprintf("%s %d", h.Setting, value))
		}
	}
	if b.MaxConnections > 0 {
		return fixes
	}
	for _, class := range rdsrules.LargerClasses(b.Class) {
		bigger := Budget{Class: class, Holders: b.Holders}
		if bigger.Check() == nil {
			return append(fixes, "database.instanceClass "+class)
		}
	}
	return fixes
}
