package pulumicli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// UserHome is the PULUMI_HOME that a person's own pulumi uses: where plugins are installed and logins are kept.
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

// PrepareHome makes dir a PULUMI_HOME of the driver's own. Its `logs` is a regular file: the CLI has no switch against
// its log of property values, which would put secrets in plain on the disk, but gives up on a folder it cannot make.
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

// SharePlugins makes the plugins below userHome those of the PULUMI_HOME dir, so that none is installed twice and
// `pulumi plugin install` serves both. A folder with plugins in it stays: someone's choice, and it serves.
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
