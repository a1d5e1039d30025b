package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// fakeDatabase stores writes in memory. A test can break it.
type fakeDatabase struct {
	mu      sync.Mutex
	effects map[int64]int64
	// latency is that of each statement, and opening that of a connection.
	latency, opening time.Duration
	// statement is called for each statement before it is done, with the number of the statement from 1, and decides
	// what becomes of it.
	statement  func(n int) verdict
	statements int
	// down lets the next connections, preparations and lookups fail.
	down              func() bool
	open, mostOpen    int
	prepared, cleaned bool
}

// verdict is what becomes of a statement: whether it is done, and the error of its client.
type verdict struct {
	skipped bool
	err     error
}

var errDown = errors.New("connection refused")

func (d *fakeDatabase) isDown() bool { return d.down != nil && d.down() }

func (d *fakeDatabase) connect(context.Context) (session, error) {
	time.Sleep(d.opening) //nolint:forbidigo // the time of the bubble
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isDown() {
		return nil, errDown
	}
	d.open++
	d.mostOpen = max(d.mostOpen, d.open)
	return &fakeSession{d}, nil
}

func (d *fakeDatabase) prepare(context.Context) error {
	if d.isDown() {
		return errDown
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prepared = true
	d.effects = map[int64]int64{0: 1}
	return nil
}

func (d *fakeDatabase) settle(_ context.Context, effects func(id, n int64)) (string, error) {
	if d.isDown() {
		return "", errDown
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, n := range d.effects {
		effects(id, n)
	}
	return "16.14", nil
}

func (d *fakeDatabase) clean(context.Context) error {
	d.cleaned = true
	return nil
}

type fakeSession struct{ *fakeDatabase }

func (s *fakeSession) do(ctx context.Context) (verdict, error) {
	select {
	case <-time.After(s.latency):
	case <-ctx.Done():
		return verdict{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statements++
	if s.statement == nil {
		return verdict{}, nil
	}
	v := s.statement(s.statements)
	return v, nil
}

func (s *fakeSession) write(ctx context.Context, id int64) (int64, error) {
	v, err := s.do(ctx)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.effects[id]
	if !v.skipped {
		s.effects[id] = max(had, 1)
	}
	return s.effects[id] - had, v.err
}

func (s *fakeSession) read(ctx context.Context, id int64) (int64, error) {
	v, err := s.do(ctx)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.effects[id] == 0 {
		return noRow, v.err
	}
	return id, v.err
}

func (s *fakeSession) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// said is an error of the server.
func said(severity, code string) error {
	return &pgconn.PgError{Severity: severity, SeverityUnlocalized: severity, Code: code, Message: "no"}
}
