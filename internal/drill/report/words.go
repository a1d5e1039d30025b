package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// number writes 3600 as 3,600.
func number(n int) string {
	digits := strconv.Itoa(n)
	start := len(digits) % 3
	if n < 0 {
		start = (len(digits)-1)%3 + 1
	}
	var out strings.Builder
	out.WriteString(digits[:start])
	for ; start < len(digits); start += 3 {
		if out.Len() > 0 && out.String() != "-" {
			out.WriteByte(',')
		}
		out.WriteString(digits[start : start+3])
	}
	return out.String()
}

// seconds writes a duration with the digits that a reader compares: 1.2ms, 40ms, 3.2s, 2m5s.
func seconds(s float64) string {
	switch {
	case s <= 0:
		return "0s"
	case s < 0.00995:
		return fmt.Sprintf("%.1fms", s*1000)
	case s < 0.9995:
		return fmt.Sprintf("%.0fms", s*1000)
	case s < 119.95:
		return fmt.Sprintf("%.1fs", s)
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

// moment writes a time as the seconds since the beginning of the drill.
func (r *Report) moment(t time.Time) string {
	return fmt.Sprintf("%.1fs", r.since(t))
}

// oneLine keeps an error of a database from moving the cursor or looking like a line of the report.
func oneLine(s string) string {
	clean := func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}
	return strings.Join(strings.Fields(strings.Map(clean, s)), " ")
}

// ids writes the ids that a ledger names. It names at most 20, so there may be more.
func ids(named []int64, all int) string {
	var words []string
	for _, id := range named {
		words = append(words, strconv.FormatInt(id, 10))
	}
	out := strings.Join(words, ", ")
	if more := all - len(named); more > 0 {
		out += fmt.Sprintf(" and %s more", number(more))
	}
	return out
}
