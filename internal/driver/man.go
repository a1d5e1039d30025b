package driver

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

func (a *app) man() *cobra.Command {
	return &cobra.Command{
		Use:   "man <folder>",
		Short: "Write a manual page for each command into a folder",
		Example: `  dbtier man /usr/local/share/man/man1
  man dbtier-preview`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("making the folder of the manual pages: %w", err)
			}
			escape(cmd.Root())
			header := &doc.GenManHeader{Section: "1", Source: "dbtier " + version, Manual: "dbtier"}
			if err := doc.GenManTree(cmd.Root(), header, args[0]); err != nil {
				return fmt.Errorf("writing the manual pages: %w", err)
			}
			return nil
		},
	}
}

// escape escapes the texts of the command and of those below it. The generator reads them as Markdown, where <stack> is
// a tag.
func escape(cmd *cobra.Command) {
	escaped := strings.NewReplacer("<", `\<`, "*", `\*`)
	for _, text := range []*string{&cmd.Use, &cmd.Short, &cmd.Long} {
		*text = escaped.Replace(*text)
	}
	cmd.DisableAutoGenTag = true
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = escaped.Replace(strings.ReplaceAll(f.Usage, "\n", " ")) })
	for _, child := range cmd.Commands() {
		escape(child)
	}
}
