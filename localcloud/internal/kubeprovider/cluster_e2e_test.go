//go:build e2e

package kubeprovider_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// apiServer is a real API server with etcd and the controllers, without nodes. Pods stay pending, and tests write their
// status like a kubelet.
type apiServer struct {
	kubeconfig string
	kube       kubernetes.Interface
}

var (
	once    sync.Once
	started *apiServer
	failed  error
	ending  []func()
)

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(ending) - 1; i >= 0; i-- {
		ending[i]()
	}
	os.Exit(code)
}

// cluster starts the API server once for all tests of the package.
func cluster(t *testing.T) *apiServer {
	t.Helper()
	once.Do(func() { started, failed = start() })
	require.NoError(t, failed)
	return started
}

// binary finds a third-party program that make up has built, or an older build in bin.
func binary(name string) (string, error) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		return "", err
	}
	for _, dir := range []string{filepath.Join(root, ".localcloud", "cache", "bin"), filepath.Join(root, "bin")} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no %s in .localcloud/cache/bin or bin: run bin/localcloud build", name)
}

func start() (*apiServer, error) {
	dir, err := os.MkdirTemp("", "kubeprovider-e2e-")
	if err != nil {
		return nil, err
	}
	ending = append(ending, func() { _ = os.RemoveAll(dir) })
	etcd, err := binary("etcd")
	if err != nil {
		return nil, err
	}
	kubernetesBinary, err := binary("kubernetes")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	if err := run(dir, etcd, "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "error",
		"--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL,
		"--listen-peer-urls", fmt.Sprintf("http://127.0.0.1:%d", ports[1])); err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	keyFile := filepath.Join(dir, "sa.key")
	encoded := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	tokens := filepath.Join(dir, "tokens.csv")
	if err := errors.Join(os.WriteFile(keyFile, encoded, 0o600),
		os.WriteFile(tokens, []byte("admin-token,admin,admin,system:masters\n"), 0o600)); err != nil {
		return nil, err
	}
	if err := run(dir, kubernetesBinary, "kube-apiserver", "--etcd-servers", etcdURL, "--bind-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(ports[2]), "--cert-dir", filepath.Join(dir, "pki"), "--service-cluster-ip-range",
		"198.19.0.0/24",
		"--service-account-issuer", "https://kubernetes.default", "--service-account-key-file", keyFile,
		"--service-account-signing-key-file", keyFile, "--token-auth-file", tokens, "--authorization-mode", "RBAC",
		"--disable-admission-plugins", "ServiceAccount"); err != nil {
		return nil, err
	}
	server := &apiServer{kubeconfig: filepath.Join(dir, "kubeconfig")}
	content := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://127.0.0.1:%d", insecure-skip-tls-verify: true}}]
users: [{name: admin, user: {token: admin-token}}]
contexts: [{name: test, context: {cluster: test, user: admin}}]
`, ports[2])
	if err := os.WriteFile(server.kubeconfig, []byte(content), 0o600); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", server.kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 200, 400
	if server.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true,
		func(ctx context.Context) (bool, error) {
			answer, err := server.kube.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
			return err == nil && string(answer) == "ok", nil
		}); err != nil {
		return nil, fmt.Errorf("the API server did not become ready: %w:\n%s", err, tail(dir, "kube-apiserver"))
	}
	return server, run(dir, kubernetesBinary, "kube-controller-manager", "--kubeconfig", server.kubeconfig,
		"--leader-elect=false",
		"--service-account-private-key-file", keyFile, "--secure-port", "0", "--use-service-account-credentials=false")
}

// run starts a program with its output in a file, and stops it when the tests end.
func run(dir, path string, args ...string) error {
	name := filepath.Base(path)
	if !strings.HasPrefix(args[0], "-") {
		name = args[0]
	}
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return err
	}
	command := exec.Command(path, args...)
	command.Stdout, command.Stderr = log, log
	// A test binary that is killed at its timeout runs no clean-up. Test threads live as long as the process.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return err
	}
	ending = append(ending, func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return nil
}

func tail(dir, name string) string {
	content, _ := os.ReadFile(filepath.Join(dir, name+".log"))
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
}

func freePorts(count int) ([]int, error) {
	var ports []int
	var listeners []net.Listener
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, listener)
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	for _, listener := range listeners {
		_ = listener.Close()
	}
	return ports, nil
}
