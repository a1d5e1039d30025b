package aws

import (
	"net/http"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation/rdsrules"
)

// filters reads Filters.Filter.N.Name and .Values.Value.M.
func filters(p *wire.Params) map[string][]string {
	out := map[string][]string{}
	for n := range p.Count("Filters.Filter") {
		at := member("Filters.Filter", n)
		name := p.String(at + ".Name")
		out[name] = append(out[name], p.Strings(at+".Values.Value")...)
	}
	return out
}

// rdsPage cuts a page out of a list, by the paging parameters that RDS's describe actions share.
func rdsPage[T any](p *wire.Params, all []T, id func(T) string) (page []T, next string, err error) {
	limit := p.Int("MaxRecords", 100)
	marker := p.String("Marker")
	if err := p.Check(); err != nil {
		return nil, "", err
	}
	if limit < 20 || limit > 100 {
		return nil, "", wire.Errorf(codeInvalidValue, "Invalid value %d for MaxRecords. Must be between 20 and 100",
			limit)
	}
	return paginate(rdsPaging, all, limit, 100, marker, id)
}

func (k *call) describeDBInstances(p *wire.Params) (any, error) {
	identifier := p.String("DBInstanceIdentifier")
	want := filters(p)
	var all []*dbInstance
	if identifier != "" && !strings.HasPrefix(identifier, "arn:") {
		_, i, err := k.instance("DescribeDBInstances", identifier)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	} else {
		if err := k.allowRDS("DescribeDBInstances", "db", ""); err != nil {
			return nil, err
		}
		for _, id := range sortedKeys(k.st.Instances) {
			if i := k.st.Instances[id]; i.Region == k.region && (identifier == "" || identifier == i.arn()) {
				all = append(all, i)
			}
		}
		if identifier != "" && len(all) == 0 {
			return nil, errNoInstance(identifier)
		}
	}
	for name, values := range want {
		of := map[string]func(*dbInstance) []string{
			"db-instance-id":  func(i *dbInstance) []string { return []string{i.Identifier, i.arn()} },
			"dbi-resource-id": func(i *dbInstance) []string { return []string{i.ResourceID} },
			"engine":          func(*dbInstance) []string { return []string{"postgres"} },
		}[name]
		if of == nil {
			return nil, wire.NotModelled("the filter %q of DescribeDBInstances", clip(name))
		}
		all = slices.DeleteFunc(all, func(i *dbInstance) bool {
			return !slices.ContainsFunc(of(i), func(v string) bool { return slices.Contains(values, v) })
		})
	}
	page, next, err := rdsPage(p, all, func(i *dbInstance) string { return i.Identifier })
	if err != nil {
		return nil, err
	}
	out := struct {
		Marker      string        `xml:",omitempty"`
		DBInstances []xmlInstance `xml:"DBInstances>DBInstance"`
	}{Marker: next}
	for _, i := range page {
		out.DBInstances = append(out.DBInstances, i.xml(k.st))
	}
	return out, nil
}

func (k *call) describeDBSnapshots(p *wire.Params) (any, error) {
	snapshot, instance, kind := strings.ToLower(p.String("DBSnapshotIdentifier")),
		strings.ToLower(p.String("DBInstanceIdentifier")), p.String("SnapshotType")
	if err := k.allowRDS("DescribeDBSnapshots", "snapshot", snapshot); err != nil {
		return nil, err
	}
	var all []*dbSnapshot
	for _, id := range sortedKeys(k.st.Snapshots) {
		s := k.st.Snapshots[id]
		if s.Region == k.region && (snapshot == "" || s.Identifier == snapshot) &&
			(instance == "" || s.Instance == instance) &&
			(kind == "" || s.Type == kind) {
			all = append(all, s)
		}
	}
	if snapshot != "" && len(all) == 0 {
		return nil, errNoSnapshot(snapshot)
	}
	page, next, err := rdsPage(p, all, func(s *dbSnapshot) string { return s.Identifier })
	if err != nil {
		return nil, err
	}
	out := struct {
		Marker      string        `xml:",omitempty"`
		DBSnapshots []xmlSnapshot `xml:"DBSnapshots>DBSnapshot"`
	}{Marker: next}
	for _, s := range page {
		out.DBSnapshots = append(out.DBSnapshots, s.xml())
	}
	return out, nil
}

// describeDBParameters lists the parameters that a group sets (source "user"). Without a source, it also lists those
// that a group could set.
func (k *call) describeDBParameters(p *wire.Params) (any, error) {
	name, source := strings.ToLower(p.Required("DBParameterGroupName")), p.String("Source")
	if err := k.allowRDS("DescribeDBParameters", "pg", name); err != nil {
		return nil, err
	}
	g := k.st.ParameterGroups[regional(k.region, name)]
	if g == nil {
		if name != "default."+engineFamily {
			return nil, wire.Status(http.StatusNotFound, "DBParameterGroupNotFound", "DBParameterGroup not found: %s",
				clip(name))
		}
		g = &parameterGroup{Family: engineFamily}
	}
	var all []xmlParameter
	for _, known := range rdsrules.ParameterNames(g.Family) {
		def, _ := rdsrules.LookUpParameter(g.Family, known)
		x := xmlParameter{
			ParameterName: known, Source: "engine-default", ApplyType: def.ApplyType, DataType: def.Type,
			IsModifiable: !def.Locked,
			ApplyMethod:  rdsrules.PendingReboot,
		}
		switch {
		case def.Min != "":
			x.AllowedValues = def.Min + "-" + def.Max
		case def.Type == "boolean":
			x.AllowedValues = "0,1"
		default:
			x.AllowedValues = strings.Join(def.Values, ",")
		}
		system, ok := rdsrules.SystemDefault(g.Family, known)
		if ok {
			x.ParameterValue, x.Source = system, "system"
		}
		// A value that RDS sets itself stays RDS's, also where a group sets it.
		if v, set := g.Parameters[known]; set && (!ok || v.Value != system) {
			x.ParameterValue, x.Source, x.ApplyMethod = v.Value, "user", g.reported(known)
		}
		if source == "" || source == x.Source {
			all = append(all, x)
		}
	}
	page, next, err := rdsPage(p, all, func(x xmlParameter) string { return x.ParameterName })
	if err != nil {
		return nil, err
	}
	return struct {
		Marker     string         `xml:",omitempty"`
		Parameters []xmlParameter `xml:"Parameters>Parameter"`
	}{next, page}, nil
}

func (k *call) describeDBParameterGroups(p *wire.Params) (any, error) {
	name := strings.ToLower(p.String("DBParameterGroupName"))
	if err := k.allowRDS("DescribeDBParameterGroups", "pg", name); err != nil {
		return nil, err
	}
	type group struct{ DBParameterGroupName, DBParameterGroupFamily, Description, DBParameterGroupArn string }
	var all []group
	for _, id := range sortedKeys(k.st.ParameterGroups) {
		if g := k.st.ParameterGroups[id]; g.Region == k.region && (name == "" || g.Name == name) {
			all = append(all, group{g.Name, g.Family, g.Description, g.arn()})
		}
	}
	if name != "" && len(all) == 0 {
		return nil, wire.Status(http.StatusNotFound, "DBParameterGroupNotFound", "DBParameterGroup not found: %s",
			clip(name))
	}
	page, next, err := rdsPage(p, all, func(g group) string { return g.DBParameterGroupName })
	if err != nil {
		return nil, err
	}
	return struct {
		Marker            string  `xml:",omitempty"`
		DBParameterGroups []group `xml:"DBParameterGroups>DBParameterGroup"`
	}{next, page}, nil
}

func (k *call) describeDBSubnetGroups(p *wire.Params) (any, error) {
	name := strings.ToLower(p.String("DBSubnetGroupName"))
	if err := k.allowRDS("DescribeDBSubnetGroups", "subgrp", name); err != nil {
		return nil, err
	}
	var all []xmlSubnetGroup
	for _, id := range sortedKeys(k.st.SubnetGroups) {
		if g := k.st.SubnetGroups[id]; g.Region == k.region && (name == "" || g.Name == name) {
			all = append(all, g.xml())
		}
	}
	if name != "" && len(all) == 0 {
		return nil, wire.Status(http.StatusNotFound, "DBSubnetGroupNotFoundFault",
			"DB subnet group '%s' does not exist.", clip(name))
	}
	page, next, err := rdsPage(p, all, func(g xmlSubnetGroup) string { return g.DBSubnetGroupName })
	if err != nil {
		return nil, err
	}
	return struct {
		Marker         string           `xml:",omitempty"`
		DBSubnetGroups []xmlSubnetGroup `xml:"DBSubnetGroups>DBSubnetGroup"`
	}{next, page}, nil
}

func (k *call) listTagsForResource(p *wire.Params) (any, error) {
	arn := p.Required("ResourceName")
	if err := p.Check(); err != nil {
		return nil, err
	}
	parts := strings.SplitN(arn, ":", 7)
	named := len(parts) == 7 && parts[3] == k.region
	var tags map[string]string
	var keys func(iam.Context)
	if named {
		tags, keys = k.st.rdsResource(k.region, parts[5], parts[6])
	}
	err := k.allow("rds:ListTagsForResource", arn, keys)
	switch {
	case err != nil:
		return nil, err
	case !named:
		return nil, wire.Errorf(codeInvalidValue,
			"The specified resource name does not match an RDS resource in this region.")
	case keys == nil && parts[5] == "db":
		return nil, errNoInstance(parts[6])
	case keys == nil && parts[5] == "snapshot":
		return nil, errNoSnapshot(parts[6])
	case keys == nil:
		return nil, wire.Errorf(codeInvalidValue, "%s was not found", clip(arn))
	}
	return struct {
		TagList []xmlTag `xml:"TagList>Tag"`
	}{xmlTags(tags)}, nil
}
