package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"dbtier/localcloud/internal/artifacts"
)

const (
	startLimit = 5 * time.Minute
	stopLimit  = 30 * time.Second
	// What a running cloud may come to need for databases, logs and images.
	freeNeeded = 2 << 30
)

// Build makes everything that a start needs and that is not there yet.
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

// Start brings the local cloud up and returns when it is ready. It is there already: so much the better.
func Start(ctx context.Context, p Project, options StartOptions, out io.Writer) error {
	if err := options.Validate(); err != nil {
		return err
	}
	if err := needRoot(); err != nil {
		return err
	}
	// The databases' own user passes through folders that are made here, whatever the caller's umask.
	syscall.Umask(0o022)
	unlock, err := p.lock(out)
	if err != nil {
		return err
	}
	defer unlock()
	cloud, alive, err := p.Find()
	if err != nil {
		return err
	}
	if alive {
		_, alive = p.settle(ctx, answerLimit)
	}
	if alive {
		return p.attach(ctx, *cloud, options, out)
	}
	began := time.Now()
	if err := p.clean(ctx); err != nil {
		return err
	}
	if err := Build(ctx, p, out); err != nil {
		return err
	}
	if err := p.checkDisk(); err != nil {
		return err
	}
	cloud, died, err := p.launch(ctx, options)
	if err != nil {
		return errors.Join(err, p.clean(context.WithoutCancel(ctx)))
	}
	if err := p.waitReady(ctx, out, died); err != nil {
		p.abandon(*cloud)
		return err
	}
	fmt.Fprintf(out, "local cloud ready in %.1fs: Kubernetes at https://127.0.0.1:%d, AWS stand-in at %s\n",
		time.Since(began).Seconds(), cloud.APIPort, cloud.AWSEndpoint)
	return nil
}

// attach is a start of what runs already, or is about to.
func (p Project) attach(ctx context.Context, cloud Cloud, options StartOptions, out io.Writer) error {
	if cloud.APIPort != options.APIPort || cloud.AWSPort != options.AWSPort {
		return fmt.Errorf(
			"the local cloud runs already, with --api-port %d --aws-port %d: use these, or stop it first (`localcloud stop`)",
			cloud.APIPort, cloud.AWSPort)
	}
	if err := p.waitReady(ctx, out, nil); err != nil {
		return err
	}
	fmt.Fprintf(out, "local cloud runs already: Kubernetes at https://127.0.0.1:%d, AWS stand-in at %s\n",
		cloud.APIPort, cloud.AWSEndpoint)
	return nil
}

// lock lets one start or stop of a project work at a time; the kernel drops it with the process.
func (p Project) lock(out io.Writer) (unlock func(), err error) {
	dir := filepath.Join(p.Dir, ".localcloud")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making .localcloud: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the local cloud: %w", err)
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		fmt.Fprintln(out, "waiting for another start or stop to end")
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return nil, errors.Join(fmt.Errorf("locking the local cloud: %w", err), f.Close())
		}
	}
	return func() { _ = f.Close() }, nil
}

// Find tells where the local cloud is and whether its process is alive. Files of one that is gone are no error.
func (p Project) Find() (cloud *Cloud, alive bool, err error) {
	cloud, err = p.readCloud()
	if cloud == nil || err != nil {
		return nil, false, err
	}
	start, zombie, err := processStart(cloud.PID)
	return cloud, err == nil && !zombie && start == cloud.StartTime, nil
}

// processStart reads when a process started, in clock ticks since boot, from /proc/PID/stat.
func processStart(pid int) (start uint64, zombie bool, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false, err
	}
	// The name in parentheses may hold anything, so the fields are counted from its end.
	rest := string(text)
	fields := strings.Fields(rest[strings.LastIndexByte(rest, ')')+1:])
	const state, starttime = 0, 19
	if len(fields) <= starttime {
		return 0, false, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	start, err = strconv.ParseUint(fields[starttime], 10, 64)
	return start, fields[state] == "Z" || fields[state] == "X", err
}

// settle waits until a cloud whose process is there answers, or is gone after all: one that was just killed takes a
// moment to end. Without an answer by then the status is nil and the process still there.
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

// clean removes what a cloud that died without stopping left on the host: cgroups and the run directory. Its processes,
// mounts and interfaces ended with it.
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

func (p Project) checkDisk() error {
	var stat unix.Statfs_t
	if err := unix.Statfs(p.Dir, &stat); err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", p.Dir, err)
	}
	if free := float64(stat.Bavail) * float64(stat.Bsize); free < freeNeeded {
		return fmt.Errorf(
			"too little disk: %s has %.1f GiB free, the local cloud needs %d GiB to run: free some, or move the "+
				"project to a larger disk",
			p.Dir, free/(1<<30), freeNeeded>>30)
	}
	return nil
}

// launch starts PID 1 of the new namespaces. The returned channel closes when it dies.
func (p Project) launch(ctx context.Context, options StartOptions) (*Cloud, <-chan struct{}, error) {
	api, err := listen(ctx, options.APIPort, "--api-port")
	if err != nil {
		return nil, nil, err
	}
	defer api.Close()
	aws, err := listen(ctx, options.AWSPort, "--aws-port")
	if err != nil {
		return nil, nil, err
	}
	defer aws.Close()
	if err := errors.Join(os.MkdirAll(p.State("logs"), 0o700), os.Chmod(p.State(), 0o700)); err != nil {
		return nil, nil, fmt.Errorf("making the state's folders: %w", err)
	}
	// Others pass through to the databases' folders; the sockets in it have modes of their own.
	for _, dir := range []string{p.RunDir(), p.RunDir("postgres"), p.RunDir("pgsql")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, nil, fmt.Errorf("making the run directory: %w", err)
		}
	}
	log, err := os.OpenFile(p.logFile("cloud"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()
	wait, goAhead, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("making a pipe: %w", err)
	}
	defer goAhead.Close()
	// It must outlive this command, so no context ends it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe", "init", "--dir", p.Dir,
		"--api-port", strconv.Itoa(options.APIPort), "--aws-port", strconv.Itoa(options.AWSPort))
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{api, aws, wait}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("making the namespaces: %w", err), wait.Close())
	}
	_ = wait.Close()
	died := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(died)
	}()
	cloud := Cloud{
		Version: 1, PID: cmd.Process.Pid, APIPort: options.APIPort, AWSPort: options.AWSPort, RunDir: p.RunDir(),
		AWSEndpoint: fmt.Sprintf("http://127.0.0.1:%d", options.AWSPort), Kubeconfig: p.Kubeconfig(),
	}
	if cloud.StartTime, _, err = processStart(cloud.PID); err == nil {
		err = p.writeCloud(cloud)
	}
	if err == nil {
		_, err = goAhead.WriteString("go")
	}
	if err != nil {
		_ = cmd.Process.Kill()
		<-died
		return nil, nil, err
	}
	return &cloud, died, nil
}

// environment is what the processes inside get to know of the caller's: not its proxies, which lead out of the cluster,
// and not its secrets.
func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", "HOME=/root",
		"LANG=C.UTF-8",
	}
}

// listen opens a port of the host's 127.0.0.1 and returns it as a file that can be handed down.
func listen(ctx context.Context, port int, flag string) (*os.File, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d of 127.0.0.1 is taken%s: free it, or choose another with %s", port,
			holder(port), flag)
	}
	if err != nil {
		return nil, fmt.Errorf("opening port %d (%s): %w", port, flag, err)
	}
	defer listener.Close()
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("port %d (%s): not a TCP listener", port, flag)
	}
	return tcp.File()
}

// waitReady follows a start, telling each part as it ends, until the cloud is ready or died.
func (p Project) waitReady(ctx context.Context, out io.Writer, died <-chan struct{}) error {
	began := time.Now()
	told := map[string]bool{}
	var waiting string
	tell := time.NewTicker(15 * time.Second)
	defer tell.Stop()
	silent := time.Now()
	err := poll(ctx, startLimit, 50*time.Millisecond, func() (bool, error) {
		select {
		case <-died:
			return false, fmt.Errorf("the local cloud could not start: %s", p.problem())
		case <-tell.C:
			if waiting != "" {
				fmt.Fprintf(out, "  waiting for %s, %.0fs so far\n", waiting, time.Since(began).Seconds())
			}
		default:
		}
		status, err := askStatus(ctx, p)
		if err != nil {
			if _, alive, err := p.Find(); died == nil && err == nil && !alive {
				return false, fmt.Errorf("the local cloud has ended: %s", p.problem())
			}
			// The control socket is the first thing that a new supervisor opens.
			if time.Since(silent) > answerLimit {
				return false,
					fmt.Errorf("the local cloud does not answer on %s (%w): stop it with `localcloud stop` and start it again",
						p.RunDir(controlSocket), err)
			}
			return false, nil
		}
		silent = time.Now()
		waiting = ""
		for _, step := range status.Steps {
			switch {
			case step.Done && !told[step.Name] && status.Phase == PhaseStarting,
				step.Done && !told[step.Name] && died != nil:
				told[step.Name] = true
				fmt.Fprintf(out, "  %-26s %5.1fs  (at %.1fs)\n", step.Name, step.Ended-step.Began, step.Ended)
				if step.Note != "" {
					fmt.Fprintf(out, "    %s\n", step.Note)
				}
			case !step.Done:
				waiting = step.Name
			}
		}
		if status.Phase == PhaseStopping {
			if died == nil {
				return false, errors.New("the local cloud is stopping: start it again when it has stopped")
			}
			return false, nil
		}
		return status.Phase == PhaseReady, nil
	})
	switch {
	case ctx.Err() != nil && died != nil:
		return errors.New("interrupted: what had started is stopped again")
	case ctx.Err() != nil:
		return errors.New("interrupted: the local cloud goes on starting")
	case errors.Is(err, errTimeout):
		return fmt.Errorf("the local cloud is not ready after %s: it waits for %s; see `localcloud logs`", startLimit,
			waiting)
	}
	return err
}

// problem is why the last cloud ended, in its own words.
func (p Project) problem() string {
	if text, err := os.ReadFile(p.State("problem")); err == nil {
		return strings.TrimSpace(string(text))
	}
	lines, err := lastLines(p.logFile("cloud"), 5)
	if err != nil || len(lines) == 0 {
		return "it left no word; see `localcloud logs`"
	}
	return strings.Join(lines, "\n  ")
}

// abandon ends a cloud that did not become ready, so that nothing half done stays.
func (p Project) abandon(cloud Cloud) {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	problem, kept := os.ReadFile(p.State("problem"))
	_ = p.halt(ctx, cloud)
	_ = p.clean(ctx)
	if kept == nil {
		_ = os.WriteFile(p.State("problem"), problem, 0o600)
	}
}

// halt ends a running cloud: asked first, then by force.
func (p Project) halt(ctx context.Context, cloud Cloud) error {
	fd, err := unix.PidfdOpen(cloud.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("watching process %d: %w", cloud.PID, err)
	}
	defer unix.Close(fd)
	// Only now is it certain that the number means the same process until the end.
	if start, zombie, err := processStart(cloud.PID); err != nil || zombie || start != cloud.StartTime {
		return nil // Gone already.
	}
	if err := askShutdown(ctx, p); err != nil {
		_ = unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0)
	}
	if gone(ctx, fd, stopLimit) {
		return nil
	}
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	if gone(ctx, fd, stopLimit) {
		return nil
	}
	return fmt.Errorf("process %d does not end, not even by SIGKILL: it hangs in the kernel; see dmesg", cloud.PID)
}

// gone waits for the end of a process. Its end includes that of everything in its PID namespace.
func gone(ctx context.Context, pidfd int, limit time.Duration) bool {
	return poll(ctx, limit, 10*time.Millisecond, func() (bool, error) {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}} //nolint:gosec // A file descriptor fits.
		n, err := unix.Poll(fds, 0)
		return err == nil && n == 1, nil
	}) == nil
}

// Stop ends the local cloud and leaves nothing of it but files: its state too goes with purge.
func Stop(ctx context.Context, p Project, purge bool, out io.Writer) error {
	if err := needRoot(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(p.Dir, ".localcloud")); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "no local cloud here")
		return nil
	}
	unlock, err := p.lock(out)
	if err != nil {
		return err
	}
	defer unlock()
	began := time.Now()
	cloud, alive, err := p.Find()
	if err != nil {
		return err
	}
	if alive {
		if err := p.halt(ctx, *cloud); err != nil {
			return err
		}
	}
	if err := p.clean(ctx); err != nil {
		return err
	}
	if alive {
		fmt.Fprintf(out, "local cloud stopped in %.1fs\n", time.Since(began).Seconds())
	} else {
		fmt.Fprintln(out, "local cloud does not run")
	}
	if purge {
		if err := os.RemoveAll(p.State()); err != nil {
			return fmt.Errorf("removing the state: %w", err)
		}
		fmt.Fprintln(out, "state removed")
	}
	return nil
}

// report is `localcloud status --json`.
type report struct {
	Running bool    `json:"running"`
	Cloud   *Cloud  `json:"cloud,omitempty"`
	Status  *Status `json:"status,omitempty"`
}

// NotRunningError is for commands that need a running cloud.
type NotRunningError struct{}

func (NotRunningError) Error() string {
	return "the local cloud does not run: start it with `localcloud start`"
}

// Show prints the state of the local cloud; one that does not run is an error.
func Show(ctx context.Context, p Project, asJSON bool, out io.Writer) error {
	cloud, alive, err := p.Find()
	if err != nil {
		return err
	}
	r := report{}
	if alive {
		r.Status, alive = p.settle(ctx, 2*time.Second)
	}
	if alive {
		r.Cloud, r.Running = cloud, r.Status != nil
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	if !alive {
		return NotRunningError{}
	}
	if r.Status == nil {
		return fmt.Errorf(
			"process %d of the local cloud does not answer: stop it with `localcloud stop` and start it again",
			cloud.PID,
		)
	}
	if asJSON {
		return nil
	}
	fmt.Fprintf(out, "%s for %s, process %d\nKubernetes  https://127.0.0.1:%d  (kubeconfig %s)\nAWS         %s\n\n",
		r.Status.Phase,
		time.Since(r.Status.Since).Round(time.Second), cloud.PID, cloud.APIPort, cloud.Kubeconfig, cloud.AWSEndpoint)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COMPONENT\tSTATE\tFOR\tRESTARTS\tLAST END")
	for _, c := range r.Status.Components {
		state, since := "runs", "-"
		if c.PID == 0 {
			state = "down"
		}
		if !c.Since.IsZero() {
			since = time.Since(c.Since).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", c.Name, state, since, c.Restarts, c.Last)
	}
	return w.Flush()
}
