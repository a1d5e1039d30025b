package driver

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) localKubectl() *cobra.Command {
	return passOn(&cobra.Command{
		Use:   "kubectl [--] <arguments of kubectl>",
		Short: "Run kubectl on the local cluster",
		Long:  "Runs the local cloud's own kubectl as the cluster's administrator. Every argument goes to kubectl.",
		Example: `  dbtier local kubectl get pods -A
  dbtier local kubectl -n myshop logs deploy/myshop-api -f`,
	}, true, func(ctx context.Context, args []string) error {
		cloud, state, err := a.running(ctx)
		if err != nil {
			return err
		}
		return a.become(append(cloud.Kubectl(), withoutDashes(args)...), []string{"KUBECONFIG=" + state.Kubeconfig})
	})
}
