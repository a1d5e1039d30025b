package driver

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
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
	return &shown{to: to, clean: func(text string) string { return a.asTyped(a.secrets.Clean(text)) }}
}

// hideSecrets makes stdout and stderr hide secrets.
func (a *app) hideSecrets() {
	if a.hides {
		return
	}
	if a.hides = true; a.exact == nil {
		a.exact = a.stdout
	}
	a.stdout, a.stderr = a.hiding(a.stdout), a.hiding(a.stderr)
}

// command matches the name of the program at the beginning of a command in a message: in quotes of code, or after a
// colon. Elsewhere it is a name.
var command = regexp.MustCompile(`(\x60|: )(?:bin/)?dbtier ([a-z]+)`)

// asTyped gives commands in messages the name that the person has typed for this program, so that they can be copied.
func (a *app) asTyped(text string) string {
	if a.typed == "" || !strings.Contains(text, "dbtier ") {
		return text
	}
	return command.ReplaceAllStringFunc(text, func(found string) string {
		parts := command.FindStringSubmatch(found)
		if !slices.Contains(a.commands, parts[2]) {
			return found
		}
		return parts[1] + a.typed + " " + parts[2]
	})
}

// surviveClosedPipes makes a write to a closed pipe an error. By default, one to standard output ends a Go program at
// once, in the middle of an update. Ignoring the signal would be inherited by the engine and by kubectl.
func surviveClosedPipes() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
