package rds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dbtier/validation"
)

// Config configures an [Engine].
type Config struct {
	// Dir has one folder for each instance. The unprivileged user of PostgreSQL must be able to reach it. The path must
	// be short, because the path of a socket below it can have at most 107 bytes.
	Dir string
	// PostgresDir is a PostgreSQL distribution (bin, lib, share) that the same user can reach.
	PostgresDir string
	// PKIDir is the folder of the endpoints' CA, which is created if it does not exist.
	PKIDir string
	// Prefix is the range of the endpoints' addresses. All of them must be local to this network namespace.
	Prefix netip.Prefix
	Log    *slog.Logger
	// SetDNS and RemoveDNS add and remove the address of a host name. They may be nil.
	SetDNS    func(name string, addr netip.Addr) error
	RemoveDNS func(name string) error
	// Drop makes the network drop all packets to and from these addresses, and no others. It may be nil.
	Drop func(addresses []netip.Addr) error
}

// Engine runs the DB instances of one local cloud. Its methods are safe for concurrent use.
type Engine struct {
	cfg       Config
	log       *slog.Logger
	postgres  *postgres
	authority *authority
	osUser    string

	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup

	templateMu sync.Mutex
	template   string
	// creating serializes creations, because each takes a free address.
	creating sync.Mutex

	mu        sync.Mutex
	closed    bool
	instances map[string]*instance
	// addresses are those of each instance's endpoint and, if it has one, of its standby.
	addresses map[string][]netip.Addr
	isolated  map[netip.Addr]bool
	access    map[string]func(netip.Addr) error
	// failedOver is told of each failover.
	failedOver func(id string)
	verifier   func(ctx context.Context, host string, port int, user, token string) error
}

var errClosed = errors.New("the local RDS has been closed")

// New opens the engine on its folders. It does not start existing instances; call [Engine.Start] for that.
func New(cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if !cfg.Prefix.IsValid() || !cfg.Prefix.Addr().Is4() || cfg.Prefix.Bits() > 30 {
		return nil, fmt.Errorf("the prefix of RDS endpoints: %s: must be an IPv4 prefix with at least two addresses",
			cfg.Prefix)
	}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("looking up the current user: %w", err)
	}
	e := &Engine{
		cfg: cfg, log: cfg.Log, osUser: me.Username, instances: map[string]*instance{},
		addresses: map[string][]netip.Addr{}, isolated: map[netip.Addr]bool{},
		access: map[string]func(netip.Addr) error{},
	}
	if n := len(socketPath(e.socketDir(""))); n > maxSocketPath {
		return nil, fmt.Errorf(
			"the path of folder %s is too long: sockets below it would have paths of %d bytes, and the kernel allows "+
				"%d", cfg.Dir,
			n, maxSocketPath,
		)
	}
	for _, dir := range []string{cfg.Dir, filepath.Join(cfg.Dir, socketsFolder)} {
		// PostgreSQL's user can pass through the folder but not list it.
		if err := errors.Join(os.MkdirAll(dir, 0o711), os.Chmod(dir, 0o711)); err != nil { //nolint:gosec // see above
			return nil, fmt.Errorf("creating the folder of DB instances: %w", err)
		}
	}
	if e.authority, err = openAuthority(cfg.PKIDir, time.Now); err != nil {
		return nil, err
	}
	if err := errors.Join(e.openSnapshots(), e.load()); err != nil {
		return nil, err
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.postgres = newPostgres(cfg.PostgresDir)
	// Create the template now, so that the first instance need not wait for it.
	e.background.Go(func() {
		if _, err := e.dataTemplate(); err != nil && e.ctx.Err() == nil {
			e.log.Warn("creating the template of data folders", "error", err)
		}
	})
	return e, nil
}

// Create creates a DB instance, starts it and returns the address of its endpoint. If an instance with the same names
// and port exists, Create adopts it and applies the given password and parameters, so a caller that was killed can
// repeat its call. A creation that fails leaves nothing behind.
//
// All connections are refused until [Engine.SetAccess] is called for the identifier. It can be called before Create.
func (e *Engine) Create(ctx context.Context, spec Spec, masterPassword string) (netip.Addr, error) {
	secret, passwordErr := scramSecret(masterPassword)
	if err := errors.Join(spec.check(), passwordErr); err != nil {
		return netip.Addr{}, err
	}
	e.creating.Lock()
	defer e.creating.Unlock()
	existing, err := e.find(spec.Identifier)
	switch {
	case err == nil:
		return e.adopt(ctx, existing, spec, secret)
	case errors.Is(err, errClosed):
		return netip.Addr{}, err
	}
	template, err := e.dataTemplate()
	if err != nil {
		return netip.Addr{}, err
	}
	address, err := e.freeAddress()
	if err != nil {
		return netip.Addr{}, err
	}
	i := &instance{
		engine: e, id: spec.Identifier, dir: filepath.Join(e.cfg.Dir, spec.Identifier),
		record: record{Spec: spec, Address: address},
	}
	if err := e.checkSettings(ctx, template,
		settings(i.socketDir(), spec.MaxConnections, spec.Parameters)); err != nil {
		return netip.Addr{}, err
	}
	if spec.Snapshot != "" {
		template = e.snapshotDir(spec.Snapshot)
		if !e.HasSnapshot(spec.Snapshot) {
			return netip.Addr{}, fmt.Errorf("creating DB instance %s: there is no snapshot %s", i.id, spec.Snapshot)
		}
		if err := e.checkSpace(template); err != nil {
			return netip.Addr{}, fmt.Errorf("creating DB instance %s: %w", i.id, err)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	_, noArchive := os.Stat(e.archiveDir(spec.Archive))
	if err := e.build(ctx, i, template, secret); err != nil {
		failed := []error{e.explain(err), i.remove()}
		if errors.Is(noArchive, fs.ErrNotExist) {
			failed = append(failed, e.DeleteArchive(spec.Archive))
		}
		return netip.Addr{}, errors.Join(failed...)
	}
	return address, nil
}

// build makes an instance, and its standby if it shall have one. After an error nothing of it runs.
func (e *Engine) build(ctx context.Context, i *instance, template, secret string) error {
	if err := i.make(ctx, template, secret); err != nil {
		return err
	}
	if err := e.add(i); err != nil {
		i.stop()
		return err
	}
	err := i.open(ctx)
	if err == nil && i.record.Spec.Standby {
		err = i.addStandby(ctx)
	}
	if err != nil {
		e.forget(i)
		i.stop()
	}
	return err
}

func (e *Engine) adopt(ctx context.Context, i *instance, spec Spec, secret string) (netip.Addr, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	have := i.record.Spec
	if have.EndpointHost != spec.EndpointHost || have.Port != spec.Port || have.MasterUsername != spec.MasterUsername ||
		have.DBName != spec.DBName {
		return netip.Addr{}, fmt.Errorf("DB instance %s already exists with another endpoint, port, user or database",
			spec.Identifier)
	}
	if err := i.start(ctx); err != nil {
		return netip.Addr{}, err
	}
	if err := setPassword(ctx, i.life.db, spec.MasterUsername, secret); err != nil {
		return netip.Addr{}, err
	}
	if err := i.apply(ctx, spec.MaxConnections, spec.Parameters); err != nil {
		return netip.Addr{}, err
	}
	if spec.Standby {
		if err := i.addStandby(ctx); err != nil {
			return netip.Addr{}, err
		}
	}
	return i.record.Address, nil
}

func (e *Engine) add(i *instance) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	e.instances[i.id] = i
	return nil
}

func (e *Engine) forget(i *instance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.instances[i.id] == i {
		delete(e.instances, i.id)
	}
	delete(e.addresses, i.id)
}

// owns reports whether the instance still belongs to this engine.
func (e *Engine) owns(i *instance) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.closed && e.instances[i.id] == i
}

func (e *Engine) find(id string) (*instance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errClosed
	}
	i, ok := e.instances[id]
	if !ok {
		return nil, fmt.Errorf("there is no DB instance %q", id)
	}
	return i, nil
}

// with calls fn with an instance while holding the instance's lock.
func (e *Engine) with(id string, fn func(i *instance) error) error {
	i, err := e.find(id)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !e.owns(i) {
		return fmt.Errorf("there is no DB instance %q", id)
	}
	return fn(i)
}

// Start starts an existing instance, for example after a restart of the cloud. It does nothing if the instance is
// running.
func (e *Engine) Start(ctx context.Context, id string) error {
	return e.with(id, func(i *instance) error { return i.start(ctx) })
}

// Stop stops an instance. It keeps its data and its address.
func (e *Engine) Stop(_ context.Context, id string) error {
	return e.with(id, func(i *instance) error {
		i.stop()
		return nil
	})
}

// Reboot closes all connections and restarts PostgreSQL, which applies the parameters that waited for a reboot. To
// clients, a failover looks the same.
func (e *Engine) Reboot(ctx context.Context, id string) error {
	return e.with(id, func(i *instance) error {
		i.stop()
		return i.start(ctx)
	})
}

// Delete deletes an instance and its data. It succeeds if the instance does not exist.
func (e *Engine) Delete(_ context.Context, id string) error {
	i, err := e.find(id)
	if errors.Is(err, errClosed) {
		return err
	}
	if err != nil {
		// A creation that was killed may have left a folder.
		if !validation.DBIdentifier.Matches(id) {
			return nil
		}
		e.creating.Lock()
		defer e.creating.Unlock()
		if _, err := e.find(id); err == nil {
			return nil
		}
		return (&instance{engine: e, id: id, dir: filepath.Join(e.cfg.Dir, id)}).remove()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.wanted = false
	if l := i.life; l != nil {
		i.life = nil
		i.end(l, false)
	}
	i.stopStandby()
	failed := e.drop(i.record.Address, false) // other instances may get the addresses
	if i.record.Standby != nil {
		failed = errors.Join(failed, e.drop(i.record.Standby.Address, false))
	}
	if failed != nil {
		return fmt.Errorf("deleting DB instance %s: %w", id, failed)
	}
	if e.cfg.RemoveDNS != nil {
		if err := e.cfg.RemoveDNS(i.record.Spec.EndpointHost); err != nil {
			return fmt.Errorf("deleting DB instance %s: removing its name: %w", id, err)
		}
	}
	if err := i.remove(); err != nil {
		return err
	}
	e.forget(i)
	e.mu.Lock()
	delete(e.access, id)
	e.mu.Unlock()
	return nil
}

// Instances returns the identifiers of all completely created instances, running or not, sorted.
func (e *Engine) Instances() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]string, 0, len(e.instances))
	for id := range e.instances {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Address returns the address of an instance's endpoint.
func (e *Engine) Address(id string) (netip.Addr, error) {
	if _, err := e.find(id); err != nil {
		return netip.Addr{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.addresses[id][0], nil
}

func (e *Engine) noteAddresses(i *instance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addresses[i.id] = []netip.Addr{i.record.Address}
	if i.record.Standby != nil {
		e.addresses[i.id] = append(e.addresses[i.id], i.record.Standby.Address)
	}
}

// SetMasterPassword sets the password of the master user. Existing sessions stay open, as on RDS.
func (e *Engine) SetMasterPassword(ctx context.Context, id, password string) error {
	secret, err := scramSecret(password)
	if err != nil {
		return err
	}
	return e.with(id, func(i *instance) error {
		if i.life == nil {
			return fmt.Errorf("DB instance %s is stopped: start it first", id)
		}
		return setPassword(ctx, i.life.db, i.record.Spec.MasterUsername, secret)
	})
}

// Apply sets the parameters of an instance, with formulas already computed. PostgreSQL checks them first, and nothing
// is changed unless all are valid. Parameters that PostgreSQL can change while it runs are in effect when Apply
// returns. The others wait for [Engine.Reboot]; see [Engine.PendingReboot].
func (e *Engine) Apply(ctx context.Context, id string, maxConnections int, params map[string]string) error {
	return e.with(id, func(i *instance) error { return i.apply(ctx, maxConnections, params) })
}

// PendingReboot returns the parameters of an instance whose applied values wait for a reboot ("pending-reboot" on RDS).
// A stopped instance has none, because it starts with its newest parameters.
func (e *Engine) PendingReboot(ctx context.Context, id string) (names []string, err error) {
	err = e.with(id, func(i *instance) error {
		if i.life == nil {
			return nil
		}
		names, err = pendingReboot(ctx, i.life.db)
		return err
	})
	return names, err
}

// SetAccess sets the function that decides who may connect to an instance, by the rules of its security groups. It is
// called at each new connection. If it returns an error, the connection gets no answer. SetAccess can be called before
// the instance exists. Stopping an instance waits for its connections, so allow must not wait for the engine. The same
// holds for an IAM verifier.
func (e *Engine) SetAccess(id string, allow func(src netip.Addr) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.access[id] = allow
}

func (e *Engine) allow(id string, src netip.Addr) error {
	e.mu.Lock()
	allow := e.access[id]
	e.mu.Unlock()
	if allow == nil {
		return errors.New("no security group rules have been set")
	}
	return allow(src)
}

// SetIAMVerifier sets the function that checks the tokens of members of rds_iam. Without it, all tokens are refused.
func (e *Engine) SetIAMVerifier(verify func(ctx context.Context, host string, port int, user, token string) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.verifier = verify
}

// OnFailover sets the function that is told when a standby has become the primary, for whatever reason. It is set
// before instances are started, and must not wait for the engine.
func (e *Engine) OnFailover(tell func(id string)) { e.failedOver = tell }

func (e *Engine) verifyToken(ctx context.Context, host string, port int, name, token string) error {
	e.mu.Lock()
	verify := e.verifier
	e.mu.Unlock()
	if verify == nil {
		return errors.New("no verifier of IAM tokens has been set")
	}
	return verify(ctx, host, port, name, token)
}

func (e *Engine) setDNS(name string, addr netip.Addr) error {
	if e.cfg.SetDNS == nil {
		return nil
	}
	if err := e.cfg.SetDNS(name, addr); err != nil {
		return fmt.Errorf("setting the address of %s: %w", name, err)
	}
	return nil
}

// CABundle returns the certificate of the endpoints' CA as PEM, for sslrootcert.
func (e *Engine) CABundle() []byte { return slices.Clone(e.authority.bundle) }

// Close stops all instances at the same time and waits until they have stopped.
func (e *Engine) Close() {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	e.closed = true
	all := make([]*instance, 0, len(e.instances))
	for _, i := range e.instances {
		all = append(all, i)
	}
	e.mu.Unlock()
	e.cancel()
	var stopping sync.WaitGroup
	for _, i := range all {
		stopping.Go(func() {
			i.mu.Lock()
			defer i.mu.Unlock()
			i.stop()
		})
	}
	stopping.Wait()
	// A creation in progress now finds the engine closed. Wait for it.
	e.creating.Lock()
	defer e.creating.Unlock()
	e.background.Wait()
	e.postgres.close()
}
