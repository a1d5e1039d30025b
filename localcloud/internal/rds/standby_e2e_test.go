//go:build e2e

package rds

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func withStandby(t *testing.T, e *Engine) (Spec, *pgx.Conn) {
	t.Helper()
	s := spec("myshop-local")
	s.Standby, s.Archive = true, "source"
	create(t, e, s)
	c := mustLogin(t, e, s, s.MasterUsername, password)
	exec1(t, c, "create table written (id bigint primary key, text text)")
	return s, c
}

func (e *Engine) inSync(id string) (synchronous bool) {
	_ = e.with(id, func(i *instance) error {
		synchronous = i.life != nil && i.canFailOver() && i.standbyServer != nil && !i.standbyServer.isOver()
		return nil
	})
	return synchronous
}

func awaitSync(t *testing.T, e *Engine, id string) {
	t.Helper()
	require.Eventually(t, func() bool { return e.inSync(id) }, 30*time.Second, 10*time.Millisecond, "the standby is in sync")
}

// kill ends a server at once.
func kill(t *testing.T, e *Engine, id string, which func(*instance) *process) {
	t.Helper()
	require.NoError(t, e.with(id, func(i *instance) error {
		p := which(i)
		err := p.cmd.Process.Kill()
		<-p.ended
		return err
	}))
}

func primaryOf(i *instance) *process { return i.life.proc }
func standbyOf(i *instance) *process { return i.standbyServer }

// clients write through whatever serves the endpoint, and connect again after each error.
type clients struct {
	writers
	longest time.Duration
	last    time.Time
}

func (c *clients) acknowledge(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acknowledged[id] = true
	if now := time.Now(); !c.last.IsZero() {
		c.longest, c.last = max(c.longest, now.Sub(c.last)), now
	} else {
		c.last = now
	}
}

// outage returns the longest time without an acknowledged write since the last call.
func (c *clients) outage() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	longest := c.longest
	c.longest = 0
	return longest
}

func reconnecting(t *testing.T, e *Engine, s Spec, sessions int) *clients {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &clients{writers: writers{acknowledged: map[int64]bool{}, stop: stop}}
	for range sessions {
		c.running.Go(func() {
			var conn *pgx.Conn
			for ctx.Err() == nil {
				if conn == nil {
					attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
					conn, _ = connect(attempt, e, s)
					cancel()
					if conn == nil {
						continue
					}
				}
				c.mu.Lock()
				c.tried++
				id := c.tried
				c.mu.Unlock()
				_, err := conn.Exec(ctx, "insert into written values ($1, repeat('x', 200))", id)
				var refused *pgconn.PgError
				switch {
				case err == nil:
					c.acknowledge(id)
				case errors.As(err, &refused) && refused.Code == "23505":
					t.Errorf("writing %d: %v", id, err)
				default:
					_ = conn.Close(context.WithoutCancel(ctx))
					conn = nil
				}
			}
			if conn != nil {
				_ = conn.Close(context.WithoutCancel(ctx))
			}
		})
	}
	return c
}

func connect(ctx context.Context, e *Engine, s Spec) (*pgx.Conn, error) {
	return dial(ctx, e, s, s.MasterUsername, password)
}

func TestAFailoverLosesNothingThatWasAcknowledged(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	p := newPlace(t)
	e := p.open(t)
	var told []string
	var mu sync.Mutex
	e.OnFailover(func(id string) { mu.Lock(); defer mu.Unlock(); told = append(told, id) })
	s, c := withStandby(t, e)
	require.NoError(t, c.Close(t.Context()))
	assert.True(t, e.inSync(s.Identifier), "a new instance has its standby")
	w := reconnecting(t, e, s, 8)
	defer w.end()
	var outages []time.Duration
	addresses := map[netip.Addr]bool{}
	for round := range rounds {
		awaitSync(t, e, s.Identifier)
		before, err := e.Address(s.Identifier)
		require.NoError(t, err)
		written := len(w.now())
		require.Eventually(t, func() bool { return len(w.now()) > written+50 }, 30*time.Second, time.Millisecond)
		w.outage()
		if round%2 == 0 {
			kill(t, e, s.Identifier, primaryOf)
		} else {
			require.NoError(t, e.Failover(t.Context(), s.Identifier))
		}
		require.Eventually(t, func() bool {
			now, err := e.Address(s.Identifier)
			return err == nil && now != before
		}, 30*time.Second, time.Millisecond, "the other server has taken over")
		written = len(w.now())
		require.Eventually(t, func() bool { return len(w.now()) > written+50 }, 30*time.Second, time.Millisecond)
		outages = append(outages, w.outage())
		now, err := e.Address(s.Identifier)
		require.NoError(t, err)
		assert.Equal(t, now, p.address(s.EndpointHost), "the name has moved")
		addresses[now] = true
	}
	w.end()
	assert.Len(t, addresses, 2, "two servers take turns")
	c, err := connect(t.Context(), e, s)
	require.NoError(t, err)
	defer c.Close(context.Background())
	found, lost := numbers(t, c), 0
	for id := range w.now() {
		if !found[id] {
			lost++
		}
	}
	assert.Zero(t, lost, "acknowledged writes that are gone")
	mu.Lock()
	assert.Len(t, told, rounds)
	mu.Unlock()
	slices.Sort(outages)
	t.Logf("%d failovers, %d acknowledged writes, %d lost, outage median %s, worst %s", rounds, len(w.now()), lost,
		outages[len(outages)/2].Round(time.Millisecond), outages[len(outages)-1].Round(time.Millisecond))
}

func TestAStandbyThatIsNotInSyncIsNotPromoted(t *testing.T) {
	e := newPlace(t).open(t)
	s, c := withStandby(t, e)
	before, err := e.Address(s.Identifier)
	require.NoError(t, err)
	exec1(t, c, "insert into written values (1)")

	// Without its standby the primary goes on, and the standby comes back.
	kill(t, e, s.Identifier, standbyOf)
	exec1(t, c, "insert into written values (2)")
	awaitSync(t, e, s.Identifier)

	// The standby is gone when the primary ends: the primary starts where it was.
	require.NoError(t, e.with(s.Identifier, func(i *instance) error {
		return errors.Join(i.outOfSync(t.Context()), i.standbyServer.cmd.Process.Kill(), i.life.proc.cmd.Process.Kill())
	}))
	require.Eventually(t, func() bool {
		again, err := connect(t.Context(), e, s)
		if err == nil {
			c = again
		}
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	now, err := e.Address(s.Identifier)
	require.NoError(t, err)
	assert.Equal(t, before, now)
	assert.Equal(t, map[int64]bool{1: true, 2: true}, numbers(t, c))
	awaitSync(t, e, s.Identifier)

	// A standby whose WAL is gone is made again.
	require.NoError(t, e.with(s.Identifier, func(i *instance) error {
		i.stopStandby()
		_, err := i.life.db.Exec(t.Context(), dropSlot, standbyName)
		return err
	}))
	awaitSync(t, e, s.Identifier)
	require.NoError(t, e.Failover(t.Context(), s.Identifier))
	require.ErrorContains(t, e.Failover(t.Context(), s.Identifier), "no standby that is in sync")

	// Nobody logs in as the standby's user through the endpoint, and the way is closed with the standby.
	awaitSync(t, e, s.Identifier)
	require.NoError(t, e.SetStandby(t.Context(), s.Identifier, false))
	c, err = connect(t.Context(), e, s)
	require.NoError(t, err)
	defer c.Close(context.Background())
	exec1(t, c, "insert into written values (3)")
	assert.Zero(t, value[int64](t, c, "select count(*) from pg_replication_slots"))
	i, err := e.find(s.Identifier)
	require.NoError(t, err)
	assert.NoDirExists(t, i.other().data())
	hba, err := os.ReadFile(filepath.Join(i.data(), "pg_hba.conf"))
	require.NoError(t, err)
	assert.NotContains(t, string(hba), replicationUser)
	require.NoError(t, e.SetStandby(t.Context(), s.Identifier, true))
	assert.True(t, e.inSync(s.Identifier))
	require.NoError(t, e.Reboot(t.Context(), s.Identifier))
	awaitSync(t, e, s.Identifier)
}

func TestAFailoverThatWasInterruptedIsEndedByTheNextStart(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s, c := withStandby(t, e)
	exec1(t, c, "insert into written values (1)")
	require.NoError(t, e.Snapshot(t.Context(), s.Identifier, "base"))
	exec1(t, c, "insert into written values (2)")
	require.NoError(t, e.with(s.Identifier, func(i *instance) error { // as a kill leaves it
		i.stop()
		next := i.record
		next.Folder, next.Address, next.Standby = secondFolder, i.record.Standby.Address, &standby{Address: i.record.Address}
		i.record = next
		return i.save()
	}))
	e.Close()
	e = p.open(t)
	e.SetAccess(s.Identifier, func(netip.Addr) error { return nil })
	require.NoError(t, e.Start(t.Context(), s.Identifier))
	c, err := connect(t.Context(), e, s)
	require.NoError(t, err)
	assert.Equal(t, map[int64]bool{1: true, 2: true}, numbers(t, c))
	exec1(t, c, "insert into written values (3)")
	awaitSync(t, e, s.Identifier)

	// The archive goes on over the failover.
	require.NoError(t, e.Failover(t.Context(), s.Identifier))
	c, err = connect(t.Context(), e, s)
	require.NoError(t, err)
	exec1(t, c, "insert into written values (4)")
	_, err = e.Flush(t.Context(), s.Identifier)
	require.NoError(t, err)
	_, copied := restored(t, e, "restored", "base", Replay{Archive: "source"})
	assert.Equal(t, map[int64]bool{1: true, 2: true, 3: true, 4: true}, numbers(t, copied))

	// All files and processes go with the instance.
	awaitSync(t, e, s.Identifier)
	i, err := e.find(s.Identifier)
	require.NoError(t, err)
	standby := i.standbyServer
	require.NoError(t, e.Delete(t.Context(), s.Identifier))
	assert.NoDirExists(t, i.dir)
	assert.NoDirExists(t, i.socketDir())
	assert.NoDirExists(t, i.other().socketDir())
	assert.True(t, standby.isOver())
	assert.ErrorIs(t, standby.cmd.Process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

func TestTheStandbyTakesOverWhenAZoneIsGone(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s, c := withStandby(t, e)
	exec1(t, c, "insert into written values (1)")
	before, err := e.Address(s.Identifier)
	require.NoError(t, err)
	require.NoError(t, e.Isolate(t.Context(), s.Identifier, true, false))
	after, err := e.Address(s.Identifier)
	require.NoError(t, err)
	assert.NotEqual(t, before, after)
	assert.Equal(t, []netip.Addr{before}, p.dropped)
	c, err = connect(t.Context(), e, s)
	require.NoError(t, err)
	exec1(t, c, "insert into written values (2)")
	assert.False(t, e.inSync(s.Identifier), "there is no standby in a zone that is gone")
	require.NoError(t, e.Isolate(t.Context(), s.Identifier, false, false))
	assert.Empty(t, p.dropped)
	assert.True(t, e.inSync(s.Identifier))

	// The primary goes on when the standby's zone is gone.
	require.NoError(t, e.Isolate(t.Context(), s.Identifier, false, true))
	assert.Equal(t, []netip.Addr{before}, p.dropped)
	assert.False(t, e.inSync(s.Identifier))
	exec1(t, c, "insert into written values (3)")
	require.NoError(t, e.Isolate(t.Context(), s.Identifier, false, false))
	assert.True(t, e.inSync(s.Identifier))
	assert.Equal(t, map[int64]bool{1: true, 2: true, 3: true}, numbers(t, c))

	// Without a standby nothing takes over. An address that is given again is not isolated.
	require.NoError(t, e.SetStandby(t.Context(), s.Identifier, false))
	require.NoError(t, e.Isolate(t.Context(), s.Identifier, true, false))
	assert.Equal(t, []netip.Addr{after}, p.dropped)
	now, err := e.Address(s.Identifier)
	require.NoError(t, err)
	assert.Equal(t, after, now)
	require.NoError(t, e.Delete(t.Context(), s.Identifier))
	assert.Empty(t, p.dropped)
}
