package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"dbtier/components/contract"
	"dbtier/internal/kubectl"
	"dbtier/internal/process"
)

const (
	recordKey      = "record"
	beatAnnotation = "dbtier/beat"
	// stale is the age of a heartbeat after which the drill's process counts as gone. It is longer than any fault that
	// keeps a living process from the API server.
	stale = 2 * time.Minute
	beat  = 10 * time.Second
)

// record is what the cluster knows of a drill that runs.
type record struct {
	Drill string    `json:"drill"`
	Began time.Time `json:"began"`
	// Host, Space (of process ids), PID and Started identify the process that runs the drill. Space and Started are
	// empty where the system does not tell.
	Host    string `json:"host"`
	Space   string `json:"space,omitempty"`
	PID     int    `json:"pid"`
	Started uint64 `json:"started,omitempty"`
	// Scaled are the Deployments that the drill has scaled to zero.
	Scaled []scaled `json:"scaled,omitempty"`
	// Restored is the DB instance that the drill has restored, and Snapshot the snapshot that it has made. No instance
	// of a stack has such names.
	Restored string `json:"restored,omitempty"`
	Snapshot string `json:"snapshot,omitempty"`

	// beat is when the process has last said that it lives. version is that of the object that was read: only this one
	// is replaced.
	beat    time.Time
	version string
}

// RunningError is returned if another process runs a drill on the stack.
type RunningError struct {
	Drill, Host string
	PID         int
	Began       time.Time
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("drill %s runs on this stack since %s, by process %d on %s: wait for its end, or interrupt "+
		"it there",
		e.Drill, e.Began.UTC().Format(time.TimeOnly+" MST"), e.PID, e.Host)
}

func newRecord(drill string, now time.Time) record {
	r := record{Drill: drill, Began: now}
	r.sign()
	return r
}

// sign makes the record that of this process.
func (r *record) sign() {
	r.Host, _ = os.Hostname()
	r.Space = processSpace()
	r.PID = os.Getpid()
	r.Started, _ = process.Started(r.PID)
}

// processSpace identifies the namespace of process ids of this process; empty where there are none.
func processSpace() string {
	space, _ := os.Readlink("/proc/self/ns/pid")
	return space
}

// isOf reports whether the record is of the same drill as another, run by the same process.
func (r *record) isOf(other *record) bool {
	return r.Began.Equal(other.Began) && r.Host == other.Host && r.Space == other.Space && r.PID == other.PID &&
		r.Started == other.Started
}

// alive reports whether the process of the drill still runs, as far as that can be seen from here.
func (r *record) alive(now time.Time) bool {
	host, err := os.Hostname()
	if err == nil && host == r.Host && r.Started != 0 && r.Space != "" && r.Space == processSpace() {
		started, err := process.Started(r.PID)
		return err == nil && started == r.Started
	}
	return now.Sub(r.beat) < stale
}

func (r *Runner) recordName() string { return contract.DrillPod(r.Target.Service) }

// claim records the drill. It ends a drill whose process is gone, and fails if another one runs.
func (r *Runner) claim(ctx context.Context, drill string) error {
	for {
		r.record = newRecord(drill, time.Now())
		manifest, err := r.recordManifest()
		if err != nil {
			return err
		}
		_, err = r.Kubectl.Run(ctx, manifest, "create", "--filename=-")
		if failed := (*kubectl.Error)(nil); !errors.As(err, &failed) || !failed.AlreadyExists() {
			return err
		}
		found, err := r.readRecord(ctx)
		if err != nil {
			return err
		}
		if found == nil {
			continue // It has ended meanwhile.
		}
		// The person has agreed to another drill, and not to an update.
		if s := Find(found.Drill); s != nil && s.Updates && !found.alive(time.Now()) {
			return fmt.Errorf("drill %s was interrupted, and an update must end it: run `dbtier drill end "+
				"--stack %s` first", s.Name, r.Target.Stack)
		}
		if err := r.takeOver(ctx, found); err != nil {
			return err
		}
	}
}

// saveRecord replaces the record.
func (r *Runner) saveRecord(ctx context.Context) error {
	manifest, err := r.recordManifest()
	if err != nil {
		return err
	}
	_, err = r.Kubectl.Run(ctx, manifest, "replace", "--filename=-")
	return err
}

func (r *Runner) recordManifest() (string, error) {
	text, err := json.Marshal(r.record)
	if err != nil {
		return "", fmt.Errorf("describing the drill: %w", err)
	}
	meta := r.meta()
	meta["annotations"] = object{beatAnnotation: time.Now().UTC().Format(time.RFC3339)}
	if r.record.version != "" {
		meta["resourceVersion"] = r.record.version
	}
	return manifest(object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": object{recordKey: string(text)},
	})
}

// readRecord returns the record of the drill in the cluster, nil if there is none.
func (r *Runner) readRecord(ctx context.Context) (*record, error) {
	var found struct {
		Metadata struct {
			Annotations     map[string]string `json:"annotations"`
			ResourceVersion string            `json:"resourceVersion"`
		} `json:"metadata"`
		Data map[string]string `json:"data"`
	}
	err := r.Kubectl.Get(ctx, &found, r.Target.Namespace, "configmap", r.recordName())
	if failed := (*kubectl.Error)(nil); errors.As(err, &failed) && failed.NotFound() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var said record
	if err := json.Unmarshal([]byte(found.Data[recordKey]), &said); err != nil {
		return nil, fmt.Errorf("ConfigMap %s in namespace %s is not the record of a drill: %w; delete it if no "+
			"drill runs",
			r.recordName(), r.Target.Namespace, err)
	}
	// Without a time, the process counts as gone.
	said.beat, _ = time.Parse(time.RFC3339, found.Metadata.Annotations[beatAnnotation])
	said.version = found.Metadata.ResourceVersion
	return &said, nil
}

// Clear ends a drill whose process is gone. It returns a [*RunningError] for one that runs. It does nothing if there is
// none.
func (r *Runner) Clear(ctx context.Context) error {
	found, err := r.readRecord(ctx)
	if err != nil || found == nil {
		return err
	}
	return r.takeOver(ctx, found)
}

// takeOver ends a drill whose process is gone. It returns a [*RunningError] for one that runs.
func (r *Runner) takeOver(ctx context.Context, found *record) error {
	if found.alive(time.Now()) {
		return &RunningError{Drill: found.Drill, Host: found.Host, PID: found.PID, Began: found.Began}
	}
	scenario := Find(found.Drill)
	if scenario == nil {
		return fmt.Errorf("drill %s was interrupted, which this version of dbtier does not have: end it with the "+
			"version that began it", found.Drill)
	}
	r.Say("drill %s of %s was interrupted: ending it", found.Drill, found.Began.UTC().Format(time.DateTime+" MST"))
	// Of two processes that find it, one takes it over.
	r.record = *found
	r.record.sign()
	if err := r.saveRecord(ctx); err != nil {
		return fmt.Errorf("taking over drill %s: %w", found.Drill, err)
	}
	r.record.version = ""
	return r.whileBeating(ctx, func() error { return r.end(ctx, scenario) })
}

// whileBeating says that the process lives until do returns.
func (r *Runner) whileBeating(ctx context.Context, do func() error) error {
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go r.heartbeat(beating)
	return do()
}

// end undoes what a drill has begun, and removes its load and its record. It can run again until it succeeds. The
// record stays while something is not undone.
func (r *Runner) end(ctx context.Context, s *Scenario) error {
	var failed []error
	if s != nil && s.undo != nil {
		if err := s.undo(r, ctx); err != nil {
			failed = append(failed, fmt.Errorf("ending drill %s: %w", s.Name, err))
		}
	}
	if now, err := r.readRecord(ctx); err == nil && now != nil && !now.isOf(&r.record) {
		return errors.Join(append(failed, fmt.Errorf("drill %s was taken over by process %d on %s", r.record.Drill,
			now.PID, now.Host))...)
	}
	// The load removes its rows when it ends. If it cannot be asked, the end of its pod asks it.
	stopped := r.stopLoad(ctx)
	_, err := r.kubectl(ctx, "delete", "pod", r.recordName(), "--ignore-not-found",
		fmt.Sprintf("--grace-period=%d", int(accountLimit.Seconds())), "--timeout="+(accountLimit+time.Minute).String())
	if err != nil {
		failed = append(failed, stopped, err)
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	_, err = r.kubectl(ctx, "delete", "configmap", r.recordName(), "--ignore-not-found")
	return err
}

// heartbeat says that the process lives, until the context ends.
func (r *Runner) heartbeat(ctx context.Context) {
	for pause(ctx, beat) == nil {
		// Only the time is changed: the drill itself may be writing what must be undone.
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, beatAnnotation,
			time.Now().UTC().Format(time.RFC3339))
		_, _ = r.kubectl(ctx, "patch", "configmap", r.recordName(), "--type=merge", "--patch="+patch,
			"--request-timeout=5s")
	}
}
