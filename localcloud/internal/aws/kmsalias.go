package aws

import (
	"context"
	"net/http"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation"
)

type aliasInputs struct {
	Name   *string `json:"name"`
	Target *string `json:"targetKeyId"`
}

func (in aliasInputs) target(st *state, region string, f *faults) *kmsKey {
	k := st.findKey(region, or(in.Target, ""))
	if k == nil || strings.HasPrefix(or(in.Target, ""), "alias/") {
		f.add("NotFoundException", "targetKeyId", "%q: no such key", or(in.Target, ""))
		return &kmsKey{}
	}
	if k.DeletionDate != nil {
		f.add("KMSInvalidStateException", "targetKeyId", "%s is pending deletion.", k.arn())
	}
	return k
}

func createAlias(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[aliasInputs](r.Inputs, namePrefixRefused, f)
	name := or(in.Name, "")
	switch {
	case !validation.KeyAlias.Matches(name):
		f.add("ValidationException", "name", "%q: must be alias/ and 1 to 250 of letters, digits, / _ -", name)
	case strings.HasPrefix(name, "alias/aws/"):
		f.add("NotAuthorizedException", "name", "%q: aliases that begin with alias/aws/ are reserved for AWS", name)
	}
	return c.changed(func(st *state) (*resource, error) {
		k := in.target(st, r.Region, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		id := regional(r.Region, name)
		if old := st.Aliases[id]; old != nil && !old.Origin.adoptable(r.Name, r.Inputs) {
			return nil, wire.Errorf("AlreadyExistsException", "An alias with the name %s already exists", old.arn())
		}
		st.Aliases[id] = &kmsAlias{
			Region: r.Region, Name: name, KeyID: k.ID, Created: c.now(),
			Origin: &origin{r.Name, r.Inputs},
		}
		return st.Aliases[id].resource(st), nil
	})
}

func (a *kmsAlias) resource(st *state) *resource {
	target := ""
	if k := st.Keys[a.KeyID]; k != nil {
		target = k.arn()
	}
	return &resource{ID: a.Name, Inputs: echo(inputsOf(a.Origin), nil), Outputs: map[string]any{
		"arn": a.arn(), "name": a.Name, "targetKeyArn": target, "targetKeyId": a.KeyID,
	}}
}

func readAlias(c *Cloud, r resourceRequest) (*resource, error) {
	st := c.store.Read()
	a := st.Aliases[regional(r.Region, r.ID)]
	if a == nil {
		return nil, nil
	}
	return a.resource(st), nil
}

func updateAlias(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[aliasInputs](r.Inputs, namePrefixRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		a := st.Aliases[regional(r.Region, r.ID)]
		if a == nil {
			return nil, wire.Status(http.StatusNotFound, "NotFoundException", "Alias %s is not found.", r.ID)
		}
		k := in.target(st, r.Region, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		a.KeyID, a.Origin = k.ID, reinput(a.Origin, r.Inputs)
		return a.resource(st), nil
	})
}

func removeAlias(_ context.Context, c *Cloud, r resourceRequest) error {
	return c.store.Update(func(st *state) error {
		delete(st.Aliases, regional(r.Region, r.ID))
		return nil
	})
}
