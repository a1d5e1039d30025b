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
		Short: "Show the versions of dbtier, of its Pulumi CLI, and of Go",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a.report.Versions = map[string]string{
				"dbtier": version, "pulumi": pulumicli.Version, "go": runtime.Version(),
			}
			if a.asJSON {
				return nil
			}
			_, err := fmt.Fprintf(a.stdout, "dbtier %s (Pulumi CLI %s, %s)\n", version, pulumicli.Version,
				runtime.Version())
			return err
		},
	}
	a.jsonFlag(cmd)
	return cmd
}
