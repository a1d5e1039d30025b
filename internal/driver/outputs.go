package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"
)

func (a *app) outputs() *cobra.Command {
	return a.onStacks(&stackFlags{}, (*task).runOutputs, &cobra.Command{
		Use:   "outputs --stack <stack>",
		Short: "Show the outputs of a stack",
		Long:  "Shows the outputs of a stack after its last up. Secret outputs are shown as [secret].",
		Example: `  dbtier outputs --stack local
  dbtier outputs --stack prod --json | jq -r .outputs.databaseEndpoint`,
	}, onSeveral)
}

func (t *task) runOutputs(ctx context.Context) error {
	outputs, err := t.readOutputs(ctx)
	if err != nil {
		return err
	}
	t.report.Outputs = outputs
	if len(outputs) == 0 {
		t.say("stack %s has no outputs: bring it up with `dbtier up --stack %s`", t.stack.Name, t.stack.Name)
		return nil
	}
	names := slices.Sorted(maps.Keys(outputs))
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	for _, name := range names {
		text, ok := outputs[name].(string)
		if !ok {
			encoded, err := json.Marshal(outputs[name])
			if err != nil {
				return fmt.Errorf("output %s: %w", name, err)
			}
			text = string(encoded)
		}
		t.say("%-*s  %s", width, name, text)
	}
	return nil
}

// readOutputs reads the stack's outputs.
func (t *task) readOutputs(ctx context.Context) (map[string]any, error) {
	reader := t.reader()
	defer reader.Close()
	return reader.Outputs(ctx)
}
