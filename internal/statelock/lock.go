package statelock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"dbtier/internal/process"
)

// Lock is held until Release, or until every process that got its File has ended.
type Lock struct{ file *os.File }

// HeldError is returned when another update works on the stack.
type HeldError struct {
	Stack string
	// Holder names the other update. Advice is what to do.
	Holder, Advice string
	// Locks are the backend's locks, if the backend names them.
	Locks []BackendLock
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("stack %s: %s is working on it: %s", e.Stack, e.Holder, e.Advice)
}

// holder is the content of the lock's file.
type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Options describe a lock.
type Options struct {
	// Path is the lock's file. Acquire creates its folder.
	Path string
	// Stack and Command are part of the message that others get.
	Stack, Command string
	// Note is called when Acquire starts to wait for an engine whose driver was killed.
	Note func(string)
	// Patience is how long to wait for such an engine. Default 30 s.
	Patience time.Duration
}

// Acquire takes the lock, or returns a HeldError at once. It waits only when the driver that took the lock has died and
// its engine is still recording what it did.
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
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt(text, 0)
	}
	if err != nil {
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
		_ = json.NewDecoder(io.NewSectionReader(file, 0, 1<<16)).Decode(&by)
		if by.PID > 0 && process.Alive(by.PID) {
			who := fmt.Sprintf("another dbtier %s (process %d, since %s)", by.Command, by.PID,
				by.Since.Local().Format(time.TimeOnly))
			return &HeldError{
				Stack: o.Stack, Holder: who,
				Advice: "wait until it ends, or stop it with ^C",
			}
		}
		if !told && by.PID > 0 && o.Note != nil {
			o.Note(fmt.Sprintf("waiting for the engine of dbtier %s (process %d, which was killed) to end",
				by.Command, by.PID))
			told = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return &HeldError{
				Stack: o.Stack,
				Holder: fmt.Sprintf("after %s, the engine of a dbtier %s that was killed (process %d) still",
					patience, by.Command, by.PID),
				Advice: fmt.Sprintf("end the processes that `fuser %s` lists", o.Path),
			}
		case <-tick.C:
		}
	}
}

// File is the open file that a child process inherits to share the lock.
func (l *Lock) File() *os.File { return l.file }

// Release releases the lock. A child that inherited its File keeps it.
func (l *Lock) Release() { l.file.Close() }
