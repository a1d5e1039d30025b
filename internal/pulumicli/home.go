package pulumicli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// UserHome is the PULUMI_HOME of the user's own pulumi, with its plugins and logins.
func UserHome() string {
	if home := os.Getenv("PULUMI_HOME"); home != "" {
		return home
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".pulumi")
}

// PrepareHome makes dir the driver's PULUMI_HOME. In it `logs` is a regular file. The CLI always logs property values,
// which would write secrets in plain text to the disk, unless it cannot make that folder.
func PrepareHome(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the driver's PULUMI_HOME: %w", err)
	}
	logs := filepath.Join(dir, "logs")
	if info, err := os.Lstat(logs); err == nil && info.IsDir() {
		if err := os.RemoveAll(logs); err != nil {
			return fmt.Errorf("removing the CLI's logs: %w", err)
		}
	}
	file, err := os.OpenFile(logs, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making the driver's PULUMI_HOME: %w", err)
	}
	file.Close()
	return nil
}

// SharePlugins links the plugins of userHome into the PULUMI_HOME dir, so that both use the same installed plugins. It
// keeps a plugin folder in dir that is not empty.
func SharePlugins(dir, userHome string) error {
	if userHome == "" || userHome == dir {
		return nil
	}
	target, link := filepath.Join(userHome, "plugins"), filepath.Join(dir, "plugins")
	if at, err := os.Readlink(link); err == nil && at == target {
		return nil
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil // It is not empty.
	}
	if err := os.MkdirAll(target, 0o700); err != nil {
		return fmt.Errorf("making the folder of Pulumi plugins: %w", err)
	}
	if err := os.Symlink(target, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("linking the folder of Pulumi plugins: %w", err)
	}
	return nil
}
