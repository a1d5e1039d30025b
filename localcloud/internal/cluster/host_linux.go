package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dbtier/localcloud/internal/artifacts"
	"dbtier/localcloud/internal/safefile"
)

// Build creates everything that a start needs and that does not exist yet.
func Build(ctx context.Context, p Project, out io.Writer) error {
	if err := needRoot(); err != nil {
		return err
	}
	builder := artifacts.New(p.Dir, out)
	if err := builder.EnsureHost(ctx); err != nil {
		return err
	}
	return builder.Build(ctx)
}

func needRoot() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf(
			"the local cloud needs root (namespaces, mounts) and this is user %d: run it again as root, for example "+
				"with sudo", os.Geteuid(),
		)
	}
	return nil
}

// lock allows one start or stop of a project at a time.
func (p Project) lock(out io.Writer) (unlock func(), err error) {
	return safefile.Lock(filepath.Join(p.Dir, ".localcloud"), func() {
		fmt.Fprintln(out, "waiting for another start or stop to end")
	})
}

// Find reads where the local cloud is and whether its process is alive. Files of a cloud that has ended are not an
// error.
func (p Project) Find() (cloud *Cloud, alive bool, err error) {
	cloud, err = p.readCloud()
	if cloud == nil || err != nil {
		return nil, false, err
	}
	start, zombie, err := processStart(cloud.PID)
	return cloud, err == nil && !zombie && start == cloud.StartTime, nil
}

// processStart returns the start of a process in clock ticks since boot, from /proc/PID/stat, and whether it is a
// zombie.
func processStart(pid int) (start uint64, zombie bool, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false, err
	}
	// The name in parentheses can contain any character, so the fields are counted from its end.
	rest := string(text)
	fields := strings.Fields(rest[strings.LastIndexByte(rest, ')')+1:])
	const state, starttime = 0, 19
	if len(fields) <= starttime {
		return 0, false, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	start, err = strconv.ParseUint(fields[starttime], 10, 64)
	return start, fields[state] == "Z" || fields[state] == "X", err
}

// settle waits until a cloud whose process exists answers or its process ends. A cloud that was just killed takes a
// moment to end. If the cloud does not answer within the limit, the status is nil and alive is true.
func (p Project) settle(ctx context.Context, limit time.Duration) (status *Status, alive bool) {
	alive = true
	_ = poll(ctx, limit, 20*time.Millisecond, func() (bool, error) {
		if answer, err := askStatus(ctx, p); err == nil {
			status = answer
			return true, nil
		}
		_, is, err := p.Find()
		alive = is || err != nil
		return !alive, nil
	})
	return status, alive
}

// clean removes what a cloud that ended without a stop left on the host: cgroups and the run directory. The kernel has
// already removed its processes, mounts and interfaces.
func (p Project) clean(ctx context.Context) error {
	groups, err := loadCgroups(p.CgroupRoot())
	if err != nil {
		return err
	}
	return errors.Join(groups.remove(ctx), os.RemoveAll(p.RunDir()), removeFile(p.cloudFile()),
		removeFile(p.State("problem")))
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}
