package driver

import "github.com/spf13/cobra"

func (a *app) localLoad() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "load <archive>",
		Short: "Import a container image into the local cluster",
		Long: `Imports the images of an archive into the cluster's node, and prints their names for the stack's file
(dbtier:consumer.image). The archive is what docker save, podman save, ko build --tarball or skopeo
write, or an OCI layout in a tar file. The node pulls images from nowhere, so an image that a stack uses
must be loaded first. Load it again after "local stop --purge".`,
		Example: `  docker save shop-api:1.0 --output shop.tar && dbtier local load shop.tar
  dbtier local load --name shop-api:1.0 oci-layout.tar`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			archive := args[0]
			if err := absolute(&archive); err != nil {
				return err
			}
			cloud, _, err := a.running(cmd.Context())
			if err != nil {
				return err
			}
			arguments := []string{"load", archive}
			if name != "" {
				arguments = append(arguments, "--name="+name)
			}
			return cloud.Run(cmd.Context(), a.stdout, a.stderr, arguments...)
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name and tag of the image, for an archive of one image")
	return cmd
}
