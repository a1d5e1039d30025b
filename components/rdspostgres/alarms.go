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

// Alarms watch CPU, free storage, freeable memory, the age of transaction ids, the lag of replication slots and, if
// RdsPostgresArgs.ConnectionLimit is set, connections.
type Alarms struct {
	// Enabled creates the alarms. Default true in production only. Without topics the alarms are visible only in
	// CloudWatch and as EventBridge events.
	Enabled bool `json:"enabled"`
	// TopicArns are SNS topics (standard, not FIFO) that are notified when an alarm begins and ends.
	TopicArns []string `json:"topicArns" example:"['arn:aws:sns:<region>:<account>:oncall']"`
	// CPU is the threshold of the mean utilization over 15 minutes, in percent. Default 80.
	CPU int `json:"cpu" example:"90"`
	// FreeStorage is the threshold of free storage over 15 minutes, in GiB. Default 0: a tenth of the disk.
	// Below that RDS grows the disk if it may, so the alarm says that it did not. The disk is as large as it was at the
	// last refresh or update, so after RDS has grown it, "up --refresh" raises the threshold.
	FreeStorage int `json:"freeStorage" example:"10"`
	// FreeableMemory is the threshold of freeable memory over 15 minutes, in MiB. Default 256.
	FreeableMemory int `json:"freeableMemory" example:"512"`
	// Connections is the threshold of open connections over 5 minutes, in percent of the connection limit. Default 80.
	Connections int `json:"connections" example:"70"`
	// Dashboard creates a dashboard in CloudWatch, named as the instance, with the metrics of the alarms and the
	// throughput of the disk. An account has three for free. Default false.
	Dashboard bool `json:"dashboard"`
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
		faults.Check(!a.Dashboard, "dashboard", a.Dashboard,
			"shows the alarms: set alarms.enabled to true, or leave it out")
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
	// transactionIDs is AWS's advice ("Implement an early warning system for transaction ID wraparound in Amazon RDS
	// for
	// PostgreSQL"). PostgreSQL refuses writes at 2 billion.
	transactionIDs = 1_000_000_000
)

// alarm is one watched metric.
type alarm struct {
	part, metric, comparison string
	threshold                float64
	// tenth is true for a threshold of a tenth of the disk, whatever size it has.
	tenth bool
	// periods is the number of consecutive periods of five minutes beyond the threshold.
	periods int
	// missing says how CloudWatch treats missing data.
	missing     string
	description string
}

// watched returns the alarms of the arguments. Their descriptions begin with the instance's name.
func (a *RdsPostgresArgs) watched() []alarm {
	const above, below = "GreaterThanThreshold", "LessThanThreshold"
	storage := alarm{
		part: "free-storage", metric: "FreeStorageSpace", comparison: below, periods: 3,
		// An instance that reports nothing for 15 minutes is stopped or full, so missing data is breaching.
		missing: "breaching", tenth: a.Alarms.FreeStorage == 0, threshold: float64(a.Alarms.FreeStorage * gibibyte),
		description: fmt.Sprintf("less than %d.0 GiB of storage free for 15 min", a.Alarms.FreeStorage),
	}
	if storage.tenth {
		storage.description = "less than %.1f GiB of storage free for 15 min"
	}
	alarms := []alarm{
		{
			part: "cpu", metric: "CPUUtilization", comparison: above, threshold: float64(a.Alarms.CPU), periods: 3,
			missing: "missing", description: fmt.Sprintf("CPU above %d %% for 15 min", a.Alarms.CPU),
		},
		storage,
		{
			part: "freeable-memory", metric: "FreeableMemory", comparison: below,
			threshold: float64(a.Alarms.FreeableMemory * mebibyte), periods: 3, missing: "missing",
			description: fmt.Sprintf("less than %d MiB of memory freeable for 15 min", a.Alarms.FreeableMemory),
		},
		{
			part: "transaction-ids", metric: "MaximumUsedTransactionIDs", comparison: above, threshold: transactionIDs,
			periods: 3, missing: "missing",
			description: "more than a billion transaction ids are not frozen; at 2 billion PostgreSQL refuses writes",
		},
		{
			// RDS reports it only while there is a slot.
			part: "replication-slots", metric: "OldestReplicationSlotLag", comparison: above, tenth: true, periods: 3,
			missing: "notBreaching", description: "a replication slot holds more than %.1f GiB of write-ahead log",
		},
	}
	if a.ConnectionLimit > 0 {
		limit := a.ConnectionLimit * a.Alarms.Connections / 100
		alarms = append(alarms, alarm{
			part: "connections", metric: "DatabaseConnections", comparison: above, threshold: float64(limit),
			periods:     1,
			missing:     "missing",
			description: fmt.Sprintf("more than %d of %d connections open", limit, a.ConnectionLimit),
		})
	}
	return alarms
}

// on fills in what follows from the size of the disk, in GiB.
func (a alarm) on(disk int) alarm {
	if a.tenth {
		a.threshold = float64(disk * gibibyte / 10)
		a.description = fmt.Sprintf(a.description, a.threshold/gibibyte)
	}
	return a
}

// limit is the threshold on a disk of this size, in GiB.
func (a alarm) limit(disk int) float64 { return a.on(disk).threshold }

func (b *builder) alarms(instance *rds.Instance) error {
	if !b.args.Alarms.Enabled {
		return nil
	}
	var topics pulumi.Array
	for _, arn := range b.args.Alarms.TopicArns {
		topics = append(topics, pulumi.String(arn))
	}
	// The size that the provider read, which is that of the config until RDS has grown the disk.
	disk := instance.AllocatedStorage
	for _, a := range b.args.watched() {
		_, err := cloudwatch.NewMetricAlarm(b.Ctx, b.Child("alarm-"+a.part), &cloudwatch.MetricAlarmArgs{
			Name: pulumi.String(b.args.Identifier + "-" + a.part),
			AlarmDescription: disk.ApplyT(func(disk int) string {
				return b.args.Identifier + ": " + a.on(disk).description
			}).(pulumi.StringOutput),
			Namespace:          pulumi.String("AWS/RDS"),
			MetricName:         pulumi.String(a.metric),
			Dimensions:         pulumi.StringMap{"DBInstanceIdentifier": instance.Identifier},
			Statistic:          pulumi.String("Average"),
			Period:             pulumi.Int(300),
			EvaluationPeriods:  pulumi.Int(a.periods),
			ComparisonOperator: pulumi.String(a.comparison),
			Threshold:          disk.ApplyT(a.limit).(pulumi.Float64Output),
			TreatMissingData:   pulumi.String(a.missing),
			AlarmActions:       topics,
			OkActions:          topics,
			Tags:               b.tags(),
		}, b.Parent)
		if err != nil {
			return fmt.Errorf("the alarm on %s: %w", a.metric, err)
		}
	}
	return b.dashboard(disk)
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
