package driver

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) export() *cobra.Command {
	var file string
	do := func(t *task, ctx context.Context) error { return t.runExport(ctx, file) }
	cmd := a.onStacks(&stackFlags{}, do, &cobra.Command{
		Use:   "export --stack <stack>",
		Short: "Write a stack's state as JSON",
		Long: `Writes a stack's state as JSON to a file that only its owner can read, or to standard output. Secrets in
it are encrypted with the stack's passphrase or key.`,
		Example: `  dbtier export --stack prod --file prod.json
  dbtier export --stack prod | jq -r '.deployment.resources[].urn'`,
	})
	cmd.Flags().StringVarP(&file, "file", "f", "", "write to this file")
	cmd.PreRunE = func(*cobra.Command, []string) error { return absolute(&file) }
	return cmd
}

func (t *task) runExport(ctx context.Context, file string) error {
	reader := t.reader()
	defer reader.Close()
	state, err := reader.Export(ctx)
	if err != nil {
		return err
	}
	if file == "" {
		t.report.Deployment = state
		if !t.asJSON {
			fmt.Fprintln(t.exact, strings.TrimSpace(string(state)))
		}
		return nil
	}
	if err := os.WriteFile(file, state, 0o600); err != nil {
		return fmt.Errorf("writing the state: %w", err)
	}
	t.say("stack %s: the state is in %s", t.stack.Name, file)
	return nil
}
