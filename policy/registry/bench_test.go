package registry_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/policy/registry"
	"dbtier/policy/ruletest"
)

// BenchmarkPack runs every rule on stacks of different sizes. The time per resource should not depend on the size.
func BenchmarkPack(b *testing.B) {
	for _, count := range []int{50, 500, 5000} {
		b.Run(strconv.Itoa(count), func(b *testing.B) {
			run := ruletest.NewRun(b, registry.All(), ruletest.Many(b, goldenProd, count))
			b.ReportAllocs()
			for b.Loop() {
				run.Do(b)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(count), "µs/resource")
		})
	}
}

// TestWorkGrowsWithTheStackAndNotItsSquare counts allocations, because they do not depend on the machine.
func TestWorkGrowsWithTheStackAndNotItsSquare(t *testing.T) {
	of := func(count int) float64 {
		run := ruletest.NewRun(t, registry.All(), ruletest.Many(t, goldenProd, count))
		return testing.AllocsPerRun(1, func() { run.Do(t) })
	}
	few, many := of(400), of(4000)
	assert.Less(t, many, few*12, "%v allocations for 400 resources, %v for 4000", few, many)
}
