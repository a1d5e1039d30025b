package driver

import (
	"bytes"
	"encoding/json"

	"github.com/spf13/cobra"
)

func (a *app) localStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether the local cloud is running, and its addresses",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := a.here()
			if err != nil {
				return err
			}
			if !a.asJSON {
				return cloud.Run(cmd.Context(), a.stdout, a.stderr, "status")
			}
			var printed bytes.Buffer
			err = cloud.Run(cmd.Context(), &printed, a.stderr, "status", "--json")
			if json.Valid(printed.Bytes()) {
				a.report.LocalCloud = printed.Bytes()
			}
			return err
		},
	}
	a.jsonFlag(cmd)
	return cmd
}
