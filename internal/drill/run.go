package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dbtier/internal/drill/report"
)

// cleanLimit is how long the end of an interrupted drill may take: RDS deletes an instance only once it is made.
const cleanLimit = 4 * time.Hour

// Run runs a drill and reports it. It ends what it has begun, also if the context is cancelled. A report comes with an
// error if the fault did not heal, or if the load was lost.
func (r *Runner) Run(ctx context.Context, s *Scenario) (*report.Report, error) {
	if err := r.Check(s); err != nil {
		return nil, err
	}
	if err := r.claim(ctx, s.Name); err != nil {
		return nil, err
	}
	r.events, r.restored = nil, nil
	var made *report.Report
	err := r.whileBeating(ctx, func() error {
		var failed error
		made, failed = r.underLoad(ctx, s)
		left := s
		if made != nil && failed == nil {
			left = nil // Nothing is left to undo.
		}
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
		defer cancel()
		return errors.Join(failed, r.end(clean, left))
	})
	return made, err
}

// underLoad causes the fault while the load runs, and reports it.
func (r *Runner) underLoad(ctx context.Context, s *Scenario) (*report.Report, error) {
	began := time.Now()
	r.Say("starting the load")
	if err := r.startLoad(ctx, s); err != nil {
		return nil, err
	}
	if err := r.settle(ctx); err != nil {
		return nil, fmt.Errorf("before the fault: %w", err)
	}
	caused := s.cause(r, ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if caused == nil {
		// What the fault does can come late.
		if caused = pause(ctx, r.Steady); caused == nil {
			caused = r.settle(ctx)
		}
	}
	r.Say("looking up every write")
	if err := r.stopLoad(ctx); err != nil {
		return nil, errors.Join(caused, err)
	}
	load, err := r.account(ctx)
	if err != nil {
		return nil, errors.Join(caused, err)
	}
	made := &report.Report{
		Drill: s.Name, Stack: r.Target.Stack, Cloud: r.Target.Cloud, Began: began, Ended: time.Now(), Events: r.events,
		Versions: append([]report.Fact{{Name: "PostgreSQL", Value: load.Server}}, r.Target.Versions...),
		Settings: r.Target.Settings, Load: *load, Restored: r.restored,
	}
	if caused != nil {
		made.Problem = caused.Error()
		return made, fmt.Errorf("drill %s: %w", s.Name, caused)
	}
	return made, nil
}
