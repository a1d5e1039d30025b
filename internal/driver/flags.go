package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"dbtier/config"
	"dbtier/internal/engine"
	"dbtier/internal/project"
	"dbtier/internal/webhook"
)

// stackFlags are the flags of the commands that work on stacks. Each command has some of them.
type stackFlags struct {
	stack, stacks  string
	parallelStacks int
	// changed is the revision since which a stack must have changed.
	changed                                      string
	backend, secretsProvider, kubernetesProvider string
	config                                       []string

	targets, replaces []string
	dependents        bool
	parallel          int
	refresh           bool

	policyPacks, policyConfigs []string
	noPolicy                   bool

	plan             string
	expectNoChanges  bool
	detailedExitCode bool
	summary          string
	// sarif and junit are the files that the findings of policies are written to.
	sarif, junit string
	// summarizes is true for commands that write summaries.
	summarizes    bool
	allowDataLoss []string
	// hook is told of drift, nil if there is none. heal repairs it.
	hook *webhook.Hook
	heal bool
	yes  bool
}

// flagGroup is a group of flags that a command can have.
type flagGroup int

const (
	// onSeveral is for commands that can work on several stacks.
	onSeveral flagGroup = iota
	// withEngine is for commands that run the engine with its providers.
	withEngine
	// withProgram is for commands that run the program, with its config and policies.
	withProgram
	// withTargets is for commands that can be limited to some resources.
	withTargets
	// withSummary is for commands that write a summary in Markdown.
	withSummary
	// withConsent is for commands that ask before they change something.
	withConsent
)

func (f *stackFlags) add(cmd *cobra.Command, a *app, groups ...flagGroup) {
	flags := cmd.Flags()
	flags.StringVarP(&f.stack, "stack", "s", "", "the stack, as in Pulumi.<stack>.yaml")
	flags.StringVar(&f.backend, "backend", "",
		"URL of the backend that holds the state: file://…, s3://…, https://…\n"+
			"(default: $PULUMI_BACKEND_URL, then backend.url of Pulumi.yaml, then the folder .dbtier/state;\n"+
			"local stacks: .localcloud/state/pulumi)")
	a.jsonFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("stack", completeStacks)
	for _, group := range groups {
		switch group {
		case onSeveral:
			flags.StringVar(&f.stacks, "stacks", "", "several stacks: names and patterns such as 'dev,prod-*';\n"+
				"a stack comes after the stacks that it refers to")
			flags.IntVar(&f.parallelStacks, "parallel-stacks", 4, "the `number` of stacks to work on at the same time")
			_ = cmd.RegisterFlagCompletionFunc("stacks", completeStacks)
			flags.StringVar(&f.changed, "changed", "", "with --stacks: only stacks whose file, program or "+
				"dependencies have\nchanged since this Git `revision`, and those that refer to them")
		case withEngine:
			flags.StringVar(&f.secretsProvider, "secrets-provider", "",
				"for a new stack: what encrypts the secrets in its state: awskms://…, gcpkms://…,\n"+
					"azurekeyvault://…, hashivault://…, passphrase\n"+
					"(default: passphrase, from $PULUMI_CONFIG_PASSPHRASE or _FILE)")
			flags.StringVar(&f.kubernetesProvider, "kubernetes-provider", "attached",
				"for stacks on the local cloud: attached uses the local cloud's own provider server,\n"+
					"installed uses the pulumi-kubernetes plugin of this machine")
			flags.IntVarP(&f.parallel, "parallel", "p", 0,
				"the `number` of resources to work on at the same time (default: the engine's choice)")
		case withProgram:
			flags.StringArrayVarP(&f.config, "config", "c", nil,
				"a config value for this run only, as `key=value`; dots select nested keys: pool.replicas=3.\n"+
					"The stack's file is not changed")
			flags.StringArrayVar(&f.replaces, "replace", nil, "replace this `resource` (name or URN)")
			flags.StringArrayVar(&f.policyPacks, "policy-pack", nil,
				"a policy `pack` to check in addition to the one beside dbtier")
			flags.StringArrayVar(&f.policyConfigs, "policy-pack-config", nil,
				"a `file` with the settings of a policy pack: give one for each pack,\nfirst for the one beside dbtier")
			flags.BoolVar(&f.noPolicy, "no-policy", false, "do not check the policy pack beside dbtier")
			flags.BoolVar(&f.refresh, "refresh", false, "refresh the state from the real resources first\n"+
				"(up always does so after a run that was killed, and after drift was found)")
			flags.BoolVar(&f.expectNoChanges, "expect-no-changes", false,
				"change nothing: exit with code 2 when there is something to change")
		case withTargets:
			flags.StringArrayVarP(&f.targets, "target", "t", nil, "only this `resource` (name or URN)")
			flags.BoolVar(&f.dependents, "target-dependents", false,
				"include the resources that depend on the targets")
		case withSummary:
			f.summarizes = true
			flags.StringVar(&f.summary, "summary", "", "write a summary in Markdown to this file, for a pull request\n"+
				"(in GitHub Actions it also appears on the job's page)")
		case withConsent:
			flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask (stacks on the local cloud never ask)")
		}
	}
}

func (a *app) jsonFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.asJSON, "json", false, "print one JSON object, schema dbtier/v1, also if the command fails")
}

// completeStacks completes the names of the project's stacks.
func completeStacks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	p, err := project.Find(".")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return p.Stacks(), cobra.ShellCompDirectiveNoFileComp
}

// check finds contradictions between the flags, and makes their paths absolute.
func (f *stackFlags) check(cmd *cobra.Command) error {
	if provider := f.kubernetesProvider; provider != "" && provider != "attached" && provider != "installed" {
		return usage(cmd, "--kubernetes-provider %s: choose attached or installed", provider)
	}
	if f.stack != "" && f.stacks != "" {
		return usage(cmd, "--stack and --stacks: give only one of them")
	}
	if f.stacks != "" && f.parallelStacks < 1 {
		return usage(cmd, "--parallel-stacks %d: must be at least 1", f.parallelStacks)
	}
	if given := cmd.Flags().Lookup("changed"); given != nil && given.Changed {
		switch {
		case f.changed == "":
			return usage(cmd, "--changed: is empty: give a Git revision, for example origin/main")
		case f.stacks == "":
			return usage(cmd, "--changed works with --stacks only: give --stacks '*' for all stacks of the project")
		}
	}
	if f.stacks != "" && f.plan != "" {
		return usage(cmd, "--plan works with --stack only: a plan belongs to one stack")
	}
	if f.parallel < 0 {
		return usage(cmd, "--parallel %d: must be positive", f.parallel)
	}
	if _, err := f.overrides(); err != nil {
		return usage(cmd, "%w", err)
	}
	if err := absolute(&f.plan, &f.summary, &f.sarif, &f.junit); err != nil {
		return err
	}
	for _, list := range [][]string{f.policyPacks, f.policyConfigs} {
		for i := range list {
			if err := absolute(&list[i]); err != nil {
				return err
			}
			if _, err := os.Stat(list[i]); err != nil {
				return usage(cmd, "--policy-pack: %s: %w", list[i], errors.Unwrap(err))
			}
		}
	}
	return nil
}

// absolute makes the paths absolute that are not empty.
func absolute(paths ...*string) error {
	for _, path := range paths {
		if *path == "" {
			continue
		}
		whole, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("the path of %s: %w", *path, err)
		}
		*path = whole
	}
	return nil
}

// overrides returns the values of --config by full key. Values are YAML, as in the stack's file, or text.
func (f *stackFlags) overrides() (map[string]any, error) {
	values := map[string]any{}
	for _, given := range f.config {
		key, text, ok := strings.Cut(given, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--config %s: want key=value", keyOf(given))
		}
		if !strings.Contains(key, ":") {
			key = config.Namespace + ":" + key
		}
		if key == project.ConfigKey {
			return nil, fmt.Errorf("--config %s: only the stack's file can choose the cloud", key)
		}
		if err := config.CheckKey(key); err != nil {
			name, _, _ := strings.Cut(given, "=")
			return nil, fmt.Errorf("--config %s: %w", name, err)
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("--config %s: the value is not valid YAML: %w", key, err)
		}
		// On a command line, a text needs no quotes that keep YAML from reading a number.
		if config.IsMeantAsText(key, value) {
			value = text
		}
		if value == nil {
			value = ""
		}
		values[key] = value
	}
	return values, nil
}

// keyOf returns the key at the beginning of a value of --config that has no sign, without what may be the value.
func keyOf(given string) string {
	namespace, key := "", given
	if rest, ours := strings.CutPrefix(given, config.Namespace+":"); ours {
		namespace, key = config.Namespace+":", rest
	}
	if at := strings.IndexAny(key, ":= \t\r\n"); at >= 0 {
		key = key[:at]
	}
	return namespace + key
}

// options are the engine's options for one stack.
func (t *task) options() engine.Options {
	f := t.flags
	return engine.Options{
		Progress: t.progress, Targets: patterns(f.targets), Replaces: patterns(f.replaces), Dependents: f.dependents,
		Parallel: f.parallel, Refresh: f.refresh, PolicyPacks: t.policies, PolicyConfigs: f.policyConfigs,
	}
}

// patterns turns names into patterns of URNs.
func patterns(names []string) []string {
	urns := make([]string, 0, len(names))
	for _, name := range names {
		if !strings.HasPrefix(name, "urn:") {
			name = "**::" + name
		}
		urns = append(urns, name)
	}
	return urns
}
