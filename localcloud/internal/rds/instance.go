package rds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"dbtier/localcloud/internal/safefile"
)

const (
	startTimeout = 60 * time.Second
	// The time between attempts to restart a PostgreSQL that ended unexpectedly.
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// record is the stored record of an instance. Its file is written when the creation is complete. A folder without this
// file is left over from a creation that was killed.
type record struct {
	Spec    Spec       `json:"spec"`
	Address netip.Addr `json:"address"`
	// Folder has the data of the primary. It is empty for the first folder.
	Folder  string   `json:"folder,omitempty"`
	Standby *standby `json:"standby,omitempty"`
}

// instance is one DB instance. mu guards its lifecycle, but not its sessions.
type instance struct {
	engine *Engine
	id     string
	dir    string

	mu     sync.Mutex
	record record
	// wanted is true if the instance should run. life is its current run, or nil if it is stopped.
	wanted bool
	life   *life
	// standbyServer is the standby that runs, or nil.
	standbyServer *process
	// told is which server's failures of a full disk have been told.
	told struct{ primaryFull, standbyFull bool }

	forceSSL atomic.Bool
	// replicated is true if there shall be a standby.
	replicated atomic.Bool
}

// life is one run of an instance's PostgreSQL.
type life struct {
	proc  *process
	db    *pgxpool.Pool
	front *front
	// data and log are the data folder and the log of this run.
	data, log string
	// stopping is set before PostgreSQL is told to end, so that watch does not restart it.
	stopping atomic.Bool

	// hba has the users that the current pg_hba.conf lets in with a token.
	hbaMu sync.Mutex
	hba   []string
}

func (i *instance) recordFile() string { return filepath.Join(i.dir, "instance.json") }

// The primary's files.
func (i *instance) data() string      { return i.primary().data() }
func (i *instance) logFile() string   { return i.primary().logFile() }
func (i *instance) socketDir() string { return i.primary().socketDir() }

func (i *instance) save() error {
	text, err := json.MarshalIndent(i.record, "", "  ")
	if err != nil {
		return fmt.Errorf("recording DB instance %s: %w", i.id, err)
	}
	if err := safefile.Replace(i.recordFile(), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("recording DB instance %s: %w", i.id, err)
	}
	i.replicated.Store(i.record.Standby != nil)
	i.engine.noteAddresses(i)
	return nil
}

// make creates the data folder and the users of a new instance from a template or a snapshot, and leaves PostgreSQL
// running without a front. It first removes what a killed creation has left.
func (i *instance) make(ctx context.Context, template, secret string) (err error) {
	if err := i.remove(); err != nil {
		return err
	}
	// PostgreSQL's user can pass through the folder to its data.
	if err := os.MkdirAll(i.dir, 0o711); err != nil {
		return fmt.Errorf("creating the folder of DB instance %s: %w", i.id, err)
	}
	if err := i.engine.postgres.copyTree(ctx, template, i.data()); err != nil {
		return fmt.Errorf("creating the data folder of DB instance %s: %w", i.id, err)
	}
	if err := i.engine.makeArchive(i.record.Spec.Archive); err != nil {
		return err
	}
	if i.record.Spec.Replay != nil {
		if err := i.replay(ctx); err != nil {
			return fmt.Errorf("restoring DB instance %s: %w", i.id, err)
		}
	}
	l, err := i.begin(ctx)
	if err != nil {
		return err
	}
	if i.record.Spec.Snapshot != "" {
		err = setPassword(ctx, l.db, i.record.Spec.MasterUsername, secret)
	} else {
		err = bootstrap(ctx, l.db, i.record.Spec, secret)
	}
	if err != nil {
		i.end(l, false)
		return err
	}
	if err := i.save(); err != nil {
		i.end(l, false)
		return err
	}
	i.life = l
	return nil
}

// remove deletes all files of the instance. It deletes the record first, after which the instance no longer exists.
func (i *instance) remove() error {
	if err := os.Remove(i.recordFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing DB instance %s: %w", i.id, err)
	}
	for _, m := range []member{{i, firstFolder}, {i, secondFolder}} {
		if err := m.remove(); err != nil {
			return fmt.Errorf("removing DB instance %s: %w", i.id, err)
		}
	}
	if err := os.RemoveAll(i.dir); err != nil {
		return fmt.Errorf("removing DB instance %s: %w", i.id, err)
	}
	return nil
}

// begin starts PostgreSQL and waits until it answers. It does not open the front.
func (i *instance) begin(ctx context.Context) (*life, error) {
	return i.beginWith(ctx, nil, startTimeout)
}

// beginWith begins with settings that are only for this start, and a time for it.
func (i *instance) beginWith(ctx context.Context, once map[string]string, limit time.Duration) (*life, error) {
	primary := i.primary()
	proc, err := primary.start(i.settings(primary, once), renderHBA(nil, i.record.Standby != nil))
	if err != nil {
		return nil, fmt.Errorf("starting DB instance %s: %w", i.id, err)
	}
	return i.answer(ctx, proc, limit)
}

// answer waits until the primary answers. If its folder is that of a standby, it is promoted.
func (i *instance) answer(ctx context.Context, proc *process, limit time.Duration) (*life, error) {
	fail := func(err error) (*life, error) { return nil, fmt.Errorf("starting DB instance %s: %w", i.id, err) }
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	db, err := openAdmin(ctx, i.socketDir())
	if err != nil {
		proc.stop(false)
		return fail(err)
	}
	l := &life{proc: proc, db: db, data: i.data(), log: i.logFile()}
	err = poll(ctx, 10*time.Millisecond, "PostgreSQL to answer", func() (bool, error) {
		select {
		case <-proc.ended:
			return false, fmt.Errorf("PostgreSQL ended immediately; the end of its log:\n%s", readTail(i.logFile()))
		default:
			return db.Ping(ctx) == nil, i.primary().promote(proc)
		}
	})
	if err != nil {
		i.end(l, false)
		return fail(err)
	}
	return l, nil
}

// settings is the text of postgresql.conf of one of the instance's members, with settings that are only for one start.
func (i *instance) settings(of member, once map[string]string) []byte {
	spec := i.record.Spec
	s := settings(of.socketDir(), spec.MaxConnections, spec.Parameters)
	// The mode can change only with a restart, and the command at any time. A standby archives, too: what the primary
	// could not archive before its end is then not missing.
	s["archive_mode"], s["archive_command"] = "always", i.engine.archiveCommand(spec.Archive)
	// Nobody reads from a standby, so its limits need not be those of the primary.
	s["hot_standby"] = "off"
	if i.record.Standby != nil {
		maps.Copy(s, i.record.Standby.settings(i, of))
	}
	maps.Copy(s, once)
	return renderSettings(s)
}

// reload writes the settings again and makes PostgreSQL read them.
func (i *instance) reload(ctx context.Context) error {
	file := filepath.Join(i.data(), "postgresql.conf")
	if err := safefile.Replace(file, i.settings(i.primary(), nil), 0o644); err != nil {
		return err
	}
	return reload(ctx, i.life.db)
}

// start starts the instance if it is not running.
func (i *instance) start(ctx context.Context) error {
	i.wanted = true
	if i.life == nil {
		l, err := i.begin(ctx)
		if err != nil {
			return err
		}
		i.life = l
	}
	return i.open(ctx)
}

// open opens the front of a running PostgreSQL.
func (i *instance) open(ctx context.Context) error {
	i.wanted = true
	l := i.life
	if l.front != nil {
		return nil
	}
	spec := i.record.Spec
	address := netip.AddrPortFrom(i.record.Address, uint16(spec.Port)) //nolint:gosec // checked to be a port
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address.String())
	if err != nil {
		i.life = nil
		i.end(l, true)
		return fmt.Errorf("starting DB instance %s: opening its endpoint: %w", i.id, err)
	}
	i.noteForceSSL()
	socket := socketPath(i.socketDir())
	l.front = newFront(listener, i.engine.authority.serverTLS(spec.EndpointHost), decisions{
		allow:    func(src netip.Addr) error { return i.engine.allow(i.id, src) },
		forceSSL: i.forceSSL.Load,
		iamUser:  func(ctx context.Context, user string) (bool, error) { return i.iamUser(ctx, l, user) },
		verifyToken: func(ctx context.Context, user, token string) error {
			return i.engine.verifyToken(ctx, spec.EndpointHost, spec.Port, user, token)
		},
		dial: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}, i.engine.log.With("instance", i.id))
	if err := i.engine.setDNS(spec.EndpointHost, i.record.Address); err != nil {
		i.stop()
		return fmt.Errorf("starting DB instance %s: %w", i.id, err)
	}
	i.engine.background.Go(func() { i.watch(l) })
	if i.record.Standby != nil {
		i.engine.background.Go(func() { i.tend(l) })
	}
	i.engine.log.Info("DB instance is running", "instance", i.id, "endpoint", spec.EndpointHost, "address", address)
	return nil
}

func (i *instance) noteForceSSL() {
	value, given := i.record.Spec.Parameters[paramForceSSL]
	i.forceSSL.Store(!given || value == "1")
}

// stop stops the instance: the endpoint refuses connections, sessions are told, and then everything ends.
func (i *instance) stop() {
	i.wanted = false
	if l := i.life; l != nil {
		i.life = nil
		i.end(l, true)
	}
	i.stopStandby()
}

func (i *instance) end(l *life, fast bool) {
	l.stopping.Store(true)
	if l.front != nil {
		l.front.stopAccepting()
	}
	l.proc.stop(fast)
	if l.front != nil {
		l.front.close()
	}
	l.db.Close()
}

// watch restarts an instance whose PostgreSQL ended unexpectedly, as RDS does. If there is a standby with everything
// that was committed, that takes over.
func (i *instance) watch(l *life) {
	select {
	case <-l.proc.ended:
	case <-i.engine.ctx.Done():
		return
	}
	if l.stopping.Load() {
		return
	}
	i.engine.log.Error("PostgreSQL ended unexpectedly", "instance", i.id, "log", readTail(l.log))
	wait := firstRetry
	for {
		i.mu.Lock()
		if i.life == l {
			i.life = nil
			i.end(l, false)
		}
		// The instance may have been stopped, deleted or started in the meantime.
		done := !i.wanted || i.life != nil
		var err error
		switch {
		case done:
		case i.canFailOver():
			err = i.failOver(i.engine.ctx)
		default:
			err = i.start(i.engine.ctx)
		}
		news := i.engine.news(&i.told.primaryFull, err)
		i.mu.Unlock()
		if done || err == nil || i.engine.ctx.Err() != nil {
			return
		}
		if news {
			i.engine.log.Error("restarting PostgreSQL failed; it is tried until it succeeds", "instance", i.id,
				"error", i.engine.explain(err), "next", wait)
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, lastRetry)
		case <-i.engine.ctx.Done():
			return
		}
	}
}

// apply sets new parameters. PostgreSQL applies those that it can change while it runs, and the others at its next
// start.
func (i *instance) apply(ctx context.Context, maxConnections int, params map[string]string) error {
	next := i.record.Spec
	next.MaxConnections, next.Parameters = maxConnections, params
	if err := next.check(); err != nil {
		return err
	}
	if err := i.engine.checkSettings(ctx, i.data(), settings(i.socketDir(), maxConnections, params)); err != nil {
		return err
	}
	i.record.Spec = next
	if err := i.save(); err != nil {
		return err
	}
	if i.life == nil {
		return nil
	}
	if err := i.reload(ctx); err != nil {
		return err
	}
	i.noteForceSSL()
	return nil
}

// iamUser asks PostgreSQL whether a user logs in with a token, and updates pg_hba.conf if it differs. Grants are rare,
// so the file seldom changes.
func (i *instance) iamUser(ctx context.Context, l *life, user string) (bool, error) {
	if unquotable(user) {
		return false, nil
	}
	iam, err := isIAMUser(ctx, l.db, user)
	if err != nil {
		return false, err
	}
	l.hbaMu.Lock()
	defer l.hbaMu.Unlock()
	if slices.Contains(l.hba, user) == iam {
		return iam, nil
	}
	users := slices.DeleteFunc(slices.Clone(l.hba), func(u string) bool { return u == user })
	if iam {
		users = append(users, user)
	}
	if err := i.writeHBA(ctx, l, users); err != nil {
		return false, err
	}
	return iam, nil
}

// writeHBA writes pg_hba.conf with the users that log in with a token. The caller holds hbaMu.
func (i *instance) writeHBA(ctx context.Context, l *life, users []string) error {
	text := renderHBA(users, i.replicated.Load())
	if err := safefile.Replace(filepath.Join(l.data, "pg_hba.conf"), text, 0o644); err != nil {
		return err
	}
	if err := reload(ctx, l.db); err != nil {
		return err
	}
	l.hba = users
	return nil
}
