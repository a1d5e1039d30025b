package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sample is one run of `make up`.
type sample struct {
	took  time.Duration
	parts []part
}

type part struct {
	name    string
	seconds float64
}

// benchUp measures `make up` on this machine, from nothing and without changes. It removes the local cloud's state.
func benchUp() (string, error) {
	var fromNothing, unchanged []sample
	for i := range runs {
		if err := run(io.Discard, "down", "PURGE=1"); err != nil {
			return "", err
		}
		s, err := up()
		if err != nil {
			return "", err
		}
		fmt.Printf("from nothing %d of %d: %.1fs\n", i+1, runs, s.took.Seconds())
		fromNothing = append(fromNothing, s)
	}
	for i := range runs {
		s, err := up()
		if err != nil {
			return "", err
		}
		fmt.Printf("nothing to change %d of %d: %.1fs\n", i+1, runs, s.took.Seconds())
		unchanged = append(unchanged, s)
	}
	return report(fromNothing, unchanged), nil
}

func run(out io.Writer, args ...string) error {
	var said bytes.Buffer
	args = append([]string{"--no-print-directory"}, args...)
	cmd := exec.Command("make", args...) //nolint:noctx // It has no time limit.
	cmd.Stdout = io.MultiWriter(&said, out)
	cmd.Stderr = cmd.Stdout
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make %s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	return nil
}

func up() (sample, error) {
	var out bytes.Buffer
	started := time.Now()
	if err := run(&out, "up"); err != nil {
		return sample{}, err
	}
	return sample{took: time.Since(started), parts: parts(out.String())}, nil
}

// timed matches output lines that contain a duration: what each command prints about its parts.
var timed = []*regexp.Regexp{
	regexp.MustCompile(`^(local cloud) ready in ([0-9.]+)s`),
	regexp.MustCompile(`^ {2}[-+~±>] (\S+ +\S+) +([0-9.]+)s$`),
	regexp.MustCompile(`^(stack \S+): .*, ([0-9.]+)s$`),
	regexp.MustCompile(`^ {2}✓ (.+?) {2,}([0-9.]+)s {2}`),
}

func parts(out string) []part {
	var found []part
	for line := range strings.Lines(out) {
		for _, pattern := range timed {
			m := pattern.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil {
				continue
			}
			seconds, err := strconv.ParseFloat(m[2], 64)
			if err == nil {
				name := strings.Join(strings.Fields(m[1]), " ")
				if name, isTotal := strings.CutPrefix(name, "stack "); isTotal &&
					strings.Contains(line, "checks passed") {
					found = append(found, part{"dbtier verify of stack " + name, seconds})
				} else if isTotal {
					found = append(found, part{"dbtier up of stack " + name, seconds})
				} else {
					found = append(found, part{name, seconds})
				}
			}
			break
		}
	}
	slices.SortStableFunc(found, func(a, b part) int { return cmp.Compare(b.seconds, a.seconds) })
	return found
}

// middle returns the sample with the median duration.
func middle(samples []sample) sample {
	sorted := slices.SortedFunc(slices.Values(samples), func(a, b sample) int { return cmp.Compare(a.took, b.took) })
	return sorted[len(sorted)/2]
}

func report(fromNothing, unchanged []sample) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured %s on %d cores, median of %d, everything built.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runs)
	fmt.Fprintf(&out, "| `make up` | median | fastest | slowest |\n|---|---|---|---|\n")
	for _, row := range []struct {
		name    string
		samples []sample
	}{{"from nothing", fromNothing}, {"nothing to change", unchanged}} {
		sorted := slices.SortedFunc(slices.Values(row.samples),
			func(a, b sample) int { return cmp.Compare(a.took, b.took) })
		fmt.Fprintf(&out, "| %s | %.1f s | %.1f s | %.1f s |\n",
			row.name, middle(row.samples).took.Seconds(), sorted[0].took.Seconds(),
			sorted[len(sorted)-1].took.Seconds())
	}
	for _, row := range []struct {
		name    string
		samples []sample
	}{{"From nothing", fromNothing}, {"With nothing to change", unchanged}} {
		fmt.Fprintf(&out,
			"\n%s, what took longest in the median run (parts run in parallel and contain each other):\n\n| part | s "+
				"|\n|---|---|\n", row.name)
		all := middle(row.samples).parts
		for _, p := range all[:min(len(all), 12)] {
			fmt.Fprintf(&out, "| %s | %.1f |\n", p.name, p.seconds)
		}
	}
	return out.String()
}
