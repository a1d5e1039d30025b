//go:build e2e

package rds

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writers insert numbers until they are stopped. Each is counted when its commit was acknowledged.
type writers struct {
	mu           sync.Mutex
	acknowledged map[int64]bool
	tried        int64
	stop         context.CancelFunc
	running      sync.WaitGroup
}

func write(t *testing.T, e *Engine, s Spec, sessions int) *writers {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &writers{acknowledged: map[int64]bool{}, stop: stop}
	for n := range sessions {
		c := mustLogin(t, e, s, s.MasterUsername, password)
		w.running.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				w.mu.Lock()
				w.tried++
				id := w.tried
				w.mu.Unlock()
				if _, err := c.Exec(t.Context(), "insert into written values ($1, repeat('x', 500))", id); err != nil {
					t.Errorf("writing %d: %v", id, err)
					return
				}
				w.mu.Lock()
				w.acknowledged[id] = true
				w.mu.Unlock()
				if round%50 == 0 { // files appear and disappear while they are copied
					table := fmt.Sprintf("passing_%d", n)
					passing := "create table " + table + " as select generate_series(1, 1000); drop table " + table
					if _, err := c.Exec(t.Context(), passing); err != nil {
						t.Errorf("a passing table: %v", err)
						return
					}
				}
			}
		})
	}
	return w
}

func (w *writers) now() map[int64]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := map[int64]bool{}
	for id := range w.acknowledged {
		known[id] = true
	}
	return known
}

func (w *writers) end() {
	w.stop()
	w.running.Wait()
}

func numbers(t *testing.T, c *pgx.Conn) map[int64]bool {
	t.Helper()
	rows, err := c.Query(t.Context(), "select id from written")
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	found := map[int64]bool{}
	for _, id := range ids {
		found[id] = true
	}
	return found
}

const newPassword = "another-password"

// restored creates an instance from a snapshot, and the WAL that follows it, and logs in.
func restored(t *testing.T, e *Engine, id, snapshot string, replay ...Replay) (Spec, *pgx.Conn) {
	t.Helper()
	s := spec(id)
	s.Snapshot = snapshot
	for _, r := range replay {
		s.Replay, s.Archive = &r, id
	}
	e.SetAccess(id, func(netip.Addr) error { return nil })
	_, err := e.Create(t.Context(), s, newPassword)
	require.NoError(t, err)
	return s, mustLogin(t, e, s, s.MasterUsername, newPassword)
}

func TestASnapshotUnderLoadHasWhatWasCommittedAndNothingLater(t *testing.T) {
	e := newPlace(t).open(t)
	s := spec("myshop-local")
	create(t, e, s)
	c := mustLogin(t, e, s, s.MasterUsername, password)
	exec1(t, c, "create table written (id bigint primary key, text text)")
	exec1(t, c, "create table large as select generate_series(1, 500000) as id, repeat('y', 200) as text")
	w := write(t, e, s, 4)
	defer w.end()
	for round := range 3 {
		before := w.now()
		name := fmt.Sprintf("ap-northeast-2.round-%d", round)
		require.NoError(t, e.Snapshot(t.Context(), s.Identifier, name))
		w.mu.Lock()
		tried := w.tried
		w.mu.Unlock()
		for later := tried; later < tried+100; { // the restore must not have what comes after
			w.mu.Lock()
			later = w.tried
			w.mu.Unlock()
			exec1(t, c, "select 1")
		}
		id := fmt.Sprintf("restored-%d", round)
		_, copied := restored(t, e, id, name)
		found := numbers(t, copied)
		assert.NotEmpty(t, before)
		for id := range before {
			assert.True(t, found[id], "%d was committed before the snapshot", id)
		}
		for id := range found {
			assert.LessOrEqual(t, id, tried, "%d was written after the snapshot", id)
		}
		assert.Equal(t, int64(500000), value[int64](t, copied, "select count(*) from large"))
		t.Logf("round %d: %d before, %d in the snapshot", round, len(before), len(found))
		require.NoError(t, copied.Close(t.Context()))
		require.NoError(t, e.Delete(t.Context(), id))
	}
	w.end()
	assert.Equal(t, w.now(), numbers(t, c), "the source has everything")
	assert.Zero(t, value[int64](t, c, "select count(*) from pg_replication_slots"), "no slot keeps WAL")
}

func TestSnapshotsOfStoppedInstancesCopiesAndDeletions(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s := spec("myshop-local")
	create(t, e, s)
	exec1(t, mustLogin(t, e, s, s.MasterUsername, password), "create table written as select 7::bigint as id")
	require.NoError(t, e.Stop(t.Context(), s.Identifier))
	require.NoError(t, e.Snapshot(t.Context(), s.Identifier, "stopped"))
	require.NoError(t, e.CopySnapshot(t.Context(), "stopped", "copy"))
	require.NoError(t, e.Delete(t.Context(), s.Identifier))
	require.NoError(t, e.DeleteSnapshot("stopped"))
	require.NoError(t, e.DeleteSnapshot("stopped"), "again")
	assert.False(t, e.HasSnapshot("stopped"))

	_, err := e.Create(t.Context(), Spec{
		Identifier: "other", EndpointHost: "other.example", Port: 5432, MasterUsername: "myshop_admin",
		MaxConnections: 50, Snapshot: "stopped",
	}, password)
	require.ErrorContains(t, err, "there is no snapshot stopped")
	assert.Empty(t, e.Instances())

	// The instance has the name of the one that is gone, and the password that it is given.
	again, c := restored(t, e, s.Identifier, "copy")
	assert.Equal(t, map[int64]bool{7: true}, numbers(t, c))
	_, err = login(t, e, again, s.MasterUsername, password)
	require.Error(t, err, "the password of the source")

	// What a killed engine was copying is gone at the next start, and what was complete stays.
	require.NoError(t, os.Mkdir(e.snapshotDir("killed"+unfinished), 0o700))
	e.Close()
	e = p.open(t)
	assert.NoDirExists(t, e.snapshotDir("killed"+unfinished))
	assert.True(t, e.HasSnapshot("copy"))
	assert.Equal(t, []string{s.Identifier}, e.Instances(), "a folder of snapshots is no instance")
}

func TestASnapshotThatDoesNotFitLeavesNothing(t *testing.T) {
	p := newPlace(t)
	smallDisk(t, p, 300<<20)
	e := p.open(t)
	s := spec("myshop-local")
	create(t, e, s)
	err := e.Snapshot(t.Context(), s.Identifier, "large")
	require.ErrorContains(t, err, "not enough disk space: the copy needs")
	assert.False(t, e.HasSnapshot("large"))
	assert.NoDirExists(t, e.snapshotDir("large"+unfinished))
	mustLogin(t, e, s, s.MasterUsername, password)
}
