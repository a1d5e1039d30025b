// Command drills runs every drill several times on the local cloud, and writes the figures into docs/drills.md. The
// stack `local` must be up. Arguments name the drills to run; the rows of the others stay.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/internal/drill"
	"dbtier/internal/drill/report"
)

const (
	page  = "docs/drills.md"
	begin = "<!-- make drills, table: begin -->\n"
	end   = "<!-- make drills, table: end -->\n"
)

func main() {
	runs := flag.Int("runs", 5, "how many times each drill runs")
	flag.Parse()
	if err := run(*runs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(runs int, names []string) error {
	if runs < 1 {
		return fmt.Errorf("-runs %d: want 1 or more", runs)
	}
	for _, name := range names {
		if drill.Find(name) == nil {
			return fmt.Errorf("there is no drill %s", name)
		}
	}
	for _, s := range drill.Scenarios() {
		if len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		standby := s.Name == "failover"
		if standby {
			if err := up("--config", "database.multiAz=true"); err != nil {
				return err
			}
		}
		var made []*report.Report
		for i := range runs {
			fmt.Printf("%s, %d of %d\n", s.Name, i+1, runs)
			one, err := try(s.Name)
			if err != nil {
				return err
			}
			made = append(made, one)
		}
		if standby {
			if err := up(); err != nil {
				return err
			}
		}
		if err := write(s.Name, row(s, made)); err != nil {
			return err
		}
	}
	return nil
}

func up(args ...string) error {
	args = append([]string{"up", "--stack", "local"}, args...)
	cmd := exec.CommandContext(context.Background(), "bin/dbtier", args...)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// try runs a drill. A drill whose bound does not hold has figures all the same, and is not an error here.
func try(name string) (*report.Report, error) {
	cmd := exec.CommandContext(context.Background(), "bin/dbtier", "drill", name, "--stack", "local", "--json")
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, os.Stderr
	err := cmd.Run()
	var said struct {
		Drill  *report.Report
		Faults []string
	}
	if unread := json.Unmarshal(stdout.Bytes(), &said); unread != nil {
		return nil, errors.Join(err, unread)
	}
	if said.Drill == nil || said.Drill.Problem != "" {
		return nil, fmt.Errorf("drill %s: %s", name, strings.Join(said.Faults, "; "))
	}
	return said.Drill, nil
}

// row is the row of a drill in the table.
func row(s *drill.Scenario, made []*report.Report) string {
	cells := []string{"`" + s.Name + "`", strconv.Itoa(len(made))}
	lost, acknowledged := 0, 0
	for _, client := range []string{report.Persistent, report.Reconnecting, report.Retrying} {
		var outages []float64
		failed, requests := 0, 0
		for _, r := range made {
			figures := r.Figures()
			c, known := figures.Of(client)
			if !known {
				continue
			}
			outages = append(outages, c.Longest())
			failed, requests = failed+c.Failed, requests+c.Requests
		}
		slices.Sort(outages)
		if len(outages) > 0 {
			cells = append(cells, fmt.Sprintf("%.1f / %.1f", outages[len(outages)/2], outages[len(outages)-1]))
		} else {
			cells = append(cells, "")
		}
		cells = append(cells, fmt.Sprintf("%d of %d", failed, requests))
	}
	var healing, behind []float64
	for _, r := range made {
		lost += r.Load.Ledger.Lost + r.Load.Ledger.Duplicated + r.Restored.Wrong()
		acknowledged += r.Load.Ledger.Acknowledged
		healing = append(healing, healed(r))
		if r.Restored != nil {
			behind = append(behind, r.Restored.RPO)
		}
	}
	slices.Sort(healing)
	slices.Sort(behind)
	cells = append(cells, fmt.Sprintf("%d of %d", lost, acknowledged), fmt.Sprintf("%.0f", healing[len(healing)/2]))
	if n := len(behind); n > 0 {
		cells[len(cells)-1] += fmt.Sprintf(" (RPO %.2f / %.2f)", behind[n/2], behind[n-1])
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// healed is the time in seconds from the first fault to the last healing.
func healed(r *report.Report) float64 {
	var first, last time.Time
	for _, e := range r.Events {
		switch {
		case e.Kind == report.Fault && first.IsZero():
			first = e.At
		case e.Kind == report.Healed:
			last = e.At
		}
	}
	return last.Sub(first).Seconds()
}

// write replaces a drill's row on the page.
func write(name, row string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	table, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s has no marks for the table", page)
	}
	lines := slices.Collect(strings.Lines(table))
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "| `"+name+"` |") })
	if at >= 0 {
		lines[at] = row
	} else {
		lines = append(lines, row)
	}
	return os.WriteFile(page, []byte(before+begin+strings.Join(lines, "")+end+after), 0o644)
}
