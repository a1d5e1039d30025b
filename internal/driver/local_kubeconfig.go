package driver

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func (a *app) localKubeconfig() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:     "kubeconfig",
		Short:   "Print the path of the local cluster's kubeconfig",
		Example: `  KUBECONFIG=$(dbtier local kubeconfig) k9s`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, state, err := a.running(cmd.Context())
			if err != nil {
				return err
			}
			if !show {
				_, err := fmt.Fprintln(a.exact, state.Kubeconfig)
				return err
			}
			text, err := os.ReadFile(state.Kubeconfig)
			if err != nil {
				return fmt.Errorf("reading the kubeconfig: %w", err)
			}
			_, err = a.exact.Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&show, "show", false, "print the file itself, which contains the administrator's key")
	return cmd
}
