package rds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

const (
	archivesFolder = ".archives"
	// archiveTimeout is how long a switched segment may take to reach the archive.
	archiveTimeout = 30 * time.Second
	// replayTimeout is how long the WAL of a restore may take.
	replayTimeout = time.Hour
	// segmentName is the length of the name of a WAL segment: timeline and number, in hexadecimal digits.
	segmentName = 24
)

// Replay is the WAL that follows the snapshot which a new instance begins with.
type Replay struct {
	// Archive is the archive that has the WAL, see [Spec].Archive.
	Archive string `json:"archive"`
	// Until is the time of the last transaction to replay. Without it, all WAL of the archive is replayed.
	Until time.Time `json:"until,omitzero"`
}

func (e *Engine) archiveDir(name string) string {
	return filepath.Join(e.cfg.Dir, archivesFolder, name)
}

// archiveCommand is the shell command by which PostgreSQL archives a segment. It keeps a segment without the zeros
// behind its end, and never a part of one under its name. Without an archive it keeps nothing.
func (e *Engine) archiveCommand(name string) string {
	if name == "" {
		return "true"
	}
	target := shellWord(e.archiveDir(name)) + "/%f"
	return fmt.Sprintf("test -f %[1]s || { cp --sparse=always %%p %[1]s.new && mv %[1]s.new %[1]s; }", target)
}

// shellWord quotes a text for the shell and for the placeholders of PostgreSQL's commands.
func shellWord(text string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "%", "%%").Replace(text) + "'"
}

// makeArchive creates the folder of an archive.
func (e *Engine) makeArchive(name string) error {
	if name == "" {
		return nil
	}
	dir := e.archiveDir(name)
	if err := errors.Join(os.MkdirAll(dir, 0o700), e.postgres.chown(dir)); err != nil {
		return fmt.Errorf("creating the archive %s: %w", name, err)
	}
	return nil
}

// SetArchive sets the archive that gets the WAL of an instance from now on, or none.
func (e *Engine) SetArchive(ctx context.Context, id, archive string) error {
	return e.with(id, func(i *instance) error {
		if i.record.Spec.Archive == archive {
			return nil
		}
		if err := e.makeArchive(archive); err != nil {
			return err
		}
		i.record.Spec.Archive = archive
		if err := i.save(); err != nil || i.life == nil {
			return err
		}
		return i.reload(ctx)
	})
}

// Flush brings everything that was committed into the archive of an instance. It returns a time to which the instance
// can be restored from the archive, and which is later than all these commits.
func (e *Engine) Flush(ctx context.Context, id string) (restorable time.Time, err error) {
	err = e.with(id, func(i *instance) error {
		if i.life == nil || i.record.Spec.Archive == "" {
			return fmt.Errorf("DB instance %s is stopped or has no archive", id)
		}
		ctx, cancel := context.WithTimeout(ctx, archiveTimeout)
		defer cancel()
		// A replay ends at a time only when it meets a later commit. The transaction of this message is that commit.
		var segment string
		err := pgx.BeginFunc(ctx, i.life.db, func(tx pgx.Tx) error {
			const message = "select clock_timestamp(), pg_logical_emit_message(true, 'rdsadmin', 'heartbeat')::text"
			return tx.QueryRow(ctx, message).Scan(&restorable, nil)
		})
		if err == nil {
			const last = "select pg_walfile_name(pg_current_wal_insert_lsn())"
			err = i.life.db.QueryRow(ctx, last).Scan(&segment)
		}
		if err == nil {
			_, err = i.life.db.Exec(ctx, "select pg_switch_wal()")
		}
		if err == nil {
			err = poll(ctx, 5*time.Millisecond, "the archive to get segment "+segment, func() (bool, error) {
				_, err := os.Stat(filepath.Join(e.archiveDir(i.record.Spec.Archive), segment))
				return err == nil, nil
			})
		}
		if err != nil {
			return fmt.Errorf("archiving the WAL of DB instance %s: %w; the end of its log:\n%s", id, err,
				readTail(i.logFile()))
		}
		return nil
	})
	return restorable, err
}

// TrimArchive removes the WAL that a restore from a snapshot, or from a later one, does not need.
func (e *Engine) TrimArchive(archive, snapshot string) error {
	first, err := firstSegment(e.snapshotDir(snapshot))
	if err != nil {
		return fmt.Errorf("trimming the archive %s: %w", archive, err)
	}
	entries, err := os.ReadDir(e.archiveDir(archive))
	if err != nil {
		return fmt.Errorf("trimming the archive %s: %w", archive, err)
	}
	for _, entry := range entries {
		name := entry.Name()
		// Segments are numbered through all timelines. Histories of timelines stay.
		if len(name) < segmentName || strings.HasSuffix(name, ".new") || name[8:segmentName] >= first[8:] {
			continue
		}
		if err := os.Remove(filepath.Join(e.archiveDir(archive), name)); err != nil {
			return fmt.Errorf("trimming the archive %s: %w", archive, err)
		}
	}
	return nil
}

// firstSegment reads from the label of a backup which WAL it needs first.
func firstSegment(dir string) (string, error) {
	label, err := os.ReadFile(filepath.Join(dir, "backup_label"))
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(string(label), "(file ")
	name, _, found := strings.Cut(rest, ")")
	if !found || len(name) != segmentName {
		return "", fmt.Errorf("%s/backup_label names no segment", dir)
	}
	return name, nil
}

// ArchiveSize is the disk space of an archive, in bytes.
func (e *Engine) ArchiveSize(archive string) (int64, error) {
	size, err := diskSpace(e.archiveDir(archive))
	if err != nil {
		return 0, fmt.Errorf("reading the size of the archive %s: %w", archive, err)
	}
	return size, nil
}

// Usage is the disk space, in bytes, of everything in an engine's folder. Blocks that a snapshot shares with its
// database count for both.
type Usage struct {
	Databases int64 `json:"databases"`
	Snapshots int64 `json:"snapshots"`
	Archives  int64 `json:"archives"`
}

// ReadUsage reads how much disk space an engine's folder uses. A folder that does not exist uses none.
func ReadUsage(dir string) (u Usage, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return u, fmt.Errorf("reading the disk space of the databases: %w", err)
	}
	for _, entry := range entries {
		size, err := diskSpace(filepath.Join(dir, entry.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return u, fmt.Errorf("reading the disk space of the databases: %w", err)
		}
		switch entry.Name() {
		case snapshotsFolder:
			u.Snapshots += size
		case archivesFolder:
			u.Archives += size
		default:
			u.Databases += size
		}
	}
	return u, nil
}

// diskSpace is the disk space of the files below a path, in bytes. A file that is deleted meanwhile counts as none.
func diskSpace(root string) (size int64, err error) {
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		var stat unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &stat)
		}
		if err != nil && (path == root || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
		size += stat.Blocks * 512 // the zeros of a segment use none
		return nil
	})
	return size, err
}

// DeleteArchive deletes an archive. It succeeds if there is none.
func (e *Engine) DeleteArchive(archive string) error {
	if err := os.RemoveAll(e.archiveDir(archive)); err != nil {
		return fmt.Errorf("deleting the archive %s: %w", archive, err)
	}
	return nil
}

// KeepBackups deletes all snapshots and archives but these. What a killed deletion has left goes with them.
func (e *Engine) KeepBackups(snapshots, archives []string) error {
	var failed []error
	for folder, keep := range map[string][]string{snapshotsFolder: snapshots, archivesFolder: archives} {
		entries, err := os.ReadDir(filepath.Join(e.cfg.Dir, folder))
		failed = append(failed, err)
		for _, entry := range entries {
			if !slices.Contains(keep, entry.Name()) && !strings.HasSuffix(entry.Name(), unfinished) {
				failed = append(failed, os.RemoveAll(filepath.Join(e.cfg.Dir, folder, entry.Name())))
			}
		}
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("deleting backups that nothing refers to: %w", err)
	}
	return nil
}

// restoreCommand is the shell command by which PostgreSQL reads a segment from an archive. PostgreSQL takes a failure
// for the end of the archive, and would go on without what was committed after it. Only an exit code above 125 ends the
// recovery: that of a segment which is there and cannot be copied, for example because the disk is full.
func (e *Engine) restoreCommand(archive string) string {
	source := shellWord(e.archiveDir(archive)) + "/%f"
	return fmt.Sprintf("test -f %[1]s || exit 1; cp %[1]s %%p || exit 126", source)
}

// replay replays the WAL of an archive on the data folder of a new instance.
func (i *instance) replay(ctx context.Context) error {
	r := i.record.Spec.Replay
	if err := i.engine.postgres.mark(i.data(), "recovery.signal"); err != nil {
		return err
	}
	recovery := map[string]string{
		"restore_command":        i.engine.restoreCommand(r.Archive),
		"recovery_target_action": "promote",
	}
	if !r.Until.IsZero() {
		recovery["recovery_target_time"] = r.Until.UTC().Format("2006-01-02 15:04:05.999999-07")
	}
	l, err := i.beginWith(ctx, recovery, replayTimeout)
	if err != nil {
		return err
	}
	// The next start is without the settings of the recovery.
	i.end(l, true)
	return nil
}
