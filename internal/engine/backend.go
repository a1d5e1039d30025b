package engine

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dbtier/config"
	"dbtier/internal/project"
)

// Lookup finds a variable of the environment, as os.LookupEnv does.
type Lookup func(name string) (string, bool)

// Backend returns the URL of the backend that holds the stack's state: the flag, then $PULUMI_BACKEND_URL, then
// backend.url of Pulumi.yaml, then the folder .dbtier/state. The state of a local stack is part of the local cloud;
// only the flag moves it.
func Backend(p *project.Project, s *project.Stack, flag string, env Lookup) string {
	if flag != "" {
		return flag
	}
	if s.Cloud == config.Local {
		return "file://" + p.LocalCloud("state", "pulumi")
	}
	if url, ok := env("PULUMI_BACKEND_URL"); ok && url != "" {
		return url
	}
	if p.Backend != "" {
		return p.Backend
	}
	return folder(p)
}

func folder(p *project.Project) string { return "file://" + p.Own("state") }

// OnlyHere says that the state of a stack on AWS is in the project's folder, and what to do, or returns "". Nobody
// chooses that folder: it is what remains without a choice.
func OnlyHere(p *project.Project, s *project.Stack, backend string) string {
	if s.Cloud == config.Local || backend != folder(p) {
		return ""
	}
	return "the state of stack " + s.Name + " is only on this machine, in the folder .dbtier/state of the project: " +
		"set PULUMI_BACKEND_URL or backend.url of Pulumi.yaml to a bucket before others deploy it"
}

// SecretsProvider returns what encrypts the secrets of a new stack: the flag, then secretsprovider of the stack's file.
func SecretsProvider(s *project.Stack, flag string) string {
	if flag != "" {
		return flag
	}
	return s.Values.SecretsProvider
}

// CheckSecrets returns an error when nothing would encrypt the secrets in the stack's state. Pulumi Cloud encrypts them
// itself; every other backend needs a passphrase or a secrets provider.
func CheckSecrets(s *project.Stack, backend, secretsProvider string, env Lookup) error {
	if s.Cloud == config.Local || strings.HasPrefix(backend, "https://") || strings.HasPrefix(backend, "http://") {
		return nil
	}
	for _, provider := range []string{secretsProvider, s.Values.SecretsProvider} {
		if provider != "" && provider != "passphrase" && provider != "default" {
			return nil
		}
	}
	if value, _ := env("PULUMI_CONFIG_PASSPHRASE"); value != "" {
		return nil
	}
	if file, _ := env("PULUMI_CONFIG_PASSPHRASE_FILE"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("PULUMI_CONFIG_PASSPHRASE_FILE: %s: cannot be read: %w", file, errors.Unwrap(err))
		}
		if strings.TrimSpace(string(text)) == "" {
			return fmt.Errorf("PULUMI_CONFIG_PASSPHRASE_FILE: %s: is empty: write the passphrase into it", file)
		}
		return nil
	}
	return fmt.Errorf("stack %s: nothing encrypts the secrets in its state in %s: set PULUMI_CONFIG_PASSPHRASE or "+
		"PULUMI_CONFIG_PASSPHRASE_FILE, or give --secrets-provider (awskms://…, gcpkms://…, azurekeyvault://…, "+
		"hashivault://…)", s.Name, backend)
}

// LocalPassphrase returns the file with the passphrase of local stacks and creates it on first use. The file is not
// part of the local cloud's state, so a purge keeps it: the encryptionsalt that a plain `pulumi up` writes into
// Pulumi.local.yaml stays valid.
func LocalPassphrase(p *project.Project) (string, error) {
	file := p.Own("local-passphrase")
	if info, err := os.Stat(file); err == nil && info.Size() > 0 {
		return file, os.Chmod(file, 0o600)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the local stack's passphrase: %w", err)
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random)
	err := os.MkdirAll(filepath.Dir(file), 0o700)
	if err == nil {
		err = WriteFile(file, []byte(base64.RawURLEncoding.EncodeToString(random)+"\n"), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("creating the local stack's passphrase: %w", err)
	}
	return file, nil
}

// WriteFile replaces a file in one step, so that it is whole at any time.
func WriteFile(path string, text []byte, mode os.FileMode) error {
	partial, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(partial.Name())
	_, err = partial.Write(text)
	if err := errors.Join(err, partial.Chmod(mode), partial.Sync(), partial.Close()); err != nil {
		return err
	}
	return os.Rename(partial.Name(), path)
}
