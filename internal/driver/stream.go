package driver

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// stream is an output that a run survives. A reader that left, as in `dbtier up | head`, discards what follows and is
// no error. Any other failed write, such as that to a full disk, is kept in err, because commands do not check each
// line.
type stream struct {
	to   io.Writer
	mu   sync.Mutex
	gone bool
	err  error
}

func (s *stream) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || s.err != nil {
		return len(text), s.err
	}
	n, err := s.to.Write(text)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		s.gone = true
		return len(text), nil
	}
	s.err = err
	return n, err
}

// failure is the error of the first write that failed.
func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// surviveClosedPipes makes a write to a closed pipe an error. By default, one to standard output ends a Go program at
// once, in the middle of an update. Ignoring the signal would be inherited by the engine and by kubectl.
func surviveClosedPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
