package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/internal/drill/report"
)

const (
	// restoreLimit is for a restore of a large database. The load runs as long.
	restoreLimit = 100 * time.Minute
	// answerLimit is how long a restored database may take from being available to an answer.
	answerLimit = 5 * time.Minute
	// clockSkew is how much the clocks of AWS and of the load may differ. The local cloud has one clock.
	clockSkew = time.Second
	// identifierLimit is the longest name of a DB instance.
	identifierLimit = 63
)

// restoreTime restores the database to the moment before a mistake.
func (r *Runner) restoreTime(ctx context.Context) error {
	source, err := r.source(ctx)
	if err != nil {
		return err
	}
	// RDS restores to whole seconds.
	at, err := r.loadNow(ctx)
	if err != nil {
		return err
	}
	at = at.Truncate(time.Second)
	r.caused("what is written after %s counts as a mistake", at.Format(time.TimeOnly+" MST"))
	r.noted("were the instance itself lost now, all after %s would be: the latest restorable time",
		source.Latest.UTC().Format(time.TimeOnly+" MST"))
	name := r.restoredName()
	args := append([]string{
		"rds", "restore-db-instance-to-point-in-time", "--source-db-instance-identifier", r.Target.Instance,
		"--target-db-instance-identifier", name, "--restore-time", at.Format(time.RFC3339),
	}, source.likeIt()...)
	if err := r.recorded(ctx, func() { r.record.Restored = name }); err != nil {
		return err
	}
	err = until(ctx, instanceLimit, "the time to be restorable", func(ctx context.Context) (bool, string, error) {
		_, err := r.AWS(ctx, args...)
		if err != nil && !strings.Contains(err.Error(), "later than") {
			err = final(err)
		}
		return err == nil, "", err
	})
	if err != nil {
		return err
	}
	r.noted("RDS restores to it")
	return r.compare(ctx, name, window{at, at.Add(-r.skew()), at.Add(r.skew())})
}

// restoreSnapshot restores a snapshot that is made under load. The fault is that nothing else is left.
func (r *Runner) restoreSnapshot(ctx context.Context) error {
	source, err := r.source(ctx)
	if err != nil {
		return err
	}
	name := r.restoredName()
	if err := r.recorded(ctx, func() { r.record.Snapshot = name }); err != nil {
		return err
	}
	asked, err := r.loadNow(ctx)
	if err != nil {
		return err
	}
	r.noted("RDS makes snapshot %s", name)
	if _, err := r.AWS(ctx, "rds", "create-db-snapshot", "--db-instance-identifier", r.Target.Instance,
		"--db-snapshot-identifier", name); err != nil {
		return err
	}
	err = until(ctx, restoreLimit, "the snapshot", func(ctx context.Context) (bool, string, error) {
		status, err := r.AWS(ctx, "rds", "describe-db-snapshots", "--db-snapshot-identifier", name, "--query",
			"DBSnapshots[0].Status", "--output", "text")
		status = strings.TrimSpace(status)
		if status == "failed" {
			return false, "", &hopelessError{errors.New("RDS could not make the snapshot: its status is failed")}
		}
		return status == "available", "status " + status, err
	})
	if err != nil {
		return err
	}
	lost, err := r.loadNow(ctx)
	if err != nil {
		return err
	}
	r.caused("from here on the snapshot is all that is left")
	if err := r.recorded(ctx, func() { r.record.Restored = name }); err != nil {
		return err
	}
	args := append([]string{
		"rds", "restore-db-instance-from-db-snapshot", "--db-snapshot-identifier", name,
		"--db-instance-identifier", name,
	}, source.likeIt()...)
	if _, err := r.AWS(ctx, args...); err != nil {
		return err
	}
	return r.compare(ctx, name, window{lost, asked.Add(-r.skew()), lost.Add(r.skew())})
}

func (r *Runner) skew() time.Duration {
	if r.Target.Local {
		return 0
	}
	return clockSkew
}

// recorded records what is about to be made, so that it is removed even if this process ends.
func (r *Runner) recorded(ctx context.Context, change func()) error {
	change()
	return r.saveRecord(ctx)
}

// restoredName is the name of what this drill makes. It has the time, so that nothing else has it.
func (r *Runner) restoredName() string {
	suffix := "-drill-" + strconv.FormatInt(r.record.Began.Unix(), 36)
	instance := r.Target.Instance
	return strings.TrimRight(instance[:min(len(instance), identifierLimit-len(suffix))], "-") + suffix
}

// source is the instance that is restored from.
type source struct {
	Class       string    `json:"DBInstanceClass"`
	Latest      time.Time `json:"LatestRestorableTime"`
	SubnetGroup struct {
		Name string `json:"DBSubnetGroupName"`
	} `json:"DBSubnetGroup"`
	SecurityGroups []struct {
		ID string `json:"VpcSecurityGroupId"`
	} `json:"VpcSecurityGroups"`
	ParameterGroups []struct {
		Name string `json:"DBParameterGroupName"`
	} `json:"DBParameterGroups"`
	Endpoint struct {
		Address string `json:"Address"`
		Port    int    `json:"Port"`
	} `json:"Endpoint"`
}

func (r *Runner) source(ctx context.Context) (*source, error) {
	var found source
	if err := r.describe(ctx, r.Target.Instance, &found); err != nil {
		return nil, err
	}
	if len(found.ParameterGroups) == 0 {
		return nil, fmt.Errorf("DB instance %s has no parameter group", r.Target.Instance)
	}
	if found.Latest.IsZero() {
		return nil, fmt.Errorf("DB instance %s has no latest restorable time: it keeps no backups", r.Target.Instance)
	}
	return &found, nil
}

// likeIt are the options of a restore that RDS does not take from the source. The copy has no standby.
func (s *source) likeIt() []string {
	options := []string{
		"--db-instance-class", s.Class, "--db-subnet-group-name", s.SubnetGroup.Name,
		"--db-parameter-group-name", s.ParameterGroups[0].Name, "--port", strconv.Itoa(s.Endpoint.Port),
		"--no-multi-az", "--no-publicly-accessible", "--no-deletion-protection", "--vpc-security-group-ids",
	}
	for _, group := range s.SecurityGroups {
		options = append(options, group.ID)
	}
	return options
}

// window is what a restored database may have, by the clock of the load: lost is when the fault was. The writes until
// from must be there, and none that was begun after until.
type window struct{ lost, from, until time.Time }

// compare waits until the restored instance answers, compares it with the writes of the load, and removes it.
func (r *Runner) compare(ctx context.Context, name string, w window) error {
	host, err := r.awaitRestored(ctx, name)
	if err != nil {
		return err
	}
	r.noted("the restored instance is available")
	found, err := r.askLoad(ctx, host, w)
	if err != nil {
		return err
	}
	now, err := r.loadNow(ctx)
	if err != nil {
		return err
	}
	if found.Rows == 0 {
		return fmt.Errorf("the restored database has no write of the load, which began before %s",
			w.from.Format(time.RFC3339))
	}
	found.Instance = name
	found.RTO, found.RPO = now.Sub(w.lost).Seconds(), max(w.lost.Sub(found.Newest).Seconds(), 0)
	r.restored = found
	r.healed("the restored database answers")
	if err := r.removeRestored(ctx); err != nil {
		return err
	}
	r.noted("the restored instance is deleted")
	return nil
}

// stuck are the statuses in which an instance does not become available by itself.
var stuck = []string{
	"failed", "incompatible-restore", "incompatible-network", "incompatible-parameters", "storage-full",
	"inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable",
}

func (r *Runner) awaitRestored(ctx context.Context, name string) (host string, err error) {
	began := time.Now()
	err = until(ctx, restoreLimit, "the restored instance", func(ctx context.Context) (bool, string, error) {
		var now struct {
			instance
			source
		}
		err := r.describe(ctx, name, &now)
		switch {
		case err != nil && strings.Contains(err.Error(), noInstance) && time.Since(began) > r.settling():
			return false, "", &hopelessError{fmt.Errorf("RDS gave the restore up: %w", err)}
		case err != nil:
			return false, "", err
		case slices.Contains(stuck, now.Status):
			return false, "", &hopelessError{fmt.Errorf("RDS could not restore the instance: its status is %s: `aws "+
				"rds describe-events --source-type db-instance --source-identifier %s` says why", now.Status, name)}
		}
		host = now.Endpoint.Address
		return now.Status == "available" && host != "", "status " + now.Status, nil
	})
	return host, err
}

// settling is how long RDS may not know yet what it was asked to make.
func (r *Runner) settling() time.Duration {
	if r.Target.Local {
		return 3 * time.Second
	}
	return time.Minute
}

// loadNow is the time by the load's clock.
func (r *Runner) loadNow(ctx context.Context) (now time.Time, err error) {
	err = until(ctx, answerLimit, "the load's clock", func(ctx context.Context) (bool, string, error) {
		printed, err := r.kubectl(ctx, "exec", r.recordName(), "--container="+loadContainer, "--", "/load", "now")
		if err != nil {
			return false, "", err
		}
		now, err = time.Parse(time.RFC3339Nano, strings.TrimSpace(printed))
		return err == nil, "", err
	})
	return now, err
}

// askLoad makes the load compare its writes with the restored database.
func (r *Runner) askLoad(ctx context.Context, host string, w window) (*report.Restored, error) {
	var found *report.Restored
	err := until(ctx, answerLimit, "the restored database", func(ctx context.Context) (bool, string, error) {
		printed, err := r.kubectl(ctx, "exec", r.recordName(), "--container="+loadContainer, "--", "/load", "restored",
			"--host="+host, "--from="+w.from.Format(time.RFC3339Nano), "--until="+w.until.Format(time.RFC3339Nano))
		var said struct {
			Restored *report.Restored `json:"restored"`
			Problem  string           `json:"problem"`
		}
		// With a problem the load prints it and fails.
		if json.Unmarshal([]byte(printed), &said) == nil && said.Problem != "" {
			return false, said.Problem, nil
		}
		found = said.Restored
		return found != nil, "the load has no answer", err
	})
	return found, err
}

// Codes of RDS for what does not exist.
const (
	noInstance = "DBInstanceNotFound"
	noSnapshot = "DBSnapshotNotFound"
)

// removeRestored removes what the drill has made, at any moment of it.
func (r *Runner) removeRestored(ctx context.Context) error {
	made := []struct{ name, what, notFound, destroy, describe, option, how string }{
		{
			r.record.Restored, "the restored instance", noInstance, "delete-db-instance", "describe-db-instances",
			"--db-instance-identifier", "--skip-final-snapshot --delete-automated-backups",
		},
		{
			r.record.Snapshot, "the snapshot", noSnapshot, "delete-db-snapshot", "describe-db-snapshots",
			"--db-snapshot-identifier", "",
		},
	}
	var failed []error
	for _, m := range made {
		switch {
		case m.name == "":
			continue
		case m.name != r.restoredName():
			// Others can write the record, so only names that a drill makes are deleted.
			failed = append(failed, fmt.Errorf("the record of the drill names %s as %s, and a drill would have made "+
				"%s: nothing is deleted; delete ConfigMap %s in namespace %s if no drill runs", m.name, m.what,
				r.restoredName(), r.recordName(), r.Target.Namespace))
			continue
		}
		if r.Account != nil {
			if err := r.Account(ctx); err != nil {
				return err
			}
		}
		destroy := append([]string{"rds", m.destroy, m.option, m.name}, strings.Fields(m.how)...)
		failed = append(failed, r.remove(ctx, m.what, m.notFound, destroy,
			[]string{"rds", m.describe, m.option, m.name}))
	}
	return errors.Join(failed...)
}

// remove deletes something until RDS does not know it any more. While it is created, RDS refuses to delete it, and in
// the beginning RDS may not know it yet.
func (r *Runner) remove(ctx context.Context, what, notFound string, destroy, describe []string) error {
	began, asked := time.Now(), false
	return until(ctx, restoreLimit, what+" to be deleted", func(ctx context.Context) (bool, string, error) {
		gone := func(err error) bool { return err != nil && strings.Contains(err.Error(), notFound) }
		if !asked {
			_, err := r.AWS(ctx, destroy...)
			switch {
			case gone(err):
				return time.Since(began) > r.settling(), "RDS does not know it", nil
			case err != nil:
				return false, "", final(err)
			}
			asked = true
		}
		_, err := r.AWS(ctx, describe...)
		if gone(err) {
			return true, "", nil
		}
		return false, "it is still there", err
	})
}

// final makes an error that will not change hopeless: of rights, of a request that is wrong, and of a quota. A state
// changes, and so do connections.
func final(err error) error {
	for _, code := range []string{
		"AccessDenied", "InvalidClientTokenId", "ExpiredToken", "InvalidParameter", "ValidationError", "NotImplemented",
		"AlreadyExists", "NotFound", "QuotaExceeded", "NotEnabled", "NotAllowed",
	} {
		if strings.Contains(err.Error(), code) {
			return &hopelessError{err}
		}
	}
	return err
}

// describe reads the description of a DB instance.
func (r *Runner) describe(ctx context.Context, name string, into any) error {
	printed, err := r.AWS(ctx, "rds", "describe-db-instances", "--db-instance-identifier", name, "--query",
		"DBInstances[0]", "--output", "json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(printed), into); err != nil {
		return fmt.Errorf("reading the description of DB instance %s: %w", name, err)
	}
	return nil
}
