package driver

import (
	"github.com/spf13/cobra"

	"dbtier/internal/statelock"
)

func (a *app) localStop() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the local cloud and keep its state",
		Long: `Stops the local cloud and leaves no process, mount, interface or cgroup behind. Its state is kept, and
the next start continues from it. --purge deletes the state: the cluster, the databases, the AWS account
and the Pulumi state of local stacks. What was built is kept. It is refused while an update works on a
local stack, which would write its state afterwards.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := a.here()
			if err != nil {
				return err
			}
			var args []string
			if purge {
				if err := statelock.Writer(cloud.Project.LocalCloud("state", "pulumi")); err != nil {
					return err
				}
				args = append(args, "--purge")
			}
			return cloud.Stop(cmd.Context(), a.stdout, a.stderr, args...)
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "delete the state")
	return cmd
}
