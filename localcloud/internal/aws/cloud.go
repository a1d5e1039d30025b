package aws

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dbtier/localcloud/internal/aws/store"
	"dbtier/localcloud/internal/aws/wire"
)

// Config configures a Cloud.
type Config struct {
	// Dir is the folder of the account, with mode 0700.
	Dir string
	// CredentialsFile is the file to which the administrator's access key is written for host clients, as JSON with
	// mode 0600. If it is empty, the key is not written.
	CredentialsFile string
	// OIDCIssuer is the issuer of ServiceAccount tokens, with https://. The account's only IAM OIDC provider is the one
	// for this issuer.
	OIDCIssuer string
	// OIDCKeys returns the issuer's public signing keys. It is called at each exchange of a token.
	OIDCKeys func() ([]crypto.PublicKey, error)
	// RDS runs the databases. If it is nil, DB instances cannot be created.
	RDS RDSEngine
	Log *slog.Logger
	// Latency makes operations take time, as on AWS. With the zero value they are as fast as possible.
	Latency Latency
	// Now is the clock. The default is time.Now.
	Now func() time.Time
}

// Latency is the minimum duration of operations on DB instances. Their statuses are visible during that time.
type Latency struct{ Create, Modify, Reboot, Delete, Rotate time.Duration }

// TypicalLatency is how long the operations take for a small instance with some GiB of data. AWS documents no
// durations. These are round numbers: the plugin for AWS waits at most 40 minutes for a creation, 80 for a change and
// 60 for a deletion.
var TypicalLatency = Latency{
	Create: 5 * time.Minute, Modify: 3 * time.Minute, Reboot: 45 * time.Second, Delete: 4 * time.Minute,
	Rotate: 30 * time.Second,
}

// Cloud is the account of the stand-in, with its services.
type Cloud struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	store *store.Store[state]
	locks keyedLocks

	// faults are those in force that no status of an instance shows. Of is the key of an instance in the state.
	faultsMu sync.Mutex
	faults   map[Fault]bool
	// resuming is true while operations are finished that a kill has interrupted. They take no longer than they must.
	resuming atomic.Bool

	// background ends the periodic work. work counts that work and the operations that outlive their request.
	background context.Context
	stop       context.CancelFunc
	work       sync.WaitGroup
}

// New opens the account in cfg.Dir. If there is none, New creates it.
func New(cfg Config) (*Cloud, error) {
	switch {
	case cfg.Dir == "":
		return nil, errors.New("aws: Dir: empty")
	case !strings.HasPrefix(cfg.OIDCIssuer, "https://"):
		return nil, fmt.Errorf("aws: OIDCIssuer: %q: must begin with https://", cfg.OIDCIssuer)
	case cfg.OIDCKeys == nil:
		return nil, errors.New("aws: OIDCKeys: missing")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	path := filepath.Join(cfg.Dir, "account.json")
	st, err := store.Open(path, func() (*state, error) { return newState(), nil })
	if err != nil {
		return nil, fmt.Errorf("opening the local AWS account: %w", err)
	}
	if err := store.RemoveLeftovers(path); err != nil {
		return nil, fmt.Errorf("opening the local AWS account: %w", err)
	}
	if v := st.Read().Version; v != stateVersion {
		return nil,
			fmt.Errorf("the local AWS account in %s has version %d and this program reads version %d: purge the "+
				"local cloud's state",
				cfg.Dir, v, stateVersion)
	}
	if st.Read().Backups == nil { // an account of an earlier version
		err := st.Update(func(st *state) error { st.Backups = map[string]*automatedBackup{}; return nil })
		if err != nil {
			return nil, fmt.Errorf("opening the local AWS account: %w", err)
		}
	}
	c := &Cloud{
		cfg: cfg, log: cfg.Log, now: func() time.Time { return cfg.Now().UTC() }, store: st, faults: map[Fault]bool{},
	}
	c.background, c.stop = context.WithCancel(context.Background())
	if cfg.CredentialsFile != "" {
		if err := c.writeCredentials(cfg.CredentialsFile); err != nil {
			return nil, err
		}
	}
	if cfg.RDS != nil {
		cfg.RDS.SetIAMVerifier(c.verifyDatabaseToken)
		cfg.RDS.OnFailover(c.failedOver)
	}
	return c, nil
}

func (c *Cloud) writeCredentials(path string) error {
	admin := c.store.Read().Admin
	text, err := json.Marshal(map[string]string{
		"accessKeyId": admin.AccessKeyID, "secretAccessKey": admin.SecretAccessKey,
	})
	if err != nil {
		return err
	}
	return store.WriteFile(path, text)
}

// Start starts the DB instances, finishes operations that were interrupted when the process was killed, and begins the
// periodic work: rotations, maintenance windows and due deletions.
func (c *Cloud) Start(ctx context.Context) error {
	c.resuming.Store(true)
	err := c.resume(ctx)
	c.resuming.Store(false)
	if err != nil {
		return err
	}
	c.work.Go(func() {
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for {
			select {
			case <-c.background.Done():
				return
			case <-tick.C:
				c.housekeeping(c.background)
			}
		}
	})
	return nil
}

// Close waits for operations in progress. It does not stop the databases; the engine does.
func (c *Cloud) Close() error {
	c.stop()
	c.work.Wait()
	return nil
}

// run runs an operation that must complete even if its caller stops waiting. It waits for the operation until ctx ends.
func (c *Cloud) run(ctx context.Context, what string, op func(ctx context.Context) error) error {
	done := make(chan error, 1)
	c.work.Go(func() {
		err := op(context.WithoutCancel(ctx))
		if ctx.Err() != nil {
			c.note(what, err) // the caller no longer gets the error
		}
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return wire.Status(503, "ServiceUnavailable", "%s continues, but its caller has stopped waiting: %v", what,
			ctx.Err())
	}
}

// pause waits for the duration d, for the latency model.
func (c *Cloud) pause(ctx context.Context, d time.Duration) {
	if d <= 0 || c.resuming.Load() {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-c.background.Done():
	}
}

// keyedLocks serializes the operations on each key. Operations on different keys run concurrently.
type keyedLocks struct {
	mu   sync.Mutex
	held map[string]*keyedLock
}

type keyedLock struct {
	mu    sync.Mutex
	users int
}

// lock waits for the lock of the key and returns the function that releases it.
func (l *keyedLocks) lock(key string) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*keyedLock{}
	}
	k := l.held[key]
	if k == nil {
		k = &keyedLock{}
		l.held[key] = k
	}
	k.users++
	l.mu.Unlock()
	k.mu.Lock()
	return func() {
		k.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		k.users--
		if k.users == 0 {
			delete(l.held, key)
		}
	}
}
