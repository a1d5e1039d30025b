// Command reference is the baseline for the size and build time of dbtier: a Pulumi program that does nothing, with the
// packages that such a tier needs at least.
package main

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/vpc"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	batchv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/batch/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		key, err := kms.NewKey(ctx, "key", nil)
		if err != nil {
			return err
		}
		group, err := ec2.NewSecurityGroup(ctx, "group", nil)
		if err != nil {
			return err
		}
		if _, err := vpc.NewSecurityGroupIngressRule(ctx, "rule", &vpc.SecurityGroupIngressRuleArgs{
			SecurityGroupId: group.ID(), IpProtocol: pulumi.String("tcp"),
		}); err != nil {
			return err
		}
		if _, err := iam.NewRole(ctx, "role", &iam.RoleArgs{AssumeRolePolicy: pulumi.String("{}")}); err != nil {
			return err
		}
		if _, err := rds.NewInstance(ctx, "instance",
			&rds.InstanceArgs{InstanceClass: pulumi.String("db.t4g.micro"), KmsKeyId: key.Arn}); err != nil {
			return err
		}
		if _, err := corev1.NewNamespace(ctx, "namespace", nil); err != nil {
			return err
		}
		if _, err := appsv1.NewDeployment(ctx, "deployment", nil); err != nil {
			return err
		}
		if _, err := batchv1.NewJob(ctx, "job", nil); err != nil {
			return err
		}
		_, err = apiextensions.NewCustomResource(ctx, "custom", &apiextensions.CustomResourceArgs{
			ApiVersion: pulumi.String("external-secrets.io/v1"), Kind: pulumi.String("ExternalSecret"),
		})
		return err
	})
}
