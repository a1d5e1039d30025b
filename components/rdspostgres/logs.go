package rdspostgres

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// instanceLogs is how the names of all log groups of RDS instances begin.
const instanceLogs = "/aws/rds/instance/"

func (b *builder) logGroupPrefix() string { return instanceLogs + b.args.Identifier + "/" }

func (b *builder) logGroups(key pulumi.StringOutput) ([]*cloudwatch.LogGroup, error) {
	var groups []*cloudwatch.LogGroup
	for _, log := range b.args.LogExports {
		args := &cloudwatch.LogGroupArgs{
			Name:            pulumi.String(b.logGroupPrefix() + log),
			RetentionInDays: pulumi.Int(b.args.LogRetention),
			LogGroupClass:   pulumi.String(b.args.LogGroupClass),
			Tags:            b.tags(),
		}
		switch {
		case b.args.LogKmsKeyArn != "":
			args.KmsKeyId = pulumi.String(b.args.LogKmsKeyArn)
		case b.args.KmsKeyArn == "":
			// The policy of a given key may not allow CloudWatch Logs; the policy of our own key does.
			args.KmsKeyId = key
		}
		group, err := cloudwatch.NewLogGroup(b.Ctx, b.Child("log-"+log), args, b.Parent,
			pulumi.RetainOnDelete(b.args.LogSkipDestroy))
		if err != nil {
			return nil, fmt.Errorf("the log group of %s: %w", log, err)
		}
		groups = append(groups, group)
	}
	return groups, nil
}
