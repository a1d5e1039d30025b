package driver

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"dbtier/internal/pulumicli"
)

func (a *app) version() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of dbtier, of the Pulumi CLI it runs, and of Go",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			versions := map[string]string{"dbtier": version, "pulumi": pulumicli.Version, "go": runtime.Version()}
			if asJSON {
				return json.NewEncoder(a.stdout).Encode(versions)
			}
			_, err := fmt.Fprintf(a.stdout, "dbtier %s (Pulumi CLI %s, %s)\n", version, pulumicli.Version, runtime.Version())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
