package localcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"dbtier/internal/process"
	"dbtier/internal/project"
)

// ErrStarting is returned while the project's cloud is starting.
var ErrStarting = errors.New("the local cloud is still starting: wait for it with `dbtier local start`")

// ErrNotRunning is returned if the project's cloud is not running.
var ErrNotRunning = errors.New("the local cloud is not running: start it with `dbtier local start`")

// Cloud is the local cloud of one project.
type Cloud struct {
	Project *project.Project
	// Binary is the path of localcloud, from FindBinary.
	Binary string
}

// State is the content of a running cloud's cloud.json.
type State struct {
	PID         int    `json:"pid"`
	StartTime   uint64 `json:"startTime"`
	APIPort     int    `json:"apiPort"`
	AWSPort     int    `json:"awsPort"`
	RunDir      string `json:"runDir"`
	AWSEndpoint string `json:"awsEndpoint"`
	Kubeconfig  string `json:"kubeconfig"`
	// Ready is true once the cloud has started. It answers before that.
	Ready bool `json:"-"`
	// Faults are those that are in force.
	Faults []Fault `json:"-"`
}

// Fault is a fault that `dbtier local fault` has caused: its kind, and what it is of.
type Fault struct {
	Kind string `json:"kind"`
	Of   string `json:"of"`
}

// Credentials are the access key of the local account's administrator.
type Credentials struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// FindBinary looks for localcloud beside the driver's own binary.
func FindBinary(beside string) (string, error) {
	path := filepath.Join(beside, "localcloud")
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return "", fmt.Errorf("localcloud is not beside dbtier in %s: run `make build` in the checkout of dbtier",
			beside)
	}
	return path, nil
}

// Running returns the state of the cloud, or ErrNotRunning. A cloud is running if the process that cloud.json names is
// alive and its control socket answers. The file alone may be left over from a kill or a restart of the machine.
func (c *Cloud) Running(ctx context.Context) (*State, error) {
	state, err := c.state()
	if err != nil {
		return nil, err
	}
	if started, err := process.Started(state.PID); err != nil || started != state.StartTime {
		return nil, ErrNotRunning
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	socket := filepath.Join(state.RunDir, "control.sock")
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localcloud/status", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking the local cloud for its status: %w", err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, ErrNotRunning
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf(
			"the local cloud answers %s: see `dbtier local logs`, or restart it with `dbtier local stop` and "+
				"`dbtier local start`", answer.Status)
	}
	var status struct {
		Phase  string  `json:"phase"`
		Faults []Fault `json:"faults"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&status); err != nil {
		return nil, fmt.Errorf("reading the local cloud's status: %w", err)
	}
	if status.Phase == "stopping" {
		return nil, ErrNotRunning
	}
	state.Ready, state.Faults = status.Phase == "ready", status.Faults
	return state, nil
}

// Ready returns the state of a cloud that has started.
func (c *Cloud) Ready(ctx context.Context) (*State, error) {
	state, err := c.Running(ctx)
	if err == nil && !state.Ready {
		return nil, ErrStarting
	}
	return state, err
}

func (c *Cloud) state() (*State, error) {
	file := c.Project.LocalCloud("state", "cloud.json")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s can be read only by root: run this as root, as the local cloud was started", file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the local cloud's state: %w", err)
	}
	var state State
	if err := json.Unmarshal(text, &state); err != nil {
		return nil, ErrNotRunning
	}
	return &state, nil
}

// Credentials reads the access key of the local account's administrator.
func (c *Cloud) Credentials() (Credentials, error) {
	var credentials Credentials
	text, err := os.ReadFile(c.Project.LocalCloud("state", "aws-credentials.json"))
	if err != nil {
		return credentials, fmt.Errorf("reading the local account's access key: %w", err)
	}
	if err := json.Unmarshal(text, &credentials); err != nil {
		return credentials, fmt.Errorf("reading the local account's access key: %w", err)
	}
	return credentials, nil
}

// Kubectl is the command of the kubectl in the bundled Kubernetes binary.
func (c *Cloud) Kubectl() []string {
	return []string{c.Project.LocalCloud("cache", "bin", "kubernetes"), "kubectl"}
}

// Command returns localcloud with the arguments, for this project's checkout.
func (c *Cloud) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Binary, append(args, "--dir", c.Project.Checkout())...)
	cmd.Dir = c.Project.Checkout()
	// An interrupt reaches localcloud only, not what it starts detached. An interrupted start cleans up after itself.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Run runs localcloud on the person's terminal. It returns ErrReported if the command failed, because it has printed
// why.
func (c *Cloud) Run(ctx context.Context, stdout, stderr io.Writer, args ...string) error {
	cmd := c.Command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, stdout, stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		// SIGPIPE is not reported: a reader such as head has closed the pipe.
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() &&
			status.Signal() != syscall.SIGPIPE {
			return fmt.Errorf("localcloud %s was ended by signal %s", args[0], status.Signal())
		}
		return ErrReported
	}
	if err != nil {
		return fmt.Errorf("starting localcloud: %w", err)
	}
	return nil
}

// ErrReported is the failure of a command that has already been explained to the person.
var ErrReported = errors.New("localcloud failed")
