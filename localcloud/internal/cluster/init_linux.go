package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// File descriptors that `localcloud start` passes down, in this order.
const (
	apiListenerFD = 3 + iota
	awsListenerFD
	goAheadFD
)

// Init is PID 1 of the namespaces. It waits for the go-ahead of `localcloud start`, runs the supervisor as its only
// child and reaps orphaned processes. When it exits, the kernel ends every process, mount and interface of the
// namespaces. Init removes the cgroups itself.
func Init(p Project, options StartOptions) error {
	if os.Getpid() != 1 {
		return errors.New("init must be the first process of new namespaces: use `localcloud start`")
	}
	// Until the starter has written cloud.json, no command can find and stop this process. If the starter dies before
	// that, Init exits.
	word, err := io.ReadAll(os.NewFile(goAheadFD, "go-ahead"))
	if err != nil || len(word) == 0 {
		return errors.New("the process that started init has exited")
	}
	groups, err := loadCgroups(p.CgroupRoot())
	if err != nil {
		return err
	}
	syscall.Umask(0o022)
	// Go resets the raised limit of open files for child processes. Setting it explicitly passes it on to them and to
	// the pods.
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil {
		files.Cur = files.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files)
	}
	supervisor := exec.CommandContext(context.Background(), "/proc/self/exe",
		append([]string{"supervise", "--dir", p.Dir}, options.args()...)...)
	api, aws := os.NewFile(apiListenerFD, "api"), os.NewFile(awsListenerFD, "aws")
	supervisor.ExtraFiles = []*os.File{api, aws}
	supervisor.Stdout, supervisor.Stderr = os.Stdout, os.Stderr
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGCHLD)
	if err := supervisor.Start(); err != nil {
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	// If these files stayed open here, the host's ports would stay open longer than the supervisor runs.
	_, _ = api.Close(), aws.Close()
	status := reapUntil(supervisor.Process.Pid, signals)
	reapRest()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := groups.remove(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "init: %v\n", err)
	}
	if status.Exited() && status.ExitStatus() == 0 {
		return nil
	}
	return fmt.Errorf("the supervisor exited: %s", describe(status))
}

// reapUntil reaps every child that ends until the given child ends. Most of them are orphans that the kernel reparented
// to PID 1. Signals that ask for an end are passed on to the given child.
func reapUntil(child int, signals <-chan os.Signal) unix.WaitStatus {
	for {
		for {
			var status unix.WaitStatus
			pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if pid == child {
				return status
			}
			if err != nil || pid <= 0 {
				break
			}
		}
		if s := <-signals; s != syscall.SIGCHLD {
			_ = syscall.Kill(child, syscall.SIGTERM)
		}
	}
}

// reapRest kills every other process of the namespace and waits until all have ended.
func reapRest() {
	_ = unix.Kill(-1, unix.SIGKILL)
	for {
		_, err := unix.Wait4(-1, nil, 0, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		return "signal " + status.Signal().String()
	}
	return "exit status " + strconv.Itoa(status.ExitStatus())
}
