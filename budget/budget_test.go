package budget_test

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/budget"
)

func TestRDSFormulaGivesThePublishedNumbers(t *testing.T) {
	for class, want := range map[string]int{
		"db.t4g.micro": 112, "db.t4g.small": 225, "db.t4g.medium": 450, "db.t4g.large": 901, "db.t4g.2xlarge": 3604,
		"db.m6g.large": 901, "db.m6g.xlarge": 1802, "db.r6g.large": 1802, "db.m6g.4xlarge": 5000,
		"db.x2iedn.32xlarge": 5000, "db.r4.large": 1717,
	} {
		n, known := budget.MaxConnections(class)
		require.True(t, known, class)
		assert.Equal(t, want, n, class)
	}
	for _, class := range []string{
		"", "db.m6g", "m6g.large", "db.m6g.micro", "db.m99.large", "db.m6g.large.tpc2",
		"db.m6g.-1xlarge",
	} {
		_, known := budget.MaxConnections(class)
		assert.False(t, known, class)
	}
}

func pool(size int) budget.Holder {
	return budget.Holder{
		Name: "pool pgbouncer", Instances: 2, Setting: "pool.defaultPoolSize", Value: size,
		Rolling: true,
	}
}

func migration(n int) budget.Holder {
	return budget.Holder{Name: "migration", Instances: 1, Setting: "migration.connections", Value: n}
}

func TestWhatFitsIsNoFault(t *testing.T) {
	for _, b := range []budget.Budget{
		{Class: "db.t4g.medium", Holders: []budget.Holder{pool(20), migration(5)}},
		{Class: "db.m99.large", MaxConnections: 200, Holders: []budget.Holder{pool(20), migration(5)}},
		{Class: "db.t4g.micro"},
	} {
		require.NoError(t, b.Check(), b.Class)
	}
	atTheLimit := budget.Budget{Class: "db.t4g.micro", Holders: []budget.Holder{migration(78)}}
	limit, known := atTheLimit.Limit()
	assert.True(t, known)
	assert.Equal(t, 78, limit, "112 × 0.92 = 103, less 5, four fifths of it")
	require.NoError(t, atTheLimit.Check())
	atTheLimit.Holders = append(atTheLimit.Holders, migration(1))
	assert.Error(t, atTheLimit.Check(), "one more")
}

func TestTooManyConnectionsShowTheSumAndTheSmallestChangesThatFit(t *testing.T) {
	tight := pool(20)
	tight.Reserve, tight.Pairs = 5, 2
	b := budget.Budget{
		Class:   "db.t4g.micro",
		Holders: []budget.Holder{tight, migration(2), {Name: "direct client reports", Instances: 1, Value: 3}},
	}
	require.EqualError(t, b.Check(), `has room for 78 connections, and 205 can be open at once
  db.t4g.micro has 1 GiB, which makes max_connections 112 at most and about 103 after the system's share; less 5 reserved ones, and 0.8 of the rest for the tier: 78
  pool pgbouncer: 2 replicas × 2 pairs of user and database × (20 + 5 in reserve) × 2 (old and new pods of an update) = 200
  migration: 2 = 2
  direct client reports: 3 = 3
  together 205, which is 127 too many
  it fits with pool.defaultPoolSize 4, or with database.instanceClass db.t4g.medium`)

	fixed := budget.Budget{Class: "db.m99.large", MaxConnections: 100, Holders: []budget.Holder{pool(20)}}
	require.ErrorContains(t, fixed.Check(), "max_connections is set to 100; less 5 reserved ones")
	require.ErrorContains(t, fixed.Check(), "it fits with pool.defaultPoolSize 19")

	hopeless := budget.Budget{
		Class:   "db.t4g.micro",
		Holders: []budget.Holder{{Name: "everyone", Instances: 9000, Value: 1}},
	}
	require.ErrorContains(t, hopeless.Check(), "no single change fits")
	assert.EqualError(t, (&budget.Budget{Class: "db.m99.large"}).Check(),
		"how many connections db.m99.large takes is not known here: set the parameter max_connections to a number, "+
			"with applyMethod pending-reboot")
}

func proxy(percent int) budget.Holder {
	return budget.Holder{Name: "proxy myshop", Setting: "proxy.maxConnectionsPercent", Percent: percent}
}

// RDS Proxy's share grows with the instance, so a larger one makes room only as fast as the share leaves some.
func TestAShareOfTheConnectionsIsCountedWithWhatTheInstanceTakes(t *testing.T) {
	b := budget.Budget{Class: "db.t4g.micro", Holders: []budget.Holder{proxy(60), migration(5)}}
	require.NoError(t, b.Check())
	assert.Equal(t, 62+5, b.Most(), "60 % of 103, rounded up")

	b.Holders[0] = proxy(75)
	require.EqualError(t, b.Check(), `has room for 78 connections, and 83 can be open at once
  db.t4g.micro has 1 GiB, which makes max_connections 112 at most and about 103 after the system's share; less 5 reserved ones, and 0.8 of the rest for the tier: 78
  proxy myshop: 75 % of 103 = 78
  migration: 5 = 5
  together 83, which is 5 too many
  it fits with proxy.maxConnectionsPercent 70, or with database.instanceClass db.t4g.small`)

	b = budget.Budget{MaxConnections: 200, Holders: []budget.Holder{proxy(100)}}
	require.ErrorContains(t, b.Check(), "proxy myshop: 100 % of 200 = 200")
	require.ErrorContains(t, b.Check(), "it fits with proxy.maxConnectionsPercent 78")
	greedy := budget.Budget{Class: "db.t4g.micro", Holders: []budget.Holder{proxy(90)}}
	require.ErrorContains(t, greedy.Check(), "it fits with proxy.maxConnectionsPercent 75")
	assert.NotContains(t, greedy.Check().Error(), "instanceClass", "no class has room for nine tenths of its own limit")
	assert.Zero(t, (&budget.Budget{Class: "db.m99.large", Holders: []budget.Holder{proxy(60)}}).Most())
}

var suggestion = regexp.MustCompile(`(pool\.defaultPoolSize|database\.instanceClass) (\S+?)(,|$)`)

// Whatever is suggested fits, and the next larger number does not.
func FuzzEverySuggestionFits(f *testing.F) {
	f.Add(2, 20, 0, 1, 5, 0)
	f.Add(9, 300, 40, 4, 2, 1)
	classes := []string{"db.t4g.micro", "db.m6g.large", "db.r7i.48xlarge", "db.z1d.large", "db.m4.large"}
	f.Fuzz(func(t *testing.T, replicas, size, reserve, pairs, migrations, class int) {
		bounded := func(n, most int) int { return (n%most + most) % most }
		p := pool(bounded(size, 5000) + 1)
		p.Instances, p.Reserve, p.Pairs = bounded(replicas, 50)+1, bounded(reserve, 100), bounded(pairs, 5)
		b := budget.Budget{
			Class:   classes[bounded(class, len(classes))],
			Holders: []budget.Holder{p, migration(bounded(migrations, 100))},
		}
		err := b.Check()
		if err == nil {
			limit, _ := b.Limit()
			assert.LessOrEqual(t, b.Most(), limit)
			return
		}
		for _, found := range suggestion.FindAllStringSubmatch(err.Error(), -1) {
			changed := b
			if found[1] == "database.instanceClass" {
				changed.Class = found[2]
				require.NoError(t, changed.Check(), found[0])
				continue
			}
			value, bad := strconv.Atoi(found[2])
			require.NoError(t, bad)
			for added, fits := range []bool{true, false} {
				lower := p
				lower.Value = value + added
				changed.Holders = []budget.Holder{lower, b.Holders[1]}
				assert.Equal(t, fits, changed.Check() == nil, fmt.Sprint(found[0], " + ", added))
			}
		}
	})
}
