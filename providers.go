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

// newProviders creates the stack's Kubernetes provider and, if the stack has anything on AWS, its AWS provider. Both
// are explicit and passed to every component, so that the stack's account and cluster never depend on the shell that
// runs it.
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
		// The stand-in serves only clients that set its address for every service, so no call of a local stack can
		// reach AWS.
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
		// A changed ConfigMap or Secret is updated in place and not replaced. An object whose change must restart pods
		// has its content's hash in its name.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
		// The program decides the value of each field it sets. An update restores a field that a person has changed by
		// hand and therefore owns.
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
