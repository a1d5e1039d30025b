package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"dbtier/internal/project"
	"dbtier/internal/redact"
	"dbtier/internal/screen"
)

// version is set by the linker.
var version = "development"

// app is one invocation of the driver.
type app struct {
	deploy pulumi.RunFunc
	// program is the import path of the main package that holds deploy.
	program string
	// templates are the files of this checkout that a new project starts from.
	templates fs.FS
	stdin     io.Reader
	// stdout and stderr show no secrets. exact is stdout for what another program reads: exports, states, JSON.
	stdout, stderr, exact io.Writer
	// self is the driver's own binary, beside its folder, which has the other binaries of `make build`.
	self, beside string
	// system is the machine's operating system as Go names it.
	system string
	// kill closes at the second ^C.
	kill <-chan struct{}
	// terminal is true when stdout is a terminal that can move the cursor, asks when a person can answer questions.
	terminal, asks bool
	// width is that of stdout's terminal, 0 without one.
	width int
	// screen is the terminal of stdout or stderr, nil without one.
	screen *screen.Screen
	// typed is the name that the person has typed for this program; commands are the names of its commands.
	typed    string
	commands []string
	// hides is true once stdout and stderr hide secrets.
	hides bool
	// written is stdout, which keeps the first error of a write.
	written *stream
	// asJSON is the flag --json of the command, report its answer.
	asJSON bool
	report *report
	// secrets are those of the environment and of the run, which no output shows.
	secrets *redact.Redactor
	// preparing guards what is prepared once for all stacks: cli is the path of the Pulumi CLI once it is found.
	preparing sync.Mutex
	cli       string
	// replace is syscall.Exec, except in tests.
	replace func(path string, args, env []string) error
}

// Main runs the driver around a program and returns the exit code. templates are the files that a new project starts
// from.
func Main(deploy pulumi.RunFunc, templates fs.FS) int {
	ctx, kill, stop := interrupts(os.Stderr)
	defer stop()
	surviveClosedPipes()
	a := &app{
		deploy: deploy, templates: templates, stdin: os.Stdin, kill: kill, system: runtime.GOOS, replace: syscall.Exec,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		a.program = info.Path
	}
	a.connect(os.Stdout, os.Stderr)
	if !filepath.IsAbs(os.Args[0]) { // A script has typed an absolute path.
		a.typed = os.Args[0]
	}
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: finding dbtier's own binary: %s\n", err)
		return exitTrouble
	}
	a.self, a.beside = exe, filepath.Dir(exe)
	return a.run(ctx, os.Args[1:])
}

// connect sends the output to files, which can be terminals.
func (a *app) connect(stdout, stderr *os.File) {
	a.written = &stream{to: stdout}
	a.exact, a.stdout, a.stderr = a.written, a.written, &stream{to: stderr}
	sizes := func(file *os.File) (width int, isTerminal bool) {
		if !term.IsTerminal(int(file.Fd())) {
			return 0, false
		}
		width, _, err := term.GetSize(int(file.Fd()))
		return width, err == nil
	}
	width, shows := sizes(stdout)
	errorWidth, errorShows := sizes(stderr)
	a.asks = shows && term.IsTerminal(int(os.Stdin.Fd()))
	if !shows && !errorShows {
		return
	}
	// A terminal without a name, or named dumb, may not move the cursor. CI systems can offer a terminal for a log.
	live := os.Getenv("CI") == "" && os.Getenv("TERM") != "" && os.Getenv("TERM") != "dumb"
	to := a.stderr
	if !errorShows {
		to = a.stdout
	}
	a.screen = screen.New(screen.Options{
		To: to, Width: max(width, errorWidth), Live: live, Colour: live && os.Getenv("NO_COLOR") == "",
	})
	if errorShows {
		a.stderr = a.screen.Writer(a.stderr)
	}
	if shows {
		a.terminal, a.width = live, width
		a.exact, a.stdout = a.screen.Exact(a.written), a.screen.Writer(a.written)
	}
}

// run executes the arguments and reports the result.
func (a *app) run(ctx context.Context, args []string) int {
	a.secrets = redact.Environment(os.Environ())
	for _, arg := range args {
		a.secrets.Learn(arg)
	}
	a.hideSecrets()
	a.asJSON, a.report = false, a.newReport("", "")
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	// Cobra writes help and the scripts of shells.
	root.SetOut(a.exact)
	root.SetErr(a.stderr)
	a.commands = nil
	for _, cmd := range root.Commands() {
		a.commands = append(a.commands, cmd.Name())
	}
	err := misspelt(root, args)
	if err == nil {
		err = miswritten(root, args)
	}
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	if a.report.Command == "" && slices.Contains(args, "--json") {
		// The command line was refused before a command could read its flags.
		meant, _, _ := root.Find(args)
		a.asJSON, a.report.Command = true, strings.TrimPrefix(meant.CommandPath(), "dbtier ")
	}
	code := exitCode(ctx, err)
	out := a.written
	if unwritten := out != nil && out.failure() != nil; !unwritten || !errors.Is(err, out.failure()) {
		a.printError(ctx, err)
	}
	if a.asJSON && a.report.Command != "" {
		a.report.end(ctx, err)
		if err := a.encode(a.report); err != nil {
			return a.unwritten(code, err)
		}
	}
	if out != nil && out.failure() != nil {
		return a.unwritten(code, out.failure())
	}
	return code
}

// unwritten reports that the output is not complete, and returns the exit code for it. A code that says more than that
// the command has done its work stays.
func (a *app) unwritten(code int, err error) int {
	var cause syscall.Errno
	if errors.As(err, &cause) {
		err = cause // The path of standard output says nothing.
	}
	fmt.Fprintf(a.stderr, "error: writing the output: %s\n", err)
	if code == exitDone || code == exitPending {
		return exitTrouble
	}
	return code
}

// interrupts cancels the context at the first ^C and closes kill at the second.
func interrupts(messages io.Writer) (ctx context.Context, kill <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	killed := make(chan struct{})
	done := make(chan struct{})
	go func() {
		for count := 0; ; count++ {
			select {
			case <-done:
				return
			case <-signals:
			}
			switch count {
			case 0:
				fmt.Fprintln(messages,
					"\ncancelling: operations in progress are finished and recorded; ^C again stops at once")
				cancel()
			case 1:
				fmt.Fprintln(messages, "\nstopping at once")
				close(killed)
			}
		}
	}()
	return ctx, killed, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "dbtier",
		Short: "A production PostgreSQL tier on AWS for a service on Kubernetes, and the same tier on this machine",
		Long: `dbtier runs the tier's Pulumi program on a stack: RDS PostgreSQL, Secrets Manager, External Secrets
Operator, PgBouncer, migration and service. The file of each stack, Pulumi.<stack>.yaml, names its cloud
(dbtier:cloud):

    local   the local cloud on this machine; up starts it, .localcloud/ holds it
    aws     AWS and the Kubernetes cluster of your kubeconfig, with the installed Pulumi plugins`,
		Example: `  dbtier up --stack local
  dbtier verify --stack local
  dbtier preview --stack prod --offline
  dbtier up --stack prod
  dbtier drift --stacks 'prod-*' --json
  dbtier local kubectl get pods -A`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			a.report.Command = strings.TrimPrefix(cmd.CommandPath(), "dbtier ")
		},
		RunE: showHelp,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%w", err) })
	root.AddCommand(a.initialise(), a.set(), a.rotate(), a.preview(), a.up(), a.drift(), a.refresh(), a.destroy(),
		a.outputs(), a.verify(), a.drill(), a.policy(), a.permissions(), a.summary(),
		a.history(), a.cancel(), a.export(), a.importing(), a.doctor(), a.image(), a.local(), a.man(), a.version())
	// Cobra adds these when it executes, and misspelt looks for commands before that.
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	checkArguments(root)
	return root
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// checkArguments makes wrong arguments of the command, and of those below it, errors of usage.
func checkArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil && !cmd.DisableFlagParsing {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if stack := meantStack(cmd, args); stack != "" {
				return usage(cmd, "%s is the name of a stack: did you mean --stack %s?", stack, stack)
			}
			err := check(cmd, args)
			if plan := meantPlan(cmd, args); err != nil && plan != "" {
				return usage(cmd, "%s is a plan: did you mean --plan %s?", plan, plan)
			}
			if err != nil {
				return usage(cmd, "%w", err)
			}
			return nil
		}
	}
	for _, child := range cmd.Commands() {
		checkArguments(child)
	}
}

// meantStack returns the argument that is the name of a stack, if the command takes one and no stack is given.
func meantStack(cmd *cobra.Command, args []string) string {
	stack := cmd.Flags().Lookup("stack")
	if len(args) == 0 || stack == nil || stack.Changed || cmd.Flags().Changed("stacks") {
		return ""
	}
	p, err := project.Find(".")
	if err != nil {
		return ""
	}
	stacks := p.Stacks()
	if at := slices.IndexFunc(args, func(arg string) bool { return slices.Contains(stacks, arg) }); at >= 0 {
		return args[at]
	}
	return ""
}

// findProject finds the project of the current folder.
func (a *app) findProject() (*project.Project, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("the current folder: %w", err)
	}
	p, err := project.Find(dir)
	return p, coded(exitConfig, err)
}
