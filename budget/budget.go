package budget

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Holder is whoever opens connections to the database.
type Holder struct {
	// Name for people: pool pgbouncer, migration.
	Name string
	// Instances of it: replicas.
	Instances int
	// Setting is the config path of the number that decides how many connections an instance opens, and Value that
	// number.
	Setting string
	Value   int
	// Reserve is what an instance opens on top of Value when it has to. Default 0.
	Reserve int
	// Pairs of user and database that each have so many connections. Default 1.
	Pairs int
	// Rolling says that an update starts new instances before the old ones have let go of their connections.
	Rolling bool
	// Percent is for a holder that takes a share of max_connections, as RDS Proxy does; Setting is then the path of the
	// percentage, and Value, Reserve and Pairs say nothing. Default 0: it is none of those.
	Percent int
}

// factor is how often Value counts.
func (h *Holder) factor() int {
	n := h.Instances * max(h.Pairs, 1)
	if h.Rolling {
		n *= 2
	}
	return n
}

// Most is how many of an instance's max_connections the holder can have open at any time.
func (h *Holder) Most(maxConnections int) int {
	if h.Percent > 0 {
		return share(h.Percent, maxConnections)
	}
	return h.factor() * (h.Value + h.Reserve)
}

// share is a percentage, rounded up.
func share(percent, of int) int { return (percent*of + 99) / 100 }

// arithmetic of Most: 2 replicas × 20 × 2 (old and new pods of an update) = 80.
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

// Budget of one instance.
type Budget struct {
	// Class of the instance, for example db.m6g.large.
	Class string
	// MaxConnections is the parameter max_connections where it is set to a number, and 0 where RDS's formula holds.
	MaxConnections int
	// Holders of connections.
	Holders []Holder
}

// Most is how many connections all holders can have open at any time. A share of what is not known counts as none.
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

// Limit is how many connections the holders may plan with. False when the class is not known and max_connections is not
// given.
func (b *Budget) Limit() (limit int, known bool) {
	usable, _, known := b.usable()
	return limitOf(usable), known
}

func limitOf(usable int) int {
	return max(int(math.Floor(float64(usable-ReservedConnections)*Share)), 0)
}

// usable is the max_connections to expect, and where the number comes from.
func (b *Budget) usable() (n int, source string, known bool) {
	if b.MaxConnections > 0 {
		return b.MaxConnections, fmt.Sprintf("max_connections is set to %d", b.MaxConnections), true
	}
	nominal, known := MaxConnections(b.Class)
	if !known {
		return 0, "", false
	}
	gib, _ := Memory(b.Class)
	n = int(math.Floor(float64(nominal) * memoryShare))
	return n, fmt.Sprintf("%s has %g GiB, which makes max_connections %d at most and about %d after the system's share",
		b.Class, gib, nominal, n), true
}

// UnknownClassError says that nothing is known of the class.
type UnknownClassError struct{ Class string }

func (e *UnknownClassError) Error() string {
	return fmt.Sprintf(
		"how many connections %s takes is not known here: set the parameter max_connections to a number, "+
			"with applyMethod pending-reboot", e.Class)
}

// ExceededError says that the holders can open more connections than there are.
type ExceededError struct {
	// Most that can be open, and the Limit.
	Most, Limit int
	// Lines of the arithmetic, and Fixes, each of which suffices.
	Lines, Fixes []string
}

func (e *ExceededError) Error() string {
	fixes := "nothing smaller than another design fits: fewer holders, or an own instance"
	if len(e.Fixes) > 0 {
		fixes = "it fits with " + strings.Join(e.Fixes, ", or with ")
	}
	return fmt.Sprintf("has room for %d connections, and %d can be open at once\n  %s\n  %s",
		e.Limit, e.Most, strings.Join(e.Lines, "\n  "), fixes)
}

// Check returns nil when the connections fit, and otherwise an [*ExceededError] or [*UnknownClassError].
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
	for i := range b.Holders {
		h := &b.Holders[i]
		lines = append(lines, fmt.Sprintf("%s: %s", h.Name, h.arithmetic(usable)))
	}
	lines = append(lines, fmt.Sprintf("together %d, which is %d too many", most, most-limit))
	return &ExceededError{Most: most, Limit: limit, Lines: lines, Fixes: b.fixes(usable, limit, most)}
}

// fixes are the smallest single changes that fit: a lower setting of one holder, or the next class.
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
	for _, class := range larger(b.Class) {
		bigger := Budget{Class: class, Holders: b.Holders}
		if bigger.Check() == nil {
			return append(fixes, "database.instanceClass "+class)
		}
	}
	return fixes
}
