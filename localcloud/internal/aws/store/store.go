package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Store holds a document of type T, safe for concurrent use. T must survive a round trip through JSON.
type Store[T any] struct {
	path string

	mu   sync.RWMutex
	text []byte // the document as it is on disk
	doc  *T
}

// Open reads the document at path. If the file does not exist, Open creates it with the document that initial returns.
// Only the owner can read the folder and the file.
func Open[T any](path string, initial func() (*T, error)) (*Store[T], error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("creating the folder of %s: %w", path, err)
	}
	s := &Store[T]{path: path}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		doc, err := initial()
		if err != nil {
			return nil, err
		}
		if err := s.replace(doc); err != nil {
			return nil, err
		}
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("reading the state: %w", err)
	}
	doc := new(T)
	// The error is left out: encoding/json may quote the document, which holds secrets.
	if json.Unmarshal(text, doc) != nil {
		return nil, fmt.Errorf(
			"state file %s is damaged: restore it, or delete the local cloud's state and start again",
			path)
	}
	s.doc, s.text = doc, text
	return s, nil
}

// Read returns the current document. The caller can keep parts of it and must not change it. The store never changes a
// document that it has returned.
func (s *Store[T]) Read() *T {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.doc
}

// Update calls change with a copy of the document, writes the copy to disk and makes it the current document. If change
// fails, nothing is changed. change must be quick and must not call the store.
func (s *Store[T]) Update(change func(*T) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := new(T)
	if json.Unmarshal(s.text, next) != nil {
		return fmt.Errorf("the state of %s cannot be copied as JSON", s.path)
	}
	if err := change(next); err != nil {
		return err
	}
	return s.replace(next)
}

func (s *Store[T]) replace(doc *T) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return errors.New("the state cannot be encoded as JSON")
	}
	if err := writeFile(s.path, text); err != nil {
		return err
	}
	// Readers get the document as a restart would read it.
	kept := new(T)
	if json.Unmarshal(text, kept) != nil {
		return fmt.Errorf("the state of %s cannot be copied as JSON", s.path)
	}
	s.doc, s.text = kept, text
	return nil
}

// WriteFile writes a file of mode 0600 atomically and durably.
func WriteFile(path string, text []byte) error { return writeFile(path, text) }

func writeFile(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // has mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	_, writing := f.Write(text)
	if err := errors.Join(writing, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// RemoveLeftovers deletes the temporary files that a killed process left beside the document.
func RemoveLeftovers(path string) error {
	old, err := filepath.Glob(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".*"))
	if err != nil {
		return err
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
