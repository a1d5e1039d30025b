package pulumicli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"

	"dbtier/internal/text"
)

// Command runs the CLI at Path. It implements auto.PulumiCommand.
//
// When the context of a run ends, the CLI is interrupted once and can then finish the operations in progress, so that
// their results are recorded. Kill ends it at once.
type Command struct {
	Path string
	// Env is the complete environment of the CLI, without what the Automation API adds.
	Env []string
	// Held are files that the CLI inherits: the lock, which lasts as long as the CLI even if the driver is killed.
	Held []*os.File
	// IgnoreProtect makes previews, updates and destroys ignore the option protect of resources. The Automation API has
	// no option for it.
	IgnoreProtect bool
	// Answer can answer a call without a process, with what the CLI would print.
	Answer func(args []string) (stdout string, ok bool)

	mu      sync.Mutex
	running map[int]struct{}
}

var _ auto.PulumiCommand = (*Command)(nil)

// Version is the pinned version.
func (c *Command) Version() semver.Version { return semver.MustParse(Version) }

// Run runs the CLI and returns what it printed and its exit code.
func (c *Command) Run(ctx context.Context, workdir string, stdin io.Reader, additionalOutput,
	additionalErrorOutput []io.Writer, additionalEnv []string, args ...string,
) (stdout, stderr string, code int, err error) {
	if c.Answer != nil {
		if answer, ok := c.Answer(args); ok {
			return answer, "", 0, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return "", "", -1, err
	}
	if c.IgnoreProtect && len(args) > 0 && slices.Contains([]string{"preview", "up", "destroy"}, args[0]) {
		args = append(slices.Clone(args), "--ignore-protect")
	}
	if !slices.Contains(args, "--non-interactive") {
		args = append([]string{"--non-interactive"}, args...)
	}
	cmd := exec.Command(c.Path, args...) //nolint:noctx // a context would kill the engine, not cancel the update
	cmd.Dir = workdir
	cmd.Stdin = stdin
	cmd.Env = append(append(slices.Clone(c.Env), additionalEnv...), "PULUMI_AUTOMATION_API=true")
	cmd.ExtraFiles = c.Held
	out, err := capture(additionalOutput)
	if err != nil {
		return "", "", -1, err
	}
	defer out.close()
	errOut, err := capture(additionalErrorOutput)
	if err != nil {
		return "", "", -1, err
	}
	defer errOut.close()
	cmd.Stdout, cmd.Stderr = out.target(), errOut.target()
	cmd.SysProcAttr = attributes()
	// A plugin that outlives the CLI keeps its pipes open; the driver does not wait for it.
	cmd.WaitDelay = 5 * time.Second

	ended := make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		// The parent-death signal is sent when the thread that started the child ends, so that thread must stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.track(cmd.Process.Pid, true)
		started <- nil
		err := cmd.Wait()
		c.track(cmd.Process.Pid, false)
		ended <- err
	}()
	if err := <-started; err != nil {
		return "", "", -1, fmt.Errorf("starting %s: %w", c.Path, err)
	}
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = cmd.Process.Signal(os.Interrupt)
		err = <-ended
		if err == nil {
			err = ctx.Err()
		}
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
		if line := text.FirstError(errOut.String()); line != "" {
			err = fmt.Errorf("%w: %s", err, line)
		}
	}
	return out.String(), errOut.String(), code, err
}

// captured receives one of the CLI's outputs. Without writers it is an unlinked file: a pipe would break if the driver
// were killed, and end the CLI while it records its results.
type captured struct {
	file    *os.File
	buffer  bytes.Buffer
	writers []io.Writer
}

func capture(writers []io.Writer) (*captured, error) {
	if len(writers) > 0 {
		return &captured{writers: writers}, nil
	}
	file, err := os.CreateTemp("", "dbtier-cli-*")
	if err != nil {
		return nil, fmt.Errorf("making a file for the Pulumi CLI's output: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("making a file for the Pulumi CLI's output: %w", err)
	}
	return &captured{file: file}, nil
}

func (c *captured) target() io.Writer {
	if c.file != nil {
		return c.file
	}
	return io.MultiWriter(append(slices.Clone(c.writers), &c.buffer)...)
}

// String returns everything that was written. The CLI must have ended.
func (c *captured) String() string {
	if c.file == nil {
		return c.buffer.String()
	}
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	written, err := io.ReadAll(c.file)
	if err != nil {
		return ""
	}
	return string(written)
}

func (c *captured) close() {
	if c.file != nil {
		c.file.Close()
	}
}

// Kill ends every running CLI, and the processes that it started, at once.
func (c *Command) Kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for pid := range c.running {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

func (c *Command) track(pid int, runs bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		c.running = map[int]struct{}{}
	}
	if runs {
		c.running[pid] = struct{}{}
	} else {
		delete(c.running, pid)
	}
}
