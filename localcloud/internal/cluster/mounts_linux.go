package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kernelSettings are sysctls that the kubelet requires. They apply to the whole machine, so the kubelet sees
// bind-mounted files with these values and the host's settings stay unchanged.
var kernelSettings = map[string]string{
	"vm.overcommit_memory":      "1",
	"vm.panic_on_oom":           "0",
	"kernel.panic":              "10",
	"kernel.panic_on_oops":      "1",
	"kernel.keys.root_maxkeys":  "1000000",
	"kernel.keys.root_maxbytes": "25000000",
}

// bind is a folder of the project that is bind-mounted elsewhere.
type bind struct{ from, to string }

// setupMounts sets up the mount namespace. Programs with fixed paths such as /run/containerd and /var/lib/kubelet find
// folders of the project's state there. The host's folders of those names stay unchanged.
func setupMounts(p Project, postgresDir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("detaching the mounts from those of the host: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	// PostgreSQL's shared memory segments disappear with the namespace, even after kill -9.
	if err := unix.Mount("shm", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC,
		"mode=1777"); err != nil {
		return fmt.Errorf("mounting /dev/shm: %w", err)
	}
	shadowed := []string{"/run", "/var/lib", "/var/log"}
	if target, err := filepath.EvalSymlinks("/var/run"); err == nil && target == "/var/run" {
		shadowed = append(shadowed, "/var/run")
	}
	for _, dir := range shadowed {
		if err := shadow(dir, p.RunDir(), p.Dir); err != nil {
			return err
		}
	}
	binds := []bind{
		{p.State("containerd"), "/var/lib/containerd"},
		{p.State("kubelet"), "/var/lib/kubelet"},
		{p.State("pod-logs"), "/var/log/pods"},
		{p.State("postgres"), p.RunDir("postgres")},
		{postgresDir, p.RunDir("pgsql")},
	}
	for _, b := range binds {
		if err := os.MkdirAll(b.to, 0o755); err != nil {
			return fmt.Errorf("creating %s: %w", b.to, err)
		}
		if err := unix.Mount(b.from, b.to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mounting %s at %s: %w", b.from, b.to, err)
		}
	}
	if err := os.MkdirAll("/var/log/containers", 0o755); err != nil {
		return fmt.Errorf("creating /var/log/containers: %w", err)
	}
	if err := maskKernelSettings("/run/kernel-settings"); err != nil {
		return err
	}
	// Volumes with mount propagation need shared mounts. They are shared only inside the namespace.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing the mounts inside: %w", err)
	}
	return nil
}

// shadow hides a folder of the host behind an empty folder in memory. The kept folders below it stay visible.
func shadow(dir string, keep ...string) error {
	type kept struct {
		path string
		fd   int
	}
	var open []kept
	defer func() {
		for _, k := range open {
			_ = unix.Close(k.fd)
		}
	}()
	for _, path := range keep {
		if !strings.HasPrefix(path, dir+"/") {
			continue
		}
		fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening %s: %w", path, err)
		}
		open = append(open, kept{path, fd})
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mounting an empty folder over %s: %w", dir, err)
	}
	for _, k := range open {
		if err := os.MkdirAll(k.path, 0o755); err != nil {
			return fmt.Errorf("creating %s: %w", k.path, err)
		}
		if err := unix.Mount("/proc/self/fd/"+strconv.Itoa(k.fd), k.path, "", unix.MS_BIND|unix.MS_REC,
			""); err != nil {
			return fmt.Errorf("keeping %s: %w", k.path, err)
		}
	}
	return nil
}

func maskKernelSettings(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("creating %s: %w", dir, err)
	}
	for name, want := range kernelSettings {
		path := sysctlPath(name)
		is, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if strings.TrimSpace(string(is)) == want {
			continue
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(want+"\n"), 0o644); err != nil {
			return fmt.Errorf("masking %s: %w", name, err)
		}
		if err := unix.Mount(file, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("masking %s: %w", name, err)
		}
	}
	return nil
}

// overlayWorks reports whether the folder's file system can carry the layers of an overlay, by mounting one.
func overlayWorks(dir string) bool {
	scratch, err := os.MkdirTemp(dir, "overlay-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(scratch)
	for _, sub := range []string{"lower", "upper", "work", "merged"} {
		if os.Mkdir(filepath.Join(scratch, sub), 0o700) != nil {
			return false
		}
	}
	merged := filepath.Join(scratch, "merged")
	options := fmt.Sprintf("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", scratch, scratch, scratch)
	if unix.Mount("overlay", merged, "overlay", 0, options) != nil {
		return false
	}
	return unix.Unmount(merged, unix.MNT_DETACH) == nil
}
