package screen

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Options describe a terminal.
type Options struct {
	// To is where the line goes that says what is being waited for.
	To io.Writer
	// Width is the number of characters of a line. 0 means that lines are not wrapped.
	Width int
	// Colour is true if the terminal shows colours and the person wants them. Live is true if it can move the cursor.
	Colour, Live bool
	// Patience is how long nothing is written before the line appears. Default 1 s.
	Patience time.Duration
	// Now is the clock. Default time.Now. With another clock the caller calls Tick.
	Now func() time.Time
}

// Screen is a terminal. All writers of a screen share it. A nil Screen is an output that is not a terminal.
type Screen struct {
	o  Options
	mu sync.Mutex
	// last is the time of the last write.
	last  time.Time
	ticks bool
	// waiting is true while the line is shown, midLine while the last write did not end its line.
	waiting, midLine bool
	doing            []*activity
}

type activity struct {
	what  string
	since time.Time
}

// New returns the screen of a terminal.
func New(o Options) *Screen {
	ticks := o.Now == nil
	if ticks {
		o.Now = time.Now
	}
	if o.Patience == 0 {
		o.Patience = time.Second
	}
	return &Screen{o: o, last: o.Now(), ticks: ticks}
}

// Doing names what runs until done is called. The newest activity is shown.
func (s *Screen) Doing(format string, args ...any) (done func()) {
	if s == nil || !s.o.Live {
		return func() {}
	}
	one := &activity{what: fmt.Sprintf(format, args...), since: s.o.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doing = append(s.doing, one)
	if len(s.doing) == 1 && s.ticks {
		go s.watch()
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, other := range s.doing {
			if other == one {
				s.doing = append(s.doing[:i:i], s.doing[i+1:]...)
				break
			}
		}
		s.wipe()
	}
}

// watch shows the line while something runs.
func (s *Screen) watch() {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if !s.Tick() {
			return
		}
	}
}

// Tick shows what runs if nothing was written for a while. It returns false if nothing runs.
func (s *Screen) Tick() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.doing) == 0 {
		return false
	}
	now := s.o.Now()
	if s.midLine || now.Sub(s.last) < s.o.Patience {
		return true
	}
	newest := s.doing[len(s.doing)-1]
	line := fmt.Sprintf("  … %s, %ds", newest.what, int(now.Sub(newest.since).Seconds()))
	if s.o.Width > 0 {
		line = Cut(line, s.o.Width-1)
	}
	_, _ = fmt.Fprintf(s.o.To, "\r\033[K%s", line)
	s.waiting = true
	return true
}

func (s *Screen) wipe() {
	if s.waiting {
		_, _ = io.WriteString(s.o.To, "\r\033[K")
		s.waiting = false
	}
}

// Writer returns a writer for lines of text. Lines that are written in parts, or that move the cursor, pass as they
// are.
func (s *Screen) Writer(to io.Writer) io.Writer {
	if s == nil {
		return to
	}
	return &writer{screen: s, to: to, change: s.dress}
}

// Exact returns a writer for text that must not be changed.
func (s *Screen) Exact(to io.Writer) io.Writer {
	if s == nil {
		return to
	}
	return &writer{screen: s, to: to, change: func(line string) string { return line }}
}

type writer struct {
	screen *Screen
	to     io.Writer
	change func(line string) string
}

func (w *writer) Write(text []byte) (int, error) {
	s := w.screen
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	s.last = s.o.Now()
	var out strings.Builder
	for line := range bytes.Lines(text) {
		whole := bytes.HasSuffix(line, []byte("\n"))
		if whole && !s.midLine && !bytes.ContainsAny(line, "\r\033") {
			out.WriteString(w.change(string(line)))
			continue
		}
		out.Write(line)
		// A line that was wiped ends where it began.
		s.midLine = !whole && !bytes.HasSuffix(line, []byte("\033[K"))
	}
	if _, err := io.WriteString(w.to, out.String()); err != nil {
		return 0, err //nolint:wrapcheck // Callers need the writer's own error.
	}
	return len(text), nil
}

// dress wraps a line and colours its sign.
func (s *Screen) dress(line string) string {
	line = strings.TrimSuffix(line, "\n")
	if s.o.Width > 0 {
		line = Wrap(line, s.o.Width)
	}
	if s.o.Colour {
		line = colour(line)
	}
	return line + "\n"
}

// piece is what stays on one line, with the blanks before it.
type piece struct {
	blanks int
	text   string
}

// Wrap breaks a line between words. The rest is indented by two more characters than the line. A word or a command that
// is longer than the width stays whole, because it may be copied.
func Wrap(line string, width int) string {
	if utf8.RuneCountInString(line) <= width {
		return line
	}
	text := strings.TrimLeft(line, " ")
	indent := min(len(line)-len(text)+2, width/2)
	rows := [][]piece{nil}
	column, before := len(line)-len(text), ":"
	for text != "" {
		// The blanks before a word belong to it, so that columns stay where a line is not broken.
		blanks := len(text) - len(strings.TrimLeft(text, " "))
		end := unit(text[blanks:], strings.HasSuffix(before, ":"))
		word := text[blanks : blanks+end]
		before = word
		size := utf8.RuneCountInString(word)
		text = text[blanks+end:]
		last := len(rows) - 1
		if len(rows[last]) > 0 && column+blanks+size > width {
			rows = append(rows, nil)
			column, last = indent-blanks, last+1
		}
		rows[last] = append(rows[last], piece{blanks, word})
		column += blanks + size
	}
	accompany(rows, width, indent)
	var out strings.Builder
	out.WriteString(line[:len(line)-len(strings.TrimLeft(line, " "))])
	for i, row := range rows {
		if i > 0 {
			out.WriteString("\n" + strings.Repeat(" ", indent))
		}
		for j, p := range row {
			if i == 0 || j > 0 {
				out.WriteString(strings.Repeat(" ", p.blanks))
			}
			out.WriteString(p.text)
		}
	}
	return out.String()
}

// accompany takes the word before a short one that would be alone in the last row down to it. Words after more than one
// blank begin a column and stay.
func accompany(rows [][]piece, width, indent int) {
	if len(rows) < 2 {
		return
	}
	last, above := &rows[len(rows)-1], &rows[len(rows)-2]
	if len(*last) != 1 || len(*above) < 3 {
		return
	}
	alone, with := (*last)[0], (*above)[len(*above)-1]
	size := utf8.RuneCountInString(alone.text)
	if strings.Contains(alone.text, " ") || size > width/4 || with.blanks != 1 || alone.blanks != 1 ||
		indent+utf8.RuneCountInString(with.text)+1+size > width {
		return
	}
	*above = (*above)[:len(*above)-1]
	*last = []piece{with, alone}
}

// programs are those that messages tell a person to run.
var programs = []string{"aws", "dbtier", "docker", "eval", "kubectl", "make", "pulumi"}

// unit returns the length of what stays on one line at the beginning of a text: a word, what stands in quotes of code,
// or a command, which begins a line or follows a colon.
func unit(text string, commands bool) int {
	end := wordEnd(text)
	word := text[:end]
	if strings.Count(word, "`")%2 == 1 {
		closing := strings.IndexByte(text[end:], '`')
		if closing < 0 {
			return end
		}
		return end + closing + wordEnd(text[end+closing:])
	}
	if !commands || !slices.Contains(programs, word[strings.LastIndexByte(word, '/')+1:]) {
		return end
	}
	// A command has its name, the names of commands below it, and flags, each perhaps with a value.
	flags, value := false, false
	for names := 1; end+1 < len(text) && text[end] == ' ' && text[end+1] != ' '; {
		next := text[end+1 : end+1+wordEnd(text[end+1:])]
		switch {
		case strings.ContainsAny(text[end-1:end], ",;"):
			return end
		case strings.HasPrefix(next, "-"):
			flags, value = true, !strings.Contains(next, "=")
		case value:
			value = false
		case flags || names == longestName:
			return end
		default:
			names++
		}
		end += 1 + len(next)
	}
	return end
}

// longestName is the number of words of the longest name of a command: dbtier local kubectl.
const longestName = 3

// wordEnd returns the length of the word at the beginning of a text.
func wordEnd(text string) int {
	if end := strings.IndexByte(text, ' '); end >= 0 {
		return end
	}
	return len(text)
}

// Cut shortens a text to a number of characters.
func Cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width || width < 1 {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// signs are the first characters of rows, and words at the beginning of messages, with the colours of their meaning.
var signs = []struct{ sign, colour string }{
	{"+ ", "32"},
	{"✓ ", "32"},
	{"~ ", "33"},
	{"! ", "33"},
	{"± ", "33"},
	{"- ", "31"},
	{"✗ ", "31"},
	{". ", "36"},
	{"error:", "31"},
	{"warning:", "33"},
	{"note:", "36"},
}

func colour(line string) string {
	text := strings.TrimLeft(line, " ")
	for _, s := range signs {
		if rest, found := strings.CutPrefix(text, s.sign); found {
			return line[:len(line)-len(text)] + "\033[" + s.colour + "m" + s.sign + "\033[0m" + rest
		}
	}
	return line
}
