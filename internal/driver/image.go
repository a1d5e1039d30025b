package driver

import "github.com/spf13/cobra"

func (a *app) image() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Export the images of the pool and of the load of drills",
		Long: `Exports the images that no public registry has, for a registry of one's own: production names its copies
in the config.`,
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
		Use:   "export <pool|load> --output <file>",
		Short: "Write an image to a file, as an OCI archive",
		Long: `Builds an image for amd64 and arm64, writes it as an OCI layout in a tar file, and prints its digest. It
needs neither root, nor Docker, nor a running local cloud.

pool is what the tier's pool runs in, and goes into dbtier:pool.image. It is made from the Debian packages
that images/pool names by version and hash, and needs dpkg and apt. If Debian no longer has one of the
versions, it fails; "make lock-images" takes the versions of today.

load is the program that a drill puts a load on the database with. It is compiled from images/load, and needs
Go. Each version of Go gives another digest.`,
		Example: `  dbtier image export pool --output pool.tar
  skopeo copy --all oci-archive:pool.tar docker://registry.example.com/pgbouncer:1.24.1-1_deb13u2
  dbtier image export load --output load.tar`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"pool", "load"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if output == "" {
				return usage(cmd, "--output is missing: name the file to write, such as --output %s.tar", args[0])
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
