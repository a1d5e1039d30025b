package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// stacks is the number of stacks that are previewed together, inFlight how many of them at a time.
	stacks   = 20
	inFlight = 4
)

// measure holds the durations of a driver command, and the peak memory in bytes of the command and its child processes.
type measure struct {
	name   string
	took   []time.Duration
	memory int64
}

// benchDriver measures what works without a cloud: the driver's start, an offline preview, and offline previews of many
// stacks.
func benchDriver() (string, error) {
	root, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the current folder: %w", err)
	}
	dbtier := filepath.Join(root, "bin", "dbtier")
	project, err := manyStacks(root)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(project)
	of := func(name string, times int, dir string, args ...string) (*measure, error) {
		m := &measure{name: name}
		for i := range times {
			took, memory, err := watch(dir, dbtier, args...)
			if err != nil {
				return nil, err
			}
			fmt.Printf("%s, %d of %d: %.2fs\n", name, i+1, times, took.Seconds())
			m.took, m.memory = append(m.took, took), max(m.memory, memory)
		}
		return m, nil
	}
	var all []*measure
	for _, c := range []struct {
		name  string
		times int
		dir   string
		args  []string
	}{
		{"`dbtier --help`", 2 * runs, root, []string{"--help"}},
		{"`dbtier preview --stack prod --offline`", runs, root, []string{"preview", "--stack", "prod", "--offline"}},
		{"the same with `--no-policy`", runs, root, []string{"preview", "--stack", "prod", "--offline", "--no-policy"}},
		{
			fmt.Sprintf("%d stacks offline, one after another", stacks), 3, project,
			[]string{"preview", "--stacks", "bench-*", "--offline", "--parallel-stacks", "1"},
		},
		{
			fmt.Sprintf("%d stacks offline, `--parallel-stacks %d`", stacks, inFlight), 3, project,
			[]string{"preview", "--stacks", "bench-*", "--offline", "--parallel-stacks", strconv.Itoa(inFlight)},
		},
	} {
		m, err := of(c.name, c.times, c.dir, c.args...)
		if err != nil {
			return "", err
		}
		all = append(all, m)
	}
	return driverReport(all), nil
}

// manyStacks creates a project with many stacks like prod. It is below the checkout, so that it finds the local cloud's
// chart.
func manyStacks(root string) (string, error) {
	text, err := os.ReadFile("Pulumi.prod.yaml")
	if err != nil {
		return "", fmt.Errorf("reading the stack to copy: %w", err)
	}
	settings, err := os.ReadFile("Pulumi.yaml")
	if err != nil {
		return "", fmt.Errorf("reading the project: %w", err)
	}
	own := filepath.Join(root, ".dbtier")
	if err := os.MkdirAll(own, 0o700); err != nil {
		return "", fmt.Errorf("creating a project of many stacks: %w", err)
	}
	dir, err := os.MkdirTemp(own, "bench-")
	if err != nil {
		return "", fmt.Errorf("creating a project of many stacks: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), settings, 0o600); err != nil {
		return "", fmt.Errorf("creating a project of many stacks: %w", err)
	}
	for i := range stacks {
		name := fmt.Sprintf("bench-%02d", i+1)
		own := strings.Replace(string(text), "dbtier:environment: prod", "dbtier:environment: "+name, 1)
		if err := os.WriteFile(filepath.Join(dir, "Pulumi."+name+".yaml"), []byte(own), 0o600); err != nil {
			return "", fmt.Errorf("creating a project of many stacks: %w", err)
		}
	}
	return dir, nil
}

// watch runs a command once and measures its time and the peak memory of the command and its child processes.
func watch(dir, name string, args ...string) (took time.Duration, memory int64, err error) {
	var said bytes.Buffer
	cmd := exec.Command(name, args...) //nolint:noctx // It has no time limit.
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, fmt.Errorf("starting %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			memory = max(memory, memoryOf(cmd.Process.Pid))
		case err := <-ended:
			took = time.Since(started)
			if err != nil {
				return 0, 0, fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err,
					said.String())
			}
			return took, memory, nil
		}
	}
}

// memoryOf returns the proportional set size of a process and all its descendants, which counts shared memory once.
func memoryOf(pid int) int64 {
	children := map[int][]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		own, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			children[parent] = append(children[parent], own)
		}
	}
	var sum int64
	for all := []int{pid}; len(all) > 0; all = all[1:] {
		all = append(all, children[all[0]]...)
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", all[0]))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
				kib, _ := strconv.ParseInt(fields[1], 10, 64)
				sum += kib << 10
			}
		}
	}
	return sum
}

func driverReport(all []*measure) string {
	var out strings.Builder
	fmt.Fprintf(&out,
		"Measured %s on %d cores, everything built, no cloud. Memory is the peak of the driver and its child "+
			"processes.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU())
	fmt.Fprintf(&out, "| | median | fastest | slowest | memory |\n|---|---|---|---|---|\n")
	for _, m := range all {
		sorted := slices.SortedFunc(slices.Values(m.took), cmp.Compare)
		memory := "–"
		if m.memory > 0 {
			memory = fmt.Sprintf("%d MiB", m.memory>>20)
		}
		fmt.Fprintf(&out, "| %s | %.2f s | %.2f s | %.2f s | %s |\n",
			m.name, median(m.took).Seconds(), sorted[0].Seconds(), sorted[len(sorted)-1].Seconds(), memory)
	}
	one, several := all[len(all)-2], all[len(all)-1]
	fmt.Fprintf(&out,
		"\n%d stacks, %d at a time, take %.2f of the time of one after another, and %d MiB for each stack in flight.\n",
		stacks, inFlight, median(several.took).Seconds()/median(one.took).Seconds(), several.memory>>20/inFlight)
	return out.String()
}
