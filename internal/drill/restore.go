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
	at := time.Now().UTC().Truncate(time.Second)
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
			err = &hopelessError{err}
		}
		return err == nil, "", err
	})
	if err != nil {
		return err
	}
	r.noted("RDS restores to it")
	skew := r.skew()
	return r.compare(ctx, name, at, at.Add(-skew), at.Add(skew))
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
	asked := time.Now()
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
	lost := time.Now()
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
	return r.compare(ctx, name, lost, asked.Add(-r.skew()), lost.Add(r.skew()))
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

// compare waits until the restored instance answers, compares it with the writes of the load, and removes it. lost is
// when the fault was: the writes until from must be there, and none that was begun after the time until.
func (r *Runner) compare(ctx context.Context, name string, lost, from, until time.Time) error {
	host, err := r.awaitRestored(ctx, name)
	if err != nil {
		return err
	}
	r.noted("the restored instance is available")
	found, err := r.askLoad(ctx, host, from, until)
	if err != nil {
		return err
	}
	found.Instance = name
	found.RTO = time.Since(lost).Seconds()
	if !found.Newest.IsZero() {
		found.RPO = max(lost.Sub(found.Newest).Seconds(), 0)
	}
	r.restored = found
	r.healed("the restored database answers")
	if err := r.removeRestored(ctx); err != nil {
		return err
	}
	r.noted("the restored instance is deleted")
	return nil
}

func (r *Runner) awaitRestored(ctx context.Context, name string) (host string, err error) {
	err = until(ctx, restoreLimit, "the restored instance", func(ctx context.Context) (bool, string, error) {
		var now struct {
			instance
			source
		}
		if err := r.describe(ctx, name, &now); err != nil {
			return false, "", err
		}
		// RDS gives a restore up with one of these.
		if slices.Contains([]string{"failed", "incompatible-restore", "incompatible-network"}, now.Status) {
			return false, "", &hopelessError{fmt.Errorf("RDS could not restore the instance: its status is %s: `aws "+
				"rds describe-events --source-type db-instance --source-identifier %s` says why", now.Status, name)}
		}
		host = now.Endpoint.Address
		return now.Status == "available" && host != "", "status " + now.Status, nil
	})
	return host, err
}

// askLoad makes the load compare its writes with the restored database.
func (r *Runner) askLoad(ctx context.Context, host string, from, to time.Time) (*report.Restored, error) {
	var said struct {
		Restored *report.Restored `json:"restored"`
		Problem  string           `json:"problem"`
	}
	err := until(ctx, answerLimit, "the restored database", func(ctx context.Context) (bool, string, error) {
		printed, err := r.kubectl(ctx, "exec", r.recordName(), "--container="+loadContainer, "--", "/load", "restored",
			"--host="+host, "--from="+from.UTC().Format(time.RFC3339Nano), "--until="+to.UTC().Format(time.RFC3339Nano))
		if err != nil {
			return false, "", err
		}
		if err := json.Unmarshal([]byte(printed), &said); err != nil {
			return false, "", fmt.Errorf("reading the answer of the load: %w", err)
		}
		return said.Restored != nil, said.Problem, nil
	})
	return said.Restored, err
}

// removeRestored removes what the drill has made, at any moment of it.
func (r *Runner) removeRestored(ctx context.Context) error {
	var failed []error
	if name := r.record.Restored; name != "" {
		failed = append(failed, r.remove(ctx, "the restored instance", "DBInstanceNotFound",
			[]string{
				"rds", "delete-db-instance", "--db-instance-identifier", name, "--skip-final-snapshot",
				"--delete-automated-backups",
			},
			[]string{"rds", "describe-db-instances", "--db-instance-identifier", name}))
	}
	if name := r.record.Snapshot; name != "" {
		failed = append(failed, r.remove(ctx, "the snapshot", "DBSnapshotNotFound",
			[]string{"rds", "delete-db-snapshot", "--db-snapshot-identifier", name},
			[]string{"rds", "describe-db-snapshots", "--db-snapshot-identifier", name}))
	}
	return errors.Join(failed...)
}

// remove deletes something until RDS does not know it any more. While it is created, RDS refuses to delete it.
func (r *Runner) remove(ctx context.Context, what, notFound string, destroy, describe []string) error {
	asked := false
	return until(ctx, restoreLimit, what+" to be deleted", func(ctx context.Context) (bool, string, error) {
		gone := func(err error) bool { return err != nil && strings.Contains(err.Error(), notFound) }
		if !asked {
			_, err := r.AWS(ctx, destroy...)
			switch {
			case gone(err):
				return true, "", nil
			case err != nil && !strings.Contains(err.Error(), "InvalidDB"):
				return false, "", &hopelessError{err}
			case err != nil:
				return false, "", err
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
