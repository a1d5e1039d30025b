package driver

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"dbtier/internal/pulumicli"
)

func (a *app) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of dbtier, of the Pulumi CLI it runs, and of Go",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			versions := map[string]string{"dbtier": version, "pulumi": pulumicli.Version, "go": runtime.Version()}
			if a.report.Versions = versions; a.asJSON {
				return nil
			}
			_, err := fmt.Fprintf(a.stdout, "dbtier %s (Pulumi CLI %s, %s)\n", version, pulumicli.Version,
				runtime.Version())
			return err
		},
	}
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print JSON, see docs/driver.md")
	return cmd
}
