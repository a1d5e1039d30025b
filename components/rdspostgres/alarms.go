package rdspostgres

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/validation"
)

// Alarms watch CPU, free storage, freeable memory and, if RdsPostgresArgs.ConnectionLimit is set, connections.
type Alarms struct {
	// Enabled creates the alarms. Default true in production only. Without topics the alarms are visible only in
	// CloudWatch and as EventBridge events.
	Enabled bool `json:"enabled"`
	// TopicArns are SNS topics (standard, not FIFO) that are notified when an alarm begins and ends.
	TopicArns []string `json:"topicArns" example:"['arn:aws:sns:<region>:<account>:oncall']"`
	// CPU is the threshold of the mean utilization over 15 minutes, in percent. Default 80.
	CPU int `json:"cpu" example:"90"`
	// FreeStorage is the threshold of free storage over 15 minutes, in GiB. Default 0: a tenth of allocatedStorage.
	// Below that RDS grows the disk if it may, so the alarm says that it did not.
	FreeStorage int `json:"freeStorage" example:"10"`
	// FreeableMemory is the threshold of freeable memory over 15 minutes, in MiB. Default 256.
	FreeableMemory int `json:"freeableMemory" example:"512"`
	// Connections is the threshold of open connections over 5 minutes, in percent of the connection limit. Default 80.
	Connections int `json:"connections" example:"70"`
}

// Events are the events of the instance that RDS reports: failovers, failures, low storage, maintenance.
type Events struct {
	// TopicArn is an SNS topic (standard, not FIFO). Default: there is no subscription.
	TopicArn string `json:"topicArn" example:"arn:aws:sns:<region>:<account>:database-events"`
	// Categories of events. Default: all except backup, creation, read replica and restoration, which are routine.
	Categories []string `json:"categories" example:"[failover, failure, low storage, maintenance]"`
}

// Categories of a DB instance's events ("Amazon RDS event categories and event messages"). Security Hub's RDS.20
// requires a subscription to configuration change, failure and maintenance.
var (
	defaultCategories = []string{
		"availability", "configuration change", "deletion", "failover", "failure", "low storage", "maintenance",
		"notification", "recovery",
		"security", "security patching",
	}
	routineCategories = []string{"backup", "creation", "read replica", "restoration"}
)

func (a Alarms) validate(allocatedStorage int) error {
	var faults fault.List
	faults.Names("topicArns", a.TopicArns, validation.TopicArn)
	if !a.Enabled {
		faults.Check(len(a.TopicArns) == 0, "topicArns", a.TopicArns,
			"are never notified: set alarms.enabled to true, or leave them out")
		return faults.Err()
	}
	// CloudWatch accepts at most five actions of a kind.
	faults.Check(len(a.TopicArns) <= 5, "topicArns", len(a.TopicArns), "want at most 5")
	faults.Between("cpu", a.CPU, 1, 100, "percent")
	faults.Check(0 <= a.FreeStorage && a.FreeStorage < max(allocatedStorage, 1), "freeStorage", a.FreeStorage,
		"want 0 for a tenth of allocatedStorage, or less than its %d GiB", allocatedStorage)
	faults.Check(a.FreeableMemory > 0, "freeableMemory", a.FreeableMemory, "want a number of MiB, for example 256")
	faults.Between("connections", a.Connections, 1, 100, "percent")
	return faults.Err()
}

func (e Events) validate() error {
	var faults fault.List
	if e.TopicArn == "" {
		return nil
	}
	faults.Form("topicArn", e.TopicArn, validation.TopicArn)
	faults.Check(len(e.Categories) > 0, "categories", nil,
		"is missing: the events to subscribe to, for example [failure, maintenance]")
	for i, category := range e.Categories {
		path := fmt.Sprintf("categories[%d]", i)
		fault.OneOf(&faults, path, category, slices.Sorted(
			slices.Values(slices.Concat(defaultCategories, routineCategories)),
		)...)
		faults.Check(slices.Index(e.Categories, category) == i, path, category, "is named twice")
	}
	return faults.Err()
}

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30
)

// alarm is one watched metric.
type alarm struct {
	part, metric, comparison string
	threshold                float64
	// periods is the number of consecutive periods of five minutes beyond the threshold.
	periods int
	// missing says how CloudWatch treats missing data.
	missing     string
	description string
}

// watched returns the alarms of the arguments.
func (a *RdsPostgresArgs) watched() []alarm {
	const above, below = "GreaterThanThreshold", "LessThanThreshold"
	freeStorage := a.Alarms.FreeStorage * gibibyte
	if freeStorage == 0 {
		freeStorage = a.AllocatedStorage * gibibyte / 10
	}
	alarms := []alarm{
		{
			"cpu", "CPUUtilization", above, float64(a.Alarms.CPU), 3, "missing",
			fmt.Sprintf("%s: CPU above %d %% for 15 min", a.Identifier, a.Alarms.CPU),
		},
		// An instance that reports nothing for 15 minutes is stopped or full, so missing data is breaching.
		{
			"free-storage", "FreeStorageSpace", below, float64(freeStorage), 3, "breaching",
			fmt.Sprintf("%s: less than %.1f GiB of storage free for 15 min", a.Identifier,
				float64(freeStorage)/gibibyte),
		},
		{
			"freeable-memory", "FreeableMemory", below, float64(a.Alarms.FreeableMemory * mebibyte), 3, "missing",
			fmt.Sprintf("%s: less than %d MiB of memory freeable for 15 min", a.Identifier, a.Alarms.FreeableMemory),
		},
	}
	if a.ConnectionLimit > 0 {
		limit := a.ConnectionLimit * a.Alarms.Connections / 100
		alarms = append(alarms, alarm{
			"connections", "DatabaseConnections", above, float64(limit), 1, "missing",
			fmt.Sprintf("%s: more than %d of %d connections open", a.Identifier, limit, a.ConnectionLimit),
		})
	}
	return alarms
}

func (b *builder) alarms(instance *rds.Instance) error {
	if !b.args.Alarms.Enabled {
		return nil
	}
	var topics pulumi.Array
	for _, arn := range b.args.Alarms.TopicArns {
		topics = append(topics, pulumi.String(arn))
	}
	for _, a := range b.args.watched() {
		_, err := cloudwatch.NewMetricAlarm(b.Ctx, b.Child("alarm-"+a.part), &cloudwatch.MetricAlarmArgs{
			Name:               pulumi.String(b.args.Identifier + "-" + a.part),
			AlarmDescription:   pulumi.String(a.description),
			Namespace:          pulumi.String("AWS/RDS"),
			MetricName:         pulumi.String(a.metric),
			Dimensions:         pulumi.StringMap{"DBInstanceIdentifier": instance.Identifier},
			Statistic:          pulumi.String("Average"),
			Period:             pulumi.Int(300),
			EvaluationPeriods:  pulumi.Int(a.periods),
			ComparisonOperator: pulumi.String(a.comparison),
			Threshold:          pulumi.Float64(a.threshold),
			TreatMissingData:   pulumi.String(a.missing),
			AlarmActions:       topics,
			OkActions:          topics,
			Tags:               b.tags(),
		}, b.Parent)
		if err != nil {
			return fmt.Errorf("the alarm on %s: %w", a.metric, err)
		}
	}
	return nil
}

func (b *builder) events(instance *rds.Instance) error {
	if b.args.Events.TopicArn == "" {
		return nil
	}
	_, err := rds.NewEventSubscription(b.Ctx, b.Child("events"), &rds.EventSubscriptionArgs{
		Name:            pulumi.String(b.args.Identifier),
		SnsTopic:        pulumi.String(b.args.Events.TopicArn),
		SourceType:      pulumi.String("db-instance"),
		SourceIds:       pulumi.StringArray{instance.Identifier},
		EventCategories: pulumi.ToStringArray(b.args.Events.Categories),
		Enabled:         pulumi.Bool(true),
		Tags:            b.tags(),
	}, b.Parent)
	if err != nil {
		return fmt.Errorf("the event subscription: %w", err)
	}
	return nil
}
