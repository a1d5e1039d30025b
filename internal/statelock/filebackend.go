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

	"dbtier/internal/process"
	"dbtier/internal/stackstate"
)

// FileBackend is a Pulumi backend in a folder of this machine.
type FileBackend struct {
	// Dir is the folder that contains .pulumi.
	Dir string
	// Project and Stack select the state.
	Project, Stack string
}

// FileBackendDir returns the folder of a file:// backend URL, and false for any other URL. It reads `file://.` and
// `file://~` as Pulumi does.
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

// StateFile is the path of the stack's state.
func (b FileBackend) StateFile() string {
	return filepath.Join(b.Dir, ".pulumi", "stacks", b.Project, b.Stack+".json")
}

// Exists reports whether the backend has the stack.
func (b FileBackend) Exists() bool {
	info, err := os.Stat(b.StateFile())
	return err == nil && info.Mode().IsRegular()
}

// Compressed reports whether the backend compresses the stack's state, so that only the CLI can read it.
func (b FileBackend) Compressed() bool {
	for _, ending := range []string{".gz", ".zst"} {
		if _, err := os.Stat(b.StateFile() + ending); err == nil {
			return true
		}
	}
	return false
}

// TrimHistory removes all but the newest updates from the stack's history. The history has a copy of the state for each
// update, which a local stack does not need.
func (b FileBackend) TrimHistory(keep int) error {
	dir := filepath.Join(b.Dir, ".pulumi", "history", b.Project, b.Stack)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the history of stack %s: %w", b.Stack, err)
	}
	// A name is the stack and the update's time in nanoseconds: sorting by name sorts by time.
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

// backendLock is the content of a lock of Pulumi's file backend.
type backendLock struct {
	PID       int       `json:"pid"`
	Username  string    `json:"username"`
	Hostname  string    `json:"hostname"`
	Timestamp time.Time `json:"timestamp"`
}

// BackendLock is a lock that the backend holds on the stack.
type BackendLock struct {
	backendLock
	// Lives is true when its process is on this machine and alive.
	Lives bool

	file       string
	here, torn bool
}

// String names the holder of the lock.
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
		// A full disk or a kill can cut a lock short. No process holds a lock that is not valid JSON.
		lock.torn = json.Unmarshal(text, &lock.backendLock) != nil
		lock.here = lock.Hostname == host
		lock.Lives = !lock.torn && lock.here && isPulumi(lock.PID)
		locks = append(locks, lock)
	}
	return locks, nil
}

// Writer returns a HeldError if a process of this machine works on any stack of the backend in a folder.
func Writer(dir string) error {
	locks, err := FileBackend{Dir: dir, Project: "*", Stack: "*"}.Locks()
	if err != nil {
		return err
	}
	for _, lock := range locks {
		if lock.Lives {
			return &HeldError{
				Stack: filepath.Base(filepath.Dir(lock.file)), Holder: "another update by " + lock.String(),
				Advice: "wait until it ends, or stop it with ^C", Locks: []BackendLock{lock},
			}
		}
	}
	return nil
}

// printedLock matches the CLI's message about a lock: created by kim@host (pid 7) at 2026-01-01T00:00:00Z.
var printedLock = regexp.MustCompile(`created by (\S*)@(\S+) \(pid (\d+)\) at (\S+)`)

// ParseLocks reads the locks from a message of the CLI, for backends that are not a folder of this machine.
func ParseLocks(message string) []BackendLock {
	host, err := os.Hostname()
	var locks []BackendLock
	for _, said := range printedLock.FindAllStringSubmatch(message, -1) {
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

// Removed is the note about a lock that was removed because its process has ended.
func (l BackendLock) Removed(stack string) string {
	if l.torn {
		return "removed an unreadable lock of stack " + stack
	}
	return fmt.Sprintf("removed the lock that process %d left on stack %s when it was killed", l.PID, stack)
}

// ClearStaleLocks removes the backend's locks of processes of this machine that have ended, with a note for each. Locks
// of other machines and of processes that are alive stay; the engine names their holders.
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
		// The backend may keep attributes beside each file.
		_ = os.Remove(lock.file + ".attrs")
		note(lock.Removed(b.Stack))
	}
	return nil
}

// isPulumi reports whether the process is alive and a Pulumi CLI: process ids are reused.
func isPulumi(pid int) bool {
	if pid <= 0 || !process.Alive(pid) {
		return false
	}
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return true
	}
	return strings.HasPrefix(filepath.Base(exe), "pulumi")
}

// State reads the stack's state. A stack that was never brought up has an empty state.
func (b FileBackend) State() (*stackstate.State, error) {
	text, err := os.ReadFile(b.StateFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the state of stack %s: %w", b.Stack, err)
	}
	state, err := stackstate.Read(text)
	if err != nil {
		return nil, fmt.Errorf(
			"the state of stack %s in %s is damaged: %w; the backend keeps the previous one as %s.bak",
			b.Stack, b.StateFile(), err, filepath.Base(b.StateFile()))
	}
	return state, nil
}
