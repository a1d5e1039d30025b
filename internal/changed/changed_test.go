package changed_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/changed"
	"dbtier/internal/gittest"
)

// repository makes a repository whose first commit has the files.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	gittest.LeaveRepository(t)
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	gittest.Run(t, dir, "init", "--quiet", "--initial-branch=main")
	gittest.Write(t, dir, files)
	gittest.Run(t, dir, "add", "--all")
	gittest.Run(t, dir, "commit", "--quiet", "--message", "first")
	return dir
}

func TestChangesAreThoseOfCommitsOfTheWorkTreeAndUntrackedOnes(t *testing.T) {
	dir := repository(t, map[string]string{
		"same": "1", "committed": "1", "worktree": "1", "staged": "1", "gone": "1", "old name": "a long text of one file",
		".gitignore": "ignored\n", "below/kept": "1",
	})
	gittest.Write(t, dir, map[string]string{"committed": "2"})
	gittest.Run(t, dir, "commit", "--quiet", "--all", "--message", "second")
	gittest.Write(t, dir, map[string]string{"staged": "2"})
	gittest.Run(t, dir, "add", "staged")
	gittest.Run(t, dir, "mv", "old name", "nëw\nname")
	gittest.Write(t, dir, map[string]string{"worktree": "2", "ignored": "1", "below/untracked": "1"})
	require.NoError(t, os.Remove(filepath.Join(dir, "gone")))
	// Settings of a person that would change what git prints.
	gittest.Run(t, dir, "config", "diff.relative", "true")
	gittest.Run(t, dir, "config", "diff.renames", "copies")

	for _, from := range []string{dir, filepath.Join(dir, "below")} {
		files, err := changed.Since(t.Context(), from, "HEAD~1")
		require.NoError(t, err)
		assert.Equal(t, []string{
			"below/untracked", "committed", "gone", "nëw\nname", "old name", "staged", "worktree",
		}, files.Paths)
		assert.Len(t, files.Commit, 40)
		assert.Equal(t, dir, files.Root)
	}
	files, err := changed.Since(t.Context(), dir, "main")
	require.NoError(t, err)
	assert.NotContains(t, files.Paths, "committed")
	assert.Equal(t, []string{"below/untracked"}, files.At(filepath.Join(dir, "below")))
	assert.Equal(t, []string{"gone"}, files.At(filepath.Join(dir, "gone")))
	assert.Empty(t, files.At(filepath.Join(dir, "wor")), "a part of a name is another file")
	assert.Empty(t, files.At(filepath.Dir(dir)))
	require.NoError(t, os.Symlink("worktree", filepath.Join(dir, "link")))
	assert.Equal(t, []string{"worktree"}, files.At(filepath.Join(dir, "link")))
}

// A hook of Git has variables of its repository.
func TestTheRepositoryIsThatOfTheFolder(t *testing.T) {
	other := repository(t, map[string]string{"other": "1"})
	inHook := func() {
		t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
		t.Setenv("GIT_WORK_TREE", other)
		t.Setenv("GIT_INDEX_FILE", filepath.Join(other, ".git", "index"))
		t.Setenv("GIT_PREFIX", "below/")
	}
	inHook()
	dir := repository(t, map[string]string{"ours": "1"})
	gittest.Write(t, dir, map[string]string{"ours": "2", "new": "1"})
	gittest.Write(t, other, map[string]string{"other": "2"})
	inHook()
	// Config in variables is not of a repository: CI gives safe.directory like this.
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "core.excludesFile")
	t.Setenv("GIT_CONFIG_VALUE_0", filepath.Join(other, "ignored"))
	gittest.Write(t, other, map[string]string{"ignored": "new\n"})
	files, err := changed.Since(t.Context(), dir, "HEAD")
	require.NoError(t, err)
	assert.Equal(t, dir, files.Root)
	assert.Equal(t, []string{"ours"}, files.Paths)
}

// A project can be reached by a link, and the folder of a file that its config names can be gone.
func TestAFileInAFolderThatIsGoneIsFoundThroughALink(t *testing.T) {
	dir := repository(t, map[string]string{"charts/below/values.yaml": "1", "same": "1"})
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "charts")))
	files, err := changed.Since(t.Context(), link, "HEAD")
	require.NoError(t, err)
	for _, path := range []string{"charts/below/values.yaml", "charts/below", "charts"} {
		assert.Equal(t, []string{"charts/below/values.yaml"}, files.At(filepath.Join(link, path)), path)
	}
	assert.Empty(t, files.At(filepath.Join(link, "other", "below", "values.yaml")))
	assert.Empty(t, files.At("/nowhere/below/values.yaml"))
}

func TestWhatGitLacksIsNamedWithItsFix(t *testing.T) {
	dir := repository(t, map[string]string{"a": "1"})
	fails := func(want, dir, revision string) {
		t.Helper()
		_, err := changed.Since(t.Context(), dir, revision)
		assert.ErrorContains(t, err, want)
	}
	fails("the repository has no revision nothing (Needed a single revision): give a branch", dir, "nothing")
	for _, option := range []string{"--all", "-q", "", "HEAD:a", "a b"} {
		fails("the repository has no revision "+option, dir, option)
	}
	t.Setenv("GIT_CEILING_DIRECTORIES", os.TempDir())
	fails("is in no Git repository: run this in a clone", t.TempDir(), "HEAD")

	gittest.Write(t, dir, map[string]string{"a": "2"})
	gittest.Run(t, dir, "commit", "--quiet", "--all", "--message", "second")
	shallow := filepath.Join(t.TempDir(), "shallow")
	gittest.Run(t, dir, "clone", "--quiet", "--depth", "1", "file://"+dir, shallow)
	fails("this shallow clone does not have the revision HEAD~1: fetch it with `git fetch --depth 1 origin", shallow,
		"HEAD~1")
	_, err := changed.Since(t.Context(), shallow, "HEAD")
	require.NoError(t, err)

	t.Setenv("PATH", t.TempDir())
	fails("git is not on PATH: install it", dir, "HEAD")
}

// A program with a package, a module in a folder, and files that it embeds.
var program = map[string]string{
	"go.mod": "module example.com/p // the program\n\ngo 1.24\n\nrequire example.com/inner v0.0.0\n\n" +
		"replace (\n\texample.com/other => example.com/fork v1.0.0\n\texample.com/inner v0.0.0 => ./inner // ours\n)\n",
	"go.sum": "",
	"main.go": "package main\n\nimport (\n\t\"embed\"\n\t\"fmt\"\n\n\t\"example.com/p/used\"\n\t\"example.com/absent\"\n)\n\n" +
		"//go:embed data/*.sql tree all:hidden\nvar files embed.FS\n\nfunc main() { fmt.Println(used.X, files, absent.X) }\n",
	"main_test.go": "package main\n", "main_plan9.go": "package main\n",
	"tagged.go":    "//go:build never\n\npackage main\n",
	"used/used.go": "package used\n\nimport \"example.com/inner/deep\"\n\nconst X = deep.X\n", "used/README.md": "",
	"used/testdata/used.go": "package used\n", "used/asm.s": "",
	"unused/unused.go": "package unused\n",
	"inner/go.mod":     "module example.com/inner\n", "inner/deep/deep.go": "package deep\n\nconst X = 1\n",
	"inner/inner.go": "package inner\n",
	"data/a.sql":     "", "data/a.txt": "", "data/below/a.sql": "", "tree/a": "", "tree/below/b": "", "tree/.c": "",
	"hidden/.d": "", "policy/policy.go": "package main\n\nimport _ \"example.com/p/unused\"\n",
}

func TestTheSourcesOfAProgramAreThoseOfItsBinary(t *testing.T) {
	dir := t.TempDir()
	gittest.Write(t, dir, program)
	// The go command is not needed.
	t.Setenv("PATH", t.TempDir())
	sources, err := changed.SourcesOf("example.com/p", filepath.Join(dir, "used"), dir)
	require.NoError(t, err)
	has := func(name string) bool { return sources.Has(filepath.Join(dir, filepath.FromSlash(name))) }
	for _, name := range []string{
		"go.mod", "go.sum", "main.go", "used/used.go", "used/asm.s", "inner/go.mod", "inner/deep/deep.go", "data/a.sql",
		"data/deleted.sql", "tree/a", "tree/below/b", "tree/deleted", "hidden/.d", "used/deleted.go", "inner/go.sum",
		"vendor/modules.txt",
	} {
		assert.True(t, has(name), name)
	}
	for _, name := range []string{
		"main_test.go", "main_plan9.go", "tagged.go", "used/README.md", "used/testdata/used.go", "unused/unused.go",
		"inner/inner.go", "data/a.txt", "data/below/a.sql", "tree/.c", "tree/_d/e", "README.md", "docs/a.go",
		"used/deleted_test.go", "policy/policy.go", "other/go.mod", "../go.mod", "used/_a.go",
	} {
		assert.False(t, has(name), name)
	}
	require.NoError(t, sources.Add("example.com/p/absent"))
	require.NoError(t, sources.Add("example.com/p/policy"))
	assert.True(t, has("policy/policy.go"))
	assert.True(t, has("unused/unused.go"))
}

func TestSourcesThatAreNotThereOrBrokenAreTold(t *testing.T) {
	dir := t.TempDir()
	gittest.Write(t, dir, program)
	_, err := changed.SourcesOf("example.com/q", dir, dir)
	require.ErrorIs(t, err, changed.ErrNoSources)
	_, err = changed.SourcesOf("example.com/pq", filepath.Join(dir, "used"), dir)
	require.ErrorIs(t, err, changed.ErrNoSources, "a part of a name is another module")
	_, err = changed.SourcesOf("example.com/p", t.TempDir(), dir)
	require.ErrorIs(t, err, changed.ErrNoSources)

	require.NoError(t, os.Remove(filepath.Join(dir, "inner", "deep", "deep.go")))
	_, err = changed.SourcesOf("example.com/p", dir, dir)
	require.ErrorContains(t, err, "the sources of package example.com/inner/deep: no buildable Go source files")
	gittest.Write(t, dir, map[string]string{"inner/deep/deep.go": "package deep; import ("})
	_, err = changed.SourcesOf("example.com/p", dir, dir)
	require.ErrorContains(t, err, "the sources of package example.com/inner/deep: ")
}

// What the compiler was given for this test binary's neighbours is what the package finds.
func TestTheSourcesOfThisProgramAreFound(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(t, err)
	// Git may refuse the checkout, if it is of another user.
	cmd := exec.CommandContext(t.Context(), "go", "list", "-C", root, "-buildvcs=false", "-deps", "-f",
		`{{if .Module}}{{$d := .Dir}}{{if not (eq .Module.Version "")}}{{if .Module.Replace}}{{range .GoFiles}}{{$d}}/{{.}}
{{end}}{{end}}{{else}}{{range .GoFiles}}{{$d}}/{{.}}
{{end}}{{range .EmbedFiles}}{{$d}}/{{.}}
{{end}}{{end}}{{end}}`, ".")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	sources, err := changed.SourcesOf("dbtier", root, root)
	require.NoError(t, err)
	listed := 0
	for file := range strings.FieldsSeq(string(out)) {
		listed++
		assert.True(t, sources.Has(file), file)
	}
	assert.Greater(t, listed, 200)
}
