//go:build peer

package peer_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	seed  = 12
	cases = 4000
)

func TestVerdictsAgreeWithTheOtherEvaluator(t *testing.T) {
	other := install(t)
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	requests := make([]request, cases)
	for i := range requests {
		requests[i] = g.request()
	}
	var differ, plain []request
	theirs := evaluate(t, other, requests)
	for i, r := range requests {
		ours := r.verdict()
		if ours == theirs[i] {
			continue
		}
		without := r
		for _, d := range disagreements {
			without = d.without(without)
		}
		assert.Equal(t, ours, without.verdict(), "%s\nis another request without the known errors:\n%s", r, without)
		differ, plain = append(differ, r), append(plain, without)
	}
	// Written so that it avoids the known errors, each request must get the same verdict from both.
	for i, theirs := range evaluate(t, other, plain) {
		assert.Equal(t, theirs, plain[i].verdict(), "the verdict of the stand-in on\n%s", differ[i])
	}
	for _, d := range disagreements {
		assert.True(t, occurs(d, differ), "no request shows the known error %q: remove it", d.what)
	}
	t.Logf("%d requests, %d on which the other evaluator errs in a known way", len(requests), len(differ))
}

// occurs reports whether one of the requests is written in a way that meets the known error.
func occurs(d disagreement, requests []request) bool {
	for _, r := range requests {
		if d.without(r).String() != r.String() {
			return true
		}
	}
	return false
}

// evaluate returns the verdicts of the other evaluator, which runs in the folder.
func evaluate(t *testing.T, folder string, requests []request) []string {
	t.Helper()
	var in bytes.Buffer
	for _, r := range requests {
		text, err := json.Marshal(r)
		require.NoError(t, err)
		in.Write(append(text, '\n'))
	}
	out := run(t, folder, &in, "node", "evaluate.js")
	verdicts := make([]string, 0, len(requests))
	lines := bufio.NewScanner(strings.NewReader(out))
	for lines.Scan() {
		var answer struct {
			Verdict string
			Ignored []string
			Error   json.RawMessage
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &answer), lines.Text())
		require.Empty(t, answer.Error, "%s", requests[len(verdicts)])
		require.Empty(t, answer.Ignored, "condition keys that the other evaluator does not know: %s",
			requests[len(verdicts)])
		verdicts = append(verdicts, answer.Verdict)
	}
	require.NoError(t, lines.Err())
	require.Len(t, verdicts, len(requests), out)
	return verdicts
}

// install installs the other evaluator with npm, in the versions of testdata/package-lock.json. It fails without npm.
func install(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		_, err := exec.LookPath(program)
		require.NoError(t, err, "the other evaluator is an npm package: install npm and run `make peer` again")
	}
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "evaluate.js"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
	}
	run(t, folder, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
		"--cache", filepath.Join(cache, "dbtier", "npm"))
	return folder
}

func run(t *testing.T, folder string, in *bytes.Buffer, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, problems bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &out, &problems
	if in != nil {
		cmd.Stdin = in
	}
	require.NoError(t, cmd.Run(), "%s %s: %s%s", name, strings.Join(args, " "), out.String(), problems.String())
	return out.String()
}
