package main

import (
	"fmt"
	"path/filepath"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/config"
	"dbtier/internal/project"
)

// localCloud is the folder of the local cloud, below the checkout.
const localCloud = ".localcloud"

// newProviders makes the one kubernetes provider of the stack, and the one aws provider, where it has anything on AWS.
// They are explicit, and handed to every component: the account and the cluster are the stack's and never those of
// whoever's shell runs it.
func newProviders(ctx *pulumi.Context, stack *config.Stack, root string) (pulumi.ResourceOption, error) {
	cluster, err := kubernetes.NewProvider(ctx, "kubernetes", kubernetesArgs(stack, root))
	if err != nil {
		return nil, fmt.Errorf("the kubernetes provider: %w", err)
	}
	if !stack.HoldsService() {
		return pulumi.Providers(cluster), nil
	}
	cloud, err := aws.NewProvider(ctx, "aws", awsArgs(stack))
	if err != nil {
		return nil, fmt.Errorf("the aws provider: %w", err)
	}
	return pulumi.Providers(cloud, cluster), nil
}

func awsArgs(stack *config.Stack) *aws.ProviderArgs {
	args := &aws.ProviderArgs{
		Region:            pulumi.String(stack.AWS.Region),
		AllowedAccountIds: pulumi.ToStringArray([]string{stack.AWS.AccountID}),
	}
	if stack.Cloud == config.Local {
		// The stand-in serves only who names it for every service: no call of a local stack can reach AWS.
		endpoint := pulumi.String(stack.AWS.Endpoint)
		args.Endpoints = aws.ProviderEndpointArray{aws.ProviderEndpointArgs{
			Sts: endpoint, Rds: endpoint, Secretsmanager: endpoint, Kms: endpoint, Iam: endpoint, Ec2: endpoint,
			Cloudwatchlogs: endpoint,
		}}
		args.SkipCredentialsValidation = pulumi.Bool(true)
		args.SkipMetadataApiCheck = pulumi.Bool(true)
		args.SkipRequestingAccountId = pulumi.Bool(true)
		args.SkipRegionValidation = pulumi.Bool(true)
		args.AllowedAccountIds = nil
	}
	return args
}

func kubernetesArgs(stack *config.Stack, root string) *kubernetes.ProviderArgs {
	args := &kubernetes.ProviderArgs{
		// A change of a ConfigMap or Secret is a change and no replacement under the same name; what must roll pods
		// carries its content in its name.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
		// What the program says of an object is the program's: a field that somebody has changed by hand, and so owns,
		// is put back.
		EnablePatchForce: pulumi.Bool(true),
	}
	if stack.Operator.Adopt {
		args.UpsertExistingObjects = pulumi.Bool(true)
	}
	switch {
	case stack.Cloud == config.Local:
		args.Kubeconfig = pulumi.String(filepath.Join(project.Checkout(root), localCloud, "state", "kubeconfig"))
	case stack.Cluster.Kubeconfig != "" && !filepath.IsAbs(stack.Cluster.Kubeconfig):
		args.Kubeconfig = pulumi.String(filepath.Join(root, stack.Cluster.Kubeconfig))
	case stack.Cluster.Kubeconfig != "":
		args.Kubeconfig = pulumi.String(stack.Cluster.Kubeconfig)
	}
	if stack.Cluster.Context != "" {
		args.Context = pulumi.String(stack.Cluster.Context)
	}
	return args
}
