package driver

import (
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) localFault() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Cause a fault in the local cloud, to try what follows",
		Long: `Causes a fault in the local cloud, or ends all faults. Stopping the local cloud ends them, too.
"dbtier local status" lists the faults in force.

In the outage of a zone, packets to and from the database servers in it are dropped. Connections do not end:
they get no answer. A Multi-AZ instance fails over to its standby in another zone. An instance without a
standby cannot be reached until the fault ends. "dbtier local aws rds describe-db-instances" shows the
zones of the instances.

In the outage of a service, each call of its API gets the answer "503 ServiceUnavailable". What the service
does by itself goes on: databases serve. The services are iam, kms, rds, secretsmanager, sts.

In the outage of the API server, the Kubernetes API accepts connections and does not answer. Pods go on. In
the outage of the network, packets between pods and database servers are dropped, and connections do not
end. The servers still see each other, so nothing fails over.

The other faults are of one instance; its name can be left out if there is one. A full disk stops PostgreSQL
until it has more allocated storage. Incompatible parameters keep PostgreSQL from starting until the
parameter group has another value and the instance is rebooted. A failed rotation leaves the master password
as it is, and its secret "impaired". What RDS refuses meanwhile is refused.`,
		Example: `  dbtier local fault zone a
  dbtier local fault service secretsmanager
  dbtier local fault api-server
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
	// add adds a kind of fault, with the use of its argument.
	add := func(kind, argument, short string, args cobra.PositionalArgs, valid ...string) {
		cmd.AddCommand(&cobra.Command{
			Use:       strings.TrimSpace(kind + " " + argument),
			Short:     short,
			Args:      args,
			ValidArgs: valid,
			RunE: func(cmd *cobra.Command, args []string) error {
				return run(cmd, append([]string{kind}, args...)...)
			},
		})
	}
	add("zone", "<a|b|c>", "Make an availability zone stop answering",
		cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), "a", "b", "c")
	add("service", "<name>", "Make the API of an AWS service fail", cobra.ExactArgs(1))
	add("api-server", "", "Make the Kubernetes API server stop answering", cobra.NoArgs)
	add("network", "", "Drop all packets between pods and databases", cobra.NoArgs)
	instance := cobra.MaximumNArgs(1)
	add("storage-full", "[instance]", "Fill the disk of a DB instance", instance)
	add("incompatible-parameters", "[instance]", "Keep a DB instance from starting with its parameters", instance)
	add("rotation", "[instance]", "Make the rotations of a DB instance's master password fail", instance)
	add("end", "", "End all faults", cobra.NoArgs)
	return cmd
}
