package artifacts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	debianSuite = "trixie"
	// Packages that the images contain beyond Debian's minimal system. The package of pgbench is the server's. Only
	// pgbench is taken from it.
	debianPackages = "pgbouncer,postgresql-client"
	pgbenchPackage = "postgresql-17"
	pgbenchFile    = "./usr/lib/postgresql/17/bin/pgbench"
)

// rootfs builds the Debian root file system that the images of PgBouncer and the example service share.
func (b *Builder) rootfs() step {
	return step{
		name:   "debian root file system",
		target: b.Rootfs,
		key: func(context.Context) (string, error) {
			return hash([]string{debianSuite, debianPackages, pgbenchPackage, "slim 2"})
		},
		make: func(ctx context.Context, to string) error {
			args := []string{"--variant=minbase", "--include=" + debianPackages, debianSuite, to}
			if mirror := b.debianMirror(ctx); mirror != "" {
				args = append(args, mirror)
			}
			// debootstrap mounts kernel file systems below its target. A later clean-up must not find them.
			if _, err := b.outputApart(ctx, b.project, []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin"},
				"debootstrap", args...); err != nil {
				return errors.Join(err, os.RemoveAll(to))
			}
			script := fmt.Sprintf("cd /tmp && apt-get update -qq && apt-get download -qq %[1]s && "+
				"dpkg-deb --fsys-tarfile %[1]s_*.deb | tar -x -C / %[2]s && rm -f *.deb", pgbenchPackage, pgbenchFile)
			if _, err := b.outputApart(ctx, b.project, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, "chroot", to,
				"sh", "-ec", script); err != nil {
				return err
			}
			return slim(to)
		},
	}
}

// debianMirror returns the mirror from which this machine installs Debian packages, or "" to use debootstrap's default.
func (b *Builder) debianMirror(ctx context.Context) string {
	out, err := b.output(ctx, b.project, "apt-get", "indextargets", "--format",
		"$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(SITE)", "Created-By: Packages")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) == 4 && f[0] == "Debian" && f[2] == "main" && !strings.Contains(f[1], "-") {
			return f[3]
		}
	}
	return ""
}

// slim removes what containers never use. Debian's psql and pgbench are Perl wrappers that choose between server
// versions. There is only one version, so the programs replace the wrappers, and Perl is removed.
func slim(root string) error {
	bin := filepath.Join(root, "usr", "lib", "postgresql", "17", "bin")
	programs, err := os.ReadDir(bin)
	if err != nil {
		return err
	}
	var faults []error
	for _, p := range programs {
		link := filepath.Join(root, "usr", "bin", p.Name())
		faults = append(faults, os.RemoveAll(link), os.Symlink("/usr/lib/postgresql/17/bin/"+p.Name(), link))
	}
	for _, drop := range []string{
		"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/perl", "usr/share/perl5",
		"usr/share/bash-completion",
		"usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/perl-base", "usr/lib/x86_64-linux-gnu/gconv",
		"usr/lib/postgresql/17/lib",
		"var/cache", "var/lib/apt", "var/lib/dpkg/info", "var/log", "boot", "home", "media", "mnt", "opt", "srv", "dev",
		"etc/resolv.conf", "etc/hostname",
	} {
		faults = append(faults, os.RemoveAll(filepath.Join(root, drop)))
	}
	perl, err := filepath.Glob(filepath.Join(root, "usr", "lib", "x86_64-linux-gnu", "libperl.so*"))
	faults = append(faults, err)
	for _, p := range perl {
		faults = append(faults, os.Remove(p))
	}
	for _, keep := range []string{"var/log", "var/cache", "dev"} {
		faults = append(faults, os.MkdirAll(filepath.Join(root, keep), 0o755))
	}
	faults = append(faults, neutral(root))
	return errors.Join(faults...)
}

// neutral removes what differs between two builds with the same packages: a key and certificate that a package
// generates for this machine's name (no image may rely on them), backup copies of changed files, and dates.
func neutral(root string) error {
	etc := filepath.Join(root, "etc")
	faults := []error{os.RemoveAll(filepath.Join(etc, "ssl", "private"))}
	certificates := filepath.Join(etc, "ssl", "certs")
	entries, err := os.ReadDir(certificates)
	faults = append(faults, err)
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(certificates, e.Name()))
		if e.Name() == snakeOil || err == nil && filepath.Base(target) == snakeOil {
			faults = append(faults, os.Remove(filepath.Join(certificates, e.Name())))
		}
	}
	copies, err := filepath.Glob(filepath.Join(etc, "*-"))
	faults = append(faults, err)
	for _, c := range copies {
		faults = append(faults, os.Remove(c))
	}
	shadow := filepath.Join(etc, "shadow")
	text, err := os.ReadFile(shadow)
	if err != nil {
		return errors.Join(append(faults, err)...)
	}
	// The third field is the day of the last password change.
	text = shadowDay.ReplaceAll(text, []byte("${1}1:"))
	return errors.Join(append(faults, os.WriteFile(shadow, text, 0o640))...)
}

const snakeOil = "ssl-cert-snakeoil.pem"

var shadowDay = regexp.MustCompile(`(?m)^([^:]*:[^:]*:)\d+:`)
