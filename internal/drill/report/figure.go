package report

import "strconv"

// figure is a number that a test can find by its name.
type figure struct {
	Name, Value, Text string
}

func duration(name string, s float64) figure {
	return figure{name, strconv.FormatFloat(s, 'f', -1, 64), seconds(s)}
}

func integer(name string, n int) figure {
	return figure{name, strconv.Itoa(n), number(n)}
}
