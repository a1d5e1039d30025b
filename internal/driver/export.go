package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"dbtier/components/alerts"
	"dbtier/internal/engine"
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
	cmd.AddCommand(a.exportAlerts(), a.exportDashboard())
	return cmd
}

func (a *app) exportAlerts() *cobra.Command {
	return a.exportMonitoring(&cobra.Command{
		Use:   "alerts --stack <stack>",
		Short: "Write the Prometheus rules of a stack",
		Long: `Writes the alerts of a stack as a rule file of Prometheus, to a file or to standard output. The rules are
made from the stack's file: nothing is asked, and no credentials are needed. With the Prometheus operator,
set alerts.prometheusRule instead.`,
		Example: `  dbtier export alerts --stack prod --file dbtier.rules.yml`,
	}, "the alerts are", func(tier *alerts.Tier) (string, error) { return tier.File() })
}

func (a *app) exportDashboard() *cobra.Command {
	return a.exportMonitoring(&cobra.Command{
		Use:   "dashboard --stack <stack>",
		Short: "Write a dashboard for Grafana of a stack",
		Long: `Writes a dashboard for Grafana with the metrics of a stack's alerts, as JSON, to a file or to standard
output. Its variable is the data source. It is made from the stack's file: nothing is asked.`,
		Example: `  dbtier export dashboard --stack prod --file dbtier.json`,
	}, "the dashboard is", func(tier *alerts.Tier) (string, error) { return tier.Dashboard() })
}

// exportMonitoring makes a command that writes what the stack's file says to monitor.
func (a *app) exportMonitoring(
	cmd *cobra.Command, what string, textOf func(*alerts.Tier) (string, error),
) *cobra.Command {
	var file string
	do := func(t *task, _ context.Context) error {
		tier, err := t.monitored()
		if err != nil {
			return err
		}
		text, err := textOf(tier)
		if err != nil {
			return err
		}
		if file != "" {
			if err := replaceFile(file, []byte(text), 0o644); err != nil {
				return fmt.Errorf("--file: %w", err)
			}
			t.say("stack %s: %s in %s", t.stack.Name, what, file)
			return nil
		}
		t.report.Text = text
		if !t.asJSON {
			fmt.Fprint(t.exact, text)
		}
		return nil
	}
	cmd = a.onStacks(&stackFlags{}, do, cmd)
	cmd.Flags().StringVarP(&file, "file", "f", "", "write to this file")
	cmd.PreRunE = func(*cobra.Command, []string) error { return absolute(&file) }
	return cmd
}

// replaceFile writes a file whole. What is no regular file is written in place, because a new file would replace it: a
// link, or /dev/stdout. So is a file that is a mount of its own, which cannot be replaced.
func replaceFile(path string, text []byte, mode os.FileMode) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, text, mode)
	}
	if err := engine.WriteFile(path, text, mode); !errors.Is(err, syscall.EBUSY) {
		return err
	}
	return os.WriteFile(path, text, mode)
}

// monitored is what the alerts need to know of the stack.
func (t *task) monitored() (*alerts.Tier, error) {
	stack, err := t.stack.Config()
	if err == nil && !stack.HoldsService() {
		err = fmt.Errorf("stack %s holds no service: choose the stack of a service", t.stack.Name)
	}
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	authorities, err := stack.Authorities(t.project.Dir)
	if err != nil {
		return nil, coded(exitConfig, err)
	}
	return stack.Monitored(authorities)
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
