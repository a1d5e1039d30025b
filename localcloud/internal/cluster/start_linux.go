package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"dbtier/localcloud/internal/safefile"
)

const (
	startLimit = 5 * time.Minute
	// freeNeeded is the free disk space in bytes that a running cloud can need for databases, logs and images.
	freeNeeded = 2 << 30
)

// Start starts the local cloud and returns when it is ready. If it is already running, Start only waits for it.
func Start(ctx context.Context, p Project, options StartOptions, out io.Writer) error {
	if err := options.Validate(); err != nil {
		return err
	}
	if err := needRoot(); err != nil {
		return err
	}
	// PostgreSQL's unprivileged user must be able to traverse folders that are created here, whatever the caller's
	// umask.
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
	// Before the build, which can take minutes, and all at once.
	if err := errors.Join(portsFree(ctx, options), p.checkDisk()); err != nil {
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

// attach waits for a cloud that is already running or starting.
func (p Project) attach(ctx context.Context, cloud Cloud, options StartOptions, out io.Writer) error {
	if cloud.APIPort != options.APIPort || cloud.AWSPort != options.AWSPort {
		return fmt.Errorf(
			"the local cloud is already running with --api-port %d --aws-port %d: use these ports, or run "+
				"`localcloud stop` first",
			cloud.APIPort, cloud.AWSPort)
	}
	if has := cmp.Or(cloud.Latency, LatencyOff); options.Latency != "" && options.Latency != has {
		return fmt.Errorf("the local cloud is already running with --latency %s: run `localcloud stop` first", has)
	}
	if err := p.waitReady(ctx, out, nil); err != nil {
		return err
	}
	fmt.Fprintf(out, "local cloud already running: Kubernetes at https://127.0.0.1:%d, AWS stand-in at %s\n",
		cloud.APIPort, cloud.AWSEndpoint)
	return nil
}

func (p Project) checkDisk() error {
	_, free, err := safefile.Disk(p.State())
	if err != nil {
		return err
	}
	if free < freeNeeded {
		return fmt.Errorf(
			"not enough disk space: %s has %.1f GiB free and the local cloud needs %d GiB: free some space, or "+
				"move the project to a larger disk",
			p.Dir, free/(1<<30), freeNeeded>>30)
	}
	return nil
}

// launch starts PID 1 in new namespaces. The returned channel is closed when it dies.
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
		return nil, nil, fmt.Errorf("creating the folders of the state: %w", err)
	}
	// PostgreSQL's unprivileged user traverses these folders. The sockets in them have restrictive modes.
	for _, dir := range []string{p.RunDir(), p.RunDir("postgres"), p.RunDir("pgsql")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, nil, fmt.Errorf("creating the run directory: %w", err)
		}
	}
	log, err := os.OpenFile(p.logFile("cloud"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()
	wait, goAhead, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("creating a pipe: %w", err)
	}
	defer goAhead.Close()
	// The process must outlive this command, so no context cancels it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe",
		append([]string{"init", "--dir", p.Dir}, options.args()...)...)
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{api, aws, wait}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC,
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("creating the namespaces: %w", err), wait.Close())
	}
	_ = wait.Close()
	died := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(died)
	}()
	cloud := Cloud{
		Version: 1, PID: cmd.Process.Pid, APIPort: options.APIPort, AWSPort: options.AWSPort, Latency: options.Latency,
		RunDir:      p.RunDir(),
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

// environment returns the variables for the processes inside. It leaves out the caller's proxies, which are outside the
// cluster, and the caller's secrets.
func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", "HOME=/root",
		"LANG=C.UTF-8",
	}
}

func portsFree(ctx context.Context, options StartOptions) error {
	api, apiErr := listen(ctx, options.APIPort, "--api-port")
	aws, awsErr := listen(ctx, options.AWSPort, "--aws-port")
	for _, opened := range []*os.File{api, aws} {
		if opened != nil {
			_ = opened.Close()
		}
	}
	return errors.Join(apiErr, awsErr)
}

// listen opens a port on the host's 127.0.0.1 and returns the listener as a file that can be passed to a child process.
func listen(ctx context.Context, port int, flag string) (*os.File, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %d of 127.0.0.1 is in use%s, or choose another with %s", port,
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

// waitReady prints the steps of a start as they end, until the cloud is ready or has died.
func (p Project) waitReady(ctx context.Context, out io.Writer, died <-chan struct{}) error {
	began := time.Now()
	shown := map[string]bool{}
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
				return false, fmt.Errorf("the local cloud has stopped: %s", p.problem())
			}
			// The control socket is the first thing that a new supervisor opens.
			if time.Since(silent) > answerLimit {
				return false,
					fmt.Errorf("the local cloud does not answer on %s (%w): stop it with `localcloud stop` and start "+
						"it again", p.RunDir(controlSocket), err)
			}
			return false, nil
		}
		silent = time.Now()
		waiting = ""
		for _, step := range status.Steps {
			switch {
			case step.Done && !shown[step.Name] && status.Phase == PhaseStarting,
				step.Done && !shown[step.Name] && died != nil:
				shown[step.Name] = true
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
				return false, errors.New("the local cloud is stopping: start it again once it has stopped")
			}
			return false, nil
		}
		return status.Phase == PhaseReady, nil
	})
	switch {
	case ctx.Err() != nil && died != nil:
		return errors.New("interrupted: the local cloud was stopped again")
	case ctx.Err() != nil:
		return errors.New("interrupted: the local cloud continues to start")
	case errors.Is(err, errTimeout):
		return fmt.Errorf("the local cloud is not ready after %s: it is waiting for %s; see `localcloud logs`",
			startLimit,
			waiting)
	}
	return err
}

// problem returns the error with which the previous cloud ended.
func (p Project) problem() string {
	if text, err := os.ReadFile(p.State("problem")); err == nil {
		return strings.TrimSpace(string(text))
	}
	lines, err := lastLines(p.logFile("cloud"), 5)
	if err != nil || len(lines) == 0 {
		return "it reported no error; see `localcloud logs`"
	}
	return strings.Join(lines, "\n  ")
}

// abandon stops a cloud that did not become ready, so that nothing stays half started.
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
