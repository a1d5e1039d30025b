package localcloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dbtier/internal/process"
)

// A plain `pulumi up` on the local cloud needs provider servers and a language runtime that outlive the command that
// started them. A keeper runs them: a detached process that ends with the cloud.

// attached is the content of a keeper's attached.json.
type attached struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"startTime"`
	// Built is the build time of the localcloud binary. Servers of another build are replaced.
	Built time.Time `json:"built"`
	Ports
}

func (c *Cloud) attachedFile() string {
	return c.Project.LocalCloud("state", "pulumi", "attached.json")
}

// readAttached returns the file of a keeper that is alive, or nil.
func (c *Cloud) readAttached() *attached {
	text, err := os.ReadFile(c.attachedFile())
	if err != nil {
		return nil
	}
	var a attached
	if json.Unmarshal(text, &a) != nil {
		return nil
	}
	if started, err := process.Started(a.PID); err != nil || started != a.StartTime {
		return nil
	}
	return &a
}

func (c *Cloud) built() time.Time {
	info, err := os.Stat(c.Binary)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime().UTC()
}

// Attached returns the ports of the detached servers. If no keeper is alive, it starts one with the command.
func (c *Cloud) Attached(ctx context.Context, command []string) (ports Ports, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("starting the provider servers: %w", err)
		}
	}()
	lock, err := os.OpenFile(c.attachedFile()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return ports, err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return ports, err
	}
	if a := c.readAttached(); a != nil {
		if a.Built.Equal(c.built()) {
			return a.Ports, nil
		}
		process.End(a.PID, a.StartTime)
	}
	log, err := os.OpenFile(c.Project.LocalCloud("state", "pulumi", "attached.log"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC,
		0o600)
	if err != nil {
		return ports, err
	}
	defer log.Close()
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it outlives this command
	cmd.Dir, cmd.Stderr = c.Project.Dir, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	ports, _, err = startServers(ctx, cmd)
	switch {
	case err == nil:
		return ports, cmd.Process.Release()
	case cmd.Process == nil:
		return ports, err
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return ports, fmt.Errorf("they did not start: see %s", log.Name())
}

// Keep is the keeper: it starts the servers, prints their ports, and ends with the cloud, the servers or the context.
func (c *Cloud) Keep(ctx context.Context, ready io.WriteCloser) error {
	state, err := c.Ready(ctx)
	if err != nil {
		return err
	}
	gone, err := process.Ended(state.PID)
	if err != nil {
		return err
	}
	built := c.built()
	providers, err := c.Providers(ctx, ProviderOptions{Language: true})
	if err != nil {
		return err
	}
	defer providers.Close()
	started, err := process.Started(os.Getpid())
	if err != nil {
		return err
	}
	partial := c.attachedFile() + ".partial"
	text, err := json.Marshal(attached{PID: os.Getpid(), StartTime: started, Built: built, Ports: providers.Ports})
	if err == nil {
		err = os.WriteFile(partial, text, 0o600)
	}
	if err == nil {
		err = os.Rename(partial, c.attachedFile())
	}
	if err == nil {
		defer os.Remove(c.attachedFile())
		err = json.NewEncoder(ready).Encode(providers.Ports)
	}
	if err != nil {
		return fmt.Errorf("publishing the ports of the provider servers: %w", err)
	}
	ready.Close()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return nil
	case <-providers.Ended:
		return errors.New("the provider servers ended: " + providers.Why(""))
	}
}

// Stop stops the cloud and its keeper.
func (c *Cloud) Stop(ctx context.Context, stdout, stderr io.Writer, args ...string) error {
	keeper := c.readAttached()
	err := c.Run(ctx, stdout, stderr, append([]string{"stop"}, args...)...)
	if keeper != nil {
		process.End(keeper.PID, keeper.StartTime)
	}
	return err
}

// Environment returns the variables, in order, with which other clients on this machine work on the local cloud.
func (c *Cloud) Environment(state *State, ports Ports, o EnvironmentOptions) ([][2]string, error) {
	credentials, err := c.Credentials()
	if err != nil {
		return nil, err
	}
	vars := [][2]string{
		{"KUBECONFIG", state.Kubeconfig},
		{"AWS_ENDPOINT_URL", state.AWSEndpoint},
		{"AWS_ACCESS_KEY_ID", credentials.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", credentials.SecretAccessKey},
		{"AWS_REGION", o.Region},
		{"AWS_DEFAULT_REGION", o.Region},
		{"PULUMI_BACKEND_URL", o.Backend},
		{"PULUMI_CONFIG_PASSPHRASE_FILE", o.PassphraseFile},
		{"PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER", "true"},
		{"PULUMI_HOME", o.PulumiHome},
		{"PULUMI_SKIP_UPDATE_CHECK", "true"},
		{"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true"},
		{"PULUMI_DEBUG_PROVIDERS", ports.DebugProviders()},
	}
	if ports.Language != 0 && !o.LanguageInstalled {
		vars = append(vars, [2]string{"PULUMI_DEBUG_LANGUAGES", fmt.Sprintf("go:%d", ports.Language)})
	}
	return append(vars, [2]string{"PATH", o.Bin + ":$PATH"}), nil
}

// EnvironmentOptions are values for Environment that the cloud does not know.
type EnvironmentOptions struct {
	Region, Backend, PassphraseFile, PulumiHome string
	// Bin is the folder of the project's binaries.
	Bin string
	// LanguageInstalled is true if pulumi-language-go is on PATH.
	LanguageInstalled bool
}

// Export writes the variables for a shell's eval. Evaluating it again does not extend PATH again.
func Export(vars [][2]string) string {
	var out strings.Builder
	for _, v := range vars {
		if v[0] == "PATH" {
			bin, _, _ := strings.Cut(v[1], ":")
			fmt.Fprintf(&out, "case \":$PATH:\" in *:%s:*) ;; *) export PATH=%s:\"$PATH\" ;; esac\n", quote(bin),
				quote(bin))
			continue
		}
		fmt.Fprintf(&out, "export %s=%s\n", v[0], quote(v[1]))
	}
	return out.String()
}

// Unset writes what removes the variables of Environment.
func Unset() string {
	return "unset KUBECONFIG AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_DEFAULT_REGION " +
		"PULUMI_BACKEND_URL PULUMI_CONFIG_PASSPHRASE_FILE PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER PULUMI_HOME " +
		"PULUMI_SKIP_UPDATE_CHECK PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION PULUMI_DEBUG_PROVIDERS " +
		"PULUMI_DEBUG_LANGUAGES\n"
}

// quote quotes a value as one word of a POSIX shell.
func quote(value string) string {
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// EnsureFolders makes the driver's folders in the cloud's state.
func (c *Cloud) EnsureFolders() error {
	if err := os.MkdirAll(filepath.Dir(c.attachedFile()), 0o700); err != nil {
		return fmt.Errorf("making the driver's folder in the local cloud's state: %w", err)
	}
	return nil
}
