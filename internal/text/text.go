// Package text has the few functions on lines and numbers that several packages of the driver need.
package text

import (
	"fmt"
	"strings"
)

// FirstLine returns the text before its first line break.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// LastLine returns the last line that is not empty, without surrounding blanks.
func LastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// FirstError returns what a program printed after its first "error: ", up to the end of that line. If the line ends
// with a colon, the indented lines below it belong to it.
func FirstError(s string) string {
	_, rest, found := strings.Cut(s, "error: ")
	if !found {
		return ""
	}
	line, below, _ := strings.Cut(rest, "\n")
	message := []string{strings.TrimSpace(line)}
	if !strings.HasSuffix(message[0], ":") {
		return message[0]
	}
	for line := range strings.Lines(below) {
		if strings.TrimSpace(line) == "" || !strings.HasPrefix(line, " ") {
			break
		}
		message = append(message, strings.TrimSpace(line))
	}
	return strings.Join(message, "\n  ")
}

// Count writes a number with its noun: 1 resource, 2 resources.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
