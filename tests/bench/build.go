package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// built is a program's first build: nothing of it, not even the standard library, was compiled before. Its sources are there.
type built struct {
	took time.Duration
	size int64
	// spent is the processor time of each package's compiler, and of the linker.
	spent map[string]time.Duration
}

func (b built) all() (spent time.Duration) {
	for _, s := range b.spent {
		spent += s
	}
	return spent
}

const linker = "the linker"

// benchBuild builds the program and the reference, one after the other, each from an empty cache.
func benchBuild() (string, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return "", fmt.Errorf("a folder for builds: %w", err)
	}
	defer os.RemoveAll(dir)
	modules, err := modulesOf(".")
	if err != nil {
		return "", err
	}
	var all []built
	for _, pkg := range []string{"./tests/bench/reference", "."} {
		b, err := buildCold(filepath.Join(dir, strconv.Itoa(len(all))), pkg)
		if err != nil {
			return "", err
		}
		fmt.Printf("%s: %s, %d MB\n", pkg, b.took.Round(time.Second), b.size/1e6)
		all = append(all, b)
	}
	return buildReport(all[0], all[1], modules), nil
}

func buildCold(dir, pkg string) (built, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return built{}, fmt.Errorf("a folder for builds: %w", err)
	}
	program, graph := filepath.Join(dir, "program"), filepath.Join(dir, "graph.json")
	cmd := exec.Command("go", "build", "-debug-actiongraph="+graph, "-o", program, "-ldflags", "-s -w", pkg) //nolint:noctx // it may take as long as it takes
	cmd.Env = append(os.Environ(), "GOCACHE="+filepath.Join(dir, "cache"), "CGO_ENABLED=0")
	started := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return built{}, fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	b := built{took: time.Since(started), spent: map[string]time.Duration{}}
	info, err := os.Stat(program)
	if err != nil {
		return built{}, fmt.Errorf("what was built: %w", err)
	}
	b.size = info.Size()
	text, err := os.ReadFile(graph)
	if err != nil {
		return built{}, fmt.Errorf("what the build did: %w", err)
	}
	var actions []struct {
		Mode, Package   string
		CmdUser, CmdSys time.Duration
	}
	if err := json.Unmarshal(text, &actions); err != nil {
		return built{}, fmt.Errorf("what the build did: %w", err)
	}
	for _, a := range actions {
		name := a.Package
		if a.Mode == "link" {
			name = linker
		}
		b.spent[name] += a.CmdUser + a.CmdSys
	}
	return b, nil
}

// modulesOf are the modules of a package's imports, by their paths.
func modulesOf(pkg string) (map[string]string, error) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", pkg).Output() //nolint:noctx // it ends by itself
	if err != nil {
		return nil, fmt.Errorf("listing the packages: %w", err)
	}
	modules := map[string]string{}
	for line := range bytes.Lines(out) {
		if fields := strings.Fields(string(line)); len(fields) == 2 {
			modules[fields[0]] = fields[1]
		} else if len(fields) == 1 {
			modules[fields[0]] = "the standard library"
		}
	}
	return modules, nil
}

func buildReport(reference, program built, modules map[string]string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured %s on %d cores, one run, compiled from nothing with the sources there.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU())
	fmt.Fprintf(&out, "| | time | processor time | size |\n|---|---|---|---|\n")
	fmt.Fprintf(&out, "| a program of the same Pulumi packages (tests/bench/reference) | %.0f s | %.0f s | %d MB |\n",
		reference.took.Seconds(), reference.all().Seconds(), reference.size/1e6)
	fmt.Fprintf(&out, "| dbtier | %.0f s, %.2f times | %.0f s, %.2f times | %d MB, %.2f times |\n",
		program.took.Seconds(), program.took.Seconds()/reference.took.Seconds(), program.all().Seconds(), program.all().Seconds()/reference.all().Seconds(),
		program.size/1e6, float64(program.size)/float64(reference.size))
	byModule := map[string]time.Duration{}
	for pkg, spent := range program.spent {
		name := pkg
		if module := modules[pkg]; module != "" {
			name = module
		}
		byModule[name] += spent
	}
	costs(&out, "module", byModule, program.all())
	costs(&out, "package", program.spent, program.all())
	return out.String()
}

func costs(out *strings.Builder, what string, of map[string]time.Duration, total time.Duration) {
	fmt.Fprintf(out, "\n| %s | processor time | share |\n|---|---|---|\n", what)
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Compare(of[b], of[a]) })
	for _, name := range names[:min(len(names), 10)] {
		fmt.Fprintf(out, "| %s | %.1f s | %.0f %% |\n", name, of[name].Seconds(), 100*of[name].Seconds()/total.Seconds())
	}
}
