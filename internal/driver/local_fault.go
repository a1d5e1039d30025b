package driver

import "github.com/spf13/cobra"

func (a *app) localFault() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Cause a fault of AWS in the local cloud, to try what follows",
		Long: `Causes a fault of AWS in the local cloud, or ends all faults. Stopping the local cloud ends them, too.

In the outage of a zone, packets to and from the database servers in it are dropped. Connections do not end:
they get no answer. A Multi-AZ instance fails over to its standby in another zone. An instance without a
standby cannot be reached until the fault ends. "dbtier local aws rds describe-db-instances" shows the
zones of the instances.

The other faults are of one instance; its name can be left out if there is one. A full disk stops PostgreSQL
until it has more allocated storage. Incompatible parameters keep PostgreSQL from starting until the
parameter group has another value and the instance is rebooted. A failed rotation leaves the master password
as it is, and its secret "impaired". What RDS refuses meanwhile is refused.`,
		Example: `  dbtier local fault zone a
  dbtier local fault storage-full
  dbtier local aws rds describe-events
  dbtier local fault end`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	run := func(cmd *cobra.Command, args ...string) error {
		cloud, _, err := a.running(cmd.Context())
		if err != nil {
			return err
		}
		return cloud.Run(cmd.Context(), a.stdout, a.stderr, append([]string{"fault"}, args...)...)
	}
	ofInstance := func(kind, short string) *cobra.Command {
		return &cobra.Command{
			Use:   kind + " [instance]",
			Short: short,
			Args:  cobra.MaximumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return run(cmd, append([]string{kind}, args...)...)
			},
		}
	}
	cmd.AddCommand(
		ofInstance("storage-full", "Fill the disk of a DB instance"),
		ofInstance("incompatible-parameters", "Keep a DB instance from starting with its parameters"),
		ofInstance("rotation", "Make the rotations of a DB instance's master password fail"),
	)
	cmd.AddCommand(&cobra.Command{
		Use:       "zone <a|b|c>",
		Short:     "Make an availability zone stop answering",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"a", "b", "c"},
		RunE:      func(cmd *cobra.Command, args []string) error { return run(cmd, "zone", args[0]) },
	}, &cobra.Command{
		Use:   "end",
		Short: "End all faults",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd, "end") },
	})
	return cmd
}
