package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) man() *cobra.Command {
	return &cobra.Command{
		Use:   "man <folder>",
		Short: "Write the manual pages, one a command, into a folder",
		Example: `  dbtier man /usr/local/share/man/man1
  man dbtier-preview`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("making the folder of the manual pages: %w", err)
			}
			return writeManual(cmd.Root(), args[0])
		},
	}
}

// writeManual writes the page of a command and of those below it.
func writeManual(cmd *cobra.Command, dir string) error {
	if cmd.Hidden || cmd.Name() == "help" {
		return nil
	}
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	if err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(manualPage(cmd)), 0o644); err != nil {
		return fmt.Errorf("writing a manual page: %w", err)
	}
	var problems []error
	for _, child := range cmd.Commands() {
		problems = append(problems, writeManual(child, dir))
	}
	return errors.Join(problems...)
}

// manualPage is a command's help in the language of man(7).
func manualPage(cmd *cobra.Command) string {
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	var out strings.Builder
	fmt.Fprintf(&out, ".TH %s 1 \"\" \"dbtier %s\" \"dbtier\"\n", roff(strings.ToUpper(name)), roff(version))
	fmt.Fprintf(&out, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(&out, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	fmt.Fprintf(&out, ".SH DESCRIPTION\n.nf\n%s\n.fi\n", roff(text))
	flags := func(title string, set *pflag.FlagSet) {
		if !set.HasAvailableFlags() {
			return
		}
		fmt.Fprintf(&out, ".SH %s\n", title)
		set.VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			names := "--" + f.Name
			if f.Shorthand != "" {
				names = "-" + f.Shorthand + ", " + names
			}
			value, usage := pflag.UnquoteUsage(f)
			fmt.Fprintf(&out, ".TP\n.B %s %s\n%s\n", roff(names), roff(value), roff(usage))
		})
	}
	flags("OPTIONS", cmd.NonInheritedFlags())
	flags("INHERITED OPTIONS", cmd.InheritedFlags())
	if cmd.Example != "" {
		fmt.Fprintf(&out, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	related := []string{}
	if parent := cmd.Parent(); parent != nil {
		related = append(related, strings.ReplaceAll(parent.CommandPath(), " ", "-"))
	}
	for _, child := range cmd.Commands() {
		if !child.Hidden && child.Name() != "help" {
			related = append(related, strings.ReplaceAll(child.CommandPath(), " ", "-"))
		}
	}
	if len(related) > 0 {
		fmt.Fprintf(&out, ".SH SEE ALSO\n")
		for _, page := range related {
			fmt.Fprintf(&out, ".BR %s (1)\n", roff(page))
		}
	}
	return out.String()
}

// roff writes a text so that nothing in it is a command of the typesetter.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
