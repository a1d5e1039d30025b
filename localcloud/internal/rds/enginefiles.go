package rds

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

const (
	socketsFolder  = ".sockets"
	templatePrefix = ".template-"
)

// socketDir returns the folder of an instance's socket. Its name is a hash, because an identifier can have 63
// characters and the path of a socket only 107 bytes.
func (e *Engine) socketDir(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(e.cfg.Dir, socketsFolder, hex.EncodeToString(sum[:6]))
}

// load reads the instances whose creation was completed.
func (e *Engine) load() error {
	entries, err := os.ReadDir(e.cfg.Dir)
	if err != nil {
		return fmt.Errorf("looking for DB instances: %w", err)
	}
	for _, entry := range entries {
		i := &instance{engine: e, id: entry.Name(), dir: filepath.Join(e.cfg.Dir, entry.Name())}
		text, err := os.ReadFile(i.recordFile())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading DB instance %s: %w", i.id, err)
		}
		if err := json.Unmarshal(text, &i.record); err != nil {
			return fmt.Errorf("reading DB instance %s: %s: %w", i.id, i.recordFile(), err)
		}
		e.instances[i.id] = i
		i.replicated.Store(i.record.Standby != nil)
		e.noteAddresses(i)
	}
	return nil
}

// dataTemplate returns the data folder from which instances are copied. It is created at the first call.
func (e *Engine) dataTemplate() (string, error) {
	e.templateMu.Lock()
	defer e.templateMu.Unlock()
	if e.template != "" {
		return e.template, nil
	}
	version, err := e.postgres.version(e.ctx)
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s%s-%d", templatePrefix, version, templateVersion)
	dir := filepath.Join(e.cfg.Dir, name)
	if err := e.postgres.makeTemplate(e.ctx, dir); err != nil {
		return "", err
	}
	e.removeOldTemplates(name)
	e.template = dir
	return dir, nil
}

func (e *Engine) removeOldTemplates(keep string) {
	old, err := filepath.Glob(filepath.Join(e.cfg.Dir, templatePrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range old {
		if filepath.Base(dir) != keep {
			if err := os.RemoveAll(dir); err != nil {
				e.log.Warn("removing an old template", "error", err)
			}
		}
	}
}

// freeAddress returns the lowest free address of the prefix.
func (e *Engine) freeAddress() (netip.Addr, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var taken []netip.Addr
	for _, each := range e.addresses {
		taken = append(taken, each...)
	}
	network := e.cfg.Prefix.Masked()
	for addr := network.Addr().Next(); network.Contains(addr.Next()); addr = addr.Next() {
		if !slices.Contains(taken, addr) {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no address is left in %s for another DB instance: delete an instance", network)
}

func socketPath(dir string) string {
	return filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(socketPort))
}
