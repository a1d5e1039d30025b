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
	// A component that ran this long was well: its next death counts as the first.
	wellAfter = 30 * time.Second
	// With the pauses above, the last of these deaths is about 16 seconds after the first.
	deathsInARow = 7
	// A log that has grown to this size is moved aside, once.
	logLimit = 32 << 20
)

// component keeps one program running.
type component struct {
	name    string
	command []string
	env     []string
	// grace is how long it may take to end after SIGTERM.
	grace time.Duration
	log   string

	mu     sync.Mutex
	status ComponentStatus
	cancel context.CancelFunc
	done   chan struct{}
}

// start runs the program until stop, again whenever it ends by itself; giveUp is called when it ends too often in a
// row.
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
				giveUp(fmt.Errorf("%s ended %d times in a row, the last time: %s%s", c.name, deaths, why,
					c.lastWords()))
				return
			}
			pause := min(firstPause<<(deaths-1), longPause)
			logger.Warn("component ended, it is started again", "component", c.name, "ended", why, "in", pause.String(),
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
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = c.grace
	// A terminal's ^C must not reach it past the supervisor.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	c.status.PID, c.status.Since = cmd.Process.Pid, time.Now()
	c.mu.Unlock()
	return cmd.Wait()
}

// stop ends the program and waits until it has ended.
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

// lastWords are the last lines of its log, for an error message.
func (c *component) lastWords() string {
	lines, err := lastLines(c.log, 5)
	if err != nil || len(lines) == 0 {
		return ""
	}
	return "\n  " + strings.Join(lines, "\n  ")
}

// lastLines reads only the end of a file, however long it is.
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
