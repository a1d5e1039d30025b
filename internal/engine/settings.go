package engine

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dbtier/internal/project"
	"dbtier/internal/statelock"
)

// Lookup finds a variable of the environment, as os.LookupEnv does.
type Lookup func(name string) (string, bool)

// Backend is the URL of the backend that holds the stack's state. The flag comes first. The local stack's state lives
// and goes with the local cloud, so what the environment and Pulumi.yaml name for the others does not move it.
func Backend(p *project.Project, s *project.Stack, flag string, env Lookup) string {
	if flag != "" {
		return flag
	}
	if s.Cloud == project.Local {
		return "file://" + p.LocalCloud("state", "pulumi")
	}
	if url, ok := env("PULUMI_BACKEND_URL"); ok && url != "" {
		return url
	}
	if p.Backend != "" {
		return p.Backend
	}
	return "file://" + p.Own("state")
}

// keepsOwnSecrets reports whether a backend leaves the encryption of secrets to us: all but Pulumi Cloud's do.
func keepsOwnSecrets(backend string) bool {
	return !strings.HasPrefix(backend, "https://") && !strings.HasPrefix(backend, "http://")
}

// CheckSecrets refuses a stack whose backend would hold secrets that nothing was named to encrypt them with.
func CheckSecrets(s *project.Stack, backend, secretsProvider string, env Lookup) error {
	if s.Cloud == project.Local || !keepsOwnSecrets(backend) {
		return nil
	}
	for _, provider := range []string{secretsProvider, s.SecretsProvider} {
		if provider != "" && provider != "passphrase" && provider != "default" {
			return nil
		}
	}
	if value, _ := env("PULUMI_CONFIG_PASSPHRASE"); value != "" {
		return nil
	}
	if file, _ := env("PULUMI_CONFIG_PASSPHRASE_FILE"); file != "" {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("PULUMI_CONFIG_PASSPHRASE_FILE: %s: cannot be read: %w", file, errors.Unwrap(err))
		}
		return nil
	}
	return fmt.Errorf(
		"stack %s: its state in %s needs something to encrypt secrets with: set PULUMI_CONFIG_PASSPHRASE or "+
			"PULUMI_CONFIG_PASSPHRASE_FILE, "+
			"or give --secrets-provider (awskms://…, gcpkms://…, azurekeyvault://…, hashivault://…)", s.Name, backend)
}

// LocalPassphrase is the file with the local stack's passphrase, made on first use. It is not below the local cloud's
// state: a purge keeps it, so that an encryptionsalt which a plain `pulumi up` writes into Pulumi.local.yaml stays
// valid.
func LocalPassphrase(p *project.Project) (string, error) {
	file := p.Own("local-passphrase")
	if info, err := os.Stat(file); err == nil && info.Size() > 0 {
		return file, os.Chmod(file, 0o600)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the local stack's passphrase: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("making the local stack's passphrase: %w", err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	if err := writeFile(file, []byte(base64.RawURLEncoding.EncodeToString(random)+"\n")); err != nil {
		return "", fmt.Errorf("making the local stack's passphrase: %w", err)
	}
	return file, nil
}

// writeFile puts a file in place whole, readable only for its owner.
func writeFile(path string, text []byte) error {
	partial, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	_, err = partial.Write(text)
	if err := errors.Join(err, partial.Close()); err != nil {
		return err
	}
	return os.Rename(partial.Name(), path)
}

// Variables that attach servers to the engine in place of plugins.
var attaching = []string{
	"PULUMI_DEBUG_PROVIDERS", "PULUMI_DEBUG_LANGUAGES",
	"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
}

// Variables with which a person's shell, or this very process's starter, steers a Pulumi CLI; the driver decides them
// itself.
var steering = []string{
	"PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_STACK", "PULUMI_OPTION_", "PULUMI_AUTOMATION_API",
	"PULUMI_DEBUG_COMMANDS",
	"PULUMI_SKIP_UPDATE_CHECK", "PULUMI_CREDENTIALS_PATH",
}

// Credentials and endpoints of clouds, which a run against servers that only play a cloud must not carry, and settings
// of the state that are meant for other stacks' states.
var cloudCredentials = []string{"AWS_", "KUBECONFIG", "PULUMI_DIY_BACKEND_", "PULUMI_SELF_MANAGED_STATE_"}

// Environment is the engine's environment: base without what could point it at another cloud, and then what this run
// sets.
func Environment(base []string, run Run) []string {
	drop := slices.Concat(attaching, steering)
	if run.Attach != "" {
		drop = slices.Concat(drop, cloudCredentials)
	}
	if run.PassphraseFile != "" || run.Passphrase != "" {
		drop = append(drop, "PULUMI_CONFIG_PASSPHRASE")
	}
	env := slices.DeleteFunc(slices.Clone(base), func(entry string) bool {
		return slices.ContainsFunc(drop, func(prefix string) bool { return matches(entry, prefix) })
	})
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	set("PULUMI_BACKEND_URL", run.Backend)
	set("PULUMI_HOME", run.Home)
	set("PULUMI_CREDENTIALS_PATH", run.CredentialsPath)
	set("PULUMI_SKIP_UPDATE_CHECK", "true")
	set("PULUMI_CONFIG_PASSPHRASE_FILE", run.PassphraseFile)
	set("PULUMI_CONFIG_PASSPHRASE", run.Passphrase)
	if run.Attach != "" {
		set("PULUMI_DEBUG_PROVIDERS", run.Attach)
		// Else operations on existing state would try to install the attached plugins.
		set("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
		env = WithCollector(env)
	}
	if run.Kubeconfig != "" {
		set("KUBECONFIG", run.Kubeconfig)
		// The state of a machine's own stack is not worth a copy before each update.
		set("PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS", "true")
	}
	return env
}

// WithCollector lets a Go program that lives for seconds collect its garbage less often, unless the environment says
// how: with the operator's CRDs in the state a quarter of a run's processor time went into it.
func WithCollector(env []string) []string {
	if slices.ContainsFunc(env, func(entry string) bool {
		return matches(entry, "GOGC") ||
			matches(entry, "GOMEMLIMIT")
	}) {
		return env
	}
	return append(env, "GOGC=400")
}

// matches reports whether an entry's name is the given one; a name that ends in _ stands for all that begin so, and the
// passphrase for both of its variables.
func matches(entry, name string) bool {
	key, _, _ := strings.Cut(entry, "=")
	if strings.HasSuffix(name, "_") {
		return strings.HasPrefix(key, name)
	}
	return key == name || name == "PULUMI_CONFIG_PASSPHRASE" && key == name+"_FILE"
}

// Run is what one run of the engine is set to.
type Run struct {
	// Backend is the state's URL.
	Backend string
	// Home is the driver's PULUMI_HOME; CredentialsPath the folder of the user's Pulumi logins, for backends that need
	// one.
	Home, CredentialsPath string
	// Attach is the value of PULUMI_DEBUG_PROVIDERS; empty for a run with the installed plugins.
	Attach string
	// PassphraseFile or Passphrase replace the user's.
	PassphraseFile, Passphrase string
	// Kubeconfig of the local cluster, for a local stack.
	Kubeconfig string
}

// LocalLeftovers names the variables of the environment that still point at the local cloud, which a shell has after
// `eval "$(dbtier local env)"`. With them a stack on AWS would be sent to the stand-in by its own plugins.
func LocalLeftovers(p *project.Project, awsEndpoint string, env Lookup) []string {
	var found []string
	for _, name := range []string{
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_RDS", "AWS_ENDPOINT_URL_SECRETS_MANAGER",
		"KUBECONFIG", "PULUMI_BACKEND_URL",
	} {
		value, _ := env(name)
		local := strings.Contains(value, p.LocalCloud()+string(filepath.Separator))
		if name != "KUBECONFIG" && awsEndpoint != "" {
			local = local || strings.TrimSuffix(value, "/") == strings.TrimSuffix(awsEndpoint, "/")
		}
		if local {
			found = append(found, name)
		}
	}
	return found
}

// fileBackend is the stack's place in a backend of files on this machine.
func fileBackend(p *project.Project, s *project.Stack, backend string) (statelock.FileBackend, bool) {
	dir, ok := statelock.FileBackendDir(backend)
	return statelock.FileBackend{Dir: dir, Project: p.Name, Stack: s.Name}, ok
}
