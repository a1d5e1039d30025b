package rdspostgres

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/secretsmanager"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/validation/awsrules"
)

// Rotation is the schedule on which RDS changes the master password. Without a schedule RDS changes it every 7 days, so
// leaving the schedule out does not turn rotation off. Removing a schedule keeps the last one in force.
type Rotation struct {
	// AutomaticallyAfterDays between two rotations, 1 to 1000.
	AutomaticallyAfterDays int `json:"automaticallyAfterDays" example:"30"`
	// ScheduleExpression instead of days: rate(10 days), rate(12 hours), or cron(0 3 ? * SUN *) in UTC, which rotates
	// at a quiet hour. Secrets Manager accepts rates from 4 hours, and only the minute 0.
	ScheduleExpression string `json:"scheduleExpression" example:"cron(0 3 ? * SUN *)"`
	// Duration of the window in which the rotation begins, in whole hours such as 2h. It must end in the same UTC day.
	// Default: to the end of the day, or one hour if the rate is in hours.
	Duration string `json:"duration" example:"2h"`
	// RotateImmediately also rotates when the schedule is set or changed. Default false.
	RotateImmediately bool `json:"rotateImmediately"`
}

// scheduled reports whether a schedule is set.
func (r Rotation) scheduled() bool {
	return r.AutomaticallyAfterDays != 0 || r.ScheduleExpression != ""
}

var hoursForm = regexp.MustCompile(`^([1-9]\d?)h$`)

func (r Rotation) validate() error {
	var faults fault.List
	if !r.scheduled() {
		faults.Check(r.Duration == "", "duration", r.Duration, "needs automaticallyAfterDays or scheduleExpression")
		faults.Check(!r.RotateImmediately, "rotateImmediately", true,
			"needs automaticallyAfterDays or scheduleExpression; to rotate once: "+
				"aws rds modify-db-instance --rotate-master-user-password --apply-immediately "+
				"--db-instance-identifier "+
				"<identifier>")
		return faults.Err()
	}
	faults.Check(r.AutomaticallyAfterDays == 0 || r.ScheduleExpression == "", "scheduleExpression",
		r.ScheduleExpression,
		"conflicts with automaticallyAfterDays; give one of them")
	if r.AutomaticallyAfterDays != 0 {
		faults.Between("automaticallyAfterDays", r.AutomaticallyAfterDays, 1, 1000, "days")
	}
	longest := 24
	if r.ScheduleExpression != "" {
		window, err := awsrules.CheckRotationSchedule(r.ScheduleExpression)
		if err != nil {
			faults.Add("scheduleExpression", r.ScheduleExpression, "%s", err)
		} else {
			longest = window
		}
	}
	if r.Duration != "" {
		hours := hoursForm.FindStringSubmatch(r.Duration)
		if faults.Check(hours != nil, "duration", r.Duration, "want whole hours, for example 2h") {
			n, _ := strconv.Atoi(hours[1])
			faults.Check(n <= longest, "duration", r.Duration,
				"ends after the UTC day or the next rotation, which Secrets Manager refuses; want at most %dh",
				longest)
		}
	}
	return faults.Err()
}

// rotation sets the schedule of the secret that RDS created.
func (b *builder) rotation(secret pulumi.StringOutput) error {
	r := b.args.Rotation
	if !r.scheduled() {
		return nil
	}
	rules := secretsmanager.SecretRotationRotationRulesArgs{}
	if r.AutomaticallyAfterDays != 0 {
		rules.AutomaticallyAfterDays = pulumi.Int(r.AutomaticallyAfterDays)
	} else {
		rules.ScheduleExpression = pulumi.String(r.ScheduleExpression)
	}
	if r.Duration != "" {
		rules.Duration = pulumi.String(r.Duration)
	}
	_, err := secretsmanager.NewSecretRotation(b.Ctx, b.Child("secret-rotation"), &secretsmanager.SecretRotationArgs{
		SecretId:      secret,
		RotationRules: rules,
		// The provider's default is true, which would change the password in the first update.
		RotateImmediately: pulumi.Bool(r.RotateImmediately),
	}, b.Parent,
		// Deleting a schedule would turn rotation off, which a removed setting must not do. The schedule is deleted
		// with its secret, and the secret with the instance.
		pulumi.RetainOnDelete(true))
	if err != nil {
		return fmt.Errorf("the rotation of the master secret: %w", err)
	}
	return nil
}
