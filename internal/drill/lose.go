package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"dbtier/components/contract"
)

// losable are the kinds of the tier's objects in the service's namespace that can be deleted by mistake. The namespace
// itself is protected, and Jobs are done.
var losable = []string{
	"configmaps", "deployments", "services", "serviceaccounts", "networkpolicies", "poddisruptionbudgets",
	"externalsecrets.external-secrets.io", "secretstores.external-secrets.io",
}

// loseObjects deletes an object of each kind and repairs the stack after each.
func (r *Runner) loseObjects(ctx context.Context) error {
	for _, kind := range losable {
		name, err := r.objectOf(ctx, kind)
		if err != nil {
			return err
		}
		if name == "" {
			r.noted("the stack has no %s", kind)
			continue
		}
		r.caused("%s is deleted", name)
		if _, err := r.kubectl(ctx, "delete", name, "--timeout=5m"); err != nil {
			return err
		}
		if err := r.Repair(ctx); err != nil {
			return fmt.Errorf("after %s was deleted: %w", name, err)
		}
		if _, err := r.kubectl(ctx, "get", name, "--output=name"); err != nil {
			return fmt.Errorf("the update has not made %s again: %w", name, err)
		}
		r.healed("%s is there again", name)
	}
	return nil
}

// objectOf returns the object of a kind whose loss hurts most: that of the pool, else the first one.
func (r *Runner) objectOf(ctx context.Context, kind string) (string, error) {
	// A namespace can hold other services.
	printed, err := r.kubectl(ctx, "get", kind, fmt.Sprintf("--selector=%s=%s,%s in (%s,%s)", contract.ManagedByLabel,
		contract.ManagedBy, contract.PartOfLabel, r.Target.Service, r.Target.PartOf), "--output=name")
	if err != nil {
		return "", err
	}
	names := slices.DeleteFunc(strings.Fields(printed), func(name string) bool {
		return strings.HasSuffix(name, "/"+r.recordName()) // the drill's own
	})
	slices.Sort(names)
	for _, name := range names {
		if r.Target.Pool != "" && strings.HasSuffix(name, "/"+r.Target.Pool) {
			return name, nil
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	return names[0], nil
}

func (r *Runner) repair(ctx context.Context) error { return r.Repair(ctx) }
