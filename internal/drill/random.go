package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"dbtier/internal/drill/report"
)

// scheduled is how long the faults of a random schedule take together, about: some wait for what heals them.
const scheduled = 40 * time.Second

// quick are the drills of random schedules: those that heal within seconds.
var quick = []string{
	"rotate-master", "failover", "reboot", "pool-kill", "operator-down", "secrets-manager-down", "dns-down",
	"api-server-down", "partition",
}

// Step is one fault of a schedule.
type Step struct {
	// Drill is the name of the fault, For how long it lasts if it does not heal by itself, and After the pause before
	// it.
	Drill      string
	For, After time.Duration
}

func (s Step) String() string {
	return fmt.Sprintf("%s for %s after %s", s.Drill, s.For, s.After)
}

// Words returns each step in words.
func Words(steps []Step) []string {
	words := make([]string, len(steps))
	for i, step := range steps {
		words[i] = step.String()
	}
	return words
}

// Schedule returns the faults of a seed on a stack. The same seed gives the same faults on every machine, as long as
// the stack can have the same ones.
func Schedule(seed uint64, t *Target) []Step {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable on purpose
	possible := slices.DeleteFunc(slices.Clone(quick), func(name string) bool { return Find(name).Check(t) != nil })
	seconds := func(least, most int) time.Duration {
		return time.Duration(least+random.IntN(most-least+1)) * time.Second
	}
	var steps []Step
	for left := scheduled; left > 0 && len(possible) > 0; {
		step := Step{Drill: possible[random.IntN(len(possible))], For: seconds(2, 12), After: seconds(0, 5)}
		steps = append(steps, step)
		left -= step.For + step.After
	}
	return steps
}

// Random returns the drill of some steps.
func Random(seed uint64, steps []Step) *Scenario {
	shows := "Faults that heal within seconds, one after another; the seed chooses which, when, and for how long."
	if len(steps) > 0 {
		shows = fmt.Sprintf("Seed %d: %s.", seed, strings.Join(Words(steps), ", "))
	}
	return &Scenario{
		Name: "random", Does: "Cause several faults, one after another, chosen by a seed", Shows: shows,
		cause: func(r *Runner, ctx context.Context) error { return r.play(ctx, steps) },
		undo:  (*Runner).undoAll,
	}
}

// play causes the faults of a schedule.
func (r *Runner) play(ctx context.Context, steps []Step) error {
	defer func() { r.lasts = 0 }()
	for _, step := range steps {
		if err := pause(ctx, step.After); err != nil {
			return err
		}
		r.lasts, r.record.Scaled = step.For, nil
		if err := Find(step.Drill).cause(r, ctx); err != nil {
			return fmt.Errorf("%s: %w", step.Drill, err)
		}
	}
	return nil
}

// undoAll ends any of the faults of a random schedule.
func (r *Runner) undoAll(ctx context.Context) error {
	if r.Target.Local {
		if err := r.endFaults(ctx); err != nil {
			return err
		}
	}
	return r.scaleBack(ctx)
}

// Shrink returns the fewest steps that still fail, by leaving out one after another. fails runs a schedule.
func Shrink(steps []Step, fails func([]Step) (bool, error)) ([]Step, error) {
	for i := 0; i < len(steps) && len(steps) > 1; {
		fewer := slices.Delete(slices.Clone(steps), i, i+1)
		failed, err := fails(fewer)
		if err != nil {
			return steps, err
		}
		if failed {
			steps = fewer
		} else {
			i++
		}
	}
	return steps, nil
}

// Sound reports whether a drill has kept what every drill must keep: no acknowledged write is lost or there twice, and
// no request of a client that retries has failed. why names what it has not kept.
func Sound(made *report.Report) (ok bool, why string) {
	var broken []string
	add := func(n int, what string) {
		if n > 0 {
			broken = append(broken, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(made.Load.Ledger.Lost, "acknowledged writes lost")
	add(made.Load.Ledger.Duplicated, "writes duplicated")
	add(made.Restored.Wrong(), "writes wrong in the restored database")
	figures := made.Figures()
	retrying, _ := figures.Of(report.Retrying)
	add(retrying.Failed, "requests of retrying clients failed")
	return len(broken) == 0, strings.Join(broken, ", ")
}
