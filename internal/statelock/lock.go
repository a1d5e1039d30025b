package statelock

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Lock is held until Release, or until every process that got its File has ended.
type Lock struct{ file *os.File }

// HeldError says who else works on a stack.
type HeldError struct {
	Stack string
	// Holder names who it is, and Advice what to do about it.
	Holder, Advice string
	// Locks are those of a backend, where that tells of them.
	Locks []BackendLock
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("stack %s: %s is working on it: %s", e.Stack, e.Holder, e.Advice)
}

// holder is what the lock's file says about who took it.
type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Options say how to take a lock.
type Options struct {
	// Path of the lock's file; its folder is made.
	Path string
	// Stack and Command go into the message for others.
	Stack, Command string
	// Note hears when an engine whose driver was killed is still ending, and is waited for.
	Note func(string)
	// Patience is how long to wait for such an engine; 30 s by default.
	Patience time.Duration
}

// Acquire takes the lock, or says at once who holds it. It waits only where the holder's driver has died and its engine
// is still writing what it did.
func Acquire(ctx context.Context, o Options) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of stack locks: %w", err)
	}
	file, err := os.OpenFile(o.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of stack %s: %w", o.Stack, err)
	}
	if err := wait(ctx, file, o); err != nil {
		file.Close()
		return nil, err
	}
	text, err := json.Marshal(holder{
		PID: os.Getpid(), Command: o.Command,
		Since: time.Now().UTC().Truncate(time.Second),
	})
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("describing the lock of stack %s: %w", o.Stack, err)
	}
	if err := rewrite(file, text); err != nil {
		file.Close()
		return nil, fmt.Errorf("writing the lock of stack %s: %w", o.Stack, err)
	}
	return &Lock{file: file}, nil
}

func wait(ctx context.Context, file *os.File, o Options) error {
	patience := o.Patience
	if patience == 0 {
		patience = 30 * time.Second
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for told := false; ; {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("locking stack %s: %w", o.Stack, err)
		}
		var by holder
		_ = read(file, &by)
		if by.PID > 0 && Alive(by.PID) {
			who := fmt.Sprintf("another dbtier %s (process %d, since %s)", by.Command, by.PID,
				by.Since.Local().Format(time.TimeOnly))
			return &HeldError{
				Stack: o.Stack, Holder: who,
				Advice: "wait until it has ended, or stop it with ^C where it runs",
			}
		}
		if !told && by.PID > 0 && o.Note != nil {
			o.Note(fmt.Sprintf("waiting for the engine of dbtier %s (process %d, which was killed) to end", by.Command,
				by.PID))
			told = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return &HeldError{
				Stack: o.Stack,
				Holder: fmt.Sprintf("the engine of a dbtier %s that was killed (process %d), after %s still",
					by.Command, by.PID, patience),
				Advice: fmt.Sprintf("end the processes that `fuser %s` lists", o.Path),
			}
		case <-tick.C:
		}
	}
}

func read(file *os.File, by *holder) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return json.NewDecoder(file).Decode(by)
}

func rewrite(file *os.File, text []byte) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt(text, 0)
	return err
}

// File is what a child must hold open to share the lock.
func (l *Lock) File() *os.File { return l.file }

// Release gives the lock up; a child that holds its File still keeps it.
func (l *Lock) Release() { l.file.Close() }

// Alive reports whether a process with this id exists and has not ended: one that nobody has waited for, as in a
// container whose first process waits for none, is still listed.
func Alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	// The second field is the name in parentheses and may hold anything; the state comes after it.
	_, rest, ok := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	return !ok || !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
