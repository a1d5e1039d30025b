package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
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

// built is a build from an empty build cache, standard library included. The sources are already downloaded.
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

const (
	linker = "the linker"
	// gcSetting is the environment variable in which the Makefile passes the compiler's GOGC. GOFLAGS come from the
	// Makefile, too.
	gcSetting = "BUILD_GOGC"
)

// benchBuild builds three times, each time from an empty cache: the reference with plain `go build`, the reference with
// make's settings, and the program with make's settings.
func benchBuild() (string, error) {
	if os.Getenv(gcSetting) == "" {
		return "", errors.New(gcSetting +
			" is not set, so the settings would differ from those of make: run make bench SUBJECT=build")
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return "", fmt.Errorf("creating a folder for builds: %w", err)
	}
	defer os.RemoveAll(dir)
	modules, err := modulesOf(".")
	if err != nil {
		return "", err
	}
	const reference = "./tests/bench/reference"
	var all []built
	for i, build := range []struct {
		pkg    string
		byMake bool
	}{{reference, false}, {reference, true}, {".", true}} {
		b, err := buildCold(filepath.Join(dir, strconv.Itoa(i)), build.pkg, build.byMake)
		if err != nil {
			return "", err
		}
		fmt.Printf("%s: %s, %d MB\n", build.pkg, b.took.Round(time.Second), b.size/1e6)
		all = append(all, b)
	}
	return buildReport(all[0], all[1], all[2], modules), nil
}

// buildCold builds with the flags and the GOGC of the Makefile, or without them.
func buildCold(dir, pkg string, byMake bool) (built, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return built{}, fmt.Errorf("creating a folder for builds: %w", err)
	}
	program, graph := filepath.Join(dir, "program"), filepath.Join(dir, "graph.json")
	args := []string{"build", "-debug-actiongraph=" + graph, "-o", program}
	env := append(os.Environ(), "GOCACHE="+filepath.Join(dir, "cache"), "CGO_ENABLED=0")
	if byMake {
		env, args = append(env, "GOGC="+os.Getenv(gcSetting)), append(args, "-ldflags", "-s -w")
	} else {
		env = append(env, "GOFLAGS=-buildvcs=false")
	}
	cmd := exec.Command("go", append(args, pkg)...) //nolint:noctx // It has no time limit.
	cmd.Env = env
	started := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return built{}, fmt.Errorf("building %s: %w\n%s", pkg, err, out)
	}
	b := built{took: time.Since(started), spent: map[string]time.Duration{}}
	info, err := os.Stat(program)
	if err != nil {
		return built{}, fmt.Errorf("reading the program: %w", err)
	}
	b.size = info.Size()
	text, err := os.ReadFile(graph)
	if err != nil {
		return built{}, fmt.Errorf("reading the action graph: %w", err)
	}
	var actions []struct {
		Mode, Package   string
		CmdUser, CmdSys time.Duration
	}
	if err := json.Unmarshal(text, &actions); err != nil {
		return built{}, fmt.Errorf("reading the action graph: %w", err)
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

// modulesOf maps the packages that pkg depends on to their modules.
func modulesOf(pkg string) (map[string]string, error) {
	const format = "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}"
	out, err := exec.Command("go", "list", "-deps", "-f", format, pkg).Output() //nolint:noctx // It ends by itself.
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

func buildReport(plain, reference, program built, modules map[string]string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured %s on %d cores, one run, from an empty build cache with the sources downloaded.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU())
	fmt.Fprintf(&out, "| | time | processor time | size |\n|---|---|---|---|\n")
	fmt.Fprintf(&out,
		"| 1: a program of the same Pulumi packages (tests/bench/reference), `go build` | %.0f s | %.0f s | %d MB |\n",
		plain.took.Seconds(), plain.all().Seconds(), plain.size/1e6)
	for _, row := range []struct {
		name string
		built
		to []built
	}{
		{"2: the same with the settings of `make`", reference, []built{plain}},
		{"dbtier with the settings of `make`", program, []built{plain, reference}},
	} {
		cell := func(text string, of func(*built) float64) {
			fmt.Fprintf(&out, " %s", text)
			for i := range row.to {
				fmt.Fprintf(&out, ", %.2f times %d", of(&row.built)/of(&row.to[i]), i+1)
			}
			out.WriteString(" |")
		}
		fmt.Fprintf(&out, "| %s |", row.name)
		cell(fmt.Sprintf("%.0f s", row.took.Seconds()), func(b *built) float64 { return b.took.Seconds() })
		cell(fmt.Sprintf("%.0f s", row.all().Seconds()), func(b *built) float64 { return b.all().Seconds() })
		cell(fmt.Sprintf("%d MB", row.size/1e6), func(b *built) float64 { return float64(b.size) })
		out.WriteString("\n")
	}
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
		fmt.Fprintf(out, "| %s | %.1f s | %.0f %% |\n", name, of[name].Seconds(),
			100*of[name].Seconds()/total.Seconds())
	}
}
