package pgbouncer_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
)

// probed runs the pool's liveness probe where psql, getent and the clock are played.
type probed struct {
	t   *testing.T
	dir string
	// second is the time. hosts and servers are what the console says, code is the exit code of psql.
	second         int
	hosts, servers string
	code           int
	// resolves is true if the probe's own lookup works.
	resolves bool
}

func newProbe(t *testing.T) *probed {
	t.Helper()
	p := &probed{t: t, dir: t.TempDir(), second: 1000, resolves: true}
	for name, script := range map[string]string{
		"psql":    `case "$*" in *"SHOW DNS_HOSTS"*) printf "$HOSTS" ;; *) printf "$SERVERS" ;; esac; exit "$CODE"`,
		"getent":  `[ "$1" = ahosts ] && [ "$RESOLVES" = true ]`,
		"date":    `echo "$SECOND"`,
		"timeout": `shift; exec "$@"`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(p.dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	return p
}

// after lets seconds pass and returns whether the probe succeeds, and what it says.
func (p *probed) after(seconds int) (alive bool, said string) {
	p.t.Helper()
	p.second += seconds
	pod := componenttest.At(componenttest.Run(p.t, create(arguments())).One(p.t, deploymentType).Inputs,
		"spec", "template", "spec")
	var words []string
	for _, word := range componenttest.At(pod, "containers", 0, "livenessProbe", "exec", "command").([]any) {
		words = append(words, word.(string))
	}
	probe := exec.CommandContext(p.t.Context(), words[0], words[1:]...)
	probe.Env = []string{
		"PATH=" + p.dir + ":/usr/bin:/bin", "PGHOST=" + p.dir, "HOSTS=" + p.hosts, "SERVERS=" + p.servers,
		fmt.Sprintf("CODE=%d", p.code), fmt.Sprintf("RESOLVES=%t", p.resolves), fmt.Sprintf("SECOND=%d", p.second),
	}
	out, err := probe.CombinedOutput()
	return err == nil, string(out)
}

const (
	resolved   = "db.example|4|10.0.0.1:0\n"
	unresolved = "db.example|3|\n"
	expired    = "db.example|0|\n"
	login      = "S|app|myshop|new|0.0.0.0|0\n"
)

func TestAProcessThatCannotResolveWhatItsContainerCanIsNotAlive(t *testing.T) {
	t.Parallel()
	p := newProbe(t)
	p.hosts = unresolved
	for range 6 {
		alive, said := p.after(10)
		require.True(t, alive, said)
	}
	alive, said := p.after(10)
	assert.False(t, alive)
	assert.Contains(t, said, "has not resolved db.example for 60 s")

	// Between two attempts of the process, the last result has expired.
	p.hosts = expired
	alive, _ = p.after(10)
	assert.False(t, alive)
	p.servers = login
	alive, _ = p.after(10)
	assert.False(t, alive, "a lookup in progress")

	p.hosts = resolved
	alive, said = p.after(10)
	assert.True(t, alive, said)
	p.hosts = unresolved
	alive, said = p.after(10)
	assert.True(t, alive, "it counts from the beginning: %s", said)
}

func TestAnOutageOfTheResolverRestartsNoPool(t *testing.T) {
	t.Parallel()
	p := newProbe(t)
	p.hosts, p.resolves = unresolved, false
	for range 30 {
		alive, said := p.after(10)
		require.True(t, alive, said)
	}
	// The resolver is back, and PgBouncer keeps the failed result for some seconds.
	p.resolves = true
	alive, said := p.after(10)
	require.True(t, alive, said)
	p.hosts = resolved
	alive, said = p.after(10)
	assert.True(t, alive, said)
}

// A pool without clients looks nothing up, so its last result says nothing about its resolver.
func TestAFailedLookupThatNobodyRepeatsIsNoReason(t *testing.T) {
	t.Parallel()
	p := newProbe(t)
	p.hosts = unresolved
	alive, _ := p.after(10)
	require.True(t, alive)
	p.hosts = expired
	for range 30 {
		alive, said := p.after(10)
		require.True(t, alive, said)
	}
}

func TestABusyProcessIsAlive(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]bool{
		"psql: error: connection to server on socket failed: timeout expired\n":                          true,
		"psql: error: FATAL:  the database system is starting up\n":                                      true,
		"psql: error: connection to server on socket \"/run/pgbouncer/.s\" failed: Connection refused\n": false,
		"psql: error: connection to server on socket failed: No such file or directory\n":                false,
		"psql: error: connection to server on socket failed: Resource temporarily unavailable\n":         false,
		"": true,
	} {
		p := newProbe(t)
		p.hosts, p.code = said, 2
		alive, _ := p.after(10)
		assert.Equal(t, want, alive, said)
	}
}

func TestAProcessThatAnswersNobodyIsNotAlive(t *testing.T) {
	t.Parallel()
	for _, silence := range []string{"", "psql: error: connection to server on socket failed: timeout expired\n"} {
		p := newProbe(t)
		quiet := func(seconds int) (bool, string) {
			p.hosts, p.code = silence, 2
			return p.after(seconds)
		}
		answers := func(seconds int) {
			p.hosts, p.code = resolved, 0
			alive, said := p.after(seconds)
			assert.True(t, alive, said)
		}
		for range 3 {
			for _, seconds := range []int{30, 30} {
				alive, said := quiet(seconds)
				require.True(t, alive, "it answers now and then: %s", said)
			}
			answers(30)
		}
		for _, seconds := range []int{30, 30} {
			alive, said := quiet(seconds)
			require.True(t, alive, said)
		}
		for want := 60; want < 120; want += 30 {
			alive, said := quiet(30)
			assert.False(t, alive)
			assert.Contains(t, said, fmt.Sprintf("has not answered for %d s", want))
		}
		answers(30)
		for _, seconds := range []int{30, 30, 90} {
			alive, said := quiet(seconds)
			assert.True(t, alive, "the silence begins anew: %s", said)
		}
	}
}
