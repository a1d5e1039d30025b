package rds

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"dbtier/localcloud/internal/safefile"
)

const (
	firstFolder  = "data"
	secondFolder = "data-2"

	standbySignal = "standby.signal"
)

// member is one PostgreSQL of an instance: its primary or its standby.
type member struct {
	instance *instance
	folder   string
}

func (i *instance) primary() member {
	if i.record.Folder == secondFolder {
		return member{i, secondFolder}
	}
	return member{i, firstFolder}
}

// other is the member that is not the primary: the standby, if there is one.
func (i *instance) other() member {
	if i.record.Folder == secondFolder {
		return member{i, firstFolder}
	}
	return member{i, secondFolder}
}

func (m member) data() string { return filepath.Join(m.instance.dir, m.folder) }

func (m member) logFile() string {
	name := "postgresql.log"
	if m.folder == secondFolder {
		name = "postgresql-2.log"
	}
	return filepath.Join(m.instance.dir, "log", name)
}

func (m member) socketDir() string {
	if m.folder == secondFolder {
		return m.instance.engine.socketDir(m.instance.id + "/" + m.folder)
	}
	return m.instance.engine.socketDir(m.instance.id)
}

func (m member) makeSocketDir() error {
	if err := os.MkdirAll(m.socketDir(), 0o700); err != nil {
		return fmt.Errorf("creating the socket folder of DB instance %s: %w", m.instance.id, err)
	}
	return m.instance.engine.postgres.chown(m.socketDir())
}

// remove deletes the files of the member, and ends a PostgreSQL that outlived its local cloud.
func (m member) remove() error {
	if _, err := os.Stat(m.data()); err == nil {
		if err := clearStale(m.data(), m.socketDir()); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(m.data()), os.RemoveAll(m.data()+unfinished), os.RemoveAll(m.socketDir()))
}

// start writes the configuration and starts PostgreSQL. It does not wait until it answers.
func (m member) start(settings, hba []byte) (*process, error) {
	if err := errors.Join(m.makeSocketDir(), os.MkdirAll(filepath.Dir(m.logFile()), 0o700)); err != nil {
		return nil, err
	}
	if err := clearStale(m.data(), m.socketDir()); err != nil {
		return nil, err
	}
	for name, text := range map[string][]byte{
		"postgresql.conf": settings,
		"pg_hba.conf":     hba,
		"pg_ident.conf":   renderIdent(m.instance.engine.osUser),
	} {
		if err := safefile.Replace(filepath.Join(m.data(), name), text, 0o644); err != nil {
			return nil, err
		}
	}
	return m.instance.engine.postgres.startPostmaster(m.data(), m.logFile())
}

// isStandby reports whether the folder is that of a standby.
func (m member) isStandby() bool {
	_, err := os.Stat(filepath.Join(m.data(), standbySignal))
	return err == nil
}

// promote tells a standby to become a primary. It does nothing for a primary. A PostgreSQL that has just started may
// miss it, so it is repeated. Before PostgreSQL has written its process number, the signal would end it.
func (m member) promote(proc *process) error {
	if _, err := os.Stat(filepath.Join(m.data(), "postmaster.pid")); err != nil || !m.isStandby() {
		return nil //nolint:nilerr // it has not started yet
	}
	// PostgreSQL removes the file when it has seen it.
	err := m.instance.engine.postgres.mark(m.data(), "promote")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("promoting the standby: %w", err)
	}
	_ = proc.cmd.Process.Signal(syscall.SIGUSR1) // a process that has ended is found elsewhere
	return nil
}
