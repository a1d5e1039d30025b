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

// lastScript is the last script of a job, as arguments of the shell that runs it there.
func lastScript(t *testing.T, name, job string) []string {
	t.Helper()
	text := ciFiles(t)[name]
	if strings.HasPrefix(name, "github/") {
		var workflow struct{ Jobs map[string]ciJob }
		require.NoError(t, yaml.Unmarshal([]byte(text), &workflow))
		steps := workflow.Jobs[job].Steps
		last := steps[len(steps)-1]
		// "Workflow syntax for GitHub Actions", jobs.<job_id>.steps[*].shell.
		if last.Shell == "bash" {
			return []string{"--noprofile", "--norc", "-e", "-o", "pipefail", "-c", last.Run}
		}
		require.Empty(t, last.Shell)
		return []string{"-e", "-c", last.Run}
	}
	var pipeline map[string]yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &pipeline))
	var of ciJob
	node := pipeline[job]
	require.NoError(t, node.Decode(&of))
	return []string{"-e", "-o", "pipefail", "-c", of.Script[len(of.Script)-1]}
}

// The scripts run with tools that play GitHub's CLI, and GitLab's API behind curl. They record what is written.
func TestTheCommentIsMadeOnceUpdatedAndQuiet(t *testing.T) {
	scripts := map[string][]string{}
	for _, name := range []string{"github/preview.yml", "gitlab/.gitlab-ci.yml"} {
		scripts[name] = lastScript(t, name, "comment")
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
		{"comments that cannot be listed", "fails", "2", "", ""},
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
*)
	[ "`+c.exists+`" != fails ] || exit 1
	echo "$*" > filter
	[ -z "`+c.exists+`" ] || printf '%s\n' "`+c.exists+`" 12
	;;
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
*/notes*) [ "`+c.exists+`" != fails ] || exit 22 ;;&
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
			cmd := exec.CommandContext(t.Context(), "bash", script...)
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
			if c.code == "1" || c.exists == "fails" {
				require.Error(t, err, at)
				continue
			}
			require.NoError(t, err, "%s: %s", at, out)
			assert.Contains(t, read("filter"), mark, at)
		}
	}
}

// The job comment must say that another job has failed, and must not run for a fork, which may not write.
func TestTheCommentIsAlsoMadeAfterJobsThatFailed(t *testing.T) {
	all := workflows(t)
	job := all["github/preview.yml"]["comment"]
	assert.Equal(t, "${{ !cancelled() && github.event.pull_request.head.repo.full_name == github.repository }}", job.If)
	job = all["gitlab/.gitlab-ci.yml"]["comment"]
	require.Len(t, job.Rules, 1)
	assert.Equal(t, "always", job.Rules[0].When)
}

// The scripts run with a repository that plays that of GitHub and GitLab.
func TestARotationThatIsProposedIsNotPushedAgain(t *testing.T) {
	for _, c := range []struct {
		branch, asked string
		script        []string
	}{
		{"rotate-passwords", strings.Repeat("list\ncreate\n", 3), lastScript(t, "github/rotate.yml", "propose")},
		{"rotate-prod", "", lastScript(t, "gitlab/.gitlab-ci.yml", "rotate")},
	} {
		b := repository(t)
		b.git("config", "receive.advertisePushOptions", "true")
		pushes := func(generation, date string) string {
			clone := t.TempDir()
			run := func(program string, args ...string) string {
				cmd := exec.CommandContext(t.Context(), program, args...)
				cmd.Dir = clone
				cmd.Env = append(os.Environ(), "PATH="+filepath.Join(b.dir, "tools")+":"+os.Getenv("PATH"),
					// Commits of one second and one change would be the same.
					"GIT_COMMITTER_DATE="+date, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+b.dir+".insteadOf",
					"GIT_CONFIG_VALUE_0=https://oauth2:t@gitlab/g/p.git", "STACK=prod", "GITHUB_REF_NAME=main",
					"ROTATE_TOKEN=t", "CI_SERVER_HOST=gitlab", "CI_PROJECT_PATH=g/p", "CI_DEFAULT_BRANCH=main")
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, "%s: %s", c.branch, out)
				return strings.TrimSpace(string(out))
			}
			run("git", "clone", "--quiet", "--depth", "1", "file://"+b.dir, ".")
			require.NoError(t, os.WriteFile(filepath.Join(clone, "Pulumi.prod.yaml"),
				[]byte("config:\n  dbtier:cloud: aws\n  dbtier:role: {generation: "+generation+"}\n"), 0o600))
			run("bash", c.script...)
			return run("git", "-C", b.dir, "rev-parse", c.branch)
		}
		b.writes(map[string]string{
			"asked": "", "tools/gh": "#!/bin/sh\necho \"$2\" >> " + filepath.Join(b.dir, "asked") + "\n",
		})
		require.NoError(t, os.Chmod(filepath.Join(b.dir, "tools", "gh"), 0o700))
		first := pushes("2", "2026-01-01T00:00:00Z")
		assert.Equal(t, first, pushes("2", "2026-01-08T00:00:00Z"), "%s: the same change", c.branch)
		assert.NotEqual(t, first, pushes("3", "2026-01-15T00:00:00Z"), "%s: another change", c.branch)
		assert.Equal(t, c.asked, b.file("asked"), "a pull request that was closed is opened again")
	}
}
