package driver

import "github.com/spf13/cobra"

func (a *app) image() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Export the image of the pool",
		Long: `Exports the image that the tier's pool runs in, for a registry of one's own. No public registry has it:
production names its copy in dbtier:pool.image.`,
		Example: `  dbtier image export pool --output pool.tar`,
		Args:    cobra.NoArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(a.imageExport())
	return cmd
}

func (a *app) imageExport() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "export pool --output <file>",
		Short: "Write the pool's image to a file, as an OCI archive",
		Long: `Builds the pool's image for amd64 and arm64 from the Debian packages that images/pool names by version
and hash, writes it as an OCI layout in a tar file, and prints its digest. It needs dpkg and apt, and
neither root, nor Docker, nor a running local cloud. If Debian no longer has one of the versions, it
fails; "make lock-images" takes the versions of today.`,
		Example: `  dbtier image export pool --output pool.tar
  skopeo copy --all oci-archive:pool.tar docker://registry.example.com/pgbouncer:1.24.1-1_deb13u2`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"pool"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" {
				return usage(cmd, "--output is missing: name the file to write, such as --output pool.tar")
			}
			if err := absolute(&output); err != nil {
				return err
			}
			cloud, err := a.here()
			if err != nil {
				return err
			}
			return cloud.Run(cmd.Context(), a.stdout, a.stderr, "image", "export", args[0], "--output="+output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write")
	return cmd
}
