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

// hierarchy is one mounted tree of cgroups: the only one on a host with cgroup v2, one a controller with v1.
type hierarchy struct {
	mount string
	v2    bool
}

// hierarchies reads the cgroup mounts from the text of /proc/self/mounts.
func hierarchies(mounts string) []hierarchy {
	var found []hierarchy
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 || (f[2] != "cgroup" && f[2] != "cgroup2") {
			continue
		}
		h := hierarchy{mount: f[1], v2: f[2] == "cgroup2"}
		// The same tree may be mounted at several places; one of them is enough.
		if !slices.Contains(found, h) {
			found = append(found, h)
		}
	}
	return found
}

// cgroups are all hierarchies of this machine, and the one path below each of them under which the pods run.
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

// make creates the path in every hierarchy, ready for the kubelet, which demands that its root exists.
func (c cgroups) make() error {
	for _, tree := range c.trees {
		dir := filepath.Join(tree.mount, c.path)
		if tree.v2 {
			enableControllers(tree.mount)
		}
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making the cgroup %s: %w", dir, err)
		}
		if tree.v2 {
			enableControllers(dir)
			continue
		}
		// A cpuset starts empty, and nothing can run in it until it has processors and memory.
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

// enableControllers hands the controllers that pods need down to the cgroup's children, as far as the kernel lets it:
// what is missing after all the kubelet names itself.
func enableControllers(dir string) {
	for _, name := range []string{"cpu", "cpuset", "io", "memory", "pids", "hugetlb"} {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+name), 0o644)
	}
}

// remove ends what still runs below the path and removes it from every hierarchy. What is not there is no error.
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
		return fmt.Errorf("looking through the cgroup %s: %w", root, err)
	}
	// Children before their parents.
	for _, dir := range slices.Backward(dirs) {
		err := poll(ctx, 2*time.Second, 10*time.Millisecond, func() (bool, error) {
			err := os.Remove(dir)
			switch {
			case err == nil, errors.Is(err, fs.ErrNotExist):
				return true, nil
			case errors.Is(err, syscall.EBUSY):
				// A process that is ending is counted until it is gone, and one that is not has lost its cloud.
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
		return // Gone in the meantime, which is what was wanted.
	}
	for line := range bytes.Lines(procs) {
		pid, err := strconv.Atoi(string(bytes.TrimSpace(line)))
		// 0 is a process that this PID namespace cannot see; kill(0) would mean our own group.
		if err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
