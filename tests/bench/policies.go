package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dbtier/policy/registry"
	"dbtier/policy/ruletest"
)

const (
	golden   = "tests/golden/prod.yaml"
	starts   = 21
	previews = 5
)

// benchPolicies measures all rules on stacks of three sizes, the start of the pack's process, and an offline preview of
// stack prod with and without the pack.
func benchPolicies() (string, error) {
	ctx := context.Background()
	var out strings.Builder
	fmt.Fprintf(&out, "Measured %s on %d cores, medians.\n\n| %d rules on | all | a resource |\n|---|---|---|\n",
		time.Now().UTC().Format(time.DateOnly),
		runtime.NumCPU(), len(registry.All()))
	for _, count := range []int{50, 500, 5000} {
		took := judged(count)
		fmt.Fprintf(&out, "| %d resources | %.1f ms | %.0f µs |\n", count, float64(took.Microseconds())/1000,
			float64(took.Microseconds())/float64(count))
	}
	starting, err := timesOf(starts, func() error { return start(ctx) })
	if err != nil {
		return "", err
	}
	// The commands alternate, so that other load on the machine affects both.
	previewing, err := timesOf(previews, func() error { return preview(ctx, "--no-policy") },
		func() error { return preview(ctx) })
	if err != nil {
		return "", err
	}
	ready, without, with := median(starting[0]), median(previewing[0]), median(previewing[1])
	fmt.Fprintf(&out, "\n| | median | aim |\n|---|---|---|\n| process start to ready | %d ms | 60 ms |\n",
		ready.Milliseconds())
	fmt.Fprintf(&out, "| `preview --stack prod --offline` without the pack | %.2f s | |\n", without.Seconds())
	fmt.Fprintf(&out, "| the same with the pack | %.2f s, %.2f times | 1.3 times |\n", with.Seconds(),
		with.Seconds()/without.Seconds())
	return out.String(), nil
}

// judged returns how long the whole pack takes for count resources.
func judged(count int) time.Duration {
	result := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		run := ruletest.NewRun(b, registry.All(), ruletest.Many(b, golden, count))
		for b.Loop() {
			run.Do(b)
		}
	})
	return time.Duration(result.NsPerOp())
}

// timesOf runs each command the given number of times, alternating, and returns the durations.
func timesOf(runs int, commands ...func() error) ([][]time.Duration, error) {
	took := make([][]time.Duration, len(commands))
	for range runs {
		for i, command := range commands {
			started := time.Now()
			if err := command(); err != nil {
				return nil, err
			}
			took[i] = append(took[i], time.Since(started))
		}
	}
	return took, nil
}

// start starts the pack like the engine and waits until it prints its port.
func start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join("bin", "policy-pack"), "127.0.0.1:1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("reading the pack's output: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the pack: %w", err)
	}
	_, err = bufio.NewReader(out).ReadString('\n')
	cancel()
	// The process is killed while it serves, so its exit status is not an error.
	_ = cmd.Wait()
	if err != nil {
		return fmt.Errorf("reading the pack's port: %w", err)
	}
	return nil
}

func preview(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join("bin", "dbtier"),
		append([]string{"preview", "--stack", "prod", "--offline", "--inputs=false"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running the offline preview: %w\n%s", err, out)
	}
	return nil
}
