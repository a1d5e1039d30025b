package driver

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/webhook"
)

// hookOf reads the value of --webhook, and makes the redactor hide the URL from all output.
func (a *app) hookOf(cmd *cobra.Command, given string) (*webhook.Hook, error) {
	if !cmd.Flags().Changed("webhook") {
		return nil, nil //nolint:nilnil // Nobody wants to be told.
	}
	if file, isFile := strings.CutPrefix(given, "@"); isFile {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--webhook: reading the file with the URL: %w", err)
		}
		given = strings.TrimSpace(string(text))
	}
	hook, err := webhook.Parse(given)
	if err != nil {
		return nil, usage(cmd, "--webhook: %w", err)
	}
	for _, secret := range hook.Secrets() {
		a.secrets.Add(secret)
	}
	return hook, nil
}

// found reports whether drift was found, also if it was healed.
func (r *report) found() bool {
	for _, of := range r.Stacks {
		if of.found() {
			return true
		}
	}
	return r.Changed != nil && *r.Changed || len(r.Additions)+len(r.LostPasswords) > 0
}

// deliver posts the report to the webhook if there are findings. A failure replaces a code that says that the command
// has done its work.
func (a *app) deliver(ctx context.Context, f *stackFlags, result error) error {
	if f.hook == nil || !a.report.found() || ctx.Err() != nil {
		return result
	}
	document, err := a.document(a.report)
	if err == nil {
		err = f.hook.Post(ctx, document)
	}
	if err == nil {
		return result
	}
	failed := fmt.Errorf("--webhook: the findings were not delivered: %w", err)
	if code := exitCode(ctx, result); code == exitDone || code == exitPending {
		return coded(exitTrouble, failed)
	}
	a.report.Warnings = append(a.report.Warnings, failed.Error())
	fmt.Fprintf(a.stderr, "error: %s\n", failed)
	return result
}
