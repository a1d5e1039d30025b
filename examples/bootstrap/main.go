// Command bootstrap is a Pulumi program for what must exist in an AWS account before its first stack: a bucket for the
// state of all stacks, and the key that encrypts the secrets in it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"dbtier/components/iampolicy"
)

func main() { pulumi.Run(deploy) }

// deploy creates the bucket <name>, and the key with the alias <name>. The name is the setting bootstrap:name; bucket
// names are unique among all accounts of AWS.
func deploy(ctx *pulumi.Context) error {
	name := config.Get(ctx, "bootstrap:name")
	if name == "" {
		return errors.New("bootstrap:name is missing: give a name for the bucket, such as example-pulumi-state")
	}
	region := config.Get(ctx, "aws:region")
	if region == "" {
		return errors.New("aws:region is missing: give the region of the bucket, such as eu-central-1")
	}
	// Without either, no stack could be changed or read any more.
	keep := pulumi.Protect(true)
	account, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{})
	if err != nil {
		return err
	}
	policy, err := leaveToIAM(account.Arn, account.AccountId)
	if err != nil {
		return err
	}
	tags := pulumi.StringMap{"managed-by": pulumi.String("bootstrap")}
	key, err := kms.NewKey(ctx, "key", &kms.KeyArgs{
		Description:          pulumi.String("Secrets in the state of Pulumi's stacks, and the bucket with the state"),
		EnableKeyRotation:    pulumi.Bool(true),
		DeletionWindowInDays: pulumi.Int(30),
		Policy:               pulumi.String(policy),
		Tags:                 tags,
	}, keep)
	if err != nil {
		return err
	}
	if _, err := kms.NewAlias(ctx, "alias", &kms.AliasArgs{
		Name: pulumi.String("alias/" + name), TargetKeyId: key.KeyId,
	}, keep); err != nil {
		return err
	}
	bucket, err := s3.NewBucketV2(ctx, "bucket", &s3.BucketV2Args{Bucket: pulumi.String(name), Tags: tags}, keep)
	if err != nil {
		return err
	}
	if err := harden(ctx, bucket, key); err != nil {
		return err
	}
	ctx.Export("backend", pulumi.String(fmt.Sprintf("s3://%s?region=%s&awssdk=v2", name, region)))
	ctx.Export("secretsProvider", pulumi.String(fmt.Sprintf("awskms:///alias/%s?region=%s", name, region)))
	return nil
}

// harden keeps old versions of the state for 90 days, encrypts it, and refuses public and unencrypted access.
func harden(ctx *pulumi.Context, bucket *s3.BucketV2, key *kms.Key) error {
	versioning, err := s3.NewBucketVersioningV2(ctx, "versioning", &s3.BucketVersioningV2Args{
		Bucket:                  bucket.ID(),
		VersioningConfiguration: s3.BucketVersioningV2VersioningConfigurationArgs{Status: pulumi.String("Enabled")},
	})
	if err != nil {
		return err
	}
	if _, err := s3.NewBucketLifecycleConfigurationV2(ctx, "lifecycle", &s3.BucketLifecycleConfigurationV2Args{
		Bucket: bucket.ID(),
		Rules: s3.BucketLifecycleConfigurationV2RuleArray{s3.BucketLifecycleConfigurationV2RuleArgs{
			Id: pulumi.String("old-versions"), Status: pulumi.String("Enabled"),
			Filter: s3.BucketLifecycleConfigurationV2RuleFilterArgs{Prefix: pulumi.String("")},
			NoncurrentVersionExpiration: s3.BucketLifecycleConfigurationV2RuleNoncurrentVersionExpirationArgs{
				NoncurrentDays: pulumi.Int(90),
			},
			AbortIncompleteMultipartUpload: s3.BucketLifecycleConfigurationV2RuleAbortIncompleteMultipartUploadArgs{
				DaysAfterInitiation: pulumi.Int(7),
			},
		}},
	}, pulumi.DependsOn([]pulumi.Resource{versioning})); err != nil {
		return err
	}
	if _, err := s3.NewBucketServerSideEncryptionConfigurationV2(ctx, "encryption",
		&s3.BucketServerSideEncryptionConfigurationV2Args{
			Bucket: bucket.ID(),
			Rules: s3.BucketServerSideEncryptionConfigurationV2RuleArray{
				s3.BucketServerSideEncryptionConfigurationV2RuleArgs{
					BucketKeyEnabled: pulumi.Bool(true),
					ApplyServerSideEncryptionByDefault: s3.
						BucketServerSideEncryptionConfigurationV2RuleApplyServerSideEncryptionByDefaultArgs{
						SseAlgorithm: pulumi.String("aws:kms"), KmsMasterKeyId: key.Arn,
					},
				},
			},
		}); err != nil {
		return err
	}
	private, err := s3.NewBucketPublicAccessBlock(ctx, "private", &s3.BucketPublicAccessBlockArgs{
		Bucket: bucket.ID(), BlockPublicAcls: pulumi.Bool(true), BlockPublicPolicy: pulumi.Bool(true),
		IgnorePublicAcls: pulumi.Bool(true), RestrictPublicBuckets: pulumi.Bool(true),
	})
	if err != nil {
		return err
	}
	policy := bucket.Arn.ApplyT(refuseUnencrypted).(pulumi.StringOutput)
	_, err = s3.NewBucketPolicy(ctx, "policy", &s3.BucketPolicyArgs{Bucket: bucket.ID(), Policy: policy},
		pulumi.DependsOn([]pulumi.Resource{private}))
	return err
}

// leaveToIAM is a key policy that leaves it to the account's IAM policies who may use the key.
func leaveToIAM(caller, account string) (string, error) {
	partition := strings.Split(caller, ":")[1]
	return iampolicy.JSON(iampolicy.Statement{
		Sid: "LeaveToIAM", Principal: &iampolicy.Principal{AWS: "arn:" + partition + ":iam::" + account + ":root"},
		Actions: []string{"kms:*"}, Resources: []string{"*"},
	})
}

// refuseUnencrypted is a bucket policy that denies requests without TLS.
func refuseUnencrypted(bucket string) (string, error) {
	type object = map[string]any
	policy, err := json.Marshal(object{
		"Version": iampolicy.Version,
		"Statement": []object{{
			"Sid": "RefuseUnencrypted", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
			"Resource":  []string{bucket, bucket + "/*"},
			"Condition": object{"Bool": object{"aws:SecureTransport": "false"}},
		}},
	})
	return string(policy), err
}
