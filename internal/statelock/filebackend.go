package statelock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FileBackend is a Pulumi backend in a folder of this machine.
type FileBackend struct {
	// Dir is the folder, which holds .pulumi.
	Dir string
	// Project and Stack say whose state is meant.
	Project, Stack string
}

// FileBackendDir is the folder of a file:// backend URL, and whether the URL is one. `file://.` and `file://~` are
// understood as Pulumi does.
func FileBackendDir(backend string) (string, bool) {
	rest, ok := strings.CutPrefix(backend, "file://")
	if !ok {
		return "", false
	}
	if path, err := url.PathUnescape(rest); err == nil {
		rest = path
	}
	rest, _, _ = strings.Cut(rest, "?")
	if rest == "~" || strings.HasPrefix(rest, "~/") {
		if home, err := os.UserHomeDir(); err == nil {
			rest = filepath.Join(home, strings.TrimPrefix(rest, "~"))
		}
	}
	dir, err := filepath.Abs(rest)
	if err != nil {
		return rest, true
	}
	return dir, true
}

// StateFile is where the backend keeps the stack's state.
func (b FileBackend) StateFile() string {
	return filepath.Join(b.Dir, ".pulumi", "stacks", b.Project, b.Stack+".json")
}

// Exists reports whether the backend knows the stack.
func (b FileBackend) Exists() bool {
	info, err := os.Stat(b.StateFile())
	return err == nil && info.Mode().IsRegular()
}

// Compressed reports whether the backend keeps the stack's state compressed, for the CLI alone to read.
func (b FileBackend) Compressed() bool {
	for _, ending := range []string{".gz", ".zst"} {
		if _, err := os.Stat(b.StateFile() + ending); err == nil {
			return true
		}
	}
	return false
}

// TrimHistory removes all but the newest updates from the backend's history of the stack, which keeps a copy of the
// state for each and nobody reads on a machine's own stack.
func (b FileBackend) TrimHistory(keep int) error {
	dir := filepath.Join(b.Dir, ".pulumi", "history", b.Project, b.Stack)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the history of stack %s: %w", b.Stack, err)
	}
	// Names begin with the stack and the update's time in nanoseconds: name order is the order of time.
	updates := map[string][]string{}
	for _, entry := range entries {
		update, _, _ := strings.Cut(strings.TrimPrefix(entry.Name(), b.Stack+"-"), ".")
		updates[update] = append(updates[update], entry.Name())
	}
	order := slices.Sorted(maps.Keys(updates))
	for _, update := range order[:max(0, len(order)-keep)] {
		for _, name := range updates[update] {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("trimming the history of stack %s: %w", b.Stack, err)
			}
		}
	}
	return nil
}

// backendLock is what Pulumi's file backend writes into a lock.
type backendLock struct {
	PID       int       `json:"pid"`
	Username  string    `json:"username"`
	Hostname  string    `json:"hostname"`
	Timestamp time.Time `json:"timestamp"`
}

// BackendLock is a lock that the backend holds on the stack.
type BackendLock struct {
	backendLock
	// Lives says that its process is on this machine and lives.
	Lives bool

	file       string
	here, torn bool
}

// String names who took the lock.
func (l BackendLock) String() string {
	if l.torn {
		return "an unreadable lock"
	}
	return fmt.Sprintf("%s@%s (process %d, since %s)", l.Username, l.Hostname, l.PID,
		l.Timestamp.Local().Format(time.DateTime))
}

// Locks lists the backend's locks on the stack.
func (b FileBackend) Locks() ([]BackendLock, error) {
	files, err := filepath.Glob(filepath.Join(b.Dir, ".pulumi", "locks", "organization", b.Project, b.Stack, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("looking for locks of stack %s: %w", b.Stack, err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("this machine's name: %w", err)
	}
	var locks []BackendLock
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading a lock of stack %s: %w", b.Stack, err)
		}
		lock := BackendLock{file: file}
		// A lock that was cut short while it was written, by a full disk or a kill, names nobody who could still hold
		// it.
		lock.torn = json.Unmarshal(text, &lock.backendLock) != nil
		lock.here = lock.Hostname == host
		lock.Lives = !lock.torn && lock.here && isPulumi(lock.PID)
		locks = append(locks, lock)
	}
	return locks, nil
}

// saidLock is how the CLI tells of a lock: created by kim@host (pid 7) at 2026-01-01T00:00:00Z.
var saidLock = regexp.MustCompile(`created by (\S*)@(\S+) \(pid (\d+)\) at (\S+)`)

// SaidLocks are the locks that the CLI told of in its message, for backends that are no folder of this machine.
func SaidLocks(message string) []BackendLock {
	host, err := os.Hostname()
	var locks []BackendLock
	for _, said := range saidLock.FindAllStringSubmatch(message, -1) {
		lock := BackendLock{backendLock: backendLock{Username: said[1], Hostname: said[2]}}
		lock.PID, _ = strconv.Atoi(said[3])
		lock.Timestamp, _ = time.Parse(time.RFC3339, said[4])
		lock.here = err == nil && lock.Hostname == host
		lock.Lives = lock.here && isPulumi(lock.PID)
		locks = append(locks, lock)
	}
	return locks
}

// Dead reports whether the lock's process was on this machine and has ended.
func (l BackendLock) Dead() bool { return l.here && !l.Lives && !l.torn }

// Age is how long ago the lock was taken.
func (l BackendLock) Age() time.Duration { return time.Since(l.Timestamp) }

// ClearStaleLocks removes the backend's locks whose process was on this machine and has ended, and says so. Locks of
// other machines, and of processes that live, stay: the engine then says who holds them.
func (b FileBackend) ClearStaleLocks(note func(string)) error {
	locks, err := b.Locks()
	if err != nil {
		return err
	}
	for _, lock := range locks {
		if !lock.torn && (!lock.here || lock.Lives) {
			continue
		}
		if err := os.Remove(lock.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a stale lock of stack %s: %w", b.Stack, err)
		}
		// The bucket keeps attributes beside each file.
		_ = os.Remove(lock.file + ".attrs")
		if lock.torn {
			note("removed an unreadable lock of stack " + b.Stack)
		} else {
			note(fmt.Sprintf("removed the lock that process %d left on stack %s when it was killed", lock.PID, b.Stack))
		}
	}
	return nil
}

// isPulumi reports whether the process lives and is a Pulumi CLI: process ids are used again.
func isPulumi(pid int) bool {
	if pid <= 0 || !Alive(pid) {
		return false
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return true
	}
	return strings.HasPrefix(filepath.Base(exe), "pulumi")
}

// PendingOperations lists the operations that the state says were begun and not ended, as "creating <urn>".
func (b FileBackend) PendingOperations() ([]string, error) {
	text, err := os.ReadFile(b.StateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state of stack %s: %w", b.Stack, err)
	}
	var state struct {
		Checkpoint struct {
			Latest struct {
				Pending []struct {
					Type     string `json:"type"`
					Resource struct {
						URN string `json:"urn"`
					} `json:"resource"`
				} `json:"pending_operations"`
			} `json:"latest"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, fmt.Errorf(
			"the state of stack %s in %s is damaged: %w; the backend keeps the one before it as %s.bak",
			b.Stack, b.StateFile(), err, filepath.Base(b.StateFile()))
	}
	pending := make([]string, 0, len(state.Checkpoint.Latest.Pending))
	for _, op := range state.Checkpoint.Latest.Pending {
		pending = append(pending, op.Type+" "+op.Resource.URN)
	}
	return pending, nil
}
