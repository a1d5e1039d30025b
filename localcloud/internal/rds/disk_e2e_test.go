//go:build e2e

package rds

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// disk is a disk of its own, which has everything of an engine.
type disk struct {
	t   *testing.T
	dir string
}

func smallDisk(t *testing.T, p *place, size int64) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a small disk: run it as root")
	}
	d := &disk{t, filepath.Join(p.dir, "postgres")}
	require.NoError(t, os.MkdirAll(d.dir, 0o711))
	require.NoError(t, syscall.Mount("tmpfs", d.dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)))
	t.Cleanup(func() { _ = syscall.Unmount(d.dir, 0) }) // after the end of the engine
	return d
}

func (d *disk) resize(size int64) error {
	return syscall.Mount("", d.dir, "", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size))
}

// grow makes room for everything.
func (d *disk) grow() {
	d.t.Helper()
	require.NoError(d.t, d.resize(4<<30))
}

// leave makes the disk so small that so many bytes are free. Others write meanwhile, so it can take several attempts.
func (d *disk) leave(ctx context.Context, free int64) error {
	for ctx.Err() == nil {
		var now syscall.Statfs_t
		if err := syscall.Statfs(d.dir, &now); err != nil {
			return err
		}
		if d.resize(int64(now.Blocks-now.Bfree)*now.Bsize+free) == nil {
			return nil
		}
	}
	return ctx.Err()
}

// leaveWhen leaves so many bytes as soon as there is a file.
func (d *disk) leaveWhen(ctx context.Context, file string, free int64) (done <-chan error) {
	end := make(chan error, 1)
	go func() {
		err := poll(ctx, time.Millisecond, file, func() (bool, error) {
			_, err := os.Stat(file)
			return err == nil, nil
		})
		if err == nil {
			err = d.leave(ctx, free)
		}
		end <- err
	}()
	return end
}

// has asserts that an instance has everything that clients were told to be committed.
func (c *clients) has(t *testing.T, e *Engine, s Spec) {
	t.Helper()
	c.end()
	conn, err := connect(t.Context(), e, s)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	found, lost := numbers(t, conn), 0
	for id := range c.now() {
		if !found[id] {
			lost++
		}
	}
	assert.Zero(t, lost, "acknowledged writes that are gone, of %d", len(c.now()))
}

// goesOn waits until clients can write again.
func (c *clients) goesOn(t *testing.T) {
	t.Helper()
	written := len(c.now())
	require.Eventually(t, func() bool { return len(c.now()) > written+50 }, time.Minute, 10*time.Millisecond,
		"writes are acknowledged")
}

func TestARestoreThatDoesNotFitLeavesNothingAndIsRepeatedWithMoreRoom(t *testing.T) {
	const id = "restored"
	latest, beforeLoss := &Replay{Archive: "source"}, &Replay{Archive: "source"}
	for name, c := range map[string]struct {
		replay *Replay
		// file appears when the disk becomes full. Without it, the disk is full before.
		file string
		free int64
		says string
	}{
		"before it begins":                  {nil, "", spare / 2, "the copy needs"},
		"a restore to a time, at the begin": {latest, "", spare / 2, "the copy needs"},
		"while the data is copied":          {nil, "data/base/1", 8 << 20, "has become full"},
		"while the log is replayed":         {latest, "data/postmaster.pid", 8 << 20, "has become full"},
		"while it is replayed to a time":    {beforeLoss, "data/postmaster.pid", 8 << 20, "has become full"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			d := smallDisk(t, p, 4<<30)
			e := p.open(t)
			s, conn := archived(t, e)
			exec1(t, conn, "create table large as select id, repeat('y', 1000) from generate_series(1, 100000) as id")
			require.NoError(t, e.Snapshot(t.Context(), s.Identifier, "base"))
			exec1(t, conn, "create table later as select id, repeat('z', 1000) from generate_series(1, 100000) as id")
			until, err := e.Flush(t.Context(), s.Identifier)
			require.NoError(t, err)
			w := reconnecting(t, e, s, 2)
			defer w.end()
			w.goesOn(t)

			again := spec(id)
			again.Snapshot = "base"
			if c.replay != nil {
				replay := *c.replay
				if c.replay == beforeLoss {
					replay.Until = until
				}
				again.Replay, again.Archive = &replay, id
			}
			e.SetAccess(id, func(netip.Addr) error { return nil })
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var full <-chan error
			if c.file == "" {
				require.NoError(t, d.leave(ctx, c.free))
			} else {
				full = d.leaveWhen(ctx, filepath.Join(d.dir, id, c.file), c.free)
			}
			_, err = e.Create(t.Context(), again, newPassword)
			cancel()
			if full != nil {
				require.NoError(t, <-full, "the disk has become full")
			}
			require.ErrorContains(t, err, c.says)
			assert.Equal(t, 1, strings.Count(err.Error(), "not enough disk space"), "%v", err)
			assert.Contains(t, err.Error(), "free some space, or delete snapshots")
			t.Log(err)
			assert.Equal(t, []string{s.Identifier}, e.Instances())
			assert.NoDirExists(t, filepath.Join(d.dir, id))
			assert.NoDirExists(t, e.socketDir(id))
			assert.NoDirExists(t, e.archiveDir(id))

			d.grow()
			w.goesOn(t)
			_, err = e.Create(t.Context(), again, newPassword)
			require.NoError(t, err)
			copied := mustLogin(t, e, again, s.MasterUsername, newPassword)
			assert.Equal(t, 100000, value[int](t, copied, "select count(*) from large"))
			if again.Replay != nil {
				assert.Equal(t, 100000, value[int](t, copied, "select count(*) from later"))
			}
			w.has(t, e, s)
		})
	}
}

// PostgreSQL takes a failed command for the end of the archive. What comes after it would be missing without a word.
func TestARestoreWhoseLogCannotBeReadFails(t *testing.T) {
	e := newPlace(t).open(t)
	s, c := archived(t, e)
	require.NoError(t, e.Snapshot(t.Context(), s.Identifier, "base"))
	exec1(t, c, "insert into written values (1)")
	segment := value[string](t, c, "select pg_walfile_name(pg_current_wal_insert_lsn())")
	_, err := e.Flush(t.Context(), s.Identifier)
	require.NoError(t, err)
	file := filepath.Join(e.archiveDir("source"), segment)
	require.NoError(t, os.Chmod(file, 0))
	again := spec("restored")
	again.Snapshot, again.Replay = "base", &Replay{Archive: "source"}
	_, err = e.Create(t.Context(), again, newPassword)
	require.ErrorContains(t, err, `could not restore file "`+segment+`" from archive`)
	assert.Equal(t, []string{s.Identifier}, e.Instances())
	require.NoError(t, os.Chmod(file, 0o600))
	_, copied := restored(t, e, "restored", "base", Replay{Archive: "source"})
	assert.Equal(t, map[int64]bool{1: true}, numbers(t, copied))
}

func TestAFailoverOnAFullDiskLosesNothingAndEndsWithMoreRoom(t *testing.T) {
	for name, c := range map[string]struct {
		// free is too little for the record of the failover, or enough for it and too little for the promotion.
		free int64
		// standbyFirst ends the standby before the primary, which then waits for it.
		standbyFirst, restart bool
	}{
		"no room for the record":                     {},
		"no room for the promotion":                  {free: 1 << 20},
		"no room for the record, until a restart":    {restart: true},
		"no room for the promotion, until a restart": {free: 1 << 20, restart: true},
		"the standby ends before":                    {standbyFirst: true},
		"the standby ends before, until a restart":   {standbyFirst: true, restart: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			d := smallDisk(t, p, 4<<30)
			e := p.open(t)
			s, conn := withStandby(t, e)
			require.NoError(t, conn.Close(t.Context()))
			w := reconnecting(t, e, s, 4)
			defer w.end()
			w.goesOn(t)
			awaitSync(t, e, s.Identifier)
			require.NoError(t, d.leave(t.Context(), c.free))
			end := func(which func(*instance) *process) {
				t.Helper()
				require.NoError(t, e.with(s.Identifier, func(i *instance) error {
					if i.life == nil || which(i) == nil || which(i).isOver() {
						return nil // it has ended by itself
					}
					return which(i).cmd.Process.Kill()
				}))
			}
			fails := func(what string) {
				t.Helper()
				require.Eventually(t, func() bool { return len(p.log.errors(what)) > 0 }, time.Minute, 10*time.Millisecond)
				assert.Contains(t, p.log.errors(what)[0], "not enough disk space")
				assert.Contains(t, p.log.errors(what)[0], "free some space, or delete snapshots")
			}
			if c.standbyFirst {
				end(standbyOf)
				fails("the standby is not in sync")
			}
			end(primaryOf)
			fails("restarting PostgreSQL failed")
			if c.restart {
				e.Close()
				d.grow()
				e = p.open(t)
				e.SetAccess(s.Identifier, func(netip.Addr) error { return nil })
				require.NoError(t, e.Start(t.Context(), s.Identifier))
				w.end()
			} else {
				d.grow()
				w.goesOn(t)
			}
			awaitSync(t, e, s.Identifier)
			w.has(t, e, s)
			said := p.log.errors("not enough disk space")
			assert.LessOrEqual(t, len(said), 2, "one for each server, and not one for each attempt: %s", said)
			t.Logf("%d acknowledged writes, %d errors of the full disk", len(w.now()), len(said))
		})
	}
}
