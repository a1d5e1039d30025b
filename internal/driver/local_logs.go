package driver

import "github.com/spf13/cobra"

func (a *app) localLogs() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs [component]",
		Short: "Show the logs of the local cloud's components",
		Long: `Shows the logs of the local cloud's components, such as etcd, kube-apiserver or kubelet. For pods use:
dbtier local kubectl logs …`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cloud, err := a.here()
			if err != nil {
				return err
			}
			args = append([]string{"logs"}, args...)
			if follow {
				args = append(args, "--follow")
			}
			return cloud.Run(cmd.Context(), a.stdout, a.stderr, args...)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "continue with new lines")
	return cmd
}
