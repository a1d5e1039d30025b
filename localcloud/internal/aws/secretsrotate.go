package aws

import (
	"regexp"
	"strconv"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
)

type rotationRules struct {
	AutomaticallyAfterDays int    `json:",omitempty"`
	Duration               string `json:",omitempty"`
	ScheduleExpression     string `json:",omitempty"`
}

func (k *call) rotateSecret(in struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	RotateImmediately  *bool
	RotationRules      *rotationRules
},
) (any, error) {
	now := in.RotateImmediately == nil || *in.RotateImmediately
	s, err := k.secretFor("RotateSecret", in.SecretID, func(ctx iam.Context) {
		ctx.Set("secretsmanager:RotateImmediately", strconv.FormatBool(now))
		ctx.Set("secretsmanager:ModifyRotationRules", strconv.FormatBool(in.RotationRules != nil))
	})
	if err != nil {
		return nil, err
	}
	if err := alive(s); err != nil {
		return nil, err
	}
	if s.Owner == "" {
		return nil, wire.Errorf(codeInvalidRequest,
			"No Lambda rotation function ARN is associated with this secret. (The local AWS stand-in rotates only "+
				"secrets "+
				"that RDS manages.)")
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	if in.RotationRules != nil {
		days, err := in.RotationRules.days()
		if err != nil {
			return nil, err
		}
		err = k.c.updateSecret(s.ARN, func(_ *state, s *secret) error {
			next := k.c.now().AddDate(0, 0, days)
			s.RotationDays, s.RotationEnabled, s.NextRotation = days, true, &next
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := versionOutput{ARN: s.ARN, Name: s.Name}
	if now {
		if err := k.c.rotateMasterSecret(k.ctx, s.ARN, id); err != nil {
			return nil, err
		}
		out.VersionID = id
	}
	return out, nil
}

var rateForm = regexp.MustCompile(`^rate\((\d{1,4}) days?\)$`)

// days returns the interval of the rules. Cron expressions and hours are not modelled.
func (r rotationRules) days() (int, error) {
	n := r.AutomaticallyAfterDays
	switch {
	case r.Duration != "":
		return 0, wire.NotModelled("RotationRules.Duration of RotateSecret")
	case n != 0 && r.ScheduleExpression != "":
		return 0, wire.Errorf(codeInvalidParam, "You can't specify both AutomaticallyAfterDays and ScheduleExpression.")
	case r.ScheduleExpression != "":
		m := rateForm.FindStringSubmatch(r.ScheduleExpression)
		if m == nil {
			return 0, wire.NotModelled("the schedule expression %q of RotateSecret; use rate(N days)",
				clip(r.ScheduleExpression))
		}
		n, _ = strconv.Atoi(m[1])
	}
	if n < 1 || n > 1000 {
		return 0, wire.Errorf(codeInvalidParam, "AutomaticallyAfterDays: %d: must be between 1 and 1000", n)
	}
	return n, nil
}
