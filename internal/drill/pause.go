package drill

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	// pauseLimit is how long the transactions of a database may take to end, so that it is paused; also in pauseScript.
	pauseLimit = 20 * time.Second
	// pausedLimit is after how long the pod ends a pause that the driver has not ended. A reboot takes less.
	pausedLimit = 90 * time.Second
)

// plannedReboot reboots the instance while the pool is paused.
func (r *Runner) plannedReboot(ctx context.Context) error {
	pods, err := r.pods(ctx, r.Target.Pool)
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return fmt.Errorf("there is no running pod of Deployment %s to pause", r.Target.Pool)
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
	// A pool that goes on earlier fails its clients as soon as one login has failed.
	err = until(ctx, pausedLimit, "the restart", func(ctx context.Context) (bool, string, error) {
		up, err := reboot.told(ctx, "restarted")
		return up, "RDS has not told it", err
	})
	if err := errors.Join(err, r.endPause(ctx)); err != nil {
		return err
	}
	r.noted("the pool goes on")
	return reboot.end(ctx)
}

// The scripts run in the container of PgBouncer. Their arguments are the folder of its socket, in which they keep what
// will end the pause, and the databases.
const (
	// pauseScript starts what ends the pause before it begins, so that clients never wait for a process outside that is
	// gone. It fails if one database is not paused in time.
	pauseScript = `dir=$1 seconds=$2; shift 2
console() { timeout 20 psql --no-psqlrc --quiet --command="$1" "host=$dir dbname=pgbouncer user=pgbouncer"; }
(sleep "$seconds"; for db; do console "RESUME \"$db\""; done) </dev/null >/dev/null 2>&1 &
echo $! >"$dir/paused"
for db; do console "PAUSE \"$db\"" || exit 1; done`
	resumeScript = `dir=$1; shift; failed=0
if [ -f "$dir/paused" ]; then kill "$(cat "$dir/paused")" 2>/dev/null; rm -f "$dir/paused"; fi
for db; do
  said=$(psql --no-psqlrc --quiet --command="RESUME \"$db\"" "host=$dir dbname=pgbouncer user=pgbouncer" 2>&1) ||
    case $said in *'not paused'*) ;; *) echo "$said" >&2; failed=1 ;; esac
done
exit $failed`
)

// pausePool pauses the service's databases in a pod. Sessions of people have databases of their own, which a pause
// would wait for.
func (r *Runner) pausePool(ctx context.Context, pod string) error {
	limited, cancel := context.WithTimeout(ctx, pauseLimit*time.Duration(1+len(r.Target.Databases)))
	defer cancel()
	args := append([]string{r.Target.PoolSocketDir, strconv.Itoa(int(pausedLimit.Seconds()))}, r.Target.Databases...)
	if _, err := r.inPool(limited, pod, pauseScript, args...); err != nil {
		return fmt.Errorf("pausing %s, which waits %s for transactions to end: %w", pod, pauseLimit, err)
	}
	return nil
}

// endPause ends the pause in all pods. One without a pause stays as it is.
func (r *Runner) endPause(ctx context.Context) error {
	pods, err := r.pods(ctx, r.Target.Pool)
	if err != nil {
		return err
	}
	var failed []error
	for _, pod := range pods {
		args := append([]string{r.Target.PoolSocketDir}, r.Target.Databases...)
		if _, err := r.inPool(ctx, pod, resumeScript, args...); err != nil {
			failed = append(failed, fmt.Errorf("ending the pause of %s: %w", pod, err))
		}
	}
	return errors.Join(failed...)
}

// inPool runs a script in the container of PgBouncer.
func (r *Runner) inPool(ctx context.Context, pod, script string, args ...string) (string, error) {
	command := []string{"exec", pod, "--container=" + r.Target.PoolContainer, "--", "sh", "-c", script, "sh"}
	return r.kubectl(ctx, append(command, args...)...)
}
