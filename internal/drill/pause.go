package drill

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	// pauseLimit is how long transactions may take to end, so that the pool is paused.
	pauseLimit = 20 * time.Second
	// pausedLimit ends a pause in the pod itself, if nobody else does. A reboot takes less.
	pausedLimit = 90 * time.Second
)

// plannedReboot reboots the instance while the pool is paused.
func (r *Runner) plannedReboot(ctx context.Context) error {
	pods, err := r.pods(ctx, r.Target.Pool)
	if err != nil {
		return err
	}
	r.noted("the pool is paused: new transactions wait, those under way end")
	for _, pod := range pods {
		if err := r.pausePool(ctx, pod); err != nil {
			return err
		}
	}
	reboot, err := r.beginReboot(ctx)
	if err != nil {
		return err
	}
	// Once no connection to the old process is possible, PgBouncer itself waits for the new one, and resumes sooner.
	err = until(ctx, pausedLimit, "the instance to end", func(ctx context.Context) (bool, string, error) {
		down, err := reboot.told(ctx, "shutdown")
		up, err2 := reboot.told(ctx, "restarted")
		return down || up, "RDS has told neither the end nor the restart", errors.Join(err, err2)
	})
	if err := errors.Join(err, r.endPause(ctx)); err != nil {
		return err
	}
	r.noted("the pool goes on")
	return r.available(ctx, func(*instance) bool {
		over, err := reboot.told(ctx, "restarted")
		return err == nil && over
	})
}

// pausePool pauses the service's databases in a pod. What ends the pause runs in the pod before it begins, so that
// clients never wait for a process outside that is gone.
func (r *Runner) pausePool(ctx context.Context, pod string) error {
	go func() {
		after := []string{"sh", "-c", `sleep "$1"; shift; exec "$@"`, "sh", strconv.Itoa(int(pausedLimit.Seconds()))}
		// Its end is no news: usually the pause has ended before.
		_, _ = r.inPool(context.WithoutCancel(ctx), pod, append(after, r.console("RESUME")...)...)
	}()
	limited, cancel := context.WithTimeout(ctx, pauseLimit)
	defer cancel()
	_, err := r.inPool(limited, pod, r.console("PAUSE")...)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && limited.Err() != nil:
		err = fmt.Errorf("a transaction has not ended within %s: %w", pauseLimit, err)
	}
	return fmt.Errorf("pausing %s: %w", pod, err)
}

// endPause ends the pause in all pods. One without a pause says so.
func (r *Runner) endPause(ctx context.Context) error {
	pods, err := r.pods(ctx, r.Target.Pool)
	if err != nil {
		return err
	}
	var failed []error
	for _, pod := range pods {
		_, err := r.inPool(ctx, pod, r.console("RESUME")...)
		if err != nil && !strings.Contains(err.Error(), "not paused") {
			failed = append(failed, fmt.Errorf("ending the pause of %s: %w", pod, err))
		}
	}
	return errors.Join(failed...)
}

// console runs a command for each of the service's databases on PgBouncer's console. Sessions of people have databases
// of their own, which a pause would wait for.
func (r *Runner) console(command string) []string {
	args := []string{"psql", "--no-psqlrc", "--quiet"}
	for _, database := range r.Target.Databases {
		args = append(args, fmt.Sprintf("--command=%s %q", command, database))
	}
	return append(args, "host="+r.Target.PoolSocketDir+" dbname=pgbouncer user=pgbouncer connect_timeout=10")
}

// inPool runs a command in the container of PgBouncer.
func (r *Runner) inPool(ctx context.Context, pod string, command ...string) (string, error) {
	return r.kubectl(ctx, append([]string{"exec", pod, "--container=" + r.Target.PoolContainer, "--"}, command...)...)
}
