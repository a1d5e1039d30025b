package rds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
)

// Config says where an [Engine] lives.
type Config struct {
	// Dir holds one folder an instance. The unprivileged user that PostgreSQL runs as must be able to reach it, and it
	// must be short: a socket below it has a path of at most 107 bytes.
	Dir string
	// PostgresDir is a PostgreSQL distribution (bin, lib, share) that this user can reach too.
	PostgresDir string
	// PKIDir holds the CA of the endpoints; it is made there when it does not exist.
	PKIDir string
	// Prefix is where endpoints get their addresses from; all of it must be local to this network namespace.
	Prefix netip.Prefix
	Log    *slog.Logger
	// SetDNS and RemoveDNS are told which name has which address; nil: nobody is.
	SetDNS    func(name string, addr netip.Addr) error
	RemoveDNS func(name string) error
}

// Engine runs the DB instances of one local cloud. Its methods may be called from several goroutines.
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
	// creating keeps creations apart: each takes an address.
	creating sync.Mutex

	mu        sync.Mutex
	closed    bool
	instances map[string]*instance
	access    map[string]func(netip.Addr) error
	verifier  func(ctx context.Context, host string, port int, user, token string) error
}

var errClosed = errors.New("the local RDS has been closed")

// New opens the engine on its folders. Instances that exist are known but not running: see [Engine.Start].
func New(cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if !cfg.Prefix.IsValid() || !cfg.Prefix.Addr().Is4() || cfg.Prefix.Bits() > 30 {
		return nil, fmt.Errorf("the prefix of RDS endpoints: %s: want an IPv4 prefix with at least two addresses",
			cfg.Prefix)
	}
	me, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("asking which user this is: %w", err)
	}
	e := &Engine{
		cfg: cfg, log: cfg.Log, osUser: me.Username, instances: map[string]*instance{},
		access: map[string]func(netip.Addr) error{},
	}
	if n := len(socketPath(e.socketDir(""))); n > maxSocketPath {
		return nil, fmt.Errorf(
			"the folder %s is too deep: sockets below it would have paths of %d bytes, the kernel allows %d", cfg.Dir,
			n, maxSocketPath,
		)
	}
	for _, dir := range []string{cfg.Dir, filepath.Join(cfg.Dir, socketsFolder)} {
		// PostgreSQL's user passes through but sees no names.
		if err := errors.Join(os.MkdirAll(dir, 0o711), os.Chmod(dir, 0o711)); err != nil { //nolint:gosec // see above
			return nil, fmt.Errorf("making the folder of DB instances: %w", err)
		}
	}
	if e.authority, err = openAuthority(cfg.PKIDir, time.Now); err != nil {
		return nil, err
	}
	if err := e.load(); err != nil {
		return nil, err
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.postgres = newPostgres(cfg.PostgresDir)
	// The first instance then finds its template made.
	e.background.Go(func() {
		if _, err := e.dataTemplate(); err != nil && e.ctx.Err() == nil {
			e.log.Warn("no PostgreSQL can be made", "error", err)
		}
	})
	return e, nil
}

const (
	socketsFolder  = ".sockets"
	templatePrefix = ".template-"
)

// socketDir is where an instance's socket is. The identifier may have 63 characters, a socket's path has 107.
func (e *Engine) socketDir(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(e.cfg.Dir, socketsFolder, hex.EncodeToString(sum[:6]))
}

// load finds the instances that are complete.
func (e *Engine) load() error {
	entries, err := os.ReadDir(e.cfg.Dir)
	if err != nil {
		return fmt.Errorf("looking for DB instances: %w", err)
	}
	for _, entry := range entries {
		i := &instance{engine: e, id: entry.Name(), dir: filepath.Join(e.cfg.Dir, entry.Name())}
		text, err := os.ReadFile(i.recordFile())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading DB instance %s: %w", i.id, err)
		}
		if err := json.Unmarshal(text, &i.record); err != nil {
			return fmt.Errorf("reading DB instance %s: %s: %w", i.id, i.recordFile(), err)
		}
		e.instances[i.id] = i
	}
	return nil
}

// dataTemplate is the data folder that instances are copied from; it is made when it does not exist yet.
func (e *Engine) dataTemplate() (string, error) {
	e.templateMu.Lock()
	defer e.templateMu.Unlock()
	if e.template != "" {
		return e.template, nil
	}
	version, err := e.postgres.version(e.ctx)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s%s-%d", templatePrefix, version, templateVersion)
	dir := filepath.Join(e.cfg.Dir, name)
	if err := e.postgres.makeTemplate(e.ctx, dir); err != nil {
		return "", err
	}
	e.removeOldTemplates(name)
	e.template = dir
	return dir, nil
}

func (e *Engine) removeOldTemplates(keep string) {
	old, err := filepath.Glob(filepath.Join(e.cfg.Dir, templatePrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range old {
		if filepath.Base(dir) != keep {
			if err := os.RemoveAll(dir); err != nil {
				e.log.Warn("removing an old template", "error", err)
			}
		}
	}
}

// Create makes a DB instance, starts it and returns the address of its endpoint. Asked again for an instance that is
// complete and was made from the same names and port, it takes that one, with the password and parameters given now: a
// caller that was killed before it noted the instance can just ask again. Nothing is left of a creation that fails.
//
// Until [Engine.SetAccess] is called for the identifier, which may happen before, every connection is refused.
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
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.make(ctx, template, secret); err != nil {
		return netip.Addr{}, errors.Join(err, i.remove())
	}
	if err := e.add(i); err != nil {
		i.stop()
		return netip.Addr{}, errors.Join(err, i.remove())
	}
	if err := i.open(ctx); err != nil {
		e.forget(i)
		i.stop()
		return netip.Addr{}, errors.Join(err, i.remove())
	}
	return address, nil
}

func (e *Engine) adopt(ctx context.Context, i *instance, spec Spec, secret string) (netip.Addr, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	have := i.record.Spec
	if have.EndpointHost != spec.EndpointHost || have.Port != spec.Port || have.MasterUsername != spec.MasterUsername ||
		have.DBName != spec.DBName {
		return netip.Addr{}, fmt.Errorf("DB instance %s already exists, made from something else", spec.Identifier)
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
	return i.record.Address, nil
}

// freeAddress is the lowest address of the prefix that no instance has.
func (e *Engine) freeAddress() (netip.Addr, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var taken []netip.Addr
	for _, i := range e.instances {
		taken = append(taken, i.record.Address)
	}
	network := e.cfg.Prefix.Masked()
	for addr := network.Addr().Next(); network.Contains(addr.Next()); addr = addr.Next() {
		if !slices.Contains(taken, addr) {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no address is left in %s for a further DB instance: delete one", network)
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
}

// owns says whether the instance is still one of this engine's.
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

// with runs fn on an instance, alone.
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

// Start brings an instance up that exists, after a stop or a new start of the cloud; one that is up stays as it is.
func (e *Engine) Start(ctx context.Context, id string) error {
	return e.with(id, func(i *instance) error { return i.start(ctx) })
}

// Stop takes an instance down; its data and its address stay.
func (e *Engine) Stop(_ context.Context, id string) error {
	return e.with(id, func(i *instance) error {
		i.stop()
		return nil
	})
}

// Reboot cuts every connection, ends PostgreSQL and starts it again, so that parameters which waited for that hold. A
// failover looks the same to clients.
func (e *Engine) Reboot(ctx context.Context, id string) error {
	return e.with(id, func(i *instance) error {
		i.stop()
		return i.start(ctx)
	})
}

// Delete removes an instance with everything in it; one that does not exist is no error.
func (e *Engine) Delete(_ context.Context, id string) error {
	i, err := e.find(id)
	if errors.Is(err, errClosed) {
		return err
	}
	if err != nil {
		// A creation that was killed may have left a folder.
		if !identifierRule.MatchString(id) {
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

// Instances are the identifiers of all instances that are complete, running or not, sorted.
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

// Address is the address of an instance's endpoint.
func (e *Engine) Address(id string) (netip.Addr, error) {
	i, err := e.find(id)
	if err != nil {
		return netip.Addr{}, err
	}
	return i.record.Address, nil
}

// SetMasterPassword gives the master user another password. Sessions that exist live on, as on RDS.
func (e *Engine) SetMasterPassword(ctx context.Context, id, password string) error {
	secret, err := scramSecret(password)
	if err != nil {
		return err
	}
	return e.with(id, func(i *instance) error {
		if i.life == nil {
			return fmt.Errorf("DB instance %s is down: start it first", id)
		}
		return setPassword(ctx, i.life.db, i.record.Spec.MasterUsername, secret)
	})
}

// Apply gives an instance the parameters of its group, those with formulas computed. PostgreSQL judges their values
// first, and nothing changes unless all are good. What can change while it runs does so before Apply returns; what
// cannot waits for [Engine.Reboot]: see [Engine.PendingReboot].
func (e *Engine) Apply(ctx context.Context, id string, maxConnections int, params map[string]string) error {
	return e.with(id, func(i *instance) error { return i.apply(ctx, maxConnections, params) })
}

// PendingReboot lists the parameters of an instance whose applied values wait for a reboot (RDS: "pending-reboot").
// An instance that is down has none: it starts with its newest parameters.
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

// SetAccess sets who may connect to an instance: the rules of its security groups, asked at each new connection. It may
// be called before the instance exists. An error from allow drops the connection without an answer. As stopping an
// instance waits for its connections, allow must not wait for the engine; nor must an IAM verifier.
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

// SetIAMVerifier sets what decides about the tokens of users that are members of rds_iam; without one none is good.
func (e *Engine) SetIAMVerifier(verify func(ctx context.Context, host string, port int, user, token string) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.verifier = verify
}

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
		return fmt.Errorf("naming %s: %w", name, err)
	}
	return nil
}

// CABundle is the certificate of the endpoints' CA, as PEM, for sslrootcert.
func (e *Engine) CABundle() []byte { return slices.Clone(e.authority.bundle) }

// Close stops every instance, all at once, and waits until they have ended.
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
	// A creation that was under way has seen that the engine is closed by now.
	e.creating.Lock()
	defer e.creating.Unlock()
	e.background.Wait()
	e.postgres.close()
}
