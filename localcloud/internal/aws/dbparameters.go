package aws

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation/rdsrules"
)

type parameterGroupInputs struct {
	Name        *string           `json:"name"`
	Description *string           `json:"description"`
	Family      *string           `json:"family"`
	Parameters  []parameterInputs `json:"parameters"`
	Skip        *bool             `json:"skipDestroy"`
	Tags        map[string]string `json:"tags"`
	TagsAll     map[string]string `json:"tagsAll"`
}

type parameterInputs struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Method string `json:"applyMethod"`
}

// modelledParameters are the parameters of RDS itself that the stand-in's databases follow.
var modelledParameters = []string{
	"rds.force_ssl", "rds.log_retention_period", "rds.logical_replication", "rds.rds_superuser_reserved_connections",
}

func (in parameterGroupInputs) merge(g *parameterGroup, f *faults) {
	g.Tags = in.Tags
	if err := checkTags(in.Tags); err != nil {
		f.add("InvalidParameterValue", "tags", "%v", err)
	}
	g.Parameters = map[string]parameter{}
	for _, p := range in.Parameters {
		name := strings.ToLower(p.Name)
		if _, twice := g.Parameters[name]; twice {
			f.add("InvalidParameterValue", "parameters", "%s: occurs twice", name)
		}
		for _, found := range rdsrules.CheckParameter(g.Family, name, p.Value, p.Method) {
			switch {
			case found.Unknown && strings.Contains(name, "."): // reported below
			case found.Unknown:
				f.add("InvalidParameterValue", "parameters", "Could not find parameter with name: %s", clip(name))
			case found.In == rdsrules.InMethod:
				f.add("InvalidParameterCombination", "parameters", "%s: apply method %q: "+
					"%s", name, p.Method, found.Reason)
			default:
				f.add("InvalidParameterValue", "parameters", "%s: %q: %s", name, clip(p.Value), found.Reason)
			}
		}
		if _, known := rdsrules.LookUpParameter(engineFamily, name); strings.Contains(name, ".") &&
			(!known || strings.HasPrefix(name, "rds.") && !slices.Contains(modelledParameters, name)) {
			f.notModelled("parameters", "the parameter %s", name)
			continue
		}
		method := p.Method
		if method == "" {
			method = rdsrules.Immediate
		}
		g.Parameters[name] = parameter{p.Value, method}
	}
}

func createParameterGroup(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[parameterGroupInputs](r.Inputs, namePrefixRefused, f)
	name := strings.ToLower(or(in.Name, ""))
	return c.changed(func(st *state) (*resource, error) {
		id := regional(r.Region, name)
		if old := st.ParameterGroups[id]; old != nil {
			if old.Origin.adoptable(r.Name, r.Inputs) {
				return old.resource(), nil
			}
			f.add("DBParameterGroupAlreadyExists", "name", "Parameter group %s already exists", name)
		}
		if err := rdsrules.CheckIdentifier(name, 255); err != nil {
			f.add("InvalidParameterValue", "name", "%q: %v", clip(name), err)
		}
		g := &parameterGroup{
			Region: r.Region, Name: name, Family: or(in.Family, ""),
			Description: or(in.Description, "Managed by Pulumi"),
			Origin:      &origin{r.Name, r.Inputs},
		}
		if !rdsrules.KnownFamily(g.Family) {
			f.add("InvalidParameterValue", "family", "ParameterGroupFamily %s is not a valid parameter group family",
				clip(g.Family))
		}
		in.merge(g, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		st.ParameterGroups[id] = g
		return g.resource(), nil
	})
}

func (g *parameterGroup) resource() *resource {
	inputs := inputsOf(g.Origin)
	list := []any{}
	for _, name := range sortedKeys(g.Parameters) {
		list = append(list, map[string]any{
			"name": name, "value": g.Parameters[name].Value, "applyMethod": g.reported(name),
		})
	}
	return &resource{ID: g.Name, Inputs: echo(inputs, nil), Outputs: echo(inputs, map[string]any{
		"arn": g.arn(), "name": g.Name, "family": g.Family, "description": g.Description, "parameters": list,
		"tags":    anyMap(g.Tags),
		"tagsAll": anyMap(g.Tags),
	})}
}

// reported returns the apply method with which RDS describes a parameter of the group.
func (g *parameterGroup) reported(name string) string {
	p := g.Parameters[name]
	return rdsrules.ReportedMethod(g.Family, name, p.Value, p.Method)
}

func readParameterGroup(c *Cloud, r resourceRequest) (*resource, error) {
	if g := c.store.Read().ParameterGroups[regional(r.Region, r.ID)]; g != nil {
		return g.resource(), nil
	}
	return nil, nil
}

// updateParameterGroup changes the group and the instances that use it. Parameters with the method immediate are
// applied now, the others at the next reboot.
func updateParameterGroup(ctx context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[parameterGroupInputs](r.Inputs, namePrefixRefused, f)
	var g *parameterGroup
	var users []string
	err := c.store.Update(func(st *state) error {
		if g = st.ParameterGroups[regional(r.Region, r.ID)]; g == nil {
			return wire.Status(http.StatusNotFound, "DBParameterGroupNotFound", "DBParameterGroup not found: %s",
				clip(r.ID))
		}
		if or(in.Family, g.Family) != g.Family || or(in.Description, g.Description) != g.Description {
			f.add("InvalidParameterValue", "family", "family and description of a parameter group cannot be changed")
		}
		in.merge(g, f)
		g.Origin = reinput(g.Origin, r.Inputs)
		for id, i := range st.Instances {
			if i.Region == r.Region && i.ParameterGroup == g.Name {
				users = append(users, id)
			}
		}
		return f.err()
	})
	if err != nil {
		return nil, err
	}
	for _, id := range users {
		if err := c.run(ctx, "apply parameters",
			func(ctx context.Context) error { return c.applyImmediateParameters(ctx, id) }); err != nil {
			return nil, err
		}
	}
	return g.resource(), nil
}

func removeParameterGroup(_ context.Context, c *Cloud, r resourceRequest) error {
	if skip, _ := r.Olds["skipDestroy"].(bool); skip {
		return nil
	}
	return c.store.Update(func(st *state) error {
		for _, i := range st.Instances {
			if i.Region == r.Region && i.ParameterGroup == r.ID {
				return wire.Errorf("InvalidDBParameterGroupState",
					"One or more database instances are still members of this parameter group %s, so the group "+
						"cannot be deleted", r.ID)
			}
		}
		delete(st.ParameterGroups, regional(r.Region, r.ID))
		return nil
	})
}

// localMemory are the parameters that RDS sizes by the class's memory. They are recorded and described but not passed
// to PostgreSQL, because the machine under the stand-in has another size.
var localMemory = map[string]bool{
	"shared_buffers": true, "effective_cache_size": true, "huge_pages": true, "wal_buffers": true,
	"maintenance_work_mem": true, "autovacuum_work_mem": true, "min_dynamic_shared_memory": true,
}

// forEngine turns a group's parameters into those that PostgreSQL gets, with formulas evaluated for the class. It
// leaves out max_connections, which [rdsrules.MaxConnections] returns.
func forEngine(class string, group map[string]string) (map[string]string, error) {
	gib, _ := rdsrules.ClassMemory(class)
	out := map[string]string{}
	if value, ok := rdsrules.SystemDefault(engineFamily, "rds.force_ssl"); ok {
		out["rds.force_ssl"] = value
	}
	for name, value := range group {
		name = strings.ToLower(name)
		if name == "max_connections" || localMemory[name] {
			continue
		}
		if p, ok := rdsrules.LookUpParameter(engineFamily, name); ok && (p.Type == "integer" || p.Type == "real") &&
			strings.Contains(value, "{") {
			n, err := rdsrules.EvaluateFormula(value, rdsrules.ClassMemoryVariable(gib))
			if err != nil {
				return nil, fmt.Errorf("parameter %s: %w", name, err)
			}
			value = strconv.FormatInt(n, 10)
		}
		out[name] = value
	}
	return out, nil
}

// groupValues are the values that an instance's parameter group sets.
func (st *state) groupValues(i *dbInstance) map[string]string {
	if g := st.ParameterGroups[regional(i.Region, i.ParameterGroup)]; g != nil {
		return g.values()
	}
	return map[string]string{}
}

// desired returns what an instance should run with, by its class and parameter group.
func (st *state) desired(i *dbInstance) (applied, error) {
	group := st.groupValues(i)
	connections, err := rdsrules.MaxConnections(i.Class, group["max_connections"])
	if err != nil {
		return applied{}, err
	}
	params, err := forEngine(i.Class, group)
	return applied{MaxConnections: connections, Parameters: params}, err
}

// parameterStatus returns ParameterApplyStatus, which tells whether a reboot is required.
func (st *state) parameterStatus(i *dbInstance) string {
	want, err := st.desired(i)
	if err == nil && want.MaxConnections == i.Applied.MaxConnections &&
		maps.Equal(want.Parameters, i.Applied.Parameters) {
		return "in-sync"
	}
	return "pending-reboot"
}

// applyImmediateParameters applies the changed parameters whose method is immediate. The others keep their applied
// values until the reboot.
func (c *Cloud) applyImmediateParameters(ctx context.Context, id string) error {
	defer c.locks.lock("db " + id)()
	i := c.store.Read().Instances[id]
	if i == nil || i.Status == statusCreating || i.Deleting != nil || i.broken() {
		return nil
	}
	return c.applyImmediate(ctx, id)
}

// applyImmediate does so for an instance that runs. The caller holds its lock.
func (c *Cloud) applyImmediate(ctx context.Context, id string) error {
	st := c.store.Read()
	i := st.Instances[id]
	want, err := st.desired(i)
	if err != nil {
		return err
	}
	group := st.ParameterGroups[regional(i.Region, i.ParameterGroup)]
	next := applied{MaxConnections: i.Applied.MaxConnections, Parameters: maps.Clone(i.Applied.Parameters)}
	for name := range mergedKeys(want.Parameters, i.Applied.Parameters) {
		p, _ := rdsrules.LookUpParameter(engineFamily, name)
		method := rdsrules.Immediate
		if group != nil {
			if set, ok := group.Parameters[name]; ok {
				method = set.Method
			}
		}
		if p.ApplyType == rdsrules.Static || method != rdsrules.Immediate {
			continue
		}
		if value, ok := want.Parameters[name]; ok {
			next.Parameters[name] = value
		} else {
			delete(next.Parameters, name) // reset to the default
		}
	}
	if maps.Equal(next.Parameters, i.Applied.Parameters) {
		return nil
	}
	if err := c.cfg.RDS.Apply(ctx, i.Identifier, next.MaxConnections, next.Parameters); err != nil {
		return engineError("apply the parameters of", i.Identifier, err)
	}
	return c.changeInstance(id, func(_ *state, i *dbInstance) error { i.Applied = next; return nil })
}

func mergedKeys(a, b map[string]string) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}
