package stackwide

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dbtier/budget"
	"dbtier/policy/internal/pgini"
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// connections returns the rule that adds up the connections to a database.
func connections() []*rule.Rule {
	return []*rule.Rule{{
		Name: "connections-fit", Severity: rule.High, Levels: rule.Always,
		Summary: "The connections that pools and Jobs can open together fit into the database's max_connections.",
		Why:     "The first connection over the limit fails, and it may be the migration's or the on-call engineer's.",
		Fix:     "lower the pools' sizes, or use a larger instance class",
		Knobs: []rule.Knob{{
			Name: "directConnections", Default: 1.0,
			Description: "Number of connections that a pod opens if it connects to the database itself.",
		}},
		IDs: []string{"gap:pool-budget"},
		Types: slices.Concat([]string{
			types.DBInstance, types.DBParameterGroup, types.DBProxyTarget, types.DBProxyTargetGroup,
		}, pgini.Types(), types.Workloads()),
		Stack: connectionsFit,
	}}
}

func connectionsFit(s *rule.Stack) {
	databases := s.All(types.DBInstance)
	if len(databases) == 0 {
		return
	}
	holders, parameters, proxies := holdersOf(s), parametersOf(s), proxiesOf(s)
	for _, database := range databases {
		var read rule.Reader
		b := budget.Budget{Class: read.Text(database.Get("instanceClass"), "")}
		b.MaxConnections = maxConnections(&read, parameters, database)
		if !read.OK() || b.Class == "" {
			continue
		}
		if len(databases) == 1 {
			// The address may be unknown, but with a single instance all holders connect to it.
			for _, address := range slices.Sorted(maps.Keys(holders)) {
				b.Holders = append(b.Holders, holders[address]...)
			}
		} else if address, ok := database.Get("address").Text(""); ok {
			b.Holders = slices.Concat(holders[""], holders[address])
		} else {
			continue
		}
		if identifier, ok := database.Get("identifier").Text(""); ok {
			b.Holders = append(b.Holders, proxies[identifier]...)
		}
		if len(b.Holders) > 0 {
			report(database, b.Check())
		}
	}
}

func report(database *rule.Subject, err error) {
	var exceeded *budget.ExceededError
	switch {
	case err == nil:
	case errors.As(err, &exceeded):
		fixes := strings.ReplaceAll(strings.Join(exceeded.Fixes, ", or "), "database.instanceClass", "instanceClass")
		if fixes == "" {
			fixes = "another design only: no single change is enough"
		}
		database.Fail("there is room for %d connections, and %d can be open at once\n  %s\n  it fits with %s",
			exceeded.Limit, exceeded.Most, strings.Join(exceeded.Lines, "\n  "), fixes)
	default:
		database.Fail("%s", err)
	}
}

// proxiesOf returns the connections that RDS Proxies can open, by the identifier of their instance.
func proxiesOf(s *rule.Stack) map[string][]budget.Holder {
	percent := map[string]int{}
	for _, group := range s.All(types.DBProxyTargetGroup) {
		var read rule.Reader
		name := read.Text(group.Get("dbProxyName"), "")
		// The default of RDS is 100.
		most := read.Number(group.Get("connectionPoolConfig", "maxConnectionsPercent"), 100)
		if read.OK() {
			percent[name] = int(most)
		}
	}
	found := map[string][]budget.Holder{}
	for _, target := range s.All(types.DBProxyTarget) {
		var read rule.Reader
		name := read.Text(target.Get("dbProxyName"), "")
		identifier := read.Text(target.Get("dbInstanceIdentifier"), "")
		if read.OK() && percent[name] > 0 {
			found[identifier] = append(found[identifier],
				budget.Holder{Name: "proxy " + name, Setting: "maxConnectionsPercent", Percent: percent[name]})
		}
	}
	return found
}

// parametersOf returns the parameter groups by name.
func parametersOf(s *rule.Stack) map[string]*rule.Subject {
	found := map[string]*rule.Subject{}
	for _, parameters := range s.All(types.DBParameterGroup) {
		if name, ok := parameters.Get("name").Text(""); ok {
			found[name] = parameters
		}
	}
	return found
}

// maxConnections returns the parameter in the instance's group, or 0 if the class determines it.
func maxConnections(read *rule.Reader, groups map[string]*rule.Subject, database *rule.Subject) int {
	group := groups[read.Text(database.Get("parameterGroupName"), "")]
	if group == nil {
		return 0
	}
	for _, parameter := range read.Items(group.Get("parameters")) {
		if read.Text(parameter.Get("name"), "") != "max_connections" {
			continue
		}
		if number, err := strconv.Atoi(read.Text(parameter.Get("value"), "")); err == nil {
			return number
		}
		break
	}
	return 0
}

// holdersOf returns the pools, and the pods that connect to a database itself, by the database's address. The address
// is "" if it is unknown.
func holdersOf(s *rule.Stack) map[string][]budget.Holder {
	_, in := workloads(s, types.Workloads())
	found := map[string][]budget.Holder{}
	for _, subject := range s.All(pgini.Types()...) {
		for _, config := range pgini.Find(subject) {
			addPool(found, config, in)
		}
	}
	all, _ := secretsOf(s)
	for _, created := range all {
		if !created.direct() {
			continue
		}
		for _, w := range in[created.namespace] {
			if count, ok := w.replicas(); ok && w.reads(created.name) {
				found[created.hosts[0]] = append(found[created.hosts[0]], budget.Holder{
					Name: w.Name(), Instances: int(count), Value: int(s.Number("directConnections")),
					Rolling: w.Type() == types.Deployment,
				})
			}
		}
	}
	return found
}

// addPool adds the pools that run with a configuration.
func addPool(found map[string][]budget.Holder, config pgini.Config, in map[string][]*workload) {
	pools := map[string][]budget.Holder{}
	for _, name := range slices.Sorted(maps.Keys(config.Databases)) {
		connection := config.Databases[name]
		host, _ := pgini.Parameter(connection, "host")
		pool := poolOf(config, connection)
		same := slices.IndexFunc(pools[host], func(h budget.Holder) bool {
			return h.Setting == pool.Setting && h.Value == pool.Value && h.Reserve == pool.Reserve
		})
		if same >= 0 {
			pools[host][same].Pairs++
		} else {
			pools[host] = append(pools[host], pool)
		}
	}
	for _, w := range poolsOf(config, in) {
		count, ok := w.replicas()
		if !ok || !w.server() {
			continue
		}
		for host, of := range pools {
			for _, pool := range of {
				pool.Name, pool.Instances, pool.Rolling = "pool "+w.Name(), int(count), w.Type() == types.Deployment
				found[host] = append(found[host], pool)
			}
		}
	}
}

// poolOf returns the server connections of one line of the section databases.
func poolOf(config pgini.Config, connection string) budget.Holder {
	number := func(setting, parameter string, otherwise int) int {
		if text, ok := pgini.Parameter(connection, parameter); ok {
			if n, err := strconv.Atoi(text); err == nil {
				return n
			}
		}
		return config.Number(setting, otherwise)
	}
	if bound := number("max_db_connections", "max_db_connections", 0); bound > 0 {
		return budget.Holder{Setting: "max_db_connections", Value: bound, Pairs: 1}
	}
	return budget.Holder{
		Setting: "default_pool_size", Value: number("default_pool_size", "pool_size", 20),
		Reserve: number("reserve_pool_size", "reserve_pool_size", 0), Pairs: 1,
	}
}
