package rdspostgres

import (
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// instanceLogs is how the names of all log groups of RDS instances begin.
const instanceLogs = "/aws/rds/instance/"

func (b *builder) logGroupPrefix() string { return instanceLogs + b.args.Identifier + "/" }

func (b *builder) logGroups(database pulumi.StringOutput) ([]*cloudwatch.LogGroup, error) {
	key, err := b.logKey(database)
	if err != nil {
		return nil, err
	}
	var groups []*cloudwatch.LogGroup
	for _, log := range b.args.LogExports {
		group, err := cloudwatch.NewLogGroup(b.Ctx, b.Child("log-"+log), &cloudwatch.LogGroupArgs{
			Name:            pulumi.String(b.logGroupPrefix() + log),
			RetentionInDays: pulumi.Int(b.args.LogRetention),
			LogGroupClass:   pulumi.String(b.args.LogGroupClass),
			KmsKeyId:        key,
			Tags:            b.tags(),
		}, b.Parent, pulumi.RetainOnDelete(b.args.LogSkipDestroy))
		if err != nil {
			return nil, fmt.Errorf("the log group of %s: %w", log, err)
		}
		groups = append(groups, group)
	}
	return groups, nil
}
