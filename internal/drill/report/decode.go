package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"dbtier/internal/screen"
	"dbtier/internal/text"
)

// quoted is the number of characters of a line that an error shows.
const quoted = 80

// message is one line of the load. Exactly one of its fields is set.
type message struct {
	Second  *Second `json:"second"`
	Done    *Load   `json:"done"`
	Problem *string `json:"problem"`
}

// Decode reads the lines that the load prints. The log may be cut at its beginning, as the kubelet does with long ones:
// what is left of its first line is not an error, and the first seconds are missing.
//
// It returns an error if the load says that it has a problem, if the log ends before the load's last line, and at a
// line that is not the load's. The seconds before it are still returned, because charts of them show what happened.
func Decode(lines io.Reader) (*Load, error) {
	load := &Load{}
	in := bufio.NewReader(lines)
	for number := 1; ; number++ {
		read, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return load, fmt.Errorf("read the load's log: %w", err)
		}
		if fault := load.take(read, number); fault != nil {
			return load, fault
		}
		if err != nil {
			break
		}
	}
	if !load.Accounted() {
		return load, fmt.Errorf("the load ended after %s without an account of its writes: its log has no last line",
			text.Count(len(load.Seconds), "second", "seconds"))
	}
	return load, nil
}

// take adds one line.
func (l *Load) take(raw []byte, number int) error {
	whole := bytes.HasSuffix(raw, []byte("\n"))
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil
	}
	if l.Accounted() {
		return fmt.Errorf("line %d follows the last line of the load: %s", number, quote(raw))
	}
	var read message
	err, part := json.Unmarshal(raw, &read), !json.Valid(raw)
	switch {
	case part && number == 1 && raw[len(raw)-1] == '}':
		return nil // The rest of a line whose beginning was cut off.
	case part && !whole && raw[0] == '{':
		return fmt.Errorf("the load's log ends within line %d: the load was killed, or its log is cut: %s",
			number, quote(raw))
	case err != nil:
		return foreign(raw, number)
	case read.Problem != nil:
		return fmt.Errorf("the load could not account for its writes: %s", *read.Problem)
	case read.Second != nil && !read.Second.At.IsZero():
		l.Seconds = append(l.Seconds, *read.Second)
	case read.Done != nil && read.Done.Accounted():
		read.Done.Seconds = l.Seconds
		*l = *read.Done
	default:
		return foreign(raw, number)
	}
	return nil
}

func foreign(raw []byte, number int) error {
	return fmt.Errorf("line %d is not of the load: %s", number, quote(raw))
}

func quote(raw []byte) string {
	return fmt.Sprintf("%q", screen.Cut(string(raw), quoted))
}
