package driver

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dbtier/internal/summary"
)

// reportStack matches the names of stacks that a report may have.
var reportStack = regexp.MustCompile(`^[\w.-]{1,100}$`)

func (a *app) summary() *cobra.Command {
	var file, expected string
	var detailed bool
	cmd := &cobra.Command{
		Use:   "summary [<report>...]",
		Short: "Write one comment for a pull request from the reports of several runs",
		Long: `Writes one Markdown document from the reports that --json of preview or drift has printed, of one or of
several stacks each. Its first line is a comment of HTML, <!-- dbtier preview -->, by which a pipeline finds
its own comment on a pull request again and updates it. Stacks in which nothing would change, and stacks that
--changed left out, have one line. The document fits into a comment.

With --expect, a stack without a report has failed. So has a run whose file is empty or cut, because it was
killed, or that failed before its first stack. The document says so. Without --expect, such a file is an error.

Exit codes: 0 done, 1 a report cannot be read, 2 with --detailed-exitcode if a stack would change or has
failed: a pipeline makes no new comment for 0, and only updates its old one.`,
		Example: `  dbtier summary --file comment.md preview-dev.json preview-prod.json
  dbtier summary --file comment.md --expect 'dev,prod' --detailed-exitcode reports/preview-dev.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && len(named(expected)) == 0 {
				return usage(cmd, "no reports given: name files that --json has written, or stacks with --expect")
			}
			if file == "" {
				return usage(cmd, "--file: is missing: give the file to write")
			}
			text, says, err := a.joined(args, named(expected))
			if err != nil {
				return err
			}
			if err := write(file, os.O_TRUNC, text); err != nil {
				return err
			}
			if says && detailed {
				return errPending
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "the Markdown `file` to write")
	cmd.Flags().StringVar(&expected, "expect", "",
		"the `stacks` that must have a report, such as 'dev,prod'; one without has failed")
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false,
		"exit with code 2 if a stack would change or has failed")
	return cmd
}

// joined is one document of the reports in files. It says something if a stack would change or has failed. A file
// without a report of any stack is an error, unless stacks are expected: then it is a failure that the document tells.
func (a *app) joined(files, expected []string) (text string, says bool, err error) {
	var loud []*report
	var quiet, left, seen []string
	command := ""
	var faults []error
	for _, file := range files {
		reports, out, err := readReports(file)
		var useless *noReportError
		if errors.As(err, &useless) && len(expected) > 0 {
			// Its name often says which job has failed.
			loud = append(loud, &report{Stack: filepath.Base(file), ExitCode: exitTrouble, Faults: useless.faults})
		} else if err != nil {
			faults = append(faults, err)
			continue
		}
		left = append(left, out...)
		seen = append(seen, out...)
		for _, r := range reports {
			if command == "" {
				command = r.Command
			}
			if r.Command != command {
				faults = append(faults, fmt.Errorf("%s: is a report of %s, and the others are of %s: give "+
					"reports of one command", file, r.Command, command))
			}
			if r.Stack == "" {
				continue
			}
			if slices.Contains(seen, r.Stack) {
				faults = append(faults, fmt.Errorf("%s: stack %s has a report in another file: give one for "+
					"each stack", file, r.Stack))
			}
			seen = append(seen, r.Stack)
			if r.OK && !r.found() && len(r.DataLoss)+len(r.Conflicts) == 0 {
				quiet = append(quiet, r.Stack)
			} else {
				loud = append(loud, r)
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return "", false, err
	}
	for _, name := range expected {
		if !slices.Contains(seen, name) {
			loud = append(loud, &report{
				Stack: name, ExitCode: exitTrouble,
				Faults: []string{"there is no report of this stack: see the log of its job"},
			})
		}
	}
	command = cmp.Or(command, "preview")
	mark := "<!-- dbtier " + command + " -->\n"
	end := quietLines(quiet, left)
	if len(loud) == 0 {
		return mark + "## ✅ dbtier " + command + ": nothing would change\n\n" + end, false, nil
	}
	stacks := make([]summary.Stack, 0, len(loud))
	for _, r := range loud {
		r.Command = command
		stacks = append(stacks, r.summary())
	}
	return mark + summary.Markdown(stacks, a.secrets, summary.Limit-room-len(mark)-len(end)) + "\n" + end, true, nil
}

// named are the names in a list with commas.
func named(list string) []string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// quietLines names the stacks in which nothing would change, and those that --changed left out.
func quietLines(quiet, left []string) string {
	var lines strings.Builder
	for _, list := range []struct {
		title string
		names []string
	}{{"Nothing would change", quiet}, {"Left out, because nothing that they depend on has changed", left}} {
		if len(list.names) > 0 {
			fmt.Fprintf(&lines, "%s: `%s`\n\n", list.title, strings.Join(list.names, "`, `"))
		}
	}
	return lines.String()
}

// noReportError says that a file has no report of any stack: a run that was killed leaves an empty or cut file, and one
// that failed before its first stack only its own faults.
type noReportError struct {
	file   string
	faults []string
}

func (e *noReportError) Error() string { return e.file + ": " + strings.Join(e.faults, "; ") }

// readReports reads the report of a run: those of its stacks, and the names of the stacks that --changed left out.
func readReports(file string) (reports []*report, left []string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the report: %w", err)
	}
	var whole report
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, nil, &noReportError{file, []string{
			fmt.Sprintf("is not a report that --json has written: %s", err),
		}}
	}
	if whole.Schema != schema {
		return nil, nil, fmt.Errorf("%s: schema: %q: want %s, as --json writes it", file, whole.Schema, schema)
	}
	if whole.Command != "preview" && whole.Command != summary.Drift {
		return nil, nil, fmt.Errorf("%s: command: %q: want a report of preview or drift", file, whole.Command)
	}
	reports = []*report{&whole}
	if whole.Stack == "" {
		// A run that ended before its first stack has only its own faults. An empty name keeps the command.
		reports = append([]*report{{Command: whole.Command}}, whole.Stacks...)
	}
	for _, r := range reports {
		if r.Stack != "" && !reportStack.MatchString(r.Stack) {
			return nil, nil, fmt.Errorf("%s: stack: %q: is not the name of a stack", file, r.Stack)
		}
		r.planning, r.steps = true, r.Resources
	}
	if whole.Selection != nil {
		for _, each := range whole.Selection.Stacks {
			if !reportStack.MatchString(each.Stack) {
				return nil, nil, fmt.Errorf("%s: selection: %q: is not the name of a stack", file, each.Stack)
			}
			if !each.Taken {
				left = append(left, each.Stack)
			}
		}
	}
	if whole.Stack == "" && len(whole.Stacks) == 0 && !whole.OK {
		err = &noReportError{file, append([]string{"the run failed before its first stack"}, whole.Faults...)}
	}
	return reports, left, err
}
