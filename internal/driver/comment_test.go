package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/summary"
)

// previewed writes the report of a preview to a file.
func (b *bench) previewed(file string, args ...string) {
	b.t.Helper()
	b.run(append([]string{"preview", "--json"}, args...)...)
	b.writes(map[string]string{file: b.stdout.String()})
}

const previewMark = "<!-- dbtier preview -->\n"

func TestReportsOfSeveralRunsBecomeOneComment(t *testing.T) {
	b := newBench(t)
	b.previewed("prod.json", "--stack", "prod")
	b.happens(nothing)
	b.writes(map[string]string{"Pulumi.dev.yaml": "config:\n  dbtier:cloud: aws\n"})
	b.previewed("dev.json", "--stacks", "dev")
	require.Zero(t, b.run("summary", "--file", "comment.md", "prod.json", "dev.json"), b.stderr.String())
	text := b.file("comment.md")
	assert.True(t, strings.HasPrefix(text, previewMark), text)
	assert.Contains(t, text, "## ✅ dbtier preview of `prod`: would change\n")
	assert.Contains(t, text, "| create | aws:kms:Key | `k` |")
	assert.Contains(t, text, "Nothing would change: `dev`\n")
	assert.NotContains(t, text, "of `dev`")
	assert.Equal(t, exitPending, b.run("summary", "--file", "comment.md", "--detailed-exitcode", "prod.json", "dev.json"))
	assert.Equal(t, text, b.file("comment.md"), "the same reports give the same comment")

	// The values of a report are shown as those of a run.
	b.happens(strings.ReplaceAll(`{"resourcePreEvent":{"metadata":{"op":"update","urn":"U","type":"aws:kms/key:Key","old":{"inputs":{"description":"a"}},"new":{"inputs":{"description":"b | @all"}},"detailedDiff":{"description":{"diffKind":"update"}}}}}
{"resOutputsEvent":{"metadata":{"op":"update","urn":"U","type":"aws:kms/key:Key"}}}
{"summaryEvent":{"resourceChanges":{"update":1}}}
`, `"U"`, `"urn:pulumi:s::dbtier::aws:kms/key:Key::k"`))
	b.run("preview", "--stack", "prod", "--summary", "own.md", "--json")
	b.writes(map[string]string{"prod.json": b.stdout.String()})
	require.Zero(t, b.run("summary", "--file", "comment.md", "prod.json"), b.stderr.String())
	want := "  - `description`: `a` → `b \\| @all`\n"
	assert.Contains(t, b.file("own.md"), want)
	assert.Contains(t, b.file("comment.md"), want)
	assert.Equal(t, previewMark+b.file("own.md")+"\n", b.file("comment.md"))
}

func TestACommentIsQuietWhenNothingWouldChange(t *testing.T) {
	b := repository(t)
	b.happens(nothing)
	b.writes(map[string]string{"Pulumi.prod.yaml": "config: {'dbtier:cloud': aws}\n"})
	b.previewed("all.json", "--stacks", "billing,prod", "--changed", "HEAD")
	args := []string{"summary", "--file", "comment.md", "--detailed-exitcode", "all.json"}
	require.Zero(t, b.run(args...), b.stderr.String())
	assert.Equal(t, previewMark+"## ✅ dbtier preview: nothing would change\n\nNothing would change: `prod`\n\n"+
		"Left out, because nothing that they depend on has changed: `billing`\n\n", b.file("comment.md"))
	require.Zero(t, b.run(append(args, "--expect", "prod, billing")...), b.stderr.String())
	assert.Equal(t, exitPending, b.run(append(args, "--expect", "prod,billing,staging")...), "its job has failed")
	assert.Contains(t, b.file("comment.md"), "## ❌ dbtier preview of `staging`: failed\n")
	assert.Contains(t, b.file("comment.md"), "there is no report of this stack: see the log of its job")
	assert.Equal(t, exitPending, b.run("summary", "--file", "comment.md", "--detailed-exitcode", "--expect", "prod"))

	// No stack at all.
	b.commits()
	b.previewed("all.json", "--stacks", "*", "--changed", "HEAD", "--summary", "own.md")
	require.Zero(t, b.run(args...), b.stderr.String())
	assert.Contains(t, b.file("comment.md"), "`billing`, `local`, `network`, `orders`, `prod`\n")
	assert.True(t, strings.HasPrefix(b.file("own.md"), "## ✅ dbtier preview: nothing to do\n\nLeft out"))
}

func TestFailuresAndLossesAreNeverQuiet(t *testing.T) {
	b := newBench(t)
	b.happens(`{"diagnosticEvent":{"severity":"error","message":"denied by someone"}}` + "\n" + nothing)
	b.previewed("prod.json", "--stack", "prod")
	args := []string{"summary", "--file", "comment.md", "--detailed-exitcode", "prod.json"}
	assert.Equal(t, exitPending, b.run(args...), b.stderr.String())
	assert.Contains(t, b.file("comment.md"), "denied by someone")
	b.happens(strings.ReplaceAll(created, "create", "delete"))
	b.previewed("prod.json", "--stack", "prod")
	assert.Equal(t, exitPending, b.run(args...), b.stderr.String())
	assert.Contains(t, b.file("comment.md"), "Data would be lost")
}

func TestACommentHasRoomForEveryStack(t *testing.T) {
	b := newBench(t)
	b.happens(strings.Repeat(strings.ReplaceAll(created, `"d"`, `"`+strings.Repeat("long ", 300)+`"`), 300))
	for _, name := range []string{"a", "b"} {
		b.writes(map[string]string{"Pulumi." + name + ".yaml": "config:\n  dbtier:cloud: aws\n"})
		b.previewed(name+".json", "--stack", name)
	}
	require.Zero(t, b.run("summary", "--file", "comment.md", "a.json", "b.json"), b.stderr.String())
	text := b.file("comment.md")
	assert.LessOrEqual(t, len([]rune(text)), summary.Limit)
	assert.Contains(t, text, "of `a`: ")
	assert.Contains(t, text, "of `b`: ")
}

func TestReportsThatCannotBeReadAreNamed(t *testing.T) {
	b := newBench(t)
	b.previewed("prod.json", "--stack", "prod")
	b.writes(map[string]string{
		"empty.json": "", "other.json": `{"schema":"other/v1"}`, "up.json": `{"schema":"dbtier/v1","command":"up"}`,
		"name.json":   "{\"schema\":\"dbtier/v1\",\"command\":\"preview\",\"stack\":\"a` @all\"}",
		"failed.json": `{"schema":"dbtier/v1","command":"preview","faults":["no git"]}`,
		"drift.json":  `{"schema":"dbtier/v1","command":"drift","stack":"dev","ok":true}`,
		"left.json":   `{"schema":"dbtier/v1","command":"preview","ok":true,"selection":{"stacks":[{"stack":"a b"}]}}`,
	})
	for file, want := range map[string]string{
		"nowhere.json": "reading the report: open nowhere.json",
		"empty.json":   "empty.json: is not a report that --json has written", "other.json": `schema: "other/v1": want dbtier/v1`,
		"up.json": `command: "up": want a report of preview or drift`, "name.json": "is not the name of a stack",
		"failed.json": "failed.json: the run failed before its first stack; no git", "left.json": `selection: "a b"`,
		"drift.json": "drift.json: is a report of drift, and the others are of preview", "prod.json": "stack prod has a report in another file",
	} {
		b.says(exitTrouble, want, "summary", "--file", "comment.md", "prod.json", file)
	}
	b.says(exitTrouble, "nowhere.json", "summary", "--file", "comment.md", "empty.json", "nowhere.json")
	assert.Contains(t, b.stderr.String(), "empty.json: is not", "all faults at once")
	for _, file := range []string{"other.json", "up.json", "name.json", "left.json", "drift.json", "nowhere.json"} {
		b.says(exitTrouble, file+": ", "summary", "--expect", "prod", "--file", "comment.md", "prod.json", file)
	}
	assert.NoFileExists(t, filepath.Join(b.dir, "comment.md"))
	b.says(exitUsage, "no reports given", "summary", "--file", "comment.md")
	b.says(exitUsage, "no reports given", "summary", "--file", "comment.md", "--expect", " , ")
	b.says(exitUsage, "--file: is missing", "summary", "prod.json")
	require.NoError(t, os.Mkdir("folder", 0o700))
	b.says(exitTrouble, "writing the summary: ", "summary", "--file", "folder", "prod.json")
}

// A preview that was killed leaves what the shell had created, and one that failed before its first stack has no report
// of any. An old comment that nothing would change must not stay.
func TestAJobThatFailedReplacesAQuietComment(t *testing.T) {
	b := newBench(t)
	b.happens(nothing)
	b.previewed("whole.json", "--stack", "prod")
	whole := b.file("whole.json")
	args := []string{
		"summary", "--file", "comment.md", "--detailed-exitcode", "--expect", "dev,prod", "preview-prod.json",
		"preview-dev.json",
	}
	for what, c := range map[string]struct {
		dev, fault string
		others     []string
	}{
		"killed at once":       {"", "unexpected end of JSON input", nil},
		"killed while writing": {whole[:len(whole)/2], "is not a report that --json has written: ", nil},
		"another text":         {"Killed", "is not a report that --json has written: ", nil},
		"failed before the first stack": {
			`{"schema":"dbtier/v1","command":"preview","ok":false,"exitCode":1,"faults":["no revision HEAD^","no ` +
				"`git`" + `"]}`, "no revision HEAD^", []string{"the run failed before its first stack", "no `git`"},
		},
	} {
		b.writes(map[string]string{
			"preview-prod.json": whole, "preview-dev.json": c.dev, "comment.md": previewMark + "nothing would change",
		})
		assert.Equal(t, exitPending, b.run(args...), "%s: %s", what, b.stderr.String())
		text := b.file("comment.md")
		assert.True(t, strings.HasPrefix(text, previewMark+"## dbtier preview of 2 stacks\n"), "%s: %s", what, text)
		for _, want := range append(c.others, c.fault, "## ❌ dbtier preview of `preview-dev.json`: failed\n",
			"## ❌ dbtier preview of `dev`: failed\n", "Nothing would change: `prod`\n") {
			assert.Contains(t, text, want, what)
		}
	}
	// A run of several stacks that fails after --changed has left out one.
	b.writes(map[string]string{
		"preview-dev.json": `{"schema":"dbtier/v1","command":"drift","faults":["denied"],"selection":{"stacks":[` +
			`{"stack":"dev"},{"stack":"stage","taken":true}]}}`,
	})
	assert.Equal(t, exitPending, b.run("summary", "--file", "comment.md", "--detailed-exitcode", "--expect",
		"dev,stage", "preview-dev.json"), b.stderr.String())
	text := b.file("comment.md")
	assert.Contains(t, text, "## ❌ dbtier drift of `stage`: failed\n")
	assert.Contains(t, text, "has changed: `dev`\n")
	assert.NotContains(t, text, "drift of `dev`")
}
