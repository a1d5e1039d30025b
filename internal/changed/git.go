package changed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Files are the files of a repository that changed since a revision: in commits, in the work tree, or untracked. Files
// that Git ignores are not among them.
type Files struct {
	// Root is the absolute path of the work tree, without symbolic links.
	Root string
	// Commit is the hash of the revision.
	Commit string
	// Paths are relative to Root, with slashes, sorted. Both names of a renamed file are among them.
	Paths []string
}

// Since asks git for the files that changed since a revision, in the repository of the folder dir. Its errors say what
// to do if git, the repository or the revision is missing.
func Since(ctx context.Context, dir, revision string) (*Files, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, errors.New("git is not on PATH: install it")
	}
	c := client{git: git, dir: dir, env: append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0")}
	if err := c.leaveRepository(ctx); err != nil {
		return nil, err
	}
	root, err := c.line(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, c.noRepository(err)
	}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, fmt.Errorf("the work tree of the repository: %w", err)
	}
	c.dir = root
	commit, err := c.line(ctx, "rev-parse", "--verify", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return nil, c.noRevision(ctx, revision, err)
	}
	files := &Files{Root: root, Commit: commit}
	for _, args := range [][]string{
		// Config of the user may turn on relative paths, renames and other programs.
		{"diff", "--name-only", "-z", "--no-renames", "--no-relative", "--no-ext-diff", commit, "--"},
		{"ls-files", "--others", "--exclude-standard", "--full-name", "-z"},
	} {
		printed, err := c.run(ctx, args...)
		if err != nil {
			return nil, fmt.Errorf("git %s: %w", args[0], err)
		}
		for path := range strings.SplitSeq(printed, "\x00") {
			if path != "" {
				files.Paths = append(files.Paths, path)
			}
		}
	}
	slices.Sort(files.Paths)
	files.Paths = slices.Compact(files.Paths)
	return files, nil
}

// Relative returns a path relative to the root, with slashes; "" for a path outside of the repository. The file need
// not exist.
func (f *Files) Relative(path string) string {
	// A link within the folder names another file, so only the folder's own links are resolved. A folder that is gone
	// is resolved as far as it is there.
	for dir, below := filepath.Dir(path), filepath.Base(path); ; dir, below = filepath.Dir(dir),
		filepath.Join(filepath.Base(dir), below) {
		if resolved, err := filepath.EvalSymlinks(dir); err == nil {
			path = filepath.Join(resolved, below)
			break
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	within, err := filepath.Rel(f.Root, path)
	if err != nil || within == ".." || strings.HasPrefix(within, ".."+string(filepath.Separator)) {
		return ""
	}
	return filepath.ToSlash(within)
}

// At returns the files that changed at a path or below it. A symbolic link has changed if its target has.
func (f *Files) At(path string) []string {
	within := []string{f.Relative(path)}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		within = append(within, f.Relative(target))
	}
	var found []string
	for _, changed := range f.Paths {
		if slices.ContainsFunc(within, func(at string) bool {
			return at != "" && (changed == at || strings.HasPrefix(changed, at+"/"))
		}) {
			found = append(found, changed)
		}
	}
	return found
}

// client runs git in a folder, with an environment.
type client struct {
	git, dir string
	env      []string
}

// leaveRepository drops the variables that name a repository, such as GIT_DIR and GIT_INDEX_FILE. A hook of Git has
// them, of a repository that need not be that of the folder. Config in variables stays, as Git keeps it for submodules.
func (c *client) leaveRepository(ctx context.Context) error {
	names, err := c.run(ctx, "rev-parse", "--local-env-vars")
	if err != nil {
		return fmt.Errorf("git rev-parse --local-env-vars: %w", err)
	}
	local := strings.Fields(names)
	c.env = slices.DeleteFunc(c.env, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(local, name) && name != "GIT_CONFIG_COUNT" && name != "GIT_CONFIG_PARAMETERS"
	})
	return nil
}

// run returns what git printed. An error is what git said.
func (c client) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.git, args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = c.dir, c.env, 5*time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return stdout.String(), nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &exit):
		if said := strings.TrimPrefix(strings.TrimSpace(stderr.String()), "fatal: "); said != "" {
			return "", errors.New(said)
		}
		return "", fmt.Errorf("git exited with code %d", exit.ExitCode())
	default:
		return "", fmt.Errorf("starting git: %w", err)
	}
}

func (c client) line(ctx context.Context, args ...string) (string, error) {
	printed, err := c.run(ctx, args...)
	return strings.TrimRight(printed, "\r\n"), err
}

func (c client) noRepository(err error) error {
	if strings.Contains(err.Error(), "not a git repository") {
		return fmt.Errorf("folder %s is in no Git repository: run this in a clone", c.dir)
	}
	// Such as a repository of another user, for which git names the fix.
	return fmt.Errorf("the Git repository of folder %s: %w", c.dir, err)
}

func (c client) noRevision(ctx context.Context, revision string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if shallow, _ := c.line(ctx, "rev-parse", "--is-shallow-repository"); shallow == "true" {
		return fmt.Errorf("this shallow clone does not have the revision %s: fetch it with `git fetch --depth 1 "+
			"origin <branch or commit>`, or clone with the history (fetch-depth: 0 on GitHub, GIT_DEPTH: 0 on GitLab)",
			revision)
	}
	return fmt.Errorf("the repository has no revision %s (%w): give a branch, a tag or a commit that `git log` knows, "+
		"or run `git fetch` first", revision, err)
}
