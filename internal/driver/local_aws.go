package driver

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"dbtier/internal/localcloud"
)

func (a *app) localAWS() *cobra.Command {
	return passOn(&cobra.Command{
		Use:   "aws [--] <arguments of the AWS CLI>",
		Short: "Run the AWS CLI against the stand-in for AWS",
		Long: `Runs the AWS CLI of this machine against the local cloud's stand-in for AWS, as the local account's
administrator and without your own AWS settings. The stand-in models a part of STS, IAM,
RDS, Secrets Manager and KMS. It refuses everything else with the error NotImplemented, which names it.`,
		Example: `  dbtier local aws sts get-caller-identity
  dbtier local aws rds describe-db-instances --query 'DBInstances[].Endpoint'`,
	}, true, a.runLocalAWS)
}

func (a *app) runLocalAWS(ctx context.Context, args []string) error {
	cloud, state, err := a.running(ctx)
	if err != nil {
		return err
	}
	path, err := exec.LookPath("aws")
	if err != nil {
		return errNoAWS
	}
	set, err := standIn(cloud)
	if err != nil {
		return err
	}
	// Older versions of the AWS CLI do not support AWS_ENDPOINT_URL, hence the flag.
	return a.become(append([]string{path, "--endpoint-url", state.AWSEndpoint}, withoutDashes(args)...), set, "AWS_")
}

var errNoAWS = errors.New(
	"the AWS CLI is not on PATH: install it (on Debian: apt-get install awscli) and run this again")

// standIn returns the environment in which the AWS CLI is the local account's administrator.
func standIn(cloud *localcloud.Cloud) ([]string, error) {
	credentials, err := cloud.Credentials()
	if err != nil {
		return nil, err
	}
	region := regionOf(cloud.Project)
	return []string{
		"AWS_ACCESS_KEY_ID=" + credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + credentials.SecretAccessKey,
		"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region, "AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
	}, nil
}
