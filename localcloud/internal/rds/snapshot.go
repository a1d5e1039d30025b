package rds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"dbtier/localcloud/internal/safefile"
)

const (
	snapshotsFolder = ".snapshots"
	// unfinished marks a copy that is being made, or a snapshot that is being removed. Neither is a snapshot.
	unfinished = ".unfinished"
	// spare is what a copy leaves free on the disk, in bytes, for the instances.
	spare = 256 << 20
)

func (e *Engine) snapshotDir(name string) string {
	return filepath.Join(e.cfg.Dir, snapshotsFolder, name)
}

// openSnapshots creates the folder of snapshots, and removes what killed operations have left.
func (e *Engine) openSnapshots() error {
	dir := e.snapshotDir("")
	// PostgreSQL's user cannot reach the copies.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the folder of snapshots: %w", err)
	}
	// It writes its archive, and passes through the folder to it.
	archives := e.archiveDir("")
	err := errors.Join(os.MkdirAll(archives, 0o711), os.Chmod(archives, 0o711)) //nolint:gosec // see above
	if err != nil {
		return fmt.Errorf("creating the folder of archives: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"+unfinished))
	if err != nil {
		return fmt.Errorf("looking for unfinished snapshots: %w", err)
	}
	for _, each := range left {
		if err := os.RemoveAll(each); err != nil {
			return fmt.Errorf("removing an unfinished snapshot: %w", err)
		}
	}
	return nil
}

// HasSnapshot reports whether there is a complete snapshot with a name.
func (e *Engine) HasSnapshot(name string) bool {
	_, err := os.Stat(e.snapshotDir(name))
	return err == nil
}

// Snapshot copies the data of an instance, which goes on serving meanwhile. The snapshot has all transactions that were
// committed before the copy ended. A snapshot that fails leaves nothing behind; one with the same name is replaced.
func (e *Engine) Snapshot(ctx context.Context, id, name string) error {
	return e.with(id, func(i *instance) error {
		err := e.keep(name, i.data(), func(to string) error {
			if i.life == nil {
				return e.postgres.copyTree(ctx, i.data(), to)
			}
			return i.backup(ctx, to)
		})
		if err != nil {
			return fmt.Errorf("taking snapshot %s of DB instance %s: %w", name, id, e.explain(err))
		}
		return nil
	})
}

// CopySnapshot copies a snapshot.
func (e *Engine) CopySnapshot(ctx context.Context, from, to string) error {
	source := e.snapshotDir(from)
	err := e.keep(to, source, func(to string) error { return e.postgres.copyTree(ctx, source, to) })
	if err != nil {
		return fmt.Errorf("copying snapshot %s: %w", from, e.explain(err))
	}
	return nil
}

// DeleteSnapshot deletes a snapshot. It succeeds if there is none.
func (e *Engine) DeleteSnapshot(name string) error {
	dir := e.snapshotDir(name)
	err := os.Rename(dir, dir+unfinished)
	if err == nil {
		err = os.RemoveAll(dir + unfinished)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("deleting snapshot %s: %w", name, err)
	}
	return nil
}

// keep makes a snapshot from a data folder. It gets its name when it is complete.
func (e *Engine) keep(name, data string, fill func(to string) error) error {
	dir := e.snapshotDir(name)
	if err := e.checkSpace(data); err != nil {
		return err
	}
	err := errors.Join(os.RemoveAll(dir+unfinished), os.Mkdir(dir+unfinished, 0o700))
	if err == nil {
		err = errors.Join(e.postgres.chown(dir+unfinished), fill(dir+unfinished))
	}
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.Rename(dir+unfinished, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir+unfinished))
	}
	return nil
}

// checkSpace returns an error if the disk has no room for a copy of a folder.
func (e *Engine) checkSpace(dir string) error {
	size, err := treeSize(dir)
	if err != nil {
		return err
	}
	_, free, err := safefile.Disk(e.cfg.Dir)
	if err != nil {
		return err
	}
	if free < float64(size+spare) {
		return fmt.Errorf("not enough disk space: the copy needs %d MiB, and %s has %.0f MiB free, of which %d MiB "+
			"are for the instances: free some space, or delete snapshots", size>>20, e.cfg.Dir, free/(1<<20), spare>>20)
	}
	return nil
}

// nearlyFull is the free space, in bytes, below which a disk counts as full when an operation has failed: a few
// segments of the log, which PostgreSQL has just removed or could not write.
const nearlyFull = 64 << 20

// diskFull reports whether an operation failed because the disk had no room for it. PostgreSQL says so in its log,
// which is then in the error, unless the log had no room either.
func (e *Engine) diskFull(err error) bool {
	if err == nil || strings.Contains(strings.ToLower(err.Error()), syscall.ENOSPC.Error()) {
		return err != nil
	}
	return e.nearlyFull()
}

func (e *Engine) nearlyFull() bool {
	_, free, unknown := safefile.Disk(e.cfg.Dir)
	return unknown == nil && free < nearlyFull
}

// news reports whether a failed attempt has to be told. A full disk is told once, until there is room again: every
// attempt ends like it, and PostgreSQL can start and end again in between. told remembers that, for one server.
func (e *Engine) news(told *bool, err error) bool {
	full := e.diskFull(err)
	again := full && *told
	*told = full || *told && e.nearlyFull()
	return err != nil && !again
}

// explain adds what is missing, and what helps, to the error of a full disk.
func (e *Engine) explain(err error) error {
	if !e.diskFull(err) {
		return err
	}
	return fmt.Errorf("not enough disk space: %s has become full: free some space, or delete snapshots: %w", e.cfg.Dir,
		err)
}

// treeSize is the size of the files of a folder, in bytes. Files can disappear meanwhile.
func treeSize(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			info, statErr := entry.Info()
			if err = statErr; err == nil {
				size += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading the size of %s: %w", dir, err)
	}
	return size, nil
}

// transient are the folders whose files a server makes at its start, and pg_wal, which backup copies last.
var transient = []string{
	"pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans",
}

// backup copies the data of a running PostgreSQL by its protocol for backups ("Making a Base Backup Using the Low Level
// API"). A slot that ends with the session keeps the WAL that the copy needs.
func (i *instance) backup(ctx context.Context, to string) error {
	acquired, err := i.life.db.Acquire(ctx)
	if err != nil {
		return err
	}
	// The session ends with the copy, and ends the backup and the slot if the copy fails.
	conn := acquired.Hijack()
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "set statement_timeout = 0"); err != nil { // a checkpoint under load takes its time
		return err
	}
	if _, err := conn.Exec(ctx, "select pg_create_physical_replication_slot('snapshot', true, true)"); err != nil {
		return err
	}
	var first, last, label string
	if err := conn.QueryRow(ctx, "select pg_walfile_name(pg_backup_start('snapshot', true))").Scan(&first); err != nil {
		return err
	}
	if err := i.engine.postgres.copyRunning(ctx, i.data(), to); err != nil {
		return err
	}
	const stop = "select pg_walfile_name(lsn), labelfile from pg_backup_stop(wait_for_archive => false)"
	if err := conn.QueryRow(ctx, stop).Scan(&last, &label); err != nil {
		return err
	}
	if err := i.copyWAL(to, first, last); err != nil {
		return err
	}
	labelFile := filepath.Join(to, "backup_label")
	return errors.Join(safefile.Replace(labelFile, []byte(label), 0o600), i.engine.postgres.chown(labelFile))
}

// copyWAL copies the segments from the first to the last one, and the histories of timelines.
func (i *instance) copyWAL(to, first, last string) error {
	const folder = "pg_wal"
	entries, err := os.ReadDir(filepath.Join(i.data(), folder))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		segment := len(name) == len(first) && first <= name && name <= last
		if !segment && !strings.HasSuffix(name, ".history") {
			continue
		}
		target := filepath.Join(to, folder, name)
		if err := copyFile(filepath.Join(i.data(), folder, name), target); err != nil {
			return err
		}
		if err := i.engine.postgres.chown(target); err != nil {
			return err
		}
	}
	return nil
}
