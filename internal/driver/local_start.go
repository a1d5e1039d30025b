package driver

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) localStart() *cobra.Command {
	var apiPort, awsPort int
	var latency string
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the local cloud; build what is missing",
		Long: `Starts the local cloud and waits until it is ready. It first builds what is missing: Kubernetes, etcd,
CoreDNS, the operator, images. The results are kept in .localcloud/cache, so the next start is fast. A
running cloud is left alone.

With --latency aws, the creation of a database takes five minutes, and so on, as on AWS: waits, time-outs and
progress show as they will there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cloud, err := a.here()
			if err != nil {
				return err
			}
			args := []string{"start"}
			if cmd.Flags().Changed("api-port") {
				args = append(args, fmt.Sprintf("--api-port=%d", apiPort))
			}
			if cmd.Flags().Changed("aws-port") {
				args = append(args, fmt.Sprintf("--aws-port=%d", awsPort))
			}
			if cmd.Flags().Changed("latency") {
				args = append(args, "--latency="+latency)
			}
			return cloud.Run(cmd.Context(), a.stdout, a.stderr, args...)
		},
	}
	cmd.Flags().IntVar(&apiPort, "api-port", 16443, "port of the Kubernetes API on 127.0.0.1")
	cmd.Flags().IntVar(&awsPort, "aws-port", 14566,
		"port of the AWS stand-in on 127.0.0.1; Pulumi.local.yaml must have the same")
	cmd.Flags().StringVar(&latency, "latency", "off",
		"how long operations on databases take: off, or aws for minutes as on AWS")
	return cmd
}
