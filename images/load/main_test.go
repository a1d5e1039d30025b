package main

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain plays `load run`, if a test starts this program as that.
func TestMain(m *testing.M) {
	if os.Getenv("PLAY_LOAD_RUN") == "" {
		os.Exit(m.Run())
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	os.Stdout.WriteString("runs\n")
	<-signals
}

func TestStopEndsTheRunningLoad(t *testing.T) {
	require.EqualError(t, stopRun(), "no load runs in this container")
	start := func() *exec.Cmd {
		run := exec.CommandContext(t.Context(), os.Args[0], "run", "--run", "k3v9")
		run.Env = append(os.Environ(), "PLAY_LOAD_RUN=1")
		out, err := run.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, run.Start())
		_, err = out.Read(make([]byte, 5))
		require.NoError(t, err)
		return run
	}
	first := start()
	second := start()
	require.ErrorContains(t, stopRun(), "want one load in this container")
	require.NoError(t, second.Process.Signal(syscall.SIGTERM))
	require.NoError(t, second.Wait())
	require.NoError(t, stopRun())
	require.NoError(t, first.Wait(), "it handles the signal and exits with 0")
}

func TestTheCommandLine(t *testing.T) {
	o, err := parse([]string{"--run", "k3v9"})
	require.NoError(t, err)
	assert.Equal(t, options{
		run: "k3v9", writers: 4, readers: 4, rate: 5, attempt: 10 * time.Second, request: time.Minute,
	}, o)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":              {nil, `want run, stop, now or restored, got ""`},
		"an unknown command":   {[]string{"walk"}, `got "walk"`},
		"no run":               {[]string{"run"}, "--run is missing"},
		"an argument":          {[]string{"run", "--run", "a", "b"}, `takes no arguments, got ["b"]`},
		"no writers":           {[]string{"run", "--run", "a", "--writers", "0"}, "want 1 to 100 of each"},
		"too few requests":     {[]string{"run", "--run", "a", "--writers", "1", "--rate", "3"}, "want at least 4 requests a second"},
		"too many requests":    {[]string{"run", "--run", "a", "--rate", "100"}, "these are 2400 requests a second: want at most 2000"},
		"no time":              {[]string{"run", "--run", "a", "--request-timeout", "0"}, "want a positive time"},
		"a flag that is none":  {[]string{"run", "--what"}, "flag provided but not defined: -what"},
		"restored, of nothing": {[]string{"restored", "--from", "2026-12-01T09:00:00Z"}, "--host and --from are required"},
		"restored, no time":    {[]string{"restored", "--host", "h", "--from", "nine"}, `invalid value "nine" for flag -from`},
		"restored, backwards": {
			[]string{"restored", "--host", "h", "--from", "2026-12-01T09:00:00Z", "--until", "2026-12-01T08:00:00Z"},
			"--until 2026-12-01T08:00:00Z is before --from 2026-12-01T09:00:00Z",
		},
		"stop with an argument": {[]string{"stop", "it"}, `stop takes no arguments, got ["it"]`},
	} {
		t.Run(name, func(t *testing.T) {
			err := command(t.Context(), c.args, environment(""), &bytes.Buffer{})
			require.ErrorIs(t, err, errUsage)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// environment has a DATABASE_URL and nothing else.
func environment(url string) func(string) string {
	return func(name string) string {
		if name == "DATABASE_URL" {
			return url
		}
		return ""
	}
}

func TestAnErrorNeverQuotesTheURL(t *testing.T) {
	for _, url := range []string{
		"postgres://u:s3cret@h:port/d", "postgres://u:s3cret@h/d?sslmode=perhaps", "s3cret",
		"postgres://u:s3cret@h/d?sslmode=verify-full&sslrootcert=/nowhere",
	} {
		err := command(t.Context(), []string{"run", "--run", "a"}, environment(url), &bytes.Buffer{})
		require.ErrorContains(t, err, "DATABASE_URL is not a usable PostgreSQL URL")
		assert.NotContains(t, err.Error(), "s3cret")
	}
	require.ErrorContains(t, command(t.Context(), []string{"run", "--run", "a"}, environment(""), &bytes.Buffer{}), "DATABASE_URL is not set")
}
