package aws

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation"
)

type subnetGroupInputs struct {
	Name        *string           `json:"name"`
	Description *string           `json:"description"`
	Subnets     []string          `json:"subnetIds"`
	Tags        map[string]string `json:"tags"`
	TagsAll     map[string]string `json:"tagsAll"`
}

func (in subnetGroupInputs) merge(g *subnetGroup, f *faults) {
	g.Description, g.Subnets, g.Tags = or(in.Description, "Managed by Pulumi"), slices.Clone(in.Subnets), in.Tags
	slices.Sort(g.Subnets)
	g.Subnets = slices.Compact(g.Subnets)
	zones := map[string]bool{}
	for _, id := range g.Subnets {
		zone, ok := subnetZones[id]
		if !ok {
			f.add("InvalidSubnet", "subnetIds", "The subnet '%s' does not exist (the local account has %s)", clip(id),
				names(subnetZones))
		}
		zones[zone] = true
	}
	if len(zones) < 2 {
		f.add("DBSubnetGroupDoesNotCoverEnoughAZs", "subnetIds",
			"The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: %d. "+
				"Add subnets to cover at least 2 AZs.", len(zones))
	}
	if err := checkTags(in.Tags); err != nil {
		f.add("InvalidParameterValue", "tags", "%v", err)
	}
}

func createSubnetGroup(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[subnetGroupInputs](r.Inputs, namePrefixRefused, f)
	name := strings.ToLower(or(in.Name, ""))
	return c.changed(func(st *state) (*resource, error) {
		id := regional(r.Region, name)
		if old := st.SubnetGroups[id]; old != nil {
			if old.Origin.adoptable(r.Name, r.Inputs) {
				return old.resource(), nil
			}
			f.add("DBSubnetGroupAlreadyExists", "name", "The DB subnet group '%s' already exists.", name)
		}
		if !validation.DBSubnetGroup.Matches(name) || name == "default" {
			f.add("InvalidParameterValue", "name",
				"%q: must be 1 to 255 letters, digits, hyphens, underscores, periods and spaces, and not default",
				clip(name))
		}
		g := &subnetGroup{Region: r.Region, Name: name, Origin: &origin{r.Name, r.Inputs}}
		in.merge(g, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		st.SubnetGroups[id] = g
		return g.resource(), nil
	})
}

func (g *subnetGroup) resource() *resource {
	inputs := inputsOf(g.Origin)
	return &resource{ID: g.Name, Inputs: echo(inputs, nil), Outputs: echo(inputs, map[string]any{
		"arn": g.arn(), "name": g.Name, "description": g.Description, "subnetIds": anyList(g.Subnets), "vpcId": VPCID,
		"supportedNetworkTypes": []any{"IPV4"}, "tags": anyMap(g.Tags), "tagsAll": anyMap(g.Tags),
	})}
}

func readSubnetGroup(c *Cloud, r resourceRequest) (*resource, error) {
	if g := c.store.Read().SubnetGroups[regional(r.Region, r.ID)]; g != nil {
		return g.resource(), nil
	}
	return nil, nil
}

func updateSubnetGroup(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[subnetGroupInputs](r.Inputs, namePrefixRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		g := st.SubnetGroups[regional(r.Region, r.ID)]
		if g == nil {
			return nil, wire.Status(http.StatusNotFound, "DBSubnetGroupNotFoundFault",
				"DB subnet group '%s' does not exist.", clip(r.ID))
		}
		in.merge(g, f)
		g.Origin = reinput(g.Origin, r.Inputs)
		return g.resource(), f.err()
	})
}

func removeSubnetGroup(_ context.Context, c *Cloud, r resourceRequest) error {
	return c.store.Update(func(st *state) error {
		for _, i := range st.Instances {
			if i.Region == r.Region && i.SubnetGroup == r.ID {
				return wire.Errorf("InvalidDBSubnetGroupStateFault",
					"Cannot delete the subnet group '%s' because at least one database instance: %s is still using it.",
					r.ID, i.Identifier)
			}
		}
		delete(st.SubnetGroups, regional(r.Region, r.ID))
		return nil
	})
}
