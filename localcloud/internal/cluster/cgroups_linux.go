package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hierarchy is one mounted tree of cgroups. A host with cgroup v2 has one, a host with v1 has one for each controller.
type hierarchy struct {
	mount string
	v2    bool
}

// hierarchies parses the cgroup mounts from the text of /proc/self/mounts.
func hierarchies(mounts string) []hierarchy {
	var found []hierarchy
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 || (f[2] != "cgroup" && f[2] != "cgroup2") {
			continue
		}
		h := hierarchy{mount: f[1], v2: f[2] == "cgroup2"}
		// The same tree can be mounted in several places. One is enough.
		if !slices.Contains(found, h) {
			found = append(found, h)
		}
	}
	return found
}

// cgroups holds all cgroup hierarchies of this machine, and the path below each of them under which the pods run.
type cgroups struct {
	trees []hierarchy
	path  string
}

func loadCgroups(path string) (cgroups, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return cgroups{}, fmt.Errorf("reading the mounts: %w", err)
	}
	c := cgroups{trees: hierarchies(string(mounts)), path: path}
	if len(c.trees) == 0 {
		return cgroups{}, errors.New("no cgroups are mounted: the local cloud needs them at /sys/fs/cgroup")
	}
	return c, nil
}

// make creates the path in every hierarchy. The kubelet requires that its root cgroup exists.
func (c cgroups) make() error {
	for _, tree := range c.trees {
		dir := filepath.Join(tree.mount, c.path)
		if tree.v2 {
			enableControllers(tree.mount)
		}
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("creating the cgroup %s: %w", dir, err)
		}
		if tree.v2 {
			enableControllers(dir)
			continue
		}
		// A new cpuset is empty, and no process can run in it until it has CPUs and memory nodes.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			parent, err := os.ReadFile(filepath.Join(tree.mount, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, file), parent, 0o644)
			}
			if err != nil {
				return fmt.Errorf("filling the cgroup %s: %w", dir, err)
			}
		}
	}
	return nil
}

// enableControllers enables the controllers that pods need for the cgroup's children. Errors are ignored: the kubelet
// reports any controller that is missing.
func enableControllers(dir string) {
	for _, name := range []string{"cpu", "cpuset", "io", "memory", "pids", "hugetlb"} {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+name), 0o644)
	}
}

// remove kills the processes below the path and removes it from every hierarchy. A path that does not exist is not an
// error.
func (c cgroups) remove(ctx context.Context) error {
	var faults []error
	for _, tree := range c.trees {
		faults = append(faults, removeCgroup(ctx, filepath.Join(tree.mount, c.path)))
	}
	return errors.Join(faults...)
}

func removeCgroup(ctx context.Context, root string) error {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("listing the cgroup %s: %w", root, err)
	}
	// Remove children before their parents.
	for _, dir := range slices.Backward(dirs) {
		err := poll(ctx, 2*time.Second, 10*time.Millisecond, func() (bool, error) {
			err := os.Remove(dir)
			switch {
			case err == nil, errors.Is(err, fs.ErrNotExist):
				return true, nil
			case errors.Is(err, syscall.EBUSY):
				// A process that is exiting still counts as a member. Any other process has lost its cloud.
				killAll(dir)
				return false, nil
			default:
				return false, err
			}
		})
		if err != nil {
			return fmt.Errorf("removing the cgroup %s: %w", dir, err)
		}
	}
	return nil
}

func killAll(cgroup string) {
	procs, err := os.ReadFile(filepath.Join(cgroup, "cgroup.procs"))
	if err != nil {
		return // The cgroup no longer exists.
	}
	for line := range bytes.Lines(procs) {
		pid, err := strconv.Atoi(string(bytes.TrimSpace(line)))
		// 0 is a process outside this PID namespace, and kill(0) would signal our own process group.
		if err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
