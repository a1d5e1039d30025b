package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/BurntSushi/toml"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"dbtier/localcloud/internal/artifacts"
	"dbtier/localcloud/internal/pki"
	"dbtier/localcloud/internal/safefile"
)

const (
	// NodeName is the name of the cluster's only node.
	NodeName = "local"
	// OIDCIssuer is the issuer of service account tokens. The AWS stand-in trusts it as an IAM OIDC provider.
	OIDCIssuer = "https://oidc.localcloud.internal/id/local"

	clusterDomain = "cluster.local"
	frontProxy    = "front-proxy-client"
	pauseImage    = artifacts.Registry + "/pause:1"
	dnsImage      = artifacts.Registry + "/coredns:1.12.4"
)

// clients lists the clients of the API server: the file names of their certificates, and their users and groups.
var clients = []pki.Leaf{
	{Name: "admin", CommonName: "localcloud-admin", Groups: []string{"system:masters"}},
	{Name: "apiserver-kubelet-client", CommonName: "kube-apiserver-kubelet-client", Groups: []string{"system:masters"}},
	{Name: "controller-manager", CommonName: "system:kube-controller-manager"},
	{Name: "scheduler", CommonName: "system:kube-scheduler"},
	{Name: "proxy", CommonName: "system:kube-proxy"},
	{Name: "kubelet", CommonName: "system:node:" + NodeName, Groups: []string{"system:nodes"}},
}

// files writes the configuration of the components and builds their command lines.
type files struct {
	project Project
	options StartOptions
	layout  artifacts.Layout
	ca      *pki.Authority
	// front signs the API server's certificate for extension API servers. It is a separate authority so that they do
	// not accept a user's certificate instead.
	front *pki.Authority
	// Programs of the host. The CNI plugins are in cniDir.
	containerd, ctr, runc, cniDir string
}

// locate finds the programs that the host must provide.
func (f *files) locate() error {
	var missing []error
	for name, to := range map[string]*string{"containerd": &f.containerd, "ctr": &f.ctr, "runc": &f.runc} {
		path, err := lookProgram(name)
		*to = path
		missing = append(missing, err)
	}
	if _, err := lookProgram("nft"); err != nil {
		missing = append(missing, err)
	}
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"} {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			f.cniDir = dir
			break
		}
	}
	if f.cniDir == "" {
		missing = append(missing, errors.New("the CNI plugin ptp is not installed"))
	}
	if err := errors.Join(missing...); err != nil {
		return fmt.Errorf("%w; run `localcloud build`, which installs what is missing", err)
	}
	return nil
}

// lookProgram also searches the folders of system programs, which can be missing from a user's PATH.
func lookProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("the program %s is not installed", name)
}

// write writes all keys, certificates, kubeconfigs and configuration files.
func (f *files) write() error {
	ca, err := pki.Load(f.project.State("pki"))
	if err != nil {
		return err
	}
	f.ca = ca
	servers := []pki.Leaf{
		{
			Name: "apiserver", CommonName: "kube-apiserver",
			DNSNames: []string{
				"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc." + clusterDomain,
			},
			Addresses: []net.IP{net.IPv4(127, 0, 0, 1), nodeAddress.AsSlice(), apiAddress.AsSlice()},
		},
		{
			Name: "kubelet-server", CommonName: NodeName, DNSNames: []string{NodeName},
			Addresses: []net.IP{nodeAddress.AsSlice()},
		},
	}
	for _, leaf := range append(servers, clients...) {
		if err := ca.Ensure(leaf); err != nil {
			return err
		}
	}
	if err := ca.EnsureSigningKey(); err != nil {
		return err
	}
	if f.front, err = pki.Load(f.project.State("pki", "front-proxy")); err != nil {
		return err
	}
	if err := f.front.Ensure(pki.Leaf{Name: frontProxy, CommonName: frontProxy}); err != nil {
		return err
	}
	for _, name := range []string{"admin", "controller-manager", "scheduler", "proxy", "kubelet"} {
		if err := f.writeKubeconfig(name); err != nil {
			return err
		}
	}
	return errors.Join(f.writeContainerd(), f.writeNetwork(), f.writeKubelet(), f.writeProxy())
}

func (f *files) server() string { return "https://127.0.0.1:" + strconv.Itoa(f.options.APIPort) }

func (f *files) kubeconfig(name string) string {
	if name == "admin" {
		return f.project.Kubeconfig()
	}
	return f.ca.Path(name + ".kubeconfig")
}

// writeKubeconfig embeds keys and certificates in the file, so that the file can be copied.
func (f *files) writeKubeconfig(name string) error {
	cert, err := os.ReadFile(f.ca.Path(name + ".crt"))
	if err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", name, err)
	}
	key, err := os.ReadFile(f.ca.Path(name + ".key"))
	if err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", name, err)
	}
	const local = "localcloud"
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			local: {Server: f.server(), CertificateAuthorityData: f.ca.PEM()},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {ClientCertificateData: cert, ClientKeyData: key}},
		Contexts:       map[string]*clientcmdapi.Context{local: {Cluster: local, AuthInfo: name}},
		CurrentContext: local,
	})
	if err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", name, err)
	}
	return safefile.Replace(f.kubeconfig(name), text, 0o600)
}

// inside returns a path on the tmpfs that hides the host's /run. Files there disappear with the namespaces.
func inside(elem ...string) string {
	return filepath.Join(append([]string{"/run/localcloud"}, elem...)...)
}

func writeInside(content []byte, elem ...string) error {
	path := inside(elem...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("creating the folder of %s: %w", path, err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// writeInsideJSON also works for programs that read YAML, because JSON is valid YAML.
func writeInsideJSON(content any, elem ...string) error {
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(elem...), err)
	}
	return writeInside(text, elem...)
}

func (p Project) containerdSocket() string { return p.RunDir("containerd.sock") }

type object = map[string]any

func (f *files) writeContainerd() error {
	config := object{
		"version": 2,
		"root":    "/var/lib/containerd",
		"state":   "/run/containerd",
		"grpc":    object{"address": f.project.containerdSocket()},
		// These plugins look for special file systems at every start, or use a folder of the host.
		"disabled_plugins": []string{
			"io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
			"io.containerd.snapshotter.v1.devmapper",
			"io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing",
		},
		"plugins": object{
			"io.containerd.grpc.v1.cri": object{
				"sandbox_image": pauseImage,
				// Without CAP_SYS_RESOURCE a process cannot lower its OOM score.
				"restrict_oom_score_adj":              true,
				"netns_mounts_under_state_dir":        true,
				"enable_unprivileged_ports":           true,
				"max_container_log_line_size":         262144,
				"stats_collect_period":                10,
				"ignore_image_defined_volumes":        false,
				"tolerate_missing_hugetlb_controller": true,
				"containerd": object{
					"snapshotter":          f.snapshotter(),
					"default_runtime_name": "runc",
					"runtimes": object{"runc": object{
						"runtime_type": "io.containerd.runc.v2",
						"options":      object{"BinaryName": f.runc},
					}},
				},
				"cni": object{"bin_dir": f.cniDir, "conf_dir": inside("cni")},
			},
		},
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(config); err != nil {
		return fmt.Errorf("writing containerd's configuration: %w", err)
	}
	return writeInside(text.Bytes(), "containerd.toml")
}

// writeNetwork configures the CNI plugin ptp, which connects each pod to the node by a veth pair and routes. A bridge
// would need br_netfilter for Services, and the rules that enforce NetworkPolicies would not see traffic between pods.
func (f *files) writeNetwork() error {
	return writeInsideJSON(object{
		"cniVersion": "0.4.0",
		"name":       "localcloud",
		"plugins": []object{{
			"type":   "ptp",
			"ipMasq": false,
			"ipam": object{
				"type":    "host-local",
				"dataDir": inside("leases"),
				"ranges":  [][]object{{{"subnet": podPrefix.String()}}},
				"routes":  []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	}, "cni", "10-localcloud.conflist")
}

func (f *files) writeKubelet() error {
	return writeInsideJSON(object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": f.ca.Path("ca.crt")},
		},
		"authorization":            object{"mode": "Webhook"},
		"tlsCertFile":              f.ca.Path("kubelet-server.crt"),
		"tlsPrivateKeyFile":        f.ca.Path("kubelet-server.key"),
		"address":                  nodeAddress.String(),
		"healthzBindAddress":       "127.0.0.1",
		"containerRuntimeEndpoint": "unix://" + f.project.containerdSocket(),
		"cgroupDriver":             "cgroupfs",
		"cgroupRoot":               f.project.CgroupRoot(),
		"cgroupsPerQOS":            true,
		"enforceNodeAllocatable":   []string{},
		"failCgroupV1":             false,
		"failSwapOn":               false,
		"clusterDomain":            clusterDomain,
		"clusterDNS":               []string{dnsAddress.String()},
		"resolvConf":               "/dev/null",
		// Everything on the host shares its disk and memory, so pods are evicted only when the machine itself is at
		// risk. Images are never collected, because no registry can provide them again.
		"evictionHard": object{
			"memory.available": "50Mi", "nodefs.available": "0%",
			"imagefs.available": "0%",
		},
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
		"serializeImagePulls":         false,
		"makeIPTablesUtilChains":      false,
		"maxPods":                     250,
		"kubeAPIQPS":                  100,
		"kubeAPIBurst":                200,
		"eventRecordQPS":              100,
		"eventBurst":                  200,
		// A changed Secret reaches a mounted volume within this period. The kubelet's default is one minute.
		"syncFrequency":   "10s",
		"volumePluginDir": inside("volume-plugins"),
		"staticPodPath":   "",
		"podLogsDir":      "/var/log/pods",
	}, "kubelet.json")
}

func (f *files) writeProxy() error {
	return writeInsideJSON(object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"clientConnection":   object{"kubeconfig": f.kubeconfig("proxy")},
		"mode":               "nftables",
		"clusterCIDR":        podPrefix.String(),
		"hostnameOverride":   NodeName,
		"bindAddress":        nodeAddress.String(),
		"healthzBindAddress": "127.0.0.1:10256",
		"metricsBindAddress": "127.0.0.1:10249",
		"nftables":           object{"syncPeriod": "30s", "minSyncPeriod": "100ms"},
		// The connection table belongs to the whole machine, so its limits stay unchanged.
		"conntrack": object{"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
	}, "proxy.json")
}

// snapshotter returns overlayfs unless the file system of the state cannot carry an overlay, for example because it is
// itself an overlay.
func (f *files) snapshotter() string {
	if overlayWorks("/var/lib/containerd") {
		return "overlayfs"
	}
	return "native"
}

// components returns all programs that the supervisor keeps running, by name.
func (f *files) components() map[string]*component {
	kubernetes := filepath.Join(f.layout.Bin, "kubernetes")
	etcdURL := "http://127.0.0.1:" + strconv.Itoa(etcdClientPort)
	peerURL := "http://127.0.0.1:" + strconv.Itoa(etcdPeerPort)
	// All programs log only warnings and errors. More would fill the disk.
	commands := map[string]*component{
		"etcd": {grace: 3 * time.Second, command: []string{
			filepath.Join(f.layout.Bin, "etcd"),
			"--name=" + NodeName,
			"--data-dir=" + f.project.State("etcd"),
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL,
			"--initial-cluster=" + NodeName + "=" + peerURL,
			// A power failure can corrupt the data, but the local cluster is recreated in a minute.
			"--unsafe-no-fsync",
			"--auto-compaction-mode=periodic", "--auto-compaction-retention=1h",
			"--log-level=warn",
		}},
		"kube-apiserver": {grace: 1 * time.Second, command: []string{
			kubernetes, "kube-apiserver",
			"--etcd-servers=" + etcdURL,
			"--secure-port=" + strconv.Itoa(f.options.APIPort),
			"--bind-address=0.0.0.0",
			"--advertise-address=" + nodeAddress.String(),
			"--tls-cert-file=" + f.ca.Path("apiserver.crt"), "--tls-private-key-file=" + f.ca.Path("apiserver.key"),
			"--client-ca-file=" + f.ca.Path("ca.crt"),
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--service-account-issuer=" + OIDCIssuer,
			"--service-account-key-file=" + f.ca.Path("sa.pub"),
			"--service-account-signing-key-file=" + f.ca.Path("sa.key"),
			"--service-cluster-ip-range=" + servicePrefix.String(),
			"--allow-privileged=true",
			"--kubelet-certificate-authority=" + f.ca.Path("ca.crt"),
			"--kubelet-client-certificate=" + f.ca.Path("apiserver-kubelet-client.crt"),
			"--kubelet-client-key=" + f.ca.Path("apiserver-kubelet-client.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file=" + f.front.Path("ca.crt"),
			"--requestheader-allowed-names=" + frontProxy,
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + f.front.Path(frontProxy+".crt"),
			"--proxy-client-key-file=" + f.front.Path(frontProxy+".key"),
			"--profiling=false",
		}},
		"containerd": {grace: 2 * time.Second, command: []string{
			f.containerd, "--config", inside("containerd.toml"), "--log-level", "warn",
		}},
		"kube-controller-manager": {grace: 2 * time.Second, command: []string{
			kubernetes, "kube-controller-manager",
			"--kubeconfig=" + f.kubeconfig("controller-manager"),
			"--authentication-kubeconfig=" + f.kubeconfig("controller-manager"),
			"--authorization-kubeconfig=" + f.kubeconfig("controller-manager"),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
			"--use-service-account-credentials=true",
			"--service-account-private-key-file=" + f.ca.Path("sa.key"),
			"--root-ca-file=" + f.ca.Path("ca.crt"),
			"--cluster-signing-cert-file=" + f.ca.Path("ca.crt"), "--cluster-signing-key-file=" + f.ca.Path("ca.key"),
			"--allocate-node-cidrs=true", "--cluster-cidr=" + podPrefix.String(),
			"--node-cidr-mask-size=" + strconv.Itoa(podPrefix.Bits()),
			"--service-cluster-ip-range=" + servicePrefix.String(),
			"--kube-api-qps=200", "--kube-api-burst=400",
			"--profiling=false",
		}},
		"kube-scheduler": {grace: 2 * time.Second, command: []string{
			kubernetes, "kube-scheduler",
			"--kubeconfig=" + f.kubeconfig("scheduler"),
			"--authentication-kubeconfig=" + f.kubeconfig("scheduler"),
			"--authorization-kubeconfig=" + f.kubeconfig("scheduler"),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
			"--kube-api-qps=200", "--kube-api-burst=400",
			"--profiling=false",
		}},
		"kubelet": {grace: 2 * time.Second, command: []string{
			kubernetes, "kubelet",
			"--config=" + inside("kubelet.json"),
			"--kubeconfig=" + f.kubeconfig("kubelet"),
			"--hostname-override=" + NodeName,
			"--node-ip=" + nodeAddress.String(),
			"--root-dir=/var/lib/kubelet",
		}},
		"kube-proxy": {grace: 2 * time.Second, command: []string{
			kubernetes, "kube-proxy", "--config=" + inside("proxy.json"),
		}},
	}
	for name, c := range commands {
		c.name = name
		c.log = f.project.logFile(name)
	}
	return commands
}
