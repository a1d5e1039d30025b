package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Default ports on the host's 127.0.0.1.
const (
	DefaultAPIPort = 16443
	DefaultAWSPort = 14566
)

// Project is one project's folder and the names that derive from it.
type Project struct {
	// Dir is the absolute path of the project.
	Dir string
}

// FindProject takes the named folder, or the nearest folder upwards from here that has a Pulumi.yaml.
func FindProject(dir string) (Project, error) {
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return Project{}, fmt.Errorf("--dir %s: %w", dir, err)
		}
		if info, err := os.Stat(abs); err != nil || !info.IsDir() {
			return Project{}, fmt.Errorf("--dir %s: no such folder", dir)
		}
		return resolve(abs)
	}
	here, err := os.Getwd()
	if err != nil {
		return Project{}, fmt.Errorf("where am I: %w", err)
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "Pulumi.yaml")); err == nil {
			return resolve(dir)
		}
		if dir == filepath.Dir(dir) {
			return Project{},
				fmt.Errorf("no Pulumi.yaml in %s or above it: run this in the project's folder or name it with --dir",
					here)
		}
	}
}

// resolve makes one name of all that lead to a folder: the run directory's name is made from it.
func resolve(dir string) (Project, error) {
	target, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Project{}, fmt.Errorf("folder %s: %w", dir, err)
	}
	return Project{Dir: target}, nil
}

// State is the folder of everything with a life.
func (p Project) State(elem ...string) string {
	return filepath.Join(append([]string{p.Dir, ".localcloud", "state"}, elem...)...)
}

// Kubeconfig is the administrator's kubeconfig, which works on the host and inside.
func (p Project) Kubeconfig() string { return p.State("kubeconfig") }

// Hash tells this project's local cloud from others on the machine.
func (p Project) Hash() string {
	sum := sha256.Sum256([]byte(p.Dir))
	return hex.EncodeToString(sum[:4])
}

// RunDir holds the sockets.
func (p Project) RunDir(elem ...string) string {
	return filepath.Join(append([]string{"/run/localcloud-" + p.Hash()}, elem...)...)
}

// CgroupRoot is the cgroup below which all pods run, as a path from the root of each hierarchy.
func (p Project) CgroupRoot() string { return "/localcloud-" + p.Hash() }

// Cloud is state/cloud.json: where the running local cloud is. It is written before the cloud starts to work, and it is
// true only while the process is alive and answers on its control socket, see [Project.Find].
type Cloud struct {
	Version int `json:"version"`
	// PID is PID 1 of the namespaces as the host sees it, StartTime its start in clock ticks since boot
	// (/proc/PID/stat), which tells it from a later process of the same number.
	PID         int    `json:"pid"`
	StartTime   uint64 `json:"startTime"`
	APIPort     int    `json:"apiPort"`
	AWSPort     int    `json:"awsPort"`
	RunDir      string `json:"runDir"`
	AWSEndpoint string `json:"awsEndpoint"`
	Kubeconfig  string `json:"kubeconfig"`
}

func (p Project) cloudFile() string { return p.State("cloud.json") }

func (p Project) writeCloud(c Cloud) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("writing cloud.json: %w", err)
	}
	return replaceFile(p.cloudFile(), append(text, '\n'), 0o600)
}

// readCloud returns nil where there is no cloud.json.
func (p Project) readCloud() (*Cloud, error) {
	text, err := os.ReadFile(p.cloudFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // No file is the normal answer while nothing runs.
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, errors.New("the local cloud belongs to root: run it again as root, for example with sudo")
	}
	if err != nil {
		return nil, fmt.Errorf("reading cloud.json: %w", err)
	}
	var c Cloud
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): remove it", p.cloudFile(), err)
	}
	return &c, nil
}

// replaceFile writes a file whole: a reader sees the old content or the new.
func replaceFile(path string, content []byte, mode fs.FileMode) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, mode); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	if err := os.Chmod(next, mode); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	return nil
}

// Phases of a local cloud.
const (
	PhaseStarting = "starting"
	PhaseReady    = "ready"
	PhaseStopping = "stopping"
)

// Status is what the control socket answers on GET /status.
type Status struct {
	Phase string `json:"phase"`
	// Since is when the supervisor started.
	Since      time.Time         `json:"since"`
	Steps      []Step            `json:"steps"`
	Components []ComponentStatus `json:"components"`
	// Problem is the error that ends a start or the whole.
	Problem string `json:"problem,omitempty"`
}

// Step is one part of a start, with the seconds since the supervisor started at which it began and ended.
type Step struct {
	Name  string  `json:"name"`
	Began float64 `json:"began"`
	Ended float64 `json:"ended,omitempty"`
	Done  bool    `json:"done"`
	// Note is what is worth knowing of it although it is no error.
	Note string `json:"note,omitempty"`
}

// ComponentStatus is the state of one process that the supervisor keeps running.
type ComponentStatus struct {
	Name string `json:"name"`
	// PID is its number inside the namespaces, 0 while it does not run.
	PID      int       `json:"pid"`
	Restarts int       `json:"restarts"`
	Since    time.Time `json:"since"`
	// Last is how it ended the last time.
	Last string `json:"last,omitempty"`
}

// Components names everything that `localcloud logs` can show, in the order in which it starts.
func Components() []string {
	return []string{
		"cloud", "etcd", "kube-apiserver", "containerd", "kube-controller-manager", "kube-scheduler", "kubelet",
		"kube-proxy",
	}
}

func (p Project) logFile(component string) string { return p.State("logs", component+".log") }

// UnknownComponentError names what there is instead.
type UnknownComponentError struct{ Name string }

func (e *UnknownComponentError) Error() string {
	return fmt.Sprintf("no component %q: name one of %s", e.Name, strings.Join(Components(), ", "))
}

// StartOptions are the host's ports that lead into the local cloud.
type StartOptions struct {
	APIPort int
	AWSPort int
}

// reservedPorts are taken inside the namespaces, where the API server listens on the same port as on the host so that
// one kubeconfig serves both sides.
var reservedPorts = map[int]string{
	etcdClientPort: "etcd", etcdPeerPort: "etcd", awsInsidePort: "the AWS stand-in",
	10250: "the kubelet", 10248: "the kubelet", 10249: "kube-proxy", 10256: "kube-proxy",
	10257: "kube-controller-manager", 10259: "kube-scheduler", 5432: "the databases",
}

const (
	etcdClientPort = 2379
	etcdPeerPort   = 2380
	awsInsidePort  = 4566
)

// Validate names every fault of the ports at once.
func (o StartOptions) Validate() error {
	var faults []error
	for _, port := range []struct {
		flag  string
		value int
	}{{"--api-port", o.APIPort}, {"--aws-port", o.AWSPort}} {
		if port.value < 1 || port.value > 65535 {
			faults = append(faults, fmt.Errorf("%s %d: not a port: give a number from 1 to 65535", port.flag,
				port.value))
		}
	}
	if user := reservedPorts[o.APIPort]; user != "" {
		faults = append(faults, fmt.Errorf("--api-port %d: %s uses this port inside the local cloud: choose another",
			o.APIPort, user))
	}
	if o.APIPort == o.AWSPort {
		faults = append(faults, fmt.Errorf("--aws-port %d: the same as --api-port: choose another", o.AWSPort))
	}
	return errors.Join(faults...)
}
