package verify

import (
	"fmt"
	"io"
	"strings"
)

// Table prints the checks, one line each, and below a failed one the next command.
func Table(out io.Writer, checks []Check) {
	width := 0
	for _, c := range checks {
		width = max(width, len([]rune(c.Title)))
	}
	for _, c := range checks {
		sign, text := "✓", c.Detail
		if !c.OK {
			sign, text = "✗", c.Cause
		}
		fmt.Fprintf(out, "  %s %s%s  %4.1fs  %s\n", sign, c.Title, strings.Repeat(" ", width-len([]rune(c.Title))),
			c.Seconds, text)
		if !c.OK && c.Next != "" {
			fmt.Fprintf(out, "    %s         next: %s\n", strings.Repeat(" ", width), c.Next)
		}
	}
}
