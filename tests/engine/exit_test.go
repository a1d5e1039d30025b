package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEachSituationHasItsExitCode is the table of docs/driver.md through the real engine: for one stack, and for several
// of which one is in the situation.
func TestEachSituationHasItsExitCode(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	failing := role("b", props{"name": "b", "fails": "EntityAlreadyExists: it is there"})
	failing.After = []string{"a"}
	awaited := failing
	awaited.Await = true
	for name, test := range map[string]struct {
		stack   func(s *site)
		command string
		code    int
		says    string
	}{
		"done":           {stack: func(s *site) { s.stack("local", role("a", props{"name": "a"})) }, command: "up"},
		"a check finds":  {stack: func(s *site) { s.stack("local", role("a", props{"name": "a"})) }, command: "preview --detailed-exitcode", code: 2},
		"a policy fails": {stack: func(s *site) { s.stack("local", role("a", props{"public": true})) }, command: "up", code: 3, says: "it is public"},
		"data is lost": {
			stack: func(s *site) {
				s.stack("local", instance("db", props{"identifier": "db"}))
				s.must(0, "up", "--stack", "local")
				s.stack("local")
			},
			command: "up", code: 3, says: "--allow-data-loss db",
		},
		"the config has a fault":  {stack: func(s *site) { s.stack("local", declared{Type: "fault", Name: "f"}) }, command: "up", code: 4, says: "dbtier:resources"},
		"the file is not YAML":    {stack: func(s *site) { s.file("Pulumi.local.yaml", "config: [\n") }, command: "up", code: 4, says: "not valid YAML"},
		"a key has no place":      {stack: func(s *site) { s.file("Pulumi.local.yaml", "dbtier:cloud: local\n") }, command: "up", code: 4, says: "dbtier:cloud: is not a key of a stack's file"},
		"a resource fails":        {stack: func(s *site) { s.stack("local", role("a", props{"name": "a"}), failing) }, command: "up", code: 5, says: "it is there"},
		"the program needs it":    {stack: func(s *site) { s.stack("local", role("a", props{"name": "a"}), awaited) }, command: "up", code: 5, says: "it is there"},
		"a plugin cannot be had":  {stack: func(s *site) { s.stack("local", declared{Type: "nowhere:a/b:C", Name: "c"}) }, command: "up", code: 5, says: "nowhere"},
		"the command line is bad": {stack: func(s *site) { s.stack("local") }, command: "up --config image=x", code: 64, says: "did you mean consumer.image"},
	} {
		for _, selection := range []string{"--stack", "--stacks"} {
			t.Run(name+" "+selection, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				s.install(exe, filepath.Join(s.bin, "policy-pack"))
				test.stack(s)
				r := s.must(test.code, append(strings.Fields(test.command), selection, "local")...)
				assert.Contains(t, r.stdout+r.stderr, test.says)
				for _, leak := range []string{"goroutine ", "*errors.", "multierror", "%!"} {
					assert.NotContains(t, r.stdout+r.stderr, leak)
				}
			})
		}
	}
}
