package driver

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/pulumicli"
)

func (a *app) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of dbtier, of the programs beside it, and of Go",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.report.Versions = map[string]string{
				"dbtier": version, "pulumi": pulumicli.Version, "go": runtime.Version(),
				"localcloud":  a.versionOf(cmd.Context(), "localcloud", "version"),
				"policy-pack": a.versionOf(cmd.Context(), policyPack, "--version"),
			}
			if a.asJSON {
				return nil
			}
			_, err := fmt.Fprintf(a.stdout, "dbtier %s (Pulumi CLI %s, %s)\nlocalcloud: %s\npolicy-pack: %s\n", version,
				pulumicli.Version, runtime.Version(), a.report.Versions["localcloud"], a.report.Versions["policy-pack"])
			return err
		},
	}
	a.jsonFlag(cmd)
	return cmd
}

// versionOf returns what a program beside dbtier says about its version. The programs of one build belong together.
func (a *app) versionOf(ctx context.Context, program, argument string) string {
	out, err := exec.CommandContext(ctx, filepath.Join(a.beside, program), argument).Output()
	if err != nil {
		return "not beside dbtier"
	}
	return strings.TrimSpace(string(out))
}
