package rds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// The user that runs PostgreSQL, which refuses to run as root. No account has this number.
	postgresUID = 55432
	// initdb requires an existing account. It uses this one, which all distributions have, and its files are given to
	// postgresUID afterwards.
	initdbUID = 65534

	adminUser  = "rdsadmin"
	socketPort = 5432
	// sun_path holds 108 bytes, the terminating zero included.
	maxSocketPath = 107

	fastStopTimeout = 20 * time.Second
	killTimeout     = 5 * time.Second
	// A larger log is renamed when PostgreSQL starts. In bytes.
	maxLogSize = 32 << 20
	// The length of the part of a log that an error quotes, in bytes.
	logTail = 2000

	// Increase it when a template that an older localcloud made can no longer be used.
	templateVersion = 1
)

// postgres runs the programs of one PostgreSQL distribution.
type postgres struct {
	dir string
	uid int // -1: the user of this process
	// Pdeathsig follows the thread that started a child. All children are therefore started by one thread that lives as
	// long as the engine.
	spawn chan func()
	done  chan struct{}
}

func newPostgres(dir string) *postgres {
	p := &postgres{dir: dir, uid: -1, spawn: make(chan func()), done: make(chan struct{})}
	if os.Geteuid() == 0 {
		p.uid = postgresUID
	}
	go func() {
		runtime.LockOSThread()
		for {
			select {
			case start := <-p.spawn:
				start()
			case <-p.done:
				return
			}
		}
	}()
	return p
}

// close ends the thread that starts children. All children must have ended before.
func (p *postgres) close() { close(p.done) }

func (p *postgres) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.dir, "bin", program), args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// ^C in a terminal must reach only the local cloud, which then stops PostgreSQL in order.
		Setpgid: true,
		// On SIGQUIT a postmaster ends its children. If it is killed, they remain until they notice.
		Pdeathsig: syscall.SIGQUIT,
	}
	if p.uid >= 0 {
		as(cmd, postgresUID)
	}
	return cmd
}

// as makes a command run as a user without supplementary groups.
func as(cmd *exec.Cmd, uid uint32) {
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
}

func (p *postgres) start(cmd *exec.Cmd) error {
	started := make(chan error, 1)
	select {
	case p.spawn <- func() { started <- cmd.Start() }:
		return <-started
	case <-p.done:
		return errClosed
	}
}

// run runs a program to its end and returns its stdout. An error contains the end of its stderr.
func (p *postgres) run(ctx context.Context, program string, args ...string) (string, error) {
	return p.finish(ctx, p.command(ctx, program, args...))
}

func (p *postgres) finish(ctx context.Context, cmd *exec.Cmd) (string, error) {
	program := filepath.Base(cmd.Path)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := p.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s: %w", program, ctx.Err())
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf(
			"starting %s as an unprivileged user: %w: all users must be able to enter the folders above it", cmd.Path,
			err,
		)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("starting %s: %w: run `bin/localcloud build`", cmd.Path, err)
	}
	return "", fmt.Errorf("%s: %w: %s", program, err, tail(stderr.String()))
}

func (p *postgres) version(ctx context.Context) (string, error) {
	out, err := p.run(ctx, "postgres", "--version")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(out)
	return fields[len(fields)-1], nil
}

// chown makes PostgreSQL's user the owner of a file or folder.
func (p *postgres) chown(name string) error {
	if p.uid < 0 {
		return nil
	}
	return os.Lchown(name, p.uid, p.uid)
}

// mark creates an empty file in a data folder, by which PostgreSQL is told what to do.
func (p *postgres) mark(data, name string) error {
	file := filepath.Join(data, name)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	return p.chown(file)
}

func (p *postgres) chownTree(dir string) error {
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return p.chown(name)
	})
}

// makeTemplate creates the data folder from which instances are copied. It gets its name only when it is complete.
func (p *postgres) makeTemplate(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	making := dir + unfinished
	if err := os.RemoveAll(making); err != nil {
		return fmt.Errorf("removing an unfinished template: %w", err)
	}
	if err := os.Mkdir(making, 0o700); err != nil {
		return fmt.Errorf("creating the template's folder: %w", err)
	}
	cmd := p.command(ctx, "initdb", "--pgdata="+making, "--username="+adminUser, "--auth=peer", "--encoding=UTF8",
		"--locale=C.UTF-8",
		"--data-checksums", "--no-sync", "--no-instructions")
	var err error
	if p.uid >= 0 {
		as(cmd, initdbUID)
		err = os.Lchown(making, initdbUID, initdbUID)
	}
	if err == nil {
		_, err = p.finish(ctx, cmd)
	}
	if err == nil {
		err = p.chownTree(making)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("creating an empty PostgreSQL: %w", err), os.RemoveAll(making))
	}
	if err := os.Rename(making, dir); err != nil {
		return fmt.Errorf("keeping the template: %w", err)
	}
	return nil
}

// copyTree copies the regular files and folders of a data folder, which nothing changes. PostgreSQL's user owns the
// copy. The folder can exist if it is empty.
func (p *postgres) copyTree(ctx context.Context, from, to string) error {
	return p.copyFolder(ctx, from, to, false)
}

// copyRunning copies the data folder of a running PostgreSQL between the beginning and the end of a backup, without
// what belongs to the server that runs.
func (p *postgres) copyRunning(ctx context.Context, from, to string) error {
	return p.copyFolder(ctx, from, to, true)
}

func (p *postgres) copyFolder(ctx context.Context, from, to string, running bool) error {
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if running && errors.Is(err, fs.ErrNotExist) {
			return nil // dropped meanwhile; the WAL says so
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case entry.IsDir() && running && ofServer(rel):
			return fs.SkipDir
		case entry.IsDir():
			err = os.Mkdir(target, 0o700)
			if errors.Is(err, fs.ErrExist) && rel == "." {
				err = nil
			}
		case running && ofServer(rel):
			return nil
		case entry.Type().IsRegular():
			err = copyFile(name, target)
			if running && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
		default:
			err = fmt.Errorf("%s is neither a file nor a folder", name)
		}
		return errors.Join(err, p.chown(target))
	})
}

// ofServer reports whether a file belongs to a running server and not to the data.
func ofServer(rel string) bool {
	top, _, inFolder := strings.Cut(rel, "/")
	name := filepath.Base(rel)
	return inFolder && slices.Contains(transient, top) || strings.HasPrefix(name, "pgsql_tmp") ||
		slices.Contains([]string{"postmaster.pid", "postmaster.opts", "pg_internal.init"}, name)
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	// The kernel copies, or shares blocks if the file system can.
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// process is a running postmaster.
type process struct {
	cmd *exec.Cmd
	// ended is closed when the postmaster has ended.
	ended chan struct{}
}

// startPostmaster starts PostgreSQL on a data folder. It does not wait until PostgreSQL answers.
func (p *postgres) startPostmaster(data, logFile string) (*process, error) {
	if info, err := os.Stat(logFile); err == nil && info.Size() > maxLogSize {
		if err := os.Rename(logFile, logFile+".1"); err != nil {
			return nil, fmt.Errorf("renaming the log: %w", err)
		}
	}
	log, err := os.OpenFile(logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()
	cmd := p.command(context.Background(), "postgres", "-D", data)
	cmd.Stdout, cmd.Stderr = log, log
	if err := p.start(cmd); err != nil {
		return nil, fmt.Errorf("starting PostgreSQL: %w", err)
	}
	proc := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		// Ignore the error: the first process of a PID namespace may have reaped the postmaster already.
		_ = cmd.Wait()
		close(proc.ended)
	}()
	return proc, nil
}

// stop ends PostgreSQL. With fast, it tells the sessions, rolls back open transactions and leaves a clean data folder.
// Otherwise it ends immediately, and the data folder is recovered at the next start.
func (p *process) stop(fast bool) {
	if fast {
		_ = p.cmd.Process.Signal(syscall.SIGINT)
		if p.wait(fastStopTimeout) {
			return
		}
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	if p.wait(killTimeout) {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// isOver reports whether PostgreSQL has ended.
func (p *process) isOver() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) wait(atMost time.Duration) bool {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}

// clearStale removes the files that a killed PostgreSQL has left, and ends a PostgreSQL that outlived its local cloud.
// PostgreSQL only checks whether the number in postmaster.pid is in use. In a new PID namespace, another process soon
// uses that number.
func clearStale(data, socketDir string) error {
	pidFile := filepath.Join(data, "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the process number of an earlier PostgreSQL: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 && isPostmasterOf(pid, data) {
		if err := endOrphan(pid); err != nil {
			return err
		}
	}
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the process number of an earlier PostgreSQL: %w", err)
	}
	entries, err := os.ReadDir(socketDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the socket folder: %w", err)
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(socketDir, e.Name())); err != nil {
			return fmt.Errorf("removing an earlier socket: %w", err)
		}
	}
	return nil
}

// isPostmasterOf reports whether a process has the data folder as its working directory, as every PostgreSQL process
// does.
func isPostmasterOf(pid int, data string) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		return false
	}
	folder, err := filepath.EvalSymlinks(data)
	return err == nil && cwd == folder
}

// endOrphan ends a postmaster that is not a child of this process.
func endOrphan(pid int) error {
	proc, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("finding an earlier PostgreSQL (process %d): %w", pid, err)
	}
	defer func() { _ = proc.Release() }()
	for _, signal := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		if err := proc.Signal(signal); errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		deadline := time.NewTimer(killTimeout)
		tick := time.NewTicker(20 * time.Millisecond)
		gone := false
		for waiting := true; waiting && !gone; {
			select {
			case <-tick.C:
				gone = proc.Signal(syscall.Signal(0)) != nil
			case <-deadline.C:
				waiting = false
			}
		}
		tick.Stop()
		deadline.Stop()
		if gone {
			return nil
		}
	}
	return fmt.Errorf("an earlier PostgreSQL (process %d) does not end: kill it", pid)
}

// readTail returns the end of a log, for an error.
func readTail(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return "(its log cannot be read: " + err.Error() + ")"
	}
	return tail(withoutLooks(string(text)))
}

// withoutLooks removes the lines about the engine's own attempts to connect while PostgreSQL starts. There can be so
// many that the reason of a failure is no longer at the end of the log.
func withoutLooks(log string) string {
	var left strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, ":"+adminUser+"@") || !strings.Contains(line, "FATAL:  the database system is ") &&
			!strings.Contains(line, "DETAIL:  Hot standby mode is disabled") {
			left.WriteString(line)
		}
	}
	return left.String()
}

func tail(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > logTail {
		text = text[len(text)-logTail:]
		if _, rest, ok := strings.Cut(text, "\n"); ok {
			text = rest
		}
	}
	return text
}
