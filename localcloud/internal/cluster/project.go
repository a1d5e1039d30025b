package cluster

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"dbtier/localcloud/internal/safefile"
)

// Default ports on the host's 127.0.0.1.
const (
	DefaultAPIPort = 16443
	DefaultAWSPort = 14566
)

// The durations of operations on databases: as fast as possible, or as on AWS.
const (
	LatencyOff = "off"
	LatencyAWS = "aws"
)

// Project is the folder of a project. Names of its local cloud derive from the path.
type Project struct {
	// Dir is the absolute path of the project.
	Dir string
}

// FindProject returns the project in dir. If dir is empty, it returns the nearest parent of the working directory with
// a Pulumi.yaml.
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
		return Project{}, fmt.Errorf("finding the working directory: %w", err)
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "Pulumi.yaml")); err == nil {
			return resolve(dir)
		}
		if dir == filepath.Dir(dir) {
			return Project{},
				fmt.Errorf("no Pulumi.yaml in %s or above it: run this in the project folder or set --dir",
					here)
		}
	}
}

// resolve follows symbolic links, because the name of the run directory is computed from the path.
func resolve(dir string) (Project, error) {
	target, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return Project{}, fmt.Errorf("folder %s: %w", dir, err)
	}
	return Project{Dir: target}, nil
}

// State returns a path in the folder of everything that the running cloud changes.
func (p Project) State(elem ...string) string {
	return filepath.Join(append([]string{p.Dir, ".localcloud", "state"}, elem...)...)
}

// Kubeconfig returns the path of the administrator's kubeconfig. It works on the host and inside the namespaces.
func (p Project) Kubeconfig() string { return p.State("kubeconfig") }

// Hash identifies this project's local cloud among others on the machine.
func (p Project) Hash() string {
	sum := sha256.Sum256([]byte(p.Dir))
	return hex.EncodeToString(sum[:4])
}

// RunDir returns a path in the folder of the sockets.
func (p Project) RunDir(elem ...string) string {
	return filepath.Join(append([]string{"/run/localcloud-" + p.Hash()}, elem...)...)
}

// CgroupRoot returns the cgroup below which all pods run, as a path from the root of each hierarchy.
func (p Project) CgroupRoot() string { return "/localcloud-" + p.Hash() }

// Cloud is the content of state/cloud.json: the address and process of the running local cloud. It is written before
// the cloud starts. It is valid only while the process lives and answers on its control socket, see [Project.Find].
type Cloud struct {
	Version int `json:"version"`
	// PID is the process ID of the namespaces' PID 1 on the host. StartTime is its start in clock ticks since boot
	// (/proc/PID/stat), which distinguishes it from a later process with the same ID.
	PID         int    `json:"pid"`
	StartTime   uint64 `json:"startTime"`
	APIPort     int    `json:"apiPort"`
	AWSPort     int    `json:"awsPort"`
	Latency     string `json:"latency,omitempty"`
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
	return safefile.Replace(p.cloudFile(), append(text, '\n'), 0o600)
}

// readCloud returns nil if there is no cloud.json.
func (p Project) readCloud() (*Cloud, error) {
	text, err := os.ReadFile(p.cloudFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // No file is normal while no cloud is running.
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

// Phases of a local cloud.
const (
	PhaseStarting = "starting"
	PhaseReady    = "ready"
	PhaseStopping = "stopping"
)

// Status is the response of the control socket to GET /status.
type Status struct {
	Phase string `json:"phase"`
	// Since is the time at which the supervisor started.
	Since      time.Time         `json:"since"`
	Steps      []Step            `json:"steps"`
	Components []ComponentStatus `json:"components"`
	// Faults are those that were caused and are in force.
	Faults []Fault `json:"faults"`
	// Problem is the error that ended the start or the cloud.
	Problem string `json:"problem,omitempty"`
}

// Step is one part of a start. Began and Ended are seconds since the supervisor started.
type Step struct {
	Name  string  `json:"name"`
	Began float64 `json:"began"`
	Ended float64 `json:"ended,omitempty"`
	Done  bool    `json:"done"`
	// Note is a message about the step that is not an error.
	Note string `json:"note,omitempty"`
}

// ComponentStatus is the state of one process that the supervisor keeps running.
type ComponentStatus struct {
	Name string `json:"name"`
	// PID is the process ID inside the namespaces, 0 while the component is not running.
	PID int `json:"pid"`
	// Frozen is true while a fault suspends the process.
	Frozen   bool      `json:"frozen,omitempty"`
	Restarts int       `json:"restarts"`
	Since    time.Time `json:"since"`
	// Last is how the component's process last ended.
	Last string `json:"last,omitempty"`
}

// Components lists everything that `localcloud logs` can show, in start order.
func Components() []string {
	return []string{
		"cloud", "etcd", "kube-apiserver", "containerd", "kube-controller-manager", "kube-scheduler", "kubelet",
		"kube-proxy",
	}
}

func (p Project) logFile(component string) string { return p.State("logs", component+".log") }

// UnknownComponentError is returned for a component that does not exist. It lists the valid names.
type UnknownComponentError struct{ Name string }

func (e *UnknownComponentError) Error() string {
	return fmt.Sprintf("unknown component %q: use one of %s", e.Name, strings.Join(Components(), ", "))
}

// StartOptions are the ports on the host that lead into the local cloud, and how long operations on databases take.
type StartOptions struct {
	APIPort int
	AWSPort int
	// Latency is LatencyOff, LatencyAWS, or empty for that of a running cloud, else LatencyOff.
	Latency string
}

// args are the arguments of localcloud with which its processes get the options.
func (o StartOptions) args() []string {
	return []string{
		"--api-port", strconv.Itoa(o.APIPort), "--aws-port", strconv.Itoa(o.AWSPort),
		"--latency", cmp.Or(o.Latency, LatencyOff),
	}
}

// reservedPorts are in use inside the namespaces. The API server listens on the same port there as on the host, so that
// one kubeconfig works on both sides.
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

// Validate returns all faults of the options together.
func (o StartOptions) Validate() error {
	var faults []error
	for _, port := range []struct {
		flag  string
		value int
	}{{"--api-port", o.APIPort}, {"--aws-port", o.AWSPort}} {
		if port.value < 1 || port.value > 65535 {
			faults = append(faults, fmt.Errorf("%s %d: is not a port: use a number from 1 to 65535", port.flag,
				port.value))
		}
	}
	if user := reservedPorts[o.APIPort]; user != "" {
		faults = append(faults, fmt.Errorf("--api-port %d: %s uses this port inside the local cloud: choose another",
			o.APIPort, user))
	}
	if o.APIPort == o.AWSPort {
		faults = append(faults, fmt.Errorf("--aws-port %d: is the same port as --api-port: choose another", o.AWSPort))
	}
	if latency := cmp.Or(o.Latency, LatencyOff); latency != LatencyOff && latency != LatencyAWS {
		faults = append(faults, fmt.Errorf("--latency %s: want %s or %s", o.Latency, LatencyOff, LatencyAWS))
	}
	return errors.Join(faults...)
}
