package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// stopRun sends SIGTERM to the process that executes the same file as this one with the argument run. That is PID 1 in
// a container with PIDs of its own, and another PID in a pod whose containers share theirs.
func stopRun() error {
	const proc = "/proc"
	own, err := os.Stat(filepath.Join(proc, "self", "exe"))
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	folders, err := filepath.Glob(filepath.Join(proc, "[0-9]*"))
	if err != nil {
		return fmt.Errorf("listing the processes: %w", err)
	}
	var found []int
	for _, folder := range folders {
		// The processes of other users cannot be read, and some end meanwhile.
		exe, err := os.Stat(filepath.Join(folder, "exe"))
		if err != nil || !os.SameFile(own, exe) {
			continue
		}
		line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if words := bytes.Split(line, []byte{0}); err != nil || len(words) < 2 || string(words[1]) != "run" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(folder)); err == nil {
			found = append(found, pid)
		}
	}
	switch len(found) {
	case 0:
		return errors.New("no load runs in this container")
	case 1:
	default:
		return fmt.Errorf("want one load in this container, found the processes %v: send SIGTERM to one", found)
	}
	if err := syscall.Kill(found[0], syscall.SIGTERM); err != nil {
		return fmt.Errorf("sending SIGTERM to process %d: %w", found[0], err)
	}
	return nil
}
