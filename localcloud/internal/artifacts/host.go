package artifacts

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// hostPrograms are the Debian packages that the node needs, with the program or file that shows that each is installed.
// A host that has containerd or runc from another source, such as Docker's packages, keeps it.
var hostPrograms = []struct{ pkg, program, file string }{
	{pkg: "containerd", program: "containerd"},
	{pkg: "containerd", program: "ctr"},
	{pkg: "runc", program: "runc"},
	{pkg: "containernetworking-plugins", program: "ptp", file: "/usr/lib/cni/ptp"},
	{pkg: "containernetworking-plugins", program: "host-local", file: "/usr/lib/cni/host-local"},
	{pkg: "nftables", program: "nft"},
	{pkg: "iproute2", program: "ip"},
	{pkg: "debian-archive-keyring", file: "/usr/share/keyrings/debian-archive-keyring.gpg"},
}

// required lists programs that the build does not install, because there are too many ways to install them.
var required = map[string]string{
	"go":      "Go 1.26 or newer (builds Kubernetes, the operator and other programs from source)",
	"npm":     "npm (downloads PostgreSQL)",
	"apt-get": "apt-get (installs the system packages, so Debian or Ubuntu is required)",
	"tar":     "tar",
}

// EnsureHost installs missing system packages that the local cloud needs. It returns an error that lists the programs
// it cannot install.
func (b *Builder) EnsureHost(ctx context.Context) error {
	var absent []string
	for program, why := range required {
		if _, err := exec.LookPath(program); err != nil {
			absent = append(absent, why)
		}
	}
	if len(absent) > 0 {
		return fmt.Errorf(
			"the local cloud needs programs that are not on PATH: %s; install them and run the same command again",
			strings.Join(absent, "; "),
		)
	}
	var packages []string
	seen := map[string]bool{}
	for _, p := range hostPrograms {
		if !seen[p.pkg] && !present(p.program, p.file) {
			seen[p.pkg] = true
			packages = append(packages, p.pkg)
		}
	}
	if len(packages) == 0 {
		return nil
	}
	fmt.Fprintf(b.out, "  installing %s\n", strings.Join(packages, ", "))
	env := []string{"DEBIAN_FRONTEND=noninteractive"}
	install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	if _, err := b.outputEnv(ctx, b.project, env, "apt-get", install...); err == nil {
		return nil
	}
	// A new machine has no package lists yet.
	if _, err := b.outputEnv(ctx, b.project, env, "apt-get", "update"); err != nil {
		return fmt.Errorf("refreshing the package lists: %w", err)
	}
	if _, err := b.outputEnv(ctx, b.project, env, "apt-get", install...); err != nil {
		return fmt.Errorf("installing %s: %w", strings.Join(packages, ", "), err)
	}
	return nil
}

func present(program, file string) bool {
	if file != "" {
		_, err := os.Stat(file)
		return err == nil
	}
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	// System programs can be outside a user's PATH.
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err == nil {
			return true
		}
	}
	return false
}
