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

// shown is an output without secrets. Each write must contain whole secrets, so it is a line or more.
type shown struct {
	to    io.Writer
	clean func(string) string
}

func (s *shown) Write(text []byte) (int, error) {
	if _, err := io.WriteString(s.to, s.clean(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// hiding returns an output that does not show the secrets that are known when something is written.
func (a *app) hiding(to io.Writer) io.Writer {
	return &shown{to: to, clean: func(text string) string { return a.secrets.Clean(text) }}
}

// hideSecrets makes stdout and stderr hide secrets.
func (a *app) hideSecrets() {
	if a.exact == nil {
		a.exact, a.stdout, a.stderr = a.stdout, a.hiding(a.stdout), a.hiding(a.stderr)
	}
}

// surviveClosedPipes makes a write to a closed pipe an error. By default, one to standard output ends a Go program at
// once, in the middle of an update. Ignoring the signal would be inherited by the engine and by kubectl.
func surviveClosedPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
