package localcloud

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"dbtier/internal/text"
)

// Ports are the ports on 127.0.0.1 of the provider servers, and of the language runtime if it was requested.
type Ports struct {
	AWS        int `json:"aws"`
	Kubernetes int `json:"kubernetes"`
	Language   int `json:"language,omitempty"`
}

// DebugProviders returns the value of PULUMI_DEBUG_PROVIDERS that attaches the servers, except for the named packages.
func (p Ports) DebugProviders(except ...string) string {
	var parts []string
	for _, server := range []struct {
		name string
		port int
	}{{"aws", p.AWS}, {"kubernetes", p.Kubernetes}} {
		if server.port != 0 && !slices.Contains(except, server.name) {
			parts = append(parts, fmt.Sprintf("%s:%d", server.name, server.port))
		}
	}
	return strings.Join(parts, ",")
}

// Providers is a running `localcloud providers`: the servers for one run of the engine.
type Providers struct {
	Ports
	// Ended closes when the process ends. It must not end before Close.
	Ended <-chan struct{}

	cmd   *exec.Cmd
	stdin io.Closer
	tail  *tail
}

// ProviderOptions select the servers to start.
type ProviderOptions struct {
	// Offline starts servers that can only preview, and need no cloud.
	Offline bool
	// Language also starts the language runtime, for a plain `pulumi up`.
	Language bool
	// Env is the servers' environment. Default: the driver's.
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
	// After a cancel the engine still needs its providers, to finish the operations in progress.
	cmd := c.Command(context.WithoutCancel(ctx), args...)
	cmd.Env = o.Env
	// In a separate process group, a terminal's ^C does not end the servers.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the provider servers: %w", err)
	}
	p := &Providers{cmd: cmd, stdin: stdin, tail: &tail{}}
	cmd.Stderr = p.tail
	const patience = 60 * time.Second
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ports, line, err := startServers(starting, cmd)
	if cmd.Process == nil {
		return nil, fmt.Errorf("starting the provider servers: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	p.Ports, p.Ended = ports, ended
	if err == nil {
		return p, nil
	}
	p.Close()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case starting.Err() != nil:
		return nil, fmt.Errorf("the provider servers were not ready within %s: %s", patience, p.Why(""))
	default:
		return nil, fmt.Errorf("the provider servers did not start: %s", p.Why(line))
	}
}

// startServers starts a command and reads the ports that it prints on its first line. After an error, the command may
// be running.
func startServers(ctx context.Context, cmd *exec.Cmd) (ports Ports, line string, err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return ports, "", err
	}
	defer reader.Close()
	cmd.Stdout = writer
	err = cmd.Start()
	writer.Close()
	if err != nil {
		return ports, "", err
	}
	stop := context.AfterFunc(ctx, func() { reader.Close() })
	defer stop()
	if line, err = bufio.NewReader(reader).ReadString('\n'); err == nil {
		err = json.Unmarshal([]byte(line), &ports)
	}
	return ports, line, err
}

// Why returns the last line that the servers printed on stderr, or the given text.
func (p *Providers) Why(otherwise string) string {
	if last := text.LastLine(p.tail.String()); last != "" {
		return strings.TrimPrefix(strings.TrimPrefix(last, "error: "), "localcloud: ")
	}
	if otherwise = strings.TrimSpace(otherwise); otherwise != "" {
		return otherwise
	}
	return "they printed nothing"
}

// Close ends the servers. They stop when their stdin closes; after 5 s they are killed.
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

// tail keeps the last 16 KiB that are written to it.
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

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
