package kubectl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"dbtier/internal/text"
)

// Client runs kubectl on one cluster.
type Client struct {
	// Command is the path of kubectl, and its first arguments if there are any.
	Command []string
	// Kubeconfig and Context select the cluster. Default: kubectl's own choice.
	Kubeconfig, Context string
}

// OnPath returns the kubectl on PATH.
func OnPath() (*Client, error) {
	path, err := exec.LookPath("kubectl")
	if err != nil {
		return nil, errors.New("kubectl is not on PATH: install it, or set $KUBECTL")
	}
	return &Client{Command: []string{path}}, nil
}

// Error is a kubectl that failed.
type Error struct {
	// Args are the arguments without the cluster's flags.
	Args []string
	// Code is the exit code; for exec that of the inner command.
	Code   int
	Stderr string
}

func (e *Error) Error() string {
	if said := lastLine(e.Stderr); said != "" {
		return said
	}
	return fmt.Sprintf("kubectl %s exited with code %d", e.Args[0], e.Code)
}

// NotFound reports whether the API server has no such object.
func (e *Error) NotFound() bool { return strings.Contains(e.Stderr, "(NotFound)") }

// AlreadyExists reports whether the object to create is there.
func (e *Error) AlreadyExists() bool { return strings.Contains(e.Stderr, "(AlreadyExists)") }

// UnknownKind reports whether the cluster does not serve the kind that was asked for. kubectl says it in another way if
// it remembers the kinds of a cluster that had the same address before.
func (e *Error) UnknownKind() bool {
	return strings.Contains(e.Stderr, "doesn't have a resource type") ||
		strings.Contains(e.Stderr, "could not find the requested resource")
}

// Run runs kubectl with an input and returns what it printed.
func (c *Client) Run(ctx context.Context, stdin string, args ...string) (string, error) {
	command := slices.Clone(c.Command)
	if c.Kubeconfig != "" {
		command = append(command, "--kubeconfig="+c.Kubeconfig)
	}
	if c.Context != "" {
		command = append(command, "--context="+c.Context)
	}
	command = append(command, args...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = os.Environ()
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("kubectl %s: %w", args[0], ctx.Err())
	case errors.As(err, &exit):
		return stdout.String(), &Error{Args: args, Code: exit.ExitCode(), Stderr: stderr.String()}
	default:
		return "", fmt.Errorf("starting kubectl: %w", err)
	}
}

// Get reads an object, or a list of them, into the given value.
func (c *Client) Get(ctx context.Context, into any, namespace string, what ...string) error {
	printed, err := c.Run(ctx, "", append([]string{"get", "--namespace=" + namespace, "--output=json"}, what...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(printed), into); err != nil {
		return fmt.Errorf("reading what kubectl get %s printed: %w", strings.Join(what, " "), err)
	}
	return nil
}

// All reads the objects of a kind in all namespaces into a list. A kind that the cluster does not know has none.
func (c *Client) All(ctx context.Context, into any, kind string) error {
	err := c.Get(ctx, into, "", kind, "--all-namespaces")
	var failed *Error
	if errors.As(err, &failed) && failed.UnknownKind() {
		return nil
	}
	return err
}

// Existing reads those of the manifests' objects that exist into a list. It leaves out objects of kinds that the
// cluster does not know. After an error about some of the objects, such as a missing right, the list has those that
// were found.
func (c *Client) Existing(ctx context.Context, into any, manifests string) error {
	printed, err := c.Run(ctx, manifests, "get", "--filename=-", "--ignore-not-found", "--output=json",
		"--show-managed-fields")
	var failed *Error
	if errors.As(err, &failed) {
		if failed.Stderr = withoutUnknownKinds(failed.Stderr); failed.Stderr == "" {
			err = nil
		}
	}
	if strings.TrimSpace(printed) == "" {
		return err
	}
	if unread := json.Unmarshal([]byte(printed), into); unread != nil {
		return errors.Join(err, fmt.Errorf("reading what kubectl get printed: %w", unread))
	}
	return err
}

// withoutUnknownKinds removes what kubectl says of objects of kinds that the cluster does not know.
func withoutUnknownKinds(stderr string) string {
	var left strings.Builder
	for line := range strings.Lines(stderr) {
		unknown := strings.Contains(line, "no matches for kind ") ||
			strings.HasPrefix(line, "ensure CRDs are installed")
		if !unknown {
			left.WriteString(line)
		}
	}
	return strings.TrimSpace(left.String())
}

// lastLine returns the last line without the prefix "error: ". It ignores the line with which kubectl ends a failed
// exec, which repeats the exit code, and its hint after a wrong command line.
func lastLine(stderr string) string {
	last := text.LastLine(stderr)
	if strings.HasPrefix(last, "command terminated with exit code") || strings.HasPrefix(last, "See 'kubectl") {
		if before := text.LastLine(strings.TrimSuffix(strings.TrimSpace(stderr), last)); before != "" {
			last = before
		}
	}
	return strings.TrimPrefix(last, "error: ")
}
