package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"

	"dbtier/internal/stackstate"
)

// Existing is a real resource that the state does not have.
type Existing struct {
	// Type is the resource's type token, Name its name in the program, ID its id at the provider.
	Type, Name, ID string
	// Parent and Provider are URNs. Without them the resource has no parent, and the only provider of its package.
	Parent, Provider string
}

// Import adds an existing resource to the state, as its provider reads it. The CLI's own import needs a language plugin
// to write a program.
func (r *Run) Import(ctx context.Context, e Existing, o Options) (err error) {
	defer func() { err = failed(err) }()
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
	if err != nil {
		// The resource could not be read, so the state gets back what it had.
		return errors.Join(err, r.replaceState(context.WithoutCancel(ctx), []byte(before)))
	}
	for _, step := range result.Steps {
		if step.URN == urn && step.Op == apitype.OpDelete {
			return fmt.Errorf("%s %s does not exist: nothing was imported", e.Type, e.ID)
		}
	}
	return nil
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
