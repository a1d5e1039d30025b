package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, time.Minute, 5*time.Millisecond, what)
}

// parents returns the process ID of each process's parent.
func parents() map[int]int {
	found := map[int]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		own, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || len(fields) < 2 || fields[0] == "Z" {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			found[own] = parent
		}
	}
	return found
}

// killTree kills a process with everything that it and its children started. It stops each process before it looks for
// the children, so that none is started meanwhile. It returns the processes that it killed.
func killTree(pid int) []int {
	tree := []int{pid}
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	for found := true; found; {
		found = false
		for own, parent := range parents() {
			if slices.Contains(tree, parent) && !slices.Contains(tree, own) {
				_ = syscall.Kill(own, syscall.SIGSTOP)
				tree, found = append(tree, own), true
			}
		}
	}
	for _, pid := range tree {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return tree
}

// killAt starts an update and kills it with its descendants after the provider has done n operations.
func (s *site) killAt(n int, args ...string) {
	s.t.Helper()
	said, err := os.Create(filepath.Join(s.t.TempDir(), "said"))
	require.NoError(s.t, err)
	defer said.Close()
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(s.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// Two busy cores can take a minute for an update.
	deadline := time.After(5 * time.Minute)
	for {
		text, _ := os.ReadFile(filepath.Join(s.world, "log"))
		if strings.Count(string(text), "\n") >= n {
			break
		}
		fail := func(what string) {
			output, _ := os.ReadFile(said.Name())
			require.FailNow(s.t, what, "operation %d\n%s\nthe provider did:\n%s", n, output, text)
		}
		select {
		case err := <-ended:
			fail(fmt.Sprint("it ended before it could be killed: ", err))
		case <-deadline:
			killTree(cmd.Process.Pid)
			fail("it did not get so far")
		case <-time.After(5 * time.Millisecond):
		}
	}
	killed := killTree(cmd.Process.Pid)
	require.Error(s.t, <-ended, "it ended by itself before it could be killed")
	// The kernel releases the lock when the last of them has ended, which can take a moment.
	eventually(s.t, "the end of what was killed", func() bool {
		alive := parents()
		return !slices.ContainsFunc(killed, func(pid int) bool { _, lives := alive[pid]; return lives })
	})
}

// settled asserts the result of a killed run and the next one: every resource exists once, nothing is pending, and no lock
// is left.
func (s *site) settled(stack, state string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(state, ".pulumi", "stacks", "dbtier", stack+".json"))
	require.NoError(s.t, err)
	assert.NotContains(s.t, string(text), "pending_operations")
	locks, err := filepath.Glob(filepath.Join(state, ".pulumi", "locks", "organization", "dbtier", stack, "*"))
	require.NoError(s.t, err)
	assert.Empty(s.t, locks)
	s.must(0, "up", "--stack", stack, "--yes", "--expect-no-changes", "--refresh")
}

func slow(names ...string) []declared {
	var all []declared
	for i, name := range names {
		r := role(name, props{"name": name, "delay": 150})
		if i > 0 {
			r.After = []string{names[i-1]}
		}
		all = append(all, r)
	}
	return all
}

func TestAnUpdateThatWasKilledIsGoneOnWith(t *testing.T) {
	t.Parallel()
	for _, cloud := range []string{"local", "aws"} {
		t.Run(cloud, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			state := filepath.Join(s.dir, ".localcloud", "state", "pulumi")
			if cloud == "aws" {
				state = filepath.Join(s.dir, ".dbtier", "state")
			}
			s.configure("it", cloud, slow("a", "b", "c", "d", "e"), nil)
			for moment := 1; moment <= 5; moment++ {
				s.killAt(moment, "up", "--stack", "it", "--yes")
			}
			s.must(0, "up", "--stack", "it", "--yes")
			assert.Equal(t, []string{"a", "b", "c", "d", "e"}, s.there())
			created := map[string]int{}
			for _, operation := range s.operations() {
				if id, ok := strings.CutPrefix(operation, "create "); ok {
					created[id]++
				}
			}
			for id, n := range created {
				assert.Equal(t, 1, n, "%s was made more than once", id)
			}
			s.settled("it", state)
		})
	}
}

func TestWhatWasBegunAndHasNoNameIsForAPersonToSettle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := declared{Type: "aws:kms/key:Key", Name: "database-key", Props: props{"delay": 60_000, "description": "d"}}
	s.configure("prod", "aws", []declared{key}, nil)
	s.killAt(1, "up", "--stack", "prod", "--yes")
	for _, command := range []string{"up", "destroy", "refresh"} {
		refused := s.must(5, command, "--stack", "prod", "--yes")
		assert.Contains(t, refused.stderr,
			"--adopt-pending 'urn:pulumi:prod::dbtier::aws:kms/key:Key::database-key=<id>'")
		assert.Contains(t, refused.stderr, "--forget-pending 'urn:pulumi:prod::dbtier::aws:kms/key:Key::database-key'")
	}
	s.must(0, "refresh", "--stack", "prod", "--yes", "--adopt-pending", "database-key=database-key")
	s.operations()
	s.must(0, "up", "--stack", "prod", "--yes")
	assert.Empty(t, s.operations(), "it is the one that was made")
	s.settled("prod", filepath.Join(s.dir, ".dbtier", "state"))
}

func TestOfTwoUpdatesAtOnceOneProceedsAndTheOtherNamesIt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a", "round": 0}))
	s.must(0, "up", "--stack", "local")
	for round := 1; round <= 5; round++ {
		s.operations()
		s.stack("local", role("a", props{"name": "a", "round": round, "delay": 1500}))
		results := make(chan result, 2)
		for range 2 {
			go func() { results <- s.run("up", "--stack", "local") }()
		}
		one, other := <-results, <-results
		assert.ElementsMatch(t, []int{0, 6}, []int{one.code, other.code}, "%s\n%s", one, other)
		loser := one
		if one.code == 0 {
			loser = other
		}
		assert.Contains(t, loser.stderr, "another dbtier up (process ")
		assert.Equal(t, []string{"update a"}, s.operations())
	}
}

func TestALockOfAnotherMachineIsAConflictUntilItIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a"}))
	lock := filepath.Join(s.dir, ".localcloud", "state", "pulumi", ".pulumi", "locks", "organization", "dbtier",
		"local", "x.json")
	s.must(0, "up", "--stack", "local")
	require.NoError(t, os.MkdirAll(filepath.Dir(lock), 0o700))
	require.NoError(t,
		os.WriteFile(lock,
			[]byte(`{"pid":7,"username":"kim","hostname":"elsewhere","timestamp":"2026-01-01T00:00:00Z"}`), 0o600))
	conflict := s.ask(6, "up", "--stack", "local")
	assert.Contains(t, conflict.Holder, "kim@elsewhere (pid 7) at 2026-01-01T00:00:00Z")
	assert.Contains(t, strings.Join(conflict.Faults, "\n"), "dbtier cancel --stack local")
	doctor := s.run("doctor", "--stack", "local")
	assert.Contains(t, doctor.stdout, "fix: if that update is gone for good: dbtier cancel --stack local")

	cancelled := s.must(0, "cancel", "--stack", "local")
	assert.Contains(t, cancelled.stdout, "removed the lock of kim@elsewhere (process 7")
	s.must(0, "up", "--stack", "local")

	host, err := os.Hostname()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(lock, fmt.Appendf(nil, `{"pid":%d,"username":"kim","hostname":%q}`, 1<<22-1, host),
		0o600))
	noted := s.must(0, "up", "--stack", "local")
	assert.Contains(t, noted.stderr,
		"note: removed the lock that process 4194303 left on stack local when it was killed")
}

func TestAnInterruptedUpdateEndsWhatItHasBegun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", slow("a", "b", "c")...)
	cmd := s.command("up", "--stack", "local")
	require.NoError(t, cmd.Start())
	eventually(t, "the first operation", func() bool { return len(s.there()) > 0 })
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	assert.Equal(t, 130, cmd.ProcessState.ExitCode())
	there := s.there()
	assert.NotContains(t, there, "c")
	state, err := os.ReadFile(filepath.Join(s.dir, ".localcloud", "state", "pulumi", ".pulumi", "stacks", "dbtier",
		"local.json"))
	require.NoError(t, err)
	assert.NotContains(t, string(state), "pending_operations", "the stop is clean")
	for _, id := range there {
		assert.Contains(t, string(state), "::"+id+`"`, "the created resources are recorded")
	}
	s.must(0, "up", "--stack", "local")
	assert.Equal(t, []string{"a", "b", "c"}, s.there())
}

func TestSeveralStacksComeInTheOrderOfTheirReferences(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	refers := func(to string) map[string]any {
		return map[string]any{"dbtier:network": map[string]any{
			"stackReference": map[string]any{"stack": "organization/dbtier/" + to},
		}}
	}
	s.configure("a-service", "local", []declared{role("a", props{"name": "a"})}, refers("cluster"))
	s.configure("b-service", "local", []declared{role("b", props{"name": "b"})}, refers("cluster"))
	s.configure("cluster", "local", []declared{role("cluster", props{"name": "cluster", "delay": 300})}, nil)
	s.configure("other", "local", []declared{role("other", props{"name": "other"})}, nil)
	summary := filepath.Join(s.dir, "summary.md")
	up := s.must(0, "up", "--stacks", "*-service,cluster", "--summary", summary)
	operations := s.operations()
	assert.Equal(t, "create cluster", operations[0])
	assert.ElementsMatch(t, []string{"create a", "create b"}, operations[1:])
	assert.Contains(t, up.stdout, "\na-service | ")
	assert.NotContains(t, s.there(), "other")
	text, err := os.ReadFile(summary)
	require.NoError(t, err)
	assert.Contains(t, string(text), "## dbtier up of 3 stacks")

	s.must(0, "destroy", "--stacks", "*-service,cluster")
	operations = s.operations()
	assert.Equal(t, "delete cluster", operations[2], "last of all")

	s.configure("cluster", "local", []declared{{Type: "fault", Name: "f"}}, nil)
	failed := s.ask(4, "up", "--stacks", "*")
	outcomes := map[string]answer{}
	for _, one := range failed.Stacks {
		outcomes[one.Stack] = one
	}
	require.Len(t, outcomes, 4)
	assert.Equal(t, 4, outcomes["cluster"].ExitCode)
	assert.True(t, outcomes["a-service"].Skipped && outcomes["b-service"].Skipped)
	assert.Equal(t, 0, outcomes["other"].ExitCode, "one failure stops nothing else")
	assert.Equal(t, []string{"other"}, s.there())

	s.configure("cluster", "local", nil, refers("a-service"))
	circle := s.must(4, "preview", "--stacks", "a-*,cluster")
	assert.Contains(t, circle.stderr, "stacks refer to each other in a circle: a-service → cluster → a-service")
	s.must(64, "up", "--stacks", "none-*")
}

func TestASecondInterruptEndsTheEngineAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stack("local", role("a", props{"name": "a", "delay": 120_000}))
	cmd := s.command("up", "--stack", "local")
	require.NoError(t, cmd.Start())
	eventually(t, "the first operation", func() bool { return len(s.there()) > 0 })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	// A second signal is lost while the first is pending, so it is sent until the command has ended.
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		select {
		case <-tick.C:
			_ = cmd.Process.Signal(os.Interrupt)
			continue
		case <-deadline:
			t.Fatal("it waits for the resource in flight")
		case err := <-ended:
			require.Error(t, err)
		}
		break
	}
	assert.Equal(t, 130, cmd.ProcessState.ExitCode())
	s.stack("local", role("a", props{"name": "a"}))
	s.must(0, "up", "--stack", "local")
	s.settled("local", filepath.Join(s.dir, ".localcloud", "state", "pulumi"))
}
