package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/drill"
	drillreport "dbtier/internal/drill/report"
)

// round is the answer for one schedule of the drill random.
type round struct {
	Seed uint64 `json:"seed"`
	// Faults are the steps of the schedule.
	Faults []string `json:"faults"`
	OK     bool     `json:"ok"`
	// Why says what was not kept.
	Why string `json:"why,omitempty"`
	// Acknowledged writes, and the longest time in seconds that a kind of client had no answer.
	Acknowledged int     `json:"acknowledged"`
	Longest      float64 `json:"longest"`
	// Fewest are the positions in Faults of the fewest that still fail.
	Fewest []int `json:"fewest,omitempty"`
}

type randomFlags struct {
	seed   uint64
	rounds int
	only   []int
}

func (a *app) drillRandom() *cobra.Command {
	var f stackFlags
	var d drillFlags
	var r randomFlags
	do := func(t *task, ctx context.Context) error { return t.runRandom(ctx, &d, &r) }
	cmd := a.onStacks(&f, do, &cobra.Command{
		Use:   "random --stack <stack>",
		Short: "Cause several faults, one after another, chosen by a seed",
		Long: `Plays schedules of faults that heal within seconds, about 40 s each, all under the same load. A seed
always gives the same faults on the same stack. A schedule fails if an acknowledged write is lost or is there twice,
or if a request of a client that retries fails. The first that fails is played again with fewer faults, until
each of them is needed, and ends the command.

Exit codes: 0, or 1 if a schedule failed.`,
		Example: `  dbtier drill random --stack local --rounds 100
  dbtier drill random --stack local --seed 17 --only 0,2`,
	}, withEngine, withConsent)
	d.add(cmd)
	flags := cmd.Flags()
	flags.Uint64Var(&r.seed, "seed", 1, "the first seed; the next schedule has the next one")
	flags.IntVar(&r.rounds, "rounds", 1, "the `number` of schedules")
	flags.IntSliceVar(&r.only, "only", nil, "only the faults at these `positions` of the schedule, from 0")
	return cmd
}

func (t *task) runRandom(ctx context.Context, d *drillFlags, f *randomFlags) error {
	if f.rounds < 1 {
		return &usageError{error: fmt.Errorf("--rounds %d: want 1 or more", f.rounds), command: "dbtier drill random"}
	}
	runner, err := t.readyForDrill(ctx, drill.Random(f.seed, nil), d)
	if err != nil {
		return err
	}
	for i := range f.rounds {
		seed := f.seed + uint64(i)
		steps, err := f.steps(seed, &runner.Target)
		if err != nil {
			return err
		}
		made, err := t.playRound(ctx, runner, seed, steps)
		if err != nil {
			if ctx.Err() != nil {
				t.say("to go on: dbtier drill random --stack %s --seed %d --rounds %d", t.stack.Name, seed, f.rounds-i)
			}
			return errors.Join(err, d.write(made))
		}
		if last := &t.report.Rounds[i]; !last.OK {
			return errors.Join(t.shrink(ctx, runner, last, steps, f.only), d.write(made))
		}
		if i == f.rounds-1 {
			return d.write(made)
		}
	}
	return nil
}

// steps returns the schedule of a seed, or the part of it that the person wants.
func (f *randomFlags) steps(seed uint64, target *drill.Target) ([]drill.Step, error) {
	all := drill.Schedule(seed, target)
	if len(f.only) == 0 {
		return all, nil
	}
	var some []drill.Step
	for _, at := range f.only {
		if at < 0 || at >= len(all) {
			return nil, fmt.Errorf("--only %d: the schedule of seed %d has the positions 0 to %d", at, seed, len(all)-1)
		}
		some = append(some, all[at])
	}
	return some, nil
}

func (t *task) playRound(
	ctx context.Context, runner *drill.Runner, seed uint64, steps []drill.Step,
) (*drillreport.Report, error) {
	t.say("seed %d: %s", seed, strings.Join(drill.Words(steps), ", "))
	made, err := runner.Run(ctx, drill.Random(seed, steps))
	if made == nil || err != nil {
		return made, drillError(err)
	}
	made.Seed, t.report.Drill = &seed, made
	figures := made.Figures()
	one := round{
		Seed: seed, Faults: drill.Words(steps), Acknowledged: made.Load.Ledger.Acknowledged,
		Longest: figures.All.Longest(),
	}
	one.OK, one.Why = drill.Sound(made)
	said := one.Why
	if one.OK {
		said = "nothing lost"
	}
	t.say("seed %d: %s, %d writes acknowledged, at most %.1f s without an answer", seed, said, one.Acknowledged,
		one.Longest)
	t.report.Rounds = append(t.report.Rounds, one)
	return made, nil
}

// shrink plays a schedule that failed with fewer faults, and returns the error that names those that are needed.
// positions are those of the steps in the schedule of the seed; by default the steps are all of it.
func (t *task) shrink(
	ctx context.Context, runner *drill.Runner, failed *round, steps []drill.Step, positions []int,
) error {
	seed := failed.Seed
	if len(positions) == 0 {
		for i := range steps {
			positions = append(positions, i)
		}
	}
	t.say("seed %d failed; playing it with fewer faults", seed)
	least, err := drill.Shrink(steps, func(fewer []drill.Step) (bool, error) {
		made, err := runner.Run(ctx, drill.Random(seed, fewer))
		if err != nil {
			return false, err
		}
		ok, why := drill.Sound(made)
		t.say("  %s: %s", strings.Join(drill.Words(fewer), ", "), map[bool]string{true: "nothing lost", false: why}[ok])
		return !ok, nil
	})
	for i, from := 0, 0; i < len(least); i++ {
		at := from + slices.Index(steps[from:], least[i])
		failed.Fewest, from = append(failed.Fewest, positions[at]), at+1
	}
	only := strings.Trim(strings.ReplaceAll(fmt.Sprint(failed.Fewest), " ", ","), "[]")
	return errors.Join(err, fmt.Errorf("seed %d: %s; to play the fewest faults that fail: dbtier drill random "+
		"--stack %s "+
		"--seed %d --only %s", seed, failed.Why, t.stack.Name, seed, only))
}
