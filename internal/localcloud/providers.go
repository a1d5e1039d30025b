package localcloud

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Ports are where attached provider servers, and the language runtime when it was asked for, listen on 127.0.0.1.
type Ports struct {
	AWS        int `json:"aws"`
	Kubernetes int `json:"kubernetes"`
	Language   int `json:"language,omitempty"`
}

// DebugProviders is the value of PULUMI_DEBUG_PROVIDERS that attaches the servers, leaving out the packages named.
func (p Ports) DebugProviders(except ...string) string {
	var parts []string
	for _, server := range []struct {
		name string
		port int
	}{{"aws", p.AWS}, {"kubernetes", p.Kubernetes}} {
		skip := server.port == 0
		for _, name := range except {
			skip = skip || name == server.name
		}
		if !skip {
			parts = append(parts, fmt.Sprintf("%s:%d", server.name, server.port))
		}
	}
	return strings.Join(parts, ",")
}

// Providers is a running `localcloud providers`: one pair of servers for one engine run.
type Providers struct {
	Ports
	// Ended closes when the process has ended, which before Close it must not.
	Ended <-chan struct{}

	cmd   *exec.Cmd
	stdin io.Closer
	tail  *tail
}

// ProviderOptions say which servers to start.
type ProviderOptions struct {
	// Offline servers need no cloud and only preview.
	Offline bool
	// Language adds the language runtime for a plain `pulumi up`.
	Language bool
	// Env is the child's environment; nil for the driver's.
	Env []string
}

// Providers starts the servers and waits until they listen.
func (c *Cloud) Providers(ctx context.Context, o ProviderOptions) (*Providers, error) {
	args := []string{"providers"}
	if o.Offline {
		args = append(args, "--offline")
	}
	if o.Language {
		args = append(args, "--language")
	}
	// Not tied to the context: on a cancel the engine still needs its providers to end what it began.
	cmd := c.Command(context.WithoutCancel(ctx), args...)
	cmd.Env = o.Env
	// A group of its own keeps a terminal's ^C from ending the servers under the engine.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the provider servers: %w", err)
	}
	// A pipe that we close ourselves: cmd.Wait must not close it under the reader.
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting the provider servers: %w", err)
	}
	defer reader.Close()
	said := &tail{}
	cmd.Stdout, cmd.Stderr = writer, said
	err = cmd.Start()
	writer.Close()
	if err != nil {
		return nil, fmt.Errorf("starting the provider servers: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	p := &Providers{Ended: ended, cmd: cmd, stdin: stdin, tail: said}

	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(reader).ReadString('\n')
		line <- text
	}()
	timeout := time.NewTimer(60 * time.Second)
	defer timeout.Stop()
	select {
	case text := <-line:
		if err := json.Unmarshal([]byte(text), &p.Ports); err != nil {
			p.Close()
			return nil, fmt.Errorf("the provider servers did not start: %s", p.Why(text))
		}
		return p, nil
	case <-timeout.C:
		p.Close()
		return nil, fmt.Errorf("the provider servers were not ready within 60s: %s", p.Why(""))
	case <-ctx.Done():
		p.Close()
		return nil, ctx.Err()
	}
}

// Why is the last that the servers said on stderr.
func (p *Providers) Why(otherwise string) string {
	if last := p.tail.last(); last != "" {
		return strings.TrimPrefix(strings.TrimPrefix(last, "error: "), "localcloud: ")
	}
	if otherwise = strings.TrimSpace(otherwise); otherwise != "" {
		return otherwise
	}
	return "they said nothing"
}

// PID is the servers' process.
func (p *Providers) PID() int { return p.cmd.Process.Pid }

// Close ends the servers: they stop when their stdin closes, and are killed when they do not.
func (p *Providers) Close() {
	p.stdin.Close()
	timeout := time.NewTimer(5 * time.Second)
	defer timeout.Stop()
	select {
	case <-p.Ended:
	case <-timeout.C:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.Ended
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

// last is the last line that is not empty.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
