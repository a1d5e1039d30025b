// Package process tells whether other processes of this machine are alive.
package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Alive reports whether a process with this id exists and has not ended. A zombie has ended: in a container whose first
// process does not wait for its children, zombies stay in the process table.
func Alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	fields, err := stat(pid)
	return err != nil || fields[0] != "Z" && fields[0] != "X"
}

// Started returns the start time of a process in clock ticks since boot. Process ids are reused; id and start time
// together identify a process.
func Started(pid int) (uint64, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	if len(fields) < 20 {
		return 0, fmt.Errorf("process %d: /proc shows no start time", pid)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// stat returns the fields of /proc/<pid>/stat from the third one on, which is the state. The second field is the
// program's name in parentheses and may contain any character.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) == 0 {
		return nil, fmt.Errorf("process %d: /proc shows no state", pid)
	}
	return fields, nil
}

// End asks the process to end and waits for it. A process that has not ended after 10 s is killed.
func End(pid int, started uint64) {
	gone, err := Ended(pid)
	if err != nil {
		return
	}
	if now, err := Started(pid); err != nil || now != started {
		return
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	select {
	case <-gone:
	case <-timeout.C:
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
