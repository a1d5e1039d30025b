package cluster

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder names the process that listens on a TCP port of this machine, as ` by <program> (process <pid>)`. It returns
// "" if it finds none.
func holder(port int) string {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
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
		return ""
	}
	for _, fd := range descriptors {
		if target, err := os.Readlink(fd); err == nil && inodes[target] {
			pid := strings.Split(fd, "/")[2]
			name, err := os.ReadFile("/proc/" + pid + "/comm")
			if err != nil {
				continue
			}
			return fmt.Sprintf(" by %s (process %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
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
