package driver

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"dbtier/config"
	"dbtier/internal/engine"
)

// Members of a plan's file that the engine ignores. The engine itself checks a plan step by step while it works,
// accepts some that are older than the state, and says of other settings only which inputs differ.
const (
	// madeFrom has the digest of the state that the plan was made from.
	madeFrom = "dbtier:state"
	// madeWith has a digest of each setting that the plan was made with.
	madeWith = "dbtier:settings"
)

// readPlan reads a plan of the engine.
func readPlan(file string) (map[string]json.RawMessage, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	var plan map[string]json.RawMessage
	if json.Unmarshal(content, &plan) != nil || plan["resourcePlans"] == nil {
		return nil, errors.New("is not a plan")
	}
	return plan, nil
}

// settings returns a digest of each setting of the run, by its path: those of the stack's file and of --config.
func (t *task) settings() (map[string]string, error) {
	digests := map[string]string{}
	add := func(path string, value any) {
		text, err := json.Marshal(value)
		if err != nil { // YAML has values for which JSON has no form.
			text = fmt.Appendf(nil, "%#v", value)
		}
		digests[path] = fmt.Sprintf("%.12x", sha256.Sum256(text))
	}
	var each func(path string, value any)
	each = func(path string, value any) {
		section, ok := value.(map[string]any)
		if !ok || len(section) == 0 {
			add(path, value)
		}
		for key, value := range section {
			each(path+"."+key, value)
		}
	}
	for key, value := range t.stack.Values.Keys {
		var read any
		if value.Secret || json.Unmarshal([]byte(value.Text), &read) != nil {
			read = value.Text
		}
		each(config.Namespace+":"+key, read)
	}
	overrides, err := t.flags.overrides()
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(overrides)) {
		maps.DeleteFunc(digests, func(other, _ string) bool {
			return other == path || strings.HasPrefix(other, path+".")
		})
		each(path, overrides[path])
	}
	return digests, nil
}

// markPlan writes into a new plan which state and settings it was made from.
func (t *task) markPlan(ctx context.Context, reader *engine.Reader) error {
	plan, err := readPlan(t.flags.plan)
	if err != nil {
		return fmt.Errorf("--plan: %s: the engine has written no plan: %w", t.flags.plan, err)
	}
	digest, err := reader.StateDigest(ctx)
	if err != nil {
		return err
	}
	settings, err := t.settings()
	if err != nil {
		return err
	}
	plan[madeFrom], _ = json.Marshal(digest) // A text always has JSON.
	plan[madeWith], _ = json.Marshal(settings)
	text, err := json.MarshalIndent(plan, "", "    ")
	if err != nil {
		return fmt.Errorf("--plan: %w", err)
	}
	if err := os.WriteFile(t.flags.plan, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("--plan: %w", err)
	}
	return nil
}

// checkPlan returns an error unless the plan was made from the state and the settings that the stack has now. Nothing
// was changed yet.
func (t *task) checkPlan(ctx context.Context, reader *engine.Reader) error {
	plan, err := readPlan(t.flags.plan)
	if err != nil {
		return err
	}
	mark, marked := plan[madeFrom]
	if !marked { // It is from plain pulumi, or from an older dbtier.
		return nil
	}
	digest, err := reader.StateDigest(ctx)
	if err != nil {
		return err
	}
	again := fmt.Sprintf("make a new plan with `dbtier preview --stack %s --plan FILE`, and have it reviewed",
		t.stack.Name)
	if now, _ := json.Marshal(digest); string(now) != string(mark) {
		return t.misfit("does not fit any more: stack %s has been changed since the plan was made, and nothing was "+
			"changed now: %s", t.stack.Name, again)
	}
	mark, marked = plan[madeWith]
	if !marked { // It is from an older dbtier.
		return nil
	}
	var then map[string]string
	if err := json.Unmarshal(mark, &then); err != nil {
		return fmt.Errorf("--plan: %s: %s: %w", t.flags.plan, madeWith, err)
	}
	now, err := t.settings()
	if err != nil {
		return err
	}
	if other := differing(then, now); len(other) > 0 {
		return t.misfit("was made with other settings, and nothing was changed now: %s: give `up` the same --config "+
			"and the same Pulumi.%s.yaml as `preview`, or %s", strings.Join(other, ", "), t.stack.Name, again)
	}
	return nil
}

// misfit is the error of a plan that does not fit.
func (t *task) misfit(format string, args ...any) error {
	return &engine.FailureError{Faults: []string{"--plan: " + t.flags.plan + ": " + fmt.Sprintf(format, args...)}}
}

// differing lists the keys that do not have the same value in both.
func differing(a, b map[string]string) []string {
	var found []string
	for key, value := range a {
		if other, ok := b[key]; !ok || other != value {
			found = append(found, key)
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	return found
}
