package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"dbtier/internal/engine"
	"dbtier/internal/project"
)

// stackFlags are the flags of the commands that work on stacks; each command has some of them.
type stackFlags struct {
	stack, stacks                                string
	parallelStacks                               int
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
	// summarizes says that the command writes summaries at all.
	summarizes    bool
	allowDataLoss []string
	yes           bool
}

// The groups of flags, of which a command chooses.
type flagGroup int

const (
	// onSeveral works on several stacks at once.
	onSeveral flagGroup = iota
	// withEngine runs the engine, and with it providers.
	withEngine
	// withProgram runs the program too, with its config and policies.
	withProgram
	// withTargets can be kept to some resources.
	withTargets
	// withSummary writes Markdown.
	withSummary
	// withConsent changes what a person may want to be asked about.
	withConsent
)

func (f *stackFlags) add(cmd *cobra.Command, a *app, groups ...flagGroup) {
	flags := cmd.Flags()
	flags.StringVarP(&f.stack, "stack", "s", "", "the stack, as in Pulumi.<stack>.yaml")
	flags.StringVar(&f.backend, "backend", "", "URL of the backend that holds the state: file://…, s3://…, https://…\n"+
		"(default: $PULUMI_BACKEND_URL, then backend.url of Pulumi.yaml, then the folder .dbtier/state;\nlocal "+
		"stacks: .localcloud/state/pulumi)")
	flags.BoolVar(&a.asJSON, "json", false, "print JSON, see docs/driver.md")
	_ = cmd.RegisterFlagCompletionFunc("stack", completeStacks)
	for _, group := range groups {
		switch group {
		case onSeveral:
			flags.StringVar(&f.stacks, "stacks", "",
				"several stacks: names and patterns such as 'dev,prod-*'; a stack comes after those\nthat it refers to")
			flags.IntVar(&f.parallelStacks, "parallel-stacks", 4, "how many stacks are worked on at once")
			_ = cmd.RegisterFlagCompletionFunc("stacks", completeStacks)
		case withEngine:
			flags.StringVar(&f.secretsProvider, "secrets-provider", "",
				"what encrypts secrets in the state of a stack that is made now: awskms://…,\n"+
					"gcpkms://…, azurekeyvault://…, hashivault://…, passphrase (default: passphrase, from "+
					"$PULUMI_CONFIG_PASSPHRASE or _FILE)")
			flags.StringVar(&f.kubernetesProvider, "kubernetes-provider", "attached",
				"for stacks on the local cloud: attached uses the local cloud's own\n"+
					"provider server, installed the pulumi-kubernetes plugin of this machine")
			flags.IntVarP(&f.parallel, "parallel", "p", 0,
				"how many resources are worked on at once (default: the engine's choice)")
		case withProgram:
			flags.StringArrayVarP(&f.config, "config", "c", nil,
				"a config value of this run alone, as key=value; below a key with dots: pool.replicas=3.\n"+
					"The stack's file stays as it is")
			flags.StringArrayVar(&f.replaces, "replace", nil, "replace this resource (name or URN)")
			flags.StringArrayVar(&f.policyPacks, "policy-pack", nil,
				"another policy pack besides the one that is beside dbtier")
			flags.StringArrayVar(&f.policyConfigs, "policy-pack-config", nil,
				"a file with the settings of the policy packs: one for each of them,\n"+
					"the one beside dbtier first")
			flags.BoolVar(&f.noPolicy, "no-policy", false, "do without the policy pack that is beside dbtier")
			flags.BoolVar(&f.refresh, "refresh", false,
				"look first at what is there (after a run that was killed, and after drift was\n"+
					"found, up does so anyway)")
			flags.BoolVar(&f.expectNoChanges, "expect-no-changes", false,
				"change nothing: end with 2 where there is something to change")
		case withTargets:
			flags.StringArrayVarP(&f.targets, "target", "t", nil, "only this resource (name or URN)")
			flags.BoolVar(&f.dependents, "target-dependents", false, "and what depends on it")
		case withSummary:
			f.summarizes = true
			flags.StringVar(&f.summary, "summary", "", "write a summary in Markdown to this file, for a pull request\n"+
				"(in GitHub Actions the job's page has it, too)")
		case withConsent:
			flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask (stacks on the local cloud never ask)")
		}
	}
}

// completeStacks offers the project's stacks.
func completeStacks(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	p, err := project.Find(dir)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return p.Stacks(), cobra.ShellCompDirectiveNoFileComp
}

// check finds what the flags themselves tell to be wrong, and makes their paths independent of the folder.
func (f *stackFlags) check(cmd *cobra.Command) error {
	usage := func(format string, args ...any) error {
		return &usageError{error: fmt.Errorf(format, args...), command: cmd.CommandPath()}
	}
	if provider := f.kubernetesProvider; provider != "" && provider != "attached" && provider != "installed" {
		return usage("--kubernetes-provider %s: choose attached or installed", provider)
	}
	if f.stack != "" && f.stacks != "" {
		return usage("--stack and --stacks: give one of them")
	}
	if f.stacks != "" && f.parallelStacks < 1 {
		return usage("--parallel-stacks %d: at least one stack is worked on at a time", f.parallelStacks)
	}
	if f.stacks != "" && f.plan != "" {
		return usage("--plan is for one stack: a plan is of one stack's resources")
	}
	if f.parallel < 0 {
		return usage("--parallel %d: give a positive number", f.parallel)
	}
	if _, err := f.overrides(); err != nil {
		return usage("%s", err)
	}
	for _, path := range []*string{&f.plan, &f.summary} {
		if err := absolute(path); err != nil {
			return err
		}
	}
	for _, list := range [][]string{f.policyPacks, f.policyConfigs} {
		for i := range list {
			if err := absolute(&list[i]); err != nil {
				return err
			}
			if _, err := os.Stat(list[i]); err != nil {
				return usage("--policy-pack: %s: %w", list[i], errors.Unwrap(err))
			}
		}
	}
	return nil
}

func absolute(path *string) error {
	if *path == "" {
		return nil
	}
	whole, err := filepath.Abs(*path)
	if err != nil {
		return fmt.Errorf("the path of %s: %w", *path, err)
	}
	*path = whole
	return nil
}

// overrides are the values of --config, by full key. Values are read as YAML, as in the stack's file.
func (f *stackFlags) overrides() (map[string]any, error) {
	values := map[string]any{}
	for _, given := range f.config {
		key, text, ok := strings.Cut(given, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("--config %s: want key=value", given)
		}
		if !strings.Contains(key, ":") {
			key = configNamespace + ":" + key
		}
		if key == project.ConfigKey {
			return nil, fmt.Errorf("--config %s: which cloud a stack lives on is for its file alone to say", key)
		}
		var value any
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			return nil, fmt.Errorf("--config %s: the value is not valid YAML: %w", key, err)
		}
		if value == nil {
			value = ""
		}
		values[key] = value
	}
	return values, nil
}

// configNamespace is the namespace of the program's config keys.
const configNamespace = "dbtier"

// options are the engine's, for one stack.
func (t *task) options() engine.Options {
	f := t.flags
	return engine.Options{
		Progress: t.progress, Targets: t.urns(f.targets), Replaces: t.urns(f.replaces), Dependents: f.dependents,
		Parallel: f.parallel,
		Refresh:  f.refresh, PolicyPacks: t.policies, PolicyConfigs: f.policyConfigs,
	}
}

// urns makes patterns of names.
func (t *task) urns(names []string) []string {
	urns := make([]string, 0, len(names))
	for _, name := range names {
		if !strings.HasPrefix(name, "urn:") {
			name = "**::" + name
		}
		urns = append(urns, name)
	}
	return urns
}

// policyPack is the name of the tier's own policy pack, which `make build` puts beside dbtier.
const policyPack = "policy-pack"

// policyPacksOf are the packs that judge the run: the tier's own, unless it is not there or not wanted, and those that
// were named.
func (a *app) policyPacksOf(f *stackFlags) (packs []string, note string) {
	own := filepath.Join(a.beside, policyPack)
	switch info, err := os.Stat(own); {
	case f.noPolicy:
	case err == nil && !info.IsDir():
		packs = append(packs, own)
	case len(f.policyPacks) == 0:
		note = "no policies are checked: " + policyPack +
			" is not beside dbtier (make build); --no-policy says that this is meant"
	}
	return slices.Concat(packs, f.policyPacks), note
}
