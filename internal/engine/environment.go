package engine

import (
	"path/filepath"
	"slices"
	"strings"

	"dbtier/internal/project"
)

// attaching are variables that make the engine use running servers instead of plugins.
var attaching = []string{
	"PULUMI_DEBUG_PROVIDERS", "PULUMI_DEBUG_LANGUAGES", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
}

// steering are variables that control a Pulumi CLI. The driver sets them itself.
var steering = []string{
	"PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_STACK", "PULUMI_OPTION_", "PULUMI_AUTOMATION_API",
	"PULUMI_DEBUG_COMMANDS", "PULUMI_SKIP_UPDATE_CHECK", "PULUMI_CREDENTIALS_PATH",
}

// cloudAccess are credentials and endpoints of clouds, which a run against stand-ins must not have, and settings for
// other stacks' backends.
var cloudAccess = []string{"AWS_", "KUBECONFIG", "PULUMI_DIY_BACKEND_", "PULUMI_SELF_MANAGED_STATE_"}

// environment is what one run sets in the engine's environment. Empty values are not set.
type environment struct {
	// Backend is the state's URL.
	Backend string
	// Home is the driver's PULUMI_HOME. CredentialsPath is the folder of the user's Pulumi logins.
	Home, CredentialsPath string
	// Attach is the value of PULUMI_DEBUG_PROVIDERS; empty for a run with the installed plugins.
	Attach string
	// PassphraseFile or Passphrase replaces the user's.
	PassphraseFile, Passphrase string
	// Kubeconfig is the local cluster's, for a local stack.
	Kubeconfig string
}

// apply returns the engine's environment: base without variables that could select another cloud, and the run's own.
func (e environment) apply(base []string) []string {
	drop := slices.Concat(attaching, steering)
	if e.Attach != "" {
		drop = slices.Concat(drop, cloudAccess)
	}
	if e.PassphraseFile != "" || e.Passphrase != "" {
		drop = append(drop, "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
	}
	env := slices.DeleteFunc(slices.Clone(base), func(entry string) bool {
		return slices.ContainsFunc(drop, func(name string) bool { return matches(entry, name) })
	})
	set := func(name, value string) {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	set("PULUMI_BACKEND_URL", e.Backend)
	set("PULUMI_HOME", e.Home)
	set("PULUMI_CREDENTIALS_PATH", e.CredentialsPath)
	set("PULUMI_SKIP_UPDATE_CHECK", "true")
	set("PULUMI_CONFIG_PASSPHRASE_FILE", e.PassphraseFile)
	set("PULUMI_CONFIG_PASSPHRASE", e.Passphrase)
	if e.Attach != "" {
		set("PULUMI_DEBUG_PROVIDERS", e.Attach)
		// Otherwise operations on existing state would try to install the attached plugins.
		set("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
		env = WithCollector(env)
	}
	if e.Kubeconfig != "" {
		set("KUBECONFIG", e.Kubeconfig)
		// A local stack's state needs no copy before each update.
		set("PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS", "true")
	}
	return env
}

// WithCollector makes a Go program that runs for seconds collect garbage less often, unless the environment already
// sets GOGC or GOMEMLIMIT. With the operator's CRDs in the state, collection took a quarter of a run's CPU time.
func WithCollector(env []string) []string {
	if slices.ContainsFunc(env, func(e string) bool { return matches(e, "GOGC") || matches(e, "GOMEMLIMIT") }) {
		return env
	}
	return append(env, "GOGC=400")
}

// matches reports whether an entry of the environment has the name. A name that ends in _ is a prefix.
func matches(entry, name string) bool {
	key, _, _ := strings.Cut(entry, "=")
	return key == name || strings.HasSuffix(name, "_") && strings.HasPrefix(key, name)
}

// LocalLeftovers names the variables of the environment that still point at the local cloud, as after
// `eval "$(dbtier local env)"`. With them the installed plugins would send a stack on AWS to the stand-in.
func LocalLeftovers(p *project.Project, awsEndpoint string, env Lookup) []string {
	var found []string
	for _, name := range []string{
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_RDS", "AWS_ENDPOINT_URL_SECRETS_MANAGER",
		"KUBECONFIG", "PULUMI_BACKEND_URL",
	} {
		value, _ := env(name)
		local := strings.Contains(value, p.LocalCloud()+string(filepath.Separator))
		if name != "KUBECONFIG" && awsEndpoint != "" {
			local = local || strings.TrimSuffix(value, "/") == strings.TrimSuffix(awsEndpoint, "/")
		}
		if local {
			found = append(found, name)
		}
	}
	return found
}
