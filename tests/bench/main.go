// Command bench measures this machine and writes tables of medians to docs/benchmarks.md. Its arguments are the
// subjects:
//
//	driver    the driver's start, an offline preview, previews of many stacks
//	policies  the policy pack on stacks of three sizes, the start of its process, a preview with and without it
//	up        make up, from nothing and without changes; removes the local cloud's state
//	build     the program's first build, compared with a small program of the same packages
//
// The default is driver, policies and up. It has the same requirements as make up.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	runs     = 5
	document = "docs/benchmarks.md"
)

var subjects = map[string]func() (string, error){
	"driver": benchDriver, "policies": benchPolicies, "up": benchUp, "build": benchBuild,
}

func main() {
	wanted := os.Args[1:]
	if len(wanted) == 0 {
		wanted = []string{"driver", "policies", "up"}
	}
	if err := bench(wanted); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(wanted []string) error {
	for _, subject := range wanted {
		if subjects[subject] == nil {
			return fmt.Errorf("unknown subject %q: want driver, policies, up or build", subject)
		}
	}
	if err := run(io.Discard, "build"); err != nil {
		return err
	}
	for _, subject := range wanted {
		table, err := subjects[subject]()
		if err != nil {
			return err
		}
		fmt.Printf("\n%s\n", table)
		if err := record(table, subject); err != nil {
			return err
		}
	}
	return nil
}

// median returns the middle of the durations.
func median(took []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[len(sorted)/2]
}

// record writes a table between the marks of its subject in the document.
func record(table, subject string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return fmt.Errorf("reading the benchmarks: %w", err)
	}
	replaced, err := replace(string(text), table, subject)
	if err != nil {
		return err
	}
	if err := os.WriteFile(document, []byte(replaced), 0o644); err != nil {
		return fmt.Errorf("writing the benchmarks: %w", err)
	}
	return nil
}

func marks(subject string) (begin, end string) {
	return "<!-- make bench, " + subject + ": begin -->", "<!-- make bench, " + subject + ": end -->"
}

func replace(document, table, subject string) (string, error) {
	begin, end := marks(subject)
	before, rest, found := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", errors.New("the benchmarks document lacks the marks around the table: " + begin +
			" and " + end)
	}
	return before + begin + "\n\n" + table + "\n" + end + after, nil
}
