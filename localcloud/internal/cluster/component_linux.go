package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	firstPause = 250 * time.Millisecond
	longPause  = 8 * time.Second
	// wellAfter is how long a component must run for its next exit to count as the first in a row.
	wellAfter = 30 * time.Second
	// deathsInARow is the number of exits in a row after which the supervisor gives up. With the pauses above, the last
	// is about 16 seconds after the first.
	deathsInARow = 7
	// logLimit is the size in bytes at which a log is renamed. One old log is kept.
	logLimit = 32 << 20
)

// component keeps one program running.
type component struct {
	name    string
	command []string
	env     []string
	// grace is the time between SIGTERM and SIGKILL.
	grace time.Duration
	log   string

	mu     sync.Mutex
	status ComponentStatus
	// process is the last one that was started.
	process *os.Process
	cancel  context.CancelFunc
	done    chan struct{}
}

// start runs the program until stop is called, and restarts it when it exits. It calls giveUp when the program exits
// too often in a row.
func (c *component) start(ctx context.Context, logger *slog.Logger, giveUp func(error)) {
	c.startWith(ctx, logger, giveUp, firstPause)
}

func (c *component) startWith(ctx context.Context, logger *slog.Logger, giveUp func(error), firstPause time.Duration) {
	ctx, c.cancel = context.WithCancel(ctx)
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		deaths := 0
		for {
			began := time.Now()
			err := c.run(ctx)
			if ctx.Err() != nil {
				return
			}
			if time.Since(began) > wellAfter {
				deaths = 0
			}
			deaths++
			why := ending(err)
			c.mu.Lock()
			c.status.PID, c.status.Last = 0, why
			c.status.Restarts++
			c.mu.Unlock()
			if deaths >= deathsInARow {
				giveUp(fmt.Errorf("%s exited %d times in a row, last: %s%s", c.name, deaths, why,
					c.lastWords()))
				return
			}
			pause := min(firstPause<<(deaths-1), longPause)
			logger.Warn("component exited and is restarted", "component", c.name, "ended", why, "in", pause.String(),
				"deaths", deaths)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}()
}

func ending(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func (c *component) run(ctx context.Context) error {
	if info, err := os.Stat(c.log); err == nil && info.Size() > logLimit {
		_ = os.Rename(c.log, c.log+".1")
	}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening its log: %w", err)
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error {
		// A frozen program sees SIGTERM only when it goes on.
		return errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Process.Signal(syscall.SIGCONT))
	}
	cmd.WaitDelay = c.grace
	// In its own process group, the program does not receive ^C from the terminal before the supervisor does.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	c.process, c.status.PID, c.status.Since = cmd.Process, cmd.Process.Pid, time.Now()
	err = c.suspend()
	c.mu.Unlock()
	return errors.Join(err, cmd.Wait())
}

// freeze suspends the program with all its threads, or lets it go on. A program that is started while the component is
// frozen is suspended as well, and being frozen is no exit: it does not count as one.
//
// Clients of a frozen program wait: the kernel still accepts their connections, and nobody answers. That is how an
// overloaded or partitioned server looks, the more common outage and the worse one. A stopped program would refuse
// connections, which clients notice at once. It ends cleanly, too: connections and state are still there.
func (c *component) freeze(frozen bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Frozen = frozen
	return c.suspend()
}

// suspend makes the program suspended or running, as the status says. The caller holds mu.
func (c *component) suspend() error {
	if c.process == nil {
		return nil // it has not been started
	}
	signal := syscall.SIGCONT
	if c.status.Frozen {
		signal = syscall.SIGSTOP
	}
	if err := c.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("suspending %s: %w", c.name, err)
	}
	return nil
}

// stop ends the program and waits until it has exited.
func (c *component) stop() {
	if c.cancel == nil {
		return
	}
	c.cancel()
	<-c.done
	c.mu.Lock()
	c.status.PID = 0
	c.mu.Unlock()
}

func (c *component) snapshot() ComponentStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Name = c.name
	return s
}

// lastWords returns the last lines of the component's log, for an error message.
func (c *component) lastWords() string {
	lines, err := lastLines(c.log, 5)
	if err != nil || len(lines) == 0 {
		return ""
	}
	return "\n  " + strings.Join(lines, "\n  ")
}

// lastLines reads only the end of a file, whatever its size.
func lastLines(path string, n int) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const tail = 64 << 10
	cut := false
	if end, err := f.Seek(0, io.SeekEnd); err != nil {
		return nil, err
	} else if end > tail {
		cut = true
		_, err = f.Seek(-tail, io.SeekEnd)
		if err != nil {
			return nil, err
		}
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if cut {
		if i := bytes.IndexByte(content, '\n'); i >= 0 {
			content = content[i+1:]
		}
	}
	var lines []string
	scanner := bufio.NewScanner(bytes.NewReader(content))
	scanner.Buffer(nil, tail+1)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	if err := scanner.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return nil, err
	}
	return lines[max(0, len(lines)-n):], nil
}
