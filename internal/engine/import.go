package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

// Existing is a real resource that the state does not have.
type Existing struct {
	// Type is the resource's type token, Name its name in the program, ID its id at the provider.
	Type, Name, ID string
	// Parent and Provider are URNs. Without a parent, both are those that the program gives the resource.
	Parent, Provider string
}

// Import adds an existing resource to the state, as its provider reads it. It creates the components and the provider
// that the resource belongs to if the state has none yet; neither is anything in the cloud. The CLI's own import needs
// a language plugin to write a program.
func (r *Run) Import(ctx context.Context, e Existing, o Options) (err error) {
	defer func() { err = failed(err) }()
	if err := r.refuseKnown(ctx, e, ""); err != nil {
		return err
	}
	if e.Parent == "" {
		if err := r.locate(ctx, &e, o); err != nil {
			return err
		}
	}
	before, err := r.cli(ctx, "stack", "export")
	if err != nil {
		return err
	}
	d, err := readDeployment([]byte(before))
	if err != nil {
		return err
	}
	urn, err := r.add(d, e)
	if err != nil {
		return err
	}
	after, err := d.write()
	if err != nil {
		return err
	}
	if err := r.replaceState(ctx, after); err != nil {
		return err
	}
	o.Targets = []string{urn}
	result, err := r.Refresh(ctx, o)
	if err == nil {
		err = r.refuseKnown(ctx, e, urn)
	}
	if err != nil {
		// The resource could not be read, or is not a new one: the state gets back what it had.
		return errors.Join(err, r.replaceState(context.WithoutCancel(ctx), []byte(before)))
	}
	for _, step := range result.Steps {
		if step.URN == urn && step.Op == apitype.OpDelete {
			return fmt.Errorf("%s %s does not exist: nothing was imported", e.Type, e.ID)
		}
	}
	return nil
}

// refuseKnown returns an error if the state has the resource already, as another than the given one. A provider may
// know a resource by more than one id, so the state is asked before the resource is read and after.
func (r *Run) refuseKnown(ctx context.Context, e Existing, own string) error {
	state, err := r.State(ctx)
	if err != nil {
		return err
	}
	ids := []string{e.ID}
	for i := range state.Resources {
		if state.Resources[i].URN == own {
			ids = append(ids, state.Resources[i].ID)
		}
	}
	for i := range state.Resources {
		other := &state.Resources[i]
		if other.Type != e.Type || other.URN == own {
			continue
		}
		named := ""
		identify(other.Type, other.Inputs(), &named)
		if slices.Contains(ids, other.ID) || slices.Contains(ids, named) {
			return fmt.Errorf("the state already has %s %s, as %s: nothing was imported", e.Type, e.ID, other.URN)
		}
	}
	return nil
}

// locate finds the parent and the provider that the program gives a resource, and creates in the state what it lacks of
// them.
func (r *Run) locate(ctx context.Context, e *Existing, o Options) error {
	o.Progress.Quiet, o.Progress.Live = true, false
	result, err := r.Preview(ctx, o)
	if err != nil {
		return fmt.Errorf("the program must declare what is imported, but its preview fails: %w", err)
	}
	byURN := map[string]progress.Step{}
	var found []progress.Step
	var names []string
	for _, step := range result.Steps {
		byURN[step.URN] = step
		if step.Type != e.Type || step.Op == apitype.OpDelete {
			continue
		}
		names = append(names, step.Name)
		if step.Name == e.Name {
			found = append(found, step)
		}
	}
	switch {
	case len(found) == 0 && len(names) == 0:
		return fmt.Errorf("the program declares no %s, so the next update would delete what is imported: nothing was "+
			"imported; give the URN of a component with --parent to import it all the same", e.Type)
	case len(found) == 0:
		return fmt.Errorf("the program declares no %s named %s, but %s: nothing was imported", e.Type, e.Name,
			strings.Join(names, ", "))
	case len(found) > 1:
		return fmt.Errorf("the program declares several %s named %s: give the URN of the component with --parent",
			e.Type, e.Name)
	case found[0].Op != apitype.OpCreate:
		return fmt.Errorf("the state already has %s: nothing was imported", found[0].URN)
	}
	e.Parent = found[0].Parent
	if e.Provider == "" {
		e.Provider = found[0].Provider
	}
	var missing []string
	for urn := e.Parent; urn != ""; urn = byURN[urn].Parent {
		if byURN[urn].Op == apitype.OpCreate {
			missing = append(missing, urn)
		}
	}
	if byURN[e.Provider].Op == apitype.OpCreate {
		missing = append(missing, e.Provider)
	}
	if len(missing) == 0 {
		return nil
	}
	o.Targets = missing
	if _, err := r.Up(ctx, o); err != nil {
		return fmt.Errorf("adding the provider and the components of %s to the state: %w", e.Name, err)
	}
	return nil
}

// Forget removes a resource from the state, by name or URN, and leaves the real one alone. It undoes an import.
func (r *Run) Forget(ctx context.Context, name string) (urn string, err error) {
	defer func() { err = failed(err) }()
	state, err := r.State(ctx)
	if err != nil {
		return "", err
	}
	var found []string
	for i := range state.Resources {
		if has := &state.Resources[i]; progress.Matches(has.URN, name) && has.ID != "" {
			found = append(found, has.URN)
		}
	}
	switch {
	case len(found) == 0:
		return "", fmt.Errorf("the state has no resource %s", name)
	case len(found) > 1:
		return "", fmt.Errorf("the state has several resources %s: give the URN: %s", name, strings.Join(found, ", "))
	}
	if _, err := r.cli(ctx, "state", "delete", found[0], "--yes"); err != nil {
		return "", err
	}
	return found[0], nil
}

// add adds a resource to the deployment with nothing but its id, and returns its URN.
func (r *Run) add(d *deployment, e Existing) (urn string, err error) {
	stack, project := tokens.QName(r.config.Stack.Name), tokens.PackageName(r.config.Project.Name)
	root := resource.NewURN(stack, project, "", stackType, r.config.Project.Name+"-"+r.config.Stack.Name)
	parent, parentType := string(root), tokens.Type("")
	if e.Parent != "" {
		parent = e.Parent
	}
	if p := resource.URN(parent); p != root && p.IsValid() {
		parentType = p.QualifiedType()
	}
	urn = string(resource.NewURN(stack, project, parentType, tokens.Type(e.Type), e.Name))
	kind := "pulumi:providers:" + strings.SplitN(e.Type, ":", 2)[0]
	var providers []string
	hasParent := false
	for _, raw := range d.resources {
		var other stackstate.Resource
		if err := json.Unmarshal(raw, &other); err != nil {
			return "", fmt.Errorf("reading a resource of the state: %w", err)
		}
		switch {
		case other.URN == urn && !other.Delete:
			return "", fmt.Errorf("the state already has %s", urn)
		case other.Type == kind && (e.Provider == "" || other.URN == e.Provider):
			providers = append(providers, other.URN+"::"+other.ID)
		}
		hasParent = hasParent || other.URN == parent
	}
	switch {
	case !hasParent:
		return "", fmt.Errorf("--parent %s: the state has no such resource; preview --json shows the URNs", parent)
	case len(providers) == 0:
		return "", fmt.Errorf("the state has no provider that can read %s: bring the stack up first, or give the "+
			"provider's URN with --provider", e.Type)
	case len(providers) > 1:
		return "", fmt.Errorf("the state has several providers that can read %s: choose one with --provider: %s",
			e.Type,
			strings.Join(providers, ", "))
	}
	text, err := json.Marshal(map[string]any{
		"urn": urn, "custom": true, "id": e.ID, "type": e.Type, "parent": parent, "provider": providers[0],
		"inputs": map[string]any{}, "outputs": map[string]any{},
	})
	if err != nil {
		return "", fmt.Errorf("writing the resource: %w", err)
	}
	d.resources = append(d.resources, text)
	return urn, nil
}
