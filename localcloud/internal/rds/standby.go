package rds

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"dbtier/localcloud/internal/safefile"
)

const (
	replicationUser = "rdsrepladmin"
	// standbyName is the name of the standby at its primary, and of the slot that keeps its WAL.
	standbyName = "standby"
	// standbyTimeout is how long a standby may take to have what its primary has. A standby that takes longer is made
	// again.
	standbyTimeout = time.Minute
)

// standby is the second server of an instance. Every transaction is on it before its client hears of the commit.
type standby struct {
	// Address is the address of its endpoint. Clients use it after a failover.
	Address netip.Addr `json:"address"`
	// InSync says that everything that was ever acknowledged is on the standby. It is recorded as true after the
	// primary has begun to wait for the standby, and as false before it ceases to. Only then can the standby be
	// promoted.
	InSync bool `json:"inSync"`
}

// settings are the settings of a member of an instance that has a standby.
func (s *standby) settings(i *instance, of member) map[string]string {
	if of != i.primary() {
		return map[string]string{
			"primary_conninfo": fmt.Sprintf("host=%s port=%d user=%s application_name=%s passfile=%s", i.socketDir(),
				socketPort, replicationUser, standbyName, i.passFile()),
			"primary_slot_name": standbyName, "wal_retrieve_retry_interval": "100ms",
		}
	}
	// A standby that is gone for long is made again, before its WAL fills the disk.
	all := map[string]string{"max_slot_wal_keep_size": "1GB"}
	if s.InSync {
		all["synchronous_standby_names"] = standbyName
	}
	return all
}

func (i *instance) passFile() string { return filepath.Join(i.dir, "standby.pass") }

// SetStandby adds a standby to an instance, or removes it. It returns when the standby has everything.
func (e *Engine) SetStandby(ctx context.Context, id string, wanted bool) error {
	has := false
	err := e.with(id, func(i *instance) error {
		if has = i.record.Standby != nil; has && !wanted {
			return i.removeStandby(ctx)
		}
		return nil
	})
	if err != nil || has || !wanted {
		return err
	}
	e.creating.Lock() // takes a free address
	defer e.creating.Unlock()
	return e.with(id, func(i *instance) error { return i.addStandby(ctx) })
}

// addStandby makes a standby if there is none. The caller holds the engine's lock of creations.
func (i *instance) addStandby(ctx context.Context) error {
	if i.record.Standby != nil {
		return nil
	}
	address, err := i.engine.freeAddress()
	if err != nil {
		return err
	}
	i.record.Standby = &standby{Address: address}
	if err := i.save(); err != nil {
		i.record.Standby = nil
		return err
	}
	l := i.life
	if l == nil {
		return nil
	}
	i.engine.background.Go(func() { i.tend(l) })
	return i.keepStandby(ctx, l)
}

func (i *instance) removeStandby(ctx context.Context) error {
	failed := i.engine.drop(i.record.Standby.Address, false) // another instance may get it
	i.record.Standby = nil
	if err := i.save(); err != nil {
		return err
	}
	l := i.life
	if l != nil {
		failed = errors.Join(failed, i.reload(ctx), i.allowReplication(ctx, l))
	}
	i.stopStandby()
	failed = errors.Join(failed, i.other().remove())
	if l != nil {
		_, err := l.db.Exec(ctx, dropSlot, standbyName)
		failed = errors.Join(failed, err)
	}
	return failed
}

const dropSlot = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1"

// allowReplication admits the standby's user to the primary, or no longer.
func (i *instance) allowReplication(ctx context.Context, l *life) error {
	l.hbaMu.Lock()
	defer l.hbaMu.Unlock()
	return i.writeHBA(ctx, l, l.hba)
}

func (i *instance) stopStandby() {
	if i.standbyServer != nil {
		i.standbyServer.stop(true)
		i.standbyServer = nil
	}
}

// tend keeps the standby during one run of the primary: it makes it, starts it again, and makes it again if it cannot
// catch up.
func (i *instance) tend(l *life) {
	wait := firstRetry
	for {
		i.mu.Lock()
		over := i.life != l || i.record.Standby == nil || !i.engine.owns(i)
		var err error
		if !over {
			err = i.keepStandby(i.engine.ctx, l)
		}
		news := i.engine.news(&i.told.standbyFull, err)
		server := i.standbyServer
		i.mu.Unlock()
		if over {
			return
		}
		var ended <-chan struct{}
		var retry <-chan time.Time
		if err != nil {
			if news {
				i.engine.log.Error("the standby is not in sync; it is tried until it is", "instance", i.id,
					"error", i.engine.explain(err), "next", wait)
			}
			retry = time.After(wait)
			wait = min(2*wait, lastRetry)
		} else {
			ended, wait = server.ended, firstRetry
		}
		select {
		case <-retry:
		case <-ended:
		case <-l.proc.ended:
			return
		case <-i.engine.ctx.Done():
			return
		}
	}
}

var errIsolated = errors.New("its zone does not answer")

// keepStandby brings the standby to where it has everything. While it has not, the primary does not wait for it.
func (i *instance) keepStandby(ctx context.Context, l *life) error {
	s := i.record.Standby
	if i.engine.isIsolated(s.Address) {
		return errors.Join(errIsolated, i.loseStandby(ctx))
	}
	running := i.standbyServer != nil && !i.standbyServer.isOver()
	if running && s.InSync && i.replicates(ctx, l, "sync") == nil {
		return nil
	}
	if !running {
		if err := i.outOfSync(ctx); err != nil {
			return err
		}
		if err := i.startStandby(ctx, l); err != nil {
			return fmt.Errorf("starting the standby of DB instance %s: %w", i.id, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, standbyTimeout)
	defer cancel()
	if err := i.replicates(ctx, l, "async"); err != nil {
		i.stopStandby()
		return errors.Join(err, i.other().remove())
	}
	// The primary waits for the standby before that is recorded.
	s.InSync = true
	err := i.reload(ctx)
	if err == nil {
		err = i.replicates(ctx, l, "sync")
	}
	if err == nil {
		err = i.save()
	}
	if err != nil {
		s.InSync = false // as it is recorded
		return errors.Join(err, i.outOfSync(context.WithoutCancel(ctx)))
	}
	i.engine.log.Info("the standby is in sync", "instance", i.id, "address", s.Address)
	return nil
}

// outOfSync lets the primary go on without the standby. If that cannot be recorded, because the disk is full, the
// primary goes on waiting: a record that says more than is true would lose what was acknowledged.
func (i *instance) outOfSync(ctx context.Context) error {
	recorded := i.record.Standby.InSync
	i.record.Standby.InSync = false
	if err := i.save(); err != nil {
		i.record.Standby.InSync = recorded
		return err
	}
	return i.reload(ctx)
}

// replicates waits until the standby gets the WAL as it is written, as an asynchronous or a synchronous standby.
func (i *instance) replicates(ctx context.Context, l *life, as string) error {
	ctx, cancel := context.WithTimeout(ctx, standbyTimeout)
	defer cancel()
	return poll(ctx, 10*time.Millisecond, "the standby to be in sync", func() (bool, error) {
		if i.standbyServer.isOver() {
			return false, fmt.Errorf("the standby has ended; the end of its log:\n%s", readTail(i.other().logFile()))
		}
		var holds bool
		err := l.db.QueryRow(ctx, `select exists (select from pg_stat_replication where application_name = $1
			and state = 'streaming' and ($2 = 'async' or sync_state = $2))`, standbyName, as).Scan(&holds)
		return holds, err
	})
}

// startStandby starts the standby. If there is none yet, it copies the primary.
func (i *instance) startStandby(ctx context.Context, l *life) error {
	to := i.other()
	if to.isStandby() {
		var keeps bool // the WAL since the standby ended
		err := l.db.QueryRow(ctx, `select exists (select from pg_replication_slots
			where slot_name = $1 and wal_status <> 'lost')`, standbyName).Scan(&keeps)
		if err == nil && keeps {
			return i.launchStandby()
		}
	}
	i.standbyServer = nil
	if err := errors.Join(to.remove(), i.engine.checkSpace(i.data())); err != nil {
		return err
	}
	if err := i.prepareReplication(ctx, l); err != nil {
		return err
	}
	making := to.data() + unfinished
	if err := errors.Join(os.Mkdir(making, 0o700), i.engine.postgres.chown(making)); err != nil {
		return err
	}
	err := i.backup(ctx, making)
	if err == nil {
		err = i.engine.postgres.mark(making, standbySignal)
	}
	if err == nil {
		err = os.Rename(making, to.data())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copying the primary: %w", err), os.RemoveAll(making))
	}
	return i.launchStandby()
}

func (i *instance) launchStandby() error {
	server := i.other()
	proc, err := server.start(i.settings(server, nil), renderHBA(nil, true))
	if err == nil {
		i.standbyServer = proc
	}
	return err
}

// prepareReplication makes the user of the standby and the slot that keeps its WAL.
func (i *instance) prepareReplication(ctx context.Context, l *life) error {
	password := rand.Text()
	secret, err := scramSecret(password)
	if err != nil {
		return err
	}
	pass := []byte("*:*:*:" + replicationUser + ":" + password + "\n")
	err = errors.Join(safefile.Replace(i.passFile(), pass, 0o600), i.engine.postgres.chown(i.passFile()))
	if err != nil {
		return err
	}
	_, err = l.db.Exec(ctx, `do $$ begin
		if not exists (select from pg_roles where rolname = '`+replicationUser+`') then
			create role `+replicationUser+` login replication;
		end if;
	end $$`)
	if err == nil {
		err = setPassword(ctx, l.db, replicationUser, secret)
	}
	for _, query := range []string{dropSlot, "select pg_create_physical_replication_slot($1, true)"} {
		if err == nil {
			_, err = l.db.Exec(ctx, query, standbyName)
		}
	}
	if err != nil {
		return fmt.Errorf("preparing the replication: %w", err)
	}
	return i.allowReplication(ctx, l)
}

// Failover makes the standby the primary, with the newest parameters. The former primary ends at once, and comes back
// as a new standby.
func (e *Engine) Failover(ctx context.Context, id string) error {
	return e.with(id, func(i *instance) error {
		if !i.canFailOver() {
			return fmt.Errorf("DB instance %s has no standby that is in sync", id)
		}
		if l := i.life; l != nil {
			waiting, err := pendingReboot(ctx, l.db)
			if err != nil {
				return err
			}
			i.life = nil
			i.end(l, false)
			if len(waiting) > 0 {
				i.stopStandby() // it starts with them
			}
		}
		return i.failOver(ctx)
	})
}

// canFailOver reports whether the standby has everything that was acknowledged.
func (i *instance) canFailOver() bool {
	return i.record.Standby != nil && i.record.Standby.InSync && i.other().isStandby()
}

// failOver makes the standby the primary, after the primary has ended. If it is interrupted, the next start of the
// instance ends it.
func (i *instance) failOver(ctx context.Context) error {
	former, next := i.record, i.record
	next.Folder, next.Address = i.other().folder, former.Standby.Address
	next.Standby = &standby{Address: former.Address}
	i.record = next
	if err := i.save(); err != nil {
		i.record = former
		return err
	}
	if tell := i.engine.failedOver; tell != nil {
		tell(i.id)
	}
	proc := i.standbyServer
	i.standbyServer = nil
	var l *life
	var err error
	if proc != nil && !proc.isOver() {
		l, err = i.answer(ctx, proc, startTimeout)
	} else {
		l, err = i.begin(ctx)
	}
	if err != nil {
		return err
	}
	i.life = l
	if err := i.reload(ctx); err != nil {
		i.life = nil
		i.end(l, false)
		return err
	}
	return i.open(ctx)
}
