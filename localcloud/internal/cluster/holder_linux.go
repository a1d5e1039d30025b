package cluster

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tables are the TCP sockets of this thread's network. That of the process is the one of its first thread, which can
// have another network.
var tables = []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"}

// holder says which process listens on a TCP port of this machine, as far as it can be found, and how to end that:
// " by <program> (process <pid>): free it".
func holder(port int) string {
	inodes := map[string]bool{}
	for _, table := range tables {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		scanner := bufio.NewScanner(f)
		for scanner.Scan() {
			if inode, ok := listening(scanner.Text(), port); ok {
				inodes["socket:["+inode+"]"] = true
			}
		}
		_ = f.Close()
	}
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil || len(inodes) == 0 {
		return ": free it"
	}
	for _, fd := range descriptors {
		target, err := os.Readlink(fd)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		if dir := cloudOf(pid); dir != "" {
			return fmt.Sprintf(" by the local cloud of %s: stop it with `dbtier local stop` in that folder", dir)
		}
		return fmt.Sprintf(" by %s (process %s): free it", strings.TrimSpace(string(name)), pid)
	}
	return ": free it"
}

// cloudOf returns the project of the local cloud that a process is in, or "" for another process.
func cloudOf(pid string) string {
	for pid != "" && pid != "0" {
		line, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err != nil {
			return ""
		}
		if project := projectOf(string(line)); project != "" {
			return project
		}
		pid = parent(pid)
	}
	return ""
}

func parent(pid string) string {
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(status)) {
		if found, ok := strings.CutPrefix(line, "PPid:"); ok {
			return strings.TrimSpace(found)
		}
	}
	return ""
}

// projectOf reads the command line that launch gives to the first process.
func projectOf(line string) string {
	arguments := strings.Split(line, "\x00")
	if len(arguments) < 4 || !slices.Equal(arguments[1:3], []string{"init", "--dir"}) {
		return ""
	}
	return arguments[3]
}

// listening parses one line of /proc/net/tcp. If the line is a listener on the port, it returns the socket's inode.
func listening(line string, port int) (inode string, ok bool) {
	const local, state, inodeField, listen = 1, 3, 9, "0A"
	f := strings.Fields(line)
	if len(f) <= inodeField || f[state] != listen {
		return "", false
	}
	_, hex, found := strings.Cut(f[local], ":")
	n, err := strconv.ParseUint(hex, 16, 16)
	return f[inodeField], found && err == nil && strconv.FormatUint(n, 10) == strconv.Itoa(port)
}
