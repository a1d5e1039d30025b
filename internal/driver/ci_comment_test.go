package driver

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// commentScript is the script of the job that comments.
func commentScript(t *testing.T, name string) string {
	t.Helper()
	text := ciFiles(t)[name]
	if strings.HasPrefix(name, "github/") {
		var workflow struct{ Jobs map[string]ciJob }
		require.NoError(t, yaml.Unmarshal([]byte(text), &workflow))
		steps := workflow.Jobs["comment"].Steps
		return steps[len(steps)-1].Run
	}
	var pipeline struct{ Comment ciJob }
	require.NoError(t, yaml.Unmarshal([]byte(text), &pipeline))
	script := pipeline.Comment.Script
	return script[len(script)-1]
}

// The scripts run with tools that play GitHub's CLI, and GitLab's API behind curl. They record what is written.
func TestTheCommentIsMadeOnceUpdatedAndQuiet(t *testing.T) {
	scripts := map[string]string{}
	for _, name := range []string{"github/preview.yml", "gitlab/.gitlab-ci.yml"} {
		scripts[name] = commentScript(t, name)
	}
	const mark = "<!-- dbtier preview -->"
	for _, c := range []struct {
		what, exists string
		code         string
		github       string
		gitlab       string
	}{
		{"something, and no comment", "", "2", "POST repos/o/r/issues/7/comments\n", "POST https://api/projects/1/merge_requests/7/notes\n"},
		{"something, and a comment", "11", "2", "PATCH repos/o/r/issues/comments/11\n", "PUT https://api/projects/1/merge_requests/7/notes/11\n"},
		{"nothing, and no comment", "", "0", "", ""},
		{"nothing, and a comment", "11", "0", "PATCH repos/o/r/issues/comments/11\n", "PUT https://api/projects/1/merge_requests/7/notes/11\n"},
		{"a failure of dbtier", "11", "1", "", ""},
	} {
		for name, script := range scripts {
			dir := t.TempDir()
			tool := func(path, text string) {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte("#!/bin/bash\n"+text), 0o700))
			}
			tool("bin/dbtier", `echo "$*" > asked
printf '%s\nsecond "line"\n' '`+mark+`' > comment.md
exit `+c.code+"\n")
			tool("tools/tar", "exit 0\n")
			// It does not filter, but records the filter.
			tool("tools/gh", `case "$*" in
*--method*) echo "$3 $4" >> written ;;
*) echo "$*" > filter; echo "`+c.exists+`" | grep . || true ;;
esac
`)
			tool("tools/curl", `for word; do
	case "$last" in
	--output) output=$word ;;
	--dump-header) headers=$word ;;
	--request) request=$word ;;
	esac
	last=$word
done
case "$last" in
*/user) echo '{"id":5}' ;;
*page=1) echo '[]' > "$output"; printf 'HTTP/2 200\r\nx-next-page: 2\r\n' > "$headers" ;;
*page=2) echo "notes `+c.exists+`" > "$output"; printf 'HTTP/2 200\r\nX-Next-Page: \r\n' > "$headers" ;;
*) echo "$request $last" >> written ;;
esac
`)
			tool("tools/jq", `case "$*" in
.id) cat > ignored; echo 5 ;;
*--slurp*) echo '{}' ;;
*) echo "$*" > filter; sed -n 's/^notes //p' notes.json | grep . || true ;;
esac
`)
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "reports"), 0o700))
			for _, report := range []string{"reports/preview-dev.json", "preview-dev.json"} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, report), nil, 0o600))
			}
			// GitHub and GitLab stop at the first command that fails.
			cmd := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", script)
			cmd.Dir = dir
			cmd.Env = []string{
				"PATH=" + filepath.Join(dir, "tools") + ":/usr/bin:/bin", "GITHUB_REPOSITORY=o/r", "NUMBER=7",
				"CI_API_V4_URL=https://api", "CI_PROJECT_ID=1", "CI_MERGE_REQUEST_IID=7", "NOTES_TOKEN=x",
			}
			out, err := cmd.CombinedOutput()
			read := func(name string) string {
				text, _ := os.ReadFile(filepath.Join(dir, name))
				return string(text)
			}
			at := name + ": " + c.what
			want := c.gitlab
			if strings.HasPrefix(name, "github/") {
				want = c.github
			}
			assert.Equal(t, want, read("written"), "%s: %s", at, out)
			assert.Contains(t, read("asked"), "--expect dev,prod --detailed-exitcode --file comment.md ", at)
			assert.Contains(t, read("asked"), "preview-dev.json\n", at)
			if c.code == "1" {
				require.Error(t, err, at)
				continue
			}
			require.NoError(t, err, "%s: %s", at, out)
			assert.Contains(t, read("filter"), mark, at)
		}
	}
}
