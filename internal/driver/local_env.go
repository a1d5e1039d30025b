package driver

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"dbtier/internal/engine"
	"dbtier/internal/localcloud"
	"dbtier/internal/pulumicli"
)

func (a *app) localEnv() *cobra.Command {
	var unset, serve bool
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print shell exports with which pulumi, kubectl and aws work on the local cloud",
		Long: `Prints shell exports for eval. With them the plain pulumi CLI, kubectl, and every AWS client that
supports AWS_ENDPOINT_URL work on the local cloud. The command also starts the provider servers that a
plain pulumi attaches to, if they are not running; they end with the cloud. dbtier refuses stacks on AWS
in a shell with these exports.`,
		Example: `  eval "$(dbtier local env)"
  pulumi up --stack local
  eval "$(dbtier local env --unset)"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if unset {
				_, err := fmt.Fprint(a.exact, localcloud.Unset())
				return err
			}
			cloud, state, err := a.running(ctx)
			if err != nil {
				return err
			}
			if err := cloud.EnsureFolders(); err != nil {
				return err
			}
			if serve {
				return cloud.Keep(ctx, os.Stdout)
			}
			return a.printEnv(ctx, cloud, state)
		},
	}
	cmd.Flags().BoolVar(&unset, "unset", false, "print what removes the exports")
	cmd.Flags().BoolVar(&serve, "serve", false, "keep the provider servers (started by env itself)")
	_ = cmd.Flags().MarkHidden("serve")
	return cmd
}

func (a *app) printEnv(ctx context.Context, cloud *localcloud.Cloud, state *localcloud.State) error {
	p := cloud.Project
	passphrase, err := engine.LocalPassphrase(p)
	if err != nil {
		return err
	}
	home := p.Own("home")
	if err := pulumicli.PrepareHome(home); err != nil {
		return err
	}
	ports, err := cloud.Attached(ctx, []string{a.self, "local", "env", "--serve"})
	if err != nil {
		return err
	}
	_, languageErr := exec.LookPath("pulumi-language-go")
	vars, err := cloud.Environment(state, ports, localcloud.EnvironmentOptions{
		Region: regionOf(p), Backend: "file://" + p.LocalCloud("state", "pulumi"), PassphraseFile: passphrase,
		PulumiHome: home, Bin: a.beside, LanguageInstalled: languageErr == nil,
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.exact, localcloud.Export(vars))
	return err
}
