package rdspostgres

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/iampolicy"
)

// key returns the ARN of the key that encrypts storage, secret and insights.
func (b *builder) key() (pulumi.StringOutput, error) {
	if b.args.KmsKeyArn != "" {
		return pulumi.String(b.args.KmsKeyArn).ToStringOutput(), nil
	}
	return b.newKey("key", "Storage, master secret, insights and logs", "")
}

// logKey returns the ARN of the key that encrypts the log groups. The policy of a given database key may not allow
// CloudWatch Logs, so the logs then have a key of their own.
func (b *builder) logKey(database pulumi.StringOutput) (pulumi.StringOutput, error) {
	switch {
	case b.args.LogKmsKeyArn != "":
		return pulumi.String(b.args.LogKmsKeyArn).ToStringOutput(), nil
	case b.args.KmsKeyArn == "" || len(b.args.LogExports) == 0:
		return database, nil
	}
	return b.newKey("log-key", "Logs", "-logs")
}

// newKey creates a key for a use, and an alias of the instance's name with a suffix.
func (b *builder) newKey(child, use, suffix string) (pulumi.StringOutput, error) {
	policy, err := b.keyPolicy()
	if err != nil {
		return pulumi.StringOutput{}, err
	}
	// Without its key, what stays is lost: KMS deletes a key for good after at most 30 days.
	kept := pulumi.RetainOnDelete(b.args.keyOutlives())
	key, err := kms.NewKey(b.Ctx, b.Child(child), &kms.KeyArgs{
		Description:          pulumi.Sprintf("%s of the RDS instance %s", use, b.args.Identifier),
		DeletionWindowInDays: pulumi.Int(b.args.KmsDeletionWindow),
		EnableKeyRotation:    pulumi.Bool(true),
		Policy:               pulumi.String(policy),
		Tags:                 b.tags(),
	}, b.Parent, kept)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("the key: %w", err)
	}
	_, err = kms.NewAlias(b.Ctx, b.Child(child+"-alias"), &kms.AliasArgs{
		Name:        pulumi.String("alias/rds/" + b.args.Identifier + suffix),
		TargetKeyId: key.KeyId,
	}, b.Parent, kept)
	if err != nil {
		return pulumi.StringOutput{}, fmt.Errorf("the key's alias: %w", err)
	}
	return key.Arn, nil
}

// keyPolicy allows the key to the account's IAM policies, and to CloudWatch Logs for the instance's log groups.
func (b *builder) keyPolicy() (string, error) {
	account := fmt.Sprintf("arn:%s:iam::%s:root", b.args.Partition, b.args.AccountID)
	statements := []iampolicy.Statement{{
		Sid:       "AccountDecidesByIAM",
		Principal: &iampolicy.Principal{AWS: account},
		Actions:   []string{"kms:*"},
		Resources: []string{"*"},
	}}
	if len(b.args.LogExports) > 0 {
		statements = append(statements, iampolicy.Statement{
			Sid: "LogsOfThisInstance",
			Principal: &iampolicy.Principal{Service: fmt.Sprintf("logs.%s.%s", b.args.Region,
				iampolicy.Domain(b.args.Partition))},
			Actions: []string{
				"kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*",
				"kms:Describe*",
			},
			Resources: []string{"*"},
			Condition: iampolicy.Condition{"ArnLike": {
				"kms:EncryptionContext:aws:logs:arn": {fmt.Sprintf("arn:%s:logs:%s:%s:log-group:%s*",
					b.args.Partition, b.args.Region, b.args.AccountID, b.admittedLogs())},
			}},
		})
	}
	return iampolicy.JSON(statements...)
}

// admittedLogs is how the names of the log groups begin that the key's policy admits. Where log groups are kept, it is
// all of the account's instances: a group that was kept has a former identifier, which the program does not know, and
// without the key neither its logs can be read nor can an instance that is still being replaced write to it.
func (b *builder) admittedLogs() string {
	if b.args.LogSkipDestroy {
		return instanceLogs
	}
	return b.logGroupPrefix()
}
