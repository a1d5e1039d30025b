package screen_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"dbtier/internal/screen"
)

func TestALongLineIsWrappedBetweenWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"short", 10, "short"},
		{"  ! one two three", 12, "  ! one two\n    three"},
		{"one two", 3, "one\n two"},
		{"averylongword and more", 8, "averylongword\n  and\n  more"},
		{"a   b    c", 8, "a   b\n  c"},
		{"äöü öüä üäö", 7, "äöü öüä\n  üäö"},
		{"trailing blank   ", 8, "trailing\n  blank\n  "},
	} {
		assert.Equal(t, c.want, screen.Wrap(c.line, c.width), c.line)
	}
}

func TestACommandStaysOnOneLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ line, want string }{
		{
			"stack local: 3 differ; repair with: bin/dbtier up --stack local --refresh",
			"stack local: 3 differ; repair with:\n  bin/dbtier up --stack local --refresh",
		},
		{
			"    fix: dbtier preview --stack production looks for them, and names each",
			"    fix:\n      dbtier preview --stack production\n      looks for them, and names each",
		},
		{
			"keep it: dbtier up --stack prod, which marks it as retained",
			"keep it: dbtier up --stack prod, which\n  marks it as retained",
		},
		{
			"it is down: bring it up with `dbtier up --stack prod`, then try again",
			"it is down: bring it up with\n  `dbtier up --stack prod`, then\n  try again",
		},
		{
			"longer than the line: dbtier refresh --stack prod --yes --adopt-pending key=1",
			"longer than the line:\n  dbtier refresh --stack prod --yes --adopt-pending key=1",
		},
		{
			"the kubectl of this machine is older than the cluster",
			"the kubectl of this machine is older\n  than the cluster",
		},
		{
			"an `open quote of code that nothing ends",
			"an `open quote of code that\n  nothing ends",
		},
	} {
		assert.Equal(t, c.want, screen.Wrap(c.line, 38), c.line)
	}
}

func TestAShortWordIsNotAloneInTheLastRow(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"  ✓ the pool logs in as a user that is":       "  ✓ the pool logs in as a user\n    that is",
		"  ✓ pool   every pod answers  12s":            "  ✓ pool   every pod answers  12s",
		"  ✓ the pool and the service answer    13.5s": "  ✓ the pool and the service answer\n    13.5s",
		"  ✓ the pool and the service answer incomprehensibly": "  ✓ the pool and the service answer\n" +
			"    incomprehensibly",
		"take it out with: kubectl edit service/pool -n x": "take it out with:\n  kubectl edit service/pool -n x",
	} {
		assert.Equal(t, want, screen.Wrap(line, 37), line)
	}
}

func FuzzWrap(f *testing.F) {
	f.Add("  ! one two  three", 8)
	f.Fuzz(func(t *testing.T, line string, width int) {
		if width < 1 || width > 500 || strings.Contains(line, "\n") || !utf8.ValidString(line) {
			return
		}
		wrapped := screen.Wrap(line, width)
		if strings.Join(strings.Fields(wrapped), " ") != strings.Join(strings.Fields(line), " ") {
			t.Errorf("%q became %q", line, wrapped)
		}
	})
}

func TestOnlyWholeLinesAreDressed(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	s := screen.New(screen.Options{To: &out, Width: 20, Colour: true})
	w := s.Writer(&out)
	fmt.Fprint(w, "  + created\nerror: this line is too long for the screen\n")
	assert.Equal(t, "  \033[32m+ \033[0mcreated\n\033[31merror:\033[0m this line is\n  too long for the\n  screen\n", out.String())
	out.Reset()
	fmt.Fprint(w, "Delete it? Answer with the name of the stack: ")
	fmt.Fprint(w, "prod is the whole name of that stack\n")
	fmt.Fprint(w, "\r\033[Kthis line moves the cursor, so it is not changed")
	assert.Equal(t, "Delete it? Answer with the name of the stack: prod is the whole name of that stack\n"+
		"\r\033[Kthis line moves the cursor, so it is not changed", out.String())
	out.Reset()
	fmt.Fprint(s.Exact(&out), "\n+ an exported line that is longer than the screen\n")
	assert.Equal(t, "\n+ an exported line that is longer than the screen\n", out.String())
}

func TestASilentScreenSaysWhatRunsAndSinceWhen(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	var out strings.Builder
	s := screen.New(screen.Options{To: &out, Width: 40, Live: true, Now: func() time.Time { return now }})
	w := s.Writer(&out)
	assert.False(t, s.Tick(), "nothing runs")
	ended := s.Doing("preview of stack %s", "prod")
	done := s.Doing("looking for objects that the cluster has already")
	now = now.Add(900 * time.Millisecond)
	assert.True(t, s.Tick())
	assert.Empty(t, out.String(), "not yet")
	now = now.Add(2 * time.Second)
	s.Tick()
	assert.Equal(t, "\r\033[K  … looking for objects that the clust…", out.String())
	out.Reset()
	fmt.Fprintln(w, "found")
	assert.Equal(t, "\r\033[Kfound\n", out.String(), "the line makes room")
	out.Reset()
	done()
	s.Tick()
	assert.Empty(t, out.String(), "something was just written")
	now = now.Add(2 * time.Second)
	s.Tick()
	assert.Equal(t, "\r\033[K  … preview of stack prod, 4s", out.String())
	out.Reset()
	ended()
	assert.Equal(t, "\r\033[K", out.String())
	assert.False(t, s.Tick())
	fmt.Fprint(w, "Name of the stack: ")
	out.Reset()
	ended = s.Doing("nothing")
	now = now.Add(5 * time.Second)
	s.Tick()
	assert.Empty(t, out.String(), "a question is open")
	ended()
}

func TestWithoutATerminalNothingIsChanged(t *testing.T) {
	t.Parallel()
	var none *screen.Screen
	var out strings.Builder
	none.Doing("x")()
	fmt.Fprint(none.Writer(&out), "+ ", strings.Repeat("long ", 100), "\n")
	fmt.Fprint(none.Exact(&out), "x")
	assert.Equal(t, "+ "+strings.Repeat("long ", 100)+"\nx", out.String())
}
