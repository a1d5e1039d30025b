package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"dbtier/localcloud/internal/artifacts"
	"dbtier/localcloud/internal/aws"
	"dbtier/localcloud/internal/dns"
	"dbtier/localcloud/internal/safefile"
)

// Limits of a start. They are generous even for a slow machine.
const (
	apiLimit    = 2 * time.Minute
	nodeLimit   = 2 * time.Minute
	dnsLimit    = 2 * time.Minute
	podsLimit   = 2 * time.Minute
	answerLimit = 20 * time.Second
)

// podsStep waits for the pods that were Ready when the previous run ended.
const podsStep = "pods of the last run"

// apiServer is the component that answers Kubernetes clients.
const apiServer = "kube-apiserver"

// supervisor runs everything inside the namespaces.
type supervisor struct {
	project Project
	options StartOptions
	files   files
	log     *slog.Logger
	hosts   *dns.Hosts
	began   time.Time

	control    *http.Server
	awsControl atomic.Pointer[http.Handler]
	awsCloud   atomic.Pointer[aws.Cloud]
	// closers stop what runs in this process. They are called in reverse order.
	closers []func()

	parts map[string]*component
	// finish carries the error that ended the cloud, or nil if a stop was requested.
	finish chan error
	once   sync.Once

	// partitioned is true while pods and databases are separated. partitioning serializes the changes, and applyRules
	// gives them to the kernel.
	partitioned  atomic.Bool
	partitioning sync.Mutex
	applyRules   func(rules string) error

	mu      sync.Mutex
	phase   string
	steps   []Step
	problem string
}

// Supervise sets up the namespaces, starts everything and keeps it running until a stop is requested or a component
// gives up.
func Supervise(ctx context.Context, p Project, options StartOptions, apiFile, awsFile *os.File) error {
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	s := &supervisor{
		project: p, options: options, began: time.Now(), phase: PhaseStarting,
		log:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
		files:  files{project: p, options: options, layout: artifacts.Paths(p.Dir)},
		finish: make(chan error, 1), applyRules: applyRules,
	}
	err := s.run(ctx, apiFile, awsFile)
	if err != nil {
		s.log.Error("the local cloud is stopping after an error", "error", err)
		s.mu.Lock()
		s.problem = err.Error()
		s.mu.Unlock()
		// The command that waits for the start reads the error here once the control socket is gone.
		_ = safefile.Replace(p.State("problem"), []byte(err.Error()+"\n"), 0o600)
	}
	s.stop()
	return err
}

// end stops the cloud with the given reason. Only the first call has an effect.
func (s *supervisor) end(err error) { s.once.Do(func() { s.finish <- err }) }

func (s *supervisor) run(ctx context.Context, apiFile, awsFile *os.File) error {
	if err := s.serveControl(); err != nil {
		return err
	}
	listeners, err := handedDown(apiFile, awsFile)
	if err != nil {
		return err
	}
	starting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	started := make(chan struct{})
	var failure error
	go func() {
		defer close(started)
		failure = s.start(starting, listeners)
	}()
	for {
		select {
		case <-started:
			if failure != nil {
				// A component that gave up is the cause. The error of the step that waited for it is a consequence.
				select {
				case cause := <-s.finish:
					return cause
				default:
					return failure
				}
			}
			started = nil
			s.setPhase(PhaseReady)
			s.log.Info("ready", "after", time.Since(s.began).Round(time.Millisecond).String())
		case err := <-s.finish:
			if started != nil {
				cancel(err)
				<-started
			}
			return err
		case <-ctx.Done():
			if started != nil {
				<-started
			}
			return nil
		}
	}
}

func handedDown(files ...*os.File) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, f := range files {
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("the listener of the host's %s port: %w", f.Name(), err)
		}
		_ = f.Close()
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// start starts everything, in parallel where possible.
func (s *supervisor) start(ctx context.Context, listeners []net.Listener) error {
	if err := s.step("network, mounts and keys", func() error { return s.prepare() }); err != nil {
		return err
	}
	s.mu.Lock()
	s.parts = s.files.components()
	s.mu.Unlock()
	launch := func(names ...string) {
		for _, name := range names {
			s.parts[name].start(context.WithoutCancel(ctx), s.log, s.end)
		}
	}
	launch("etcd", apiServer, "containerd")
	go forward(context.WithoutCancel(ctx), listeners[0], net.JoinHostPort("127.0.0.1", strconv.Itoa(s.options.APIPort)))

	group, ctx := errgroup.WithContext(ctx)
	apiReady, nodeImages := make(chan struct{}), make(chan struct{})
	var api *apiClient
	group.Go(func() error {
		return s.step("etcd and API server", func() error {
			client, err := newAPIClient(s.project.Kubeconfig())
			if err != nil {
				return err
			}
			if err := client.waitReady(ctx, apiLimit); err != nil {
				return err
			}
			api = client
			close(apiReady)
			return nil
		})
	})
	group.Go(func() error {
		return s.step("containerd and images", func() error {
			if err := s.waitContainerd(ctx); err != nil {
				return err
			}
			// A kubelet that misses an image tries again only after ten seconds.
			return s.importImages(ctx, func() { close(nodeImages) })
		})
	})
	group.Go(func() error {
		return s.step("AWS stand-in", func() error { return s.startAWS(ctx, listeners[1]) })
	})
	group.Go(func() error {
		if !await(ctx, apiReady, nodeImages) {
			return ctx.Err()
		}
		var before []corev1.Pod
		err := s.step("node", func() (err error) {
			// The API still shows pods of the previous run as Ready, although they ended with it.
			if before, err = api.expirePods(ctx); err != nil {
				return err
			}
			launch("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
			return api.waitNode(ctx, s.began, nodeLimit)
		})
		if err != nil || len(before) == 0 {
			return err
		}
		return s.step(podsStep, func() error {
			missing, err := api.waitPods(ctx, before, podsLimit)
			if len(missing) > 0 {
				// A broken pod must not fail the start, because repairing it needs a running cloud.
				s.note(podsStep, fmt.Sprintf("not Ready after %s: %s", podsLimit, strings.Join(missing, ", ")))
			}
			return err
		})
	})
	group.Go(func() error {
		if !await(ctx, apiReady) {
			return ctx.Err()
		}
		return s.step("network policies", func() error { return s.startPolicies(ctx, api) })
	})
	group.Go(func() error {
		if !await(ctx, apiReady) {
			return ctx.Err()
		}
		return s.step("DNS", func() error {
			if err := api.applyDNS(ctx, s.project.State("dns")); err != nil {
				return err
			}
			return waitDNS(ctx, dnsLimit)
		})
	})
	return group.Wait()
}

func await(ctx context.Context, events ...<-chan struct{}) bool {
	for _, event := range events {
		select {
		case <-ctx.Done():
			return false
		case <-event:
		}
	}
	return true
}

// prepare sets up the network, mounts, keys and folders for the programs.
func (s *supervisor) prepare() error {
	if err := s.files.locate(); err != nil {
		return err
	}
	for _, dir := range []string{"etcd", "containerd", "kubelet", "pki", "aws", "pod-logs"} {
		if err := os.MkdirAll(s.project.State(dir), 0o700); err != nil {
			return fmt.Errorf("creating the folders of the state: %w", err)
		}
	}
	// PostgreSQL runs as an unprivileged user, which needs to traverse this folder.
	if err := os.MkdirAll(s.project.State("postgres"), 0o711); err != nil {
		return fmt.Errorf("creating the folders of the state: %w", err)
	}
	if err := setupMounts(s.project, s.files.layout.Postgres); err != nil {
		return err
	}
	if err := setupNetwork(); err != nil {
		return err
	}
	groups, err := loadCgroups(s.project.CgroupRoot())
	if err != nil {
		return err
	}
	if err := groups.make(); err != nil {
		return err
	}
	if s.hosts, err = dns.New(s.project.State("dns")); err != nil {
		return err
	}
	return s.files.write()
}

func (s *supervisor) waitContainerd(ctx context.Context) error {
	err := poll(ctx, time.Minute, 20*time.Millisecond, func() (bool, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", s.project.containerdSocket())
		if err != nil {
			return false, nil //nolint:nilerr // containerd is not listening yet.
		}
		return true, conn.Close()
	})
	if err != nil {
		return fmt.Errorf("containerd does not answer: %w%s", err, s.parts["containerd"].lastWords())
	}
	return nil
}

// step runs one part of a start and records its times for the status.
func (s *supervisor) step(name string, do func() error) error {
	since := func() float64 { return time.Since(s.began).Seconds() }
	s.mu.Lock()
	s.steps = append(s.steps, Step{Name: name, Began: since()})
	i := len(s.steps) - 1
	s.mu.Unlock()
	err := do()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps[i].Ended = since()
	s.steps[i].Done = err == nil
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// note adds a message to a step that is not an error.
func (s *supervisor) note(name, text string) {
	s.log.Warn(text, "step", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.steps {
		if s.steps[i].Name == name {
			s.steps[i].Note = text
		}
	}
}

func (s *supervisor) setPhase(phase string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phase
}

func (s *supervisor) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := Status{
		Phase: s.phase, Since: s.began, Steps: slices.Clone(s.steps), Problem: s.problem, Faults: s.faults(),
	}
	for _, name := range Components() {
		if c := s.parts[name]; c != nil {
			status.Components = append(status.Components, c.snapshot())
		}
	}
	return status
}

func (s *supervisor) onClose(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, f)
}

// stop ends the components so that each outlives those that depend on it. The kernel ends the remaining processes,
// mainly containers, together with PID 1.
func (s *supervisor) stop() {
	s.setPhase(PhaseStopping)
	s.mu.Lock()
	closers := slices.Clone(s.closers)
	s.mu.Unlock()
	var wait sync.WaitGroup
	wait.Go(func() {
		for _, f := range slices.Backward(closers) {
			f()
		}
	})
	stop := func(names ...string) {
		var all sync.WaitGroup
		for _, name := range names {
			if c := s.parts[name]; c != nil {
				all.Go(c.stop)
			}
		}
		all.Wait()
	}
	stop("kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager")
	stop(apiServer)
	stop("etcd", "containerd")
	wait.Wait()
	if s.control != nil {
		_ = s.control.Close()
	}
}
