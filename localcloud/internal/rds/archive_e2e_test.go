//go:build e2e

package rds

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// large is the size of the database that restores copy, in MiB.
func large() int {
	if testing.Short() {
		return 32
	}
	return 1024
}

func archived(t *testing.T, e *Engine) (Spec, *pgx.Conn) {
	t.Helper()
	s := spec("myshop-local")
	s.Archive, s.Parameters = "source", map[string]string{"track_commit_timestamp": "on"}
	create(t, e, s)
	c := mustLogin(t, e, s, s.MasterUsername, password)
	exec1(t, c, "create table written (id bigint primary key, text text)")
	return s, c
}

func clock(t *testing.T, c *pgx.Conn) time.Time {
	t.Helper()
	return value[time.Time](t, c, "select clock_timestamp()")
}

// more waits until so many more rows have been written.
func (w *writers) more(t *testing.T, c *pgx.Conn, rows int) {
	t.Helper()
	for from := len(w.now()); len(w.now()) < from+rows; {
		exec1(t, c, "select pg_sleep(0.001)")
	}
}

// sameUntil asserts that a copy has exactly the rows that were committed until a time. PostgreSQL replays in the order
// of its log, in which commits of the same millisecond can be in another order than their times.
func sameUntil(t *testing.T, source, copied *pgx.Conn, until time.Time) {
	t.Helper()
	const query = "select id, pg_xact_commit_timestamp(xmin) from written"
	rows, err := source.Query(t.Context(), query)
	require.NoError(t, err)
	type commit struct {
		ID int64
		At time.Time
	}
	commits, err := pgx.CollectRows(rows, pgx.RowToStructByPos[commit])
	require.NoError(t, err)
	found := numbers(t, copied)
	until = until.Truncate(time.Microsecond)
	expected := 0
	for _, c := range commits {
		if d := c.At.Sub(until); d.Abs() < time.Millisecond {
			delete(found, c.ID)
			continue
		}
		if !c.At.After(until) {
			expected++
			assert.True(t, found[c.ID], "%d was committed at %s", c.ID, c.At)
		} else {
			assert.False(t, found[c.ID], "%d was committed at %s, after %s", c.ID, c.At, until)
		}
	}
	assert.Len(t, found, expected)
	t.Logf("%d of %d rows were committed until %s", expected, len(commits), until.Format(time.TimeOnly+".000"))
}

func TestATimeIsRestoredWithExactlyWhatWasCommittedUntilThen(t *testing.T) {
	e := newPlace(t).open(t)
	s, c := archived(t, e)
	exec1(t, c, fmt.Sprintf("create table large as select id, repeat('y', 1000) as text "+
		"from generate_series(1, %d) as id", large()*1000))
	w := write(t, e, s, 4)
	defer w.end()
	w.more(t, c, 100)
	began := time.Now()
	require.NoError(t, e.Snapshot(t.Context(), s.Identifier, "base"))
	t.Logf("the snapshot of %d MiB took %s", large(), time.Since(began).Round(time.Millisecond))
	var times []time.Time
	for range 3 {
		w.more(t, c, 500)
		times = append(times, clock(t, c))
	}
	w.more(t, c, 500)
	restorable, err := e.Flush(t.Context(), s.Identifier)
	require.NoError(t, err)
	w.end()
	for n, until := range append(times, restorable) {
		began := time.Now()
		id := fmt.Sprintf("restored-%d", n)
		again, copied := restored(t, e, id, "base", Replay{Archive: "source", Until: until})
		t.Logf("restored in %s", time.Since(began).Round(time.Millisecond))
		sameUntil(t, c, copied, until)
		assert.Equal(t, int64(large()*1000), value[int64](t, copied, "select count(*) from large"))
		assert.False(t, value[bool](t, copied, "select pg_is_in_recovery()"))
		exec1(t, copied, "insert into written values (-1, 'a line of its own')")
		waits, err := e.PendingReboot(t.Context(), again.Identifier)
		require.NoError(t, err)
		assert.Empty(t, waits, "no setting of the recovery is left")
		require.NoError(t, e.Delete(t.Context(), id))
	}

	// A time that the archive does not reach is refused, and nothing is left.
	s.Identifier, s.Snapshot, s.Replay = "beyond", "base", &Replay{Archive: "source", Until: restorable.Add(time.Hour)}
	_, err = e.Create(t.Context(), s, password)
	require.ErrorContains(t, err, "recovery ended before configured recovery target was reached")
	assert.NotContains(t, e.Instances(), "beyond")
	assert.NoDirExists(t, filepath.Join(e.cfg.Dir, "beyond"))
}

func TestARestoredInstanceIsRestoredAndTheArchiveOutlivesItsInstance(t *testing.T) {
	p := newPlace(t)
	e := p.open(t)
	s, c := archived(t, e)
	exec1(t, c, "insert into written values (1)")
	require.NoError(t, e.Snapshot(t.Context(), s.Identifier, "base"))
	exec1(t, c, "insert into written values (2)")
	_, err := e.Flush(t.Context(), s.Identifier)
	require.NoError(t, err)
	first, err := os.ReadDir(e.archiveDir("source"))
	require.NoError(t, err)
	require.NoError(t, e.Snapshot(t.Context(), s.Identifier, "second"))
	exec1(t, c, "insert into written values (3)")
	until, err := e.Flush(t.Context(), s.Identifier)
	require.NoError(t, err)
	exec1(t, c, "insert into written values (4)")
	_, err = e.Flush(t.Context(), s.Identifier)
	require.NoError(t, err)

	// The second snapshot needs nothing of what the first one did.
	before, err := e.ArchiveSize("source")
	require.NoError(t, err)
	assert.Positive(t, before)
	require.NoError(t, e.TrimArchive("source", "second"))
	assert.NoFileExists(t, filepath.Join(e.archiveDir("source"), first[0].Name()))
	after, err := e.ArchiveSize("source")
	require.NoError(t, err)
	assert.Less(t, after, before)

	require.NoError(t, e.Delete(t.Context(), s.Identifier))
	_, copied := restored(t, e, "later", "second", Replay{Archive: "source", Until: until})
	assert.Equal(t, map[int64]bool{1: true, 2: true, 3: true}, numbers(t, copied))
	_, everything := restored(t, e, "latest", "second", Replay{Archive: "source"})
	assert.Equal(t, map[int64]bool{1: true, 2: true, 3: true, 4: true}, numbers(t, everything))

	// A copy has another timeline, and an archive of its own.
	require.NoError(t, e.Snapshot(t.Context(), "later", "of-the-copy"))
	exec1(t, copied, "insert into written values (5)")
	_, err = e.Flush(t.Context(), "later")
	require.NoError(t, err)
	require.NoError(t, e.Reboot(t.Context(), "later"))
	copied = mustLogin(t, e, spec("later"), "myshop_admin", newPassword)
	exec1(t, copied, "insert into written values (6)")
	_, err = e.Flush(t.Context(), "later")
	require.NoError(t, err)
	_, again := restored(t, e, "again", "of-the-copy", Replay{Archive: "later"})
	assert.Equal(t, map[int64]bool{1: true, 2: true, 3: true, 5: true, 6: true}, numbers(t, again))

	// Backups can be turned off and on, without a restart.
	require.NoError(t, e.SetArchive(t.Context(), "later", ""))
	_, err = e.Flush(t.Context(), "later")
	require.ErrorContains(t, err, "has no archive")
	require.NoError(t, e.SetArchive(t.Context(), "later", "another"))
	_, err = e.Flush(t.Context(), "later")
	require.NoError(t, err)

	require.NoError(t, e.KeepBackups([]string{"second"}, []string{"another"}))
	assert.True(t, e.HasSnapshot("second"))
	assert.False(t, e.HasSnapshot("base"))
	assert.NoDirExists(t, e.archiveDir("source"))
	assert.DirExists(t, e.archiveDir("another"))
	require.NoError(t, e.DeleteArchive("another"))
	require.NoError(t, e.DeleteArchive("another"), "again")
}

// PostgreSQL keeps the WAL that it cannot archive, and archives it when there is room again.
func TestAFullArchiveLosesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a small disk: run it as root")
	}
	p := newPlace(t)
	e := p.open(t)
	dir := e.archiveDir("source")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"))
	mounted := true
	unmount := func() {
		if mounted {
			require.NoError(t, syscall.Unmount(dir, 0))
			mounted = false
		}
	}
	t.Cleanup(unmount)
	s, c := archived(t, e)
	require.NoError(t, e.Snapshot(t.Context(), s.Identifier, "base"))
	exec1(t, c, "insert into written select id, md5(id::text) from generate_series(1, 10000) as id")
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := e.Flush(short, s.Identifier)
	require.ErrorContains(t, err, "waiting for the archive to get segment")
	require.ErrorContains(t, err, "No space left on device")
	exec1(t, c, "insert into written values (0)")
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=64m"))
	_, err = e.Flush(t.Context(), s.Identifier) // PostgreSQL tries again within a minute
	require.NoError(t, err)
	_, copied := restored(t, e, "restored", "base", Replay{Archive: "source"})
	assert.Len(t, numbers(t, copied), 10001)
	require.NoError(t, copied.Close(t.Context()))
}
