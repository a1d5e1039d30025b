package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"dbtier/internal/engine"
)

// madeFrom is the member of a plan's file with the digest of the state that the plan was made from. The engine ignores
// it. The engine itself checks a plan step by step while it works, and accepts some that are older than the state.
const madeFrom = "dbtier:state"

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

// markPlan writes into a new plan which state it was made from.
func (t *task) markPlan(ctx context.Context, reader *engine.Reader) error {
	plan, err := readPlan(t.flags.plan)
	if err != nil {
		return fmt.Errorf("--plan: %s: the engine has written no plan: %w", t.flags.plan, err)
	}
	digest, err := reader.StateDigest(ctx)
	if err != nil {
		return err
	}
	plan[madeFrom], _ = json.Marshal(digest) // A text always has JSON.
	text, err := json.MarshalIndent(plan, "", "    ")
	if err != nil {
		return fmt.Errorf("--plan: %w", err)
	}
	if err := os.WriteFile(t.flags.plan, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("--plan: %w", err)
	}
	return nil
}

// checkPlan returns an error unless the plan was made from the state that the stack has now. Nothing was changed yet.
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
	if now, _ := json.Marshal(digest); string(now) != string(mark) {
		return &engine.FailureError{Faults: []string{fmt.Sprintf(
			"--plan: %s: does not fit any more: stack %s has been changed since the plan was made, and nothing was "+
				"changed now: make a new plan with `dbtier preview --stack %s --plan FILE`, and have it reviewed",
			t.flags.plan, t.stack.Name, t.stack.Name)}}
	}
	return nil
}
