package driver

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dbtier/internal/suggest"
)

// ofTerraform are the commands of Terraform that have another name here.
var ofTerraform = map[string]string{
	"plan": "preview", "apply": "up", "validate": "preview", "output": "outputs", "state": "export", "show": "export",
	"force-unlock": "cancel", "taint": "up --replace <resource>", "workspace": "up --stack <stack>",
}

// flagsOfTerraform are the flags of Terraform that have another name here, or none: what to give instead. The name of a
// flag stands for itself, if the command has it.
var flagsOfTerraform = map[string]string{
	"auto-approve":     "--yes",
	"out":              "--plan",
	"var":              "--config",
	"parallelism":      "--parallel",
	"state":            "--backend",
	"backend-config":   "--backend",
	"var-file":         "write the values into Pulumi.<stack>.yaml, or give one with --config key=value",
	"refresh-only":     "use `dbtier drift`, which shows what differs, or `dbtier refresh`, which records it",
	"destroy":          "use `dbtier destroy`",
	"chdir":            "change into the project's folder before",
	"workspace":        "choose the stack with --stack",
	"raw":              "use --json: dbtier outputs --stack <stack> --json | jq -r .outputs.<name>",
	"version":          "use `dbtier version`",
	"no-color":         "set NO_COLOR=1 in the environment",
	"lock":             "leave it out: a run always locks its stack",
	"lock-timeout":     "leave it out: a run that meets a lock ends with exit code 6",
	"input":            "leave it out: without a terminal nobody is asked, and --yes skips the question",
	"force":            "leave it out: --yes skips the question",
	"compact-warnings": "leave it out",
	"upgrade":          "leave it out: dbtier names the version of each plugin",
	"reconfigure":      "leave it out: --backend chooses the backend in each run",
	"migrate-state":    "use `dbtier export --file <file>` and `dbtier import --file <file>`",
}

// misspelt returns an error for the name of a command that does not exist. Cobra parses the flags first, and would
// complain of the first flag that only the meant command has.
func misspelt(root *cobra.Command, args []string) error {
	parent, rest, _ := root.Find(args)
	if parent == nil || !parent.HasAvailableSubCommands() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil
	}
	var names []string
	for _, child := range parent.Commands() {
		names = append(names, child.Name())
	}
	nearest := suggest.Nearest(rest[0], names)
	if ours := ofTerraform[rest[0]]; ours != "" && parent == root {
		nearest = ours
	}
	switch {
	case strings.HasPrefix(rest[0], "__complete"):
		return nil
	case nearest != "":
		return usage(parent, "unknown command %q: did you mean %s %s?", rest[0], parent.CommandPath(), nearest)
	case parent.Flags().Lookup("stack") != nil:
		// The command runs by itself, too, and says whether the argument is the name of a stack.
		return nil
	default:
		return usage(parent, "unknown command %q: the commands are %s", rest[0], strings.Join(names, ", "))
	}
}

// miswritten returns an error for a flag that the meant command does not have, or that is written with one dash. The
// parser takes a word with one dash for short flags or their values: -stack local would be the stack "tack".
func miswritten(root *cobra.Command, args []string) error {
	// Without a command that is known, Cobra has its own error.
	cmd, rest, _ := root.Find(args)
	if cmd == nil || cmd.DisableFlagParsing || len(args) > 0 && strings.HasPrefix(args[0], "__complete") {
		return nil
	}
	cmd.InitDefaultHelpFlag()
	flags := cmd.Flags()
	for i := 0; i < len(rest); i++ {
		word := rest[i]
		name, given, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
		dashes := len(word) - len(strings.TrimLeft(word, "-"))
		if word == "--" {
			return nil
		}
		if dashes == 0 || name == "" {
			continue
		}
		var flag *pflag.Flag
		switch short := flags.ShorthandLookup(name[:1]); {
		case dashes > 1 || len(name) > 1 && isLong(flags, name):
			if flag = flags.Lookup(name); flag == nil || dashes != 2 {
				return usage(cmd, "unknown flag %s%s: %s", word[:dashes], name, instead(cmd, name, given))
			}
		case short == nil && len(name) > 1:
			return usage(cmd, "unknown flag -%s: %s", name, instead(cmd, name, given))
		default:
			// One letter, or the letter with its value or with other letters. The parser knows.
			if flag = short; len(name) > 1 {
				continue
			}
		}
		// The next word is the value.
		if flag != nil && flag.NoOptDefVal == "" && !hasValue {
			i++
		}
	}
	return nil
}

// isLong reports whether a word is the name of a flag of the command, or of one of Terraform.
func isLong(flags *pflag.FlagSet, name string) bool {
	return flags.Lookup(name) != nil || flagsOfTerraform[name] != ""
}

// instead says what to write instead of a flag, with the value that was given. It does not repeat the value, which can
// be a credential.
func instead(cmd *cobra.Command, name, given string) string {
	flags := cmd.Flags()
	ours := flagsOfTerraform[name]
	flag, isFlag := strings.CutPrefix(ours, "--")
	switch {
	case name == "refresh" && given == "false":
		return "leave it out: the real resources are read only with --refresh"
	case flags.Lookup(name) != nil:
		return "want --" + name
	case ours != "" && !isFlag:
		return ours
	case ours != "" && flags.Lookup(flag) != nil:
		return "want " + ours
	case ours != "":
		return "leave it out: " + cmd.CommandPath() + " has no " + ours
	}
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	slices.Sort(names)
	if nearest := suggest.Nearest(name, names); nearest != "" {
		return "did you mean --" + nearest + "?"
	}
	return "the flags are --" + strings.Join(names, ", --")
}

// meantPlan returns the argument that is the file of a plan, as in `terraform apply FILE`, if the command takes one.
func meantPlan(cmd *cobra.Command, args []string) string {
	plan := cmd.Flags().Lookup("plan")
	if len(args) != 1 || plan == nil || plan.Changed {
		return ""
	}
	if _, err := readPlan(args[0]); err != nil {
		return ""
	}
	return args[0]
}
